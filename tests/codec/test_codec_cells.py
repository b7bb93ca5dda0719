"""Motion of whole frames from a codec's decisions, at a global shutter."""

from __future__ import annotations

import numpy as np
import pytest

from tests.near_the_bound import allowed, true_picture
from vmforensics.assessment.codec_bound import codec_bound
from vmforensics.controls import InjectedFrames, Tone
from vmforensics.data import ReadoutDirection, Region, SensorFrames, Shutter, Verdict
from vmforensics.detection import detect
from vmforensics.errors import RegionError, Unsuitable
from vmforensics.numerics.coded.readings import coding_of
from vmforensics.testing import Camera, simulate, write_clip
from vmforensics.testing.sound import silence
from vmforensics_global_shutter import codec_cells, macroblocks
from vmforensics_global_shutter.aligned_sum import AlignedSum
from vmforensics_global_shutter.clarity import Clarity, clarity
from vmforensics_global_shutter.codec_cells import CodecCells
from vmforensics_global_shutter.gradient import Gradient
from vmforensics_media.video import VideoFile


def clip(folder, *, rms_px=0.05, sound="melody", direction="top-to-bottom", drift=(0.0, 0.0), noise=1.0, **coding):
    """A simulated clip of 160 frames of 96 by 96 px at 1000 frames/s, as frames and as truth."""
    camera = Camera(
        width=96,
        height=96,
        fps=1000,
        frames=160,
        noise=(noise**2, 0.0),
        shutter=Shutter(direction=ReadoutDirection(direction)),
    )
    simulated = simulate(camera, scene="natural", sound=sound, rms_px=rms_px, drift=drift, seed=1)
    name = f"clip{len(list(folder.iterdir()))}.mp4"
    path = write_clip(simulated, folder / name, **coding)
    return SensorFrames(VideoFile(path), simulated.clock, simulated.shutter), simulated


def measured(motion, simulated):
    """Signal-to-noise ratio (dB) and gain of the motion along the vibration's axis, weighted as it says itself."""
    read, weight = (values[:, 0] for values in motion.along(simulated.truth.axis))
    truth = simulated.truth.displacement[:, 0]
    read, truth = (values - np.average(values, weights=weight) for values in (read, truth))
    moment, moved, total = ((weight * a * b).sum() for a, b in ((read, truth), (truth, truth), (read, read)))
    likeness = moment**2 / (moved * total)
    return 10 * np.log10(likeness / (1 - likeness)), moment / moved


@pytest.mark.parametrize(("quality", "b_frames"), [(12, 0), (16, 2)], ids=["12 P", "16 PB"])
def test_the_codec_s_decisions_tell_more_than_its_pixels(tmp_path, quality, b_frames):
    frames, simulated = clip(tmp_path, codec="libx264", quality=quality, b_frames=b_frames)
    plain, left = measured(Gradient().estimate(frames), simulated)
    motion = CodecCells().estimate(frames)
    better, gain = measured(motion, simulated)
    assert better > plain + 2
    assert abs(gain - 1) < abs(left - 1)
    assert motion.precision.shape == (160, 1, 4, 4)
    assert motion.codec_gain is None or motion.codec_gain == pytest.approx(left, abs=0.1)


def test_levels_come_close_to_the_bound(tmp_path):
    frames, simulated = clip(tmp_path, codec="mjpeg", quality=6)
    motion = CodecCells().estimate(frames)
    plain, left = measured(Gradient().estimate(frames), simulated)
    ratio, gain = measured(motion, simulated)
    bound = codec_bound(frames.stream, frames.mean(), None, shown=1.0, line_delay=0.0, frame_rate=1000.0)
    assert bound.limited is not None
    best = 20 * np.log10(np.std(simulated.truth.displacement) / bound.limited)
    assert plain < ratio
    assert ratio > best - 2
    assert gain == pytest.approx(1, abs=0.07)
    assert motion.codec_gain == pytest.approx(left, abs=0.1)


@pytest.mark.parametrize(
    ("scene", "sound", "rms_px", "quality"),
    [("print", "chirp", 0.06, 8), ("grass", "speech", 0.09, 7), ("natural", "melody", 0.03, 4)],
)
def test_levels_come_within_a_decibel_of_what_their_quantiser_left(tmp_path, scene, sound, rms_px, quality):
    """Of loud motion, too, whose scale the errors of the picture once bent, at a loss of 6 and 11 dB."""
    camera = Camera(width=160, height=128, fps=2000, frames=400, noise=(1.0, 0.0))
    drawn = {"scene": scene, "sound": sound, "rms_px": rms_px, "seed": 101}
    simulated = simulate(camera, **drawn)
    path = write_clip(simulated, tmp_path / "clip.mkv", codec="mjpeg", quality=quality)
    frames = SensorFrames(VideoFile(path), simulated.clock, simulated.shutter)
    steps = next(iter(frames.coded_blocks())).coding[0].steps
    best = allowed(true_picture(simulated, **drawn), steps, 1.0, simulated.truth.displacement[:, 0])
    ratio, gain = measured(CodecCells().estimate(frames), simulated)
    assert best - 1 < ratio < best + 1.5
    assert gain == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("coding", [{"codec": "libx265"}, {"codec": "ffv1"}])
