"""Checking a ledger: whether its lines form a chain, and what they record."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vmforensics.custody.entries import FIRST_PREV, Entry, ScannedLine, is_sha256, scan_ledger
from vmforensics.custody.findings import FindingKind
from vmforensics.custody.ledger import LEDGER_NAME, LEDGER_RECOVERED, SEALING
from vmforensics.custody.opening import open_regular

Found = Callable[[FindingKind, str, str], None]
"""Takes a finding: its kind, its place, and what is wrong."""

_PREV_UNEXPECTED = (
    "this line is the first, but refers to a line before it: the ledger's beginning was taken off or changed"
)
_PREV_WRONG = (
    "this line's `prev` isn't the SHA-256 of the line before: one of them was changed, put in, taken out or moved"
)


@dataclass(slots=True)
class LedgerReading:
    """What a ledger says, as far as it can be read.

    Parameters
    ----------
    head : str or None
        SHA-256 of the last whole line.
    entries : int
        Number of sound lines.
    lines : int
        Number of whole lines.
    last : Entry or None
        The last whole line, if it is sound.
    products : dict
        The digests that were recorded of each file, in order.
    materials : list
        The exhibits that were recorded.
    run_heads : dict
        SHA-256 of the last line of a run's ledger as it was recorded last, by the run's path.
    sealings : dict
        Line on which each seal, by its number, was announced last.
    implementations : list
        The stages that took part.
    notes : list of str
        Recoveries after a crash.
    """

    head: str | None = None
    entries: int = 0
    lines: int = 0
    last: Entry | None = None
    products: dict[str, list[str]] = field(default_factory=dict)
    materials: list[Mapping[str, Any]] = field(default_factory=list)
    run_heads: dict[str, str] = field(default_factory=dict)
    sealings: dict[int, int] = field(default_factory=dict)
    implementations: list[Mapping[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_chain(path: Path, found: Found, saw: Callable[[str], None]) -> LedgerReading:
    """Read a ledger that may hold anything.

    Parameters
    ----------
    path
        The ledger, a regular file.
    found
        Told of every deviation.
    saw
        Told the digest of every line.
    """
    reading = LedgerReading()
    seq = 0
    try:
        for line in scan_ledger(path):
            where = f"{LEDGER_NAME}:{line.number}"
            if line.torn:
                if is_held(path):
                    reading.notes.append("a process is writing to the ledger just now; its last line isn't whole yet")
                    continue
                message = "the last line is cut short, as a crash or a full disk leaves it; it isn't counted"
                found(FindingKind.TORN, where, message)
                continue
            seq = _follow(line, reading, seq, where, found)
            saw(line.digest)
    except OSError as error:
        found(FindingKind.UNREADABLE, LEDGER_NAME, f"can't be read: {error.strerror}")
    return reading


def is_held(path: Path) -> bool:
    """Whether a process has a ledger open for writing."""
    try:
        with open_regular(path) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no locks on this file system, say
        return False
    return False


def _follow(line: ScannedLine, reading: LedgerReading, seq: int, where: str, found: Found) -> int:
    """Hold a whole line against the one before, take what it records, and give its number."""
    seq += 1
    if line.entry is None:
        found(FindingKind.MALFORMED, where, f"this line {line.problem}")
    else:
        reading.entries += 1
        if line.entry.prev != (reading.head or FIRST_PREV):
            found(FindingKind.BROKEN_CHAIN, where, _PREV_WRONG if reading.head else _PREV_UNEXPECTED)
        if line.entry.seq != seq:
            message = f"this line has the number {line.entry.seq} where {seq} follows"
            found(FindingKind.BROKEN_CHAIN, where, message)
        seq = line.entry.seq
        _gather(line.entry, where, reading, found)
    reading.last, reading.head, reading.lines = line.entry, line.digest, reading.lines + 1
    return seq


def _gather(entry: Entry, where: str, reading: LedgerReading, found: Found) -> None:
    """Take what an entry says of products, materials and stages."""
    products = entry.fields.get("products", {})
    if isinstance(products, dict) and all(is_sha256(sha256) for sha256 in products.values()):
        for name, sha256 in products.items():
            reading.products.setdefault(name, []).append(sha256)
    else:
        found(FindingKind.MALFORMED, where, "its products aren't file names with a SHA-256 each")
    materials = entry.fields.get("materials", [])
    for each in materials if isinstance(materials, list) else [None]:
        if isinstance(each, dict) and is_sha256(each.get("sha256")) and isinstance(each.get("path"), str):
            reading.materials.append(each)
        else:
            found(FindingKind.MALFORMED, where, "its materials aren't exhibits with a path and a SHA-256 each")
    run, run_head = entry.fields.get("run"), entry.fields.get("run_head_sha256")
    if isinstance(run, str) and is_sha256(run_head):
        reading.run_heads[run] = str(run_head)
    if entry.event == SEALING and isinstance(number := entry.fields.get("seal"), int):
        reading.sealings[number] = entry.seq
    if isinstance(implementation := entry.fields.get("implementation"), dict):
        reading.implementations.append(implementation)
    if entry.event == LEDGER_RECOVERED:
        reading.notes.append(
            f"line {entry.seq} of the ledger, {entry.time}: a line that a crash had cut short was set aside; "
            "what it was to record may have been done or not"
        )
