"""The ledger: what was done, in order, as an append-only chain of JSON lines.

Each line is an object in canonical form (RFC 8785) that holds, as `prev`, the SHA-256 of the whole line before it,
its newline included; so `sed -n 3p ledger.jsonl | sha256sum` gives the `prev` of line 4. Line n has `seq` n.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import math
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, BinaryIO, NoReturn, Self

import numpy as np
import rfc8785

from vmforensics.custody.digest import EvidenceDigest
from vmforensics.data import Evidence
from vmforensics.errors import CustodyError, OutputError, VmforensicsError

LEDGER_NAME = "ledger.jsonl"
LEDGER_FORMAT = "vmforensics-ledger/1"
FIRST_PREV = "0" * 64
"""What the first line, which has none before it, says in `prev`."""

RUN_STARTED = "run-started"
RUN_FINISHED = "run-finished"
RUN_FAILED = "run-failed"
RUN_INTERRUPTED = "run-interrupted"
STEP_STARTED = "step-started"
STEP_FINISHED = "step-finished"
STEP_FAILED = "step-failed"
STEP_INTERRUPTED = "step-interrupted"
EVIDENCE_DIGESTED = "evidence-digested"
ARTEFACTS_PUBLISHED = "artefacts-published"

_OWN_FIELDS = frozenset({"format", "seq", "time", "prev", "event"})
_LONGEST_LINE = 64 * 2**20  # bytes; a bound on what a hostile ledger makes its reader hold
_LARGEST_INTEGER = 2**53 - 1
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


class Terminated(KeyboardInterrupt):
    """The process was asked to end by a signal other than Ctrl-C (SIGTERM, SIGHUP)."""

    def __init__(self, signal_name: str) -> None:
        super().__init__(signal_name)
        self.signal_name = signal_name


@dataclass(frozen=True, slots=True)
class _Head:
    """Where the chain ends: how many lines, the last one's digest, and the file's size."""

    seq: int
    digest: str
    size: int


class Ledger:
    """An open ledger, locked against other writers; for use by one thread.

    Make one with `Ledger.create`, and use it as a context manager.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._head = _Head(0, FIRST_PREV, 0)
        self._next: _Head | None = None  # where the chain ends if the write that was begun last got through

    @classmethod
    def create(cls, path: Path) -> Self:
        """Begin a ledger in a new file, readable by its owner only.

        Raises
        ------
        OutputError
            The file is there already, or can't be made.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            descriptor = os.open(path, flags, 0o600)
        except FileExistsError as error:
            raise OutputError(
                f"{path}: there is a ledger already", hint="each run needs a folder of its own"
            ) from error
        except OSError as error:
            raise OutputError(f"{path}: the ledger can't be made: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            sync_folder(path.parent)
        except OSError as error:
            os.close(descriptor)
            raise OutputError(f"{path}: the ledger can't be locked or stored: {error.strerror}") from error
        return cls(path, descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file and its lock."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @property
    def head(self) -> str:
        """SHA-256 of the last line, `FIRST_PREV` before there is one."""
        return self._head.digest

    def append(self, event: str, /, **fields: object) -> Entry:
        """Write one entry, and wait until the disk has it.

        Parameters
        ----------
        event
            What happened.
        fields
            JSON values; also accepted are paths, enumerations and numpy values. Integers beyond 2^53 - 1 and numbers
            that aren't finite, which JSON can't hold, are written as text.

        Raises
        ------
        OutputError
            It can't be written (disk full); the ledger ends with the entry before, as if nothing had been tried.
        CustodyError
            A value is no JSON value, or something else wrote to the ledger.
        """
        if clash := _OWN_FIELDS & fields.keys():
            raise CustodyError(
                f"ledger entry {event!r}: {', '.join(sorted(clash))}: names that every entry has already"
            )
        head = self._settle()
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        own: dict[str, Any] = {"seq": head.seq + 1, "time": now, "prev": head.digest, "event": event}
        plain = {_text(name): _plain(value, name) for name, value in fields.items()}
        line = rfc8785.dumps({"format": LEDGER_FORMAT, **own, **plain}) + b"\n"
        if len(line) > _LONGEST_LINE:
            raise CustodyError(f"ledger entry {event!r} is {len(line)} bytes long; at most {_LONGEST_LINE} are allowed")
        digest = hashlib.sha256(line).hexdigest()
        self._next = _Head(head.seq + 1, digest, head.size + len(line))
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fsync(self._descriptor)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, head.size)
            raise OutputError(f"{self.path}: {event!r} can't be recorded: {error.strerror}") from error
        self._head = self._next
        return Entry(**own, fields=plain, digest=digest)

    def _settle(self) -> _Head:
        """Where the chain ends, also when Ctrl-C struck in the middle of a write."""
        if self._descriptor < 0:
            raise CustodyError(f"{self.path}: the ledger is closed")
        size = os.fstat(self._descriptor).st_size
        if size == self._head.size:
            return self._head
        if self._next is not None and size == self._next.size:
            self._head = self._next
        elif self._next is not None and self._head.size < size < self._next.size:
            os.ftruncate(self._descriptor, self._head.size)
        else:
            raise CustodyError(
                f"{self.path}: the ledger has {size} bytes where {self._head.size} were written",
                hint="another program wrote to it; this run can't be trusted",
            )
        return self._head

    def digested(self, evidence: Evidence, digest: EvidenceDigest) -> Entry:
        """Record what an exhibit's bytes are (`evidence-digested`)."""
        return self.append(EVIDENCE_DIGESTED, materials=[material(evidence, digest, self.path.parent)])

    def published(self, products: Mapping[str, str]) -> Entry:
        """Record files of the run folder, a SHA-256 for each name (`artefacts-published`)."""
        return self.append(ARTEFACTS_PUBLISHED, products=dict(products))

    def step(self, name: str, /, **fields: object) -> AbstractContextManager[dict[str, Any]]:
        """Record the start of a step and how it ended.

        Gives a dict whose content goes into the entry at the end: `step-finished`, `step-failed` (an error) or
        `step-interrupted` (Ctrl-C, SIGTERM). That entry names the `seq` of the first and the step's `duration_s`.
        Errors go on to the caller.

        Parameters
        ----------
        name
            The step.
        fields
            What the entry at the start says: stage, implementation, params.
        """
        return self._bracket("step", {"step": name}, fields)

    @contextmanager
    def run(self, **fields: object) -> Iterator[dict[str, Any]]:
        """Record the start of a run, as the first entry, and how it ended, as the last.

        As `step` does, with `run-started` and `run-finished`, `run-failed` or `run-interrupted`. While it lasts, the
        signals that end a program at once (SIGTERM, SIGHUP) raise `Terminated` instead, so that they are recorded.
        """
        with _signals_raised(), self._bracket("run", {}, fields) as record:
            yield record

    @contextmanager
    def _bracket(self, what: str, label: dict[str, str], fields: Mapping[str, object]) -> Iterator[dict[str, Any]]:
        begun = time.monotonic()
        started = self.append(f"{what}-started", **{**fields, **label})
        record: dict[str, Any] = {}

        def end(outcome: str, **more: object) -> None:
            duration = round(time.monotonic() - begun, 6)
            self.append(
                f"{what}-{outcome}", **{**record, **label, **more, "started": started.seq, "duration_s": duration}
            )

        try:
            yield record
        except BaseException as error:
            try:
                end("failed" if isinstance(error, Exception) else "interrupted", error=_description(error))
            except VmforensicsError as second:  # a full disk, say: the first error is the one to tell
                error.add_note(f"The ledger couldn't record this: {second}")
            raise
        end("finished")


