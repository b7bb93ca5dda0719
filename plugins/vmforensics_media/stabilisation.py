"""Whether a file says that its pictures were stabilised: such pictures were redrawn, and their rows moved."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

_WORDS = re.compile(r"stabili[sz]|steady ?shot|gyroflow|vid\.?stab|deshake", re.IGNORECASE)
_OFF = {"", "0", "n", "no", "off", "false", "none", "n/a", "disabled"}
_LARGEST = 2**20  # bytes of a GoPro's settings that are looked at; real ones have a few hundred
_BOX = 8  # bytes of a box's head: size and kind
_MOST_BOXES = 10_000
_NESTED = 0  # type of a GPMF entry that holds others


def stabilisation(path: Path, metadata: Mapping[str, str]) -> str:
    """What a file says of electronic stabilisation, as a warning; "" where it says nothing.

    Parameters
    ----------
    path
        The file; a GoPro's own settings are read from it (entries EISE and EISA of its GPMF box, as named by
        github.com/gopro/gpmf-parser and exiftool.org/TagNames/GoPro.html).
    metadata
        Tags of the container and of the stream.
    """
    for key, value in sorted(metadata.items()):
        named = _WORDS.search(key) is not None and value.strip().lower() not in _OFF
        if named or _WORDS.search(value):
            return f"the file's tag {key} ({value[:60]!r}) tells of stabilisation: {_MEANING}"
    said = gopro_settings(path)
    on, kind = said.get("EISE", ""), said.get("EISA", "")
    if on == "Y" or (on != "N" and kind.lower() not in _OFF):
        return f"the camera (GoPro) stabilised the pictures{f' ({kind})' if kind else ''}: {_MEANING}"
    if metadata.get("com.apple.quicktime.model", "").startswith(("iPhone", "iPad")):
        return (
            f"{metadata['com.apple.quicktime.model']}: its camera app stabilises without a word in the file; {_DOUBT}"
        )
    if "com.android.version" in metadata:
        return f"an Android phone: most of their camera apps stabilise without a word in the file; {_DOUBT}"
    return ""


_MEANING = "rows were moved after they were read, and row times don't hold"
_DOUBT = "if it did, rows were moved after they were read, and row times don't hold"


def gopro_settings(path: Path) -> dict[str, str]:
    """Text entries of the GPMF box that a GoPro puts into an MP4 file's user data; empty where there is none."""
    with path.open("rb") as file:
        file.seek(0, 2)
        span = (0, file.tell())
        for kind in (b"moov", b"udta", b"GPMF"):
            found = next((inner for name, inner in _boxes(file, span) if name == kind), None)
            if found is None:
                return {}
            span = found
        file.seek(span[0])
        return dict(_entries(file.read(min(span[1] - span[0], _LARGEST))))


def _boxes(file: BinaryIO, span: tuple[int, int]) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """Kind and content of the boxes within a span (ISO/IEC 14496-12, 4.2); ends where something isn't one."""
    start, end = span
    for _ in range(_MOST_BOXES):
        if end - start < _BOX:
            return
        file.seek(start)
        head = file.read(2 * _BOX)
        size, content = int.from_bytes(head[:4]), start + _BOX
        if size == 1:
            size, content = int.from_bytes(head[8:]), start + 2 * _BOX
        size = size or end - start
        if start + size > end or start + size < content:
            return
        yield head[4:8], (content, start + size)
        start += size


def _entries(data: bytes) -> Iterator[tuple[str, str]]:
    """The text entries of GPMF data: key, type, size and count in 8 bytes, then the content, padded to 4 bytes."""
    start = 0
    while start + _BOX <= len(data):
        key, kind, size = data[start : start + 4], data[start + 4], data[start + 5]
        length = size * int.from_bytes(data[start + 6 : start + 8])
        start += _BOX
        if kind == _NESTED:
            continue  # its entries follow
        if kind == ord("c"):
            yield key.decode("latin-1"), data[start : start + length].rstrip(b"\0").decode("latin-1")
        start += (length + 3) // 4 * 4
