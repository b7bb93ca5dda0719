"""Motion from a codec's decisions, on clips that libx264 wrote."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from vmforensics.data import FrameCoding, ReadoutDirection, SensorFrames, Shutter
from vmforensics.numerics.coded.cells import CellReader
from vmforensics.numerics.coded.transforms import transformed
from vmforensics.testing import Camera, simulate, write_clip
from vmforensics_media.video import VideoFile
from vmforensics_rolling_shutter.motion import row_motion
from vmforensics_rolling_shutter.motion.row_motion import RowMotion


def clip(folder, name, *, rms_px=0.05, sound="melody", direction="top-to-bottom", size=(128, 240), **coding):
    """A simulated rolling-shutter clip of 0.8 s, as frames and as truth."""
    camera = Camera(
        width=size[0],
        height=size[1],
        fps=60,
        frames=48,
        shutter=Shutter(line_delay=19e-6, direction=ReadoutDirection(direction)),
    )
    simulated = simulate(camera, scene="natural", sound=sound, rms_px=rms_px, seed=1)
    path = write_clip(simulated, folder / f"{name}.mkv", **coding)
    return SensorFrames(VideoFile(path), simulated.clock, simulated.shutter), simulated


def measured(motion, simulated, rows):
    """Signal-to-noise ratio (dB) and gain of the motion along the vibration's axis, weighted as it says itself."""
    displacement, weight = motion.along(simulated.truth.axis)
    truth = simulated.truth.displacement.reshape(len(displacement), -1, rows).mean(axis=2)
    moment, moved, read = (
        (weight * a * b).sum() for a, b in ((displacement, truth), (truth, truth), (displacement,) * 2)
    )
    likeness = moment**2 / (moved * read)
    return 10 * np.log10(likeness / (1 - likeness)), moment / moved


