"""What a verification finds, in plain words."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class FindingKind(StrEnum):
    """What sort of deviation was found."""

    CHANGED = "changed"  # a file's content isn't what was recorded
    MISSING = "missing"  # a recorded file isn't there
    ADDED = "added"  # something that wasn't recorded
    MALFORMED = "malformed"  # a line of the ledger or the manifest, or a part of a seal, isn't as it must be
    BROKEN_CHAIN = "broken-chain"  # a line of the ledger, or a seal, doesn't follow the one before
    TORN = "torn"  # the ledger's last line was cut short, as by a crash
    UNFINISHED = "unfinished"  # the ledger doesn't say how the run ended
    UNREADABLE = "unreadable"  # a file can't be read, so that nothing can be said about it
    SIGNATURE = "signature"  # a seal's signature isn't of what it says
    SIGNER = "signer"  # a seal's key isn't one that is trusted
    TIME_STAMP = "time-stamp"  # a seal's time stamp doesn't hold
    UNSEALED = "unsealed"  # a seal was demanded, and there is none that holds
    UNKNOWN_STATE = "unknown-state"  # a digest noted elsewhere isn't that of anything here
    EVIDENCE_CHANGED = "evidence-changed"
    EVIDENCE_MISSING = "evidence-missing"


@dataclass(frozen=True, slots=True)
class Finding:
    """One deviation.

    Parameters
    ----------
    kind : FindingKind
    where : str
        The file, with `:line` where that helps, or the exhibit.
    message : str
        What is wrong, in plain words.
    """

    kind: FindingKind
    where: str
    message: str


def shown(text: str) -> str:
    r"""Text that may hold anything, safe to print.

    Examples
    --------
    >>> shown("E1"), shown("a\x1b[2Jb")
    ('E1', 'a\\x1b[2Jb')
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def lookalike(name: str, others: Iterable[str]) -> str | None:
    r"""One of other names that a reader could take for this one: another case, Unicode form, script, or hidden letters.

    Examples
    --------
    >>> lookalike("Raw.wav", ["case.yaml", "raw.wav"]), lookalike("raw\u200b.wav", ["raw.wav"]), lookalike("a", ["b"])
    ('raw.wav', 'raw.wav', None)
    >>> lookalike("r\u0430w.wav", ["raw.wav"])
    'raw.wav'
    """
    skeleton = _skeleton(name)
    for other in others:
        if other != name and (_skeleton(other) == skeleton or _foreign_letters(name, other)):
            return other
    return None


def _skeleton(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name)
    return "".join(c for c in decomposed if unicodedata.category(c) not in ("Cf", "Cc", "Mn")).casefold().strip()


def _foreign_letters(name: str, other: str) -> bool:
    """Whether a name is another but for some letters that are of no ASCII."""
    return len(name) == len(other) and all(a == b or not a.isascii() for a, b in zip(name, other, strict=True))
