"""In which cell of the quantiser each coefficient of a JPEG picture lay."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import FrameBlock, TableCoding
from vmforensics.numerics.coded.cells import LEAST_STEP, OFF_LATTICE, Cells
from vmforensics.numerics.coded.transforms import COSINE, SIDE, transformed

MIDDLE = 128
"""DN, that JPEG takes from every pixel."""


class TableReader:
    """Reads the cells of some blocks, picture by picture.

    Parameters
    ----------
    top, left : ndarray [shape=(blocks,), int64, px]
        Where the blocks begin in the coded picture: multiples of 8.

    Notes
    -----
    The cosine transform of decoded pixels lies on the lattice of the steps, but for the pixels' rounding; the nearest
    point tells the level. Limits are put half a step about it. Encoders that round at another share (FFmpeg's at 5/8)
    shift all limits of a coefficient alike as long as it stays on one side of zero, and that can't be told from another
    template: estimates that find the template from the same limits don't depend on it.
    """

    def __init__(self, top: NDArray[np.int64], left: NDArray[np.int64]) -> None:
        inside = np.arange(SIDE)
        self._rows = top[:, None, None] + inside[None, :, None]
        self._cols = left[:, None, None] + inside[None, None, :]
        self._which = np.full(len(top), COSINE)
        self._blur = np.zeros(len(top), dtype=np.float32)

    def read(self, blocks: Iterator[FrameBlock]) -> Iterator[Cells]:
        """The cells of every picture whose table is known, in order of display.

        Parameters
        ----------
        blocks
            Whole coded pictures.
        """
        for block in blocks:
            for index, luma, coding in zip(block.index, block.luma, block.coding, strict=False):
                if isinstance(coding, TableCoding):
                    yield self._cells(int(index), luma, coding.steps.reshape(-1))

    def _cells(self, index: int, luma: NDArray[np.generic], steps: NDArray[np.float32]) -> Cells:
        value = transformed(luma[self._rows, self._cols].astype(np.float32) - MIDDLE, COSINE)
        nearest = np.where(steps >= LEAST_STEP, np.rint(value / steps) * steps, value)
        lies = np.mean((value - nearest) ** 2, axis=1) < OFF_LATTICE  # what was clipped doesn't
        middle = np.where(lies[:, None], nearest, value)
        half = np.float32(0.5) * steps
        return Cells(index, middle - half, middle + half, self._blur, self._which, lies)
