"""Whether the records of a case folder have the form that their schemas ask for, for `verify`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vmforensics.casefolder.folder import CaseFolder
from vmforensics.casefolder.records import ExhibitRecord, NoteRecord, Record, read_record
from vmforensics.custody import Finding, FindingKind, Verification
from vmforensics.errors import CustodyError, VmforensicsError

_KINDS: dict[str, type[Record]] = {"exhibits": ExhibitRecord, "notes": NoteRecord}


def with_forms(found: Verification, folder: Path) -> Verification:
    """What a verification found, and each exhibit's or note's record that isn't of its form.

    Parameters
    ----------
    found
        Of a folder, whatever it is; that of a run is returned as it is.
    folder
        The same folder.
    """
    if found.status is not None:
        return found
    parts = {path: with_forms(part, folder / path) for path, part in found.parts.items()}
    return replace(found, findings=(*found.findings, *_misfits(folder)), parts=parts)


def _misfits(folder: Path) -> list[Finding]:
    try:
        case = CaseFolder.open(folder)
    except VmforensicsError:  # no case, and then it has no records
        return []
    findings = []
    for name, kind in _KINDS.items():
        try:
            files = case.record_files(name)
        except CustodyError as error:
            findings.append(Finding(FindingKind.UNREADABLE, name, error.message))
            continue
        for file in files:
            try:
                read_record(kind, file)
            except CustodyError as error:
                message = f"isn't a record as its schema asks for: {error.message}"
                findings.append(Finding(FindingKind.MALFORMED, f"{name}/{file.name}", message))
    return findings
