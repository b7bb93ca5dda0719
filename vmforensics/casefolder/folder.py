"""What lies in a case folder, read without trusting it."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from vmforensics.case import CASE_FILE, Identity
from vmforensics.case.document import LARGEST_FILE, parse
from vmforensics.casefolder.json_files import LARGEST_JSON, read_json
from vmforensics.casefolder.records import ExhibitRecord, NoteRecord, Record, read_record
from vmforensics.custody import LEDGER_NAME, Entry, RunStatus, read_ledger, scan_ledger
from vmforensics.custody.opening import open_regular
from vmforensics.errors import CustodyError

ALTERED = "altered since the run"
"""Stands for the verdict of a run whose result isn't the one that its ledger records."""

EXHIBITS, NOTES, RUNS, EXPORTS, EVIDENCE = "exhibits", "notes", "runs", "exports", "evidence"
RUN_SET_ASIDE, RUN_REINSTATED = "run-set-aside", "run-reinstated"

_RESULT = "result.json"
_JSON_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\.json")
_MOST_FILES = 100_000
_Record = TypeVar("_Record", bound=Record)


@dataclass(frozen=True, slots=True)
class RunEntry:
    """A run of a case, finished or not.

    Parameters
    ----------
    name : str
        Its folder, relative to the case folder: "runs/001", "runs/002/usual".
    status : RunStatus
        How it ended, by its ledger's last line.
    what : str
        "recovery", "calibration", "comparison", "assessment", "report", or "run" where its ledger doesn't say.
    head : str
        SHA-256 of its ledger's last line, "" where there is none.
    verdict : str
        What it found, "" where it came to no result, `ALTERED` where that was changed since.
    set_aside : str
        The reason why it was set aside, "" for one that counts.
    """

    name: str
    status: RunStatus
    what: str
    head: str
    verdict: str = ""
    set_aside: str = ""


@dataclass(frozen=True, slots=True)
class CaseFolder:
    """A case folder; reading it changes nothing, and follows no link in it.

    Parameters
    ----------
    path : Path
        The folder.
    """

    path: Path

    @classmethod
    def open(cls, path: Path) -> CaseFolder:
        """Take a folder for a case.

        Raises
        ------
        CustodyError
            It is no folder, or holds neither a case file nor runs nor a ledger.
        """
        try:
            if path.is_dir() and _is_case(path):
                return cls(path)
            what = "holds no case: no case.yaml, no runs, no ledger" if path.is_dir() else "is no folder"
        except (OSError, ValueError) as error:  # ValueError: a null character in the path
            what = f"can't be read: {error.strerror if isinstance(error, OSError) else error}"
        raise CustodyError(f"{path}: {what}", hint="`vmforensics new FOLDER` lays one out")

    @property
    def ledger(self) -> Path:
        """Where the case's own ledger is, once there was an act."""
        return self.path / LEDGER_NAME

    def entries(self) -> list[Entry]:
        """Entries of the case's ledger; none before the first act.

        Raises
        ------
        CustodyError
            It can't be read.
        """
        return read_ledger(self.ledger) if os.path.lexists(self.ledger) else []

    def identity(self) -> Identity | None:
        """Whose case it is: as case.yaml says, else as its last run says; None where neither does.

        The rest of the case file needn't be filled in yet.
        """
        folders = (self.path, *reversed(self._run_folders()))
        return next((found for folder in folders if (found := _identity_in(folder / CASE_FILE))), None)

    def exhibits(self) -> list[ExhibitRecord]:
        """The exhibits, in the order of their marks.

        Raises
        ------
        CustodyError
            A record can't be read.
        """
        return self._records(EXHIBITS, ExhibitRecord)

    def notes(self) -> list[NoteRecord]:
        """The notes, in the order of their numbers.

        Raises
        ------
        CustodyError
            A record can't be read.
        """
        return self._records(NOTES, NoteRecord)

    def runs(self) -> list[RunEntry]:
        """Every run, the failed, interrupted and rejected ones too, in the order of their folders."""
        aside: dict[str, str] = {}
        for entry in self.entries():
            run = entry.fields.get("run")
            if isinstance(run, str) and entry.event == RUN_SET_ASIDE:
                aside[run] = str(entry.fields.get("reason", ""))
            elif isinstance(run, str) and entry.event == RUN_REINSTATED:
                aside.pop(run, None)
        found = []
        for folder in self._run_folders():
            name = folder.relative_to(self.path).as_posix()
            status, what, head, recorded = _end_of(folder / LEDGER_NAME)
            found.append(RunEntry(name, status, what, head, _verdict_of(folder, recorded), aside.get(name, "")))
        return found

    def run(self, name: str) -> RunEntry:
        """One run, by its folder's name: "runs/001" or "001".

        Raises
        ------
        CustodyError
            There is none.
        """
        runs = self.runs()
        for each in runs:
            if name.rstrip("/") in (each.name, each.name.removeprefix(f"{RUNS}/")):
                return each
        known = ", ".join(each.name for each in runs) or "none"
        raise CustodyError(f"{self.path}: no run {name!r}; there are: {known}")

    def exhibit(self, mark: str) -> ExhibitRecord:
        """One exhibit, by its mark.

        Raises
        ------
        CustodyError
            There is none.
        """
        exhibits = self.exhibits()
        for each in exhibits:
            if each.id == mark:
                return each
        known = ", ".join(each.id for each in exhibits) or "none"
        raise CustodyError(
            f"{self.path}: no exhibit {mark!r}; there are: {known}", hint="see: vmforensics case add-exhibit"
        )

    def subfolder(self, name: str) -> Path:
        """A folder of the case, made if it isn't there.

        Raises
        ------
        CustodyError
            It is a link or no folder, or can't be made.
        """
        path = self.path / name
        try:
            path.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise CustodyError(f"{path}: can't be made: {error.strerror}") from error
        if path.is_symlink():
            raise CustodyError(f"{path}: is a link to another place; nothing is written through it")
        return path

    def record_files(self, name: str) -> list[Path]:
        """The files of a folder of records that bear such names as records have."""
        folder = self.path / name
        if folder.is_symlink() or not folder.is_dir():
            return []
        found = [entry.name for _, entry in zip(range(_MOST_FILES), os.scandir(folder), strict=False)]
        return [folder / each for each in sorted(found) if _JSON_NAME.fullmatch(each)]

    def _records(self, name: str, kind: type[_Record]) -> list[_Record]:
        return [read_record(kind, path) for path in self.record_files(name)]

    def _run_folders(self) -> list[Path]:
        """Folders below runs/ with a ledger, two levels deep: a case with several runs makes a folder for each."""
        runs = self.path / RUNS
        found = []
        for outer in _folders(runs):
            if os.path.lexists(outer / LEDGER_NAME):
                found.append(outer)
            else:
                inner = [each for each in _folders(outer) if os.path.lexists(each / LEDGER_NAME)]
                found += inner or ([outer] if outer.name.isdigit() else [])  # numbered, and nothing in it: cut off
        return found


