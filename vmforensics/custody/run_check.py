"""Checking the folder of one run: its files against its manifest, its ledger, and the seals that cover it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from vmforensics.custody.evidence_check import compare_evidence
from vmforensics.custody.file_check import Witness, compare_files
from vmforensics.custody.findings import Finding, FindingKind, shown
from vmforensics.custody.ledger import LEDGER_NAME, RUN_FAILED, RUN_FINISHED, RUN_INTERRUPTED
from vmforensics.custody.ledger_check import Found, LedgerReading, is_held, read_chain
from vmforensics.custody.listing import list_folder, what_is_odd
from vmforensics.custody.manifest import MANIFEST_NAME, scan_manifest
from vmforensics.custody.reader import Reader
from vmforensics.custody.run_folder import PARTIAL_PREFIX
from vmforensics.custody.seal import SEALS_NAME
from vmforensics.custody.seal_check import SealCheck, Trust, anchor_of
from vmforensics.custody.verification import RunStatus, Verification
from vmforensics.errors import CustodyError

_ENDINGS = {
    RUN_FINISHED: RunStatus.FINISHED,
    RUN_FAILED: RunStatus.FAILED,
    RUN_INTERRUPTED: RunStatus.INTERRUPTED,
}


def check_run(
    folder: Path,
    reader: Reader,
    trust: Trust,
    *,
    evidence: bool,
    covered: Sequence[Witness] = (),
) -> Verification:
    """Check the folder of a run.

    Parameters
    ----------
    folder
        The folder.
    reader
        Reads files.
    trust
        Whom to rely on.
    evidence
        Whether to read the evidence too.
    covered
        The seals of folders around this one, as far as they speak of its files.

    Raises
    ------
    CustodyError
        It is no folder, or can't be listed.
    """
    findings: list[Finding] = []
    notes: list[str] = []

    def found(kind: FindingKind, where: str, message: str) -> None:
        findings.append(Finding(kind, shown(where), message))

    names, has_seals = _regular_files(folder, found)
    below = {path: size for path, size in list_folder(folder, skip=_left_by_sealing).files.items() if "/" in path}
    seals = SealCheck(folder, reader, found, notes.append, trust) if has_seals else None
    standing = seals.standing[-1] if seals and seals.standing else None
    reading, status = _read_ledger(folder, reader, found, present=LEDGER_NAME in names)
    listed = _read_manifest(folder, found, present=MANIFEST_NAME in names, status=status)
    witnesses = [*_record(listed, reading, below, found), *covered]
    if standing is not None:
        sealed = {name: {sha256} for name, sha256 in standing.listed.items()}
        witnesses.append(Witness(standing.name, sealed, sealed=True))
    told = {LEDGER_NAME, MANIFEST_NAME}
    compared = compare_files(folder, names.keys() | below, witnesses, reader, found, told=told)
    if status is RunStatus.UNFINISHED:
        findings, excused = _excused(folder, findings, [each for each in witnesses if each.sealed], reader)
        notes += excused
    read: list[str] = []
    if evidence:
        if not reading.materials and status is RunStatus.FINISHED:
            found(FindingKind.EVIDENCE_MISSING, LEDGER_NAME, "the ledger doesn't say which evidence was read")
        read = compare_evidence(folder, reading.materials, reader, found)
    manifest = None
    if MANIFEST_NAME in names:
        try:
            manifest = reader.sha256(folder / MANIFEST_NAME)
            reader.saw(manifest)
        except OSError as error:
            found(FindingKind.UNREADABLE, MANIFEST_NAME, f"can't be read: {error.strerror}")
    return Verification(
        findings=tuple(findings),
        status=status,
        head=reading.head,
        manifest_sha256=manifest,
        entries=reading.entries,
        files=compared,
        exhibits=len(read),
        evidence_read=tuple(read),
        limits=(),
        notes=(*reading.notes, *notes),
        seals=tuple(seals.verdicts) if seals else (),
        anchor=anchor_of(standing, folder, names | below, reader) if standing is not None else None,
        implementations=tuple(reading.implementations),
    )


def _regular_files(folder: Path, found: Found) -> tuple[dict[str, int], bool]:
    """A run's regular files with their sizes, and whether there are seals; anything else is a finding."""
    names: dict[str, int] = {}
    has_seals = False
    try:
        items = sorted(os.scandir(folder), key=lambda item: os.fsencode(item.name))
    except OSError as error:
        raise CustodyError(
            f"{folder}: can't be read as a run folder: {error.strerror}", hint="name the folder of a run or a case"
        ) from error
    for item in items:
        if what := what_is_odd(item):
            message = "; a run leaves none, and it isn't followed" if item.is_symlink() else ""
            found(FindingKind.ADDED, item.name, f"is {what}{message}")
        elif not item.is_dir(follow_symlinks=False):
            names[item.name] = item.stat(follow_symlinks=False).st_size
        elif item.name == SEALS_NAME:
            has_seals = True
        else:
            left = item.name.startswith(PARTIAL_PREFIX)
            message = "was left by a run that ended abruptly" if left else "is a folder; a run leaves none"
            found(FindingKind.ADDED, item.name, message)
    return names, has_seals


