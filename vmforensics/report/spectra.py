"""Spectra for the report's pictures: along time, and averaged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.report.traces import Trace

_WINDOW = 0.04  # s; of the Hann window, where the signal is fast and short enough
_FEWEST = 64  # samples under the window
_COLUMNS = 900
_ROWS = 256
_RANGE_DB = (40.0, 80.0)  # span of the colour scale, at least and at most
_SILENT_DB = (-120.0, -60.0)
_SEGMENT = 0.25  # s; of an averaged spectrum


@dataclass(frozen=True, slots=True, eq=False)
class Spectrogram:
    """Levels over time and frequency.

    Parameters
    ----------
    level : ndarray [shape=(frequencies, columns), float64, dB re 1 unit]
        Root-mean-square level of a sine, -inf where there is nothing.
    start, stop : float, s
        Edges of the first and of the last column.
    top : float, Hz
        Highest frequency.
    window : float, s
        Length of the Hann window.
    """

    level: NDArray[np.float64]
    start: float
    stop: float
    top: float
    window: float


def spectrogram(trace: Trace) -> Spectrogram:
    """Short-time spectra under a Hann window, of a signal of any length."""
    from scipy.signal import spectrogram as transform

    samples, rate = trace.samples, trace.rate
    duration = len(samples) / rate
    window = min(max(_WINDOW, _FEWEST / rate, 2 * duration / _COLUMNS), duration)
    size = int(np.clip(round(window * rate), 4, max(4, len(samples))))
    hop = max(1, size // 8, len(samples) // _COLUMNS)
    padded = np.pad(samples, (size // 2, size))
    frequency, _, power = transform(
        padded, rate, window="hann", nperseg=size, noverlap=size - hop, nfft=max(size, _ROWS), detrend=False,
        scaling="spectrum",
    )  # fmt: skip
    power = power[:, : -(-len(samples) // hop) + 1]
    if len(frequency) > 2 * _ROWS:  # the strongest of neighbours: a narrow line must not vanish
        step = len(frequency) // _ROWS
        power = np.maximum.reduceat(power, np.arange(0, len(frequency), step), axis=0)
    with np.errstate(divide="ignore"):
        level = 10 * np.log10(power)
    start = trace.start - hop / 2 / rate
    return Spectrogram(level, start, start + power.shape[1] * hop / rate, rate / 2, size / rate)


def common_range(spectrograms: list[Spectrogram]) -> tuple[float, float]:
    """Lowest and highest level of a common colour scale: from the noise floor to the loudest spot (dB)."""
    finite = np.concatenate([each.level[np.isfinite(each.level)] for each in spectrograms])
    if not len(finite):
        return _SILENT_DB
    high = 5 * np.ceil(finite.max() / 5)
    low = 5 * np.floor(np.percentile(finite, 20) / 5)
    return float(high - np.clip(high - low, *_RANGE_DB)), float(high)


def averaged(trace: Trace) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Amplitude spectral density by Welch's method (1967, doi:10.1109/TAU.1967.1161901).

    Returns
    -------
    (frequency, amplitude) or None
        In Hz and unit/√Hz, without what is slower than a segment; None for a signal of zeros or of a few samples.
    """
    from scipy.signal import welch

    size = min(round(_SEGMENT * trace.rate), len(trace.samples))
    if size < 16:
        return None
    frequency, power = welch(trace.samples, trace.rate, nperseg=size, detrend="linear")
    keep = frequency >= max(20.0, 2 * trace.rate / size)
    if not power[keep].any():
        return None
    return frequency[keep], np.sqrt(power[keep])
