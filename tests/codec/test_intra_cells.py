"""Motion from H.264's decisions where every frame was coded by itself."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from tests.codec.test_codec_cells import measured
from tests.codec.test_coded_motion import ignoring_the_codec
from tests.codec.test_coded_motion import measured as measured_by_stripes
from vmforensics.assessment.codec_bound import codec_bound
from vmforensics.data import SensorFrames, Shutter, Verdict
from vmforensics.detection import detect
from vmforensics.numerics.coded.cells import CellReader
from vmforensics.numerics.coded.fitted import FittedPicture
from vmforensics.numerics.coded.intra import intra_candidates
from vmforensics.numerics.coded.quantisation import kept_information
from vmforensics.numerics.coded.readings import coarse, coding_of, each_alone
from vmforensics.numerics.coded.rounding import INTRA
from vmforensics.numerics.coded.transforms import EIGHT, FOUR, TRANSFORMS, between, steps_of, transformed, untransformed
from vmforensics.numerics.mean_template import MeanTemplate
from vmforensics.numerics.noise import QUANTISATION
from vmforensics.testing import Camera, simulate
from vmforensics.testing.sound import silence
from vmforensics_global_shutter import adaptive
from vmforensics_global_shutter.aligned_sum import AlignedSum
from vmforensics_global_shutter.codec_cells import CodecCells
from vmforensics_global_shutter.gradient import Gradient
from vmforensics_global_shutter.macroblocks import HalvedBlocks
from vmforensics_media.video import VideoFile
from vmforensics_rolling_shutter.motion.row_motion import RowMotion


def encoded(simulated, path, **options):
    """A clip of I frames alone, of blocks whose edges aren't smoothed."""
    camera = simulated.camera
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(camera.fps))
        stream.width, stream.height, stream.pix_fmt = camera.width, camera.height, "gray"
        stream.codec_context.thread_count = 1
        stream.options = {"g": "1", "x264-params": "no-deblock=1"} | options
        for block in simulated.blocks():
            for luma in block.luma:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(luma, "gray")))
        container.mux(stream.encode(None))
    return SensorFrames(VideoFile(path), simulated.clock, simulated.shutter)


