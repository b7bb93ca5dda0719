"""The outcome of a verification."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from vmforensics.custody.findings import Finding, shown


class RunStatus(StrEnum):
    """How the run ended, by its ledger's last entry."""

    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True)
class SealVerdict:
    """What became of one seal.

    Parameters
    ----------
    where : str
        Its folder, from that which it seals.
    sha256 : str
        SHA-256 of its envelope.
    holds : bool
        Whether its parts belong together and its signature is right; whose it is, is another question.
    key : str
        Fingerprint of the key that signed; "", and nothing of what the seal says, where the signature isn't right.
    trusted : bool or None
        Whether that is one of the keys given as trusted; None if none was given.
    sealed : str
        When, by the clock of the computer that sealed.
    actor, purpose : str
        Who had it sealed, and why.
    deviations : tuple of str
        What was already found when it was made.
    amends : str
        What changed against the seal before, in words; "" for the first.
    stamped : str or None
        When the time-stamping authority saw it.
    stamp_vouched : bool
        Whether the authority is one of those given as trusted.
    """

    where: str
    sha256: str
    holds: bool
    key: str
    trusted: bool | None
    sealed: str
    actor: str
    purpose: str
    deviations: tuple[str, ...] = ()
    amends: str = ""
    stamped: str | None = None
    stamp_vouched: bool = False


@dataclass(frozen=True, slots=True)
class Anchor:
    """What the last seal that holds covers.

    Parameters
    ----------
    seal : str
        Its folder.
    files : int
        Files that are as it lists them, ledgers that only grew since included.
    unanchored : tuple of str
        What was added since: files, and the lines of ledgers. It rests on the record alone until there is a new seal.
    """

    seal: str
    files: int
    unanchored: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verification:
    """The outcome of a verification, of a run's folder or of a folder with several.

    Parameters
    ----------
    findings : tuple of Finding
        Every deviation of the folder itself; empty if all is as it was left. `all_findings` has those of `parts` too.
    status : RunStatus or None
        How the run ended. One that failed can be verified like one that finished. None if the folder isn't a run's.
    head : str or None
        SHA-256 of the ledger's last line: the head hash to be kept elsewhere. None where there is no line.
    manifest_sha256 : str or None
        SHA-256 of the run's manifest, which stands for the whole folder; None where it can't be read.
    entries : int
        Sound lines of the ledger.
    files : int
        Files of the folder whose digests were compared.
    exhibits : int
        Exhibits whose digests were compared.
    evidence_read : tuple of str
        Where they were found: at their places relative to the folder or, where there is nothing, where they were.
    limits : tuple of str
        What this verification can't tell.
    notes : tuple of str
        What is worth knowing and no deviation: recoveries after a crash, sealings that came to nothing.
    seals : tuple of SealVerdict
        The folder's own seals, in order.
    anchor : Anchor or None
        What the last of them that holds covers; None if there is none.
    implementations : tuple of mapping
        The stages that took part, as the ledger records them.
    parts : mapping
        The runs in the folder, by their paths; empty for a run.
    """

    findings: tuple[Finding, ...]
    status: RunStatus | None
    head: str | None
    manifest_sha256: str | None
    entries: int
    files: int
    exhibits: int
    evidence_read: tuple[str, ...]
    limits: tuple[str, ...]
    notes: tuple[str, ...] = ()
    seals: tuple[SealVerdict, ...] = ()
    anchor: Anchor | None = None
    implementations: tuple[Mapping[str, Any], ...] = ()
    parts: Mapping[str, Verification] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing deviates, here and in the parts."""
        return not any(True for _ in self.all_findings())

    @property
    def anchored(self) -> bool:
        """Whether a seal that holds covers everything."""
        return self.anchor is not None and not self.anchor.unanchored

    def all_findings(self) -> Iterator[Finding]:
        """Every deviation, here and in the parts, its place counted from this folder."""
        yield from self.findings
        for path, part in self.parts.items():
            for each in part.all_findings():
                yield Finding(each.kind, f"{shown(path)}/{each.where}", each.message)
