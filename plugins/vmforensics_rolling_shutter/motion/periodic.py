"""Whether a texture repeats itself along the rows, as bars, a fence or a printed grid do."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vmforensics.data.codec import LOSSLESS
from vmforensics.numerics.derivative import derivative

REPEATING = 0.85
"""Repetition from which a texture's stripes look alike."""

_NEAREST = 16  # px; a shorter lag is the texture's own smoothness


def repetition(mean: NDArray[np.float64]) -> float:
    """Largest normalised autocorrelation of a picture's slope along its rows, at lags of 16 px to half the width.

    The rows' autocorrelations are summed, each divided by the power of the two stretches that it compares.

    Parameters
    ----------
    mean : ndarray [shape=(rows, cols), float64, DN]

    Returns
    -------
    float
        Near 1 for a texture that repeats itself, 0 for none and where a row is too short to tell.
    """
    from scipy.fft import irfft, next_fast_len, rfft

    slope = derivative(mean, axis=1)
    cols = slope.shape[1]
    size = next_fast_len(2 * cols, real=True)
    correlation = irfft(np.sum(np.abs(rfft(slope, size, axis=1)) ** 2, axis=0), size)
    power = np.concatenate([[0.0], np.cumsum(np.sum(slope**2, axis=0))])  # of the columns before one
    lags = np.arange(_NEAREST, cols // 2 + 1)
    overlap = np.sqrt(power[cols - lags] * (power[-1] - power[lags]))
    return float(np.max(correlation[lags] / np.maximum(overlap, 1e-12), initial=0.0))


def lossy(facts: Mapping[str, object]) -> bool:
    """Whether a stream's facts name a codec that isn't known to be lossless, or JPEG pictures; memory has none."""
    codec = facts.get("codec")
    jpeg = str(facts.get("first_picture", "")).lower().endswith((".jpg", ".jpeg"))
    return jpeg or (isinstance(codec, str) and codec not in LOSSLESS)
