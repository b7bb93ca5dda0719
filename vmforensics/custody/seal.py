"""Sealing: a signed statement of what a folder holds, in a subfolder of its own.

A seal is `seals/NNN/` in the folder of a run or of a whole case. It holds a manifest of every other file, earlier seals
included; an in-toto Statement about that manifest and the ledgers' heads, signed, in a DSSE envelope; the public key;
and, if asked for, an authority's time stamp over the signature. Nothing else in the folder changes, but that a case's
own ledger records the act first. What is added later is an amendment, for the next seal to cover.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import vmforensics
from vmforensics.custody.digest import sha256_file, sha256sum_line
from vmforensics.custody.dsse import signed
from vmforensics.custody.entries import FIRST_PREV, scan_ledger
from vmforensics.custody.keys import PrivateKey
from vmforensics.custody.ledger import LEDGER_NAME, RUN_STARTED, SEALING, Ledger, check_act, sync_folder
from vmforensics.custody.listing import Listing, list_folder
from vmforensics.custody.manifest import MANIFEST_NAME
from vmforensics.custody.opening import open_regular
from vmforensics.custody.run_folder import EVIDENCE_FOLDERS, PARTIAL_PREFIX
from vmforensics.custody.statement import SealedLedger, Statement
from vmforensics.custody.timestamp import check_address, request_stamp
from vmforensics.errors import CustodyError, KeyFileError, OutputError

SEALS_NAME = "seals"
ENVELOPE_NAME = "seal.dsse.json"
PUBLIC_KEY_NAME = "public-key.pem"
STAMP_NAME = "timestamp.tsr"

_CASE_FOLDERS = ("runs", "exhibits", "notes")
_MOST_DEVIATIONS = 100
_LONGEST_DEVIATION = 1000  # characters


@dataclass(frozen=True, slots=True)
class Seal:
    """A seal that was made.

    Parameters
    ----------
    folder : Path
        Where it lies.
    sha256 : str
        SHA-256 of its envelope, which stands for everything that it covers: to be kept elsewhere.
    key : str
        Fingerprint of the key that signed.
    statement : Statement
        What was signed.
    """

    folder: Path
    sha256: str
    key: str
    statement: Statement


def seal(
    folder: Path,
    key: PrivateKey,
    *,
    actor: str,
    purpose: str,
    authority: str | None = None,
    deviations: Sequence[str] = (),
    progress: Callable[[int], None] | None = None,
) -> Seal:
    """Seal the folder of a run, or of a case with all its runs.

    Parameters
    ----------
    folder
        The folder.
    key
        What signs.
    actor, purpose
        Who has it sealed, and why.
    authority
        Address of an RFC 3161 time-stamping authority; None does without.
    deviations
        What `verify` found just before; a seal states it, for it vouches that nothing changed since, not before.
    progress
        Called with the number of bytes read since the last call.

    Raises
    ------
    CustodyError
        The folder holds no ledger, or something that is neither a file nor a folder; or its own ledger is damaged.
    OutputError
        It can't be written to, or a run in it is still going on.
    KeyFileError
        The private key lies in the folder.
    TimeStampError
        The authority can't be reached, or doesn't stamp; there is no seal then.
    """
    check_act(actor, purpose)
    if authority is not None:
        check_address(authority)
    if Path(os.path.realpath(key.path)).is_relative_to(os.path.realpath(folder)):
        raise KeyFileError(
            f"{key.path}: the private key lies in the folder that it is to seal", hint="keep it where only you can go"
        )
    with _claimed(folder) as seals, _quiet(folder) as own_ledger:
        number = max(seal_numbers(seals), default=0) + 1
        previous = seals / f"{number - 1:03d}" / ENVELOPE_NAME
        before = sha256_file(previous) if number > 1 else None
        if own_ledger is not None:
            own_ledger.act(SEALING, actor=actor, purpose=purpose, seal=number, key=key.public.fingerprint)
        manifest, ledgers, files = _survey(folder, progress)
        statement = Statement(
            number=number,
            sealed=datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            actor=actor,
            purpose=purpose,
            program=f"vmforensics {vmforensics.__version__}",
            manifest_sha256=hashlib.sha256(manifest).hexdigest(),
            files=files,
            ledgers=ledgers,
            previous=before,
            deviations=_bounded(deviations),
            time_stamped=authority is not None,
        )
        envelope = signed(statement.to_bytes(), key)
        content = {
            MANIFEST_NAME: manifest,
            ENVELOPE_NAME: envelope.to_bytes(),
            PUBLIC_KEY_NAME: key.public.pem,
        }
        if authority is not None:
            content[STAMP_NAME] = request_stamp(authority, envelope.signature)
        place = seals / f"{number:03d}"
        _store(content, place)
    sha256 = hashlib.sha256(content[ENVELOPE_NAME]).hexdigest()
    return Seal(place, sha256, key.public.fingerprint, statement)


def seal_numbers(seals: Path) -> list[int]:
    """Numbers of the seals in a folder of seals, ascending."""
    return sorted(int(item.name) for item in os.scandir(seals) if is_seal_name(item.name))


def is_seal_name(name: str) -> bool:
    """Whether a folder's name is that of a seal: its number, in three digits or as many as it takes."""
    return re.fullmatch(r"[0-9]{3,9}", name) is not None and name == f"{int(name):03d}" and int(name) > 0


