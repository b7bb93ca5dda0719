"""The still picture that motion is measured against, as seen from wherever it stands."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from math import factorial

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Region
from vmforensics.numerics.derivative import derivative
from vmforensics.numerics.noise import QUANTISATION, NoiseModel
from vmforensics_global_shutter.spectral import gradient

_REACH = 12  # px on either side that an interpolated pixel is made of
_FINEST = 0.43  # cycles/px, up to which it is right within 1e-3
_PIECE = 80  # px whose derivatives are made at once
_STENCIL = 8  # px on either side that `derivative` looks at
_EDGE = 2  # px at the picture's edge whose derivative is made of too few pixels
_BORDER = 3  # px at the picture's edge, where an interpolated one is made of too few pixels


@dataclass(frozen=True, eq=False)
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
    place : (float, float), px
        Where it stands, to the right and down of where it was first seen.
    angle : float, radians
        By how much it is turned about its middle before it is moved; positive turns right towards down.
    """

    picture: NDArray[np.float64]
    known: NDArray[np.bool_]
    noise: NoiseModel
    frames: int
    place: tuple[float, float] = (0.0, 0.0)
    angle: float = 0.0

    @cached_property
    def gradient(self) -> NDArray[np.float32]:
        """Its derivatives along and across the rows [shape=(2, rows, cols), float32, DN/px]."""
        return gradient(self.picture)

    @cached_property
    def weight(self) -> NDArray[np.float32]:
        """One over the variance of each pixel's noise [shape=(rows, cols), float32, 1/DN²].

        0 where nothing is known, and at the border, where no derivative is.
        """
        variance = np.float32(self.noise.b) * self.picture.astype(np.float32)
        variance += np.float32(self.noise.a)
        weight: NDArray[np.float32] = self.known / np.maximum(variance, np.float32(QUANTISATION), out=variance)
        for edge in (weight, weight.T):
            edge[:_EDGE] = edge[-_EDGE:] = 0
        return weight

    def shift(self, region: Region) -> tuple[float, float]:
        """How far (px) the middle of a rectangle of the picture stands to the right and down of where it was first."""
        if self.angle == 0:
            return self.place
        middle_y, middle_x = ((n - 1) / 2 for n in self.picture.shape)
        x, y = (region.x + (region.width - 1) / 2 - middle_x, region.y + (region.height - 1) / 2 - middle_y)
        cos, sin = math.cos(self.angle) - 1, math.sin(self.angle)
        return self.place[0] + cos * x - sin * y, self.place[1] + sin * x + cos * y

    def moved(self, place: tuple[float, float], excluded: NDArray[np.bool_]) -> View:
        """The picture moved to the right and down.

        Parameters
        ----------
        place : (float, float), px
        excluded : ndarray [shape=(rows, cols), bool]
            Pixels of the sensor that can't be relied on wherever the picture stands.
        """
        if place == (0.0, 0.0):
            if not (self.known & excluded).any():
                return self
            return View(self.picture, self.known & ~excluded, self.noise, self.frames)
        known = moved_mask(self.known, place)
        return View(moved(self.picture, place), known & ~excluded, self.noise, self.frames, place)


def moved(picture: NDArray[np.float64], place: tuple[float, float]) -> NDArray[np.float64]:
    """A picture moved to the right and down by (x, y) px, by interpolation.

    Beyond an edge the picture goes on point-symmetrically about its last pixel.
    """
    from scipy.ndimage import correlate1d

    for shift, axis in zip(place, (1, 0), strict=True):
        if shift == 0:
            continue
        whole = int(np.round(shift))
        pad = _REACH + abs(whole)
        wide = correlate1d(_extended(picture, pad, axis), _taps(shift - whole), axis=axis, mode="nearest")
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


def _taps(shift: float) -> NDArray[np.float64]:
    """Taps that move a signal by less than a pixel: least squares in the frequency domain.

    Laakso, Välimäki, Karjalainen & Laine 1996, doi:10.1109/79.482137.

    Slow slopes carry most of a picture's contrast, and an error there would move the whole: they weigh more.
    """
    position = np.arange(-_REACH, _REACH + 1)
    frequency = np.linspace(0, _FINEST, 300)
    weight = np.maximum(frequency, 2e-3) ** -1.5
    weight[0] *= 100  # no change of brightness
    phase = 2 * np.pi * np.outer(frequency, position)
    design = np.concatenate([np.cos(phase), np.sin(phase)])
    turn = 2 * np.pi * frequency * shift
    wanted = np.concatenate([np.cos(turn), -np.sin(turn)])
    both = np.concatenate([weight, weight])
    return np.asarray(np.linalg.lstsq(design * both[:, None], wanted * both, rcond=None)[0])


def derivatives(
    picture: NDArray[np.float64], highest: int
) -> Iterator[tuple[tuple[int, int], float, NDArray[np.float32]]]:
    """∂_x^i ∂_y^j of a picture for i + j from 1 to an order: (i, j), the factor (-1)^(i+j) / (i! j!), the picture."""
    down = picture.astype(np.float32)
    for j in range(highest + 1):
        right = down
        for i in range(highest + 1 - j):
            if i + j:
                yield (i, j), (-1) ** (i + j) / (factorial(i) * factorial(j)), right
            if i + j < highest:
                right = slope(right, axis=1)
        if j < highest:
            down = slope(down, axis=0)


def slope(picture: NDArray[np.float32], *, axis: int) -> NDArray[np.float32]:
    """The same as `derivative` in single precision, by products with pieces of its matrix, which is faster.

    Parameters
    ----------
    picture : ndarray [shape=(rows, cols), float32, DN]
    axis
        1 along the row, 0 across rows.

    Returns
    -------
    ndarray [shape=(rows, cols), float32, DN/px]
    """
    size = picture.shape[axis]
    if size < _PIECE:
        return derivative(picture.astype(np.float64), axis=axis).astype(np.float32)
    lines = picture if axis == 0 else picture.T
    result = np.empty_like(picture)
    slopes = result if axis == 0 else result.T
    matrix = _stencils()
    first = np.minimum(np.arange(0, size, _PIECE - 2 * _STENCIL), size - _PIECE)
    for start in first:
        inner = slice(_STENCIL if start else 0, _PIECE - _STENCIL if start + _PIECE < size else _PIECE)
        np.matmul(matrix[inner], lines[start : start + _PIECE], out=slopes[start : start + _PIECE][inner])
    return result


@cache
def _stencils() -> NDArray[np.float32]:
    """The matrix of `derivative` for a column of a few pixels, with the shorter stencils at both ends."""
    return derivative(np.eye(_PIECE), axis=0).astype(np.float32)
