"""Text from elsewhere, made safe to read: nothing hidden, nothing endless.

Names and metadata come from whoever made the clip. Escaping markup is the template engine's; here control and
format characters (that could reverse a file name's reading direction) are written out, and length is bounded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from vmforensics.report.quantities import NARROW_NO_BREAK, NO_BREAK, NOT_STATED

_LONGEST = 2000  # characters of one text
_MOST_ITEMS = 100  # of one mapping or list
_SPACES = frozenset({NO_BREAK, NARROW_NO_BREAK})  # not printable in Python's eyes, but hide nothing
WORDS = {
    "yes": "yes",
    "no": "no",
    "none": "none",
    "empty": "empty",
    "not_stated": NOT_STATED,
    "more": "… {count} more in result.json",
}
"""What stands for values that are no text themselves, in English."""


def visible(value: object) -> object:
    r"""What a template shows for a value: texts with every unprintable character written out, None in words.

    Examples
    --------
    >>> print(visible("invoice\u202egpj.exe\n"))
    invoice\u202egpj.exe\n
    >>> visible(None)
    'not stated'
    """
    if value is None:
        return NOT_STATED
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    shown = value[:_LONGEST]
    if not shown.isprintable():
        shown = "".join(c if c.isprintable() or c in _SPACES else _written_out(c) for c in shown)
    if len(value) > _LONGEST:
        shown += f"… ({len(value)} characters; the whole is in result.json)"
    return shown


def fact(value: Any, words: Mapping[str, str] = WORDS) -> list[str]:
    """A JSON value as short lines: one for a plain value, one an item for a mapping, JSON for what lies deeper.

    Examples
    --------
    >>> fact(True), fact("ffv1"), fact(None), fact([1, 2]), fact([])
    (['yes'], ['ffv1'], ['not stated'], ['1, 2'], ['none'])
    >>> fact({"encoder": "Lavf", "nested": {"a": [1]}})
    ['encoder: Lavf', 'nested: {"a": [1]}']
    """
    if isinstance(value, Mapping):
        lines = [f"{key}: {_plain(item, words)}" for key, item in list(value.items())[:_MOST_ITEMS]]
        return _with_rest(lines, len(value), words) or [words["none"]]
    if isinstance(value, Sequence) and not isinstance(value, str):
        items = _with_rest([_plain(item, words) for item in value[:_MOST_ITEMS]], len(value), words)
        return [", ".join(items) or words["none"]]
    return [_plain(value, words)]


def label(key: str) -> str:
    """A key of a JSON object as words.

    Examples
    --------
    >>> label("sample_aspect_ratio"), label("DURATION")
    ('sample aspect ratio', 'DURATION')
    """
    return key.replace("_", " ")


def _plain(value: Any, words: Mapping[str, str]) -> str:
    if isinstance(value, bool):
        return words["yes" if value else "no"]
    if value is None:
        return words["not_stated"]
    if value == "":
        return words["empty"]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _with_rest(lines: list[str], total: int, words: Mapping[str, str]) -> list[str]:
    """The lines, and how many more there are."""
    return [*lines, words["more"].format(count=total - len(lines))] if total > len(lines) else lines


def _written_out(character: str) -> str:
    r"""An unprintable character as an escape: \n, \x1b, \u202e."""
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
