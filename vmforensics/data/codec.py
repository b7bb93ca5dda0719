"""What a codec says of how it coded a frame: when, and how coarsely."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MACROBLOCK = 16
"""Pixels on a side of the blocks that a quantiser is chosen for."""

LOSSLESS = frozenset(
    {
        *("ffv1", "rawvideo", "huffyuv", "ffvhuff", "utvideo", "magicyuv", "lagarith", "qtrle", "png", "apng", "tiff"),
        *("bmp", "dpx", "pgm", "pgmyuv", "ppm", "pam", "v210", "v308", "v408", "v410", "r10k", "r210", "yuv4"),
    }
)
"""Codecs that lose nothing, by FFmpeg's names."""

TABLE = (8, 8)
"""Shape of a table of quantiser steps, one for each coefficient of a block of 8 by 8 px."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameCoding:
    """How one frame was coded, by a codec that adds quantised residuals to predictions from other frames.

    Parameters
    ----------
    order : int
        Place of the frame in the order of coding: it can only be predicted from frames of lower places.
    predicted : bool
        Whether it was predicted from other frames at all (False for an I frame).
    steps : ndarray [shape=(macroblock rows, macroblock columns), float32, digital numbers]
        Quantiser step of each macroblock of 16 by 16 px, in units of an orthonormal cosine transform; the first one
        lies at the coded picture's top left corner.
    unsmoothed : ndarray [shape=(rows, cols), unsigned, digital numbers] or None
        The frame's luma before the decoder smoothed the edges of blocks: what neighbouring blocks are predicted
        from; None where it isn't known.

    Raises
    ------
    ValueError
        A step isn't positive and finite.
    """

    order: int
    predicted: bool
    steps: NDArray[np.float32]
    unsmoothed: NDArray[np.generic] | None = None

    def __post_init__(self) -> None:
        if self.steps.ndim != 2 or not np.all(np.isfinite(self.steps) & (self.steps > 0)):
            raise ValueError("quantiser steps must be one positive value a macroblock")


@dataclass(frozen=True, slots=True, eq=False)
class TableCoding:
    """How one picture was coded by JPEG: every block of 8 by 8 px for itself, by the same table.

    Parameters
    ----------
    steps : ndarray [shape=(8, 8), float32, digital numbers]
        Quantiser step of each coefficient of an orthonormal cosine transform of pixel values less half their range;
        rows are vertical frequencies. The first block lies at the coded picture's top left corner.

    Raises
    ------
    ValueError
        A step isn't positive and finite, or there aren't 8 by 8 of them.
    """

    steps: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.steps.shape != TABLE or not np.all(np.isfinite(self.steps) & (self.steps > 0)):
            raise ValueError("quantiser steps must be a table of 8 by 8 positive values")
