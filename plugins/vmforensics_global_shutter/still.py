"""The still picture that motion is measured against, as seen from wherever it stands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.numerics.derivative import derivative
from vmforensics.numerics.noise import NoiseModel

_REACH = 8  # px on either side that an interpolated pixel is made of
_BETA = 6.0  # of the Kaiser window on the interpolating sinc: within 2e-3 up to 0.38 cycles/px
_BORDER = 3  # px at the picture's edge, where an interpolated one is made of too few pixels


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A still picture from one place.

    Parameters
    ----------
    picture : ndarray [shape=(rows, cols), float64, DN]
    known : ndarray [shape=(rows, cols), bool]
        Which pixels show the scene, and can be relied on.
    noise : NoiseModel
        The variance of a pixel of a frame about it.
    frames : int
        How many frames it is the mean of.
    """

    picture: NDArray[np.float64]
    known: NDArray[np.bool_]
    noise: NoiseModel
    frames: int

    def slopes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Its derivatives along and across the rows [shape=(rows, cols), float64, DN/px]."""
        return derivative(self.picture, axis=1), derivative(self.picture, axis=0)

    def moved(self, place: tuple[float, float], excluded: NDArray[np.bool_]) -> View:
        """The picture moved to the right and down.

        Parameters
        ----------
        place : (float, float), px
        excluded : ndarray [shape=(rows, cols), bool]
            Pixels of the sensor that can't be relied on wherever the picture stands.
        """
        if place == (0.0, 0.0):
            return View(self.picture, self.known & ~excluded, self.noise, self.frames)
        known = moved_mask(self.known, place)
        return View(moved(self.picture, place), known & ~excluded, self.noise, self.frames)


def moved(picture: NDArray[np.float64], place: tuple[float, float]) -> NDArray[np.float64]:
    """A picture moved to the right and down by (x, y) px, by windowed-sinc interpolation.

    Beyond an edge the picture goes on point-symmetrically about its last pixel.
    """
    from scipy.ndimage import correlate1d

    for shift, axis in zip(place, (1, 0), strict=True):
        if shift == 0:
            continue
        whole = int(np.round(shift))
        offset = np.arange(-_REACH, _REACH + 1) + (shift - whole)
        taps = np.sinc(offset) * _window(offset)
        pad = _REACH + abs(whole)
        wide = _extended(picture, pad, axis)
        wide = correlate1d(wide, taps / taps.sum(), axis=axis, mode="nearest")
        along = np.moveaxis(wide, axis, 0)
        first = pad - whole
        picture = np.moveaxis(along[first : first + picture.shape[axis]], 0, axis)
    return np.ascontiguousarray(picture)


def _extended(picture: NDArray[np.float64], pad: int, axis: int) -> NDArray[np.float64]:
    width = [(0, 0), (0, 0)]
    width[axis] = (pad, pad)
    if pad < picture.shape[axis]:
        return np.pad(picture, width, mode="reflect", reflect_type="odd")
    return np.pad(picture, width, mode="edge")


def moved_mask(known: NDArray[np.bool_], place: tuple[float, float]) -> NDArray[np.bool_]:
    """Where a moved picture is known: what lies at the edge of the known isn't."""
    from scipy.ndimage import binary_erosion, shift

    inner = binary_erosion(known, np.ones((2 * _BORDER + 1,) * 2), border_value=0)
    whole = (round(place[1]), round(place[0]))
    return np.asarray(shift(inner.astype(np.uint8), whole, order=0, cval=0), dtype=bool)


def _window(offset: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import i0

    inside = 1 - (offset / (_REACH + 1)) ** 2
    return np.where(inside > 0, i0(_BETA * np.sqrt(np.maximum(inside, 0))) / i0(_BETA), 0.0)
