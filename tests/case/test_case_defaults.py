"""Completing a case."""

import pytest

from vmforensics.case import USUAL_STAGES, ShutterKind, StageSpec, parse_case, resolve, with_stage
from vmforensics.stages import STAGES

TEXT = """\
version: 1
case: {id: A}
evidence: [{path: a.mkv}, {path: b.mkv}]
camera: {shutter: %s}
"""
ROLLING, GLOBAL = TEXT % "rolling, row_time: 19us", TEXT % "global"


def stages(run):
    return {stage.kind: [spec.name for spec in run.stages(stage.kind)] for stage in STAGES}


@pytest.mark.parametrize(("text", "shutter"), [(ROLLING, ShutterKind.ROLLING), (GLOBAL, ShutterKind.GLOBAL)])
def test_every_slot_is_filled(text, shutter):
    case = parse_case(text).case
    (run,) = resolve(case).runs
    assert (run.name, run.evidence) == ("recovery", "E1")
    assert stages(run) == {kind: list(names) for kind, names in USUAL_STAGES[shutter].items()}
    assert list(stages(run)) == [stage.kind for stage in STAGES]
    assert case.runs[0].denoiser is None  # the original stays as it was
    assert resolve(resolve(case)) == resolve(case)


def test_what_is_there_stays():
    text = GLOBAL + "runs: [{evidence: E2, motion_estimator: {name: x, params: {k: 1}}, denoiser: [], exporter: wav}]"
    (run,) = resolve(parse_case(text).case).runs
    assert run.evidence == "E2"
    assert run.motion_estimator == StageSpec(name="x", params={"k": 1})
    assert stages(run)["denoiser"] == []
    assert stages(run)["exporter"] == ["wav"]
    assert stages(run)["signal_combiner"] == ["shared-signal"]


def test_with_stage():
    case = resolve(parse_case(GLOBAL + "runs: [{name: a}, {name: b}]").case)
    spec = StageSpec(name="spectral-subtraction", params={"floor": 0.1})
    changed = with_stage(case, 1, "denoiser", spec, 1)
    assert changed.runs[0] == case.runs[0]
    assert changed.runs[1].denoiser == (StageSpec(name="high-pass"), spec)
    changed = with_stage(changed, 0, "frame_source", StageSpec(name="video"))
    assert changed.runs[0].frame_source == StageSpec(name="video")
    with pytest.raises(IndexError):
        with_stage(case, 0, "frame_source", spec, 1)
