"""JSON files of a folder that may be hostile: bounded, never through a link, never what UTF-8 can't hold."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vmforensics.custody.opening import open_regular
from vmforensics.errors import CustodyError

LARGEST_JSON = 16 * 2**20
"""Bytes that a JSON file of a case may have."""

_LARGEST_INTEGER = 2**53 - 1
_LONGEST_NUMBER = 400  # characters


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    CustodyError
        It can't be read, is a link or no regular file, is too large, or isn't JSON as RFC 8259 has it.
    """
    try:
        with open_regular(path) as file:
            data = file.read(LARGEST_JSON + 1)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = error.strerror if isinstance(error, OSError) else error
        raise CustodyError(f"{path}: can't be read: {reason}") from error
    if len(data) > LARGEST_JSON:
        raise CustodyError(f"{path}: is larger than {LARGEST_JSON} bytes")
    try:
        content = json.loads(data.decode(), parse_constant=_refuse, parse_int=_integer, parse_float=_number)
        json.dumps(content, ensure_ascii=False).encode()  # half a surrogate pair can't be stored or shown
    except (ValueError, RecursionError) as error:
        raise CustodyError(f"{path}: isn't valid JSON: {str(error)[:200]}") from error
    return content


def plain(value: object) -> Any:
    """A value as JSON and UTF-8 hold it: what they can't, as text.

    Examples
    --------
    >>> plain({"rate": float("nan"), "frames": 2**60, "name": "a\\udc80"})
    {'rate': 'nan', 'frames': '1152921504606846976', 'name': 'a\\\\udc80'}
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _LARGEST_INTEGER else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {plain(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value).encode("utf-8", "backslashreplace").decode()


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def _integer(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is beyond what a number can hold")
    return number