def material(evidence: Evidence, digest: EvidenceDigest, run_dir: Path) -> dict[str, Any]:
    """An exhibit as a ledger entry's `materials` list it.

    It is found again by its path from the run folder, so that both can be moved together, or by its absolute path.
    """
    real = os.path.realpath(evidence.path)
    return {
        "id": evidence.id,
        "path": os.path.abspath(evidence.path),  # noqa: PTH100 Path.resolve() would lose a link's own name
        "relative_path": os.path.relpath(real, os.path.realpath(run_dir)),
        "sha256": digest.sha256,
        "files": [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in digest.files],
    }


def sync_folder(path: Path) -> None:
    """Wait until the disk has a folder's list of names."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _plain(value: object, where: str) -> Any:
    """A value as JSON can hold it."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if abs(value) <= _LARGEST_INTEGER else str(int(value))
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return {_text(str(key)): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{k}]") for k, item in enumerate(value)]
    raise CustodyError(f"ledger field {where}: {type(value).__name__} is no JSON value")


def _text(text: str) -> str:
    """Text as UTF-8 can hold it: file names may contain bytes that are no text."""
    return text.encode("utf-8", "backslashreplace").decode()


def _description(error: BaseException) -> dict[str, str]:
    described = {"class": type(error).__name__, "message": str(error)}
    if isinstance(error, Terminated):
        described["message"] = f"ended by {error.signal_name}"
    elif isinstance(error, KeyboardInterrupt):
        described["message"] = "ended by Ctrl-C"
    if error.__cause__ is not None:
        described["cause"] = f"{type(error.__cause__).__name__}: {error.__cause__}"
    return described


