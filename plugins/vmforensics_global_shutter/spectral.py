"""Spatial derivatives of the band-limited function through the pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

NOISE_GAIN = np.pi**2 / 3
"""Variance of the derivative of white noise of variance 1."""

_WORKERS = -1  # one transform a core; the result doesn't depend on it


def gradient(picture: NDArray[np.float64]) -> NDArray[np.float32]:
    """Derivatives along x and y, exact for whatever the pixels can hold.

    Beyond a border the picture goes on point-symmetrically about its last pixel, so that slopes are continuous.

    Parameters
    ----------
    picture : ndarray [shape=(rows, cols), float64, DN]

    Returns
    -------
    ndarray [shape=(2, rows, cols), float32, DN/px]
    """
    single = picture.astype(np.float32)
    return np.stack([_derivative(single, 1), _derivative(single, 0)])


def _derivative(picture: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    values = np.ascontiguousarray(np.moveaxis(picture, axis, -1))
    last = values.shape[-1] - 1
    rise = (values[..., -1:] - values[..., :1]) / last
    about_line = values - values[..., :1] - rise * np.arange(last + 1, dtype=np.float32)
    waves = np.zeros_like(values)
    turns = (np.pi / last * np.arange(1, last)).astype(np.float32)
    waves[..., 1:-1] = fft.dst(about_line[..., 1:-1], type=1, workers=_WORKERS) * turns
    slopes = rise + fft.dct(waves, type=1, workers=_WORKERS) / np.float32(2 * last)
    return np.asarray(np.moveaxis(slopes, -1, axis), dtype=np.float32)