def ledger_grows(path: Path) -> bool:
    """Whether a ledger is one that may be gone on with, as a case's is: its first line isn't the start of a run.

    One without a whole line, as a crash may leave it, is a case's if it lies beside the folders of a case.

    Raises
    ------
    OSError
        It can't be read.
    """
    first = next(scan_ledger(path), None)
    if first is None or first.torn:
        return any((path.parent / name).is_dir() for name in _CASE_FOLDERS)
    return first.entry is not None and first.entry.event != RUN_STARTED


def sealed_ledger(path: Path) -> SealedLedger:
    """Where a ledger's chain ends now; a last line that is cut short doesn't count.

    Raises
    ------
    OSError
        It can't be read.
    """
    entries, head, size = 0, FIRST_PREV, 0
    for line in scan_ledger(path):
        if not line.torn:
            entries, head, size = entries + 1, line.digest, size + line.size
    return SealedLedger(entries, head, size, sha256_of_beginning(path, size), grows=ledger_grows(path))


def sha256_of_beginning(path: Path, size: int) -> str:
    """SHA-256 of the first `size` bytes of a file.

    Raises
    ------
    OSError
        It can't be read.
    """
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while size > 0 and (chunk := file.read(min(size, 2**20))):
            digest.update(chunk)
            size -= len(chunk)
    return digest.hexdigest()


def own_ledgers(names: Sequence[str]) -> list[str]:
    """Which paths of a folder's files are ledgers of its own; evidence may hold files of any name."""
    return [
        name
        for name in names
        if name.rpartition("/")[2] == LEDGER_NAME and not {*name.lower().split("/")} & {SEALS_NAME, *EVIDENCE_FOLDERS}
    ]


def _survey(folder: Path, progress: Callable[[int], None] | None) -> tuple[bytes, dict[str, SealedLedger], int]:
    """The manifest of a folder, the state of its ledgers, and how many files there are."""
    listing = _whole_listing(folder)
    try:
        ledgers = {name: sealed_ledger(folder / name) for name in own_ledgers(list(listing.files))}
        lines = [sha256sum_line(sha256_file(folder / name, progress=progress), name) for name in listing.files]
    except OSError as error:
        raise CustodyError(f"{error.filename}: can't be read: {error.strerror}") from error
    return b"".join(lines), ledgers, len(lines)


def _whole_listing(folder: Path) -> Listing:
    """The files of a folder, but for what a sealing that was killed has left.

    Raises
    ------
    CustodyError
        Something in it is neither a file nor a folder.
    """
    listing = list_folder(folder, skip=lambda path: path.startswith(f"{SEALS_NAME}/{PARTIAL_PREFIX}"))
    listing.check_whole(folder, "be sealed")
    return listing


@contextmanager
def _claimed(folder: Path) -> Iterator[Path]:
    """Give the folder of the seals, made if need be, locked against others that seal."""
    seals = folder / SEALS_NAME
    try:
        if not folder.is_dir():
            raise CustodyError(f"{folder}: is no folder", hint="name the folder of a run or case")
        with contextlib.suppress(FileExistsError):
            seals.mkdir(mode=0o700)
        descriptor = os.open(seals, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise OutputError(f"{seals}: no seal can be put there: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputError(f"{folder}: another process is sealing it", hint="wait until it is done") from error
        try:
            for left in seals.glob(PARTIAL_PREFIX + "*"):  # of a sealing that was killed; it counts for nothing
                shutil.rmtree(left)
            sync_folder(folder)
            yield seals
        finally:
            with contextlib.suppress(OSError):
                seals.rmdir()  # only if nothing came of it
    except OSError as error:
        raise OutputError(f"{error.filename or seals}: can't be sealed: {error.strerror}") from error
    finally:
        os.close(descriptor)


@contextmanager
def _quiet(folder: Path) -> Iterator[Ledger | None]:
    """Make sure that nothing writes to a ledger in the folder; give its own, if it has one that may grow."""
    listing = _whole_listing(folder)
    names = own_ledgers(list(listing.files))
    if not names:
        raise CustodyError(
            f"{folder}: holds no ledger, so that there is nothing to seal", hint="name the folder of a run or case"
        )
    if odd := [name for name in names if not name.isprintable()]:
        raise CustodyError(f"{folder / odd[0]}: a ledger's path has to be text that can be printed to be sealed")
    with contextlib.ExitStack() as stack:
        own = None
        for name in names:
            path = folder / name
            if name == LEDGER_NAME and ledger_grows(path):
                own = stack.enter_context(Ledger.open(path))
                continue
            file = stack.enter_context(open_regular(path))
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise OutputError(f"{path.parent}: is still being written to", hint="wait until it is done") from error
        yield own


def _store(content: dict[str, bytes], place: Path) -> None:
    """Write the files of a seal, which is there whole or not at all."""
    staging = Path(tempfile.mkdtemp(prefix=PARTIAL_PREFIX, dir=place.parent))
    try:
        for name, data in content.items():
            descriptor = os.open(staging / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(descriptor)
        sync_folder(staging)
        staging.rename(place)
        sync_folder(place.parent)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _bounded(deviations: Sequence[str]) -> tuple[str, ...]:
    """The deviations as a statement repeats them: the first hundred, each in at most a thousand characters."""
    kept = [text.encode("utf-8", "backslashreplace").decode()[:_LONGEST_DEVIATION] for text in deviations]
    if len(kept) > _MOST_DEVIATIONS:
        kept = [*kept[:_MOST_DEVIATIONS], f"and {len(kept) - _MOST_DEVIATIONS} more"]
    return tuple(kept)
