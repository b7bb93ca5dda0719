"""The ledger: what was done, in order, as an append-only chain of JSON lines; `entries` says what a line is.

One process at a time writes to it: it is locked (flock) from opening to closing, and an entry counts once the disk
has it. Whatever a crash leaves behind is at most a last line cut short, which the next opening replaces by an entry
that says so.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import math
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import rfc8785

from vmforensics.custody.digest import EvidenceDigest
from vmforensics.custody.entries import (
    FIRST_PREV,
    LARGEST_INTEGER,
    LEDGER_FORMAT,
    LONGEST_LINE,
    OWN_FIELDS,
    Entry,
    scan_lines,
)
from vmforensics.custody.signals import Terminated, signals_raised
from vmforensics.data import Evidence
from vmforensics.errors import CustodyError, OutputError, VmforensicsError

LEDGER_NAME = "ledger.jsonl"

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
LEDGER_RECOVERED = "ledger-recovered"
SEALING = "sealing"
"""A seal is about to be made; the entry comes before it, for the seal is to cover the ledger."""

_WAIT = 10.0  # seconds for another writer to finish; acts on a case take a fraction of one
_LONGEST_ACTOR = 1000  # characters
_TORN_KEPT = 4096  # bytes of a line cut short that the entry about it repeats


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends.

    Parameters
    ----------
    seq : int
        Number of its lines.
    digest : str
        SHA-256 of the last of them, `FIRST_PREV` where there is none.
    size : int, bytes
        Their total length.
    """

    seq: int
    digest: str
    size: int


_NOTHING = Head(0, FIRST_PREV, 0)


class Ledger:
    """An open ledger, locked against other writers; for use by one thread of one process.

    Make one with `Ledger.create`, or go on with one by `Ledger.open`, and use it as a context manager.
    """

    def __init__(self, path: Path, descriptor: int, head: Head = _NOTHING) -> None:
        self.path = path
        self._descriptor = descriptor
        self._owner = os.getpid()
        self._head = head
        self._next: Head | None = None  # where the chain ends if the write that was begun last got through

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

    @classmethod
    def open(cls, path: Path, *, wait_s: float = _WAIT) -> Self:
        """Go on with a ledger that is there, after checking that its chain holds from the first line to the last.

        A last line that a crash cut short never counted: `append` hadn't returned. It is replaced by an entry
        `ledger-recovered` that says how long it was, its SHA-256 and what it began with; at no moment is there
        neither the one nor the other.

        Parameters
        ----------
        path
            The ledger.
        wait_s
            How long to wait for another process that is writing to it.

        Raises
        ------
        CustodyError
            It isn't there, is no regular file, or its chain doesn't hold; it is left as it is.
        OutputError
            It can't be written to, or another process didn't let go of it in time.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise CustodyError(f"{path}: there is no ledger") from error
        except PermissionError as error:
            raise OutputError(f"{path}: the ledger can't be written to: {error.strerror}") from error
        except OSError as error:
            raise CustodyError(f"{path}: the ledger can't be opened: {error.strerror}") from error
        try:
            _lock(descriptor, path, wait_s)
            head, torn = _sound_head(descriptor, path)
            ledger = cls(path, descriptor, head)
            if torn:
                ledger._recover(torn)
        except BaseException:
            os.close(descriptor)
            raise
        return ledger

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

    @property
    def end(self) -> Head:
        """Where the chain ends: lines, head and size."""
        return self._settle()

    def act(self, event: str, /, *, actor: str, purpose: str, **fields: object) -> Entry:
        """Write one entry on what a person had done; see `append`.

        Parameters
        ----------
        event
            What was done.
        actor
            Who had it done, as they name themselves.
        purpose
            Why.
        fields
            As for `append`.

        Raises
        ------
        CustodyError
            Actor or purpose is empty, too long, or holds control characters.
        OutputError, CustodyError
            As for `append`.
        """
        check_act(actor, purpose)
        return self.append(event, **{**fields, "actor": actor, "purpose": purpose})

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
        if clash := fields.keys() & OWN_FIELDS:
            raise CustodyError(
                f"ledger entry {event!r}: {', '.join(sorted(clash))}: names that every entry has already"
            )
        head = self._settle()
        entry, line = _line(head, event, fields)
        self._next = Head(entry.seq, entry.digest, head.size + len(line))
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
        return entry

    def _recover(self, torn: bytes) -> None:
        """Replace a last line that was cut short by an entry about it.

        The entry is written over the torn bytes, shortened first so that they end within it; until its newline is
        there, what is left is again a line cut short, for the next opening to recover.
        """
        begun = torn[:_TORN_KEPT].decode("utf-8", "backslashreplace")
        sha256 = hashlib.sha256(torn).hexdigest()
        fields = {"torn_bytes": len(torn), "torn_sha256": sha256, "torn_begins": begun}
        entry, line = _line(self._head, LEDGER_RECOVERED, fields)
        start = self._head.size
        try:
            if len(torn) >= len(line):
                os.ftruncate(self._descriptor, start + len(line) - 1)
            # A descriptor of its own: what is written through one that appends goes to the end, wherever it is told to.
            descriptor = os.open(self.path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                written = 0
                while written < len(line):
                    written += os.pwrite(descriptor, line[written:], start + written)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise OutputError(
                f"{self.path}: its last line was cut short, and that can't be recorded: {error.strerror}"
            ) from error
        self._head = Head(entry.seq, entry.digest, start + len(line))

    def _settle(self) -> Head:
        """Where the chain ends, also when Ctrl-C struck in the middle of a write."""
        if self._descriptor < 0:
            raise CustodyError(f"{self.path}: the ledger is closed")
        if os.getpid() != self._owner:  # a lock is shared with forked processes, and so keeps them out no longer
            raise CustodyError(f"{self.path}: only the process that opened the ledger may write to it")
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
                hint="another program wrote to it; what it records from here on can't be trusted",
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
        with signals_raised(), self._bracket("run", {}, fields) as record:
            yield record

    @contextmanager
    def _bracket(self, what: str, label: dict[str, str], fields: Mapping[str, object]) -> Iterator[dict[str, Any]]:
        begun = time.monotonic()
        started = self.end.seq + 1  # what the first entry's number will be
        record: dict[str, Any] = {}

        def end(outcome: str, **more: object) -> None:
            duration = round(time.monotonic() - begun, 6)
            self.append(f"{what}-{outcome}", **{**record, **label, **more, "started": started, "duration_s": duration})

        try:
            self.append(f"{what}-started", **{**fields, **label})
            yield record
        except BaseException as error:
            try:
                if self.end.seq >= started:  # else not even the start could be recorded
                    end("failed" if isinstance(error, Exception) else "interrupted", error=_description(error))
            except VmforensicsError as second:  # a full disk, say: the first error is the one to tell
                error.add_note(f"The ledger couldn't record this: {second}")
            raise
        end("finished")


def check_act(actor: str, purpose: str) -> None:
    """Refuse an act on a case without a name and a reason.

    Raises
    ------
    CustodyError
        Actor or purpose is empty, too long, or holds control characters.
    """
    for name, text in (("actor", actor), ("purpose", purpose)):
        if not text.strip() or len(text) > _LONGEST_ACTOR or not text.isprintable():
            raise CustodyError(
                f"{name} {text[:80]!r}: must be one line of 1 to {_LONGEST_ACTOR} printable characters",
                hint=f"every act on a case is recorded with its actor and its purpose; state the {name}",
            )


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


def _lock(descriptor: int, path: Path, wait_s: float) -> None:
    """Lock a ledger for writing, and make sure that it is a regular file, and still the one of that name."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise CustodyError(f"{path}: is no regular file, and so no ledger")
    until = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError as error:
            if time.monotonic() >= until:
                raise OutputError(
                    f"{path}: another process is writing to the ledger", hint="wait until it is done"
                ) from error
            time.sleep(0.01)
        except OSError as error:
            raise OutputError(f"{path}: the ledger can't be locked: {error.strerror}") from error
    try:
        same = os.path.samestat(os.fstat(descriptor), path.stat(follow_symlinks=False))
    except OSError:
        same = False
    if not same:
        raise CustodyError(f"{path}: the ledger was replaced by another file just now", hint="find out by what")


