"""All scores of one recovered sound against its reference."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vmforensics.errors import ParameterError
from vmforensics.evaluation import distortion, intelligibility, likeness, pitch
from vmforensics.evaluation.alignment import Aligned
from vmforensics.evaluation.pieces import Pieces

Score = Callable[[NDArray[np.float64], NDArray[np.float64], float], Pieces]


@dataclass(frozen=True, slots=True)
class Metric:
    """A score's name for people, its unit ("" for none), and how it is computed."""

    title: str
    unit: str
    score: Score


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "snr": Metric("SNR", "dB", distortion.signal_to_noise),
        "si_sdr": Metric("SI-SDR", "dB", distortion.scale_invariant_sdr),
        "segmental_snr": Metric("segmental SNR", "dB", distortion.segmental_snr),
        "llr": Metric("log-likelihood ratio", "", distortion.log_likelihood_ratio),
        "stoi": Metric("STOI", "", intelligibility.stoi),
        "estoi": Metric("extended STOI", "", intelligibility.extended_stoi),
        "pesq": Metric("PESQ", "", intelligibility.pesq),
        "coherence": Metric("coherence, 100-1000 Hz", "", likeness.coherence),
        "spectrogram_correlation": Metric("log-spectrogram correlation", "", likeness.log_spectrogram_correlation),
        "pitch_accuracy": Metric("pitch accuracy", "", pitch.pitch_accuracy),
    }
)
"""The scores, by the name that JSON has for them."""

USUAL = tuple(name for name in METRICS if name != "pesq")
"""Those that need nothing beyond the program itself."""


def scored(aligned: Aligned, *, names: Collection[str] = USUAL, intervals: bool = True) -> dict[str, Any]:
    """Score aligned sounds.

    Parameters
    ----------
    aligned
        The sounds.
    names
        Which of `METRICS`.
    intervals
        Whether to give 95 % confidence intervals, by the block bootstrap: what the scores would differ by for another
        moment of the same kind.

    Returns
    -------
    dict
        `metrics`: for each name its value, and low and high end of its interval, None where there is none to give;
        `observed` and `synthesised`: what can be said of the samples that the camera saw, and of those that were filled
        in, where the recovered side tells them apart; `notes`: what to know about the scores.

    Raises
    ------
    ParameterError
        A name isn't among the scores.
    UnknownPlugin
        PESQ is asked for and isn't installed.
    """
    if unknown := sorted(set(names) - METRICS.keys()):
        raise ParameterError(f"unknown score {', '.join(unknown)}", hint=f"one of: {', '.join(METRICS)}")
    metrics = {}
    for name, metric in METRICS.items():
        if name in names:
            pieces = metric.score(aligned.reference, aligned.recovered, aligned.rate)
            value = pieces.value
            low, high = (pieces.interval() if intervals and value is not None else None) or (None, None)
            metrics[name] = {"value": value, "low": low, "high": high, "unit": metric.unit}
    content: dict[str, Any] = {"metrics": metrics, "observed": None, "synthesised": None, "notes": _notes(aligned)}
    if aligned.observed is not None:
        for label, which in (("observed", aligned.observed), ("synthesised", ~aligned.observed)):
            content[label] = _part(aligned, which)
    return content


def _part(aligned: Aligned, which: NDArray[np.bool_]) -> dict[str, Any]:
    """Share, SNR and calibration of some of the samples."""
    error = (aligned.recovered - aligned.reference)[which]
    signal = aligned.reference[which]
    out: dict[str, Any] = {"share": float(which.mean()), "snr_db": None, "error_over_sigma": None}
    if which.any() and np.any(signal):
        out["snr_db"] = float(10 * np.log10(np.sum(signal**2) / max(float(np.sum(error**2)), 1e-300)))
    if aligned.sigma is not None and np.any(known := aligned.sigma[which] > 0):
        out["error_over_sigma"] = float(np.sqrt(np.mean((error[known] / aligned.sigma[which][known]) ** 2)))
    return out


def _notes(aligned: Aligned) -> list[str]:
    notes = [f"compared up to {aligned.rate / 2:.6g} Hz, half the lower of the two sample rates"]
    held = intelligibility.bands_held(aligned.rate)
    if held < len(intelligibility.STOI_BANDS):
        notes.append(
            f"STOI compares 15 bands up to 4.3 kHz, of which {held} lie below {aligned.rate / 2:.6g} Hz; the others "
            "hold only what leaks into them: compare such scores with one another, not with published ones"
        )
    return notes