def test_what_tells_nothing_is_refused(tmp_path, coding):
    frames, _ = clip(tmp_path, **coding)
    assert coding_of(frames) is None
    with pytest.raises(Unsuitable) as error:
        CodecCells().estimate(frames)
    assert "gradient" in error.value.hint


def test_a_picture_that_moves_on_is_refused(tmp_path):
    frames, _ = clip(tmp_path, drift=(2.0, 0.0), codec="libx264", quality=16)
    with pytest.raises(Unsuitable, match=r"moves by .* px"):
        CodecCells().estimate(frames)


def test_a_small_region_is_refused(tmp_path):
    frames, simulated = clip(tmp_path, codec="mjpeg", quality=4)
    small = SensorFrames(frames.stream, simulated.clock, region=Region(8, 8, 24, 80))
    with pytest.raises(RegionError, match="24 px"):
        CodecCells().estimate(small)


def test_the_most_telling_blocks_are_taken_and_the_rest_told(tmp_path, monkeypatch):
    frames, simulated = clip(tmp_path, codec="libx264", quality=12, b_frames=0)
    whole, _ = measured(CodecCells().estimate(frames), simulated)
    monkeypatch.setattr(macroblocks, "_MOST", 60)
    monkeypatch.setattr(macroblocks, "_LEAST", 60)
    motion = CodecCells().estimate(frames)
    some, _ = measured(motion, simulated)
    assert abs(some - whole) < 4
    assert any(warning.startswith("60 of 144 blocks") for warning in motion.warnings)


@pytest.mark.parametrize("direction", ["bottom-to-top", "right-to-left"])
def test_every_readout_direction_and_a_region_off_the_blocks(tmp_path, direction):
    frames, simulated = clip(tmp_path, direction=direction, codec="libx264", quality=12, b_frames=0)
    part = SensorFrames(frames.stream, simulated.clock, simulated.shutter, Region(3, 5, 90, 83))
    ratio, gain = measured(CodecCells().estimate(part), simulated)
    assert ratio > 10
    assert gain == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("coding", [{"codec": "libx264", "quality": 16}, {"codec": "mjpeg", "quality": 8}])
def test_silence_stays_silent(tmp_path, coding):
    frames, _ = clip(tmp_path, sound=silence(), rms_px=0.0, **coding)
    motion = CodecCells().estimate(frames)
    assert detect(motion, AlignedSum().combine(motion)).verdict is not Verdict.SIGNAL


def test_a_tone_put_into_the_pixels_was_never_coded(tmp_path):
    """What the codec decided is of the footage without it."""
    frames, simulated = clip(tmp_path, codec="mjpeg", quality=4)
    shown = InjectedFrames(frames.stream, simulated.clock, simulated.shutter, tone=Tone(300.0, 0.02))
    assert coding_of(frames) is not None
    assert coding_of(shown) is None


def test_clarity_tells_the_ratios_of_halves_that_share_errors():
    random = np.random.default_rng(2)
    motion = np.sin(np.arange(20_000) * 2 * np.pi * 6 / 50)[:, None]
    own = random.standard_normal((20_000, 4))
    shared = np.repeat(random.standard_normal((20_000, 1)), 4, axis=1)
    along = np.array([[1.0, 0.0, 1.0, 0.0]])
    inferred = motion * along + 0.2 * own
    plain = 0.6 * motion * along + 0.06 * own + 0.3 * shared * along
    found = clarity(inferred, plain, 1000.0)
    assert found is not None
    assert found.inferred == pytest.approx(0.5 / 0.02, rel=0.1)
    assert found.plain == pytest.approx(0.18 / (0.0018 + 0.09), rel=0.1)
    assert clarity(own, own, 1000.0) is None


def test_a_size_that_the_quantiser_left_vague_is_warned_of(tmp_path):
    frames, _ = clip(tmp_path, codec="mjpeg", quality=10, rms_px=0.1, noise=0.7)
    motion = CodecCells().estimate(frames)
    assert any("how large the motion is may be off by a fifth" in warning for warning in motion.warnings)
    assert motion.codec_gain is None


@pytest.mark.parametrize("clearer", [1.3, 1e8])
def test_jpeg_s_levels_are_left_to_pixels_only_where_those_are_much_clearer(tmp_path, monkeypatch, clearer):
    frames, _ = clip(tmp_path, codec="mjpeg", quality=6)
    monkeypatch.setattr(codec_cells, "clarity", lambda *_: Clarity(inferred=100.0, plain=100.0 * clearer))
    if clearer < 1.5:
        assert CodecCells().estimate(frames).decoded is False
        return
    with pytest.raises(Unsuitable, match=r"more clearly \(no noise can be told\)"):
        CodecCells().estimate(frames)
