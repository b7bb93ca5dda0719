"""A case, or a lone clip, to finished runs: each is one journey, under one ledger."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Unpack

from vmforensics.case import CameraSettings, CaseFile, case_for_clip, dump_case, parse_case, read_case
from vmforensics.casefolder import recording_runs
from vmforensics.custody import RunFolder, next_run_folder
from vmforensics.plugins import Registry
from vmforensics.recovery import guard
from vmforensics.recovery.comparison import COMPARISON, compare
from vmforensics.recovery.examination import Examination
from vmforensics.recovery.journey import Journey
from vmforensics.recovery.opening import exhibit_at
from vmforensics.recovery.outcome import Outcome
from vmforensics.recovery.plan import Plan, plan_case
from vmforensics.recovery.record import saying_where, setting
from vmforensics.recovery.watch import Unwatched, Watcher


def run_case(
    case: CaseFile | str | Path,
    out: str | Path | None = None,
    *,
    registry: Registry | None = None,
    watcher: Watcher | None = None,
) -> list[Outcome]:
    """Carry out every run of a case; several are compared in the end, in the folder `_comparison` beside theirs.

    Parameters
    ----------
    case
        A case file, read or to be read.
    out
        Where to: the run folder if the case has one run, else the folder that gets one sub-folder a run. By default
        the next number under `runs/` beside the case file.
    registry
        The stages to choose from; those installed if None.
    watcher
        Told of the progress.

    Raises
    ------
    VmforensicsError
        What went wrong; a run that had begun leaves a ledger that says so.
    """
    case_file = case if isinstance(case, CaseFile) else read_case(Path(case))
    registry, watcher = registry or Registry(), watcher or Unwatched()
    plans = plan_case(case_file, registry)
    evidence = [plan.evidence.path for plan in plans]
    with recording_runs(case_file.path.parent, actor=case_file.case.case.examiner):
        base = Path(out) if out is not None else next_run_folder(case_file.path.parent / "runs", evidence=evidence)
        if len(plans) == 1:
            return [carry_out(plans[0], base, watcher, registry)]
        if out is not None:
            RunFolder.create(base, evidence=evidence)
        outcomes = [carry_out(plan, base / plan.name, watcher, registry) for plan in plans]
        compare(
            [(outcome.folder, outcome.result, outcome.head) for outcome in outcomes],
            base / COMPARISON,
            evidence=evidence,
            watcher=watcher,
            case=plans[0].case.case.model_dump(mode="json"),
            **setting(registry),
        )
        return outcomes


def recover_clip(
    clip: str | Path,
    out: str | Path | None = None,
    *,
    shutter: str,
    region: tuple[int, int, int, int] | None = None,
    assessment: Outcome | None = None,
    registry: Registry | None = None,
    watcher: Watcher | None = None,
    **camera: Unpack[CameraSettings],
) -> Outcome:
    """Recover one clip in the usual way, through a case written for it.

    Parameters
    ----------
    clip
        A video file, or a folder of pictures.
    out
        The run folder; by default the next number under `casefiles/CLIP/runs/` in the working folder.
    shutter
        "global" or "rolling".
    region : px
        x, y, width, height; the whole frame if None.
    assessment
        What the settings were chosen by; it becomes part of the result.
    registry
        The stages to choose from; those installed if None.
    watcher
        Told of the progress.
    **camera
        What else is known of the camera, as in a case file: see `CameraSettings`. A rolling shutter needs one of
        row_time, readout and line_time.

    Raises
    ------
    VmforensicsError
        What went wrong; a run that had begun leaves a ledger that says so.
    """
    clip = exhibit_at(clip).path
    case = case_for_clip(
        Path(os.path.realpath(clip)),  # Path.resolve() raises where links go in circles
        shutter=shutter,
        region=region,
        **camera,
    )
    case_file = parse_case(dump_case(case, leave_out_defaults=True))
    registry = registry or Registry()
    plan = plan_case(case_file, registry)[0]
    if out is not None:
        return carry_out(plan, Path(out), watcher or Unwatched(), registry, assessment=assessment)
    folder = Path("casefiles") / clip.absolute().stem
    with recording_runs(folder, actor=plan.case.case.examiner):
        base = next_run_folder(folder / "runs", evidence=[plan.evidence.path])
        return carry_out(plan, base, watcher or Unwatched(), registry, assessment=assessment)


def carry_out(
    plan: Plan,
    path: Path,
    watcher: Watcher,
    registry: Registry,
    *,
    assessment: Outcome | None = None,
    **said: object,
) -> Outcome:
    """Carry out one run into a new folder, `said` going into its ledger's first entry; see `run_case`."""
    folder = RunFolder.create(path, evidence=[plan.evidence.path])
    if assessment is not None:
        said["assessed"] = {"verdict": assessment.result["verdict"], "ledger_head_sha256": assessment.head}
    identity = plan.case.case.model_dump(mode="json")
    with folder.record(case=identity, run=plan.name, **setting(registry), **said) as ledger, saying_where(ledger):
        journey = Journey(plan, folder, ledger, watcher)
        ledger.published(folder.write("case.yaml", plan.case_text))
        ledger.published(folder.write("case.resolved.yaml", dump_case(plan.case).encode()))
        if assessment is not None:
            journey.assessed = assessment.result
            picture = (assessment.folder / "assessment.png").read_bytes()
            ledger.published(folder.write("assessment.png", picture))
        examination = Examination(plan.evidence, ledger, watcher)
        before = examination.before(plan.expected_sha256)
        journey.compare_with_earlier_runs(before)
        stream, clock = journey.open()
        frames = journey.expose(stream, clock)
        motion = journey.examine_motion(frames, journey.estimate(frames))
        signal = journey.combine(motion)
        raw = journey.raw(motion, signal)
        guard.seal(raw)
        recovered = journey.denoise(signal)
        recovery = journey.judge(frames, stream, motion, signal, raw, recovered)
        with folder.staging() as staging:
            exported = journey.export(recovery, staging)
            examination.after(before)
            ledger.published(folder.publish(exported))
        result = journey.summarise(before, stream, clock, frames, recovery)
    return Outcome(path, result, ledger.head)
