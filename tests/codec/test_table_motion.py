"""Motion, template and noise from the levels of Motion JPEG."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.codec.test_coded_motion import clip, ignoring_the_codec, measured
from vmforensics.assessment import Knowledge, assess_clip
from vmforensics.assessment.codec_bound import codec_bound
from vmforensics.data import FrameBlock, Region, SensorFrames, Shutter, TableCoding
from vmforensics.numerics.coded.dither import DitheredPicture, Stir
from vmforensics.numerics.coded.gain import gain_left
from vmforensics.numerics.coded.readings import CodedReadings
from vmforensics.numerics.coded.tables import MIDDLE, ROUNDINGS, TableReader
from vmforensics.numerics.coded.transforms import COSINE, transformed, untransformed
from vmforensics.numerics.mean_template import MeanTemplate
from vmforensics.testing import Camera, StoredFrames, simulate, write_clip
from vmforensics.testing.sound import silence
from vmforensics_global_shutter.macroblocks import HalvedBlocks
from vmforensics_global_shutter.pixel_halves import PixelHalves
from vmforensics_media.jpeg import luma_table
from vmforensics_media.video import VideoFile
from vmforensics_rolling_shutter.motion import coded_motion, row_motion
from vmforensics_rolling_shutter.motion.row_motion import RowMotion

FFMPEG = (8, 16, 19, 22, 26, 27, 29, 34)  # first row of its table for quality 8, which multiplies by q / 8


def bound_of(frames, **settings):
    """The codec-limited bound of a clip."""
    asked = {"shown": 1.0, "line_delay": 19e-6, "frame_rate": 60.0} | settings
    return codec_bound(frames.stream, frames.mean(), frames.region, **asked)


@pytest.mark.parametrize("quality", [2, 8])
def test_the_table_is_read_from_each_picture_s_header(tmp_path, quality):
    frames, _ = clip(tmp_path, "clip", codec="mjpeg", quality=quality)
    codings = [coding for block in frames.stream.coded_blocks() for coding in block.coding]
    assert len(codings) == 48
    assert codings[0].steps[0] == pytest.approx([8] + [value * quality // 8 for value in FFMPEG[1:]])
    assert all(not block.coding for block in frames.stream.blocks())


@pytest.mark.parametrize("broken", [b"", b"\xff\xd8", b"\xff\xd8\xff\xdb\x00\x43\x00", b"RIFF" * 40])
def test_a_header_that_tells_nothing(broken):
    assert luma_table(broken) is None


def test_a_table_of_words_and_one_for_another_component():
    values = bytes(2 * 64 - 2) + b"\x00\x05"
    table = b"\xff\xdb" + (131).to_bytes(2, "big") + b"\x11" + b"\x01\x00" * 63 + values[-2:]
    frame = b"\xff\xc0\x00\x0b\x08\x00\x10\x00\x10\x01\x01\x11"
    steps = luma_table(b"\xff\xd8" + table + frame + b"\x01" + b"\xff\xda\x00\x02")
    assert steps is not None
    assert steps[0, 0] == 256
    assert steps[7, 7] == 5
    assert luma_table(b"\xff\xd8" + table + frame + b"\x00" + b"\xff\xda\x00\x02") is None


def test_a_table_has_eight_by_eight_positive_steps():
    with pytest.raises(ValueError, match="8 by 8"):
        TableCoding(np.ones((4, 4), np.float32))


def test_levels_are_those_that_were_coded(tmp_path):
    """The camera's own coefficients lie in the cells, but for the share at which the encoder rounds (5/8)."""
    frames, simulated = clip(tmp_path, "clip", codec="mjpeg", quality=4)
    top, left = (grid.ravel() for grid in np.meshgrid(np.arange(0, 240, 8), np.arange(0, 128, 8), indexing="ij"))
    taken = simulated.frames
    held, explained = [], []
    for cells in TableReader(top, left).read(frames.stream.coded_blocks()):
        blocks = np.stack([taken[cells.index][y : y + 8, x : x + 8] for y, x in zip(top, left, strict=True)])
        true = transformed(blocks.astype(np.float32) - MIDDLE, 0)
        slack = 0.13 * (cells.high - cells.low) + 0.5
        held.append(((true > cells.low - slack) & (true < cells.high + slack)).mean())
        explained.append(cells.explained.mean())
    assert np.mean(explained) > 0.98
    assert np.mean(held) > 0.995


