"""Something opaque that passes between camera and scene."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.errors import ParameterError


@dataclass(frozen=True, slots=True)
class Occluder:
    """A rectangle, textured as the scene is, that crosses the picture along the sensor rows at a constant speed.

    Parameters
    ----------
    width, height : float, px
        Its size, along and across the sensor rows; it passes at half height.
    begin, end : float, s
        When its front edge enters, and its rear edge leaves.

    Raises
    ------
    ParameterError
        A size isn't positive, or it ends before it begins.
    """

    width: float
    height: float
    begin: float
    end: float

    def __post_init__(self) -> None:
        if not (0 < self.width < math.inf and 0 < self.height < math.inf):
            raise ParameterError(f"occluder of {self.width:g} x {self.height:g} px; both must be positive")
        if not 0 <= self.begin < self.end < math.inf:
            raise ParameterError(f"occluder from {self.begin:g} to {self.end:g} s; it must end after it begins")

    def left(self, instants: NDArray[np.float64], cols: int) -> NDArray[np.float64]:
        """Where its left edge is at some instants (s) [shape=instants.shape, px]."""
        share = (instants - self.begin) / (self.end - self.begin)
        return np.asarray(-self.width + share * (cols + self.width))

    def share(self, instants: NDArray[np.float64], rows: int, cols: int) -> NDArray[np.float32]:
        """How much of each pixel it covers.

        Parameters
        ----------
        instants : ndarray [shape=(frames, rows or 1), float64, s]
        rows, cols : int, px
            Size of the picture.

        Returns
        -------
        ndarray [shape=(frames, rows, cols), float32]
        """
        left = self.left(instants, cols)[..., None]
        top = (rows - self.height) / 2
        along = coverage(np.arange(float(cols)), left, left + self.width)
        across = coverage(np.arange(float(rows)), np.array(top), np.array(top + self.height))
        return np.asarray(across[:, None] * along, dtype=np.float32)


def coverage(
    position: NDArray[np.float64], first: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Share of the pixel at each position that lies between pixel `first` and pixel `end` (excluded)."""
    return np.asarray(np.clip(position - first + 1, 0, 1) * np.clip(end - position, 0, 1))
