"""Checking files against all that speak of them: a manifest, a ledger, seals."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from vmforensics.custody.findings import FindingKind, lookalike, shown
from vmforensics.custody.ledger_check import Found
from vmforensics.custody.reader import Reader


@dataclass(frozen=True, slots=True)
class Witness:
    """Something that says what files a folder holds.

    Parameters
    ----------
    name : str
        What it is, as messages call it.
    digests : mapping
        For each file, every SHA-256 that it is said to have.
    complete : bool
        Whether a file that it doesn't name is a deviation.
    exempt : set of str
        Files of which it can't know.
    sealed : bool
        Whether it is signed: a seal.
    """

    name: str
    digests: Mapping[str, Set[str]]
    complete: bool = False
    exempt: Set[str] = frozenset()
    sealed: bool = False


def compare_files(
    folder: Path,
    present: Collection[str],
    witnesses: Sequence[Witness],
    reader: Reader,
    found: Found,
    *,
    told: Set[str] = frozenset(),
) -> int:
    """Hold every file of a folder against all that speak of it.

    Parameters
    ----------
    folder
        The folder.
    present
        Names of the regular files in it. A name that witnesses make up is never opened.
    witnesses
        What speaks of them.
    reader
        Reads files.
    found
        Told of every deviation.
    told
        Names whose absence was told already.

    Returns
    -------
    int
        Number of files that were compared.
    """
    present = set(present)
    named = {name for witness in witnesses for name in witness.digests}
    missing = named - present
    compared = 0
    for name in sorted(named | present, key=lambda name: name.encode("utf-8", "surrogatepass")):
        knowing = [witness for witness in witnesses if name in witness.digests]
        if name not in present:
            if name not in told:
                stands = " and the ".join(witness.name for witness in knowing)
                found(FindingKind.MISSING, name, f"isn't there, but stands in the {stands}")
            continue
        unknowing = [w for w in witnesses if w.complete and name not in w.digests and name not in w.exempt]
        if unknowing:
            stands = " nor in the ".join(witness.name for witness in unknowing)
            hint = _resemblance(folder, name, missing, witnesses, reader) if not knowing else ""
            found(FindingKind.ADDED, name, f"doesn't stand in the {stands}{hint}")
        if not knowing:
            continue
        try:
            digest = reader.sha256(folder / name)
        except OSError as error:
            found(FindingKind.UNREADABLE, name, f"can't be read: {error.strerror}")
            continue
        compared += 1
        if differing := [witness.name for witness in knowing if witness.digests[name] != {digest}]:
            whom = " and the ".join(differing)
            message = f"has other content than the {whom} recorded; its SHA-256 is now {digest}"
            found(FindingKind.CHANGED, name, message)
    return compared


def _resemblance(folder: Path, name: str, missing: Set[str], witnesses: Sequence[Witness], reader: Reader) -> str:
    """What an unknown file has to do with a missing one, to be added to what is said of it; "" if nothing."""
    if not missing:
        return ""
    try:
        digest = reader.sha256(folder / name)
    except OSError:
        return ""
    ordered = sorted(missing, key=os.fsencode)
    for other in ordered:
        if any(digest in witness.digests.get(other, ()) for witness in witnesses):
            return f"; it has the content of the missing {shown(other)!r}, so that one was renamed"
    alike = lookalike(name, ordered)
    return f"; its name looks like that of the missing {shown(alike)!r}, but is {name!a}" if alike else ""
