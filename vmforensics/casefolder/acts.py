"""What is done with a case, by whom and why: every act is a line in the case's own ledger."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import vmforensics
from vmforensics.casefolder.folder import (
    EVIDENCE,
    EXHIBITS,
    NOTES,
    RUN_REINSTATED,
    RUN_SET_ASIDE,
    CaseFolder,
)
from vmforensics.casefolder.records import ExhibitRecord, NoteRecord, Record, build_record, dump_record, moment
from vmforensics.custody import Entry, EvidenceDigest, FileDigest, Ledger, RunFolder, digest_evidence, material
from vmforensics.custody.ledger import check_act, sync_folder
from vmforensics.custody.run_folder import PARTIAL_PREFIX
from vmforensics.data import Evidence
from vmforensics.errors import CustodyError, DigestMismatch, EvidenceChanged, OutputError, VmforensicsError

CASE_OPENED = "case-opened"
IDENTITY_STATED = "identity-stated"
EXHIBIT_ADDED = "exhibit-added"
EXHIBIT_TRANSFERRED = "exhibit-transferred"
NOTE_ADDED = "note-added"
RUN_RECORDED = "run-recorded"
EXPORTED = "exported"

_LONGEST_STATED = 1000  # characters


@dataclass(frozen=True, slots=True)
class Act:
    """An act on record.

    Parameters
    ----------
    entry : Entry
        Its line in the case's ledger.
    head : str
        SHA-256 of that line, to be kept elsewhere.
    """

    entry: Entry
    head: str


def add_exhibit(
    case: CaseFolder,
    path: Path,
    *,
    actor: str,
    purpose: str,
    mark: str | None = None,
    received_from: str = "",
    received_at: str = "",
    notes: str = "",
    copy: bool = False,
    expected_sha256: str | None = None,
    container: Mapping[str, Any] | None = None,
    container_problem: str = "",
    credentials: Mapping[str, Any] | None = None,
) -> tuple[ExhibitRecord, Act]:
    """Take an exhibit into a case: digest it and, if asked, make a working copy that is compared with it.

    Parameters
    ----------
    case
        The case.
    path
        The file or folder; it is only ever opened for reading.
    actor, purpose
        Who takes it in, and why.
    mark
        Its mark; the next free one of E1, E2 ... if None.
    received_from, received_at, notes
        From whom, when (ISO 8601), origin and condition.
    copy
        Whether to copy it into the case folder (`evidence/MARK/`, read-only).
    expected_sha256
        What it must have.
    container, container_problem, credentials
        What its file says of itself, or why that can't be read.

    Raises
    ------
    EvidenceMissing, EvidenceUnreadable
        It isn't there or can't be read.
    DigestMismatch
        It isn't what was expected.
    EvidenceChanged
        The copy isn't like the exhibit.
    CustodyError, OutputError
        A value isn't allowed, the mark is taken, or the case can't be written to.
    """
    digest = digest_evidence(Evidence(path))
    if expected_sha256 is not None and expected_sha256.lower() != digest.sha256:
        raise DigestMismatch(
            f"{path}: SHA-256 is {digest.sha256}, expected is {expected_sha256}",
            hint="this isn't the file that was announced, or it has changed since",
        )
    with _ledger_of(case, actor, purpose) as ledger:
        taken = {each.id for each in case.exhibits()}
        mark = mark or next(f"E{n}" for n in range(1, len(taken) + 2) if f"E{n}" not in taken)
        if mark.casefold() in {each.casefold() for each in taken}:
            raise CustodyError(f"{case.path}: the mark {mark!r} is taken", hint="each exhibit has a mark of its own")
        draft = {
            "id": mark,
            "name": path.absolute().name,
            "sha256": digest.sha256,
            "size_bytes": sum(file.size for file in digest.files),
            "files": [{"name": f.name, "size_bytes": f.size, "sha256": f.sha256} for f in digest.files],
            "received": {"from": received_from, "at": received_at},
            "notes": notes,
            "policy": "copy" if copy else "refer",
            "container": container,
            "container_problem": container_problem,
            "credentials": credentials,
        }
        here = case.path.resolve()
        works_on = Path(EVIDENCE, mark) if copy else Path(os.path.relpath(path.resolve(), here))
        if copy and not path.is_dir():
            works_on /= path.name
        record = build_record(ExhibitRecord, **draft, path=works_on.as_posix())
        taken_in = {"exhibit": mark, "materials": [material(Evidence(path, mark), digest, case.path)]}
        with (
            _copied(case, Evidence(path), digest, mark) if copy else nullcontext(),
            _written(case, EXHIBITS, f"{mark}.json", record) as products,
        ):
            entry = ledger.act(EXHIBIT_ADDED, actor=actor, purpose=purpose, products=products, **taken_in)
        return record, Act(entry, ledger.head)


def add_note(case: CaseFolder, text: str, *, actor: str, purpose: str, about: str = "") -> tuple[NoteRecord, Act]:
    """Add a note to a case.

    Parameters
    ----------
    case
        The case.
    text
        What it says.
    actor, purpose
        Who writes it, and why.
    about
        The mark of an exhibit, or a run, that it is about; "" for the whole case.

    Raises
    ------
    CustodyError, OutputError
        There is no such exhibit or run, the text isn't allowed, or the case can't be written to.
    """
    if not text.strip():
        raise CustodyError("the note is empty")
    with _ledger_of(case, actor, purpose) as ledger:
        if about:
            about = case.exhibit(about).id if about in {e.id for e in case.exhibits()} else case.run(about).name
        taken = [int(path.stem) for path in case.record_files(NOTES) if path.stem.isascii() and path.stem.isdigit()]
        number = max(taken, default=0) + 1
        time = datetime.now(UTC).isoformat(timespec="seconds")
        record = build_record(NoteRecord, number=number, time=time, author=actor, about=about, text=text)
        with _written(case, NOTES, f"{number:04d}.json", record) as products:
            entry = ledger.act(NOTE_ADDED, actor=actor, purpose=purpose, note=number, about=about, products=products)
        return record, Act(entry, ledger.head)


def transfer(
    case: CaseFolder,
    mark: str,
    *,
    to: str,
    actor: str,
    purpose: str,
    from_: str = "",
    at: str = "",
) -> Act:
    """Record that an exhibit passed into other hands; what can be reached of it is digested again.

    Parameters
    ----------
    case
        The case.
    mark
        The exhibit.
    to, from_
        Into whose hands, and out of whose; the last known holder's if not given.
    actor, purpose
        Who records it, and why it was handed over.
    at
        When (ISO 8601); now if not given.

    Raises
    ------
    EvidenceChanged
        The exhibit isn't any more what was taken in; nothing is recorded.
    CustodyError, OutputError
        There is no such exhibit, a value isn't allowed, or the case can't be written to.
    """
    _check_stated("into whose hands the exhibit passed", to)
    if from_:
        _check_stated("out of whose hands the exhibit passed", from_)
    with _ledger_of(case, actor, purpose) as ledger:
        exhibit = case.exhibit(mark)
        holder = holders(case).get(mark, "")
        found = locate(case, exhibit)
        if found is not None:
            now = digest_evidence(Evidence(found, mark))
            if now.sha256 != exhibit.sha256:
                raise EvidenceChanged(
                    f"{found}: isn't any more what was taken in as {mark}: its SHA-256 is {now.sha256}",
                    hint="find out what changed it before it is handed over; see: vmforensics verify CASE_DIR",
                )
        try:
            when = moment(at or datetime.now(UTC).isoformat(timespec="seconds"))
        except ValueError as error:
            raise CustodyError(str(error)) from error
        entry = ledger.act(
            EXHIBIT_TRANSFERRED,
            actor=actor,
            purpose=purpose,
            exhibit=mark,
            sha256=exhibit.sha256,
            handed_over_by=from_ or holder,
            last_known_holder=holder,
            handed_to=to,
            at=when,
            digest_checked=found is not None,
        )
        return Act(entry, ledger.head)


def set_aside(case: CaseFolder, run: str, *, reason: str, actor: str, purpose: str) -> Act:
    """Record that a run doesn't count, and why; its folder stays as it is.

    Raises
    ------
    CustodyError, OutputError
        There is no such run, it is set aside already, no reason is given, or the case can't be written to.
    """
    _check_stated("the reason why the run is set aside", reason)
    with _ledger_of(case, actor, purpose) as ledger:
        found = case.run(run)
        if found.set_aside:
            raise CustodyError(f"{found.name} is set aside already: {found.set_aside}")
        fields = {"run": found.name, "run_head_sha256": found.head, "reason": reason}
        return Act(ledger.act(RUN_SET_ASIDE, actor=actor, purpose=purpose, **fields), ledger.head)


def reinstate(case: CaseFolder, run: str, *, actor: str, purpose: str) -> Act:
    """Record that a run that was set aside counts again.

    Raises
    ------
    CustodyError, OutputError
        There is no such run, it isn't set aside, or the case can't be written to.
    """
    with _ledger_of(case, actor, purpose) as ledger:
        found = case.run(run)
        if not found.set_aside:
            raise CustodyError(f"{found.name} isn't set aside")
        fields = {"run": found.name, "run_head_sha256": found.head}
        return Act(ledger.act(RUN_REINSTATED, actor=actor, purpose=purpose, **fields), ledger.head)


@contextmanager
def recording_runs(folder: Path, *, actor: str) -> Iterator[None]:
    """Record the runs that are added to a case meanwhile in the case's ledger, if there is one, however they end.

    Parameters
    ----------
    folder
        The case folder; one without a ledger of its own is left alone.
    actor
        Who has them carried out.

    Raises
    ------
    CustodyError
        The case's ledger doesn't hold, which is told before a run begins.
    """
    case = CaseFolder(folder)
    if not os.path.lexists(case.ledger):
        yield
        return
    actor, purpose = _one_line(actor) or "not stated", "run of the case"
    with Ledger.open(case.ledger):
        before = {run.name: run.head for run in case.runs()}
    try:
        yield
    except BaseException as error:
        try:
            _record_runs(case, before, actor, purpose)
        except VmforensicsError as second:
            error.add_note(f"The case's ledger couldn't record the run: {second}")
        raise
    _record_runs(case, before, actor, purpose)


def _record_runs(case: CaseFolder, before: Mapping[str, str], actor: str, purpose: str) -> None:
    with _ledger_of(case, actor, purpose) as ledger:
        for run in case.runs():
            if before.get(run.name) != run.head:
                fields = {"run": run.name, "status": run.status, "verdict": run.verdict, "run_head_sha256": run.head}
                ledger.act(RUN_RECORDED, actor=actor, purpose=purpose, **fields)


def record_export(case: CaseFolder, *, of: str, form: str, files: Mapping[str, str], actor: str, purpose: str) -> Act:
    """Record that something was exported.

    Parameters
    ----------
    case
        The case.
    of
        What: "runs/001", or "." for the whole case.
    form
        In which form.
    files
        SHA-256 of what was written, by path relative to the case folder.
    actor, purpose
        Who exported it, and why.
    """
    with _ledger_of(case, actor, purpose) as ledger:
        entry = ledger.act(EXPORTED, actor=actor, purpose=purpose, of=of, form=form, exports=dict(files))
        return Act(entry, ledger.head)


def holders(case: CaseFolder) -> dict[str, str]:
    """Who had each exhibit last, by the case's ledger; who took it in, before it was first handed on."""
    known: dict[str, str] = {}
    for entry in case.entries():
        mark = entry.fields.get("exhibit")
        if isinstance(mark, str) and entry.event in (EXHIBIT_ADDED, EXHIBIT_TRANSFERRED):
            known[mark] = str(entry.fields.get("handed_to" if entry.event == EXHIBIT_TRANSFERRED else "actor", ""))
    return known


