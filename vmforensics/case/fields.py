"""The kinds of field a case is made of, and the words in which a wrong one is reported."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

Loc = tuple[str | int, ...]
"""A place in a case: the keys and list positions (from 0) that lead there."""

LARGEST_INTEGER = 2**53 - 1
"""Integers beyond ± this aren't exact in JSON (RFC 8785, section 3.2.2.3), hence in no ledger."""

LARGEST_DEPTH = 16
"""How deep a stage's parameters may nest."""

_FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # controls but tab and newline
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")  # a plain folder name everywhere; never . or ..


def check_characters(text: str) -> str:
    """Return the text unless it could forge what a terminal or a report shows, or can't be stored as UTF-8.

    Raises
    ------
    ValueError
        It holds a control character other than tab and newline, a line separator, or half a surrogate pair.
    """
    if found := _FORBIDDEN.search(text):
        raise ValueError(f"holds the control character U+{ord(found[0]):04X} (character {found.start() + 1})")
    return text


def as_written(value: object) -> object:
    """The text of a number from a case file as it stands there, so that an id 0042 or 1.10 stays what it is."""
    return getattr(value, "source", value)


def show(value: object) -> str:
    """A value for an error message, as YAML has it: text in quotes, long ones shortened."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(str(value)) if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else f"{text[:40]}... ({len(text)} characters)"


def choices(given: object, allowed: Iterable[str]) -> str:
    """Name what is allowed, and the nearest of it to what was given.

    Examples
    --------
    >>> choices("rollin", ["rolling", "global"])
    "allowed: rolling, global; did you mean 'rolling'?"
    """
    import difflib

    allowed = list(allowed)
    text = f"allowed: {', '.join(allowed) or 'none'}"
    near = difflib.get_close_matches(given[:64], allowed, n=1) if isinstance(given, str) else []
    return f"{text}; did you mean {near[0]!r}?" if near else text


class Problems:
    """Collects what is wrong with a part of a case, each with its place in that part, to be raised together."""

    def __init__(self) -> None:
        self._found: list[InitErrorDetails] = []

    def add(self, message: str, *loc: str | int) -> None:
        """Note a problem at a place."""
        kind = PydanticCustomError("case", "{message}", {"message": message})
        self._found.append(InitErrorDetails(type=kind, loc=loc, input=None))

    def check(self) -> None:
        """Raise pydantic's ValidationError if there was any; within a validator it adds to the others."""
        if self._found:
            raise ValidationError.from_exception_data("case", self._found)


def _text(value: object) -> str:
    value = as_written(value)
    if not isinstance(value, str):
        raise ValueError(f"{show(value)} is no text; put it in quotes")
    return check_characters(value)


def _one_line(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty; it needs a value")
    if "\n" in value:
        raise ValueError("holds a line break; it must be a single line")
    return value


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(
            f"{show(value)} is no name; allowed: up to 64 letters (a-z), digits, '-', '_' and '.', "
            "the first a letter or a digit"
        )
    return value


def _plain_data(value: dict[str, Any]) -> dict[str, Any]:
    problems = Problems()
    plain = {str(key): _plain(item, (key,), problems) for key, item in value.items()}
    problems.check()
    return plain


def _plain(value: object, loc: Loc, problems: Problems) -> object:
    """The value in exactly the types that YAML and JSON share; what has no such type is noted as a problem."""
    if objection := _objection(loc[-1]) or _objection(value):
        problems.add(objection, *loc)
    elif len(loc) > LARGEST_DEPTH:
        problems.add(f"nests too deeply; at most {LARGEST_DEPTH} levels are allowed", *loc)
    elif isinstance(value, dict):
        return {str(key): _plain(item, (*loc, key), problems) for key, item in value.items()}
    elif isinstance(value, list | tuple):
        return [_plain(item, (*loc, n), problems) for n, item in enumerate(value)]
    elif value is None or isinstance(value, bool):
        return value
    else:  # rid of subclasses, which remember how a number was written
        return next(kind(value) for kind in (str, int, float) if isinstance(value, kind))
    return None


def _objection(value: object) -> str:
    """Why a value can't be a parameter's or a key's, "" if it can."""
    if isinstance(value, str):
        try:
            check_characters(value)
        except ValueError as error:
            return str(error)
    elif isinstance(value, int):
        if abs(value) > LARGEST_INTEGER:
            return f"{show(value)} is too large to be exact; integers go up to 2^53 - 1"
    elif isinstance(value, float):
        if not math.isfinite(value):
            return f"{value} isn't finite"
    elif not (value is None or isinstance(value, dict | list | tuple)):
        return f"{show(value)} is no plain value; allowed: text, number, true, false, null, list, mapping"
    return ""


Text = Annotated[str, BeforeValidator(_text)]
"""Any text without control characters."""

Line = Annotated[Text, AfterValidator(_one_line)]
"""Text that fills one line and isn't blank."""

Name = Annotated[Text, AfterValidator(_name), Field(json_schema_extra={"pattern": _NAME.pattern})]
"""Text that serves as a folder's name on any system."""

PlainData = Annotated[dict[str, Any], AfterValidator(_plain_data)]
"""A mapping of plain values: what YAML and JSON share, with finite numbers that both hold exactly."""
