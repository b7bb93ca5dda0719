"""The assessment: its noise floor is what a recovery then shows, its regions rest, its verdicts follow the picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vmforensics
from vmforensics.assessment import Knowledge, assess_clip
from vmforensics.assessment.budget import exposure_loss
from vmforensics.case import read_case
from vmforensics.data import Region, Shutter
from vmforensics.recovery import recover_clip
from vmforensics.testing import Camera, Flicker, simulate, write_clip
from vmforensics.testing.sound import silence

ROLLING = Shutter(line_delay=50e-6)
CLIPS: dict[str, tuple[Camera, dict[str, Any], dict[str, Any], float]] = {
    "rolling": (Camera(192, 270, 60, 60, noise=(2.0, 0.01), shutter=ROLLING), {"scene": "camera"}, {}, 2.0),
    "global": (Camera(128, 96, 1000, 400, noise=(1.0, 0.01)), {"scene": "coffee"}, {}, 2.0),
    "rolling MJPEG": (
        Camera(192, 270, 60, 60, noise=(1.0, 0.0), shutter=ROLLING),
        {"scene": "natural"},
        {"codec": "mjpeg", "quality": 4},
        4.0,
    ),
    "global H.264": (
        Camera(128, 96, 1000, 400, noise=(2.0, 0.0)),
        {"scene": "natural"},
        {"codec": "libx264", "quality": 14},
        4.0,
    ),
}


def known(camera: Camera) -> Knowledge:
    """What the user knows of a simulated camera."""
    if camera.shutter.is_rolling:
        return Knowledge(shutter="rolling", row_time=camera.shutter.line_delay)
    return Knowledge(shutter="global")


@pytest.mark.parametrize("name", CLIPS)
def test_the_predicted_noise_is_what_recovery_shows(name, tmp_path):
    camera, scene, encoding, tolerance = CLIPS[name]
    clip = write_clip(simulate(camera, sound=silence(), **scene), tmp_path / "clip.mkv", **encoding)
    assessed = assess_clip(clip, tmp_path / "assessment", known=known(camera)).result
    (method,) = assessed["methods"]
    rolling = camera.shutter.is_rolling
    run = recover_clip(
        clip,
        tmp_path / "run",
        shutter="rolling" if rolling else "global",
        row_time=camera.shutter.line_delay if rolling else None,
    )
    arrays = np.load(run.folder / "signal.npz")
    rate, axis = float(arrays["raw_rate_hz"]), arrays["axis"]
    side = "along_row" if abs(axis[0]) > abs(axis[1]) else "across_rows"
    predicted = method[f"noise_density_{side}_px_per_rthz"] * max(method["noise_excess"], 1.0) * np.sqrt(rate / 2)
    seen, raw = arrays["raw_observed"], arrays["raw_px"]
    relative = raw[seen] / arrays["raw_sigma_px"][seen]
    shown = np.median(arrays["raw_sigma_px"][seen]) * np.sqrt(np.mean(np.clip(relative, -10, 10) ** 2))
    assert abs(20 * np.log10(predicted / shown)) < tolerance


def test_what_moves_by_itself_is_left_out(tmp_path):
    camera = Camera(192, 128, 500, 200, noise=(1.0, 0.0))
    shaking = Region(128, 32, 64, 64)
    clip = write_clip(
        simulate(camera, scene="text", sound="tone:40", rms_px=0.8, moving=shaking), tmp_path / "clip.mkv"
    )
    result = assess_clip(clip, tmp_path / "out", known=Knowledge(shutter="global")).result
    x, y, width, height = result["best_region"]["region"]
    apart = x + width <= shaking.x + 16 or y + height <= shaking.y + 16 or y >= shaking.y + shaking.height - 16
    assert apart
    assert any(candidate["moves_by_itself"] for candidate in result["candidates"])


def test_a_blank_wall_isn_t_suitable(tmp_path):
    clip = write_clip(simulate(Camera(96, 64, 500, 60), scene="grey", sound=silence()), tmp_path / "wall.mkv")
    result = assess_clip(clip, tmp_path / "out").result
    assert result["verdict"] == "not suitable"
    assert "shows motion" in " ".join(result["reasons"]) or "texture" in " ".join(result["reasons"])
    assert not (tmp_path / "out" / "case.yaml").exists()


def test_an_unknown_row_time_is_a_limit_and_no_case_is_made(tmp_path):
    camera = Camera(192, 180, 60, 60, noise=(0.5, 0.0), shutter=Shutter(line_delay=80e-6))
    clip = write_clip(simulate(camera, scene="text", sound=silence()), tmp_path / "clip.mkv")
    result = assess_clip(clip, tmp_path / "out").result
    assert result["verdict"] != "suitable"
    assert any("row time isn't known" in reason for reason in result["reasons"])
    assert not (tmp_path / "out" / "case.yaml").exists()


def test_a_row_time_that_the_lamps_tell_makes_a_case_that_runs(tmp_path):
    camera = Camera(128, 180, 30, 120, noise=(0.5, 0.0), shutter=Shutter(line_delay=150e-6, exposure=1 / 1000))
    flicker = Flicker(frequency=100.0, depth=0.2)
    clip = write_clip(simulate(camera, scene="text", sound=silence(), flicker=flicker), tmp_path / "clip.mkv")
    result = assess_clip(clip, tmp_path / "out").result
    assert result["row_time"]["row_time_s"] == pytest.approx(150e-6, rel=0.01)
    case = read_case(tmp_path / "out" / "case.yaml")
    assert case.case.camera.row_time == pytest.approx(result["row_time"]["row_time_s"])
    assert case.evidence_path(case.case.evidence[0]).samefile(clip)


def test_a_long_exposure_is_a_refusal(tmp_path):
    camera = Camera(128, 120, 60, 60, shutter=Shutter(line_delay=100e-6))
    clip = write_clip(simulate(camera, scene="text", sound=silence()), tmp_path / "clip.mkv")
    result = assess_clip(clip, tmp_path / "out", known=Knowledge("rolling", 100e-6, exposure=1 / 70)).result
    assert result["verdict"] == "not suitable"
    assert "exposed" in " ".join(result["reasons"])


def test_the_folder_is_sealed_and_says_the_same_twice(tmp_path):
    clip = write_clip(simulate(Camera(96, 64, 500, 60), scene="camera", sound=silence()), tmp_path / "clip.mkv")
    first, second = (assess_clip(clip, tmp_path / name) for name in ("a", "b"))
    assert vmforensics.verify(first.folder).ok
    for name in ("assessment.json", "assessment.png", "case.yaml"):
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes()
    assert json.loads((first.folder / "assessment.json").read_text("utf-8")) == first.result


def test_a_region_is_told_in_the_whole_picture_s_pixels(tmp_path):
    clip = write_clip(simulate(Camera(128, 96, 500, 60), scene="text", sound=silence()), tmp_path / "clip.mkv")
    asked = Region(48, 32, 64, 48)
    result = assess_clip(clip, tmp_path / "out", known=Knowledge("global", region=asked)).result
    for each in (result["best_region"], *result["candidates"]):
        x, y, width, height = each["region"]
        assert asked.x <= x
        assert asked.y <= y
        assert x + width <= asked.x + asked.width
        assert y + height <= asked.y + asked.height


def test_exposure_takes_what_a_sinc_takes():
    assert 20 * np.log10(exposure_loss(1 / 2000, 1000, 1000)) == pytest.approx(-3.92, abs=0.01)
    assert exposure_loss(None, 80, 1000) == 1.0


def test_real_footage_gets_a_verdict(footage: Path, tmp_path):
    clip = footage / "phone" / "fan.mov"
    result = assess_clip(clip, tmp_path / "out").result
    assert result["verdict"] == "not suitable"
    assert "can't be followed" in " ".join(result["reasons"])


def test_a_clip_shorter_than_a_syllable_isn_t_suitable(tmp_path):
    clip = write_clip(simulate(Camera(96, 64, 2000, 60), scene="camera", sound=silence()), tmp_path / "clip.mkv")
    result = assess_clip(clip, tmp_path / "out", known=Knowledge(shutter="global")).result
    assert result["verdict"] == "not suitable"
    assert result["reasons"][0] == "the clip lasts 0.03 s: no syllable is that short"


def test_a_strip_of_a_picture_that_moves_tells_the_noise_of_the_whole(tmp_path, monkeypatch):
    camera = Camera(192, 144, 60, 24, noise=(2.0, 0.0), shutter=Shutter(line_delay=80e-6))
    moving = simulate(camera, scene="natural", sound=silence(), handheld=4.0)
    clip = write_clip(moving, tmp_path / "clip.mkv")
    asked = Knowledge(shutter="rolling", row_time=80e-6)
    noise = {}
    for part in ("whole", "strip"):
        if part == "strip":
            monkeypatch.setattr("vmforensics.assessment.run._MOVING_PART", 192 * 144 // 2)
        (method,) = assess_clip(clip, tmp_path / part, known=asked).result["methods"]
        noise[part] = method["noise_density_px_per_rthz"]
    assert method["part_measured"] is not None
    x, y, width, height = method["part_measured"]
    assert (y, height) == (0, 144)
    assert 0 <= x < x + width <= 192
    assert width <= 96
    assert abs(20 * np.log10(noise["strip"] / noise["whole"])) < 2.0