def ignoring_the_codec(frames, monkeypatch):
    """Rows read by plain least squares, averaged over the same stripes."""
    with monkeypatch.context() as patched:
        patched.setattr(row_motion, "_coded", lambda *_: None)
        motion = RowMotion(RowMotion.Params()).estimate(frames)
    frames_, rows, channels = motion.displacement.shape
    precision = motion.precision.reshape(1, rows // 8, 8, channels, channels).sum(axis=2)
    weighted = np.einsum("frcd,frd->frc", np.broadcast_to(motion.precision, (frames_, rows, 4, 4)), motion.displacement)
    moment = weighted.reshape(frames_, rows // 8, 8, channels).sum(axis=2)
    displacement = np.linalg.solve(precision + 1e-6 * np.eye(channels), moment[..., None])[..., 0]
    return dataclasses.replace(
        motion,
        displacement=displacement.astype(np.float32),
        precision=precision,
        observed=np.ones(displacement.shape[:2], bool),
        row_offsets=motion.row_offsets.reshape(-1, 8).mean(axis=1),
    )


@pytest.mark.parametrize(("quality", "b_frames"), [(12, 0), (18, 0), (12, None)], ids=["12 P", "18 P", "12 PB"])
def test_the_codec_s_decisions_tell_more_than_its_pixels(tmp_path, monkeypatch, quality, b_frames):
    frames, simulated = clip(tmp_path, "clip", codec="libx264", quality=quality, b_frames=b_frames)
    plain, left = measured(ignoring_the_codec(frames, monkeypatch), simulated, 8)
    motion = RowMotion(RowMotion.Params()).estimate(frames)
    assert motion.displacement.shape[1] == 240 // 8
    better, gain = measured(motion, simulated, 8)
    assert better > plain + 2
    assert gain == pytest.approx(1, abs=0.15)
    assert motion.codec_gain is None or motion.codec_gain == pytest.approx(left, abs=0.1)


def test_the_swallowed_gain_is_estimated_and_told(tmp_path):
    frames, simulated = clip(tmp_path, "clip", size=(128, 480), codec="libx264", quality=12, b_frames=0)
    motion = RowMotion(RowMotion.Params()).estimate(frames)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(row_motion, "_coded", lambda *_: None)
        plain = RowMotion(RowMotion.Params()).estimate(frames)
    _, left = measured(plain, simulated, 1)
    assert left < 0.9
    assert motion.codec_gain == pytest.approx(left, abs=0.1)
    assert any("of the motion in the pixels" in warning for warning in motion.warnings)


@pytest.mark.parametrize("direction", ["bottom-to-top", "right-to-left"])
def test_every_readout_direction(tmp_path, direction):
    size = (240, 128) if "left" in direction else (128, 240)
    frames, simulated = clip(tmp_path, "clip", direction=direction, size=size, codec="libx264", quality=14, b_frames=0)
    ratio, gain = measured(RowMotion(RowMotion.Params()).estimate(frames), simulated, 8)
    assert ratio > 6
    assert gain == pytest.approx(1, abs=0.15)


def test_where_the_codec_tells_nothing_rows_are_read_as_ever(tmp_path):
    frames, _ = clip(tmp_path, "clip", codec="libx265")
    motion = RowMotion(RowMotion.Params()).estimate(frames)
    assert motion.displacement.shape[1] == 240
    assert motion.codec_gain is None


def test_a_picture_that_moves_on_is_read_as_ever(tmp_path):
    camera = Camera(width=128, height=240, fps=60, frames=48, shutter=Shutter(line_delay=19e-6))
    simulated = simulate(camera, scene="natural", sound="melody", rms_px=0.05, sway=0.3, drift=(1e-9, 0), seed=1)
    path = write_clip(simulated, tmp_path / "clip.mkv", codec="libx264", quality=16)
    motion = RowMotion(RowMotion.Params()).estimate(SensorFrames(VideoFile(path), simulated.clock, simulated.shutter))
    assert motion.displacement.shape[1] == 240


def test_limits_hold_the_picture_that_the_camera_took(tmp_path):
    """The blocks' predictions are found, and the true coefficients lie within the limits, or close by."""
    frames, simulated = clip(tmp_path, "clip", codec="libx264", quality=16, b_frames=2)
    top, left = (grid.ravel() for grid in np.meshgrid(np.arange(0, 240, 8), np.arange(0, 128, 8), indexing="ij"))
    taken = {index: luma for block in simulated.blocks() for index, luma in zip(block.index, block.luma, strict=True)}
    held, found = [], []
    for cells in CellReader(top, left).read(frames.stream.coded_blocks()):
        blocks = np.stack([taken[cells.index][y : y + 8, x : x + 8] for y, x in zip(top, left, strict=True)])
        for which in (0, 1):
            own = cells.explained & (cells.which == which)
            true = transformed(blocks[own], which)
            slack = 4.3 * cells.blur[own, None]
            held.append(((true > cells.low[own] - slack) & (true < cells.high[own] + slack)).ravel())
        found.append(cells.explained.mean())
    assert np.mean(found[1:]) > 0.8
    assert np.concatenate(held).mean() > 0.97


def test_the_reader_states_order_and_steps(tmp_path):
    frames, _ = clip(tmp_path, "clip", codec="libx264", quality=16, b_frames=2)
    blocks = list(frames.stream.coded_blocks())
    coding = [one for block in blocks for one in block.coding]
    types = [kind for block in blocks for kind in block.frame_types]
    assert sorted(one.order for one in coding) == list(range(48))
    assert [one.order for one in coding] != list(range(48))
    assert [one.predicted for one in coding] == [kind != "I" for kind in types]
    assert all(one.steps.shape == (15, 8) for one in coding)
    coarse = {kind: np.mean([c.steps.mean() for c, k in zip(coding, types, strict=True) if k == kind]) for kind in "PB"}
    assert coarse["B"] > coarse["P"]


def test_steps_must_be_positive():
    with pytest.raises(ValueError, match="positive"):
        FrameCoding(0, True, np.zeros((2, 2), np.float32))