def _left_by_sealing(path: str) -> bool:
    return path.startswith(f"{SEALS_NAME}/{PARTIAL_PREFIX}")


def _excused(
    folder: Path, findings: list[Finding], seals: Sequence[Witness], reader: Reader
) -> tuple[list[Finding], list[str]]:
    """Tell what a crash leaves from what was done later, where a seal shows that it was so when it was made.

    Returns
    -------
    tuple
        The deviations that remain, and notes on the others.
    """
    try:
        ledger = reader.sha256(folder / LEDGER_NAME)
    except OSError:
        return findings, []
    vouching = [seal for seal in seals if seal.digests.get(LEDGER_NAME) == {ledger}]
    if not vouching:
        return findings, []
    covered = {shown(name) for seal in vouching for name in seal.digests}

    def is_left(found: Finding) -> bool:
        if found.kind is FindingKind.MISSING:
            return found.where == MANIFEST_NAME not in covered
        if found.kind is FindingKind.ADDED:
            inside = any(name == found.where or name.startswith(f"{found.where}/") for name in covered)
            return inside or found.where.startswith(PARTIAL_PREFIX)  # which may be empty, and so in no manifest
        return found.kind in (FindingKind.UNFINISHED, FindingKind.TORN)

    notes = [f"{f.where}: {f.message}; it was so when it was sealed" for f in findings if is_left(f)]
    return [found for found in findings if not is_left(found)], notes


def _read_ledger(folder: Path, reader: Reader, found: Found, *, present: bool) -> tuple[LedgerReading, RunStatus]:
    """What the ledger says, and how the run ended by it."""
    if not present:
        found(FindingKind.MISSING, LEDGER_NAME, "the ledger isn't there; nothing tells what the run did")
        return LedgerReading(), RunStatus.UNFINISHED
    reading = read_chain(folder / LEDGER_NAME, found, reader.saw)
    last = reading.last
    status = _ENDINGS.get(last.event, RunStatus.UNFINISHED) if last else RunStatus.UNFINISHED
    if status is RunStatus.UNFINISHED:
        if is_held(folder / LEDGER_NAME):
            why = "the run is still going on: a process is writing to the ledger"
        else:
            ends = f"ends with {shown(last.event)!r}" if last else "holds no entry at its end"
            why = f"the run did not finish, or the ledger's end was cut off: it {ends}, not with the end of a run"
        found(FindingKind.UNFINISHED, LEDGER_NAME, why)
    return reading, status


def _read_manifest(folder: Path, found: Found, *, present: bool, status: RunStatus) -> dict[str, str] | None:
    """The digests that the manifest lists, None where there is no manifest."""
    if not present:
        why = "; the run ended before it was written" if status is RunStatus.UNFINISHED else ""
        found(FindingKind.MISSING, MANIFEST_NAME, f"the manifest isn't there{why}")
        return None
    listed: dict[str, str] = {}
    try:
        for line in scan_manifest(folder / MANIFEST_NAME):
            if line.problem:
                message = f"this line of the manifest {line.problem}"
                found(FindingKind.MALFORMED, f"{MANIFEST_NAME}:{line.number}", message)
            if line.name:
                listed.setdefault(line.name, line.sha256)
    except OSError as error:
        found(FindingKind.UNREADABLE, MANIFEST_NAME, f"can't be read: {error.strerror}")
        return None
    return listed


def _record(
    listed: dict[str, str] | None, reading: LedgerReading, below: Mapping[str, int], found: Found
) -> list[Witness]:
    """The manifest and the ledger as witnesses; of files of seals, and what else lies deeper, they can't know."""
    products = {name: set(digests) for name, digests in reading.products.items()}
    if listed is not None and listed.pop(MANIFEST_NAME, ""):
        found(FindingKind.MALFORMED, MANIFEST_NAME, "the manifest lists itself, which it can't")
    if products.pop(MANIFEST_NAME, set()):
        found(FindingKind.MALFORMED, LEDGER_NAME, "the ledger records the manifest, which is written after it")
    witnesses = []
    if listed is not None:
        digests = {name: {sha256} for name, sha256 in listed.items()}
        witnesses.append(Witness("manifest", digests, complete=True, exempt={MANIFEST_NAME, *below}))
    witnesses.append(Witness("ledger", products, complete=True, exempt={LEDGER_NAME, MANIFEST_NAME, *below}))
    return witnesses
