"""Row motion while the camera is held by hand: the path is followed, the sound kept, and silence stays silent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vmforensics.data import Motion, ReadoutDirection, Region, SensorFrames, Shutter, Verdict
from vmforensics.detection import detect
from vmforensics.errors import Unsuitable
from vmforensics.testing import Camera, Simulation, StoredFrames, simulate
from vmforensics_rolling_shutter.gap.row_average import RowAverage
from vmforensics_rolling_shutter.motion.path import Path
from vmforensics_rolling_shutter.motion.registered import Canvas, RegisteredMean
from vmforensics_rolling_shutter.motion.row_motion import RowMotion
from vmforensics_rolling_shutter.motion.tracking import track


def clip(
    sound: str = "tone:311",
    *,
    travel: float = 10.0,
    width: int = 192,
    height: int = 112,
    frames: int = 60,
    noise: tuple[float, float] = (1.0, 0.01),
    readout: ReadoutDirection = ReadoutDirection.TOP_TO_BOTTOM,
    scene: str = "print",
    seed: int = 3,
    **more: Any,
) -> Simulation:
    rows = width if readout.along_columns else height
    shutter = Shutter(line_delay=13.4e-3 / rows, exposure=1e-4, direction=readout)
    camera = Camera(width=width, height=height, fps=60, frames=frames, noise=noise, shutter=shutter)
    rms_px = 0.0 if sound == "silence" else 0.03
    return simulate(camera, scene=scene, sound=sound, rms_px=rms_px, seed=seed, handheld=travel, **more)


def measure(simulation: Simulation, region: Region | None = None) -> Motion:
    return RowMotion().estimate(simulation.sensor_frames(region))


def gain_and_spread(motion: Motion, simulation: Simulation) -> tuple[float, float]:
    """Gain of the sound, and the RMS error in units of the stated σ."""
    found, information = motion.along(simulation.truth.axis)
    truth = simulation.truth.displacement
    seen = information > 0
    power = float(np.sum((information * truth**2)[seen]))
    gain = float(np.sum((information * truth * found)[seen])) / power
    return gain, float(np.sqrt(np.mean(((found - truth) ** 2 * information)[seen])))


@pytest.mark.parametrize(("scene", "direction"), [("print", 0.0), ("natural", 60.0), ("edges", 90.0)])
def test_the_sound_is_kept_and_the_path_is_not(scene: str, direction: float) -> None:
    simulation = clip(scene=scene, direction=direction)
    motion = measure(simulation)
    gain, spread = gain_and_spread(motion, simulation)
    assert gain == pytest.approx(1, abs=0.025)
    assert spread < 1.4
    assert motion.doubt == ""
    assert motion.path is not None
    middle = simulation.truth.drift.mean(axis=1)
    error = motion.path - middle
    assert np.ptp(middle, axis=0) == pytest.approx([10, 10], abs=0.5)
    assert np.abs(error - error.mean(axis=0)).max() < 0.03
    assert detect(motion, RowAverage().combine(motion)).verdict is Verdict.SIGNAL


@pytest.mark.parametrize(("scene", "sound"), [("print", "melody"), ("natural", "tone:323")])
def test_it_costs_less_than_3_db(scene: str, sound: str) -> None:
    """Rows that leave the picture, a path that takes part of the sound: against the same clip from a tripod."""
    precision = []
    for travel in (10.0, 0.0):
        simulation = clip(sound, scene=scene, travel=travel, width=256, height=160)
        motion = measure(simulation)
        _, spread = gain_and_spread(motion, simulation)
        precision.append(float(np.sum(motion.along(simulation.truth.axis)[1])) / spread**2)
    assert 10 * np.log10(precision[1] / precision[0]) < 3


@pytest.mark.parametrize("scene", ["print", "natural", "edges", "soft", "camera"])
def test_silence_stays_silent(scene: str) -> None:
    motion = measure(clip("silence", scene=scene, travel=15.0))
    assert motion.path is not None
    assert detect(motion, RowAverage().combine(motion)).verdict is Verdict.NO_SIGNAL
    displacement, information = motion.along((1.0, 0.0))
    assert np.sqrt(np.mean((displacement**2 * information)[information > 0])) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("readout", [ReadoutDirection.BOTTOM_TO_TOP, ReadoutDirection.LEFT_TO_RIGHT])
def test_it_works_in_every_readout_direction(readout: ReadoutDirection) -> None:
    simulation = clip(readout=readout, width=144, height=144)
    gain, spread = gain_and_spread(measure(simulation), simulation)
    assert gain == pytest.approx(1, abs=0.03)
    assert spread < 1.4


def test_a_sway_of_half_a_pixel_is_followed() -> None:
    motion = measure(clip("silence", travel=1.2))
    assert motion.path is not None
    assert detect(motion, RowAverage().combine(motion)).verdict is Verdict.NO_SIGNAL


def test_frames_that_cannot_be_decoded_are_bridged() -> None:
    simulation = clip()
    lost = [0, 30, 31, 59]
    stored = StoredFrames(simulation.frames, rate=60.0, lost=lost)
    motion = RowMotion().estimate(stored.sensor_frames(simulation.shutter))
    assert np.flatnonzero(~motion.observed.any(axis=1)).tolist() == lost
    assert not motion.displacement[lost].any()
    gain, spread = gain_and_spread(motion, simulation)
    assert gain == pytest.approx(1, abs=0.03)
    assert spread < 1.4


def frames_of(pictures: NDArray[np.uint8]) -> SensorFrames:
    return StoredFrames(pictures, rate=60.0).sensor_frames(Shutter(line_delay=1e-4, exposure=1e-4))


def test_what_does_not_move_as_one_is_refused() -> None:
    """Somebody walks through the right half, filmed by hand."""
    pictures, others = (clip("silence", seed=seed, travel=4.0, frames=40).frames.copy() for seed in (4, 5))
    pictures[:, :, 96:] = others[:, :, 96:]
    with pytest.raises(Unsuitable, match=r"parts of the picture move apart|be followed beyond"):
        RowMotion().estimate(frames_of(pictures))


def test_another_scene_is_refused() -> None:
    cut = np.concatenate([clip("silence", frames=20, seed=seed).frames for seed in (1, 2)])
    with pytest.raises(Unsuitable, match="can't be followed beyond frame 20"):
        RowMotion().estimate(frames_of(cut))


def test_a_picture_that_leaves_more_than_half_of_itself_is_refused() -> None:
    with pytest.raises(Unsuitable, match=r"half|followed"):
        measure(clip("silence", travel=90.0, width=128, height=128, frames=200))


def test_too_small_a_region_is_refused() -> None:
    with pytest.raises(Unsuitable, match="12 rows of 192 px leaves nothing"):
        measure(clip("silence", travel=3.0), Region(0, 58, 192, 12))


def test_edges_in_one_direction_only_get_no_verdict() -> None:
    motion = measure(clip("silence", scene="bars", frames=40, travel=5.0))
    assert "one direction only" in motion.doubt
    assert detect(motion, RowAverage().combine(motion)).verdict is Verdict.UNDETERMINED


@pytest.mark.parametrize("scene", ["print", "soft", "edges"])
def test_the_tracker_follows_to_a_fraction_of_a_pixel(scene: str) -> None:
    simulation = clip("silence", scene=scene, travel=20.0, frames=60)
    error = track(simulation.sensor_frames())[:, :2] - simulation.truth.drift.mean(axis=1)
    assert np.abs(error - error.mean(axis=0)).max() < 0.25


def test_a_registered_scene_looks_from_anywhere_as_the_picture_does() -> None:
    simulation = clip("silence", travel=6.0, height=128, frames=30, noise=(0.0, 0.0))
    places = simulation.truth.drift
    mean = RegisteredMean(Canvas.around(128, 192, places))
    for picture, place in zip(simulation.frames, places, strict=True):
        mean.add(picture, place)
    scene = mean.finished()
    views, known = scene.seen_from(places[7, 40:90], slice(40, 90), 192)
    assert known.mean() > 0.8
    error = (views[0] - simulation.frames[7, 40:90])[known]
    assert np.sqrt(np.mean(error**2)) < 0.4  # rounding to whole numbers alone is 0.29
    stepped = places[7, 40:90] + [0.1, 0.0], places[7, 40:90] - [0.1, 0.0]
    ahead, behind = (scene.seen_from(place, slice(40, 90), 192)[0][0] for place in stepped)
    slope = (behind - ahead)[known] / 0.2
    assert views[1][known] @ slope / (slope @ slope) == pytest.approx(1, abs=0.01)
    stepped = places[7, 40:90] + [0.0, 0.1], places[7, 40:90] - [0.0, 0.1]
    ahead, behind = (scene.seen_from(place, slice(40, 90), 192)[0][0] for place in stepped)
    slope = (behind - ahead)[known] / 0.2
    assert views[2][known] @ slope / (slope @ slope) == pytest.approx(1, abs=0.01)


def test_a_path_takes_up_slow_motion_and_leaves_a_sound() -> None:
    times = (np.arange(60)[:, None] / 60 + np.linspace(0, 13e-3, 50)).ravel()
    slow = np.stack([8 * np.sin(2 * np.pi * 0.7 * times), 3 * np.cos(2 * np.pi * 2 * times)], axis=1)
    sound = 0.03 * np.sin(2 * np.pi * 500 * times)[:, None]
    resting = Path.resting(times[0], times[-1], 60.0)
    path = resting.corrected(times, slow + sound, np.ones(len(times)))
    assert np.abs(path.at(times) - slow).max() < 0.01
    assert not resting.at(times).any()
    known = (times < 0.4) | (times > 0.6)  # where nothing is known nothing explodes
    bridged = resting.corrected(times, slow, known.astype(float)).at(times)
    assert np.abs(bridged - slow).max() < 10
    assert np.abs(bridged - slow)[known].max() < 0.01