def locate(case: CaseFolder, exhibit: ExhibitRecord) -> Path | None:
    """Where an exhibit lies now: at its place relative to the case folder, or where it was taken in; else None."""
    places = [case.path.resolve() / exhibit.path]
    if exhibit.policy == "refer":
        for entry in case.entries():
            if entry.event == EXHIBIT_ADDED and entry.fields.get("exhibit") == exhibit.id:
                materials = entry.fields.get("materials")
                told = [each.get("path") for each in materials if isinstance(each, dict)] if materials else []
                places += [Path(path) for path in told if isinstance(path, str)]
    for place in places:
        try:
            if place.is_file() or place.is_dir():
                inside = place.resolve().is_relative_to(case.path.resolve())
                if inside or exhibit.policy == "refer":  # a copy is in the case folder, and no link leads out of it
                    return place
        except (OSError, ValueError):
            continue
    return None


@contextmanager
def _ledger_of(case: CaseFolder, actor: str, purpose: str) -> Iterator[Ledger]:
    """The case's ledger, locked; begun with the first act, and told the identity wherever that has changed."""
    check_act(actor, purpose)
    if not os.path.lexists(case.ledger):
        try:
            Ledger.create(case.ledger).close()
        except OutputError:
            if not os.path.lexists(case.ledger):  # else another process was faster
                raise
    identity = case.identity()
    stated = identity.model_dump(mode="json") if identity else None
    with Ledger.open(case.ledger) as ledger:
        told = [e.fields.get("identity") for e in case.entries() if e.event in (CASE_OPENED, IDENTITY_STATED)]
        if not told:
            ledger.act(CASE_OPENED, actor=actor, purpose=purpose, identity=stated, program=vmforensics.__version__)
        elif stated is not None and told[-1] != stated:
            ledger.act(IDENTITY_STATED, actor=actor, purpose=purpose, identity=stated)
        yield ledger