def resting(frames=64, size=64, **settings):
    """A simulated clip of so many frames of so many px each way, at 1000 frames/s."""
    camera = Camera(width=size, height=size, fps=1000, frames=frames, noise=(1.0, 0.0))
    return simulate(camera, **{"scene": "natural", "sound": "melody", "rms_px": 0.05, "seed": 2} | settings)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A clip that libx264 weighed rate against distortion in."""
    simulated = resting()
    return encoded(simulated, tmp_path_factory.mktemp("intra") / "clip.mkv", crf="8"), simulated


def whole_blocks(height, width):
    return tuple(grid.ravel() for grid in np.meshgrid(np.arange(0, height, 8), np.arange(0, width, 8), indexing="ij"))


def test_steps_and_transforms_are_the_standard_s():
    matrix = TRANSFORMS[EIGHT].astype(np.float64)
    assert matrix @ matrix.T == pytest.approx(np.eye(8), abs=1e-6)
    quantiser = np.arange(52)
    nominal = (0.625 * 2 ** (quantiser / 6)).astype(np.float32)
    for which in (EIGHT, FOUR):
        steps = steps_of(nominal, which)
        assert np.abs(steps / nominal[:, None] - 1).max() < 0.05
        assert steps[6:] == pytest.approx(2 * steps[:-6], rel=1e-5)
    # Four times the first coefficient's scale of 10, over 64, at quantiser 0.
    assert steps_of(nominal[:1], FOUR)[0, 0] == pytest.approx(10 * 4 / 64)
    blocks = np.random.default_rng(0).normal(size=(3, 8, 8))
    for which in range(3):
        assert untransformed(transformed(blocks, which), which) == pytest.approx(blocks, abs=1e-5)
        assert transformed(blocks, 0) @ between(0, which).T == pytest.approx(transformed(blocks, which), abs=1e-5)


def test_directions_of_a_known_border():
    """A picture that rises to the right is predicted by what lies above, one that rises downwards by what is beside."""
    top, left = np.array([16]), np.array([16])
    step = np.array([10.0], np.float32)
    across = np.tile(np.arange(0, 128, 4, dtype=np.uint8), (32, 1))
    for picture, place in ((across, 3), (across.T.copy(), 4)):
        ways = list(intra_candidates(picture, top, left, step))
        predicted = ways[place].of(np.array([0]))[0]
        assert np.array_equal(predicted[:7, :7], picture[16:23, 16:23])  # the last is smoothed with nothing beyond
        assert np.array_equal(ways[14].of(np.array([0]))[0], picture[16:24, 16:24])  # plane
        assert np.array_equal(ways[15].of(np.array([0]))[0], picture[16:24, 16:24])  # quarters


@pytest.mark.parametrize("preset", ["medium", "veryfast", "ultrafast"])
def test_predictions_are_found_and_limits_hold_the_picture(tmp_path, preset):
    simulated = resting(6, 96)
    frames = encoded(simulated, tmp_path / "clip.mkv", crf="10", preset=preset)
    top, left = whole_blocks(96, 96)
    rounding = INTRA[0 if preset == "medium" else 2]
    held, found = [], []
    for cells in CellReader(top, left, intra=rounding).read(frames.coded_blocks()):
        taken = simulated.frames[cells.index]
        blocks = np.stack([taken[y : y + 8, x : x + 8] for y, x in zip(top, left, strict=True)])
        found.append(cells.explained.mean())
        for which in (EIGHT, FOUR):
            own = cells.explained & (cells.which == which)
            slack = 4.3 * cells.blur[own, None] + 0.5
            true = transformed(blocks[own], which)
            held.append(((true > cells.low[own] - slack) & (true < cells.high[own] + slack)).ravel())
    assert np.mean(found[1:]) > 0.98  # the first is quantised too finely to tell
    assert np.concatenate(held).mean() > 0.995


def test_smoothed_edges_hide_nothing(tmp_path):
    frames = encoded(resting(6, 96), tmp_path / "clip.mkv", **{"crf": "16", "x264-params": "deblock=0,0"})
    top, left = whole_blocks(96, 96)
    blocks = list(frames.coded_blocks())
    cells = list(CellReader(top, left, intra=INTRA[0]).read(iter(blocks)))
    assert np.mean([each.explained for each in cells[1:]]) > 0.98
    shown = next(iter(frames.stream.blocks())).luma
    assert np.array_equal(blocks[0].luma, shown)
    assert np.any(blocks[0].coding[2].unsmoothed != shown[2])


def test_decisions_come_close_to_the_bound(clip):
    frames, simulated = clip
    assert each_alone(frames)
    plain, left = measured(Gradient().estimate(frames), simulated)
    motion = CodecCells().estimate(frames)
    ratio, gain = measured(motion, simulated)
    bound = codec_bound(frames.stream, frames.mean(), None, shown=1.0, line_delay=0.0, frame_rate=1000.0)
    assert bound.limited is not None
    best = 20 * np.log10(np.std(simulated.truth.displacement) / bound.limited)
    assert ratio > plain + 1
    assert ratio > best - 2
    assert gain == pytest.approx(1, abs=0.07)
    assert motion.codec_gain is None or motion.codec_gain == pytest.approx(left, abs=0.1)


def test_the_first_frame_is_finer_and_stands_for_none(tmp_path):
    """Encoders begin with one that may be five times finer than the rest."""
    simulated = resting(40, 96)
    frames = encoded(simulated, tmp_path / "clip.mkv", crf="12")
    first, second = next(iter(frames.coded_blocks())).coding[:2]
    assert np.mean(second.steps) > 3 * np.mean(first.steps)
    assert np.array_equal(coding_of(frames).steps, second.steps)
    bound = codec_bound(frames.stream, frames.mean(), None, shown=1.0, line_delay=0.0, frame_rate=1000.0)
    kept = kept_information(np.mean(second.steps) / np.sqrt(1 + QUANTISATION))
    assert bound.described(500.0)["loss_db"] == pytest.approx(-10 * np.log10(float(kept)), abs=0.6)


def test_picture_noise_and_rounding_are_found(clip, tmp_path):
    frames, simulated = clip
    fast = encoded(simulated, tmp_path / "clip.mkv", crf="8", preset="veryfast")
    truth = np.mean(simulated.frames, axis=0)
    for each, rounding in ((frames, INTRA[:2]), (fast, INTRA[2:3])):
        template = MeanTemplate.measure(each)
        halved = HalvedBlocks.of(each, template, textured=True)
        assert halved is not None
        found = FittedPicture.find(each, template.still, halved.blocks)
        assert found is not None
        assert found.rounding in rounding
        assert found.sigma == pytest.approx(1, rel=0.4)
        decoded, fitted = (np.std(halved.blocks.cut(p - truth)) for p in (template.mean, found.still.mean))
        assert fitted < 0.8 * decoded


def test_rows_gain_as_well(tmp_path, monkeypatch):
    camera = Camera(width=96, height=96, fps=60, frames=48, noise=(1.0, 0.0), shutter=Shutter(line_delay=19e-6))
    simulated = simulate(camera, scene="natural", sound="melody", rms_px=0.05, seed=3)
    frames = encoded(simulated, tmp_path / "clip.mkv", crf="12")
    plain, _ = measured_by_stripes(ignoring_the_codec(frames, monkeypatch), simulated, 8)
    motion = RowMotion(RowMotion.Params()).estimate(frames)
    assert motion.displacement.shape[1] == 96 // 8
    ratio, gain = measured_by_stripes(motion, simulated, 8)
    assert ratio > plain + 0.5
    assert gain == pytest.approx(1, abs=0.15)


def test_silence_stays_silent(tmp_path):
    frames = encoded(resting(sound=silence(), rms_px=0.0), tmp_path / "clip.mkv", crf="10", preset="veryfast")
    motion = CodecCells().estimate(frames)
    assert detect(motion, AlignedSum().combine(motion)).verdict is not Verdict.SIGNAL


def test_pixels_that_weren_t_predicted_from_are_left_alone(clip):
    frames, _ = clip

    class Smoothed:
        """Blocks' edges as a decoder would leave them."""

        def __init__(self, stream):
            self._stream = stream

        def __getattr__(self, name):
            return getattr(self._stream, name)

        def coded_blocks(self):
            for block in self._stream.coded_blocks():
                luma = block.luma.copy()
                luma[:, :, 7::8] = (luma[:, :, 7::8].astype(int) + luma[:, :, 6::8] + 1) // 2
                coding = tuple(replace(each, unsmoothed=None) for each in block.coding)
                yield replace(block, luma=luma, coding=coding)

    smoothed = replace(frames, stream=Smoothed(frames.stream))
    template = MeanTemplate.measure(frames)
    halved = HalvedBlocks.of(frames, template, textured=True)
    assert halved is not None
    assert FittedPicture.find(smoothed, template.still, halved.blocks) is None


