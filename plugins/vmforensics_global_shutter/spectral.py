"""Spatial derivatives of the band-limited function through the pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

NOISE_GAIN = np.pi**2 / 3
"""Variance of the derivative of white noise of variance 1."""

_WORKERS = -1  # one transform a core; the result doesn't depend on it
_BEYOND = 8  # px that a picture goes on at least, before the size that transforms fast puts a kink into it


def gradient(picture: NDArray[np.float64]) -> NDArray[np.float32]:
    """Derivatives along x and y; see `derivative`.

    Parameters
    ----------
    picture : ndarray [shape=(rows, cols), float64, DN]

    Returns
    -------
    ndarray [shape=(2, rows, cols), float32, DN/px]
    """
    slopes = np.empty((2, *picture.shape), np.float32)
    for axis in (0, 1):
        derivative(picture, axis, slopes[1 - axis])
    return slopes


def derivative(picture: NDArray[np.float64], axis: int, into: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """Derivative along an axis, exact for whatever the pixels can hold.

    Beyond a border the picture goes on point-symmetrically about its last pixel, so that slopes are continuous; at the
    right and at the bottom it does so for the few pixels more that make it a size that transforms fast.

    Parameters
    ----------
    picture : ndarray [shape=(rows, cols), float64, DN]
    axis
        1 along the rows, 0 across them.
    into : ndarray [shape=(rows, cols), float32, DN/px]
        Where to write it; a new array if None.

    Returns
    -------
    ndarray [shape=(rows, cols), float32, DN/px]
    """
    size = picture.shape[axis]
    last = min(fft.next_fast_len(size - 1 + _BEYOND, real=True), 2 * (size - 1))

    def part(start: int, stop: int | None) -> tuple[slice, ...]:
        return (slice(None),) * axis + (slice(start, stop),)

    shape = list(picture.shape)
    shape[axis] = last + 1
    values = np.empty(shape, np.float32)
    values[part(0, size)] = picture
    mirrored = values[part(2 * (size - 1) - last, size - 1)]
    values[part(size, None)] = 2 * values[part(size - 1, size)] - np.flip(mirrored, axis)
    start = values[part(0, 1)].copy()
    rise = (values[part(last, None)] - start) / last
    ramp = np.arange(last + 1, dtype=np.float32).reshape((-1, 1) if axis == 0 else (1, -1))
    values -= start
    values -= rise * ramp  # 0 at both ends now
    waves = fft.dst(values[part(1, last)], type=1, axis=axis, workers=_WORKERS)
    turns = ramp[part(1, last)] * np.float32(np.pi / (2 * last**2))
    np.multiply(waves, turns, out=values[part(1, last)])
    values[part(0, 1)] = values[part(last, None)] = 0
    cosines = fft.dct(values, type=1, axis=axis, workers=_WORKERS, overwrite_x=True)
    return np.asarray(np.add(cosines[part(0, size)], rise, out=into), dtype=np.float32)
