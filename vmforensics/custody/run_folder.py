"""A run's own folder: files appear in it whole or not at all, and nothing in it is ever overwritten."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from vmforensics.custody.digest import sha256_file
from vmforensics.custody.ledger import LEDGER_NAME, Ledger, sync_folder
from vmforensics.custody.manifest import MANIFEST_NAME, write_manifest
from vmforensics.errors import OutputError, StageError, VmforensicsError

PARTIAL_PREFIX = ".partial-"
"""How the names of folders begin whose files aren't finished."""

EVIDENCE_FOLDERS = frozenset({"evidence", "exhibits"})
_PRIVATE = 0o700  # a run's folder is its owner's; what it holds may be confidential
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one run.

    Parameters
    ----------
    path : Path
        The folder.
    """

    path: Path

    @classmethod
    def create(cls, path: Path, *, evidence: Sequence[Path]) -> Self:
        """Make a run's folder, for its owner only, with its parents; one that is there already must be empty.

        Parameters
        ----------
        path
            Where to make it.
        evidence
            The exhibits, next to which nothing is written.

        Raises
        ------
        OutputError
            It is a file, isn't empty, can't be written to, or has to do with a folder that holds evidence.
        """
        _keep_away_from(evidence, path)
        try:
            path.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
            occupied = any(path.iterdir())
            sync_folder(path.parent)
        except (FileExistsError, NotADirectoryError) as error:
            raise OutputError(f"{path}: is, or lies in, a file; it must be a folder", hint="name another") from error
        except OSError as error:
            raise OutputError(f"{path}: the folder can't be made: {error.strerror}", hint="name another") from error
        if occupied:
            raise OutputError(
                f"{path}: the folder isn't empty; a run never overwrites another one", hint="name a new folder"
            )
        if not os.access(path, os.W_OK | os.X_OK):
            raise OutputError(f"{path}: the folder isn't writable", hint="name another, or change its permissions")
        return cls(path)

    @contextmanager
    def record(self, **fields: object) -> Iterator[Ledger]:
        """Keep a ledger while a run lasts, and list every file in the manifest afterwards, however the run ended.

        Parameters
        ----------
        fields
            What the entry `run-started` says: case, environment, command.

        Raises
        ------
        OutputError
            The ledger or the manifest can't be written.
        """
        with Ledger.create(self.path / LEDGER_NAME) as ledger:
            try:
                with ledger.run(**fields):
                    yield ledger
            except BaseException as error:
                try:
                    write_manifest(self)
                except VmforensicsError as second:  # a full disk, say: the first error is the one to tell
                    error.add_note(f"The manifest couldn't be written: {second}")
                raise
            write_manifest(self)

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Give a folder for files in the making, which is gone afterwards with all that wasn't published.

        Raises
        ------
        OutputError
            It can't be made, or the disk is full.
        """
        folder: Path | None = None
        try:
            folder = Path(tempfile.mkdtemp(prefix=PARTIAL_PREFIX, dir=self.path))
            yield folder
        except OSError as error:
            if folder is None or error.errno in _DISK_FULL:
                raise OutputError(f"{self.path}: can't be written to: {error.strerror}") from error
            raise
        finally:
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)

    def publish(self, staged_files: Iterable[Path]) -> dict[str, str]:
        """Move finished files from a staging folder into the run folder under the same names.

        Returns
        -------
        dict
            SHA-256 of each by its name, for the ledger.

        Raises
        ------
        StageError
            A file isn't in a staging folder, is no regular file, or has a name that isn't allowed; none is published.
        OutputError
            A file of that name is there already, or the disk is full.
        """
        files = sorted({Path(os.path.abspath(file)) for file in staged_files})  # noqa: PTH100 links are to be seen
        for file in files:
            if problem := self._why_unfit(file):
                raise StageError(f"artefact {str(file)!r} {problem}")
        return self._place(files)

    def write(self, name: str, data: bytes) -> dict[str, str]:
        """Write one file.

        Returns
        -------
        dict
            Its SHA-256 by its name, for the ledger.

        Raises
        ------
        OutputError
            The name isn't allowed or taken, or the disk is full.
        """
        if problem := _why_no_name(name):
            raise OutputError(f"file name {name!r} {problem}")
        with self.staging() as folder:
            try:
                (folder / name).write_bytes(data)
            except OSError as error:
                raise OutputError(f"{self.path / name}: can't be written: {error.strerror}") from error
            return self._place([folder / name])

    def _why_unfit(self, file: Path) -> str:
        here = Path(os.path.abspath(self.path))  # noqa: PTH100 as above
        if file.parent.parent != here or not file.parent.name.startswith(PARTIAL_PREFIX) or file.parent.is_symlink():
            return "isn't directly in the folder that it was to be written into"
        try:
            status = file.lstat()
        except OSError as error:
            return f"can't be found: {error.strerror}"
        if not stat.S_ISREG(status.st_mode):
            return "is no regular file"
        if status.st_nlink != 1:
            return "is a link to a file elsewhere"
        if file.name in (LEDGER_NAME, MANIFEST_NAME):
            return "has a name that is kept for the record"
        return _why_no_name(file.name)

    def _place(self, files: Sequence[Path]) -> dict[str, str]:
        if taken := [file.name for file in files if os.path.lexists(self.path / file.name)]:
            raise OutputError(
                f"{self.path}: {', '.join(map(repr, taken))} is there already; nothing is overwritten",
                hint="artefacts of one run need different names",
            )
        digests = {}
        try:
            for file in files:
                with file.open("rb") as written:
                    os.fsync(written.fileno())
                digests[file.name] = sha256_file(file)
            for file in files:
                _move(file, self.path / file.name)
            sync_folder(self.path)
        except OSError as error:
            raise OutputError(f"{self.path}: can't be written to: {error.strerror}") from error
        return digests


