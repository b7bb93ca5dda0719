"""One uniform signal from irregular, unequally noisy row samples with gaps: a noise-aware autoregressive smoother."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from threadpoolctl import threadpool_limits

from vmforensics.data import Motion, Signal
from vmforensics.stages import SignalCombiner, StageParams
from vmforensics.units import Hertz, Seconds
from vmforensics_rolling_shutter.gaussian import ArPrior, Observations, posterior

_SWAY = 12.0  # Hz: slower motion is a swaying camera's; it is set apart before the sound is modelled


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
    larger σ.
    """

    name: ClassVar[str] = "autoregressive"
    summary: ClassVar[str] = "noise-aware autoregressive smoother over row samples; fills gaps and says how surely"
    reference: ClassVar[str] = (
        "Janssen, Veldhuis & Vries 1986, doi:10.1109/TASSP.1986.1164824 (filling gaps by autoregression); "
        "Dempster, Laird & Rubin 1977 (expectation-maximisation)"
    )
    Params: ClassVar[type[StageParams]] = AutoregressiveParams

    def combine(self, motion: Motion) -> Signal:
        """Infer the signal; see the class."""
        rate, order = self.params.rate, self.params.order
        axis = motion.principal_axis()
        displacement, information = motion.along(axis)
        instants = motion.instants
        start = float(instants.min())
        size = int(np.floor((instants.max() - start) * rate)) + 1
        grid = start + np.arange(size) / rate

        sway = _Sway(motion.frame_times, displacement, information, instants, motion.frame_rate)
        seen = information > 0
        sort = np.argsort(instants[seen], kind="stable")
        observations = Observations(
            position=((instants[seen] - start) * rate)[sort],
            value=(displacement - sway.at(instants))[seen][sort],
            weight=information[seen][sort],
        )
        blocks = round(self.params.window * rate / order)
        with threadpool_limits(limits=1, user_api="blas"):  # blocks this small only lose time to a second thread
            mean, variance = _smooth(observations, size, order, blocks, self.params.passes)
        measured = motion.onto_grid(axis, start=start, rate=rate, size=size)
        return Signal(
            samples=mean + sway.at(grid),
            rate=rate,
            start=start,
            observed=measured.observed,
            sigma=np.sqrt(variance),
            axis=axis,
            warnings=motion.warnings,
        )


def _smooth(
    observations: Observations, size: int, order: int, blocks: int, passes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Posterior mean and variance of `size` samples, by windows of `blocks`·`order` samples overlapping by half."""
    length = order * max(blocks, 2)
    starts = list(range(0, max(size - length // 2, 1), length // 2))
    taper = np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2
    total = np.zeros(starts[-1] + length)
    spread, weight = np.zeros_like(total), np.zeros_like(total)
    for k, begin in enumerate(starts):
        window = observations.between(begin, begin + length)
        prior = ArPrior.initial(window, length, order)
        mean, variance, covariance = posterior(prior, window, length)
        for _ in range(passes):
            prior = ArPrior.from_autocovariance(covariance / length)
            mean, variance, covariance = posterior(prior, window, length)
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


class _Sway:
    """Slow motion of the whole picture: the frames' mean displacement, smoothed (Whittaker 1923) below `_SWAY`.

    Parameters
    ----------
    frame_times : ndarray [shape=(frames,), float64, s]
    displacement, information, instants : ndarray [shape=(frames, rows), float64]
    frame_rate : float, Hz
    """

    def __init__(
        self,
        frame_times: NDArray[np.float64],
        displacement: NDArray[np.float64],
        information: NDArray[np.float64],
        instants: NDArray[np.float64],
        frame_rate: float,
    ) -> None:
        from scipy.interpolate import make_interp_spline
        from scipy.linalg import solveh_banded

        frames = len(frame_times)
        weight = information.sum(axis=1)
        safe = np.where(weight > 0, weight, 1.0)
        mean = (information * displacement).sum(axis=1) / safe
        middle = frame_times + np.average(instants[0] - frame_times[0])
        if frames < 4:
            self._spline = make_interp_spline(middle, np.full(frames, np.average(mean, weights=safe)), k=1)
            return
        relative = np.where(weight > 0, weight / weight.max(initial=1e-300), 0.0)
        cutoff = min(_SWAY, frame_rate / 5)
        stiffness = float(np.median(relative)) / (2 * np.sin(np.pi * cutoff / frame_rate)) ** 4
        band = np.zeros((3, frames))  # D2ᵀD2 for the second difference, upper diagonals
        for offset, tap in enumerate((1.0, -2.0, 1.0)):
            for other, mate in enumerate((1.0, -2.0, 1.0)):
                if other >= offset:
                    band[2 - (other - offset), other : other + frames - 2] += stiffness * tap * mate
        band[2] += relative + 1e-9
        self._spline = make_interp_spline(middle, solveh_banded(band, relative * mean), k=3)

    def at(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sway at some times; held at its ends."""
        knots = self._spline.t
        return np.asarray(self._spline(np.clip(times, knots[0], knots[-1])))
