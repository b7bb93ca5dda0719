"""The assessment: its noise floor is what a recovery then shows, its regions rest, its verdicts follow the picture."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import imageio.v3
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

import vmforensics
from vmforensics.assessment import Knowledge, assess_clip
from vmforensics.assessment.budget import exposure_loss
from vmforensics.assessment.kept import Kept
from vmforensics.assessment.listening import Heard
from vmforensics.assessment.measuring import Effort
from vmforensics.assessment.texture import Texture
from vmforensics.case import read_case
from vmforensics.data import Region, SensorFrames, Shutter
from vmforensics.errors import TimingError
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
    with np.load(run.folder / "signal.npz") as archive:
        arrays = dict(archive)
    rate, axis = float(arrays["raw_rate_hz"]), arrays["axis"]
    shown = in_band(arrays["raw_px"], arrays["raw_sigma_px"], arrays["raw_observed"], rate)
    assert abs(20 * np.log10(along(method, axis) / shown)) < tolerance


def along(method: dict[str, Any], axis: NDArray[np.float64]) -> float:
    """The predicted noise density (px/√Hz) along an axis, from those along the row, across rows, and the best one."""
    x, y, best = (
        method[f"noise_density_{name}_px_per_rthz"] ** -2.0 for name in ("along_row", "across_rows", "stated")
    )
    u, v = method["axis_along_row"], method["axis_across_rows"]
    mixed = (best - x * u**2 - y * v**2) / (2 * u * v) if abs(u * v) > 0.05 else 0.0
    information = x * axis[0] ** 2 + y * axis[1] ** 2 + 2 * mixed * axis[0] * axis[1]
    return method["noise_density_px_per_rthz"] / method["noise_density_stated_px_per_rthz"] / np.sqrt(information)


def in_band(samples: NDArray[np.float64], sigma: NDArray[np.float64], seen: NDArray[np.bool_], rate: float) -> float:
    """Noise density (px/√Hz) of a median sample from 80 Hz to 1 kHz, as the samples show it over their sigma."""
    relative = np.where(seen, samples / np.where(seen, sigma, 1), 0)
    if seen.all():  # what a codec does slowly is far louder, and no sound
        relative = sosfiltfilt(butter(4, 55, "high", fs=rate, output="sos"), relative)
    length = max(64, len(relative) // 8)
    count = len(relative) // length
    pieces, observed = (each[: count * length].reshape(count, length) for each in (np.clip(relative, -10, 10), seen))
    window = np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2
    frequency = np.fft.rfftfreq(length, 1 / rate)
    weight = np.sum(window**2 * observed, axis=1)
    power = np.abs(np.fft.rfft(pieces * window)[:, (frequency >= 80) & (frequency < min(1000, 0.49 * rate))]) ** 2
    used = weight > 0.3 * weight.max()
    return float(np.median(sigma[seen]) * np.sqrt(2 / rate * np.mean(power[used] / weight[used, None])))


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
            monkeypatch.setattr("vmforensics.assessment.measuring._FOLLOWED", Effort(192 * 144 // 2 * 24, 24))
        (method,) = assess_clip(clip, tmp_path / part, known=asked).result["methods"]
        noise[part] = method["noise_density_px_per_rthz"]
    assert method["part_measured"] is not None
    x, y, width, height = method["part_measured"]
    assert (y, height) == (0, 144)
    assert 0 <= x < x + width <= 192
    assert width <= 96
    assert abs(20 * np.log10(noise["strip"] / noise["whole"])) < 2.0


class CountingStream:
    """Counts how often a stream is read."""

    def __init__(self, stream):
        self._stream, self.reads = stream, 0

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def blocks(self):
        self.reads += 1
        return self._stream.blocks()

    coded_blocks = blocks


@pytest.mark.parametrize(("most", "reads"), [(2**20, 1), (100, 3)], ids=["kept", "too large to keep"])
def test_frames_are_decoded_once_if_they_fit(most, reads):
    simulation = simulate(Camera(32, 16, 500, 20), scene="camera", sound=silence())
    counted = CountingStream(simulation.stream())
    kept = Kept(counted, most_bytes=most)
    passes = [np.concatenate([block.luma for block in kept.blocks()]) for _ in range(3)]
    assert counted.reads == reads
    assert all(np.array_equal(each, passes[0]) for each in passes)


def test_noise_that_a_codec_carries_over_is_no_motion():
    camera = Camera(160, 120, 60, 40, noise=(4.0, 0.0))
    resting = simulate(camera, scene="soft", sound=silence())
    handheld = simulate(camera, scene="soft", sound=silence(), handheld=12.0)
    texture, moving = (Texture.of(SensorFrames(each.stream(), each.clock)) for each in (resting, handheld))
    assert (texture.moved, moving.moved) == (False, True)
    assert 2 < moving.noise.variance(np.array([128.0]))[0] < 10  # 4 and some motion
    repeated = Frozen(resting.stream(), np.repeat(resting.frames[::10], 10, axis=0))
    assert not Texture.of(SensorFrames(repeated, resting.clock)).moved


class Frozen(CountingStream):
    """A stream of other pictures: those of one stay the same for ten frames, noise and all."""

    def __init__(self, stream, pictures):
        super().__init__(stream)
        self._pictures = pictures

    def blocks(self):
        first = 0
        for block in self._stream.blocks():
            yield replace(block, luma=self._pictures[first : first + len(block.index)])
            first += len(block.index)


def test_a_verdict_says_that_most_of_a_clip_wasn_t_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr("vmforensics.assessment.run._PIXELS", 0)  # the least number of frames, then
    clip = write_clip(simulate(Camera(64, 48, 500, 300), scene="camera", sound=silence()), tmp_path / "clip.mkv")
    result = assess_clip(clip, tmp_path / "out", known=Knowledge(shutter="global")).result
    assert (result["looked_at"]["frames"], result["looked_at"]["of_frames"]) == (120, 300)
    assert result["reasons"][-1] == "all this was measured on the first 0.24 s; the other 0.36 s may differ"


@pytest.mark.parametrize("known", [Knowledge("rolling", row_time=1e-3), Knowledge(exposure=0.1)])
def test_times_that_no_frame_has_room_for(tmp_path, known):
    clip = write_clip(simulate(Camera(64, 48, 60, 10), scene="camera", sound=silence()), tmp_path / "clip.mkv")
    with pytest.raises(TimingError, match="doesn't fit into a frame"):
        assess_clip(clip, tmp_path / "out", known=known)


def test_a_cut_is_told(tmp_path):
    camera = Camera(96, 64, 500, 60)
    folder = tmp_path / "frames"
    folder.mkdir()
    for k, scene in enumerate(("camera", "text")):
        for n, picture in enumerate(simulate(camera, scene=scene, sound=silence()).frames):
            imageio.v3.imwrite(folder / f"{60 * k + n:03}.png", picture)
    result = assess_clip(folder, tmp_path / "out", known=Knowledge(shutter="global", capture_fps=500)).result
    assert any("changes altogether at frame 60" in reason for reason in result["reasons"])


@pytest.mark.parametrize("shutter", [Shutter(), ROLLING], ids=["global", "rolling"])
def test_scan_hears_which_candidates_vibrate(tmp_path, shutter):
    rolling = shutter.is_rolling
    camera = Camera(192, 192, 60 if rolling else 1000, 80 if rolling else 500, noise=(1.0, 0.0), shutter=shutter)
    box = Region(96, 0, 96, 192)
    simulated = simulate(camera, scene="natural", sound="tone:213", rms_px=0.03, moving=box, seed=4)
    clip = write_clip(simulated, tmp_path / "clip.mkv")
    found = assess_clip(clip, tmp_path / "scan", known=known(camera), listening=True).result["candidates"]
    assert {each["region"][0] + each["region"][2] > 96 for each in found} == {True, False}
    for each in found:
        left, _, width, _ = each["region"]
        heard = each["shared_motion"]
        if left >= 96:
            assert heard["verdict"] == "signal"
            assert heard["p_value"] < 1e-4
            assert heard["band_hz"][0] < 213 < heard["band_hz"][1]
        elif left + width <= 96:
            assert (heard["verdict"], heard["band_hz"]) == ("no-signal", None)
    told = [json.loads(line) for line in (tmp_path / "scan" / "ledger.jsonl").read_text().splitlines()]
    (ended,) = (entry for entry in told if "verdicts" in entry)
    assert ended["verdicts"] == [each["shared_motion"]["verdict"] for each in found]


def test_scan_says_where_it_cannot_tell(tmp_path):
    """Rows whose times are made up tell no frequency; a picture that moves has to be followed first."""
    camera = Camera(192, 192, 60, 60, noise=(1.0, 0.0), shutter=ROLLING)
    vibrating = simulate(camera, scene="natural", sound="tone:213", rms_px=0.05, seed=4)
    untimed = assess_clip(
        write_clip(vibrating, tmp_path / "a.mkv"), tmp_path / "a", known=Knowledge(), listening=True
    ).result["candidates"]
    assert {each["shared_motion"]["verdict"] for each in untimed} == {"signal"}
    assert {each["shared_motion"]["band_hz"] for each in untimed} == {None}
    shaken = simulate(camera, scene="natural", sound=silence(), handheld=6.0, seed=4)
    moving = assess_clip(
        write_clip(shaken, tmp_path / "b.mkv"), tmp_path / "b", known=known(camera), listening=True
    ).result["candidates"]
    assert {each["shared_motion"]["verdict"] for each in moving} == {"undetermined"}
    assert all("the picture moves" in each["shared_motion"]["reason"] for each in moving)


def test_several_silent_regions_are_not_heard_by_chance():
    lucky = Heard("signal", 0.004, (100.0, 120.0), "")
    assert lucky.of_several(1) == lucky
    spoilt = lucky.of_several(10)
    assert (spoilt.verdict, spoilt.band) == ("no-signal", None)
    assert spoilt.p_value == pytest.approx(0.04)
    assert "by chance" in spoilt.reason
