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
from vmforensics_rolling_shutter.gap.readings import Forward, Kernel, Readings
from vmforensics_rolling_shutter.gap.row_offsets import RowOffsets, spectral_factor, went_with_template
from vmforensics_rolling_shutter.gap.stretch import Stretch, fading, together

_STRETCH_BYTES = 96 * 2**20  # of interpolator held at a time: 5 s or so
_TAP_BYTES = 32  # of each reading's each tap
_LEAST_EXCESS = 2.0  # of the readings' variance about the sound over their noise, from which on it is told
_MOST_RAISED = 4.0  # 12 dB: what the exposure took is brought up by no more


class AutoregressiveParams(StageParams):
    """Parameters of `autoregressive`."""

    rate: Hertz = Field(default=8000.0, ge=500, le=96_000, description="sample rate of the signal, Hz")
    order: int = Field(default=96, ge=16, le=512, description="order of the autoregressive prior, samples")
    window: Seconds = Field(default=0.072, ge=0.02, le=10, description="length of sound that one prior is fitted to, s")
    passes: int = Field(default=3, ge=1, le=100, description="expectation-maximisation passes over each window")


class Autoregressive(SignalCombiner):
    """Linear-Gaussian inference of the signal, its prior learnt from the clip with the noise taken out.

    In windows that overlap by half, the signal x on a uniform grid is an autoregressive process and each row sample
    reads y = h(t)ᵀx + c + noise, with h a band-limited interpolator averaged over the exposure about the row's own
    instant, noise of the row's own variance, and an offset c of the row, which is what its template took of the sound.
    The posterior mean solves (R⁻¹ + HᵀWH) x = HᵀW(y - c); the prior R is re-estimated by expectation-maximisation from
    the posterior's mean *and* covariance, so that noise isn't taken for sound. Gaps, between frames or where
    frames are missing, are filled with what the prior predicts, marked as not observed, and carry the posterior's
    larger σ. What the exposure has averaged away is brought up by at most 12 dB. The picture's slow sway is set apart
    before, and put back.
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
        rate = self.params.rate
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
        kernel = Kernel.of((motion.exposure or 0.0) * rate)
        lead = kernel.taps  # exposures reach out of the clip at both ends
        order = np.argsort(instants[seen], kind="stable")
        readings = Readings(
            position=((instants[seen] - start) * rate)[order] + lead,
            value=displacement[seen][order],
            weight=information[seen][order],
            row=np.broadcast_to(np.arange(seen.shape[1]), seen.shape)[seen][order],
        )
        with threadpool_limits(limits=1, user_api="blas"):  # blocks this small only lose time to a second thread
            mean, variance, excess = self._smoothed(readings, kernel, size + 2 * lead, motion)
        inside = slice(lead, lead + size)
        samples = exposure_limited(mean, kernel.exposure)
        variance += np.mean((mean - samples) ** 2)  # of the sound that is brought up by less than it was taken down
        measured = motion.onto_grid(axis, start=start, rate=rate, size=size)
        return Signal(
            samples=samples[inside] + sway.along(axis, grid),
            rate=rate,
            start=start,
            observed=measured.observed,
            sigma=np.sqrt(variance[inside]),
            axis=axis,
            quantity=motion.quantity,
            exposure_undone=most_raised(kernel.exposure),
            warnings=(*motion.warnings, *_told(excess, rate)),
        )

    def _smoothed(
        self, readings: Readings, kernel: Kernel, size: int, motion: Motion
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        """Posterior mean and variance [shape=(size,), float64, px and px²], a stretch of windows at a time.

        And by how much the readings' variance about it exceeds their noise.
        """
        width = max(self.params.order, kernel.taps - 1)
        length = width * max(round(self.params.window * self.params.rate / width), 2)
        half = length // 2
        count = max(-(-size // half) - 1, 1)
        at_once = max(int(_STRETCH_BYTES / (_TAP_BYTES * kernel.taps * len(readings.position) * half / size)), 2)
        at_once = -(-count // -(-count // at_once))  # stretches of a length
        frames, rows = motion.observed.shape
        power = max(float(np.average(readings.value**2 - 1 / readings.weight, weights=readings.weight)), 0.0)
        template = frames if went_with_template(readings, rows, power / frames) else None
        fades = fading(count, length)
        mean, variance = np.zeros((count + 1) * half), np.zeros((count + 1) * half)
        excess = 1.0
        for first in range(0, count, at_once):
            windows = min(at_once, count - first)
            part = readings.between(first * half, (first + windows + 1) * half)
            forward = Forward(part, kernel, (windows + 1) * half)
            stretch = Stretch(part, forward, length=length, width=width, order=self.params.order, power=power)
            means, variances = self._inferred(stretch, part, forward, motion.row_offsets * self.params.rate, template)
            excess = max(excess, stretch.excess)
            for k in range(windows):
                window = slice((first + k) * half, (first + k) * half + length)
                mean[window] += fades[first + k] * means[k]
                variance[window] += fades[first + k] * variances[k]
        return mean[:size], variance[:size], excess

    def _inferred(
        self,
        stretch: Stretch,
        readings: Readings,
        forward: Forward,
        row_positions: NDArray[np.float64],
        template: int | None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and variance of a stretch's windows, rows' offsets undone.

        Parameters
        ----------
        row_positions : ndarray [shape=(rows,), float64, samples]
        template
            Frames in whose mean the rows lost their own means of the sound; None if they lost nothing.
        """

        def offsets() -> RowOffsets:
            factor = spectral_factor(stretch.autocovariance, row_positions, template or 1)
            return RowOffsets(readings.row, factor, stretch.unexplained())

        stretch.learn(readings.value)
        lost = np.zeros(len(row_positions))
        for _ in range(self.params.passes - 1):
            if template:
                lost = offsets().found(readings.value)
            stretch.learn(readings.value - lost[readings.row])
        means, variances = stretch.infer(readings.value - lost[readings.row])
        if template:
            like = forward.read(together(means)[::-1])  # the recovered sound, played backwards
            share = offsets().undetermined_share(like) if lost.any() else 1.0
            variances += share * stretch.autocovariance[0] / template
        return means, variances