@contextmanager
def _written(case: CaseFolder, folder: str, name: str, record: Record) -> Iterator[dict[str, str]]:
    """Write a record's file, which is gone again if the act fails; gives its SHA-256 by its path in the case."""
    parent = case.subfolder(folder)
    (sha256,) = RunFolder(parent).write(name, dump_record(record)).values()
    try:
        yield {f"{folder}/{name}": sha256}
    except BaseException:
        (parent / name).unlink()
        raise


@contextmanager
def _copied(case: CaseFolder, evidence: Evidence, digest: EvidenceDigest, mark: str) -> Iterator[None]:
    """Copy an exhibit into evidence/MARK/, read-only, and compare the copy with it; gone again if the act fails."""
    parent = case.subfolder(EVIDENCE)
    target = parent / mark
    if os.path.lexists(target):
        raise OutputError(f"{target}: is there already; nothing is overwritten", hint="choose another mark")
    staging = Path(tempfile.mkdtemp(dir=parent, prefix=PARTIAL_PREFIX))
    try:
        for file in evidence.files():
            shutil.copyfile(file, staging / file.name)
            (staging / file.name).chmod(0o400)
            with (staging / file.name).open("rb") as written:
                os.fsync(written.fileno())
        if _listed(digest_evidence(Evidence(staging))) != _listed(digest):
            raise EvidenceChanged(
                f"{evidence.path}: the copy isn't like the exhibit", hint="check both media; nothing was taken in"
            )
        staging.rename(target)
        sync_folder(parent)
    except OSError as error:
        raise OutputError(f"{target}: can't be written: {error.strerror}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    try:
        yield
    except BaseException:
        shutil.rmtree(target)
        raise


def _check_stated(what: str, text: str) -> None:
    """Refuse text that says nothing, or could forge what a terminal or a report shows."""
    if not text.strip() or not text.isprintable() or len(text) > _LONGEST_STATED:
        raise CustodyError(f"{what}: {text[:80]!r}: must be one line of 1 to {_LONGEST_STATED} printable characters")


def _one_line(text: str) -> str:
    """Text from a case file as an actor's name."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:1000]


def _listed(digest: EvidenceDigest) -> list[FileDigest]:
    return sorted(digest.files, key=lambda file: os.fsencode(file.name))