def find_cases(root: Path) -> list[CaseFolder]:
    """The cases in a folder, at most two levels deep, in the order of their names; or the folder itself.

    Raises
    ------
    CustodyError
        It can't be listed.
    """
    try:
        if _is_case(root):
            return [CaseFolder(root)]
        os.scandir(root).close()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CustodyError(f"{root}: can't be listed: {reason}", hint="name the folder that holds the cases") from error
    found = []
    for outer in _folders(root):
        found += [outer] if _is_case(outer) else [inner for inner in _folders(outer) if _is_case(inner)]
    return [CaseFolder(path) for path in found]


def _identity_in(path: Path) -> Identity | None:
    """The identity in a case file, whatever state the rest of it is in."""
    try:
        with open_regular(path) as file:
            document = parse(file.read(LARGEST_FILE + 1))
        content = document.root.value if document.root else None
        return Identity.model_validate(content.get("case")) if isinstance(content, dict) else None
    except (OSError, ValueError):  # pydantic's errors are ValueErrors
        return None


def _is_case(path: Path) -> bool:
    if os.path.lexists(path / "case.resolved.yaml"):  # a run's folder
        return False
    return any(os.path.lexists(path / name) for name in (CASE_FILE, RUNS, EXHIBITS))


def _folders(parent: Path) -> Iterator[Path]:
    """The folders in a folder, in the order of their names; links and hidden ones are left out."""
    try:
        with os.scandir(parent) as entries:
            names = [e.name for e in entries if e.is_dir(follow_symlinks=False) and not e.name.startswith(".")]
    except OSError:
        return
    if parent.is_symlink():
        return
    for name in sorted(names)[:_MOST_FILES]:
        yield parent / name


_WHAT = {
    "calibration": "calibration",
    "compared": "comparison",
    "assessment": "assessment",
    "report": "report",
    "run": "recovery",
}
"""What a ledger is about, by a field of its first line."""


def _end_of(ledger: Path) -> tuple[RunStatus, str, str, str]:
    """How a run ended, what it was, its head, and the recorded SHA-256 of its result; whatever the ledger holds."""
    what, head, last, recorded = "run", "", "", ""
    try:
        for line in scan_ledger(ledger):
            if line.entry is None:
                continue
            if not head:
                what = next((word for key, word in _WHAT.items() if key in line.entry.fields), what)
            head, last = line.digest, line.entry.event
            products = line.entry.fields.get("products")
            if isinstance(products, dict) and _RESULT in products:
                recorded = str(products[_RESULT])
    except OSError:
        pass
    ended = last.removeprefix("run-")
    status = RunStatus(ended) if last.startswith("run-") and ended in set(RunStatus) else RunStatus.UNFINISHED
    return status, what, head, recorded


def _verdict_of(run: Path, recorded: str) -> str:
    """The verdict of a run's result.json, "" where there is none, `ALTERED` where it isn't the one on record."""
    try:
        result: Any = read_json(run / _RESULT)
        with open_regular(run / _RESULT) as file:
            found = hashlib.sha256(file.read(LARGEST_JSON)).hexdigest()
    except (CustodyError, OSError):
        return ""
    if found != recorded:
        return ALTERED
    verdict = result.get("verdict") if isinstance(result, dict) else None
    return verdict[:40] if isinstance(verdict, str) else ""
