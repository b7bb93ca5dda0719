"""How alike two sounds are whatever a filter between them does: coherence, and spectrograms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vmforensics.evaluation.pieces import Pieces, framed

BAND = (100.0, 1000.0)
"""Hz; where things that a voice sets in motion move most."""

_SEGMENT = 0.1  # s
_WINDOW = 0.032  # s
_DEPTH = 60.0  # dB below the peak, from which on a spectrogram is taken for empty


def coherence(reference: NDArray[np.float64], recovered: NDArray[np.float64], rate: float) -> Pieces:
    """Mean magnitude-squared coherence over 100 to 1000 Hz, 0 to 1, free of its bias (see `debiased`).

    Welch's method, Hann segments of 0.1 s overlapping by half (Carter 1987, doi:10.1109/PROC.1987.13723). Whatever a
    linear filter does to the sound leaves it unchanged: the fairest of the scores, for the surface is such a filter.
    """
    spectra, hop, inside = _segments(reference, recovered, rate)

    def reduce(values: NDArray[np.generic]) -> float | None:
        return float(debiased(values).mean()) if inside.any() else None

    return Pieces(spectra[:, :, inside], hop / rate, reduce)


def coherence_spectrum(
    reference: NDArray[np.float64], recovered: NDArray[np.float64], rate: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies (Hz) and the coherence at them, for a picture; see `coherence`."""
    spectra, _, _ = _segments(reference, recovered, rate)
    length = _segment_length(rate, len(reference))
    return np.fft.rfftfreq(length, 1 / rate).astype(np.float64), debiased(spectra)


def debiased(spectra: NDArray[np.generic]) -> NDArray[np.float64]:
    """Magnitude-squared coherence at each frequency, its bias taken out [shape=(frequencies,), 0 to 1].

    Of K independent segments, two unrelated sounds would show 1/K: (C - 1/K)/(1 - 1/K). Hann windows that overlap by
    half count as 0.53·n independent ones (Carter 1987).

    Parameters
    ----------
    spectra : ndarray [shape=(segments, 2, frequencies), complex128]
    """
    first, second = spectra[:, 0], spectra[:, 1]
    cross = np.abs(np.sum(first * np.conj(second), axis=0)) ** 2
    power = np.sum(np.abs(first) ** 2, axis=0) * np.sum(np.abs(second) ** 2, axis=0)
    seen = np.divide(cross, power, out=np.zeros(len(cross)), where=power > 0)
    chance = 1 / max(0.53 * len(spectra), 1.0)
    return np.clip((seen - chance) / (1 - chance), 0.0, 1.0) if chance < 1 else np.zeros(len(seen))


def log_spectrogram_correlation(reference: NDArray[np.float64], recovered: NDArray[np.float64], rate: float) -> Pieces:
    """Correlation of the two spectrograms in dB, -1 to 1: Hann windows of 32 ms, each down to 60 dB below its peak."""
    levels = [spectrogram(samples, rate) for samples in (reference, recovered)]
    hop = levels[0][1]
    first, second = (np.maximum(level, level.max(initial=-np.inf) - _DEPTH) for level, _ in levels)
    sums = [np.sum(x, axis=1) for x in (first, second, first * second, first**2, second**2)]
    count = first.shape[1]

    def reduce(values: NDArray[np.generic]) -> float | None:
        a, b, ab, aa, bb = np.real(values.sum(axis=0)) / (count * len(values))
        spread = (aa - a**2) * (bb - b**2)
        return float((ab - a * b) / np.sqrt(spread)) if spread > 0 else None

    return Pieces(np.stack(sums, axis=1), hop / rate, reduce)


def spectrogram(samples: NDArray[np.float64], rate: float) -> tuple[NDArray[np.float64], int]:
    """Power in Hann windows of 32 ms, three quarters overlapping [shape=(frames, frequencies), dB], and their step."""
    length = min(max(round(_WINDOW * rate), 8), len(samples))
    hop = max(length // 4, 1)
    power = np.abs(np.fft.rfft(framed(samples, length, hop) * np.hanning(length + 2)[1:-1], axis=1)) ** 2
    return 10 * np.log10(np.maximum(power, 1e-300)), hop


def _segment_length(rate: float, size: int) -> int:
    return min(max(round(_SEGMENT * rate), 8), size)


def _segments(
    reference: NDArray[np.float64], recovered: NDArray[np.float64], rate: float
) -> tuple[NDArray[np.complex128], int, NDArray[np.bool_]]:
    """Spectra of both sounds [shape=(segments, 2, frequencies)], the segments' step, and what lies in the band."""
    length = _segment_length(rate, len(reference))
    hop = max(length // 2, 1)
    window = np.hanning(length + 2)[1:-1]
    both = [np.fft.rfft(framed(samples, length, hop) * window, axis=1) for samples in (reference, recovered)]
    frequency = np.fft.rfftfreq(length, 1 / rate)
    return np.stack(both, axis=1), hop, (frequency >= BAND[0]) & (frequency <= min(BAND[1], 0.99 * rate / 2))
