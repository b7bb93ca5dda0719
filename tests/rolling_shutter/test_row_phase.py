"""Row phase against known motion: gain, honest σ, halves, what motion across the rows does, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vmforensics.data import Motion, Shutter, Verdict
from vmforensics.detection import detect
from vmforensics.errors import RegionError, Unsuitable
from vmforensics.testing import Camera, Flicker, Simulation, simulate
from vmforensics_rolling_shutter.gap.row_average import RowAverage
from vmforensics_rolling_shutter.motion.row_motion import RowMotion
from vmforensics_rolling_shutter.motion.row_phase import RowPhase

X = (1.0, 0.0)


def clip(sound: str = "tone:311", *, width: int = 256, frames: int = 60, **more: Any) -> Simulation:
    """64 rows read out in 13.4 ms, 60 times a second, at 0.03 px RMS along the rows unless told otherwise."""
    camera = Camera(width=width, height=64, fps=60, frames=frames, noise=(2.0, 0.0), shutter=Shutter(line_delay=2.1e-4))
    rms_px = 0.0 if sound == "silence" else more.pop("rms_px", 0.03)
    return simulate(camera, sound=sound, rms_px=rms_px, seed=3, **more)


def compared(simulation: Simulation, motion: Motion) -> tuple[float, float, float]:
    """Gain along the row, its standard uncertainty, and the RMS error over the stated σ."""
    found, information = motion.along(X)
    truth = simulation.truth.displacement * simulation.truth.axis[0]
    truth = truth - truth.mean(axis=0)
    seen = information > 0
    error, weight, moved = (found - truth)[seen], information[seen], truth[seen]
    power = max(float(weight @ moved**2), 1e-9)
    return 1 + float(weight @ (error * moved)) / power, power**-0.5, float(np.sqrt(np.mean(error**2 * weight)))


@pytest.mark.parametrize("scene", ["print", "natural", "edges", "brick"])
@pytest.mark.parametrize("rms_px", [0.03, 0.15])
def test_motion_along_the_row_is_read_in_px_and_with_its_sigma(scene: str, rms_px: float) -> None:
    simulation = clip(scene=scene, rms_px=rms_px)
    gain, uncertainty, spread = compared(simulation, RowPhase().estimate(simulation.sensor_frames()))
    assert gain == pytest.approx(1, abs=0.01 + 3 * uncertainty)
    assert 0.9 < spread < 1.15


@pytest.mark.parametrize("scene", ["print", "natural", "soft", "edges", "brick"])
def test_a_still_clip_reads_its_noise(scene: str) -> None:
    simulation = clip("silence", scene=scene)
    assert 0.9 < compared(simulation, RowPhase().estimate(simulation.sensor_frames()))[2] < 1.15


def test_faint_detail_does_not_shrink_the_motion() -> None:
    """Phase is lost in noise where the response is weak; what is left must still read right."""
    simulation = clip(scene="soft", rms_px=0.15, width=512)
    gain, uncertainty, _ = compared(simulation, RowPhase().estimate(simulation.sensor_frames()))
    assert gain == pytest.approx(1, abs=0.025 + 3 * uncertainty)


def test_its_noise_is_within_a_third_of_the_least_squares() -> None:
    frames = clip(scene="natural").sensor_frames()
    phase, squares = (np.median(e.estimate(frames).along(X)[1]) for e in (RowPhase(), RowMotion()))
    assert 1.0 < np.sqrt(squares / phase) < 1.33


def leaks(scene: str) -> np.ndarray[Any, Any]:
    """What each row reads for a pixel of motion across the rows."""
    simulation = clip(scene=scene, direction=90.0, rms_px=0.1)
    found, _ = RowPhase().estimate(simulation.sensor_frames()).along(X)
    truth = simulation.truth.displacement - simulation.truth.displacement.mean(axis=0)
    return np.asarray(np.sum(found * truth, axis=0) / np.sum(truth**2, axis=0))


def test_motion_across_the_rows_leaks_with_either_sign_on_a_texture_without_direction() -> None:
    leak = leaks("print")
    assert 0.02 < leak.std() < 0.3
    assert abs(leak.mean()) < 4 * leak.std() / np.sqrt(len(leak) / 3)  # about three rows are alike


def test_motion_across_slanted_bars_reads_as_motion_along_the_row_by_their_slope() -> None:
    leak = leaks("bars")
    assert leak.mean() > 0.5
    assert leak.std() < 0.1


def test_flicker_is_no_motion() -> None:
    still = clip("silence", flicker=Flicker(100.0, 0.1))
    assert compared(still, RowPhase().estimate(still.sensor_frames()))[2] < 1.1


@pytest.mark.parametrize(("sound", "verdict"), [("melody", Verdict.SIGNAL), ("silence", Verdict.NO_SIGNAL)])
def test_the_detector_can_judge_it(sound: str, verdict: Verdict) -> None:
    motion = RowPhase().estimate(clip(sound).sensor_frames())
    assert [channel.half for channel in motion.channels] == [0, 1]
    assert detect(motion, RowAverage().combine(motion)).verdict is verdict


def test_a_picture_that_travels_and_one_without_detail_are_refused() -> None:
    with pytest.raises(Unsuitable, match="along the rows"):
        RowPhase().estimate(clip(drift=(3.0, 0.0)).sensor_frames())
    with pytest.raises(RegionError, match="no texture along its rows"):
        RowPhase().estimate(clip(scene="grey").sensor_frames())
    with pytest.raises(RegionError, match="at least 8 rows of 32 px"):
        RowPhase().estimate(clip(width=24).sensor_frames())
