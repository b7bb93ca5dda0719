"""What a seal states: an in-toto Statement (version 1) about a folder's manifest and its ledgers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import rfc8785

from vmforensics.custody.entries import LARGEST_INTEGER, is_sha256
from vmforensics.custody.manifest import MANIFEST_NAME

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:vmforensics:seal:1"
"""Names the form of the predicate, and its version."""

_LONGEST_TEXT = 4096


@dataclass(frozen=True, slots=True)
class SealedLedger:
    """Where a ledger's chain ended when it was sealed.

    Parameters
    ----------
    entries : int
        Number of its lines.
    head : str
        SHA-256 of the last.
    size : int, bytes
    sha256 : str
        SHA-256 of those bytes: of the file as it was.
    grows : bool
        Whether more may be written to it: a case's ledger. That of a run is closed.
    """

    entries: int
    head: str
    size: int
    sha256: str
    grows: bool


@dataclass(frozen=True, slots=True)
class Statement:
    """What is signed.

    Parameters
    ----------
    number : int
        Number of the seal in its folder, from 1.
    sealed : str
        When, UTC, by the clock of the computer.
    actor, purpose : str
        Who had it sealed, and why.
    program : str
        What made it, with its version.
    manifest_sha256 : str
        SHA-256 of the manifest, which lists every file of the folder but the seal's own.
    files : int
        How many it lists.
    ledgers : mapping
        The ledgers in the folder, by their paths.
    previous : str or None
        SHA-256 of the envelope of the seal before this one; None for the first.
    deviations : tuple of str
        What `verify` found when the folder was sealed; empty if all was as recorded.
    time_stamped : bool
        Whether a time stamp of the signature was asked for, and so has to be there.
    """

    number: int
    sealed: str
    actor: str
    purpose: str
    program: str
    manifest_sha256: str
    files: int
    ledgers: Mapping[str, SealedLedger]
    previous: str | None
    deviations: tuple[str, ...]
    time_stamped: bool

    def to_bytes(self) -> bytes:
        """The Statement as canonical JSON."""
        ledgers: list[Any] = [
            {"path": path, "entries": at.entries, "head": at.head, "size": at.size, "sha256": at.sha256,
             "grows": at.grows}
            for path, at in self.ledgers.items()
        ]  # fmt: skip
        predicate: dict[str, Any] = {
            "number": self.number,
            "sealed": self.sealed,
            "actor": self.actor,
            "purpose": self.purpose,
            "program": self.program,
            "files": self.files,
            "ledgers": ledgers,
            "previous": self.previous,
            "deviations": list(self.deviations),
            "time_stamped": self.time_stamped,
        }
        return rfc8785.dumps(
            {
                "_type": STATEMENT_TYPE,
                "subject": [{"name": MANIFEST_NAME, "digest": {"sha256": self.manifest_sha256}}],
                "predicateType": PREDICATE_TYPE,
                "predicate": predicate,
            }
        )


def parse_statement(payload: bytes) -> Statement:
    """Read a Statement that may hold anything.

    Raises
    ------
    ValueError
        It isn't one that a seal of this version makes; the message goes on after "the seal's statement".
    """
    try:
        fields = json.loads(payload)
        if fields["_type"] != STATEMENT_TYPE or fields["predicateType"] != PREDICATE_TYPE:
            raise ValueError(f"isn't of the kind {PREDICATE_TYPE}")
        statement = _from(fields)
        same = statement.to_bytes() == payload
    except (TypeError, KeyError, IndexError, AttributeError, RecursionError, UnicodeError) as error:
        raise ValueError("lacks what it must hold") from error
    except json.JSONDecodeError as error:
        raise ValueError("isn't JSON") from error
    except rfc8785.CanonicalizationError as error:
        raise ValueError("holds what canonical JSON can't") from error
    if not same:
        raise ValueError("isn't in its canonical form, or holds more than it may")
    return statement


def _from(fields: Mapping[str, Any]) -> Statement:
    predicate = fields["predicate"]
    ledgers = {
        _text(each["path"]): SealedLedger(
            entries=_count(each["entries"]),
            head=_sha256(each["head"]),
            size=_count(each["size"]),
            sha256=_sha256(each["sha256"]),
            grows=_flag(each["grows"]),
        )
        for each in predicate["ledgers"]
    }
    return Statement(
        number=_count(predicate["number"]),
        sealed=_text(predicate["sealed"]),
        actor=_text(predicate["actor"]),
        purpose=_text(predicate["purpose"]),
        program=_text(predicate["program"]),
        manifest_sha256=_sha256(fields["subject"][0]["digest"]["sha256"]),
        files=_count(predicate["files"]),
        ledgers=ledgers,
        previous=None if predicate["previous"] is None else _sha256(predicate["previous"]),
        deviations=tuple(_text(each) for each in predicate["deviations"]),
        time_stamped=_flag(predicate["time_stamped"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise TypeError
    return value


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_INTEGER:
        raise TypeError
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _sha256(value: object) -> str:
    if not is_sha256(value):
        raise TypeError
    return str(value)
