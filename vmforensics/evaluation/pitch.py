"""Whether a melody is still the same melody."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vmforensics.evaluation.pieces import Pieces, framed

RANGE = (60.0, 1000.0)
"""Hz; pitches that are looked for."""

_FRAME, _HOP = 0.05, 0.01  # s
_CLEAR = 0.15  # aperiodicity, at most, of a frame that has a pitch
_LOUD = 1e-4  # of the loudest frame's energy: what is softer has none
_RATE = 16_000.0  # Hz; so that a period is read off finely
_FEWEST = 10  # frames with a pitch
_RIGHT = 50.0  # cents
_BLOCK = 2000  # frames analysed at a time


def pitch_accuracy(reference: NDArray[np.float64], recovered: NDArray[np.float64], rate: float) -> Pieces:
    """Share of the frames, of those where the reference has a pitch, whose pitch is right to half a semitone.

    The raw pitch accuracy of melody transcription (Poliner et al. 2007, doi:10.1109/TASL.2006.889797). None where the
    reference has hardly a pitch.
    """
    wanted, clear = pitches(reference, rate)
    found, _ = pitches(recovered, rate)
    right = np.abs(1200 * np.log2(found[clear] / wanted[clear])) <= _RIGHT

    def reduce(values: NDArray[np.generic]) -> float | None:
        return float(np.real(values).mean()) if len(values) >= _FEWEST else None

    return Pieces(right.astype(np.float64), _HOP, reduce)


def pitches(samples: NDArray[np.float64], rate: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Pitch of each frame of 50 ms, 10 ms apart (Hz), and whether it has one.

    The YIN estimator: the first dip of the cumulative-mean-normalised difference function (de Cheveigné and Kawahara
    2002, doi:10.1121/1.1458024).
    """
    from scipy.signal import resample_poly

    factor = max(int(np.ceil(_RATE / rate)), 1)
    fine = resample_poly(samples, factor, 1) if factor > 1 else samples
    rate = rate * factor
    length, hop = round(_FRAME * rate), max(round(_HOP * rate), 1)
    frames = framed(fine, length, hop)
    parts = [_yin(frames[k : k + _BLOCK], rate) for k in range(0, len(frames), _BLOCK)]
    if not parts:
        return np.zeros(0), np.zeros(0, bool)
    pitch, dip, energy = (np.concatenate(column) for column in zip(*parts, strict=True))
    return pitch, (dip < _CLEAR) & (energy > _LOUD * energy.max())


def _yin(
    frames: NDArray[np.float64], rate: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Pitch (Hz), aperiodicity and energy of some frames."""
    from scipy.fft import irfft, next_fast_len, rfft

    length = frames.shape[1]
    longest = min(int(rate / RANGE[0]) + 2, length // 2)
    shortest = max(int(rate / RANGE[1]), 2)
    kept = length - longest  # terms of each sum
    size = next_fast_len(2 * length, real=True)
    head = np.where(np.arange(length) < kept, frames, 0.0)
    correlation = irfft(rfft(frames, size, axis=1) * np.conj(rfft(head, size, axis=1)), size, axis=1)[:, : longest + 1]
    power = np.concatenate([np.zeros((len(frames), 1)), np.cumsum(frames**2, axis=1)], axis=1)
    lags = np.arange(longest + 1)
    difference = power[:, [kept]] + power[:, lags + kept] - power[:, lags] - 2 * correlation
    difference = np.maximum(difference, 0.0)
    mean = np.cumsum(difference[:, 1:], axis=1) / lags[1:]
    normalised = np.ones_like(difference)
    np.divide(difference[:, 1:], mean, out=normalised[:, 1:], where=mean > 0)
    inner = normalised[:, shortest:longest]
    dips = (inner <= normalised[:, shortest - 1 : longest - 1]) & (inner < normalised[:, shortest + 1 : longest + 1])
    good = dips & (inner < _CLEAR)
    lag = np.where(good.any(axis=1), good.argmax(axis=1), inner.argmin(axis=1)) + shortest
    at = np.arange(len(frames))
    before, here, after = (normalised[at, lag + step] for step in (-1, 0, 1))
    bend = before - 2 * here + after
    between = np.clip(np.divide(0.5 * (before - after), bend, out=np.zeros_like(bend), where=bend > 0), -1, 1)
    return rate / (lag + between), here, power[:, -1]
