"""Sounds to be compared: a recovered one, which may know what it saw, and a reference."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vmforensics.custody import LEDGER_NAME, verify
from vmforensics.errors import EvidenceMissing, EvidenceUnreadable, VerificationFailed

_SIGNAL = "signal.npz"
_SHORTEST = 0.05  # s


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A sound of one channel.

    Parameters
    ----------
    samples : ndarray [shape=(n,), float64]
        In px, or whatever the file holds.
    rate : float, Hz
        Samples per second.
    path : Path
        The file it was read from.
    observed : ndarray [shape=(n,), bool] or None
        False where a sample was synthesised; None where the file doesn't say.
    sigma : ndarray [shape=(n,), float64] or None
        Standard uncertainty of each sample, in the samples' unit; None where the file doesn't say.
    """

    samples: NDArray[np.float64]
    rate: float
    path: Path
    observed: NDArray[np.bool_] | None = None
    sigma: NDArray[np.float64] | None = None

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate


def read_recovered(path: Path) -> Recording:
    """Read a recovered sound: a run folder (its signal.npz), a signal.npz, or a sound file.

    Raises
    ------
    EvidenceMissing
        It isn't there, or the folder holds no signal.npz.
    EvidenceUnreadable
        It is no sound, holds values that aren't finite, or nothing but silence.
    VerificationFailed
        The run isn't as it was left; scores of something else would be taken for the run's.
    """
    if path.is_dir():
        if not (path / _SIGNAL).is_file():
            raise EvidenceMissing(
                f"{path} holds no {_SIGNAL}", hint="name a run folder whose exporters include 'arrays', or a sound file"
            )
        if os.path.lexists(path / LEDGER_NAME) and not verify(path, evidence=False).ok:
            raise VerificationFailed(
                f"{path}: the run has changed since; only a sound record is compared", hint=f"vmforensics verify {path}"
            )
        path = path / _SIGNAL
    return _checked(_read_arrays(path) if path.suffix == ".npz" else _read_sound(path))


def read_reference(path: Path) -> Recording:
    """Read a reference: a sound file that libsndfile reads (WAV, FLAC and others), its channels averaged.

    Raises
    ------
    EvidenceMissing, EvidenceUnreadable
        As for `read_recovered`.
    """
    return _checked(_read_sound(path))


def _read_sound(path: Path) -> Recording:
    import soundfile

    if not path.is_file():
        raise EvidenceMissing(f"{path}: no such sound file", hint="check the path")
    try:
        samples, rate = soundfile.read(path, dtype="float64", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise EvidenceUnreadable(
            f"{path}: no sound that can be read: {error.error_string}", hint="give a WAV or FLAC file"
        ) from error
    return Recording(samples.mean(axis=1) if samples.size else np.zeros(0), float(rate), path)


def _read_arrays(path: Path) -> Recording:
    if not path.is_file():
        raise EvidenceMissing(f"{path}: no such file", hint="check the path")
    try:
        with np.load(path) as arrays:
            unit = next(name.removeprefix("samples_") for name in arrays.files if name.startswith("samples_"))
            return Recording(
                np.asarray(arrays[f"samples_{unit}"], dtype=np.float64),
                float(arrays["rate_hz"]),
                path,
                np.asarray(arrays["observed"], dtype=bool),
                np.asarray(arrays[f"sigma_{unit}"], dtype=np.float64),
            )
    except (KeyError, StopIteration, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise EvidenceUnreadable(
            f"{path} doesn't hold a recovered signal", hint="name the signal.npz of a run, or a sound file"
        ) from error


def _checked(recording: Recording) -> Recording:
    if not np.all(np.isfinite(recording.samples)):
        raise EvidenceUnreadable(f"{recording.path} holds samples that aren't finite numbers")
    if recording.duration < _SHORTEST:
        raise EvidenceUnreadable(
            f"{recording.path} is {recording.duration:.3g} s long; at least {_SHORTEST:g} s are needed to compare"
        )
    if not np.ptp(recording.samples):
        raise EvidenceUnreadable(
            f"{recording.path} is silent: there is nothing to compare",
            hint="a run whose verdict is no-signal leaves digital silence in its recovered.wav",
        )
    return recording