def _told(excess: float, rate: float) -> tuple[str, ...]:
    """What a misfit of the readings means, where there is one worth telling."""
    if excess < _LEAST_EXCESS:
        return ()
    return (
        f"the rows stray from the recovered sound by {np.sqrt(excess):.2g} times their noise: sound above {rate / 2:g} "
        "Hz, compression, a wrong clock or motion too large to measure; they were taken for that much noisier",
    )


def most_raised(exposure: float) -> float:
    """Gain (dB) by which an exposure's loss is made up for, at most, below half the rate; the exposure in samples."""
    lost = float(np.abs(np.sinc(min(exposure, 2.0) / 2)))
    return float(20 * np.log10(min(_MOST_RAISED, 1 / max(lost, 1e-3))))


def exposure_limited(samples: NDArray[np.float64], exposure: float) -> NDArray[np.float64]:
    """Lessen what the exposure had taken by more than 12 dB, so that nothing is brought up by more.

    An exposure of E samples passes |sin(πfE) / (πfE)|; a sound inferred from it was brought up by the inverse, at
    most, and the zero-phase gain min(1, 4 |sin(πfE) / (πfE)|) makes 12 dB of it at most.

    Parameters
    ----------
    samples : ndarray [shape=(n,), float64, px]
    exposure : float, samples
    """
    if exposure == 0:
        return samples
    from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

    size = next_fast_len(len(samples) + round(16 * exposure) + 64, real=True)
    passed = np.abs(np.sinc(rfftfreq(size) * exposure))
    return np.asarray(irfft(rfft(samples, size) * np.minimum(1.0, _MOST_RAISED * passed), size)[: len(samples)])
