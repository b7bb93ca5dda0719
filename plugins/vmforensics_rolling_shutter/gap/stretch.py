"""A stretch of a clip: windows that overlap by half, each with its own autoregressive prior."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vmforensics_rolling_shutter.gap.gaussian import ArPrior, posterior, precision
from vmforensics_rolling_shutter.gap.readings import Forward, Readings
from vmforensics_rolling_shutter.gap.row_offsets import Unexplained

_MISFIT = 3e-3  # of the sound's power: what its priors don't describe, to be taken for noise and not for offsets
_LEAST_SEEN = 0.1  # share of a window that must be observed to learn a prior from it


class Stretch:
    """Infers a sound from readings, window by window, under priors that it learns from them.

    Parameters
    ----------
    readings
        Those of the stretch, counted from its first sample.
    forward
        What they read of its samples.
    length, width
        Samples of a window, and of a block of the solver; windows begin half a window after one another.
    order
        Of the priors.
    power : float, px²
        Of the sound in a window that shows too little of it to learn from.
    """

    def __init__(
        self, readings: Readings, forward: Forward, *, length: int, width: int, order: int, power: float
    ) -> None:
        self._readings, self._forward, self._length = readings, forward, length
        self._starts = range(0, forward.size - length // 2, length // 2)
        half, reach = length // 2, forward.taps / 2
        # Windows 0, 2, 4 ... lie side by side, so do 1, 3, 5 ...: every reading is split between one of either.
        self._shares = _shares(readings.position, len(self._starts), length, margin=reach)
        self._bands = [forward.band(width, readings.weight * share) for share in self._shares]
        # What draws on samples beyond a window's end says nothing clear of the window.
        beside = np.abs(readings.position - half * np.rint(readings.position / half)) <= reach
        self._astride = np.where(beside, readings.weight, 0.0)
        self._astride_band = forward.band(width, self._astride)
        bandwidth = 0.5 / max(1.0, _spacing(readings))
        self._priors: list[ArPrior] = []
        self._known: list[bool] = []
        for start in self._starts:
            part = readings.between(start, start + length)
            known = len(np.unique(np.rint(part.position))) >= _LEAST_SEEN * length
            self._known.append(known)
            self._priors.append(
                ArPrior.initial(part, length, order, bandwidth) if known else ArPrior.white(power, order)
            )
        self._excess = np.ones(len(self._starts))
        self.autocovariance = np.zeros(order + 1)

    def learn(self, values: NDArray[np.float64]) -> None:
        """Re-estimate every window's prior from the readings' values: one pass of expectation-maximisation.

        Sets `autocovariance` [shape=(order + 1,), float64, px²], the sound's mean over the windows.
        """
        self.autocovariance = np.zeros_like(self.autocovariance)
        means = np.zeros((len(self._starts), self._length))
        for k, (band, moment) in enumerate(self._windows(values)):
            means[k], _, products = posterior(self._priors[k], band, moment)
            if self._known[k]:
                products /= self._length
                self._priors[k] = ArPrior.from_autocovariance(products)
                self.autocovariance += products / len(self._starts)
        self._look_at_misfit(values, means)

    def _look_at_misfit(self, values: NDArray[np.float64], means: NDArray[np.float64]) -> None:
        """Where the readings stray from what they were fitted by, by more than their noise, take them for noisier."""
        half = self._length // 2
        left = self._readings.weight * (values - self._forward.read(together(means))) ** 2
        place = np.clip(self._readings.position // half, 0, len(means)).astype(np.int64)
        total, count = (np.bincount(place, what, len(means) + 1) for what in (left, np.ones_like(left)))
        found = (total[:-1] + total[1:]) / np.maximum(count[:-1] + count[1:], 1)
        self._excess = np.maximum(1.0, found)

    @property
    def excess(self) -> float:
        """By how much the readings' variance about the sound exceeds their noise, in the worst tenth of the windows."""
        return float(np.quantile(self._excess, 0.9))

    def infer(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and variance (px, px²) of every window's samples [shape=(windows, length), float64]."""
        windows = zip(self._priors, self._windows(values), strict=True)
        found = [posterior(prior, band, moment)[:2] for prior, (band, moment) in windows]
        return np.stack([mean for mean, _ in found]), np.stack([variance for _, variance in found])

    def _windows(self, values: NDArray[np.float64]) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Every window's normal equations: HᵀWH as lower diagonals, and HᵀWv."""
        whole, astride = (self._forward.moment(values, w) for w in (self._readings.weight, self._astride))
        band = self._bands[0] + self._bands[1]
        for k, start in enumerate(self._starts):
            own_band, own = self._cut(k, band), whole[start : start + self._length].copy()
            beside = self._cut(k, self._astride_band)
            for end in (slice(None, self._forward.taps), slice(-self._forward.taps, None)):
                own_band[:, end] -= beside[:, end]
                own[end] -= astride[start : start + self._length][end]
            yield own_band / self._excess[k], own / self._excess[k]

    def unexplained(self) -> Unexplained:
        """W(v - Hx) of the readings' values v, with the x that either set of windows best fits; priors as they are.

        Each window has its own x and its share of every reading, so that the map is symmetric and positive.
        """
        from scipy.linalg import cho_solve_banded, cholesky_banded

        noise = 1 / float(self._readings.weight.mean())
        misfit = _MISFIT * float(self.autocovariance[0]) * len(self._readings.weight) / self._forward.size
        trust = noise / (noise + misfit)
        weight = trust * self._readings.weight
        factors = [
            cholesky_banded(precision(prior, trust * self._cut(k, self._bands[k % 2])), lower=True)
            for k, prior in enumerate(self._priors)
        ]

        def left(values: NDArray[np.float64]) -> NDArray[np.float64]:
            total = np.zeros(len(values))
            for side, share in enumerate(self._shares):
                moment = self._forward.moment(values, weight * share)
                samples = np.zeros(self._forward.size)
                for k in range(side, len(factors), 2):
                    part = slice(self._starts[k], self._starts[k] + self._length)
                    samples[part] = cho_solve_banded((factors[k], True), moment[part], check_finite=False)
                total += weight * share * (values - self._forward.read(samples))
            return total

        return left

    def _cut(self, k: int, band: NDArray[np.float64]) -> NDArray[np.float64]:
        """A window's part of the normal equations: what couples it to samples outside is left out."""
        start = self._starts[k]
        band = band[:, start : start + self._length].copy()
        for lag in range(1, len(band)):
            band[lag, self._length - lag :] = 0.0
        return band


def _spacing(readings: Readings) -> float:
    """Samples from one instant of reading to the next, gaps apart."""
    steps = np.diff(np.unique(readings.position))
    return float(np.median(steps)) if len(steps) else 1.0


def fading(windows: int, length: int) -> NDArray[np.float64]:
    """Weights of windows that overlap by half: they sum to 1 from end to end [shape=(windows, length), float64]."""
    fades = np.tile(np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2, (windows, 1))
    fades[0, : length // 2] = 1.0
    fades[-1, length // 2 :] = 1.0
    return fades


def together(windows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Windows that overlap by half, faded into one another [shape=((windows + 1) · length / 2,), float64]."""
    count, length = windows.shape
    total = np.zeros((count + 1, length // 2))
    faded = (windows * fading(count, length)).reshape(count, 2, -1)
    total[:-1] += faded[:, 0]
    total[1:] += faded[:, 1]
    return total.ravel()


def _shares(
    position: NDArray[np.float64], windows: int, length: int, margin: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How readings are split between even and odd windows: smoothly, and nothing within a margin of a window's ends.

    Parameters
    ----------
    position : ndarray [shape=(m,), float64, samples]
    """
    half = length // 2
    step = np.clip(np.floor(position / half), 0, windows)  # in window step - 1 and window step
    ramp = np.clip((position - step * half - margin) / (half - 2 * margin), 0.0, 1.0)
    later = np.sin(np.pi / 2 * ramp) ** 2
    later = np.where(step == 0, 1.0, np.where(step == windows, 0.0, later))
    even = np.where(step % 2 == 0, later, 1 - later)
    return even, 1 - even
