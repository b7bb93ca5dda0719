"""What is to be exported: a run, or a case with all its runs, as its record tells of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmforensics.case import CASE_FILE
from vmforensics.casefolder import CaseFolder, ExhibitRecord, NoteRecord
from vmforensics.casefolder.folder import EXHIBITS, NOTES, RUNS
from vmforensics.custody import LEDGER_NAME, Entry, RunStatus, Verification, read_ledger, verify
from vmforensics.custody.run_folder import PARTIAL_PREFIX
from vmforensics.custody.seal import SEALS_NAME
from vmforensics.errors import CustodyError, VerificationFailed

_ENDINGS = {f"run-{status.value}": status for status in RunStatus}
_MOST_TOLD = 20  # deviations in one message
_PARTS = frozenset(
    {CASE_FILE, LEDGER_NAME, EXHIBITS, NOTES, RUNS, SEALS_NAME, "reports", "calibrations", "assessments"}
)
"""What belongs to the record in a case folder."""


@dataclass(frozen=True, slots=True)
class ToldRun:
    """A run, as its ledger tells of it.

    Parameters
    ----------
    folder : Path
        Its folder.
    name : str
        Its name in the case ("runs/001"), or its folder's.
    status : RunStatus
        How it ended.
    entries : tuple of Entry
        Its ledger.
    products : mapping
        SHA-256 of its artefacts by name.
    materials : tuple of mapping
        The exhibits it read, each once: id, path, sha256, files.
    stages : tuple of mapping
        What implemented its stages.
    set_aside : str
        Why it doesn't count, "" if it does.
    """

    folder: Path
    name: str
    status: RunStatus
    entries: tuple[Entry, ...]
    products: Mapping[str, str]
    materials: tuple[Mapping[str, Any], ...]
    stages: tuple[Mapping[str, Any], ...]
    set_aside: str = ""

    @property
    def head(self) -> str:
        """SHA-256 of its ledger's last line."""
        return self.entries[-1].digest

    @property
    def identity(self) -> Mapping[str, Any]:
        """Whose case it was."""
        return _mapping(self.entries[0].fields.get("case"))

    @property
    def program(self) -> Mapping[str, Any]:
        """The program's version and the digest of its source."""
        return _mapping(_mapping(self.entries[0].fields.get("environment")).get("vmforensics"))

    @property
    def error(self) -> str:
        """Why it failed or was interrupted, "" if it finished."""
        return str(_mapping(self.entries[-1].fields.get("error")).get("message", ""))


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be exported.

    Parameters
    ----------
    path : Path
        The folder of the run or the case.
    name : str
        What to call it in file names.
    case : CaseFolder or None
        The case; None for a run.
    runs : tuple of ToldRun
        Its runs, the failed and rejected ones too.
    exhibits : tuple of ExhibitRecord
        The case's exhibits.
    notes : tuple of NoteRecord
        Its notes.
    acts : tuple of Entry
        Its ledger.
    verified : Verification
        What a verification of the folder found, the evidence left out.
    """

    path: Path
    name: str
    case: CaseFolder | None
    runs: tuple[ToldRun, ...]
    exhibits: tuple[ExhibitRecord, ...]
    notes: tuple[NoteRecord, ...]
    acts: tuple[Entry, ...]
    verified: Verification

    @property
    def identity(self) -> Mapping[str, Any]:
        """Whose case it is."""
        stated = self.case.identity() if self.case else None
        return stated.model_dump(mode="json") if stated else (self.runs[-1].identity if self.runs else {})

    @property
    def last(self) -> Entry:
        """The last line of all ledgers, by the clock."""
        entries = [*self.acts, *(run.entries[-1] for run in self.runs)]
        return max(entries, key=lambda entry: entry.time)

    def files(self) -> Iterator[tuple[str, Path]]:
        """Every file of the record, by its path in the folder; of a case those parts only that are its record.

        Evidence can lie anywhere in a case folder, and isn't to go out unasked.
        """
        for here, folders, names in os.walk(self.path):
            place = Path(here)
            known = _PARTS if self.case and place == self.path else None
            folders[:] = sorted(name for name in folders if _goes_out(place / name, known))
            for name in sorted(names):
                path = place / name
                if _goes_out(path, known) and path.is_file():
                    yield path.relative_to(self.path).as_posix(), path

    def check(self) -> None:
        """Raise `VerificationFailed` where the record isn't as it was left: what it says is not to be passed on."""
        if not self.verified.ok:
            raise VerificationFailed(
                f"{self.path}: {len(self.deviations())} deviation(s); in this form only a sound record goes out",
                hint=f"see: vmforensics verify {self.path}; `--as disclosure` passes it on as it is, and says so",
            )

    def deviations(self) -> list[str]:
        """What the verification found, a line each."""
        found = [f"{each.where}: {each.message}" for each in self.verified.all_findings()]
        more = len(found) - _MOST_TOLD
        return [*found[:_MOST_TOLD], *([f"and {more} more"] if more > 0 else [])]


def read_subject(path: Path) -> Subject:
    """Read what is to be exported.

    Parameters
    ----------
    path
        The folder of a run, or of a case.

    Raises
    ------
    CustodyError
        It is neither, or its record can't be read.
    """
    path = path.absolute()
    if (path / LEDGER_NAME).is_file() and not (path / "runs").is_dir():
        run = _told(path, path.name)
        if run is not None:
            return Subject(path, path.name, None, (run,), (), (), (), verify(path, evidence=False))
    case = CaseFolder.open(path)
    told = [_told(path / each.name, each.name, each.set_aside) for each in case.runs()]
    runs = tuple(run for run in told if run is not None)
    acts = tuple(case.entries())
    if not runs and not acts:
        raise CustodyError(f"{path}: nothing is on record yet", hint="run the case, or take in an exhibit, first")
    exhibits, notes = tuple(case.exhibits()), tuple(case.notes())
    return Subject(path, path.name, case, runs, exhibits, notes, acts, verify(path, evidence=False))


def _goes_out(path: Path, known: Set[str] | None) -> bool:
    """Whether a file or folder may be part of an export."""
    return (known is None or path.name in known) and not path.name.startswith(PARTIAL_PREFIX) and not path.is_symlink()


def _told(folder: Path, name: str, set_aside: str = "") -> ToldRun | None:
    """A run as its ledger tells of it; None where the ledger holds nothing, or isn't a run's."""
    try:
        entries = tuple(read_ledger(folder / LEDGER_NAME))
    except CustodyError:
        return None
    if not entries or not entries[0].event.startswith("run-"):
        return None
    products: dict[str, str] = {}
    materials: dict[tuple[str, str], Mapping[str, Any]] = {}
    stages: list[Mapping[str, Any]] = []
    for entry in entries:
        products |= {str(key): str(value) for key, value in _mapping(entry.fields.get("products")).items()}
        listed = entry.fields.get("materials")
        for each in listed if isinstance(listed, list) else []:
            one = _mapping(each)
            materials.setdefault((str(one.get("path")), str(one.get("sha256"))), one)
        implementation = entry.fields.get("implementation")
        if entry.event == "step-started" and isinstance(implementation, Mapping):
            stages.append(implementation)
    status = _ENDINGS.get(entries[-1].event, RunStatus.UNFINISHED)
    return ToldRun(folder, name, status, entries, products, tuple(materials.values()), tuple(stages), set_aside)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
