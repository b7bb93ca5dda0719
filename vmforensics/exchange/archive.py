"""Zip files that are the same, to the byte, for the same content."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vmforensics.errors import OutputError

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first that a zip can hold; when things were done is in the ledgers
_LARGEST = 2**32 - 2**20  # bytes of one file that the plain form of a zip holds


class Archive:
    """A zip file in the making: nothing compressed, no times of day, no owners.

    Compression would make the bytes depend on the library that compresses; sound and pictures hardly gain by it.
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def add_file(self, name: str, path: Path) -> tuple[str, int]:
        """Add a file; gives SHA-256 and size in bytes of what was read."""
        digest = hashlib.sha256()
        large = path.stat().st_size > _LARGEST
        size = 0
        with path.open("rb") as file, self._archive.open(_member(name), "w", force_zip64=large) as out:
            while chunk := file.read(2**20):
                digest.update(chunk)
                size += out.write(chunk)
        return digest.hexdigest(), size

    def add(self, name: str, data: bytes) -> str:
        """Add a file of these bytes; gives their SHA-256."""
        self._archive.writestr(_member(name), data)
        return hashlib.sha256(data).hexdigest()


@contextmanager
def new_archive(path: Path) -> Iterator[Archive]:
    """Make a zip file that wasn't there.

    Raises
    ------
    OutputError
        It can't be written, or what goes into it can't be read.
    """
    try:
        with zipfile.ZipFile(path, "x", zipfile.ZIP_STORED) as archive:
            yield Archive(archive)
    except (OSError, zipfile.LargeZipFile) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise OutputError(f"{path}: can't be written: {reason}") from error


def _member(name: str) -> zipfile.ZipInfo:
    """A file in the zip: readable by all, writable by its owner."""
    member = zipfile.ZipInfo(name, _EPOCH)
    member.create_system = 3  # Unix, whatever system this is
    member.external_attr = 0o100644 << 16
    return member
