"""Many channels into one signal: brought onto one time grid, aligned, and summed by what each knows.

A. Davis et al. (2014), doi:10.1145/2601097.2601119, align each band by the lag that maximises its correlation with
another and sum them. Here a lag has to be significant, for aligning noise with noise would invent a signal, and the
sum is the maximum-likelihood one.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vmforensics.data import Motion, Signal
from vmforensics.stages import SignalCombiner, StageParams
from vmforensics.units import Seconds
from vmforensics_global_shutter.frame_grid import as_signal, on_frame_grid

_WORTHWHILE = 0.01  # of the best channel's information; a channel with less isn't worth a lag
_FALSE_LAGS = 1e-3  # probability that noise alone shifts any channel of a clip

_T = TypeVar("_T", np.float32, np.float64, np.bool_)


class AlignedSumParams(StageParams):
    """Parameters of `aligned-sum`."""

    max_lag: Seconds = Field(
        default=5e-3, ge=0, le=0.1, description="Largest delay of one channel against another, in s; 0 never aligns"
    )


class AlignedSum(SignalCombiner):
    """The channels' maximum-likelihood displacement along the axis of strongest vibration, one sample a frame.

    A channel that follows the best one at a significantly likelier delay is shifted first, by whole frames. Dropped
    and undecodable frames are interpolated linearly and marked unobserved.
    """

    name: ClassVar[str] = "aligned-sum"
    summary: ClassVar[str] = "Channels aligned where significant, summed by information along the strongest axis"
    reference: ClassVar[str] = "Davis et al. 2014, doi:10.1145/2601097.2601119"
    Params: ClassVar[type[StageParams]] = AlignedSumParams

    def combine(self, motion: Motion) -> Signal:
        """Combine channels into one signal at the frame rate.

        Frame times that follow a constant rate with holes keep their values. Others are brought to the mean rate by
        cubic spline interpolation, with a warning.

        Raises
        ------
        StageError
            The rows have different instants (a rolling shutter), or nothing was observed.
        """
        grid = on_frame_grid(motion, self.name)
        steady, _ = grid.steadied()
        axis = steady.principal_axis()
        reach = min(math.floor(self.params.max_lag * grid.frame_rate + 1e-9), len(grid.frame_times) - 1)
        aligned = _aligned(grid, _lags(steady, axis, reach))
        return as_signal(aligned, axis, self.name)


def _aligned(motion: Motion, lags: NDArray[np.int64]) -> Motion:
    """The channels, each taken as many frames later as it lags."""
    if not lags.any():
        return motion
    displacement = np.stack(
        [_shifted(motion.displacement[:, :, c], lag) for c, lag in enumerate(lags.tolist())], axis=-1
    )
    observed = np.all([_shifted(motion.observed, lag) for lag in set(lags.tolist())], axis=0)
    # Noise is independent from frame to frame: channels that now stand at different frames share none of it.
    together = lags[:, None] == lags[None, :]
    covariance = np.linalg.pinv(motion.precision.astype(np.float64), rcond=1e-9, hermitian=True) * together
    if len(covariance) > 1:  # each frame's own
        for lag in set(lags.tolist()):
            own = np.ix_(*map(np.arange, covariance.shape[:2]), lags == lag, lags == lag)
            covariance[own] = _shifted(covariance[own], lag)
    precision = np.linalg.pinv(covariance, rcond=1e-9, hermitian=True)
    largest = float(np.abs(lags).max()) / motion.frame_rate
    notice = f"{np.count_nonzero(lags)} of {len(lags)} channels were shifted, by up to {1000 * largest:.3g} ms"
    return replace(
        motion,
        displacement=np.where(observed[:, :, None], displacement, np.float32(0)),
        precision=precision.astype(np.float32),
        observed=observed,
        warnings=(*motion.warnings, notice),
    )


def _lags(motion: Motion, axis: tuple[float, float], reach: int) -> NDArray[np.int64]:
    """Delay of each channel of a steady motion against the most informative one [shape=(channels,), int64, frames].

    For a channel that is the best one's signal, delayed, the likelihood of a lag grows with -N/2·ln(1 - r²), where r
    is their correlation and N the number of independent samples, ΣS₁·ΣS₂/Σ(S₁·S₂) for power spectra S (Bartlett 1946,
    doi:10.2307/2983611). A lag is taken if it beats lag 0 by more than noise would in any channel and lag tried.
    """
    lags = np.zeros(len(motion.channels), np.int64)
    covariance = np.linalg.pinv(motion.precision.mean(axis=(0, 1), dtype=np.float64), rcond=1e-9, hermitian=True)
    variance = np.diag(covariance)
    gain = motion.response @ np.asarray(axis)
    information = np.where(variance > 0, gain**2 / np.where(variance > 0, variance, 1.0), 0.0)
    best = int(np.argmax(information))
    if information[best] == 0:
        return lags
    candidates = np.flatnonzero(information > _WORTHWHILE * information[best])
    tries = np.arange(-reach, reach + 1)
    threshold = math.log(len(candidates) * len(tries) / _FALSE_LAGS)
    signals = np.where(motion.observed, motion.displacement[:, 0] * np.sign(gain), 0.0)
    norms = np.linalg.norm(signals, axis=0)
    spectra = np.abs(np.fft.rfft(signals, axis=0)) ** 2
    for c in candidates[norms[candidates] * norms[best] > 0]:
        products = [signals[:, best] @ _shifted(signals[:, c], lag) for lag in tries.tolist()]
        correlation = np.clip(products / (norms[best] * norms[c]), -1 + 1e-12, 1 - 1e-12)
        independent = 2 * spectra[:, best].sum() * spectra[:, c].sum() / (spectra[:, best] @ spectra[:, c])
        likelihood = -independent / 2 * np.log(1 - correlation**2) * (correlation > 0)
        peak = int(np.argmax(likelihood))
        if likelihood[peak] - likelihood[reach] > threshold:
            lags[c] = tries[peak]
    return lags


def _shifted(values: NDArray[_T], lag: int) -> NDArray[_T]:
    """Values a number of frames later, at each frame; 0 beyond the ends."""
    moved = np.zeros_like(values)
    size = len(values)
    moved[max(0, -lag) : min(size, size - lag)] = values[max(0, lag) : min(size, size + lag)]
    return moved
