"""Checking evidence: whether the exhibits that a ledger names are still what they were."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vmforensics.custody.digest import EvidenceDigest, FileDigest, differences
from vmforensics.custody.entries import is_sha256
from vmforensics.custody.findings import FindingKind, shown
from vmforensics.custody.ledger_check import Found
from vmforensics.custody.reader import Reader
from vmforensics.errors import EvidenceMissing, EvidenceUnreadable


def compare_evidence(
    folder: Path,
    materials: Sequence[Mapping[str, Any]],
    reader: Reader,
    found: Found,
    *,
    once: str = "what the run read",
) -> list[str]:
    """Digest every exhibit that a ledger names, and hold it against what it was.

    Parameters
    ----------
    folder
        The ledger's folder, from which exhibits are found again.
    materials
        The exhibits, as entries record them.
    reader
        Reads them.
    found
        Told of every deviation.
    once
        What the exhibits were, as messages call it.

    Returns
    -------
    list of str
        Where the exhibits were found that could be read.
    """
    read: list[str] = []
    told: set[Path] = set()
    exhibits: dict[tuple[str, str], Mapping[str, Any]] = {}  # one may be recorded before and after the run
    for each in materials:
        exhibits.setdefault((each["path"], each["sha256"]), each)
    for each in exhibits.values():
        identifier = each.get("id")
        name = identifier if isinstance(identifier, str) else each["path"]
        path = _locate(folder, each)
        if path is None:
            message = f"the evidence isn't at {shown(each['path'])!r}, nor at its place relative to this folder"
            found(FindingKind.EVIDENCE_MISSING, name, message)
            continue
        if path in told:
            continue
        try:
            now = reader.exhibit(path)
        except (EvidenceMissing, EvidenceUnreadable) as error:
            told.add(path)
            found(FindingKind.UNREADABLE, name, f"the evidence can't be read: {shown(error.message)}")
            continue
        if (shortest := os.path.normpath(path)) not in read:  # no link is among the folders that it goes up through
            read.append(shortest)
        if now.sha256 != each["sha256"]:
            how = "; ".join(differences(_recorded(each), now)) or "its content is another"
            message = f"the evidence at {shown(os.path.normpath(path))!r} isn't {once}: {shown(how)}"
            found(FindingKind.EVIDENCE_CHANGED, name, message)
    return read


def _locate(folder: Path, recorded: Mapping[str, Any]) -> Path | None:
    """Where an exhibit lies now: at its place relative to the folder, or where it was."""
    base = Path(os.path.realpath(folder))
    relative, absolute = recorded.get("relative_path"), recorded["path"]
    places = [base / relative] if isinstance(relative, str) else []
    for place in (*places, Path(absolute)):
        for path in (place, Path(_original_name(str(place)))):
            try:
                mode = path.stat().st_mode
            except (OSError, ValueError):  # not there, out of reach, too long, or with a null in it
                continue
            if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
                return path
    return None


def _recorded(material: Mapping[str, Any]) -> EvidenceDigest:
    """The digests that an entry recorded of an exhibit, as far as they are well-formed."""
    return EvidenceDigest(tuple(_recorded_files(material)), material["sha256"])


def _recorded_files(material: Mapping[str, Any]) -> Iterator[FileDigest]:
    files = material.get("files")
    for file in files if isinstance(files, list) else []:
        if isinstance(file, dict) and isinstance(file.get("name"), str) and is_sha256(file.get("sha256")):
            yield FileDigest(_original_name(file["name"]), 0, file["sha256"])


def _original_name(text: str) -> str:
    """A file name whose bytes that are no text stand as the ledger escaped them, as the file system knows it."""
    return re.sub(r"\\udc([89a-f][0-9a-f])", lambda escape: chr(0xDC00 + int(escape[1], 16)), text)
