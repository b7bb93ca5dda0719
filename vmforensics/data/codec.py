"""What a codec says of how it coded a frame: when, and how coarsely."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MACROBLOCK = 16
"""Pixels on a side of the blocks that a quantiser is chosen for."""


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

    Raises
    ------
    ValueError
        A step isn't positive and finite.
    """

    order: int
    predicted: bool
    steps: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.steps.ndim != 2 or not np.all(np.isfinite(self.steps) & (self.steps > 0)):
            raise ValueError("quantiser steps must be one positive value a macroblock")
