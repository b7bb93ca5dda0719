"""The row time from mains flicker: exact where it can be told, silent where it can't."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vmforensics.data import ReadoutDirection, RowTime, SensorFrames, Shutter
from vmforensics.testing import Camera, Flicker, StoredFrames, simulate
from vmforensics_rolling_shutter.calibration.mains_flicker import MainsFlicker, MainsFlickerParams
from vmforensics_rolling_shutter.calibration.row_intensity import RowIntensity

ROWS, SECONDS = 1080, 10.0
NTSC = 1000 / 1001


def light(times: NDArray[np.float64], frequency: float, wander: float, seed: int) -> NDArray[np.float64]:
    """Phase (rad) of a lamp whose mains wander by so many Hz, with a period of 23 s."""
    start, begin = np.random.default_rng(seed).uniform(0, 2 * np.pi, 2)
    return np.asarray(
        2 * np.pi * (frequency * times + 2 * wander * 23 * np.sin(times * 2 * np.pi / 23 + start) / 6.28) + begin
    )


def rows(
    frequency: float,
    fps: float,
    *,
    depth: float = 0.02,
    row_time: float = 14e-6,
    wander: float = 0.05,
    seed: int = 0,
    shade: float = 0.0,
) -> tuple[RowIntensity, SensorFrames]:
    """Row means of 10 s of 64 px wide footage with 1 DN noise a pixel, under a lamp with a second harmonic."""
    generator = np.random.default_rng(seed)
    times = np.arange(round(SECONDS * fps)) / fps
    place = np.arange(ROWS)
    phase = light(times[:, None] + place * row_time, frequency, wander, seed) + shade * (place / ROWS) ** 2
    scene = 90 + 30 * np.sin(place / 77) + 8 * generator.standard_normal(ROWS)
    values = scene * (1 + depth * (np.cos(phase) + 0.1 * np.cos(2 * phase + 1)))
    values += generator.standard_normal(values.shape) / 8
    frames = StoredFrames(np.zeros((len(times), ROWS, 1), np.uint8), rate=fps).sensor_frames()
    return RowIntensity(values, times, fps), frames


def found(intensity: RowIntensity, frames: SensorFrames, mains: int | None = None) -> RowTime:
    return MainsFlicker(MainsFlickerParams(mains=mains)).from_rows(intensity, frames)


@pytest.mark.parametrize(
    ("frequency", "fps", "allowed"),
    [(100, 30.0, 1e-4), (100, 60.0, 1.2e-4), (120, 60 * NTSC, 5e-3), (120, 30 * NTSC, 7e-4), (120, 25.0, 1e-4)],
)
def test_row_time_under_wandering_mains(frequency: float, fps: float, allowed: float) -> None:
    result = found(*rows(frequency, fps, row_time=14e-6))
    assert result.value is not None
    assert result.uncertainty is not None
    assert abs(result.value / 14e-6 - 1) < allowed
    assert abs(result.value - 14e-6) < 4 * result.uncertainty
    assert result.light_frequency == pytest.approx(frequency, abs=0.11)


def test_uncertainty_covers_the_error_and_is_not_idle() -> None:
    scores = []
    for seed in range(8):
        result = found(*rows(100, 24.0, depth=0.01, seed=seed), mains=50)
        assert result.value is not None
        assert result.uncertainty is not None
        scores.append((result.value - 14e-6) / result.uncertainty)
    assert 0.5 < np.sqrt(np.mean(np.square(scores))) < 1.6


@pytest.mark.parametrize(("mains", "fps"), [(50, 25.0), (50, 50.0), (60, 30.0), (60, 60.0), (60, 24.0)])
def test_commensurate_rates_are_indeterminate(mains: int, fps: float) -> None:
    result = found(*rows(2 * mains, fps, depth=0.3, row_time=9e-6), mains=mains)
    assert result.value is None
    assert "times the frame rate" in result.reason


def test_the_way_of_the_readout_is_told() -> None:
    intensity, frames = rows(100, 30.0)
    upwards = RowIntensity(intensity.values[:, ::-1], intensity.times, 30.0)
    assert found(intensity, frames).direction is ReadoutDirection.TOP_TO_BOTTOM
    result = found(upwards, frames)
    assert result.direction is ReadoutDirection.BOTTOM_TO_TOP
    assert "against the assumed direction: bottom-to-top" in result.reason
    assert result.value == pytest.approx(14e-6, rel=2e-4)


def test_no_flicker_is_no_row_time() -> None:
    for seed in range(20):
        result = found(*rows(100, 30.0, depth=0.0, seed=seed))
        assert result.value is None
        assert "no flicker of 100 Hz found" in result.reason


def test_anti_banding_exposure_is_named_as_a_cause() -> None:
    camera = Camera(width=64, height=240, fps=30, frames=90, shutter=Shutter(line_delay=50e-6, exposure=1 / 100))
    clip = simulate(camera, sound="silence", flicker=Flicker(100.0, 0.3))
    result = MainsFlicker().calibrate(clip.sensor_frames(), None)  # type: ignore[arg-type]
    assert result.value is None
    assert "anti-banding" in result.reason


def test_a_global_shutter_has_no_row_time() -> None:
    result = found(*rows(100, 30.0, row_time=0.0))
    assert result.value is None
    assert "global shutter" in result.reason


def test_lamps_of_several_phases_widen_the_uncertainty() -> None:
    straight, bent = found(*rows(100, 30.0)), found(*rows(100, 30.0, shade=0.3))
    assert straight.uncertainty is not None
    assert bent.value is not None
    assert bent.uncertainty is not None
    assert bent.uncertainty > 10 * straight.uncertainty
    assert "doesn't run straight" in bent.reason


def test_a_rate_at_which_both_mains_fit_is_not_decided_by_chance() -> None:
    result = found(*rows(100, 44.0))
    assert result.value is None or result.direction is None or result.light_frequency == pytest.approx(100, abs=0.2)


def test_a_rendered_clip_with_texture_sound_and_drift() -> None:
    camera = Camera(width=96, height=360, fps=30, frames=240, shutter=Shutter(line_delay=60e-6, exposure=1 / 500))
    clip = simulate(camera, scene="natural", sound="melody", rms_px=0.05, drift=(2, 1), flicker=Flicker(100.04, 0.05))
    result = MainsFlicker().calibrate(clip.sensor_frames(), None)  # type: ignore[arg-type]
    assert result.value is not None
    assert result.uncertainty is not None
    assert abs(result.value / 60e-6 - 1) < 2e-3
    assert abs(result.value - 60e-6) < 4 * result.uncertainty


@pytest.mark.parametrize(
    ("fps", "frames", "rows", "row_time", "dropped"),
    [(60, 60, 360, 44.4e-6, ()), (30, 120, 270, 96e-6, (50, 51, 90)), (60, 60, 1080, 14.8e-6, ())],
)
def test_a_deep_flicker_of_a_short_or_broken_clip_is_found(
    fps: int, frames: int, rows: int, row_time: float, dropped: tuple[int, ...]
) -> None:
    """Its own leakage into the neighbouring frequencies must not hide its slope."""
    shutter = Shutter(line_delay=row_time)
    camera = Camera(width=32, height=rows, fps=fps, frames=frames, shutter=shutter, dropped=dropped)
    clip = simulate(camera, sound="silence", flicker=Flicker(100.0, 0.1))
    result = MainsFlicker(MainsFlickerParams(mains=50)).calibrate(clip.sensor_frames(), None)  # type: ignore[arg-type]
    assert result.value is not None
    assert result.uncertainty is not None
    assert abs(result.value / row_time - 1) < 5e-4
    assert abs(result.value - row_time) < 4 * result.uncertainty


def test_prediction_between_frames_widens_the_uncertainty() -> None:
    intensity, frames = rows(100, 30.0)
    plain = found(intensity, frames)
    frames.stream.facts = {"inter_coded": True}
    coded = found(intensity, frames)
    assert plain.value is not None
    assert plain.uncertainty is not None
    assert coded.value == plain.value
    fitted = np.sqrt(plain.uncertainty**2 - (5e-5 * plain.value) ** 2)
    assert coded.uncertainty == pytest.approx(np.hypot(fitted, 2.5e-3 * plain.value))
    assert "compression" not in plain.reason
    assert coded.reason.endswith("; compression shifts rows alike, so no better than 0.25 %")


def test_half_a_flash_a_frame_is_indeterminate() -> None:
    """At 2.5 flashes a frame every row only swings to and fro: its phase and its amplitude can't be parted."""
    camera = Camera(width=24, height=360, fps=48, frames=48, shutter=Shutter(line_delay=30e-6))
    clip = simulate(camera, sound="silence", flicker=Flicker(120.0, 0.4))
    result = MainsFlicker(MainsFlickerParams(mains=60)).calibrate(clip.sensor_frames(), None)  # type: ignore[arg-type]
    assert result.value is None
    assert "2.5 times the frame rate" in result.reason