def in_stripes(motion, simulated):
    """Displacement along the vibration's axis, its information, and the truth, of stripes of eight rows."""
    displacement, information = motion.along(simulated.truth.axis)
    information = np.broadcast_to(information, displacement.shape)
    truth = simulated.truth.displacement.reshape(len(displacement), -1, 8).mean(axis=2)
    if displacement.shape[1] != truth.shape[1]:
        moment = (information * displacement).reshape(len(displacement), -1, 8).sum(axis=2)
        information = information.reshape(len(displacement), -1, 8).sum(axis=2)
        displacement = moment / np.maximum(information, 1e-9)
    return displacement - displacement.mean(axis=0), information, truth - truth.mean(axis=0)


def test_levels_tell_more_than_pixels(tmp_path, monkeypatch):
    frames, simulated = clip(tmp_path, "clip", codec="mjpeg", quality=4)
    _, left = measured(ignoring_the_codec(frames, monkeypatch), simulated, 8)
    motion = RowMotion(RowMotion.Params()).estimate(frames)
    with monkeypatch.context() as patched:
        patched.setattr(row_motion, "_coded", lambda *_: None)
        plain = RowMotion(RowMotion.Params()).estimate(frames)
    ratios, gains = [], []
    for each in (plain, motion):
        read, weight, truth = in_stripes(each, simulated)
        moment, moved, total = ((weight * a * b).sum() for a, b in ((read, truth), (truth, truth), (read, read)))
        ratios.append(moment**2 / (moved * total - moment**2))
        gains.append(moment / moved)
    assert 10 * np.log10(ratios[1] / ratios[0]) > 0.3
    assert gains[1] == pytest.approx(1, abs=0.1)
    assert motion.codec_gain is None or motion.codec_gain == pytest.approx(left, abs=0.1)


@pytest.mark.parametrize(("quality", "sigma"), [(2, 1.0), (4, 1.0), (4, 2.0)])
def test_the_camera_s_noise_is_found_beneath_the_quantiser(tmp_path, quality, sigma):
    camera = Camera(width=160, height=160, fps=60, frames=48, noise=(sigma**2, 0.0))
    path = write_clip(
        simulate(camera, scene="natural", sound="melody", rms_px=0.02, seed=3),
        tmp_path / "clip.mkv",
        codec="mjpeg",
        quality=quality,
    )
    stream = VideoFile(path)
    picture = np.mean([luma for block in stream.blocks() for luma in block.luma], axis=0)
    bound = codec_bound(stream, picture, None, shown=9.0, line_delay=0.0, frame_rate=60.0)
    assert bound.noise == pytest.approx(sigma, rel=0.12)
    assert bound.described(30.0)["sample"] == "frame"


def test_the_bound_is_what_an_estimate_comes_to(tmp_path):
    """No estimate's error is smaller than the bound allows, and that from the levels isn't much larger."""
    frames, simulated = clip(tmp_path, "clip", codec="mjpeg", quality=3)
    read, _, truth = in_stripes(RowMotion(RowMotion.Params()).estimate(frames), simulated)
    shown = np.sqrt(8 * np.median(np.mean((read - truth) ** 2, axis=0)))  # of a row
    bound = bound_of(frames).limited
    assert bound is not None
    assert -1 < 20 * np.log10(shown / bound) < 2.5


def test_coarser_tables_leave_less(tmp_path):
    fine, coarse = (
        bound_of(clip(tmp_path, f"{quality}", codec="mjpeg", quality=quality)[0]).described(4000.0)
        for quality in (2, 8)
    )
    assert 0.5 < fine["loss_db"] < coarse["loss_db"] - 4
    assert fine["rms_px"]["80_1000_hz"] < coarse["rms_px"]["80_1000_hz"]


def test_h264_s_bound_is_told_as_the_best_that_could_be(tmp_path):
    told = bound_of(clip(tmp_path, "clip", codec="libx264", quality=16)[0], shown=0.4).described(4000.0)
    assert told["at_best"]
    assert told["noise_before_compression_dn"] == 0.4
    assert told["rms_px"]["80_3000_hz"] > told["rms_px"]["80_1000_hz"] > 0


@pytest.mark.parametrize(("codec", "basis"), [("libx265", "doesn't tell"), ("ffv1", "loses nothing")])
def test_where_nothing_is_known_no_number_is_made_up(tmp_path, codec, basis):
    bound = bound_of(clip(tmp_path, "clip", codec=codec)[0])
    told = bound.described(4000.0)
    assert basis in told["basis"]
    assert told["rms_px"] is told["loss_db"] is told["uncertainty_px"] is None


