"""Verification: whether a run folder, and the evidence that it speaks of, are still what the run left."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from vmforensics.custody.digest import EvidenceDigest, FileDigest, differences, digest_evidence, sha256_file
from vmforensics.custody.ledger import (
    FIRST_PREV,
    LEDGER_NAME,
    RUN_FAILED,
    RUN_FINISHED,
    RUN_INTERRUPTED,
    Entry,
    is_sha256,
    scan_ledger,
)
from vmforensics.custody.manifest import MANIFEST_NAME, scan_manifest
from vmforensics.custody.run_folder import PARTIAL_PREFIX
from vmforensics.data import Evidence
from vmforensics.errors import CustodyError, EvidenceMissing, EvidenceUnreadable

_LIMITS = (
    "The folder is tamper-evident to a point: somebody who can rewrite all of it can rebuild the ledger, the manifest "
    "and every digest in them. To rule that out, keep the head hash or the manifest's SHA-256 somewhere else.",
    "Times are those of the clock of the computer that ran it.",
)
_PREV_UNEXPECTED = (
    "this line is the first, but refers to a line before it: the ledger's beginning was taken off or changed"
)
_PREV_WRONG = (
    "this line's `prev` isn't the SHA-256 of the line before: one of them was changed, put in, taken out or moved"
)
_EVIDENCE_UNSEEN = "The evidence wasn't looked at."


class FindingKind(StrEnum):
    """What sort of deviation was found."""

    CHANGED = "changed"  # a file's content isn't what was recorded
    MISSING = "missing"  # a recorded file isn't there
    ADDED = "added"  # something that wasn't recorded
    MALFORMED = "malformed"  # a line of the ledger or the manifest isn't as it must be
    BROKEN_CHAIN = "broken-chain"  # a line of the ledger doesn't follow the one before
    TORN = "torn"  # the ledger's last line was cut short, as by a crash
    UNFINISHED = "unfinished"  # the ledger doesn't say how the run ended
    UNREADABLE = "unreadable"  # a file can't be read, so that nothing can be said about it
    EVIDENCE_CHANGED = "evidence-changed"
    EVIDENCE_MISSING = "evidence-missing"


class RunStatus(StrEnum):
    """How the run ended, by its ledger's last entry."""

    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    UNFINISHED = "unfinished"