@pytest.mark.parametrize(
    ("crf", "most", "chosen"),
    [
        ("20", 1e9, "codec-cells: no part of the picture moves far by itself, and the codec tells how it coded"),
        (
            "20",
            1e5,
            "gradient: no part of the picture moves far by itself; codec-cells may tell more of so many frames",
        ),
        ("1", 1e9, "gradient: no part of the picture moves far by itself, and the codec took little of it"),
    ],
)
def test_it_is_chosen_where_it_is_worth_its_time(tmp_path, monkeypatch, crf, most, chosen):
    monkeypatch.setattr(adaptive, "_MOST_ALONE", most)
    monkeypatch.setattr(adaptive, "_LEAST_CODED", 2**12)
    frames = encoded(resting(40, 64), tmp_path / "clip.mkv", crf=crf)
    assert adaptive.Adaptive().estimate(frames).method.startswith(chosen)


def test_rows_of_fine_quantisers_are_read_as_ever(tmp_path):
    camera = Camera(width=96, height=96, fps=60, frames=12, noise=(1.0, 0.0), shutter=Shutter(line_delay=19e-6))
    fine = encoded(simulate(camera, scene="natural", seed=3), tmp_path / "fine.mkv", crf="1")
    assert not coarse(coding_of(fine))
    assert RowMotion().estimate(fine).displacement.shape[1] == fine.rows
