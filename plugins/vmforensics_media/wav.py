"""The recovered motion as sound files: at its own rate as evidence, at 48 kHz for listening."""

from __future__ import annotations

import json
import struct
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vmforensics.data import Quantity, Recovery, Verdict
from vmforensics.errors import OutputError
from vmforensics.stages import Exporter, StageParams

_PITCH_ERROR = 1e-7
"""Largest relative error of the resampling ratio: 0.1 ms in a quarter of an hour."""

Subtype = Literal["FLOAT", "PCM_24"]


class Wav(Exporter):
    """Writes recovered and raw motion as WAV, each scaled to its own peak, with the scale on record.

    `recovered.wav` and `raw.wav` are at the signal's own rate. A WAV header holds a whole number of hertz: where the
    rate isn't one, the nearest is written, the samples stay as they are, and the exact rate is on record.
    `recovered_48k.wav` and `raw_48k.wav` are 24-bit copies resampled from the exact rate, for players that take no
    other. `wav-scale.json` holds each file's rate and the displacement that its full scale stands for; a comment in
    the file itself (the INFO chunk's ICMT) says the same.

    Without a signal in the clip, the recovered files are digital silence: noise isn't amplified into sound.
    """

    name = "wav"
    summary = "recovered and raw sound as WAV, at the native rate and at 48 kHz"

    class Params(StageParams):
        """Parameters of `Wav`."""

        peak_dbfs: float = Field(-1.0, le=0, ge=-60, description="level of the largest sample (dB re full scale)")
        listening_rate: int = Field(48000, ge=8000, le=192000, description="rate of the listening copies (Hz)")
        native_subtype: Subtype = Field("FLOAT", description="sample format of the files at the native rate")

    def export(self, recovery: Recovery, into: Path) -> list[Path]:
        """Write the four sound files and their scales."""
        listening: int = self.params.listening_rate
        subtype: Subtype = self.params.native_subtype
        suffix = f"{listening // 1000}k" if listening % 1000 == 0 else f"{listening}Hz"
        silent = recovery.detection.verdict is Verdict.NO_SIGNAL
        scales: dict[str, dict[str, object]] = {}
        for stem, signal, muted in (("recovered", recovery.recovered, silent), ("raw", recovery.raw, False)):
            samples = np.zeros_like(signal.samples) if muted else signal.samples
            name = f"{stem}.wav"
            scales[name] = self._write(into / name, samples, signal.rate, signal.quantity, subtype, muted=muted)
            name = f"{stem}_{suffix}.wav"
            copy = resampled(samples, signal.rate, listening)
            scales[name] = self._write(into / name, copy, listening, signal.quantity, "PCM_24", muted=muted)
        record = into / "wav-scale.json"
        record.write_text(json.dumps(scales, indent=2) + "\n", encoding="utf-8")
        return [*(into / name for name in scales), record]

    def _write(
        self,
        path: Path,
        samples: NDArray[np.float64],
        exact_rate: float,
        quantity: Quantity,
        subtype: Subtype,
        *,
        muted: bool,
    ) -> dict[str, object]:
        header_rate = max(1, round(exact_rate))
        peak = float(np.abs(samples).max())
        level = 10 ** (self.params.peak_dbfs / 20)
        unit = quantity.unit
        per_unit = peak / level if peak > 0 else None  # what was recovered, at full scale; none for silence
        comment = f"1.0 = {per_unit:.9g} {unit}" if per_unit else "digital silence"
        comment += "; no signal was found, muted" if muted else ""
        comment += f"; exact rate {exact_rate:.12g} Hz"
        write_wav(path, samples / per_unit if per_unit else samples, header_rate, subtype, comment)
        return {
            "rate_hz": header_rate,
            "exact_rate_hz": float(exact_rate),
            "subtype": subtype,
            "samples": len(samples),
            "unit": unit,
            f"{quantity.suffix}_per_unit": per_unit,
            "muted": muted,
        }


def resampled(samples: NDArray[np.float64], rate: float, target: int) -> NDArray[np.float64]:
    """Resample with a polyphase filter, at a rational ratio that keeps pitch within 1e-7.

    Parameters
    ----------
    samples : ndarray [shape=(n,), float64]
    rate : float, Hz
        Exact rate of the samples.
    target : int, Hz
        Rate wanted.

    Returns
    -------
    ndarray [shape=(about n·target/rate,), float64]

    Examples
    --------
    >>> len(resampled(np.zeros(60), 60000 / 1001, 48000))
    48048
    """
    from scipy.signal import resample_poly

    exact = Fraction(target) / Fraction(rate)
    denominator = 10
    ratio = exact.limit_denominator(denominator)
    while abs(float(ratio / exact) - 1) > _PITCH_ERROR:
        denominator *= 2
        ratio = exact.limit_denominator(denominator)
    return np.asarray(resample_poly(samples, ratio.numerator, ratio.denominator), dtype=np.float64)


def write_wav(path: Path, samples: NDArray[np.float64], rate: int, subtype: Subtype, comment: str) -> None:
    """Write a mono WAV file (RIFF; Microsoft and IBM 1991, 1994) that holds nothing but what is given.

    Audio libraries add a time-stamped PEAK chunk to float files, which would make every run's file another one.

    Parameters
    ----------
    path
        Where to.
    samples : ndarray [shape=(n,), float64]
        From -1 to 1, which is full scale.
    rate : int, Hz
    subtype
        FLOAT (32 bit) or PCM_24.
    comment
        Text of the INFO chunk's comment.

    Raises
    ------
    OutputError
        The file would be larger than WAV allows (4 GiB).
    """
    if subtype == "FLOAT":
        code, width = 3, 4
        data = samples.astype("<f4").tobytes()
    else:
        code, width = 1, 3
        whole = np.rint(samples * (2**23 - 1)).astype("<i4")
        data = whole.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    chunks = _chunk(b"fmt ", struct.pack("<HHIIHH", code, 1, rate, rate * width, width, 8 * width))
    if code != 1:
        chunks += _chunk(b"fact", struct.pack("<I", len(samples)))
    chunks += _chunk(b"LIST", b"INFO" + _chunk(b"ICMT", comment.encode("ascii", "replace") + b"\0"))
    chunks += _chunk(b"data", data)
    if len(chunks) >= 2**32 - 12:
        raise OutputError(f"{path}: {len(samples)} samples are more than a WAV file holds", hint="cut the clip")
    path.write_bytes(_chunk(b"RIFF", b"WAVE" + chunks))


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
