"""The row time from the file's own word, from the table, and from tones."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from vmforensics.data import Evidence, RowTime, SensorFrames, Shutter
from vmforensics.testing import Camera, StoredFrames, simulate
from vmforensics_rolling_shutter.calibration.profiles import CameraProfile, CameraProfileParams, published_profiles
from vmforensics_rolling_shutter.calibration.telemetry import Telemetry
from vmforensics_rolling_shutter.calibration.tonal_sound import TonalSound

EVIDENCE = Evidence(Path("clip.mp4"))


def frames(*, rate: float = 60.0, height: int = 1080, **facts: object) -> SensorFrames:
    stream = StoredFrames(np.zeros((2, height, 8), np.uint8), rate=rate)
    stream.facts = facts
    return stream.sensor_frames()


def test_the_file_s_own_word() -> None:
    key = "com.apple.quicktime.camera.framereadouttimeinmicroseconds"
    result = Telemetry().calibrate(frames(metadata={key: "10800"}), EVIDENCE)
    assert result.value == pytest.approx(1e-5)
    assert result.uncertainty == pytest.approx(5e-8)
    assert key in result.reason


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        ({}, "states no readout time"),
        ({"FrameReadoutTime": "much"}, "states no readout time"),
        ({"FrameReadoutTime": "0.0001"}, "states no readout time"),
        ({"a": {"SROT": 11.1}, "b": {"SROT": 8.3}}, "contradicts itself"),
        ({"SROT": 30.0}, "longer than a frame"),
    ],
)
def test_no_word_or_a_strange_one_is_no_row_time(metadata: dict[str, object], told: str) -> None:
    result = Telemetry().calibrate(frames(metadata=metadata), EVIDENCE)
    assert result.value is None
    assert told in result.reason


def test_telemetry_parser_is_asked_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Parser:
        def __init__(self, path: str) -> None:
            asked.append(path)

        def telemetry(self) -> list[dict[str, object]]:
            return [{"Imager": {"FrameReadoutTime": 8.1}}]

    monkeypatch.setitem(sys.modules, "telemetry_parser", SimpleNamespace(Parser=Parser))
    result = Telemetry().calibrate(frames(), EVIDENCE)
    assert asked == ["clip.mp4"]
    assert result.value == pytest.approx(8.1e-3 / 1080)
    assert "telemetry-parser: FrameReadoutTime" in result.reason
    monkeypatch.setitem(sys.modules, "telemetry_parser", None)
    assert "telemetry-parser isn't installed" in Telemetry().calibrate(frames(), EVIDENCE).reason


def profile(name: str, **clip: float) -> RowTime:
    return CameraProfile(CameraProfileParams(camera=name)).calibrate(frames(**clip), EVIDENCE)  # type: ignore[arg-type]


def test_every_profile_names_its_source() -> None:
    table = published_profiles()
    assert len({(p.camera, p.rows, p.frame_rate) for p in table}) == len(table)
    for entry in table:
        assert len(entry.source) > 20
        assert entry.readout * entry.frame_rate <= 1
        assert profile(entry.camera).prior


def test_a_profile_is_a_wide_prior_and_says_so() -> None:
    same, other = profile("sony a7-iii"), profile("A7 III", rate=30.0, height=2160)
    assert same.prior
    assert same.value == pytest.approx(7.09e-3 / 1080)
    assert same.relative_uncertainty == pytest.approx(0.1)
    assert other.relative_uncertainty == pytest.approx(0.2)
    assert same.reason.startswith("A PRIOR, NOT A MEASUREMENT")
    assert "https://" in same.reason


def test_an_unknown_camera_has_no_profile() -> None:
    result = profile("Sony A7 XIII")
    assert result.value is None
    assert "Sony A7 III" in result.reason
    assert "no camera is named" in profile(" ").reason
    assert "Nikon Z6, " in profile("Z6").reason or profile("Z6").value is not None


def tones(sound: str, rms: float, seconds: int = 4) -> RowTime:
    shutter = Shutter(line_delay=19e-6, exposure=1 / 2000)
    camera = Camera(width=96, height=720, fps=60, frames=60 * seconds, shutter=shutter)
    clip = simulate(camera, scene="print", sound=sound, rms_px=rms, seed=3)
    unknown = SensorFrames(clip.stream(), clip.clock, Shutter())
    return TonalSound().calibrate(unknown, EVIDENCE)


def test_a_tune_agrees_with_one_row_time() -> None:
    result = tones("melody", 0.05)
    assert result.value is not None
    assert result.uncertainty is not None
    assert abs(result.value / 19e-6 - 1) < 0.01
    assert abs(result.value - 19e-6) < 4 * result.uncertainty


def test_one_tone_and_silence_don_t_tell() -> None:
    assert "one steady tone only" in tones("tone:310", 0.05, seconds=2).reason
    assert "too few steady tones" in tones("silence", 0.0, seconds=2).reason
