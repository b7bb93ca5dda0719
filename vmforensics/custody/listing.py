"""What a folder holds, at any depth, without following a link or opening anything."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from vmforensics.errors import CustodyError

_MOST_FILES = 2_000_000
"""A bound on what a hostile folder makes its reader hold."""


@dataclass(slots=True)
class Listing:
    """The content of a folder.

    Parameters
    ----------
    files : dict
        Size in bytes of every regular file, by its path from the folder, with `/` between the parts, in byte order.
    odd : dict
        What is neither a regular file nor a folder, and what each is.
    unreadable : dict
        Folders in it that can't be listed, and why.
    """

    files: dict[str, int] = field(default_factory=dict)
    odd: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)

    def check_whole(self, folder: Path, purpose: str) -> None:
        """Refuse a folder of which not everything can be read as files and folders.

        Parameters
        ----------
        folder
            The folder.
        purpose
            What is refused, for the message: "be sealed".

        Raises
        ------
        CustodyError
            It holds something else; the first is named.
        """
        for path, what in self.odd.items():
            raise CustodyError(
                f"{folder / path}: is {what}; only regular files and folders can {purpose}",
                hint="move it elsewhere; evidence that lies elsewhere is covered by its digest in the ledgers",
            )
        for path, why in self.unreadable.items():
            raise CustodyError(f"{folder / path}: can't be read as a folder: {why}")


def list_folder(folder: Path, *, skip: Callable[[str], bool] = lambda _: False) -> Listing:
    """List a folder.

    Parameters
    ----------
    folder
        The folder.
    skip
        Says of a path from the folder whether to leave it out, with all below it.

    Raises
    ------
    CustodyError
        It can't be read, or holds too many files.
    """
    listing = Listing()
    ahead = [""]
    while ahead:
        prefix = ahead.pop()
        try:
            items = list(os.scandir(folder / prefix))
        except OSError as error:
            if not prefix:
                raise CustodyError(f"{folder}: can't be read as a folder: {error.strerror}") from error
            listing.unreadable[prefix.removesuffix("/")] = str(error.strerror)
            continue
        for item in items:
            path = prefix + item.name
            if skip(path):
                continue
            if item.is_dir(follow_symlinks=False):
                ahead.append(path + "/")
            elif what := what_is_odd(item):
                listing.odd[path] = what
            else:
                listing.files[path] = item.stat(follow_symlinks=False).st_size
        if len(listing.files) > _MOST_FILES:
            raise CustodyError(f"{folder}: holds more than {_MOST_FILES} files, the most that is looked at")
    listing.files = dict(sorted(listing.files.items(), key=lambda pair: os.fsencode(pair[0])))
    return listing


def what_is_odd(item: os.DirEntry[str]) -> str:
    """What an entry of a folder is if it is neither a regular file nor a folder, else ""."""
    if item.is_symlink():
        return "a symbolic link"
    mode = item.stat(follow_symlinks=False).st_mode
    return "" if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else "no regular file (a pipe, socket or device)"
