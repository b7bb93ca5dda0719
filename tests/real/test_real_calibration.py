"""Real pictures under lights of known frequency, and a real clip from which no row time can be told."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmforensics.data import Evidence, SensorFrames
from vmforensics.plugins import Registry
from vmforensics.timing import judge_clock


def row_time(picture: Path, light: float) -> float | None:
    registry = Registry()
    stream = registry.create("frame_source", "image-sequence").open(Evidence(picture))  # type: ignore[attr-defined]
    clock = judge_clock(stream.stamps, resolution=0.0, capture_fps=30.0)
    calibrator = registry.create("row_time_calibrator", "known-light", {"frequency": light})
    return calibrator.calibrate(SensorFrames(stream, clock), Evidence(picture)).value  # type: ignore[attr-defined]


def test_nikon_under_an_led_of_1_khz(footage: Path) -> None:
    """Published: 15.730 ms for 1080 rows, from 43 pictures."""
    measured = row_time(footage / "calibration" / "nikon1j1_led1000hz_1920x1080.png", 1000)
    assert measured is not None
    assert 1080 * measured == pytest.approx(15.730e-3, rel=2e-3)


@pytest.mark.parametrize("number", [0, 1, 2, 3, 5])
def test_raspberry_pi_camera_under_a_laser_of_5_khz(footage: Path, number: int) -> None:
    measured = row_time(footage / "calibration" / f"rpicam3_laser5khz_frame{number}.png", 5000)
    assert measured == pytest.approx(9.12e-6, rel=2e-3)


@pytest.mark.parametrize(("name", "rate"), [("guitar_bflat.mov", 30.0), ("fan.mov", 30.0)])
def test_lamps_at_four_times_the_frame_rate_tell_nothing(footage: Path, name: str, rate: float) -> None:
    registry = Registry()
    clip = Evidence(footage / "phone" / name)
    stream = registry.create("frame_source", "video").open(clip)  # type: ignore[attr-defined]
    clock = judge_clock(stream.stamps, resolution=stream.stamp_resolution, declared_rate=stream.declared_rate)
    assert clock.rate == pytest.approx(rate, rel=2e-3)
    calibrator = registry.create("row_time_calibrator", "mains-flicker")
    result = calibrator.calibrate(SensorFrames(stream, clock), clip)  # type: ignore[attr-defined]
    assert result.value is None
    assert "under 60 Hz mains it can't be told" in result.reason
