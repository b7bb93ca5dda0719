"""The lines of a ledger: what one is, and how a file of them is read, whatever it holds.

Each line is an object in canonical form (RFC 8785) that holds, as `prev`, the SHA-256 of the whole line before it,
its newline included; so `sed -n 3p ledger.jsonl | sha256sum` gives the `prev` of line 4. Line n has `seq` n.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import rfc8785

from vmforensics.custody.opening import open_regular
from vmforensics.errors import CustodyError

LEDGER_FORMAT = "vmforensics-ledger/1"
FIRST_PREV = "0" * 64
"""What the first line, which has none before it, says in `prev`."""

OWN_FIELDS = ("format", "seq", "time", "prev", "event")
"""What every line holds."""

LONGEST_LINE = 64 * 2**20
"""Bytes; a bound on what a hostile ledger makes its reader hold."""

LARGEST_INTEGER = 2**53 - 1
"""The largest integer that JSON numbers hold exactly."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a ledger.

    Parameters
    ----------
    seq : int
        Its number, from 1.
    time : str
        When it was written, UTC, by the clock of the computer.
    prev : str
        SHA-256 of the line before, `FIRST_PREV` for the first.
    event : str
        What happened.
    fields : mapping
        All else the line says, JSON values.
    digest : str
        SHA-256 of this line, newline included.
    """

    seq: int
    time: str
    prev: str
    event: str
    fields: Mapping[str, Any]
    digest: str


@dataclass(frozen=True, slots=True)
class ScannedLine:
    """One line of a ledger as found, sound or not.

    Parameters
    ----------
    number : int
        Its number in the file, from 1.
    size : int
        Its length in bytes, newline included.
    digest : str
        SHA-256 of its bytes, newline included.
    entry : Entry or None
        What it says; None for one that can't be read.
    problem : str
        What is wrong with it, "" for a sound one.
    torn : bool
        Whether it is cut short, as a crash leaves the last line.
    """

    number: int
    size: int
    digest: str
    entry: Entry | None
    problem: str = ""
    torn: bool = False


def scan_ledger(path: Path) -> Iterator[ScannedLine]:
    """Read a ledger that may hold anything, line by line; whether the lines form a chain isn't looked at.

    Raises
    ------
    OSError
        The file can't be read, or is no regular file.
    """
    with open_regular(path) as file:
        yield from scan_lines(file)


def scan_lines(file: BinaryIO) -> Iterator[ScannedLine]:
    """Read lines from an open ledger; as `scan_ledger`."""
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            size, digest = _to_newline(file, line)
            yield ScannedLine(number, size, digest, None, f"is longer than {LONGEST_LINE} bytes")
            continue
        digest = hashlib.sha256(line).hexdigest()
        if not line.endswith(b"\n"):
            yield ScannedLine(number, len(line), digest, None, "is cut short", torn=True)
            continue
        entry = _parsed(line, digest)
        if isinstance(entry, Entry):
            yield ScannedLine(number, len(line), digest, entry)
        else:
            yield ScannedLine(number, len(line), digest, None, entry)


def read_ledger(path: Path) -> list[Entry]:
    """Read a ledger's entries; a last line that a crash cut short is left out.

    Raises
    ------
    CustodyError
        It can't be read, or a line isn't an entry; `verify` tells all that is wrong.
    """
    entries = []
    try:
        for line in scan_ledger(path):
            if line.entry is not None:
                entries.append(line.entry)
            elif not line.torn:
                raise CustodyError(f"{path}:{line.number}: this line of the ledger {line.problem}")
    except OSError as error:
        raise CustodyError(f"{path}: the ledger can't be read: {error.strerror}") from error
    return entries


def _to_newline(file: BinaryIO, begun: bytes) -> tuple[int, str]:
    """Size and digest of a line of which the beginning was read."""
    digest = hashlib.sha256(begun)
    size = len(begun)
    while begun and not begun.endswith(b"\n"):
        begun = file.readline(2**20)
        digest.update(begun)
        size += len(begun)
    return size, digest.hexdigest()


def _number(text: str) -> int | float:
    """An integer as RFC 8785 understands it: a double beyond 2^53 - 1."""
    return int(text) if len(text) < 16 or abs(int(text[:20])) <= LARGEST_INTEGER else float(text)


def _parsed(line: bytes, digest: str) -> Entry | str:
    """The entry that a whole line holds, or what is wrong with it."""
    try:
        fields = json.loads(line[:-1].decode(), parse_int=_number)
        canonical = rfc8785.dumps(fields) == line[:-1]
    except (ValueError, RecursionError):
        return "isn't JSON that a ledger may hold"
    if not isinstance(fields, dict):
        return "isn't a JSON object"
    if not canonical:
        return "isn't in canonical form (RFC 8785)"
    if fields.pop("format", None) != LEDGER_FORMAT:
        return f"isn't of the format {LEDGER_FORMAT}"
    own = {name: fields.pop(name, None) for name in ("seq", "time", "prev", "event")}
    checks: dict[str, Callable[[Any], bool]] = {
        "seq": lambda value: isinstance(value, int) and not isinstance(value, bool) and value > 0,
        "time": lambda value: isinstance(value, str),
        "prev": is_sha256,
        "event": lambda value: isinstance(value, str),
    }
    if bad := [name for name, sound in checks.items() if not sound(own[name])]:
        return f"has no proper {', '.join(bad)}"
    return Entry(**own, fields=fields, digest=digest)


def is_sha256(value: object) -> bool:
    """Whether a value is a SHA-256 as the ledger writes it: 64 lower-case hexadecimal digits."""
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None
