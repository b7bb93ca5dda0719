"""What a report is made from: the runs of a case, or one run, with what lies beside them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vmforensics.casefolder import CaseFolder
from vmforensics.custody import LEDGER_NAME, sha256_file
from vmforensics.dossier.record import read_record
from vmforensics.errors import CustodyError
from vmforensics.report.content import Beside, ReportedRun, Subject, read_json

RESULT_NAME = "result.json"


def case_of(path: Path) -> CaseFolder | None:
    """The case that a folder is, or in whose `runs/` it lies; None where there is none."""
    for folder in (path, *path.absolute().parents[:3]):
        try:
            case = CaseFolder.open(folder)
        except CustodyError:
            continue
        return case if folder == path or "runs" in path.absolute().relative_to(folder).parts[:1] else None
    return None


def gather(path: Path, seen_from: Path) -> Subject:
    """Gather what a report is made from, and check it.

    Parameters
    ----------
    path
        A case folder or its case file; a run folder; or a folder of run folders.
    seen_from
        The folder that the report will lie in.

    Raises
    ------
    CustodyError
        There is no finished run, or a record can't be read.
    VerificationFailed
        A finished run isn't as it was left.
    """
    path = path.parent if path.is_file() and path.suffix in (".yaml", ".yml") else path
    if (path / RESULT_NAME).is_file():
        run = _run(path, "", seen_from, "")
        return Subject(path.absolute().name, [run], **_beside(case_of(path), seen_from))
    case = case_of(path)
    whole = case is not None and case.path == path
    folders = list(_runs_of(case) if case is not None and whole else _runs_in(path))
    runs = [_run(folder, name, seen_from, aside) for folder, name, aside in folders if (folder / RESULT_NAME).is_file()]
    runs.sort(key=lambda run: str((run.record or {})["started"]))
    if not runs:
        raise CustodyError(
            f"{path}: holds no finished run to report on",
            hint="name a case folder or a run folder; see: vmforensics run",
        )
    failed = [read_record(folder, name) for folder, name, _ in folders if not (folder / RESULT_NAME).is_file()]
    return Subject(path.absolute().name, runs, failed, **_beside(case, seen_from))


def _runs_of(case: CaseFolder) -> Iterator[tuple[Path, str, str]]:
    """Folder, name, and reason for being set aside, of every recovery of a case."""
    for run in case.runs():
        if run.what == "recovery" and (case.path / run.name / LEDGER_NAME).is_file():
            yield case.path / run.name, run.name.removeprefix("runs/"), run.set_aside


def _runs_in(path: Path) -> Iterator[tuple[Path, str, str]]:
    """The same for a folder that isn't a case's: what `run --out` made of a case with several runs."""
    if path.is_dir():
        for folder in sorted(path.iterdir()):
            if (folder / LEDGER_NAME).is_file() and not folder.name.startswith(("_", ".")):
                yield folder, folder.name, ""


def _run(folder: Path, name: str, seen_from: Path, set_aside: str) -> ReportedRun:
    record = read_record(folder, name)  # before anything else is believed
    result = read_json(folder / RESULT_NAME)
    name = name or str(result["run"])
    place = Path(os.path.relpath(folder, seen_from)).as_posix()
    return ReportedRun(name, folder, place, result, {**record, "name": name, "set_aside": set_aside})


def _beside(case: CaseFolder | None, seen_from: Path) -> dict[str, Any]:
    """What lies with the runs in their case: calibrations, assessments, exhibits, notes, the case's own ledger."""
    if case is None:
        return {}
    return {
        "calibrations": list(_made(case.path, "calibration", seen_from)),
        "assessments": list(_made(case.path, "assessment", seen_from)),
        "exhibit_records": [_exhibit(record.model_dump(mode="json", by_alias=True)) for record in case.exhibits()],
        "notes": [note.model_dump(mode="json") for note in case.notes()],
        "case_events": [
            {"seq": e.seq, "time": e.time, "event": e.event, "sha256": e.digest, "fields": _told(e.fields)}
            for e in case.entries()
        ],
    }


def _exhibit(record: dict[str, Any]) -> dict[str, Any]:
    return {key: record[key] for key in ("id", "name", "sha256", "size_bytes", "received", "notes", "policy")}


def _told(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What a line of the case's ledger says, without the places of files on the computer."""
    return {key: value for key, value in fields.items() if key not in ("materials", "environment", "products")}


def _made(case: Path, what: str, seen_from: Path) -> Iterator[Beside]:
    """Finished calibrations or assessments in a case: folders that hold calibration.json or assessment.json."""
    for outer in (f"{what}s", "runs"):
        for file in sorted((case / outer).glob(f"*/{what}.json")):
            folder = file.parent
            record = read_record(folder, folder.name)
            digests = {each.name: sha256_file(each) for each in sorted(folder.glob("*.png"))}
            place = Path(os.path.relpath(folder, seen_from)).as_posix()
            name = f"{outer}/{folder.name}"
            yield Beside(name, folder, place, read_json(file), digests, record["ledger_head_sha256"])
