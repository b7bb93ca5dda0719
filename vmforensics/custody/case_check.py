"""Checking a folder that holds several runs, as a case does: its own ledger and seals, and every run below it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vmforensics.custody.entries import scan_ledger
from vmforensics.custody.evidence_check import compare_evidence
from vmforensics.custody.file_check import Witness, compare_files
from vmforensics.custody.findings import Finding, FindingKind, shown
from vmforensics.custody.ledger import LEDGER_NAME, RUN_STARTED
from vmforensics.custody.ledger_check import Found, LedgerReading, read_chain
from vmforensics.custody.listing import Listing, list_folder
from vmforensics.custody.manifest import MANIFEST_NAME
from vmforensics.custody.reader import Reader
from vmforensics.custody.run_folder import EVIDENCE_FOLDERS, PARTIAL_PREFIX
from vmforensics.custody.seal import SEALS_NAME, ledger_grows
from vmforensics.custody.seal_check import CheckedSeal, SealCheck, Trust, anchor_of, ledger_beginnings
from vmforensics.custody.verification import Verification

_RUNS_FOLDERS = frozenset({"runs", "calibrations"})
_RECORD = re.compile(r"(exhibits|notes)/[^/]+\.json")
_DEEPEST = 16
_MOST_NUMBERS = 10_000
"""Bounds on what a hostile folder makes its reader do."""

CheckPart = Callable[[Path, Sequence[Witness]], Verification]
"""Checks a part of a case, given what the case's ledger and seals say of it."""


def is_case(folder: Path) -> bool:
    """Whether a folder is to be checked as one that holds runs, rather than as a run.

    A run has a manifest, or a ledger that begins with the start of a run, and no folders but its seals.
    """
    if os.path.lexists(folder / MANIFEST_NAME):
        return False
    with contextlib.suppress(OSError):
        if ledger_grows(folder / LEDGER_NAME):
            return True
    return bool(_subfolders(folder)) and not _begins_as_run(folder)


def check_case(
    folder: Path,
    reader: Reader,
    trust: Trust,
    check_part: CheckPart,
    *,
    evidence: bool,
    covered: Sequence[Witness] = (),
) -> Verification:
    """Check a folder that holds runs.

    Parameters
    ----------
    folder
        The folder.
    reader
        Reads files.
    trust
        Whom to rely on.
    check_part
        Checks a run in it, or a case.
    evidence
        Whether to read the evidence that the folder's own ledger names.
    covered
        The ledgers and seals of folders around this one, as far as they speak of its files.

    Raises
    ------
    CustodyError
        It can't be listed.
    """
    findings: list[Finding] = []
    notes: list[str] = []

    def found(kind: FindingKind, where: str, message: str) -> None:
        findings.append(Finding(kind, shown(where), message))

    listing = list_folder(folder)
    seals = SealCheck(folder, reader, found, notes.append, trust)
    seal = seals.standing[-1] if seals.standing else None
    ledger_beginnings(folder, seals.standing, listing.files, found)
    own = LEDGER_NAME in listing.files
    reading = read_chain(folder / LEDGER_NAME, found, reader.saw) if own else LedgerReading()
    made = {verdict.where for verdict in seals.verdicts}
    for number, line in reading.sealings.items():
        if f"{SEALS_NAME}/{number:03d}" not in made:
            notes.append(
                f"line {line} of the ledger says that seal {number:03d} was to be made, and it isn't there: the "
                "sealing came to nothing, or the seal was taken away"
            )
    for path, why in listing.unreadable.items():
        if path != SEALS_NAME and not path.startswith(f"{SEALS_NAME}/"):  # which are told of where they are looked at
            found(FindingKind.UNREADABLE, path, f"can't be read as a folder: {why}")
    parts = [part for part in _parts(folder, listing, notes) if part not in listing.unreadable]
    _odd(listing, parts, seal is not None, notes, found)
    witnesses = [*covered]
    if own:
        witnesses.append(_ledger_as_witness(reading, listing.files))
    if seal is not None:
        witnesses.append(_sealed(seal, listing.files))
    outside = {name for name in listing.files if _part_of(name, parts) is None}
    compared = compare_files(folder, outside, [_outside(each, parts) for each in witnesses], reader, found)
    checked = {part: check_part(folder / part, [_inside(each, part) for each in witnesses]) for part in parts}
    _compare_heads(reading.run_heads, checked, found)
    exhibits = [_working_copy(folder, each) for each in _latest(reading.materials)] if evidence else []
    read = compare_evidence(folder, exhibits, reader, found, once="what was taken in")
    return Verification(
        findings=tuple(findings),
        status=None,
        head=reading.head,
        manifest_sha256=None,
        entries=reading.entries,
        files=compared,
        exhibits=len(read),
        evidence_read=tuple(read),
        limits=(),
        notes=(*reading.notes, *notes),
        seals=tuple(seals.verdicts),
        anchor=anchor_of(seal, folder, listing.files, reader) if seal is not None else None,
        parts=checked,
    )


def _begins_as_run(folder: Path) -> bool:
    try:
        first = next(scan_ledger(folder / LEDGER_NAME), None)
    except OSError:
        return False
    return first is not None and first.entry is not None and first.entry.event == RUN_STARTED


