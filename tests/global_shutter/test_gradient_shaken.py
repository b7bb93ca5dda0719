"""Least squares on the gradient while a hand turns the camera, and while something passes in front of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.fft import dct

from vmforensics.data import Motion, Verdict
from vmforensics.detection import detect
from vmforensics.testing import Camera, Occluder, Simulation, simulate
from vmforensics_global_shutter.aligned_sum import AlignedSum
from vmforensics_global_shutter.gradient import Gradient

RATE = 2200.0
PASSING = Occluder(24, 60, 0.13, 0.24)


def clip(sound: str = "chirp:100-900", *, scene: str = "natural", rms_px: float = 0.03, **more: Any) -> Simulation:
    camera = Camera(width=176, height=128, fps=RATE, frames=600, noise=(4.0, 0.0))
    return simulate(camera, scene=scene, sound=sound, rms_px=rms_px, direction=30.0, seed=4, **more)


def measure(simulation: Simulation) -> Motion:
    return Gradient().estimate(simulation.sensor_frames())


def gain_and_error(motion: Motion, simulation: Simulation) -> tuple[float, float]:
    """Gain above 30 Hz, and RMS of what isn't the true motion, px."""
    axis, truth = simulation.truth.axis, simulation.truth.displacement[:, 0]
    found = motion.along(axis)[0][:, 0] - simulation.truth.drift[:, 0] @ axis
    slow = round(2 * 30 * len(found) / RATE)
    fast, expected = (dct(v - np.linspace(v[0], v[-1], len(v)), norm="ortho")[slow:] for v in (found, truth))
    return float(fast @ expected / (expected @ expected)), float(np.sqrt(np.mean((fast - expected) ** 2)))


@pytest.mark.parametrize(
    ("shaking", "dearest", "words"),
    [
        ({"handheld": 6.0, "roll": 2.0}, 1.0, "turns by"),
        ({"roll": 0.3}, 1.0, "turns by"),
        ({"occluder": PASSING}, 3.0, "something covers up to"),
    ],
    ids=["turned", "only turned", "occluded"],
)
def test_shaking_costs_little_and_is_told(shaking: dict[str, Any], dearest: float, words: str) -> None:
    still, shaken = clip(), clip(**shaking)
    _, least = gain_and_error(measure(still), still)
    motion = measure(shaken)
    gain, error = gain_and_error(motion, shaken)
    assert gain == pytest.approx(1, abs=0.01)
    assert 20 * np.log10(error / least) < dearest
    assert any(words in warning for warning in motion.warnings)
    assert not motion.doubt


def test_the_turn_is_taken_out_of_every_tile() -> None:
    simulation = clip("silence", rms_px=0.0, handheld=6.0, roll=1.5)
    motion = measure(simulation)
    error = motion.frame_means()[0] - simulation.truth.drift[:, 0]
    assert np.abs(error - error.mean(axis=0)).max() < 0.06  # the tiles know the middle through the turn
    apart = motion.displacement[:, 0, ::2] - motion.displacement[:, 0, ::2].mean(axis=1, keepdims=True)
    assert np.ptp(apart, axis=0).max() < 0.3  # of the 3 px that the upper and the lower edge went apart


def test_a_loud_part_is_not_taken_for_covered() -> None:
    from vmforensics.data import Region

    motion = measure(clip(rms_px=0.15, moving=Region(32, 32, 48, 48)))
    assert not any("covers" in warning for warning in motion.warnings)


def test_what_hides_the_picture_makes_a_gap() -> None:
    motion = measure(clip(occluder=Occluder(170, 128, 0.13, 0.2)))
    hidden = np.flatnonzero(~motion.observed[:, 0])
    assert len(hidden) > 20
    assert hidden.min() > 0.13 * RATE
    assert hidden.max() < 0.2 * RATE
    assert any(f"hides the picture in {len(hidden)} frames" in warning for warning in motion.warnings)
    assert not motion.doubt


@pytest.mark.parametrize(
    ("scene", "shaking"), [("print", {"handheld": 5.0, "roll": 1.0}), ("camera", {"occluder": PASSING})]
)
def test_silence_stays_silent(scene: str, shaking: dict[str, Any]) -> None:
    motion = measure(clip("silence", scene=scene, rms_px=0.0, **shaking))
    assert detect(motion, AlignedSum().combine(motion)).verdict is not Verdict.SIGNAL
