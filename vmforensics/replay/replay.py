"""A finished run carried out again, and what came out held against what is on record."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from vmforensics.custody import LEDGER_NAME, Entry, read_ledger
from vmforensics.errors import VmforensicsError
from vmforensics.plugins import Registry
from vmforensics.recovery import Watcher
from vmforensics.recovery.run import carry_out
from vmforensics.recovery.watch import Unwatched
from vmforensics.replay.artefacts import Artefact, Likeness, compare_artefacts
from vmforensics.replay.differences import Difference, differences
from vmforensics.replay.record import RunRecord, read_record


class ReplayVerdict(StrEnum):
    """How a repeated run came out."""

    IDENTICAL = "identical"  # every artefact to the byte
    WITHIN_TOLERANCE = "within-tolerance"  # the numbers agree, and a named difference explains the bytes
    UNEXPLAINED = "unexplained"  # bytes differ, and nothing of program or machine does
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Replay:
    """The outcome of a repetition.

    Parameters
    ----------
    run : Path
        The run that was repeated.
    head : str
        SHA-256 of its ledger's last line.
    verdict : ReplayVerdict
    reason : str
        The verdict in plain words.
    artefacts : tuple of Artefact
        Every artefact compared.
    differences : tuple of Difference
        What of program and machine isn't as it was.
    first_step : str or None
        The first step whose output isn't the same to the bit; None where all are.
    """

    run: Path
    head: str
    verdict: ReplayVerdict
    reason: str
    artefacts: tuple[Artefact, ...]
    differences: tuple[Difference, ...]
    first_step: str | None

    @property
    def ok(self) -> bool:
        """Whether the run came out as recorded."""
        return self.verdict in (ReplayVerdict.IDENTICAL, ReplayVerdict.WITHIN_TOLERANCE)


@dataclass(frozen=True, slots=True)
class Validation:
    """One run of a validation: its repetition, or why it couldn't be repeated."""

    run: Path
    replay: Replay | None
    problem: str = ""


def replay_run(
    run: Path, *, keep: Path | None = None, registry: Registry | None = None, watcher: Watcher | None = None
) -> Replay:
    """Carry out a finished run again, with the recorded stages and parameters, and compare every artefact.

    Parameters
    ----------
    run
        The run folder; nothing is written to it.
    keep
        Folder for the repeated run; by default it goes to a temporary one, which is gone afterwards.
    registry
        The stages to choose from; those installed if None.
    watcher
        Told of the progress.

    Raises
    ------
    VmforensicsError
        The record isn't sound, the evidence isn't there or isn't what it was, or a stage isn't installed any more.
    """
    record = read_record(Path(run))
    registry, watcher = registry or Registry(), watcher or Unwatched()
    plan = record.plan(registry)
    with _folder_for(keep) as folder:
        try:
            said = {"replay_of": {"ledger_head_sha256": record.head}}
            again = carry_out(plan, folder, watcher, registry, assessment=record.assessment, **said)
        except VmforensicsError as error:
            if keep is None:
                error.__notes__ = [f"{run}: came so far when it was repeated; nothing of that was kept"]
            raise
        return _compared(record, again.folder)


@contextmanager
def _folder_for(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="vmforensics-replay-") as temporary:
        yield Path(temporary) / "run"


def _compared(record: RunRecord, again: Path) -> Replay:
    entries = tuple(read_ledger(again / LEDGER_NAME))
    made = {name: sha for entry in entries for name, sha in entry.fields.get("products", {}).items()}
    artefacts = compare_artefacts(record.folder, again, record.products, made)
    stages = [e.fields["implementation"] for e in entries if e.event == "step-started" and "implementation" in e.fields]
    differing = differences(record.started, entries[0].fields, record.stages, stages)
    verdict, reason = judge(artefacts, differing)
    return Replay(
        run=record.folder,
        head=record.head,
        verdict=verdict,
        reason=reason,
        artefacts=tuple(artefacts),
        differences=tuple(differing),
        first_step=_first_difference(record.entries, entries),
    )


def judge(artefacts: Sequence[Artefact], differing: Sequence[Difference]) -> tuple[ReplayVerdict, str]:
    """Say how a run came out again, by its artefacts and by what of program and machine isn't as it was.

    Returns
    -------
    ReplayVerdict, str
        The verdict, and its reason in plain words.
    """
    likeness = [each.likeness for each in artefacts]
    same = likeness.count(Likeness.IDENTICAL)
    if same == len(artefacts):
        return ReplayVerdict.IDENTICAL, f"all {same} artefacts have the digests on record"
    if bad := [each.name for each in artefacts if each.likeness in (Likeness.DIFFERENT, Likeness.MISSING)]:
        return ReplayVerdict.DIFFERENT, f"{', '.join(bad)}: not as recorded"
    if not differing:
        return (
            ReplayVerdict.UNEXPLAINED,
            "the numbers agree within tolerance, but so should the bytes: nothing of program or machine differs",
        )
    added = [each.name for each in artefacts if each.likeness is Likeness.ADDED]
    more = f"; made besides: {', '.join(added)}" if added else ""
    return (
        ReplayVerdict.WITHIN_TOLERANCE,
        f"{same} of {len(artefacts) - len(added)} artefacts have the digests on record, the others agree within "
        f"tolerance{more}",
    )


def _first_difference(then: Sequence[Entry], now: Sequence[Entry]) -> str | None:
    """The first step whose output digest differs."""
    old, new = ([_output(e) for e in entries if e.event == "step-finished"] for entries in (then, now))
    for before, after in zip(old, new, strict=False):
        if before != after:
            return before[0]
    return None


def _output(entry: Entry) -> tuple[str, object, object]:
    fields = entry.fields
    return str(fields.get("step")), fields.get("decoded_luma_sha256"), fields.get("output_sha256")


def validate(
    runs: Sequence[Path], *, registry: Registry | None = None, watcher: Watcher | None = None
) -> Iterator[Validation]:
    """Repeat many runs, one after another; what can't be repeated is told with the reason, and the others go on.

    Parameters
    ----------
    runs
        Run folders, as `runs_below` finds them.
    registry, watcher
        As for `replay_run`.
    """
    registry = registry or Registry()
    for run in runs:
        try:
            yield Validation(run, replay_run(run, registry=registry, watcher=watcher))
        except VmforensicsError as error:
            yield Validation(run, None, str(error))


def runs_below(folder: Path) -> list[Path]:
    """Every run folder in a folder, in the order of their names; links to other places aren't followed.

    Examples
    --------
    >>> runs_below(Path("nowhere", "at", "all"))
    []
    """
    found = []
    for here, subfolders, names in os.walk(folder):
        subfolders.sort()
        if LEDGER_NAME in names and "case.resolved.yaml" in names:
            found.append(Path(here))
            subfolders.clear()
    return sorted(found)
