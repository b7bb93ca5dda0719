"""Verification: whether a run or a case, and the evidence that it speaks of, are still what they were left as."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from vmforensics.custody.case_check import check_case, is_case
from vmforensics.custody.file_check import Witness
from vmforensics.custody.findings import Finding, FindingKind, shown
from vmforensics.custody.reader import Reader
from vmforensics.custody.run_check import check_run
from vmforensics.custody.seal import SEALS_NAME
from vmforensics.custody.seal_check import Trust
from vmforensics.custody.verification import Verification

_UNSEALED = (
    "The folder is tamper-evident to a point: somebody who can rewrite all of it can rebuild the ledger, the manifest "
    "and every digest in them. To rule that out, seal it, or keep the head hash or the manifest's SHA-256 somewhere "
    "else."
)
_SEALED = (
    "A seal shows that what it covers is what the holder of its key had then; not that it was right, nor that no later "
    "seal was taken away. To rule that out, keep the last seal's SHA-256 somewhere else."
)
_NOBODY = "Whose the seals' keys are wasn't looked at: no key was given as trusted."
_CLOCK = "Times are those of the clock of the computer that ran it."
_CLOCK_STAMPED = "Times are those of the clock of the computer that ran it, but for the time stamps."
_EVIDENCE_UNSEEN = "The evidence wasn't looked at."


def verify(
    folder: Path,
    *,
    evidence: bool = True,
    progress: Callable[[int], None] | None = None,
    trust: Trust | None = None,
    expected: Sequence[str] = (),
) -> Verification:
    """Compare a run or a case with its manifests, ledgers and seals, these with themselves, and the evidence with them.

    Nothing is written, and whatever the folder holds is reported rather than raised. No link in it is followed but
    to the evidence, and nothing outside it is opened but the evidence.

    Parameters
    ----------
    folder
        The folder of a run; or of a case, or any other that holds runs.
    evidence
        Whether to read the evidence too.
    progress
        Called with the number of bytes read since the last call.
    trust
        Whom to rely on. If it holds keys, the folder must have a seal by one of them.
    expected
        SHA-256 digests noted elsewhere: of a ledger's head, a manifest or a seal. Each must be that of something here,
        be it an earlier line of a ledger; or the folder was rolled back, or rewritten.

    Raises
    ------
    CustodyError
        `folder` is no folder, or can't be listed.
    """
    reader = Reader(progress, expected)
    trust = trust or Trust()

    def check(path: Path, covered: Sequence[Witness]) -> Verification:
        if is_case(path):
            return check_case(path, reader, trust, check, evidence=evidence, covered=covered)
        return check_run(path, reader, trust, evidence=evidence, covered=covered)

    found = check(folder, ())
    more = [
        Finding(
            FindingKind.UNKNOWN_STATE,
            sha256,
            "nothing here has this SHA-256, neither a line of a ledger nor a manifest nor a seal: the folder was "
            "rolled back to an earlier state, rewritten, or is another",
        )
        for sha256 in sorted(reader.unmet)
    ]
    if trust.keys:
        message = "there is no seal that holds and is by one of the keys given as trusted"
        more += [Finding(FindingKind.UNSEALED, shown(where), message) for where in _unsealed(found)]
    return replace(found, findings=(*found.findings, *more), limits=_limits(found, trust, evidence=evidence))


def _unsealed(found: Verification, prefix: str = "") -> Iterator[str]:
    """Where a seal is wanting: in the folder itself or, where it only holds cases, in these."""
    if found.anchor is not None:
        return
    if found.status is None and found.head is None and not found.seals and found.parts:
        for path, part in found.parts.items():
            yield from _unsealed(part, f"{prefix}{path}/")
    else:
        yield f"{prefix}{SEALS_NAME}"


def _limits(found: Verification, trust: Trust, *, evidence: bool) -> tuple[str, ...]:
    """What a verification couldn't tell."""
    limits = [_SEALED if next(_unsealed(found), None) is None else _UNSEALED]
    if not trust.keys and (found.seals or any(part.seals for part in found.parts.values())):
        limits.append(_NOBODY)
    limits.append(_CLOCK_STAMPED if any(seal.stamp_vouched for seal in found.seals) else _CLOCK)
    if not evidence:
        limits.append(_EVIDENCE_UNSEEN)
    return tuple(limits)
