"""The row time from a hand-held camera's own motion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vmforensics.data import Evidence, ReadoutDirection, RowTime, Shutter
from vmforensics.testing import Camera, simulate
from vmforensics_rolling_shutter.calibration.camera_motion import CameraMotion

ROW_TIME = 150e-6
EVIDENCE = Evidence(Path("clip.mp4"))


def calibrated(direction: ReadoutDirection = ReadoutDirection.TOP_TO_BOTTOM, **clip: Any) -> RowTime:
    """What is found of a clip whose row time isn't known, and whose rows are taken to be read from the top or left."""
    size = (112, 160) if direction.along_columns else (160, 112)
    camera = Camera(*size, fps=30, frames=90, shutter=Shutter(ROW_TIME, exposure=1 / 1000, direction=direction))
    frames = simulate(camera, **{"scene": "natural", "rms_px": 0.02, "seed": 3, **clip}).sensor_frames()
    assumed = ReadoutDirection.LEFT_TO_RIGHT if direction.along_columns else ReadoutDirection.TOP_TO_BOTTOM
    return CameraMotion().calibrate(replace(frames, shutter=Shutter(1e-6, direction=assumed)), EVIDENCE)


@pytest.mark.parametrize("direction", [ReadoutDirection.TOP_TO_BOTTOM, ReadoutDirection.RIGHT_TO_LEFT])
def test_a_hand_shows_row_time_and_direction(direction: ReadoutDirection) -> None:
    found = calibrated(direction, sound="melody", handheld=8.0)
    assert found.value == pytest.approx(ROW_TIME, rel=0.02)
    assert found.uncertainty is not None
    assert found.value is not None
    assert abs(found.value - ROW_TIME) < 3 * found.uncertainty
    assert found.uncertainty < 0.02 * ROW_TIME
    assert found.direction is direction


@pytest.mark.parametrize("sound", ["silence", "melody", "tone:61", "tone:100"])
def test_a_tripod_shows_nothing(sound: str) -> None:
    found = calibrated(sound=sound)
    assert found.value is None
    assert "rests" in found.reason


def test_rows_exposed_together_have_no_row_time() -> None:
    camera = Camera(160, 112, fps=30, frames=90)
    frames = simulate(camera, scene="natural", sound="silence", handheld=8.0, seed=3).sensor_frames()
    found = CameraMotion().calibrate(frames, EVIDENCE)
    assert found.value is None
    assert "together" in found.reason