_ENDINGS = {
    RUN_FINISHED: RunStatus.FINISHED,
    RUN_FAILED: RunStatus.FAILED,
    RUN_INTERRUPTED: RunStatus.INTERRUPTED,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One deviation.

    Parameters
    ----------
    kind : FindingKind
    where : str
        The file, with `:line` where that helps, or the exhibit.
    message : str
        What is wrong, in plain words.
    """

    kind: FindingKind
    where: str
    message: str


@dataclass(frozen=True, slots=True)
class Verification:
    """The outcome of a verification.

    Parameters
    ----------
    findings : tuple of Finding
        Every deviation; empty if all is as the run left it.
    status : RunStatus
        How the run ended. One that failed can be verified like one that finished.
    head : str or None
        SHA-256 of the ledger's last line: the head hash to be kept elsewhere. None where there is no line.
    manifest_sha256 : str or None
        SHA-256 of the manifest, which stands for the whole folder; None where it can't be read.
    entries : int
        Sound lines of the ledger.
    files : int
        Files of the run folder whose digests were computed.
    exhibits : int
        Exhibits whose digests were computed.
    evidence_read : tuple of str
        Where they were found: at their places relative to the run folder or, where there is nothing, where they were.
    limits : tuple of str
        What this verification can't tell.
    """

    findings: tuple[Finding, ...]
    status: RunStatus
    head: str | None
    manifest_sha256: str | None
    entries: int
    files: int
    exhibits: int
    evidence_read: tuple[str, ...]
    limits: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing deviates."""
        return not self.findings


def verify(run_dir: Path, *, evidence: bool = True, progress: Callable[[int], None] | None = None) -> Verification:
    """Compare a run folder with its manifest and ledger, the ledger with itself, and the evidence with the ledger.

    Nothing is written, and whatever the folder holds is reported rather than raised.

    Parameters
    ----------
    run_dir
        The run folder.
    evidence
        Whether to read the evidence too.
    progress
        Called with the number of bytes read since the last call.

    Raises
    ------
    CustodyError
        `run_dir` is no folder, or can't be listed.
    """
    return _Examination(run_dir, progress).verdict(evidence=evidence)


@dataclass(slots=True)
class _Record:
    """What the ledger's entries say was put into the run folder, and what went in."""

    products: dict[str, set[str]] = field(default_factory=dict)
    materials: list[Mapping[str, Any]] = field(default_factory=list)


class _Examination:
    """One pass over a run folder; gathers findings on the way."""

    def __init__(self, run_dir: Path, progress: Callable[[int], None] | None) -> None:
        self._folder = run_dir
        self._progress = progress
        self._findings: list[Finding] = []
        self._files = 0
        self._exhibits = 0
        self._evidence_read: list[str] = []

    def verdict(self, *, evidence: bool) -> Verification:
        names = self._regular_files()
        status, head, entries, record = self._read_ledger(present=LEDGER_NAME in names)
        listed = self._read_manifest(present=MANIFEST_NAME in names, status=status)
        self._compare_files(names, listed, record.products)
        if evidence:
            self._compare_evidence(record.materials, status)
        manifest = self._digest(MANIFEST_NAME) if MANIFEST_NAME in names else None
        return Verification(
            findings=tuple(self._findings),
            status=status,
            head=head,
            manifest_sha256=manifest,
            entries=entries,
            files=self._files,
            exhibits=self._exhibits,
            evidence_read=tuple(self._evidence_read),
            limits=_LIMITS if evidence else (*_LIMITS, _EVIDENCE_UNSEEN),
        )

    def _found(self, kind: FindingKind, where: str, message: str) -> None:
        self._findings.append(Finding(kind, shown(where), message))

    def _regular_files(self) -> set[str]:
        """Names of the folder's regular files; anything else is a finding."""
        names = set()
        try:
            items = sorted(os.scandir(self._folder), key=lambda item: os.fsencode(item.name))
        except OSError as error:
            raise CustodyError(
                f"{self._folder}: can't be read as a run folder: {error.strerror}", hint="name the folder of one run"
            ) from error
        for item in items:
            if item.is_symlink():
                self._found(
                    FindingKind.ADDED, item.name, "is a symbolic link; a run leaves none, and it isn't followed"
                )
            elif item.is_dir(follow_symlinks=False):
                left = item.name.startswith(PARTIAL_PREFIX)
                message = "was left by a run that ended abruptly" if left else "is a folder; a run leaves none"
                self._found(FindingKind.ADDED, item.name, message)
            elif item.is_file(follow_symlinks=False):
                names.add(item.name)
            else:
                self._found(FindingKind.ADDED, item.name, "is no regular file (a pipe, socket or device)")
        return names

    def _digest(self, name: str) -> str | None:
        try:
            return sha256_file(self._folder / name, progress=self._progress)
        except OSError as error:
            self._found(FindingKind.UNREADABLE, name, f"can't be read: {error.strerror}")
            return None

    def _read_ledger(self, *, present: bool) -> tuple[RunStatus, str | None, int, _Record]:
        """The status, the head hash, the number of sound lines, and what the lines record."""
        record = _Record()
        head: str | None = None
        last: Entry | None = None
        entries = 0
        if not present:
            self._found(FindingKind.MISSING, LEDGER_NAME, "the ledger isn't there; nothing tells what the run did")
            return RunStatus.UNFINISHED, head, entries, record
        seq = 0
        try:
            for line in scan_ledger(self._folder / LEDGER_NAME):
                where = f"{LEDGER_NAME}:{line.number}"
                if line.torn:
                    message = "the last line is cut short, as a crash or a full disk leaves it; it isn't counted"
                    self._found(FindingKind.TORN, where, message)
                    continue
                seq, last = seq + 1, line.entry
                if line.entry is None:
                    self._found(FindingKind.MALFORMED, where, f"this line {line.problem}")
                else:
                    entries += 1
                    if line.entry.prev != (head or FIRST_PREV):
                        self._found(FindingKind.BROKEN_CHAIN, where, _PREV_WRONG if head else _PREV_UNEXPECTED)
                    if line.entry.seq != seq:
                        message = f"this line has the number {line.entry.seq} where {seq} follows"
                        self._found(FindingKind.BROKEN_CHAIN, where, message)
                    seq = line.entry.seq
                    self._gather(line.entry, where, record)
                head = line.digest
        except OSError as error:
            self._found(FindingKind.UNREADABLE, LEDGER_NAME, f"can't be read: {error.strerror}")
        status = _ENDINGS.get(last.event, RunStatus.UNFINISHED) if last else RunStatus.UNFINISHED
        if status is RunStatus.UNFINISHED:
            ends = f"ends with {shown(last.event)!r}" if last else "holds no entry at its end"
            message = f"the run did not finish, or the ledger's end was cut off: it {ends}, not with the end of a run"
            self._found(FindingKind.UNFINISHED, LEDGER_NAME, message)
        return status, head, entries, record

    def _gather(self, entry: Entry, where: str, record: _Record) -> None:
        """Take what an entry says of products and materials."""
        products = entry.fields.get("products", {})
        if isinstance(products, dict) and all(is_sha256(sha256) for sha256 in products.values()):
            for name, sha256 in products.items():
                record.products.setdefault(name, set()).add(sha256)
        else:
            self._found(FindingKind.MALFORMED, where, "its products aren't file names with a SHA-256 each")
        materials = entry.fields.get("materials", [])
        for each in materials if isinstance(materials, list) else [None]:
            if isinstance(each, dict) and is_sha256(each.get("sha256")) and isinstance(each.get("path"), str):
                record.materials.append(each)
            else:
                self._found(
                    FindingKind.MALFORMED, where, "its materials aren't exhibits with a path and a SHA-256 each"
                )

    def _read_manifest(self, *, present: bool, status: RunStatus) -> dict[str, str] | None:
        """The digests that the manifest lists, None where there is no manifest."""
        if not present:
            why = "; the run ended before it was written" if status is RunStatus.UNFINISHED else ""
            self._found(FindingKind.MISSING, MANIFEST_NAME, f"the manifest isn't there{why}")
            return None
        listed: dict[str, str] = {}
        try:
            for line in scan_manifest(self._folder / MANIFEST_NAME):
                if line.problem:
                    message = f"this line of the manifest {line.problem}"
                    self._found(FindingKind.MALFORMED, f"{MANIFEST_NAME}:{line.number}", message)
                if line.name:
                    listed.setdefault(line.name, line.sha256)
        except OSError as error:
            self._found(FindingKind.UNREADABLE, MANIFEST_NAME, f"can't be read: {error.strerror}")
            return None
        return listed

    def _compare_files(self, names: set[str], listed: dict[str, str] | None, products: dict[str, set[str]]) -> None:
        """Hold every file against the manifest and the ledger."""
        everything = names | products.keys() | (listed or {}).keys()
        for name in sorted(everything - {MANIFEST_NAME}, key=lambda name: name.encode("utf-8", "surrogatepass")):
            expected: dict[str, set[str]] = {}
            if listed is not None:
                expected["manifest"] = {listed[name]} if name in listed else set()
            if name != LEDGER_NAME:
                expected["ledger"] = products.get(name, set())
            self._compare_file(name, expected, present=name in names)
        if MANIFEST_NAME in (listed or {}):
            self._found(FindingKind.MALFORMED, MANIFEST_NAME, "the manifest lists itself, which it can't")
        if MANIFEST_NAME in products:
            self._found(
                FindingKind.MALFORMED, LEDGER_NAME, "the ledger records the manifest, which is written after it"
            )

    def _compare_file(self, name: str, expected: dict[str, set[str]], *, present: bool) -> None:
        knowing = [who for who, digests in expected.items() if digests]
        if not present:
            if name != LEDGER_NAME:  # whose absence is told already
                self._found(FindingKind.MISSING, name, f"isn't there, but stands in the {' and the '.join(knowing)}")
            return
        if unknowing := [who for who, digests in expected.items() if not digests]:
            self._found(FindingKind.ADDED, name, f"doesn't stand in the {' nor in the '.join(unknowing)}")
        if not knowing:
            return
        digest = self._digest(name)
        if digest is None:
            return
        self._files += 1
        if differing := [who for who in knowing if expected[who] != {digest}]:
            message = f"has other content than the {' and the '.join(differing)} recorded; its SHA-256 is now {digest}"
            self._found(FindingKind.CHANGED, name, message)

    def _compare_evidence(self, materials: list[Mapping[str, Any]], status: RunStatus) -> None:
        """Digest every exhibit that the ledger names and hold it against what it was."""
        if not materials and status is RunStatus.FINISHED:
            self._found(FindingKind.EVIDENCE_MISSING, LEDGER_NAME, "the ledger doesn't say which evidence was read")
        examined: dict[Path, EvidenceDigest | None] = {}
        exhibits: dict[tuple[str, str], Mapping[str, Any]] = {}  # one may be recorded before and after the run
        for each in materials:
            exhibits.setdefault((each["path"], each["sha256"]), each)
        for each in exhibits.values():
            identifier = each.get("id")
            name = identifier if isinstance(identifier, str) else each["path"]
            path = self._locate(each)
            if path is None:
                message = f"the evidence isn't at {shown(each['path'])!r}, nor at its place relative to the run folder"
                self._found(FindingKind.EVIDENCE_MISSING, name, message)
                continue
            if path not in examined:
                examined[path] = self._examine(path, name)
            now = examined[path]
            if now is not None and now.sha256 != each["sha256"]:
                how = "; ".join(differences(_recorded(each), now)) or "its content is another"
                message = f"the evidence at {shown(str(path))!r} isn't what the run read: {shown(how)}"
                self._found(FindingKind.EVIDENCE_CHANGED, name, message)

    def _examine(self, path: Path, name: str) -> EvidenceDigest | None:
        try:
            digest = digest_evidence(Evidence(path), progress=self._progress)
        except (EvidenceMissing, EvidenceUnreadable) as error:
            self._found(FindingKind.UNREADABLE, name, f"the evidence can't be read: {shown(error.message)}")
            return None
        self._exhibits += 1
        self._evidence_read.append(str(path))
        return digest

    def _locate(self, recorded: Mapping[str, Any]) -> Path | None:
        """Where an exhibit lies now: at its place relative to the run folder, or where it was."""
        base = Path(os.path.realpath(self._folder))
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


def shown(text: str) -> str:
    r"""Text that may hold anything, safe to print.

    Examples
    --------
    >>> shown("E1"), shown("a\x1b[2Jb")
    ('E1', 'a\\x1b[2Jb')
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