def _subfolders(folder: Path) -> list[str]:
    """Names of a folder's subfolders that aren't seals or leftovers; none where it can't be listed."""
    try:
        names = [item.name for item in os.scandir(folder) if item.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return sorted((n for n in names if n != SEALS_NAME and not n.startswith(PARTIAL_PREFIX)), key=os.fsencode)


def _parts(folder: Path, listing: Listing, notes: list[str]) -> list[str]:
    """Paths of the runs in a folder, and of the cases; a number that is left out is noted."""
    parts: list[str] = []
    ahead = [""]
    while ahead:
        prefix = ahead.pop()
        names = [name for name in _subfolders(folder / prefix) if name.lower() not in EVIDENCE_FOLDERS]
        numbered = Path(prefix).name in _RUNS_FOLDERS
        if numbered:
            notes += _gaps(prefix, names)
        for name in names:
            path = prefix + name
            if any(os.path.lexists(folder / path / each) for each in (LEDGER_NAME, MANIFEST_NAME)):
                parts.append(path)
            elif numbered and not _subfolders(folder / path):
                if any(name.startswith(f"{path}/") for name in (*listing.files, *listing.odd)):
                    parts.append(path)  # it lost its record
                elif path not in listing.unreadable:
                    notes.append(f"{shown(path)} is empty: nothing was recorded there")
            elif path.count("/") < _DEEPEST:
                ahead.append(path + "/")
    return sorted(parts, key=os.fsencode)


def _gaps(prefix: str, names: Sequence[str]) -> Iterator[str]:
    """Tell the numbers of runs that are left out; they are given one after another, unless somebody names a folder."""
    numbers = {int(name) for name in names if re.fullmatch(r"[0-9]{3,9}", name)}
    if numbers and len(numbers) < max(numbers) <= _MOST_NUMBERS:
        for number in sorted(set(range(1, max(numbers))) - numbers):
            there = f"though {max(numbers):03d} is"
            yield f"{shown(prefix)}{number:03d} isn't there, {there}: it was taken away, or never made"


def _odd(listing: Listing, parts: Sequence[str], sealed: bool, notes: list[str], found: Found) -> None:
    """Tell what is neither file nor folder; that in a run or among the seals is told there."""
    for path, what in listing.odd.items():
        if _part_of(path, parts) is not None or path.startswith(f"{SEALS_NAME}/"):
            continue
        if not sealed and {*path.lower().split("/")[:-1]} & EVIDENCE_FOLDERS:
            notes.append(f"{shown(path)} is {what}; what it leads to isn't part of this folder")
        else:
            found(FindingKind.ADDED, path, f"is {what}, which isn't followed")


def _sealed(seal: CheckedSeal, present: Mapping[str, int]) -> Witness:
    """A seal as a witness; ledgers that may grow are held against it by their beginnings, if they are there."""
    grown = {name for name, at in seal.statement.ledgers.items() if at.grows and name in present}
    return Witness(seal.name, {n: {sha256} for n, sha256 in seal.listed.items() if n not in grown}, sealed=True)


def _part_of(path: str, parts: Sequence[str]) -> str | None:
    return next((part for part in parts if path.startswith(f"{part}/")), None)


def _outside(witness: Witness, parts: Sequence[str]) -> Witness:
    """What a witness says of files that are in none of the parts."""
    inside = {name: digests for name, digests in witness.digests.items() if _part_of(name, parts) is None}
    return replace(witness, digests=inside)


def _inside(witness: Witness, part: str) -> Witness:
    """What a witness says of the files of a part."""
    prefix = f"{part}/"
    name = witness.name if witness.name.startswith("case's ") else f"case's {witness.name}"
    inside = {n.removeprefix(prefix): d for n, d in witness.digests.items() if n.startswith(prefix)}
    return Witness(name, inside, sealed=witness.sealed)


def _ledger_as_witness(reading: LedgerReading, present: Iterable[str]) -> Witness:
    """A case's ledger as a witness; it knows every record of an exhibit and every note, and of other files some."""
    others = {name for name in present if not _RECORD.fullmatch(name)}
    digests = {name: {each[-1]} for name, each in reading.products.items()}
    return Witness("case's ledger", digests, complete=True, exempt=others)


def _compare_heads(recorded: Mapping[str, str], checked: Mapping[str, Verification], found: Found) -> None:
    """Hold the runs against the heads that the case's ledger recorded of them."""
    for run, head in recorded.items():
        if run not in checked:
            found(FindingKind.MISSING, run, "isn't there, but the case's ledger records it as a run")
        elif checked[run].head != head:
            message = (
                f"isn't the run that the case's ledger recorded: its ledger ends with {checked[run].head}, "
                f"recorded was {head}"
            )
            found(FindingKind.CHANGED, run, message)


def _working_copy(folder: Path, material: Mapping[str, Any]) -> Mapping[str, Any]:
    """An exhibit as recorded, to be looked for first at the place of its working copy (`evidence/MARK/`)."""
    mark = material.get("id")
    if not isinstance(mark, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", mark):
        return material
    copy = folder / "evidence" / mark
    if copy.is_symlink() or not copy.is_dir():
        return material
    single = copy / Path(material["path"]).name
    place = single if single.is_file() and not single.is_symlink() else copy
    return {**material, "relative_path": os.path.relpath(place, folder)}


def _latest(materials: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Of each exhibit, what a case's ledger said last: a working copy may have been moved since."""
    last = {str(each.get("id") or each["path"]): each for each in materials}
    return list(last.values())
