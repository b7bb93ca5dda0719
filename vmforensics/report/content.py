"""What a report says, as numbers and words: the content of report.json, from which page and PDF are made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vmforensics
from vmforensics.errors import CustodyError

REPORT_FORMAT = "vmforensics-report/1"


@dataclass(frozen=True, slots=True)
class ReportedRun:
    """One finished run as the report takes it in.

    Parameters
    ----------
    name : str
        What the report calls it: its folder's place in the case, or the run's own name.
    folder : Path
        The run folder.
    place : str
        The run folder, seen from the report.
    result : mapping
        What its result.json says.
    record : mapping or None
        What its ledger says (see `record.read_record`); None while the run that writes the report still lasts.
    """

    name: str
    folder: Path
    place: str
    result: Mapping[str, Any]
    record: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Beside:
    """A calibration of the row time, or an assessment, that lies with a case.

    Parameters
    ----------
    name : str
        Its folder's place in the case.
    folder : Path
    place : str
        The folder, seen from the report.
    content : mapping
        What its calibration.json or assessment.json says.
    digests : mapping
        SHA-256 of its pictures by name.
    head : str or None
        SHA-256 of its ledger's last line.
    """

    name: str
    folder: Path
    place: str
    content: Mapping[str, Any]
    digests: Mapping[str, str]
    head: str | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What a report is about.

    Parameters
    ----------
    source : str
        What it is made from, in a word: a file's or a folder's name.
    runs : sequence of ReportedRun
        The finished runs, one at least, in their order.
    failed : sequence of mapping
        The records of runs that came to no end.
    calibrations, assessments : sequence of Beside
    exhibit_records, notes : sequence of mapping
        What the case folder holds of its exhibits and notes.
    case_events : sequence of mapping
        The entries of the case's own ledger; none where it keeps none.
    """

    source: str
    runs: Sequence[ReportedRun]
    failed: Sequence[Mapping[str, Any]] = ()
    calibrations: Sequence[Beside] = ()
    assessments: Sequence[Beside] = ()
    exhibit_records: Sequence[Mapping[str, Any]] = ()
    notes: Sequence[Mapping[str, Any]] = ()
    case_events: Sequence[Mapping[str, Any]] = ()


def content(subject: Subject, loudness: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The content of report.json: every number of the report.

    Parameters
    ----------
    subject
        What the report is about.
    loudness
        For each run, how loud its sounds are and the gains at which the page plays them.
    """
    return {
        "format": REPORT_FORMAT,
        "program": {"name": "vmforensics", "version": vmforensics.__version__},
        "source": subject.source,
        "case": subject.runs[-1].result["case"],
        "exhibits": exhibits(subject),
        "ambiguous_marks": ambiguous_marks(subject),
        "runs": [
            {"name": run.name, "result": run.result, "playback": loud, "record": run.record}
            for run, loud in zip(subject.runs, loudness, strict=True)
        ],
        "runs_without_result": list(subject.failed),
        "calibrations": [_beside(each) for each in subject.calibrations],
        "assessments": [_beside(each) for each in subject.assessments],
        "exhibit_records": list(subject.exhibit_records),
        "notes": list(subject.notes),
        "case_ledger": list(subject.case_events),
    }


def _beside(each: Beside) -> dict[str, Any]:
    return {"name": each.name, "ledger_head_sha256": each.head, "content": each.content}


def read_json(path: Path) -> dict[str, Any]:
    """Read result.json, calibration.json or assessment.json.

    Raises
    ------
    CustodyError
        It can't be read, or isn't what a run writes.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CustodyError(f"{path}: can't be read: {error}", hint=f"vmforensics verify {path.parent}") from error
    if not isinstance(content, dict):
        raise CustodyError(f"{path}: isn't what a run writes", hint=f"vmforensics verify {path.parent}")
    return content


def to_json(value: Mapping[str, Any]) -> bytes:
    """Readable JSON, the same bytes for the same content."""
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8", "backslashreplace")


def exhibits(subject: Subject) -> list[dict[str, Any]]:
    """Each exhibit once, by its digest and its mark."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for run in subject.runs:
        evidence = run.result["evidence"]
        found.setdefault((evidence["id"], evidence["sha256"]), dict(evidence))
    return list(found.values())


def ambiguous_marks(subject: Subject) -> list[str]:
    """Marks under which runs examined different files."""
    marks = [exhibit["id"] for exhibit in exhibits(subject)]
    return sorted({mark for mark in marks if marks.count(mark) > 1})
