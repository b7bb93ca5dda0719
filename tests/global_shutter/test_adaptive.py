"""Which method the usual estimator of a global shutter chooses, and that the motion says so."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from vmforensics.data import Motion, Region, SensorFrames
from vmforensics.testing import Camera, Flicker, Simulation, StoredFrames, simulate
from vmforensics_global_shutter.adaptive import Adaptive
from vmforensics_global_shutter.gradient import Gradient
from vmforensics_global_shutter.local_phase import LocalPhase
from vmforensics_global_shutter.travel import apart

FORK = Region(64, 32, 48, 48)


def clip(*, size: tuple[int, int] = (160, 128), scene: str = "print", **more: Any) -> Simulation:
    camera = Camera(width=size[0], height=size[1], fps=1000, frames=160, noise=more.pop("noise", (1.0, 0.01)))
    return simulate(camera, scene=scene, seed=3, **{"sound": "tone:97", "rms_px": 0.05, **more})


def frames_of(simulation: Simulation) -> SensorFrames:
    return StoredFrames(simulation.frames, rate=1000.0).sensor_frames()


def same(one: Motion, other: Motion) -> bool:
    return np.array_equal(one.displacement, other.displacement) and np.array_equal(one.precision, other.precision)


@pytest.mark.parametrize(
    "befalls",
    [
        {},
        {"sound": "silence"},
        {"drift": (6.0, 4.0)},
        {"handheld": 3.0},
        {"flicker": Flicker(frequency=100, depth=0.1)},
        {"rms_px": 0.4},
        {"scene": "coins", "noise": (4.0, 0.03)},
    ],
    ids=lambda befalls: "+".join(befalls) or "plain",
)
def test_what_moves_as_a_whole_is_read_by_least_squares(befalls: dict[str, Any]) -> None:
    frames = frames_of(clip(**befalls))
    motion = Adaptive().estimate(frames)
    assert motion.method == "gradient: no part of the picture moves far by itself"
    assert same(motion, Gradient().estimate(frames))


def test_a_part_that_moves_far_by_itself_is_read_by_exact_phase() -> None:
    frames = frames_of(clip(moving=FORK, rms_px=0.3, sound="tone:230"))
    assert 0.1 < apart(frames) < 1.0
    motion = Adaptive().estimate(frames)
    assert motion.method.startswith("local-phase: a part of the picture moves by itself, by about 0.")
    assert same(motion, LocalPhase().estimate(frames))


def test_no_method_suits_a_polygon_in_which_a_part_moves_far() -> None:
    frames = frames_of(clip(moving=FORK, rms_px=0.3, sound="tone:230"))
    motion = Adaptive().estimate(dataclasses.replace(frames, mask=np.ones((frames.rows, frames.cols), np.bool_)))
    assert motion.method.startswith("gradient: ")
    assert "give the region as a box" in motion.doubt
    assert motion.doubt in motion.warnings


def test_a_region_too_small_for_least_squares_is_read_by_exact_phase() -> None:
    frames = dataclasses.replace(frames_of(clip()), region=Region(40, 40, 96, 12))
    assert Adaptive().estimate(frames).method == "local-phase: the region is small"


def test_a_region_too_low_for_the_codec_s_cells_is_read_by_least_squares() -> None:
    camera = Camera(width=720, height=48, fps=1000, frames=60, noise=(1.0, 0.01))
    simulation = simulate(camera, scene="print", sound="tone:97", rms_px=0.05, seed=3)
    frames = StoredFrames(simulation.frames, rate=1000.0, table=np.full((8, 8), 6.0, np.float32)).sensor_frames()
    low = dataclasses.replace(frames, region=Region(0, 8, 720, 24))
    assert low.rows * low.cols > 2**14
    motion = Adaptive().estimate(low)
    assert motion.method.startswith(
        "gradient: no part of the picture moves far by itself, and codec-cells doesn't suit: "
    )
    assert "24 sensor rows" in motion.method or "24 rows" in motion.method


def test_where_the_codec_tells_its_cells_are_read() -> None:
    simulation = clip(size=(160, 128), rms_px=0.05, noise=(2.0, 0.0))
    frames = StoredFrames(simulation.frames, rate=1000.0, table=np.full((8, 8), 12.0, np.float32)).sensor_frames()
    motion = Adaptive().estimate(frames)
    assert motion.method == "codec-cells: no part of the picture moves far by itself, and the codec tells how it coded"


def test_where_a_part_alone_vibrates_the_codec_s_cells_are_not_read() -> None:
    """They take the picture as one, and would tell a tenth of the motion."""
    box = Region(80, 48, 64, 48)
    simulation = clip(size=(240, 144), rms_px=0.05, noise=(2.0, 0.0), moving=box)
    frames = StoredFrames(simulation.frames, rate=1000.0, table=np.full((8, 8), 12.0, np.float32)).sensor_frames()
    motion = Adaptive().estimate(frames)
    assert "but parts of it move unlike one another" in motion.method
    assert same(motion, Gradient().estimate(frames))


def test_a_picture_without_texture_shows_no_part_that_moves() -> None:
    still = np.random.default_rng(1).normal(100, 2, (40, 96, 96)).astype(np.uint8)
    assert apart(StoredFrames(still, rate=1000.0).sensor_frames()) == 0.0
    assert apart(StoredFrames(still[:1], rate=1000.0).sensor_frames()) == 0.0