def next_run_folder(parent: Path, *, evidence: Sequence[Path] = ()) -> Path:
    """Make the next of the numbered folders 001, 002, ... in `parent`, safe against others doing the same.

    Returns
    -------
    Path
        A new empty folder, numbered one above the highest; for `RunFolder.create`.

    Raises
    ------
    OutputError
        It can't be made, or would have to do with a folder that holds evidence.
    """
    _keep_away_from(evidence, parent / "001")
    try:
        parent.mkdir(parents=True, exist_ok=True)
        while True:
            taken = [int(item.name) for item in parent.iterdir() if re.fullmatch(r"[0-9]{3,9}", item.name)]
            path = parent / f"{max(taken, default=0) + 1:03d}"
            with contextlib.suppress(FileExistsError):
                path.mkdir(mode=_PRIVATE)
                return path
    except OSError as error:
        raise OutputError(
            f"{parent}: no run folder can be made in it: {error.strerror}", hint="name another"
        ) from error


def _keep_away_from(evidence: Sequence[Path], path: Path) -> None:
    """Raise `OutputError` if writing to a folder would touch a folder that holds evidence, or the other way round."""
    folder = Path(os.path.realpath(path))
    for exhibit in evidence:
        for place in (os.path.abspath(exhibit), os.path.realpath(exhibit)):  # noqa: PTH100 a link has a place of its own
            if problem := _conflict(folder, Path(place)):
                raise OutputError(
                    f"output folder {path} {problem}; nothing is written beside evidence",
                    hint="name a folder elsewhere",
                )


def _conflict(folder: Path, exhibit: Path) -> str:
    """What a run in a folder would have to do with an exhibit's place, "" if nothing."""
    is_sequence = os.path.isdir(exhibit)  # noqa: PTH112 Path.is_dir() raises where access is denied
    holder = exhibit if is_sequence else Path(os.path.realpath(exhibit.parent))
    if folder == holder or (is_sequence and folder.is_relative_to(exhibit)):
        return f"is in the evidence folder {holder}"
    if exhibit.is_relative_to(folder):
        return f"holds the evidence {exhibit}"
    for each in (folder, *folder.parents):
        if each.name.lower() in EVIDENCE_FOLDERS and exhibit.is_relative_to(each):
            return f"is in the evidence folder {each}"
    return ""


def _why_no_name(name: str) -> str:
    if not name or name.startswith("."):
        return "is empty or hidden; it must not begin with a dot"
    if "/" in name or "\\" in name or not name.isprintable():
        return "holds a separator or a character that can't be printed"
    if len(name.encode()) > 200:
        return "is longer than 200 bytes"
    return ""


def _move(file: Path, final: Path) -> None:
    """Give a file its final name unless that is taken, in one act."""
    try:
        os.link(file, final, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(final):  # no hard links on this file system; the folder is this run's own
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), final.name) from error
        file.rename(final)
    else:
        file.unlink()
