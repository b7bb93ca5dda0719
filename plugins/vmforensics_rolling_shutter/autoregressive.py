"""One uniform signal from irregular, unequally noisy row samples with gaps: a noise-aware autoregressive smoother."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from threadpoolctl import threadpool_limits

from vmforensics.data import Motion, Signal
from vmforensics.errors import Unsuitable
from vmforensics.stages import SignalCombiner, StageParams
from vmforensics.units import Hertz, Seconds
from vmforensics_rolling_shutter.gaussian import ArPrior, Observations, posterior

_LEAST_SEEN = 0.1  # share of a window that must be observed to learn a prior from it


class AutoregressiveParams(StageParams):
    """Parameters of `autoregressive`."""

    rate: Hertz = Field(default=8000.0, ge=500, le=96_000, description="sample rate of the signal, Hz")
    order: int = Field(default=128, ge=16, le=512, description="order of the autoregressive prior, samples")
    window: Seconds = Field(default=0.1, ge=0.02, le=10, description="length of sound that one prior is fitted to, s")
    passes: int = Field(default=3, ge=1, le=100, description="expectation-maximisation passes over each window")


class Autoregressive(SignalCombiner):
    """Linear-Gaussian inference of the signal, its prior learnt from the clip with the noise taken out.

    In windows that overlap by half, the signal x on a uniform grid is an autoregressive process and each row sample
    reads y = h(t)ᵀx + noise, with h a windowed-sinc interpolator at the row's own instant and noise of the row's own
    variance. The posterior mean solves (R⁻¹ + HᵀWH) x = HᵀWy; the prior R is re-estimated by expectation-maximisation
    from the posterior's mean *and* covariance, so that noise isn't taken for sound. Gaps, between frames or where
    frames are missing, are filled with what the prior predicts, marked as not observed, and carry the posterior's
    larger σ. The picture's slow sway is set apart before, and put back.
    """

    name: ClassVar[str] = "autoregressive"
    summary: ClassVar[str] = "noise-aware autoregressive smoother over row samples; fills gaps and says how surely"
    reference: ClassVar[str] = (
        "Janssen, Veldhuis & Vries 1986, doi:10.1109/TASSP.1986.1164824 (filling gaps by autoregression); "
        "Dempster, Laird & Rubin 1977 (expectation-maximisation)"
    )
    Params: ClassVar[type[StageParams]] = AutoregressiveParams

    def combine(self, motion: Motion) -> Signal:
        """Infer the signal; see the class.

        Raises
        ------
        Unsuitable
            Not a single row was observed.
        """
        rate, order = self.params.rate, self.params.order
        steady, sway = motion.steadied()
        axis = steady.principal_axis()
        displacement, information = steady.along(axis)
        instants = motion.instants
        start = float(instants.min())
        size = int(np.floor((instants.max() - start) * rate)) + 1
        grid = start + np.arange(size) / rate

        seen = information > 0
        if not seen.any():
            raise Unsuitable("not a single row of the clip could be measured", hint="choose a region with detail")
        sort = np.argsort(instants[seen], kind="stable")
        observations = Observations(
            position=((instants[seen] - start) * rate)[sort],
            value=displacement[seen][sort],
            weight=information[seen][sort],
        )
        blocks = round(self.params.window * rate / order)
        with threadpool_limits(limits=1, user_api="blas"):  # blocks this small only lose time to a second thread
            mean, variance = _smooth(observations, size, order, blocks, self.params.passes)
        template = _taken_by_template(mean, rate / motion.frame_rate, displacement, information)
        measured = motion.onto_grid(axis, start=start, rate=rate, size=size)
        return Signal(
            samples=mean + sway.along(axis, grid),
            rate=rate,
            start=start,
            observed=measured.observed,
            sigma=np.sqrt(variance + template),
            axis=axis,
            warnings=motion.warnings,
        )


def _taken_by_template(
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


def _smooth(
    observations: Observations, size: int, order: int, blocks: int, passes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Posterior mean and variance of `size` samples, by windows of `blocks`·`order` samples overlapping by half."""
    length = order * max(blocks, 2)
    starts = list(range(0, max(size - length // 2, 1), length // 2))
    power = max(float(np.average(observations.value**2 - 1 / observations.weight, weights=observations.weight)), 0.0)
    taper = np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2
    total = np.zeros(starts[-1] + length)
    spread, weight = np.zeros_like(total), np.zeros_like(total)
    for k, begin in enumerate(starts):
        window = observations.between(begin, begin + length)
        likelihood = window.likelihood(length, order)
        known = len(np.unique(np.rint(window.position))) >= _LEAST_SEEN * length
        prior = ArPrior.initial(window, length, order) if known else ArPrior.white(power, order)
        mean, variance, products = posterior(prior, likelihood)
        for _ in range(passes if known else 0):
            prior = ArPrior.from_autocovariance(products / length)
            mean, variance, products = posterior(prior, likelihood)
        fade = taper.copy()
        if k == 0:
            fade[: length // 2] = 1.0
        if k == len(starts) - 1:
            fade[length // 2 :] = 1.0
        part = slice(begin, begin + length)
        total[part] += fade * mean
        spread[part] += fade * variance
        weight[part] += fade
    return (total / weight)[:size], (spread / weight)[:size]
