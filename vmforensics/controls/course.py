"""When was there a common signal: the agreement of the two halves over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.controls.shuffling import shuffled
from vmforensics.data import Motion, Signal

_WINDOW, _LEAST_SAMPLES = 0.25, 64  # s, and samples of a window
_LEAST_WINDOWS = 8
_ORDERS = 4  # of the frames
_CHANCE = 0.01  # of a window without signal beyond the threshold
_LOWEST = 80.0  # Hz, where no band was found


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """The halves' correlation in windows that overlap by half.

    Parameters
    ----------
    times : ndarray [shape=(windows,), float64, s]
        Middle of each window.
    statistic : ndarray [shape=(windows,), float64]
        Correlation in standard deviations of what independent halves would show.
    threshold : float
        Exceeded by one window in a hundred without any signal.
    band : (float, float), Hz
        Where they were compared.
    window : float, s
        Length of a window.
    """

    times: NDArray[np.float64]
    statistic: NDArray[np.float64]
    threshold: float
    band: tuple[float, float]
    window: float


def course_of(motion: Motion, signal: Signal, band: tuple[float, float] | None) -> Course | None:
    """Correlate the halves window by window; None where there are no halves, or the clip is too short.

    What independent halves would show is measured on the clip itself, with the frames of one half shuffled against
    the other's.

    Parameters
    ----------
    motion
        As measured.
    signal
        What was recovered: its axis and time line.
    band : (float, float) or None, Hz
        Where something was found; all from 80 Hz up if None.
    """
    steady = motion.steadied()[0]
    rate, size = signal.rate, len(signal.samples)
    length = max(_LEAST_SAMPLES, round(_WINDOW * rate))
    if size < length * (_LEAST_WINDOWS + 1) // 2 or not all(steady.half(k).channels for k in (0, 1)):
        return None
    low, high = band or (min(_LOWEST, 0.1 * rate), 0.45 * rate)
    widen = max(0.0, 4 * rate / length - (high - low)) / 2  # a line alone has no correlation to speak of in a window
    low, high = max(low - widen, 0.0), min(high + widen, 0.495 * rate)
    starts = np.arange(0, size - length + 1, length // 2)
    correlation = _correlations(steady, signal, starts, length, (low, high))
    chance = [
        _correlations(shuffled(steady, seed), signal, starts, length, (low, high)) for seed in range(1, _ORDERS + 1)
    ]
    deviation = float(np.sqrt(np.mean(np.square(chance))))
    if not deviation > 0:
        return None
    times = np.asarray(signal.start + (starts + length / 2) / rate, dtype=np.float64)
    statistic: NDArray[np.float64] = np.asarray(correlation / deviation, dtype=np.float64)
    return Course(times, statistic, _threshold(), (float(low), float(high)), length / rate)


def _threshold() -> float:
    from scipy.stats import norm

    return float(norm.isf(_CHANCE))


def _correlations(
    motion: Motion, signal: Signal, starts: NDArray[np.int64], length: int, band: tuple[float, float]
) -> NDArray[np.float64]:
    """Of the two halves, in each window."""
    rate, size = signal.rate, len(signal.samples)
    narrow, seen = [], np.ones(size, dtype=bool)
    for half in (0, 1):
        grid = motion.half(half).onto_grid(signal.axis, start=signal.start, rate=rate, size=size)
        seen &= grid.observed
        sigma = np.where(grid.observed & (grid.sigma > 0), grid.sigma, np.inf)
        narrow.append(_band_passed(grid.samples / sigma, rate, *band))
    first, second = (np.stack([np.where(seen, x, 0.0)[s : s + length] for s in starts]) for x in narrow)
    energy = np.sqrt(np.sum(first**2, axis=1) * np.sum(second**2, axis=1))
    product = np.sum(first * second, axis=1)
    return np.asarray(np.divide(product, energy, out=np.zeros(len(starts)), where=energy > 0))


def _band_passed(samples: NDArray[np.float64], rate: float, low: float, high: float) -> NDArray[np.float64]:
    """The part of a signal between two frequencies (Hz)."""
    spectrum = np.fft.rfft(samples)
    frequency = np.fft.rfftfreq(len(samples), 1 / rate)
    spectrum[(frequency < low) | (frequency > high)] = 0
    return np.asarray(np.fft.irfft(spectrum, len(samples)))
