"""Linear functionals of a frame: a block of frames is read by one matrix product per part of the picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Luma

_AT_ONCE = 2**16  # pixels converted to floating point and multiplied at a time: they stay in the processor's cache
_FEW = 4  # functionals; BLAS multiplies by so few faster one by one


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The functionals that look at one rectangle of the picture.

    Parameters
    ----------
    rows, cols : slice
        The rectangle.
    channels : slice
        Which of all functionals they are.
    weights : ndarray [shape=(channels, h·w), float32, px/DN]
        What a digital number of each pixel contributes.
    """

    rows: slice
    cols: slice
    channels: slice
    weights: NDArray[np.float32]

    def add(self, luma: Luma, into: NDArray[np.float64]) -> None:
        """Add what the functionals read on frames to [shape=(frames, all channels), float64, px].

        Parameters
        ----------
        luma : ndarray [shape=(frames, rows, cols), uint8 or uint16, DN]
            Whole pictures.
        into : ndarray
        """
        own = luma[:, self.rows, self.cols]
        step = max(1, min(len(own), _AT_ONCE // max(1, self.weights.shape[1])))
        converted = np.empty((step, self.weights.shape[1]), np.float32)
        for first in range(0, len(own), step):
            some = np.ascontiguousarray(own[first : first + step])  # short rows are converted slowly
            pixels = converted[: len(some)]
            np.copyto(pixels, some.reshape(pixels.shape))
            read = into[first : first + step, self.channels]
            if len(self.weights) > _FEW:
                read += pixels @ self.weights.T
                continue
            for number, weights in enumerate(self.weights):
                read[:, number] += pixels @ weights

    def on(self, picture: NDArray[np.float64] | NDArray[np.float32]) -> NDArray[np.float64]:
        """What they read on one picture [shape=(channels,), float64]."""
        return np.asarray(self.weights @ picture[self.rows, self.cols].ravel())


@dataclass(frozen=True, eq=False)
class Functionals:
    """Fixed linear functionals that read the displacement of a frame against a still picture, to first order.

    Parameters
    ----------
    parts : tuple of Part
        Where they look. The readings of parts that share a channel add up.
    picture : ndarray [shape=(rows, cols), float64, DN]
        What they compare with.
    count : int
        Number of functionals.
    """

    parts: tuple[Part, ...]
    picture: NDArray[np.float64]
    count: int

    def read(self, luma: Luma) -> NDArray[np.float64]:
        """What each functional reads on frames, less what it reads on the still picture.

        Parameters
        ----------
        luma : ndarray [shape=(frames, rows, cols), uint8 or uint16, DN]

        Returns
        -------
        ndarray [shape=(frames, channels), float64, px]
        """
        readings = np.tile(-self._still, (len(luma), 1))
        for part in self.parts:
            part.add(luma, readings)
        return readings

    @cached_property
    def _still(self) -> NDArray[np.float64]:
        """What they read on the still picture."""
        return self.on(self.picture)

    def on(self, picture: NDArray[np.float64] | NDArray[np.float32]) -> NDArray[np.float64]:
        """What each functional reads on one picture [shape=(rows, cols), float64, DN]."""
        read = np.zeros(self.count)
        for part in self.parts:
            read[part.channels] += part.on(picture)
        return read
