"""Several regions of one case: each has its own result, and what lies outside a polygon doesn't count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vmforensics.case import on_each_region, parse_case, read_case
from vmforensics.data import Clock, ReadoutDirection, Region, SensorFrames, Shutter, TimingVerdict
from vmforensics.errors import CaseError, UnknownPlugin
from vmforensics.plugins import Registry
from vmforensics.recovery import run_case
from vmforensics.recovery.plan import plan_case
from vmforensics.testing import Camera, simulate, write_clip

HEAD = "version: 1\ncase: {id: A}\nevidence: [{path: clip.mkv}]\ncamera: {shutter: global}\n"
SHAKING = Region(64, 16, 48, 64)
REGIONS = (
    "regions:\n"
    "  - {name: shaking, box: [64, 16, 48, 64]}\n"
    "  - {name: resting, polygon: [[0, 0], [60, 0], [60, 96], [0, 96]]}\n"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A case with a clip of which one part vibrates."""
    into = tmp_path_factory.mktemp("regions")
    camera = Camera(128, 96, 1000, 300, noise=(1.0, 0.0))
    write_clip(simulate(camera, scene="text", sound="tone:210", rms_px=0.05, moving=SHAKING), into / "clip.mkv")
    run = "runs: [{motion_estimator: gradient}]\n"
    (into / "case.yaml").write_text(HEAD + REGIONS + run, encoding="utf-8")
    return into


def test_each_region_has_its_own_result_and_all_a_common_picture(folder):
    shaking, resting = run_case(folder / "case.yaml", folder / "out")
    assert (shaking.folder.name, shaking.result["verdict"]) == ("shaking", "signal")
    assert (resting.folder.name, resting.result["verdict"]) == ("resting", "no-signal")
    assert resting.result["region"] == {
        "x": 0,
        "y": 0,
        "width": 60,
        "height": 96,
        "name": "resting",
        "polygon": [[0.0, 0.0], [60.0, 0.0], [60.0, 96.0], [0.0, 96.0]],
    }
    assert (folder / "out" / "_comparison" / "regions.png").stat().st_size > 10_000


def test_the_resolved_case_says_the_same(folder):
    (first, second) = plan_case(read_case(folder / "case.yaml"), Registry())
    assert [run.region for run in first.case.runs] == ["shaking", "resting"]
    assert [run.name for run, _ in on_each_region(first.case)] == ["shaking", "resting"]
    assert second.place is not None
    assert second.place.name == "resting"


def test_names_stay_unique_and_name_run_and_region():
    runs = "runs: [{name: plain, denoiser: []}, {name: usual}, {name: one, region: shaking}]\n"
    case = parse_case(HEAD + REGIONS + runs).case
    named = [(run.name, run.region, position) for run, position in on_each_region(case)]
    assert named == [
        ("plain-shaking", "shaking", 0),
        ("plain-resting", "resting", 0),
        ("usual-shaking", "shaking", 1),
        ("usual-resting", "resting", 1),
        ("one", "shaking", 2),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("regions: [{name: a}]\n", "needs either a box or a polygon"),
        ("regions: [{name: a, polygon: [[0, 0], [1, 1]]}]\n", "at least 3"),
        ("regions: [{name: a, box: [0, 0, 9, 9]}, {name: A, box: [0, 0, 9, 9]}]\n", "is taken"),
        ("region: [0, 0, 9, 9]\nregions: [{name: a, box: [0, 0, 9, 9]}]\n", "give one of them"),
        ("regions: [{name: cup, box: [0, 0, 9, 9]}]\nruns: [{region: cap}]\n", "did you mean 'cup'"),
    ],
)
def test_what_is_wrong_with_regions_is_said(text, said):
    with pytest.raises(CaseError, match=said):
        parse_case(HEAD + text)


def test_a_polygon_asks_for_an_estimator_that_leaves_pixels_out(folder):
    other = folder / "other.yaml"
    other.write_text(HEAD + REGIONS + "runs: [{motion_estimator: phase-correlation}]\n", encoding="utf-8")
    with pytest.raises(UnknownPlugin, match="takes rectangles only"):
        plan_case(read_case(other), Registry())


@pytest.mark.parametrize("direction", list(ReadoutDirection))
def test_a_polygon_lies_where_it_was_drawn_whichever_way_rows_are_read(direction):
    clip = simulate(Camera(32, 24, 60, 4), scene="text")
    clock = Clock(np.arange(4) / 60, 60.0, TimingVerdict.EXACT, "test")
    frames = SensorFrames(clip.stream(), clock, Shutter(direction=direction), Region(4, 6, 16, 12))
    mask = frames.within([(4, 6), (12, 6), (12, 9), (4, 9)]).mask
    assert mask is not None
    along = mask[::-1] if direction.reversed else mask
    picture = along.T if direction.along_columns else along
    wanted = np.zeros((12, 16), dtype=bool)
    wanted[:3, :8] = True
    np.testing.assert_array_equal(picture, wanted)


@pytest.mark.parametrize("estimator", ["gradient", "row-motion"])
def test_what_moves_outside_a_polygon_leaves_no_trace(estimator):
    rolling = estimator == "row-motion"
    shutter = Shutter(line_delay=100e-6) if rolling else Shutter()
    camera = Camera(128, 96, 60 if rolling else 1000, 60, noise=(1.0, 0.0), shutter=shutter)
    clip = simulate(camera, scene="text", sound="tone:210", rms_px=0.2, moving=Region(80, 0, 48, 96))
    frames = clip.sensor_frames()
    stage = Registry().create("motion_estimator", estimator)
    whole, part = (stage.estimate(f) for f in (frames, frames.within([(0, 0), (72, 0), (72, 96), (0, 96)])))  # type: ignore[attr-defined]
    moved = [
        np.std(m.along((1.0, 0.0))[0][m.observed]) * np.sqrt(np.mean(m.along((1.0, 0.0))[1])) for m in (whole, part)
    ]
    assert moved[0] > 3 * moved[1]
    assert moved[1] < 2.0
