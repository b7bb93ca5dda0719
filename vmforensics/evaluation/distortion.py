"""How far a recovered sound is from its reference, in dB and in log likelihood."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vmforensics.evaluation.pieces import Pieces, framed

_PIECE = 0.01  # s; over which energies are summed before they are resampled
_FRAME = 0.03  # s
_LOWEST, _HIGHEST = -10.0, 35.0  # dB; limits of a frame's SNR
_KEPT = 0.95  # share of the frames, the lowest ones, that count for the log-likelihood ratio
_SILENT = 1e-8  # of the mean energy: frames below hold nothing


def signal_to_noise(reference: NDArray[np.float64], recovered: NDArray[np.float64], rate: float) -> Pieces:
    """Energy of the aligned reference over that of the difference, dB."""
    return _ratio(reference, recovered - reference, rate)


def scale_invariant_sdr(reference: NDArray[np.float64], recovered: NDArray[np.float64], rate: float) -> Pieces:
    """Scale-invariant signal-to-distortion ratio, dB: the reference scaled by least squares.

    Le Roux, Wisdom, Erdogan and Hershey 2019, doi:10.1109/ICASSP.2019.8683855.
    """
    sums = [_summed(a * b, rate) for a, b in ((reference, reference), (reference, recovered), (recovered, recovered))]

    def reduce(values: NDArray[np.generic]) -> float | None:
        power, product, total = (float(v) for v in np.real(values.sum(axis=0)))
        if power <= 0 or total <= 0:
            return None
        explained = product**2 / power
        return _decibel(explained, total - explained)

    return Pieces(np.stack(sums, axis=1), _PIECE, reduce)


def segmental_snr(reference: NDArray[np.float64], recovered: NDArray[np.float64], rate: float) -> Pieces:
    """Mean of the frames' SNR, dB: frames of 30 ms that overlap by half, each held between -10 and 35 dB.

    Hansen and Pellom 1998 (ICSLP); the limits are theirs. Frames in which the reference is digital silence don't count.
    """
    length = max(round(_FRAME * rate), 2)
    hop = length // 2
    signal = np.sum(framed(reference, length, hop) ** 2, axis=1)
    error = np.sum(framed(recovered - reference, length, hop) ** 2, axis=1)
    heard = signal > _SILENT**2 * max(float(signal.mean()), 1e-300) if len(signal) else np.zeros(0, bool)
    with np.errstate(divide="ignore"):
        snr = 10 * (np.log10(signal[heard]) - np.log10(error[heard]))
    return Pieces(np.clip(snr, _LOWEST, _HIGHEST), hop / rate, _mean)


def log_likelihood_ratio(reference: NDArray[np.float64], recovered: NDArray[np.float64], rate: float) -> Pieces:
    """Distance of the spectral envelopes: mean over the lowest 95 % of the frames; 0 for the same envelope.

    ln(aᵀRa / bᵀRb) in Hann windows of 30 ms, three quarters overlapping, with a and b the linear-prediction filters of
    recovered sound and reference and R the reference's autocorrelation (Itakura 1975, doi:10.1109/TASSP.1975.1162641;
    Quackenbush, Barnwell and Clements 1988). The order is 10 below 10 kHz, 16 above.
    """
    order = 10 if rate < 10_000 else 16
    length = max(round(_FRAME * rate), order + 2)
    hop = max(length // 4, 1)
    window = np.hanning(length + 2)[1:-1]
    frames = [framed(samples, length, hop) * window for samples in (reference, recovered)]
    values = [_likelihood_ratio(clean, other, order) for clean, other in zip(*frames, strict=True)]
    found = np.array([value for value in values if value is not None])

    def reduce(values: NDArray[np.generic]) -> float | None:
        kept = np.sort(np.real(values))[: max(round(_KEPT * len(values)), 1)]
        return _mean(kept)

    return Pieces(found, hop / rate, reduce)


def _likelihood_ratio(clean: NDArray[np.float64], other: NDArray[np.float64], order: int) -> float | None:
    """Log-likelihood ratio of one frame; None where either is silent."""
    from scipy.linalg import solve_toeplitz, toeplitz

    if not (clean @ clean > 0 and other @ other > 0):
        return None
    lags = [np.array([x[: len(x) - k] @ x[k:] for k in range(order + 1)]) for x in (clean, other)]
    for each in lags:
        each[0] *= 1 + 1e-9  # keeps a pure tone's equations solvable
    filters = [np.concatenate([[1.0], -solve_toeplitz(each[:-1], each[1:])]) for each in lags]
    matrix = toeplitz(lags[0])
    best, seen = (float(a @ matrix @ a) for a in filters)
    return float(np.log(max(seen / best, 1.0))) if best > 0 else None


def _ratio(signal: NDArray[np.float64], error: NDArray[np.float64], rate: float) -> Pieces:
    def reduce(values: NDArray[np.generic]) -> float | None:
        energy, lost = (float(v) for v in np.real(values.sum(axis=0)))
        return _decibel(energy, lost) if energy > 0 else None

    return Pieces(np.stack([_summed(signal**2, rate), _summed(error**2, rate)], axis=1), _PIECE, reduce)


def _summed(values: NDArray[np.float64], rate: float) -> NDArray[np.float64]:
    """Sums over 10 ms each, the last shorter."""
    length = max(round(_PIECE * rate), 1)
    return np.add.reduceat(values, np.arange(0, len(values), length))


def _decibel(signal: float, error: float) -> float:
    return float(10 * np.log10(signal / max(error, 1e-15 * signal))) if signal > 0 else -150.0


def _mean(values: NDArray[np.generic]) -> float | None:
    return float(np.real(values).mean()) if len(values) else None