def test_the_bound_names_the_direction_that_is_seen_most_clearly(tmp_path):
    camera = Camera(width=96, height=96, fps=60, frames=24, noise=(1.0, 0.0))
    stream = VideoFile(write_clip(simulate(camera, scene="bars"), tmp_path / "clip.mkv", codec="mjpeg", quality=3))
    picture = np.mean([luma for block in stream.blocks() for luma in block.luma], axis=0)
    across = np.mean(np.diff(picture, axis=0) ** 2) > np.mean(np.diff(picture, axis=1) ** 2)
    bound = codec_bound(stream, picture, None, shown=1.0, line_delay=0.0, frame_rate=60.0)
    assert bound.described(30.0)["direction"] == ("across rows" if across else "along rows")


def test_where_nothing_moves_the_faintest_aren_t_taken_for_the_stillest(tmp_path):
    """Ranked by brightness alone, as nothing moves, they told less than half of the noise."""
    camera = Camera(width=160, height=128, fps=1000, frames=120, noise=(1.5**2, 0.0))
    simulation = simulate(camera, scene="natural", sound=silence(), seed=3)
    frames = SensorFrames(
        VideoFile(write_clip(simulation, tmp_path / "clip.mkv", codec="mjpeg", quality=6)),
        simulation.clock,
        simulation.shutter,
    )
    template = MeanTemplate.measure(frames)
    halved = HalvedBlocks.of(frames, template, textured=False)
    assert halved is not None
    still = Stir(np.zeros(2), np.zeros(2))
    found = DitheredPicture.find(frames, template.still, halved.blocks, still, least_lost=0.0)
    assert found is not None
    assert found.sigma == pytest.approx(1.5, rel=0.2)


def test_a_region_that_doesn_t_begin_on_a_block(tmp_path):
    frames, _ = clip(tmp_path, "clip", codec="mjpeg", quality=3)
    whole = frames.mean()
    region = Region(5, 9, 100, 200)
    bound = codec_bound(frames.stream, whole[9:209, 5:105], region, shown=1.0, line_delay=19e-6, frame_rate=60.0)
    assert bound.limited is not None
    small = codec_bound(frames.stream, whole[:6, :6], Region(0, 0, 6, 6), shown=1.0, line_delay=19e-6, frame_rate=60.0)
    assert small.limited is None
    assert "smaller than a block" in small.basis


def test_an_assessment_states_the_bound_beside_the_noise(tmp_path):
    frames, _ = clip(tmp_path, "clip", codec="mjpeg", quality=3)
    assert frames.frame_count == 48
    known = Knowledge(shutter="rolling", row_time=19e-6)
    (method,) = assess_clip(tmp_path / "clip.mkv", tmp_path / "out", known=known).result["methods"]
    bound = method["codec_bound"]
    assert bound["loss_db"] > 3
    assert 0.5 < method["detectable_rms_px"]["80_1000_hz"] / bound["rms_px"]["80_1000_hz"] < 2


def test_a_fine_quantiser_is_left_to_plain_least_squares(tmp_path):
    frames, _ = clip(tmp_path, "clip", codec="mjpeg", quality=1)
    motion = RowMotion(RowMotion.Params()).estimate(frames)
    assert motion.precision.shape[:2] == (1, 240)
    assert motion.codec_gain is None


def test_halves_that_disagree_are_left_to_plain_least_squares(tmp_path, monkeypatch):
    frames, _ = clip(tmp_path, "clip", codec="mjpeg", quality=4)
    monkeypatch.setattr(coded_motion, "_LARGEST_EXCESS", 0.0)
    assert RowMotion(RowMotion.Params()).estimate(frames).precision.shape[:2] == (1, 240)


@pytest.mark.parametrize(("quality", "scene"), [(3, "natural"), (8, "print")])
def test_the_gain_left_in_the_pixels_is_estimated(tmp_path, monkeypatch, quality, scene):
    camera = Camera(width=128, height=320, fps=60, frames=48, shutter=Shutter(line_delay=19e-6))
    simulated = simulate(camera, scene=scene, sound="melody", rms_px=0.06, seed=9)
    path = write_clip(simulated, tmp_path / "clip.avi", codec="mjpeg", quality=quality)
    frames = SensorFrames(VideoFile(path), simulated.clock, simulated.shutter)
    motion = RowMotion(RowMotion.Params()).estimate(frames)
    _, left = measured(ignoring_the_codec(frames, monkeypatch), simulated, 8)
    assert motion.codec_gain == pytest.approx(left, abs=0.1)


