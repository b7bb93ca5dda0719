"""Exports: one act, one form, one file that wasn't there before, on the case's record."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vmforensics.casefolder import CaseFolder
from vmforensics.casefolder.acts import record_export
from vmforensics.casefolder.folder import EXPORTS
from vmforensics.custody import sha256_file
from vmforensics.custody.run_folder import PARTIAL_PREFIX
from vmforensics.errors import CustodyError, OutputError
from vmforensics.exchange.archive import new_archive
from vmforensics.exchange.case_uco import to_case_uco
from vmforensics.exchange.disclosure import write_disclosure
from vmforensics.exchange.framehash import frame_hashes
from vmforensics.exchange.ro_crate import METADATA_NAME, to_ro_crate
from vmforensics.exchange.subject import Subject, read_subject
from vmforensics.plugins import Registry
from vmforensics.recovery import Watcher


@dataclass(frozen=True, slots=True)
class Export:
    """What was exported.

    Parameters
    ----------
    path : Path
        The file that was made.
    form : str
        One of `FORMS`.
    sha256 : str
        Its SHA-256.
    head : str or None
        SHA-256 of the line in the case's ledger; None where there is no case, or it has no ledger.
    """

    path: Path
    form: str
    sha256: str
    head: str | None


def export(
    target: str | Path,
    form: str,
    out: str | Path | None = None,
    *,
    actor: str = "",
    purpose: str = "",
    registry: Registry | None = None,
    watcher: Watcher | None = None,
) -> Export:
    """Export a run or a case.

    Parameters
    ----------
    target
        The folder of a run or a case.
    form
        One of `FORMS`.
    out
        What to make; by default a name of its own in the case's `exports/`, or beside a run that is in no case.
    actor, purpose
        Who exports it, and why; needed where the case has a ledger, for it goes on record there.
    registry
        The stages to choose from, for frame hashes; those installed if None.
    watcher
        Told of the progress.

    Raises
    ------
    OutputError
        It is there already, or can't be written.
    VerificationFailed
        The record isn't as it was left.
    VmforensicsError
        What went wrong reading it.
    """
    if form not in FORMS:
        raise CustodyError(f"form {form!r} isn't known", hint=f"one of {', '.join(FORMS)}")
    suffix, write = FORMS[form]
    subject = read_subject(Path(target))
    case = subject.case or _case_of(subject.path)
    recorded = case is not None and os.path.lexists(case.ledger)
    if recorded and not (actor.strip() and purpose.strip()):
        raise CustodyError(
            "exports of a case go on its record, with actor and purpose", hint="give --actor and --purpose"
        )
    made = Path(out) if out is not None else _place_for(subject, case, suffix)
    if os.path.lexists(made):
        raise OutputError(f"{made}: is there already; nothing is overwritten", hint="give another name with --out")
    _written(subject, made, write, registry, watcher)
    sha256 = sha256_file(made)
    head = None
    if case is not None and recorded:
        of = "." if subject.case else subject.path.relative_to(case.path).as_posix()
        files = {Path(os.path.relpath(made, case.path)).as_posix(): sha256}
        head = record_export(case, of=of, form=form, files=files, actor=actor, purpose=purpose).head
    return Export(made, form, sha256, head)


Writer = Callable[[Subject, Path, Registry | None, Watcher | None], None]


def _case_uco(subject: Subject, into: Path, _registry: Registry | None, _watcher: Watcher | None) -> None:
    subject.check()
    into.write_bytes(to_case_uco(subject))


def _framehash(subject: Subject, into: Path, registry: Registry | None, watcher: Watcher | None) -> None:
    if subject.case is not None:
        raise CustodyError(f"{subject.path}: is a case; frame hashes are those of one run", hint="name a run's folder")
    into.write_bytes(frame_hashes(subject.path, registry=registry, watcher=watcher))


def _disclosure(subject: Subject, into: Path, _registry: Registry | None, _watcher: Watcher | None) -> None:
    write_disclosure(subject, into)


def _ro_crate(subject: Subject, into: Path, _registry: Registry | None, _watcher: Watcher | None) -> None:
    subject.check()
    with new_archive(into) as archive:
        files = {name: archive.add_file(name, path) for name, path in subject.files()}
        archive.add(METADATA_NAME, to_ro_crate(subject, files))


FORMS: dict[str, tuple[str, Writer]] = {
    "case-uco": (".case.jsonld", _case_uco),
    "disclosure": (".zip", _disclosure),
    "framehash": (".framehash", _framehash),
    "ro-crate": (".ro-crate.zip", _ro_crate),
}
"""What each form's name ends in, and what writes it."""


def _written(subject: Subject, made: Path, write: Writer, registry: Registry | None, watcher: Watcher | None) -> None:
    """Write under a temporary name beside, then rename: whole, or not at all."""
    try:
        made.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=made.parent, prefix=PARTIAL_PREFIX))
    except OSError as error:
        raise OutputError(f"{made.parent}: can't be written to: {error.strerror}") from error
    try:
        write(subject, staging / made.name, registry, watcher)
        (staging / made.name).rename(made)
    except OSError as error:
        raise OutputError(f"{made}: can't be written: {error.strerror}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _case_of(run: Path) -> CaseFolder | None:
    """The case that a run lies in, as runs/NNN or runs/NNN/NAME."""
    for folder in (run.parent, run.parent.parent):
        if folder.name == "runs":
            return CaseFolder(folder.parent)
    return None


def _place_for(subject: Subject, case: CaseFolder | None, suffix: str) -> Path:
    """A name in the case's exports/ that says what it is; beside the run where there is no case."""
    if case is None:
        return subject.path.with_name(f"{subject.name}{suffix}")
    exports = case.subfolder(EXPORTS)
    inside = "" if subject.case else "-" + "-".join(subject.path.relative_to(case.path / "runs").parts)
    stem = f"{case.path.absolute().name}{inside}"
    number = 1
    while os.path.lexists(exports / f"{stem}-{number:03d}{suffix}"):
        number += 1
    return exports / f"{stem}-{number:03d}{suffix}"
