"""The row time from a light of known frequency, in one picture and in a clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vmforensics.data import Evidence, ReadoutDirection, RowTime
from vmforensics.testing import StoredFrames
from vmforensics_rolling_shutter.calibration.known_light import KnownLight, KnownLightParams

ROWS, ROW_TIME, LIGHT = 720, 15e-6, 1000.0


def pictures(
    count: int = 1, *, duty: float = 0.5, fps: float = 30.0, saturated: float = 1.0, fall: float = 0.5, seed: int = 0
) -> NDArray[np.uint8]:
    """A wall under a square-wave light, brighter at the top, seen with a twentieth of a period's exposure."""
    generator = np.random.default_rng(seed)
    rows = np.arange(ROWS)
    place = (np.arange(count)[:, None] / fps + rows * ROW_TIME) * LIGHT + 0.3
    edge = 0.05
    on = np.clip((duty - np.abs(place % 1 - 0.5)) / edge + 0.5, 0, 1)
    wall = 180 * (1 - fall * rows / ROWS)
    values = saturated * wall[:, None] * on[..., None] + 8 + generator.standard_normal((count, ROWS, 24))
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def found(luma: NDArray[np.uint8], *, frequency: float | None = LIGHT, **params: float) -> RowTime:
    calibrator = KnownLight(KnownLightParams(frequency=frequency, **params))
    return calibrator.calibrate(StoredFrames(luma, rate=30.0).sensor_frames(), Evidence(Path("unused")))


@pytest.mark.parametrize("duty", [0.15, 0.25, 0.4])
def test_one_picture_will_do(duty: float) -> None:
    result = found(pictures(duty=duty))
    assert result.value is not None
    assert result.uncertainty is not None
    assert abs(result.value / ROW_TIME - 1) < 1e-3
    assert result.uncertainty >= 1e-3 * result.value
    assert result.direction is None
    assert "which way the readout runs can't be told" in result.reason


def test_illumination_and_saturation_hardly_matter() -> None:
    result = found(pictures(duty=0.3, saturated=1.8, fall=0.8))
    assert result.value == pytest.approx(ROW_TIME, rel=2e-3)
    assert "saturated" in result.reason


def test_a_clip_tells_the_way_of_the_readout() -> None:
    clip = pictures(12, duty=0.3, fps=29.3)
    frames = StoredFrames(clip, rate=29.3)
    calibrator = KnownLight(KnownLightParams(frequency=LIGHT))
    down = calibrator.calibrate(frames.sensor_frames(), Evidence(Path("unused")))
    up = calibrator.calibrate(StoredFrames(clip[:, ::-1].copy(), rate=29.3).sensor_frames(), Evidence(Path("unused")))
    assert down.value == pytest.approx(ROW_TIME, rel=1e-3)
    assert (down.direction, up.direction) == (ReadoutDirection.TOP_TO_BOTTOM, ReadoutDirection.BOTTOM_TO_TOP)


def test_the_lights_own_uncertainty_counts() -> None:
    given = found(pictures(duty=0.3), frequency_uncertainty=10.0)
    assert given.value is not None
    assert given.uncertainty == pytest.approx(0.01 * given.value, rel=0.02)
    assert "taken as exact" in found(pictures(duty=0.3)).reason


def test_without_bands_or_frequency_there_is_no_row_time() -> None:
    texture = np.random.default_rng(1).integers(0, 255, (1, ROWS, 32), dtype=np.uint8)
    slope = np.broadcast_to(np.linspace(200, 20, ROWS).astype(np.uint8)[None, :, None], (1, ROWS, 32)).copy()
    for luma in (texture, slope, np.full((1, ROWS, 32), 90, np.uint8)):
        result = found(luma)
        assert result.value is None
        assert "no regular bands" in result.reason
    assert "isn't given" in found(pictures(), frequency=None).reason


def test_too_slow_a_light_is_refused() -> None:
    rows = np.arange(ROWS)
    wave = 100 + 80 * np.cos(2 * np.pi * 2.1 * rows / ROWS)
    result = found(np.broadcast_to(np.rint(wave).astype(np.uint8)[None, :, None], (1, ROWS, 32)).copy())
    assert result.value is None
    assert "take a faster light" in result.reason or "no regular bands" in result.reason


def test_a_row_time_that_no_sensor_has_is_refused() -> None:
    result = found(pictures(duty=0.3), frequency=1e6)
    assert result.value is None
    assert result.uncertainty is None
    assert "a row time of 15 ns is faster than any sensor reads; is the light's frequency right?" in result.reason
