"""Opening files of a folder that may be hostile: never through a symbolic link, never a pipe or a device."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading.

    A pipe would wait for a writer, a device may do anything, and a symbolic link leads elsewhere.

    Raises
    ------
    OSError
        It can't be opened, or is no regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is no regular file", str(path))
    return os.fdopen(descriptor, "rb")


def read_bounded(path: Path, largest: int) -> bytes:
    """The content of a regular file of at most `largest` bytes.

    Raises
    ------
    OSError
        It can't be read, is no regular file, or is larger.
    """
    with open_regular(path) as file:
        data = file.read(largest + 1)
    if len(data) > largest:
        raise OSError(errno.EFBIG, f"is larger than {largest} bytes", str(path))
    return data
