"""Who vibrates: the tiles that share the motion, how much, how fast, which way; and none in noise."""

from __future__ import annotations

import numpy as np
import pytest

from vmforensics.data import ReadoutDirection, Region, SensorFrames, Shutter
from vmforensics.testing import Camera, StoredFrames, simulate
from vmforensics.vibration import vibrations
from vmforensics_global_shutter.aligned_sum import AlignedSum
from vmforensics_global_shutter.gradient import Gradient
from vmforensics_global_shutter.shared_signal import SharedSignal

BOX = Region(32, 32, 64, 64)


def mapped(rms_px: float, direction: float = 30.0) -> dict[tuple[int, int], tuple[bool, float, float, float, float]]:
    """Of each tile by its corner: whether it carries the motion, SNR, level, frequency, direction."""
    camera = Camera(width=160, height=128, fps=2200, frames=400, noise=(1.0, 0.0))
    clip = simulate(camera, scene="natural", sound="tone:310", rms_px=rms_px, direction=direction, moving=BOX, seed=11)
    frames = StoredFrames(clip.frames, rate=2200).sensor_frames()
    motion = Gradient().estimate(frames)
    first, second = ([SharedSignal().combine(motion.half(k)), AlignedSum().combine(motion.half(k))] for k in (0, 1))
    found = vibrations(motion, (first, second), frames.stored)
    return {(v.place.x, v.place.y): (v.carries, v.snr, v.level, v.frequency, v.direction) for v in found}


def test_the_box_is_mapped_and_nothing_else() -> None:
    found = mapped(0.02)
    inside = {(x, y) for x in (32, 64) for y in (32, 64)}
    assert {place for place, (carries, *_) in found.items() if carries} == inside
    for place in inside:
        _, snr, level, frequency, direction = found[place]
        assert level == pytest.approx(0.02, rel=0.15)
        assert frequency == pytest.approx(310, abs=2200 / 100)
        assert direction == pytest.approx(30, abs=8)
        assert snr > 5


def test_no_tile_of_a_resting_picture_vibrates() -> None:
    assert not any(carries for carries, *_ in mapped(0.0).values())


@pytest.mark.parametrize("direction", list(ReadoutDirection))
def test_places_in_readout_order_are_found_in_the_stored_picture(direction: ReadoutDirection) -> None:
    stored = StoredFrames(np.arange(2 * 20 * 30, dtype=np.uint16).reshape(2, 20, 30), rate=100)
    frames = SensorFrames(stored, stored.sensor_frames().clock, Shutter(direction=direction), Region(4, 3, 22, 15))
    place = Region(2, 5, 4, 3)
    (block,) = list(frames.blocks())
    seen = block.luma[0, place.y : place.y + place.height, place.x : place.x + place.width]
    region, _ = frames.stored(place, (1.0, 0.0))
    (whole,) = list(stored.blocks())
    there = whole.luma[0, region.y : region.y + region.height, region.x : region.x + region.width]
    assert sorted(seen.ravel().tolist()) == sorted(there.ravel().tolist())
    # one step along the row, and one across rows, in readout order
    for step in ((1, 0), (0, 1)):
        _, (right, down) = frames.stored(place, (float(step[0]), float(step[1])))
        origin, beside = block.luma[0, 6, 6], block.luma[0, 6 + step[1], 6 + step[0]]
        assert int(beside) - int(origin) == 30 * down + right
