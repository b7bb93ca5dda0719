"""What a template that is the mean of the frames takes away from the motion measured against it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def taken_by_template(
    samples: NDArray[np.float64], period: float, displacement: NDArray[np.float64], information: NDArray[np.float64]
) -> float:
    """Variance of what went with the template: each row's own mean of the sound over the frames, which is unknown.

    The mean of F samples a frame apart has the variance Σ_k (1 - |k|/F) r(k frames) / F, with the sound's
    autocovariance r; lags beyond a quarter of the clip aren't known well enough to count. What the rows' means still
    hold was not taken.

    Parameters
    ----------
    samples : ndarray [shape=(n,), float64, px]
        The recovered sound.
    period : float, samples
        From frame to frame.
    displacement, information : ndarray [shape=(frames, rows), float64, px and 1/px²]

    Returns
    -------
    float, px²
    """
    seen = information > 0
    count = int(np.count_nonzero(seen.any(axis=1)))
    lags = np.arange(1, count // 4 + 1)
    power = np.abs(np.fft.rfft(samples, 2 * len(samples))) ** 2
    covariance = np.fft.irfft(power) / len(samples)
    apart = np.interp(lags * period, np.arange(len(samples)), covariance[: len(samples)])
    taken = (covariance[0] + 2 * float(np.sum((1 - lags / count) * apart))) / count
    kept = displacement.sum(axis=0, where=seen) / np.maximum(seen.sum(axis=0), 1)
    return max(taken, 0.1 * float(covariance[0]) / count) if np.mean(kept**2) < 0.2 * covariance[0] / count else 0.0