def test_silence_stays_silent(tmp_path):
    frames, _ = clip(tmp_path, "clip", codec="mjpeg", quality=4, sound=silence(), rms_px=0.0)
    motion = RowMotion(RowMotion.Params()).estimate(frames)
    assert motion.codec_gain is None
    first, second = motion.displacement[..., 0], motion.displacement[..., 2]
    assert abs(np.corrcoef((first - first.mean(axis=0)).ravel(), (second - second.mean(axis=0)).ravel())[0, 1]) < 0.1


@pytest.mark.parametrize("direction", ["bottom-to-top", "right-to-left"])
def test_every_readout_direction(tmp_path, direction):
    size = (240, 128) if "left" in direction else (128, 240)
    frames, simulated = clip(tmp_path, "clip", direction=direction, size=size, codec="mjpeg", quality=3)
    read, weight, truth = in_stripes(RowMotion(RowMotion.Params()).estimate(frames), simulated)
    assert (weight * read * truth).sum() / (weight * truth * truth).sum() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("share", ROUNDINGS)
def test_how_the_encoder_rounded_is_found(share):
    """A picture that noise and motion dither, coded by an encoder that rounds as it is told."""
    camera = Camera(96, 96, 1000, 160, noise=(1.5**2, 0.0))
    simulation = simulate(camera, scene="natural", sound="melody", rms_px=0.05, seed=2)
    steps = np.full((8, 8), 8.0, np.float32)
    coded = [_coded(frame, steps, share) for block in simulation.sensor_frames().blocks() for frame in block.luma]
    frames = StoredFrames(np.array(coded), rate=1000.0, table=steps).sensor_frames()
    template = MeanTemplate.measure(frames)
    halved = HalvedBlocks.of(frames, template, textured=False)
    pixels = PixelHalves.measure(frames, template)
    stir = Stir.of(pixels.displacement[:, None], pixels.precision[None])
    assert halved is not None
    found = DitheredPicture.find(frames, template.still, halved.blocks, stir, least_lost=0.0)
    assert found is not None
    assert found.share == share
    assert found.sigma == pytest.approx(1.5, rel=0.1)


def _coded(frame, steps, share):
    """A frame whose blocks were rounded to a table's steps."""
    rows, cols = frame.shape
    blocks = frame.reshape(rows // 8, 8, cols // 8, 8).swapaxes(1, 2).reshape(-1, 8, 8).astype(np.float64) - MIDDLE
    values = transformed(blocks, COSINE) / steps.ravel()
    levels = np.sign(values) * np.floor(np.abs(values) + share)
    decoded = untransformed(levels * steps.ravel(), COSINE) + MIDDLE
    decoded = decoded.reshape(rows // 8, cols // 8, 8, 8).swapaxes(1, 2).reshape(rows, cols)
    return np.clip(np.rint(decoded), 0, 255).astype(np.uint8)


def test_cells_end_where_the_encoder_rounded():
    frame = np.full((1, 8, 8), MIDDLE, np.uint8)
    wide = TableReader(np.array([0]), np.array([0]), 0.375)
    (cells,) = wide.read(iter([FrameBlock(np.array([0]), frame, (), (TableCoding(np.full((8, 8), 8, np.float32)),))]))
    assert cells.high[0] == pytest.approx(np.full(64, 5.0))
    assert cells.low[0] == pytest.approx(np.full(64, -5.0))
    frame = np.rint(untransformed(8.0 * np.eye(64)[[3]], COSINE) + MIDDLE).astype(np.uint8)
    (cells,) = wide.read(iter([FrameBlock(np.array([0]), frame, (), (TableCoding(np.full((8, 8), 8, np.float32)),))]))
    assert (cells.low[0, 3], cells.high[0, 3]) == (5.0, 13.0)


def test_no_gain_is_stated_where_the_quantiser_took_nearly_all():
    random = np.random.default_rng(4)
    motion = 0.05 * random.standard_normal((400, 1, 1))
    along = np.array([1.0, 0.0, 1.0, 0.0])
    seen = motion * along + 1e-3 * random.standard_normal((400, 1, 4))
    precision = np.broadcast_to(np.eye(4) / 1e-6, (400, 1, 4, 4)).astype(np.float32)
    kinds = np.full(400, "I", dtype=object)
    readings = CodedReadings(seen.astype(np.float32), precision, kinds, 1.0, 1.0, 1.0, by_table=True, lost=8.0)
    plain = 0.9 * motion * along + 1e-3 * random.standard_normal((400, 1, 4))
    assert gain_left(plain, readings, (1.0, 1.0)) == pytest.approx(0.9, abs=0.02)
    assert not readings.vague
    coarse = replace(readings, lost=12.0)
    assert gain_left(plain, coarse, (1.0, 1.0)) is None
    assert coarse.vague.startswith("the compression took 12 dB")
