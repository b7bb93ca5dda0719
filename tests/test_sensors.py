"""Sensors of every kind: what the row times are made of, and that sound comes out right through each of them."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from vmforensics.case import Camera as CameraSection
from vmforensics.case import case_for_clip
from vmforensics.cli import app
from vmforensics.data import ReadoutDirection, Region, SensorFrames, Shutter
from vmforensics.display import describe_turn, region_hint, stored_region
from vmforensics.errors import CaseError, TimingError
from vmforensics.testing import Camera, simulate
from vmforensics.testing.camera import axis_in_readout_order
from vmforensics_media.video import VideoFile
from vmforensics_rolling_shutter.motion.row_motion import RowMotion

LINE = 10e-6


class TestRowTimes:
    """One formula: the mean instant of the sensor rows that a stored row was made of."""

    def test_a_plain_sensor_has_the_plain_formula(self) -> None:
        offsets = Shutter(line_delay=19e-6, exposure=1e-3).row_offsets(720, 100)
        np.testing.assert_array_equal(offsets, np.arange(100, 820) * 19e-6 + 5e-4)

    @pytest.mark.parametrize("together", [1, 2, 3, 16])
    @pytest.mark.parametrize("scale", [1, 2, 4])
    @pytest.mark.parametrize("first", [0, 1, 7])
    def test_stored_rows_average_their_sensor_rows(self, together: int, scale: int, first: int) -> None:
        shutter = Shutter(
            line_delay=scale * LINE, sensor_rows_per_row=scale, rows_at_once=together, first_sensor_row=first
        )
        sensor = np.arange(first, first + 60 * scale) // together * together * LINE
        np.testing.assert_allclose(shutter.row_offsets(60), sensor.reshape(60, scale).mean(axis=1), atol=1e-15)
        np.testing.assert_allclose(shutter.row_offsets(20, 40), shutter.row_offsets(60)[40:], atol=1e-15)

    def test_a_fraction_of_a_sensor_row_counts_by_its_area(self) -> None:
        """1080 rows stored as 720: row 0 is all of sensor row 0 and half of row 1, row 1 the other half and row 2."""
        instants, shares = Shutter(line_delay=1.5 * LINE, sensor_rows_per_row=1.5).sensor_rows(4)
        means = [Fraction(1, 3), Fraction(5, 3), Fraction(10, 3), Fraction(14, 3)]
        np.testing.assert_allclose((instants * shares).sum(axis=1), [float(m) * LINE for m in means])
        np.testing.assert_allclose(shares.sum(axis=1), 1)

    @pytest.mark.parametrize(("scale", "together"), [(1, 1), (2, 1), (16, 1), (16, 4), (1.5, 1), (2, 2)])
    def test_the_aperture_takes_as_much_of_a_tone_as_the_rows_together(self, scale: float, together: int) -> None:
        shutter = Shutter(LINE * scale, exposure=2e-4, sensor_rows_per_row=scale, rows_at_once=together)
        instants, shares = shutter.sensor_rows(240)
        frequency = 900.0
        kept = np.abs(np.sum(shares * np.exp(2j * np.pi * frequency * instants), axis=1)).mean()
        kept *= np.sinc(frequency * 2e-4)
        assert shutter.aperture is not None
        assert np.sinc(frequency * shutter.aperture) == pytest.approx(kept, abs=2e-3)

    def test_an_unknown_exposure_leaves_the_aperture_unknown(self) -> None:
        assert Shutter(LINE, sensor_rows_per_row=2).aperture is None

    @pytest.mark.parametrize("wrong", [{"sensor_rows_per_row": 0.5}, {"rows_at_once": 0}, {"first_sensor_row": -1}])
    def test_impossible_sensors(self, wrong: dict[str, int]) -> None:
        with pytest.raises(TimingError, match="must"):
            Shutter(LINE, **wrong)  # type: ignore[arg-type]


class TestCase:
    """Three ways to say one row time."""

    @pytest.mark.parametrize(
        ("stated", "direction", "row_time"),
        [
            ({"row_time": "20us"}, "top-to-bottom", 20e-6),
            ({"readout": "14.4 ms"}, "bottom-to-top", 20e-6),
            ({"readout": "25.6 ms"}, "left-to-right", 20e-6),
            ({"line_time": "10us", "sensor_rows_per_row": 2}, "top-to-bottom", 20e-6),
        ],
    )
    def test_row_time(self, stated: dict[str, object], direction: str, row_time: float) -> None:
        case = case_for_clip(Path("a.mkv"), shutter="rolling", readout_direction=direction, **stated)  # type: ignore[arg-type]
        shutter = case.camera.to_shutter(720, 1280)
        assert shutter.line_delay == pytest.approx(row_time)
        assert case.camera.model_dump(exclude_none=True).keys() >= stated.keys()  # what was given stays on record

    @pytest.mark.parametrize(
        "stated",
        [
            {"row_time": 2e-5, "readout": 0.01},
            {"readout": 0.01, "line_time": 1e-5},
            {"row_time": 1e-5, "line_time": 1e-5},
        ],
    )
    def test_only_one_of_them(self, stated: dict[str, float]) -> None:
        with pytest.raises(CaseError, match="give one of them"):
            case_for_clip(Path("a.mkv"), shutter="rolling", **stated)  # type: ignore[arg-type]

    @pytest.mark.parametrize("stated", [{"readout": 0.01}, {"line_time": 1e-5}, {"rows_at_once": 2}])
    def test_none_of_them_with_a_global_shutter(self, stated: dict[str, float]) -> None:
        with pytest.raises(CaseError, match="global"):
            case_for_clip(Path("a.mkv"), shutter="global", **stated)  # type: ignore[arg-type]

    def test_a_wrong_readout_is_told_as_one(self) -> None:
        with pytest.raises(CaseError) as caught:
            case_for_clip(Path("a.mkv"), shutter="rolling", readout="fast")
        assert "camera.readout: 'fast' is no quantity" in str(caught.value)
        assert "row_time" not in str(caught.value)

    def test_the_defaults_are_a_plain_sensor(self) -> None:
        shutter = CameraSection(shutter="rolling", row_time=2e-5).to_shutter(720, 1280)  # type: ignore[arg-type]
        assert shutter == Shutter(line_delay=2e-5)


class TestSimulator:
    """The simulator shows what such a sensor sees."""

    def test_rows_read_at_once_stand_at_one_instant(self) -> None:
        camera = Camera(64, 96, fps=60, frames=4, shutter=Shutter(5e-5, rows_at_once=8, first_sensor_row=3))
        truth = simulate(camera, sound="tone:310").truth
        groups = (np.arange(96) + 3) // 8
        assert np.all(np.diff(truth.displacement, axis=1)[:, np.diff(groups) == 0] == 0)
        assert np.any(np.diff(truth.displacement, axis=1)[:, np.diff(groups) == 1] != 0)

    @pytest.mark.parametrize("exposure", [None, 1 / 2000])
    def test_binned_rows_average_over_time(self, exposure: float | None) -> None:
        tone = 700.0
        shutter = Shutter(1e-4, exposure=exposure, sensor_rows_per_row=4)
        binned = simulate(Camera(64, 96, frames=20, shutter=shutter), sound=f"tone:{tone}").truth
        plain = simulate(Camera(64, 96, frames=20, shutter=Shutter(1e-4)), sound=f"tone:{tone}").truth
        rows = np.mean(np.exp(2j * np.pi * tone * 25e-6 * np.arange(4)))
        kept = abs(rows) * np.sinc(tone * (exposure or 0))
        assert binned.displacement.std() / plain.displacement.std() == pytest.approx(kept, rel=2e-3)

    def test_repeated_frames_show_the_one_before(self) -> None:
        clip = simulate(Camera(64, 48, frames=12, dropped=(2,), repeated=(5, 6)))
        equal = [bool(np.array_equal(a, b)) for a, b in zip(clip.frames[1:], clip.frames[:-1], strict=True)]
        assert np.flatnonzero(equal).tolist() == [3, 4]  # frame 5 is the fifth of those kept


DOWN, UP, RIGHT, LEFT = ReadoutDirection
ROW = 38e-6
BLOCKS = {"rows_at_once": 12, "first_sensor_row": 5}


@pytest.mark.parametrize(
    ("sensor", "known", "exact"),
    [
        ({"direction": DOWN}, {}, True),
        ({"direction": UP}, {}, True),
        ({"direction": RIGHT}, {}, True),
        ({"direction": LEFT}, {}, True),
        ({"direction": RIGHT}, {"direction": LEFT}, False),
        ({"direction": DOWN}, {"direction": UP}, False),
        (BLOCKS, {}, True),
        (BLOCKS, {"rows_at_once": 1, "first_sensor_row": 0}, False),
        (BLOCKS, {"first_sensor_row": 0}, False),
        ({"direction": LEFT, **BLOCKS}, {}, True),
        ({"sensor_rows_per_row": 2, "exposure": 1e-4}, {}, True),
        ({"sensor_rows_per_row": 1.5}, {}, True),
        ({"sensor_rows_per_row": 4, "direction": UP, "rows_at_once": 2, "first_sensor_row": 3}, {}, True),
    ],
)
def test_rows_are_measured_where_the_sound_was(sensor: dict[str, Any], known: dict[str, Any], exact: bool) -> None:
    """Whoever knows the sensor gets every row right; whoever doesn't, doesn't."""
    true = Shutter(ROW, **sensor)
    width, height = (240, 96) if true.direction.along_columns else (96, 240)
    clip = simulate(Camera(width, height, fps=60, frames=48, shutter=true), sound="chirp:300-1500", rms_px=0.04)
    frames = SensorFrames(clip.stream(), clip.clock, dataclasses.replace(true, **known))
    motion = RowMotion().estimate(frames)
    axis = axis_in_readout_order((1.0, 0.0), frames.shutter.direction)
    found, information = motion.along(axis)
    moved = clip.displacement(motion.instants)
    moved -= moved.mean(axis=0)
    weight = np.where(motion.observed, information, 0)
    gain = np.sum(weight * found * moved) / np.sum(weight * moved**2)
    if exact:
        assert gain == pytest.approx(1, abs=0.03)
    else:
        assert abs(gain) < 0.93


def test_every_option_reaches_the_record(tmp_path: Path) -> None:
    clip, folder = tmp_path / "clip.mkv", tmp_path / "run"
    sensor = "--sensor-rows-per-row 2 --rows-at-once 2 --first-sensor-row 3 --readout-direction bottom-to-top"
    simulated = f"--size 64x96 --seconds 0.5 --row-time 100us --sound tone:310 --repeat 9 {sensor}"
    for arguments in (
        ["simulate", clip, *simulated.split()],
        ["recover", clip, "--line-time", "50us", *sensor.split(), "--out", folder],
    ):
        outcome = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
        assert outcome.exit_code == 0, outcome.output
    ledger = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]
    steps = {entry["step"]: entry for entry in ledger if entry["event"] == "step-finished"}
    stated = steps["place sensor rows in time"]["shutter"]
    assert (stated["line_time"], stated["row_time"], stated["row_time_s"]) == (5e-5, None, 1e-4)
    assert (stated["sensor_rows_per_row"], stated["rows_at_once"], stated["first_sensor_row"]) == (2, 2, 3)
    assert steps["examine row times"]["repeated_frames"] == {"frames": [9], "exact": 1}
    result = json.loads((folder / "result.json").read_text())
    assert result["shutter"]["row_time_s"] == 1e-4
    assert result["shutter"]["readout_order"]["verdict"] == "unknown"
    assert any(
        warning.startswith("1 frames repeat the frame before (1 of them exactly)") for warning in result["warnings"]
    )


class TestTurnedPictures:
    """A player's turn is read, told and never applied."""

    @pytest.mark.parametrize("turn", [0, 90, 180, 270])
    def test_a_shown_region_is_found_in_the_stored_picture(self, turn: int) -> None:
        stored = np.zeros((40, 60), dtype=int)
        region = Region(7, 11, 20, 5)
        stored[region.y : region.y + region.height, region.x : region.x + region.width] = 1
        rows, cols = np.nonzero(np.rot90(stored, turn // 90))
        shown = Region(int(cols.min()), int(rows.min()), int(np.ptp(cols)) + 1, int(np.ptp(rows)) + 1)
        assert stored_region(shown, turn, 40, 60) == region

    def test_the_words(self) -> None:
        assert describe_turn({"rotation_degrees": 0}, 40, 60) == ""
        assert "90° clockwise" in describe_turn({"rotation_degrees": -90}, 40, 60)
        assert "left edge is shown on top" in describe_turn({"rotation_degrees": -90}, 40, 60)
        assert "right edge is shown on top" in describe_turn({"rotation_degrees": 90.0}, 40, 60)
        assert "bottom is shown on top" in describe_turn({"rotation_degrees": 180}, 40, 60)

    def test_a_region_of_the_shown_picture_is_recognised(self) -> None:
        facts = {"rotation_degrees": -90}
        assert "is 50,0,10,40" in region_hint(Region(0, 50, 40, 10), facts, 40, 60)
        assert region_hint(Region(0, 50, 41, 10), facts, 40, 60) == ""
        assert region_hint(Region(0, 50, 40, 10), {}, 40, 60) == ""

    def test_a_phone_clip_held_upright(self, footage: Path) -> None:
        """Its error and its facts say which picture counts."""
        clip = footage / "phone" / "guitar_bflat.mov"
        told = CliRunner().invoke(app, ["info", "--no-decode", str(clip)])
        assert "stored picture of 1920x1080 px, whose left edge is shown on top" in told.stdout
        stream = VideoFile(clip)
        region = Region(100, 1500, 300, 300)
        hint = region_hint(region, stream.facts, stream.height, stream.width)
        assert hint.endswith("in the stored picture that is 1500,680,300,300")