def _sound_head(descriptor: int, path: Path) -> tuple[Head, bytes]:
    """Where the chain of a locked ledger ends, and the bytes of a last line that was cut short."""
    head = _NOTHING
    with os.fdopen(os.dup(descriptor), "rb") as file:
        for line in scan_lines(file):
            if line.torn:
                file.seek(head.size)
                return head, file.read(line.size)
            problem = line.problem
            if line.entry is not None and (line.entry.seq, line.entry.prev) != (head.seq + 1, head.digest):
                problem = "doesn't follow the one before"
            if problem:
                raise CustodyError(
                    f"{path}:{line.number}: this line of the ledger {problem}; nothing is added to a damaged ledger",
                    hint="`vmforensics verify` lists all that is wrong",
                )
            head = Head(head.seq + 1, line.digest, head.size + line.size)
    return head, b""


def _line(head: Head, event: str, fields: Mapping[str, object]) -> tuple[Entry, bytes]:
    """The entry that follows a head, now, and its line."""
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    own: dict[str, Any] = {"seq": head.seq + 1, "time": now, "prev": head.digest, "event": event}
    plain = {_text(name): _plain(value, name) for name, value in fields.items()}
    line = rfc8785.dumps({"format": LEDGER_FORMAT, **own, **plain}) + b"\n"
    if len(line) > LONGEST_LINE:
        raise CustodyError(f"ledger entry {event!r} is {len(line)} bytes long; at most {LONGEST_LINE} are allowed")
    return Entry(**own, fields=plain, digest=hashlib.sha256(line).hexdigest()), line


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
        return int(value) if abs(value) <= LARGEST_INTEGER else str(int(value))
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
