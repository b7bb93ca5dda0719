"""A finished run carried out again with something changed, in a run of its own that says what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmforensics.case import Run, StageSpec, dump_case
from vmforensics.case.document import scalar
from vmforensics.case.fields import choices
from vmforensics.casefolder import recording_runs
from vmforensics.casefolder.folder import RUNS
from vmforensics.custody import next_run_folder
from vmforensics.errors import CaseError
from vmforensics.plugins import Registry
from vmforensics.recovery import Outcome, Watcher
from vmforensics.recovery.run import carry_out
from vmforensics.recovery.watch import Unwatched
from vmforensics.replay.record import RunRecord, read_record
from vmforensics.stages import STAGES

_SLOTS = tuple(stage.kind for stage in STAGES)
_SEVERAL = frozenset({"denoiser", "exporter"})


@dataclass(frozen=True, slots=True)
class Variation:
    """What a run does otherwise than the one it was made from.

    Parameters
    ----------
    what : str
        A slot ("motion_estimator"), or a stage's parameter ("high-pass.cutoff").
    then, now : object
        What it was, and what it is now; None for a parameter that wasn't stated, as of a stage that was put in.
    """

    what: str
    then: object
    now: object


def vary_run(
    run: Path,
    changes: Sequence[str],
    out: Path | None = None,
    *,
    registry: Registry | None = None,
    watcher: Watcher | None = None,
) -> tuple[Outcome, list[Variation]]:
    """Carry out a finished run with something changed.

    Parameters
    ----------
    run
        The run folder; nothing is written to it.
    changes
        "SLOT=STAGE" exchanges a stage, with its default parameters ("denoiser=" leaves none, "denoiser=a,b" makes
        two); "STAGE.PARAMETER=VALUE" changes a parameter of a stage that the run has. One after another.
    out
        The new run's folder; by default the next number among the case's runs, or beside the run's own.
    registry, watcher
        As for `replay_run`.

    Returns
    -------
    Outcome, list of Variation
        The new run; its ledger's first entry and the beginning of its case.yaml say what was varied.

    Raises
    ------
    CaseError
        A change isn't written as it must be, or names what the run hasn't got.
    VmforensicsError
        As for `replay_run`.
    """
    record = read_record(Path(run))
    registry = registry or Registry()
    varied, variations = record.run, []
    for change in changes:
        varied, variation = _changed(varied, change)
        variations.append(variation)
    text = _case_text(record, varied, variations)
    plan = record.plan(registry, varied, text)
    said: dict[str, Any] = {
        "varies": {"run": record.folder.absolute().name, "ledger_head_sha256": record.head},
        "varied": [{"what": each.what, "then": each.then, "now": each.now} for each in variations],
    }
    parent = record.folder.absolute().parent
    runs = next((folder for folder in (parent, parent.parent) if folder.name == RUNS), parent)
    with recording_runs(runs.parent, actor=plan.case.case.examiner):
        into = next_run_folder(runs, evidence=[plan.evidence.path]) if out is None else out
        return carry_out(plan, into, watcher or Unwatched(), registry, **said), variations


def _changed(run: Run, change: str) -> tuple[Run, Variation]:
    """The run with one change, and what it was."""
    what, sign, value = change.partition("=")
    if not sign:
        raise CaseError(f"--with {change!r}: there is no '='", hint="as in --with motion_estimator=gradient")
    stage, dot, parameter = what.rpartition(".")
    if dot:
        return _with_parameter(run, change, stage, parameter, scalar(value))
    if what not in _SLOTS:
        raise CaseError(f"--with {change!r}: no slot {what!r}", hint=choices(what, _SLOTS))
    specs = tuple(StageSpec(name=name.strip()) for name in value.split(",") if name.strip())
    if what not in _SEVERAL and len(specs) != 1:
        raise CaseError(f"--with {change!r}: a run has one {what}", hint=f"as in --with {what}=NAME")
    before = [spec.name for spec in run.stages(what)]
    now = [spec.name for spec in specs]
    changed = run.model_copy(update={what: specs if what in _SEVERAL else specs[0]})
    single = what not in _SEVERAL
    return changed, Variation(what, before[0] if single else before, now[0] if single else now)


def _with_parameter(run: Run, change: str, stage: str, parameter: str, value: object) -> tuple[Run, Variation]:
    for slot in _SLOTS:
        specs = run.stages(slot)
        for k, spec in enumerate(specs):
            if spec.name == stage:
                params: dict[str, Any] = {**spec.params, parameter: value}
                changed = (*specs[:k], StageSpec(name=stage, params=params), *specs[k + 1 :])
                varied = run.model_copy(update={slot: changed if slot in _SEVERAL else changed[0]})
                now = varied.stages(slot)[k].params[parameter]
                return varied, Variation(f"{stage}.{parameter}", spec.params.get(parameter), now)
    names = [spec.name for slot in _SLOTS for spec in run.stages(slot)]
    raise CaseError(f"--with {change!r}: the run has no stage {stage!r}", hint=choices(stage, names))


def _case_text(record: RunRecord, varied: Run, variations: Sequence[Variation]) -> bytes:
    """The case file of the varied run: what differs in comments, then the case with this run alone."""
    case = record.case.case
    case = case.model_copy(update={"evidence": (case.exhibit(record.run),), "runs": (varied,)})
    lines = [f"# As run {record.folder.absolute().name} (ledger head {record.head}), but for:\n"]
    lines += [f"#   {ascii(each.what)[1:-1]}: {each.now!a} instead of {each.then!a}\n" for each in variations]
    return ("".join(lines) + dump_case(case)).encode()
