"""From two files to scores, and a folder that holds them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import vmforensics
from vmforensics.custody import RunFolder, digest_evidence, environment
from vmforensics.data import Evidence
from vmforensics.evaluation.alignment import Aligned, align
from vmforensics.evaluation.recording import read_recovered, read_reference
from vmforensics.evaluation.scores import USUAL, scored

EVALUATION_FORMAT = "vmforensics-evaluation/1"


def evaluate(
    recovered: str | Path,
    reference: str | Path,
    *,
    out: str | Path | None = None,
    names: Collection[str] = USUAL,
    most_lag: float | None = None,
    drift: bool = False,
    scale: float | None = None,
    intervals: bool = True,
) -> dict[str, Any]:
    """Compare a recovered sound with a reference.

    Parameters
    ----------
    recovered
        A run folder, a signal.npz, or a sound file.
    reference
        A sound file.
    out
        A folder to make for evaluation.json, evaluation.png and the ledger; nothing is written if None.
    names
        The scores to compute, of `METRICS`.
    most_lag, drift, scale
        See `align`.
    intervals
        Whether to give confidence intervals.

    Returns
    -------
    dict
        What evaluation.json says.

    Raises
    ------
    EvidenceMissing, EvidenceUnreadable
        A file isn't there, is no sound, or the two have too little in common in time.
    ParameterError, UnknownPlugin
        A score is unknown, or its program isn't installed.
    OutputError
        The folder can't be made or written.
    """
    first, second = read_recovered(Path(recovered)), read_reference(Path(reference))
    exhibits = [Evidence(first.path, "recovered"), Evidence(second.path, "reference")]
    digests = [digest_evidence(exhibit) for exhibit in exhibits]
    aligned = align(first, second, most_lag=most_lag, drift=drift, scale=scale)
    content: dict[str, Any] = {
        "format": EVALUATION_FORMAT,
        "program": {"name": "vmforensics", "version": vmforensics.__version__},
        **{
            exhibit.id: {"name": exhibit.path.name, "sha256": digest.sha256, "rate_hz": sound.rate}
            for exhibit, digest, sound in zip(exhibits, digests, (first, second), strict=True)
        },
        "alignment": _described(aligned, scale),
        **scored(aligned, names=names, intervals=intervals),
    }
    if out is not None:
        from vmforensics.evaluation.picture import drawn
        from vmforensics.recovery.summary import to_json

        folder = RunFolder.create(Path(out), evidence=[exhibit.path for exhibit in exhibits])
        with folder.record(environment=environment()) as ledger, ledger.step("evaluate"):
            for exhibit, digest in zip(exhibits, digests, strict=True):
                ledger.digested(exhibit, digest)
            ledger.published(folder.write("evaluation.json", to_json(content)))
            ledger.published(folder.write("evaluation.png", drawn(aligned, content)))
    return content


def _described(aligned: Aligned, scale: float | None) -> dict[str, Any]:
    return {
        "rate_hz": aligned.rate,
        "duration_s": len(aligned.reference) / aligned.rate,
        "lag_s": aligned.lag,
        "polarity": aligned.polarity,
        "gain": aligned.gain,
        "gain_aligned": scale is None,
        "drift_ppm": None if aligned.drift is None else 1e6 * aligned.drift,
    }
