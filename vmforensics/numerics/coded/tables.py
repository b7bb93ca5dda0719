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

PLAIN = 0.5
"""Share of a step, below the next level, from which on plain rounding goes up to it."""

ROUNDINGS = (PLAIN, 0.375)
"""Shares that encoders are known to round by: plain rounding, libjpeg's, and FFmpeg's."""


def limit_above(level: NDArray[np.floating], share: float) -> NDArray[np.floating]:
    """Where the cell of a level ends and that of the next higher begins, in steps.

    Parameters
    ----------
    level : ndarray [floating, whole numbers]
    share
        How the encoder rounded, as `TableReader` takes it.

    Examples
    --------
    >>> limit_above(np.array([-2.0, -1.0, 0.0, 1.0]), 0.375)
    array([-1.625, -0.625,  0.625,  1.625])
    """
    late, early = level.dtype.type(1 - share), level.dtype.type(share)
    return np.asarray(level + np.where(level < 0, early, late))


class TableReader:
    """Reads the cells of some blocks, picture by picture.

    Parameters
    ----------
    top, left : ndarray [shape=(blocks,), int64, px]
        Where the blocks begin in the coded picture: multiples of 8.
    share : float
        How the encoder rounded: share of a step, below the next level away from 0, from which on it took that.

    Notes
    -----
    The cosine transform of decoded pixels lies on the lattice of the steps, but for the pixels' rounding; the nearest
    point tells the level. Where an encoder rounds up late the cell about 0 is wider, and all others lie farther out.
    """

    def __init__(self, top: NDArray[np.int64], left: NDArray[np.int64], share: float = PLAIN) -> None:
        inside = np.arange(SIDE)
        self._rows = top[:, None, None] + inside[None, :, None]
        self._cols = left[:, None, None] + inside[None, None, :]
        self._share = share
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
        told = steps >= LEAST_STEP
        level = np.rint(value / steps)
        nearest = np.where(told, level * steps, value)
        lies = np.mean((value - nearest) ** 2, axis=1) < OFF_LATTICE  # what was clipped doesn't
        told = told & lies[:, None]
        half = np.float32(0.5) * steps
        low = np.where(told, limit_above(level - 1, self._share) * steps, value - half)
        high = np.where(told, limit_above(level, self._share) * steps, value + half)
        return Cells(index, low, high, self._blur, self._which, lies)
