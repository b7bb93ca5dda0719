"""A picture cut into tiles, and sums of its pixels and slopes over them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.numerics.derivative import derivative

_MOST = 24  # along the longer side
_LEAST = 16  # px
_REACH = 8  # px on either side that a slope is made of


@dataclass(frozen=True, slots=True, eq=False)
class Tiles:
    """Where the tiles of a picture begin and end.

    Parameters
    ----------
    rows, cols : ndarray [shape=(tiles + 1,), int64, px]
        Edges down and across the picture.
    """

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]

    @classmethod
    def of(cls, height: int, width: int) -> Tiles:
        """Tiles of nearly one size for a picture of some pixels."""
        size = max(_LEAST, math.ceil(max(height, width) / _MOST / 8) * 8)
        edges = (np.linspace(0, side, max(1, round(side / size)) + 1) for side in (height, width))
        return cls(*(each.astype(np.int64) for each in edges))

    @property
    def shape(self) -> tuple[int, int]:
        """Number of tiles down and across."""
        return len(self.rows) - 1, len(self.cols) - 1

    @property
    def pixels(self) -> NDArray[np.int64]:
        """How many each tile holds [shape=shape, int64]."""
        return np.outer(np.diff(self.rows), np.diff(self.cols))

    def bands(self) -> Iterator[tuple[int, slice]]:
        """Each row of tiles, and the picture's rows that it holds: what is summed band by band needs little memory."""
        for number, (top, bottom) in enumerate(zip(self.rows[:-1].tolist(), self.rows[1:].tolist(), strict=True)):
            yield number, slice(top, bottom)

    def sums(self, band: NDArray[np.floating]) -> NDArray[np.float64]:
        """Sums over the tiles of one band [shape=(tiles across,), float64].

        Parameters
        ----------
        band : ndarray [shape=(rows of the band, cols), floating]
        """
        return np.add.reduceat(band.sum(axis=0, dtype=np.float64), self.cols[:-1])


def slopes(picture: NDArray[np.generic], band: slice) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Derivatives along and across the rows of a band of a picture.

    Parameters
    ----------
    picture : ndarray [shape=(rows, cols), DN]
        All of it.
    band
        The rows that are asked for.

    Returns
    -------
    two ndarrays [shape=(rows of the band, cols), float64, DN/px]
    """
    top, bottom = max(0, band.start - _REACH), min(len(picture), band.stop + _REACH)
    near = picture[top:bottom].astype(np.float64)
    own = slice(band.start - top, band.stop - top)
    return derivative(near[own], axis=1), derivative(near, axis=0)[own]
