"""The quantiser table of a JPEG picture, read from its header."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vmforensics.data.codec import TABLE

_MARKER = 0xFF
_TABLES, _SCAN = 0xDB, 0xDA
_FRAMES = frozenset((0xC0, 0xC1, 0xC2))  # coded by cosine transform, one pass or several
_LONE = frozenset((0x01, *range(0xD0, 0xD9)))  # markers without a segment
_SIZE = TABLE[0] * TABLE[1]


def _zigzag() -> NDArray[np.int64]:
    """Place in the table, row by row, of each coefficient in the order that JPEG stores them in."""
    row, col = np.divmod(np.arange(_SIZE), TABLE[1])
    diagonal = row + col
    return np.lexsort((np.where(diagonal % 2, row, col), diagonal))


_ORDER = _zigzag()


def luma_table(picture: bytes) -> NDArray[np.float32] | None:
    """The quantiser steps of a picture's first component, which is luma (ITU-T T.81, annex B).

    Parameters
    ----------
    picture
        A JPEG picture, from its first marker on.

    Returns
    -------
    ndarray [shape=(8, 8), float32, DN] or None
        Rows are vertical frequencies; None where the header tells no table, or is damaged.
    """
    tables: dict[int, NDArray[np.float32]] = {}
    used: int | None = None
    place = 0
    while place + 4 <= len(picture) and picture[place] == _MARKER:
        kind = picture[place + 1]
        if kind == _MARKER or kind in _LONE:  # padding, and markers that stand alone
            place += 1 if kind == _MARKER else 2
            continue
        length = int.from_bytes(picture[place + 2 : place + 4], "big")
        segment = picture[place + 4 : place + 2 + length]
        if kind == _SCAN or length < 2:
            break
        if kind == _TABLES:
            tables |= _tables(segment)
        elif kind in _FRAMES and len(segment) > 8 and segment[0] == 8:  # bits of a pixel
            used = segment[8]
        place += 2 + length
    table = None if used is None else tables.get(used)
    return None if table is None or not table.all() else table


def _tables(segment: bytes) -> dict[int, NDArray[np.float32]]:
    """The tables of one segment, by number."""
    found = {}
    while segment:
        wide, number = divmod(segment[0], 16)
        dtype = np.dtype(">u2" if wide else "u1")
        values = np.frombuffer(segment[1 : 1 + _SIZE * dtype.itemsize], dtype)
        if len(values) < _SIZE:
            break
        table = np.empty(_SIZE, np.float32)
        table[_ORDER] = values
        found[number] = table.reshape(TABLE)
        segment = segment[1 + _SIZE * dtype.itemsize :]
    return found