@contextmanager
def _signals_raised() -> Iterator[None]:
    """Have the signals that would end the program at once raise `Terminated`, the first time they come."""

    def handle(number: int, _frame: FrameType | None) -> NoReturn:
        for each in taken:
            signal.signal(each, signal.SIG_IGN)
        raise Terminated(signal.Signals(number).name)

    taken: list[int] = []
    if threading.current_thread() is threading.main_thread():
        taken = [s for s in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(s) is signal.SIG_DFL]
    for each in taken:
        signal.signal(each, handle)
    try:
        yield
    finally:
        for each in taken:
            signal.signal(each, signal.SIG_DFL)


@dataclass(frozen=True, slots=True)
class ScannedLine:
    """One line of a ledger as found, sound or not.

    Parameters
    ----------
    number : int
        Its number in the file, from 1.
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
    digest: str
    entry: Entry | None
    problem: str = ""
    torn: bool = False


def scan_ledger(path: Path) -> Iterator[ScannedLine]:
    """Read a ledger that may hold anything, line by line; whether the lines form a chain isn't looked at.

    Raises
    ------
    OSError
        The file can't be read.
    """
    with path.open("rb") as file:
        number = 0
        while line := file.readline(_LONGEST_LINE + 1):
            number += 1
            if len(line) > _LONGEST_LINE:
                digest = _digest_to_newline(file, line)
                yield ScannedLine(number, digest, None, f"is longer than {_LONGEST_LINE} bytes")
                continue
            digest = hashlib.sha256(line).hexdigest()
            if not line.endswith(b"\n"):
                yield ScannedLine(number, digest, None, "is cut short", torn=True)
                continue
            entry = _parsed(line, digest)
            if isinstance(entry, Entry):
                yield ScannedLine(number, digest, entry)
            else:
                yield ScannedLine(number, digest, None, entry)


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


def _digest_to_newline(file: BinaryIO, begun: bytes) -> str:
    digest = hashlib.sha256(begun)
    while begun and not begun.endswith(b"\n"):
        begun = file.readline(2**20)
        digest.update(begun)
    return digest.hexdigest()


def _number(text: str) -> int | float:
    """An integer as RFC 8785 understands it: a double beyond 2^53 - 1."""
    return int(text) if len(text) < 16 or abs(int(text[:20])) <= _LARGEST_INTEGER else float(text)


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
