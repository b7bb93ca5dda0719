"""The manifest: every file of a run folder with its SHA-256, as `sha256sum -c manifest-sha256.txt` reads it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vmforensics.custody.digest import sha256_file, sha256sum_line
from vmforensics.custody.opening import open_regular
from vmforensics.errors import CustodyError

if TYPE_CHECKING:
    from vmforensics.custody.run_folder import RunFolder

MANIFEST_NAME = "manifest-sha256.txt"

_LINE = re.compile(rb"(?P<escaped>\\?)(?P<sha256>[0-9a-f]{64})  (?P<name>[^\n]+)\n")
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)
_MEANING = {"\\": "\\", "n": "\n", "r": "\r"}
_LONGEST_LINE = 16384  # bytes; paths have at most 4096, and each byte may be escaped


def write_manifest(folder: RunFolder) -> str:
    """List every file of a run folder in a manifest, the last file that goes into it.

    Returns
    -------
    str
        SHA-256 of the manifest, which stands for the whole folder.

    Raises
    ------
    CustodyError
        The folder holds something that is no regular file, or a file can't be read.
    OutputError
        There is a manifest already, or it can't be written.
    """
    digests = {}
    for item in sorted(os.scandir(folder.path), key=lambda item: os.fsencode(item.name)):
        if not stat.S_ISREG(item.stat(follow_symlinks=False).st_mode):
            raise CustodyError(f"{item.path}: only regular files belong in a run folder", hint="move it elsewhere")
        try:
            digests[item.name] = sha256_file(Path(item.path))
        except OSError as error:
            raise CustodyError(f"{item.path}: can't be read: {error.strerror}") from error
    listing = b"".join(sha256sum_line(sha256, name) for name, sha256 in digests.items())
    return folder.write(MANIFEST_NAME, listing)[MANIFEST_NAME]


@dataclass(frozen=True, slots=True)
class ManifestLine:
    """One line of a manifest as found, sound or not.

    Parameters
    ----------
    number : int
        Its number in the file, from 1.
    name : str
        The file it lists, "" where the line can't be read.
    sha256 : str
        The digest it lists, "" where the line can't be read.
    problem : str
        What is wrong with it, "" for a sound one.
    """

    number: int
    name: str
    sha256: str
    problem: str = ""


def scan_manifest(path: Path) -> Iterator[ManifestLine]:
    """Read a manifest that may hold anything, line by line.

    A line is sound if it is exactly the one that `write_manifest` would have written in that place.

    Raises
    ------
    OSError
        The file can't be read.
    """
    seen: set[str] = set()
    last = b""
    with open_regular(path) as file:
        number = 0
        while line := file.readline(_LONGEST_LINE):
            number += 1
            match = _LINE.fullmatch(line)
            if match is None:
                yield ManifestLine(number, "", "", _why_unreadable(line))
                continue
            name, sha256 = os.fsdecode(match["name"]), match["sha256"].decode()
            if match["escaped"]:
                name = _ESCAPE.sub(lambda escape: _MEANING.get(escape[1], ""), name)
            problem = ""
            if sha256sum_line(sha256, name) != line:
                problem = "isn't written as sha256sum writes it"
            elif name in seen:
                problem = "lists a file for the second time"
            elif os.fsencode(name) < last:
                problem = "is out of order"
            seen.add(name)
            last = os.fsencode(name)
            yield ManifestLine(number, name, sha256, problem)


def read_manifest(path: Path) -> dict[str, str]:
    """Read a manifest's digests by file name.

    Raises
    ------
    CustodyError
        It can't be read, or a line isn't as it must be; `verify` tells all that is wrong.
    """
    digests = {}
    try:
        for line in scan_manifest(path):
            if line.problem:
                raise CustodyError(f"{path}:{line.number}: this line of the manifest {line.problem}")
            digests[line.name] = line.sha256
    except OSError as error:
        raise CustodyError(f"{path}: the manifest can't be read: {error.strerror}") from error
    return digests


def _why_unreadable(line: bytes) -> str:
    if len(line) >= _LONGEST_LINE:
        return f"is longer than {_LONGEST_LINE} bytes"
    return "isn't '<64 lower-case hexadecimal digits>  <file name>' with a line feed at its end"
