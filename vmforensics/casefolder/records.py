"""What a case folder holds of exhibits and notes: one JSON file each, written once and never changed."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from vmforensics.case.fields import LARGEST_INTEGER, Line, Name, Text
from vmforensics.casefolder.json_files import plain, read_json
from vmforensics.errors import CustodyError

EXHIBIT_FORMAT: Literal["vmforensics-exhibit/1"] = "vmforensics-exhibit/1"
NOTE_FORMAT: Literal["vmforensics-note/1"] = "vmforensics-note/1"
LONGEST_NOTE = 65536
"""Characters of a note."""

_SHA256 = "^[0-9a-f]{64}$"
_Record = TypeVar("_Record", bound="Record")


def moment(text: str) -> str:
    """A date, or a time with its offset from UTC, as ISO 8601 writes it; "" for none.

    Raises
    ------
    ValueError
        It is neither.

    Examples
    --------
    >>> moment("2026-03-01"), moment("2026-03-01T14:30+01:00"), moment("20260301T143000Z")
    ('2026-03-01', '2026-03-01T14:30:00+01:00', '2026-03-01T14:30:00+00:00')
    """
    if not text:
        return text
    try:
        if len(text) <= 10:
            return date.fromisoformat(text).isoformat()
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no date or time; write 2026-03-01 or 2026-03-01T14:30+01:00") from None
    if when.tzinfo is None:
        raise ValueError(f"{text!r} lacks its offset from UTC; write {text}Z or {text}+01:00")
    return when.isoformat()


Moment = Annotated[Text, AfterValidator(moment)]
"""A date or a time with its offset, "" if nobody stated it."""

Sha256 = Annotated[str, Field(pattern=_SHA256)]
Size = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]


class Record(BaseModel):
    """Base of the records: frozen, no unknown keys, no infinities."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        populate_by_name=True,
        json_schema_serialization_defaults_required=True,
    )


class ExhibitFile(Record):
    """One file of an exhibit."""

    name: Text = Field(description="Its name within the exhibit.")
    size_bytes: Size = Field(description="Its size.")
    sha256: Sha256 = Field(description="Its SHA-256.")


class Received(Record):
    """How an exhibit came to the laboratory."""

    from_: Text = Field(default="", alias="from", description="From whom.")
    at: Moment = Field(default="", description="When: a date, or a time with its offset from UTC (ISO 8601).")


class ExhibitRecord(Record):
    """One exhibit of a case."""

    format: Literal["vmforensics-exhibit/1"] = EXHIBIT_FORMAT
    id: Name = Field(description="The exhibit's mark in the case.")
    name: Line = Field(description="Name of the file or folder that was handed in.")
    sha256: Sha256 = Field(
        description="SHA-256 of the file; for several files that of their sha256sum listing in byte order of the names."
    )
    size_bytes: Size = Field(description="Size of all its files.")
    files: tuple[ExhibitFile, ...] = Field(description="Its files, in byte order of their names.")
    received: Received = Field(default=Received(), description="From whom, and when.")
    notes: Text = Field(default="", description="Origin and condition.")
    policy: Literal["refer", "copy"] = Field(
        description="refer: the case works on the exhibit where it lies, known by its digest; "
        "copy: on a copy in the case folder that was compared with it."
    )
    path: Line = Field(description="What the case works on, relative to the case folder.")
    container: dict[str, Any] | None = Field(
        default=None, description="What its container says: codec, time stamps, metadata; null where it can't be read."
    )
    container_problem: Text = Field(default="", description="Why the container can't be read.")
    credentials: dict[str, Any] | None = Field(
        default=None, description="Its C2PA content credentials; null where nobody looked for them."
    )


class NoteRecord(Record):
    """One note on a case."""

    format: Literal["vmforensics-note/1"] = NOTE_FORMAT
    number: Annotated[int, Field(ge=1, le=LARGEST_INTEGER)] = Field(description="Its number in the case, from 1.")
    time: Moment = Field(description="When it was written, by the clock of the computer.")
    author: Line = Field(description="Who wrote it.")
    about: Text = Field(default="", description="The exhibit or the run that it is about; empty for the whole case.")
    text: Annotated[Text, Field(max_length=LONGEST_NOTE)] = Field(description="What it says.")


def dump_record(record: Record) -> bytes:
    """A record as JSON; the same record gives the same bytes."""
    content = plain(record.model_dump(mode="json", by_alias=True))
    return (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def build_record(kind: type[_Record], **content: Any) -> _Record:
    """Make a record of what a user gave.

    Raises
    ------
    CustodyError
        A value isn't allowed.
    """
    try:
        return kind.model_validate(plain(content))
    except ValidationError as error:
        raise CustodyError("; ".join(_problems(error))) from error


def read_record(kind: type[_Record], path: Path) -> _Record:
    """Read a record.

    Raises
    ------
    CustodyError
        It can't be read, or isn't such a record; the message says why.
    """
    content = read_json(path)
    form = kind.model_fields["format"].default
    if not isinstance(content, dict) or content.get("format") != form:
        raise CustodyError(f"{path}: isn't of the format {form}")
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise CustodyError(f"{path}: {'; '.join(_problems(error))}") from error


def record_schema(kind: type[Record]) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a kind of record."""
    name = kind.model_fields["format"].default
    schema = _untitled(kind.model_json_schema(by_alias=True, mode="serialization"))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": name, **schema}


def _untitled(schema: Any) -> Any:
    """Without the titles that pydantic makes of names."""
    if isinstance(schema, dict):
        return {key: _untitled(value) for key, value in schema.items() if key != "title" or not isinstance(value, str)}
    return [_untitled(item) for item in schema] if isinstance(schema, list) else schema


def _problems(error: ValidationError) -> list[str]:
    return [
        f"{'.'.join(str(step)[:60] for step in each['loc']) or 'record'}: {each['msg'].removeprefix('Value error, ')}"
        for each in error.errors(include_url=False, include_input=False)[:10]
    ]
