"""A case's methods, each with each, side by side: carried out, resumed, scored and compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vmforensics.benchmark.parallel import Task, carry_out_all
from vmforensics.case import CaseFile, dump_case, expanded
from vmforensics.casefolder import recording_runs
from vmforensics.custody import LEDGER_NAME, RunFolder, next_run_folder, read_ledger
from vmforensics.custody.verify import verify
from vmforensics.errors import EvidenceMissing, EvidenceUnreadable, OutputError, Unsuitable
from vmforensics.evaluation import Recording, align, read_recovered, read_reference, scored
from vmforensics.plugins import Registry
from vmforensics.recovery import COMPARISON, Outcome, Plan, Watcher, plan_case
from vmforensics.recovery.comparison import compare
from vmforensics.recovery.record import setting
from vmforensics.recovery.watch import Unwatched

SCORES = ("si_sdr", "segmental_snr", "stoi", "coherence")
"""What runs are compared by where there is a reference."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A finished comparison.

    Parameters
    ----------
    folder : Path
        The folder that holds the runs' folders and `_comparison`.
    content : dict
        What comparison.json says.
    resumed : int
        How many runs were found finished.
    """

    folder: Path
    content: dict[str, Any]
    resumed: int


def compare_case(
    case_file: CaseFile,
    out: Path | None = None,
    *,
    resume: bool = False,
    reference: Path | None = None,
    scores: Collection[str] = SCORES,
    jobs: int = 1,
    make_registry: Callable[[], Registry] = Registry,
    watcher: Watcher | None = None,
) -> Compared:
    """Carry out a case's matrix of methods, and compare what they found.

    A run that is refused, for what the footage or a method doesn't allow, is told in the table; the others go on.

    Parameters
    ----------
    case_file
        The case. Its `compare` section is the matrix; where it has none but several runs, these are.
    out
        Where to: the folder that gets one sub-folder a run. By default the next number under `runs/` beside the case
        file.
    resume
        Whether `out` holds an interrupted comparison that is to be carried on. A run counts as done if its folder is
        intact and it was the same run: the same case, parameters and sources of the methods. One that wasn't finished
        stays as it is, and is carried out again in a folder of the same name with .2, .3 ... after it.
    reference
        What was really heard, a sound file; the runs are then scored against it.
    scores
        Which scores.
    jobs
        Most processes at a time.
    make_registry
        Makes the registry of stages, in each process.
    watcher
        Told of the progress.

    Raises
    ------
    CaseError, UnknownPlugin, ParameterError, EvidenceMissing
        The case can't be carried out as it stands.
    OutputError
        The folder can't be made, or doesn't hold a comparison to be carried on.
    Unsuitable
        Every run was refused.
    """
    watcher = watcher or Unwatched()
    if case_file.case.compare is not None or len(case_file.case.runs) < 2:
        case_file = replace(case_file, case=expanded(case_file.case))
    registry = make_registry()
    plans = plan_case(case_file, registry)
    evidence = [plan.evidence.path for plan in plans]
    truth = read_reference(reference) if reference is not None else None
    with recording_runs(case_file.path.parent, actor=case_file.case.case.examiner):
        base = _base(case_file, out, evidence, resume=resume)
        found = {plan.name: _finished(base, plan) for plan in plans} if resume else {}
        outcomes = {name: outcome for name, outcome in found.items() if outcome is not None}
        resumed = len(outcomes)
        tasks = [
            Task(case_file.path, case_file.text, plan.case, number, _free(base / plan.name))
            for number, plan in enumerate(plans)
            if plan.name not in outcomes
        ]
        refused = []
        for done in carry_out_all(tasks, jobs=jobs, make_registry=make_registry, watcher=watcher):
            plan = plans[done.task.number]
            if done.outcome is not None:
                outcomes[plan.name] = done.outcome
            else:
                refused.append({"run": plan.name, **_methods(plan), "error": done.error})
        if not outcomes:
            raise Unsuitable(f"every run was refused; the first: {refused[0]['error']}")
        ordered = [outcomes[plan.name] for plan in plans if plan.name in outcomes]
        found_scores = None
        if truth is not None:
            watcher.say("scoring the runs")
            found_scores = [_scored(outcome, truth, scores) for outcome in ordered]
        content = compare(
            [(outcome.folder, outcome.result, outcome.head) for outcome in ordered],
            base / COMPARISON,
            evidence=evidence,
            watcher=watcher,
            scores=found_scores,
            refused=refused,
            case=plans[0].case.case.model_dump(mode="json"),
            **setting(registry),
        )
    return Compared(base, content, resumed)


def _base(case_file: CaseFile, out: Path | None, evidence: list[Path], *, resume: bool) -> Path:
    """The folder of all runs, made or found."""
    if not resume:
        base = out if out is not None else next_run_folder(case_file.path.parent / "runs", evidence=evidence)
        if out is not None:
            RunFolder.create(base, evidence=evidence)
        return base
    if out is None or not out.is_dir():
        raise OutputError(f"{out}: there is no such comparison to carry on", hint="name the folder it was written to")
    if (out / COMPARISON).exists():
        raise OutputError(
            f"{out} holds a comparison that is finished", hint=f"see {out / COMPARISON}; another goes to a new folder"
        )
    return out


def _free(folder: Path) -> Path:
    """The folder's name, or the first with a number after it that isn't taken."""
    number, free = 1, folder
    while free.exists():
        number += 1
        free = folder.with_name(f"{folder.name}.{number}")
    return free


def _finished(base: Path, plan: Plan) -> Outcome | None:
    """What a run found, if it was carried out before, just as it would be now, and its folder is intact."""
    number, folder = 1, base / plan.name
    found = None
    while folder.is_dir():
        found = _outcome(folder, plan) or found
        number += 1
        folder = base / f"{plan.name}.{number}"
    return found


def _outcome(folder: Path, plan: Plan) -> Outcome | None:
    if not (folder / "result.json").is_file() or not verify(folder, evidence=False).ok:
        return None
    if (folder / "case.resolved.yaml").read_bytes() != dump_case(plan.case).encode():
        return None
    result = json.loads((folder / "result.json").read_bytes())
    stages = (plan.source, plan.estimator, plan.combiner, *plan.denoisers, *plan.exporters)
    used = [{key: value for key, value in stage.items() if key != "chose"} for stage in result["method"]]
    if used != [plan.implementation(stage) for stage in stages]:
        return None
    return Outcome(folder, result, read_ledger(folder / LEDGER_NAME)[-1].digest)


def _methods(plan: Plan) -> dict[str, Any]:
    return {
        "motion_estimator": plan.estimator.name,
        "signal_combiner": plan.combiner.name,
        "denoisers": [denoiser.name for denoiser in plan.denoisers],
    }


def _scored(outcome: Outcome, truth: Recording, names: Collection[str]) -> dict[str, Any] | None:
    """Scores of one run against the reference; None for a run that left nothing to score."""
    try:
        aligned = align(read_recovered(outcome.folder), truth)
    except (EvidenceMissing, EvidenceUnreadable):
        return None
    found = scored(aligned, names=names)
    rms = float((aligned.reference**2).mean() ** 0.5)
    return {"rate_hz": aligned.rate, "reference_rms": rms, **found["metrics"]}
