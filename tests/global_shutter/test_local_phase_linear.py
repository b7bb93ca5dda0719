"""Local phase to first order against local phase itself, and what it adds: motion that is followed."""

from __future__ import annotations

import numpy as np
import pytest

from vmforensics.errors import RegionError
from vmforensics.testing import Camera, Flicker, StoredFrames, simulate
from vmforensics_global_shutter.gradient import Gradient
from vmforensics_global_shutter.local_phase import LocalPhase
from vmforensics_global_shutter.local_phase_linear import LocalPhaseLinear, LocalPhaseLinearParams


@pytest.mark.parametrize(
    ("scene", "direction", "rms_px"), [("natural", 0, 0.05), ("print", 37, 0.05), ("edges", 90, 0.01)]
)
def test_it_measures_what_the_pyramid_does(scene: str, direction: float, rms_px: float) -> None:
    camera = Camera(width=160, height=120, fps=2200, frames=200, noise=(1.0, 0.0))
    clip = simulate(camera, scene=scene, sound="chirp:50-1000", rms_px=rms_px, direction=direction, seed=3)
    exact, linear = (stage().estimate(clip.sensor_frames()) for stage in (LocalPhase, LocalPhaseLinear))
    one, other = (m.along(clip.truth.axis)[0][:, 0] for m in (exact, linear))
    assert np.corrcoef(one, other)[0, 1] > 0.999
    truth = clip.truth.displacement[:, 0] - clip.truth.displacement.mean()
    assert other @ truth / (truth @ truth) == pytest.approx(1, abs=0.01)
    sigma = [1 / np.sqrt(m.along(clip.truth.axis)[1][0, 0]) for m in (exact, linear)]
    assert 0.8 < sigma[1] / sigma[0] < 1.01  # the exact pyramid leaves out what lies above and below its bands


@pytest.mark.parametrize(("scene", "direction"), [("natural", 37), ("soft", 0)])
def test_it_stands_at_the_bound_as_the_gradient_does(scene: str, direction: float) -> None:
    camera = Camera(width=160, height=120, fps=2200, frames=300, noise=(1.0, 0.0))
    clip = simulate(camera, scene=scene, sound="chirp:50-1000", rms_px=0.05, direction=direction, seed=6)
    truth = clip.truth.displacement[:, 0] - clip.truth.displacement.mean()
    errors = []
    for stage in (Gradient, LocalPhaseLinear):
        found = stage().estimate(clip.sensor_frames()).along(clip.truth.axis)[0][:, 0]
        errors.append(float(np.std(found - truth)))
    assert 20 * np.log10(errors[1] / errors[0]) < 0.4


def test_tiles_are_measured_apart_in_two_halves() -> None:
    camera = Camera(width=160, height=120, fps=2200, frames=100, noise=(1.0, 0.0))
    clip = simulate(camera, scene="natural", sound="tone:310", rms_px=0.05, seed=3)
    motion = LocalPhaseLinear(LocalPhaseLinearParams(tile=40)).estimate(clip.sensor_frames())
    assert len({channel.place for channel in motion.channels}) == 12
    assert {channel.half for channel in motion.channels} == {0, 1}
    truth = clip.truth.displacement[:, 0]
    for number, channel in enumerate(motion.channels):
        if channel.response == (1.0, 0.0):
            gain = float(motion.displacement[:, 0, number] @ truth / (truth @ truth))
            assert gain == pytest.approx(1, abs=0.05)


def test_a_drifting_picture_is_followed() -> None:
    camera = Camera(width=160, height=120, fps=2200, frames=300, noise=(1.0, 0.0))
    clip = simulate(camera, scene="natural", sound="silence", rms_px=0, drift=(3.0, 1.0), seed=3)
    motion = LocalPhaseLinear().estimate(clip.sensor_frames())
    path, _ = motion.frame_means()
    truth = clip.truth.drift[:, 0]
    error = (path - path.mean(axis=0)) - (truth - truth.mean(axis=0))
    assert np.abs(error).max() < 0.02
    assert any("linearised anew" in warning for warning in motion.warnings)


@pytest.mark.parametrize("trouble", ["hot", "letterbox", "saturated", "flicker"])
def test_pixels_that_show_no_scene_and_changes_of_light_are_no_motion(trouble: str) -> None:
    camera = Camera(width=160, height=120, fps=2200, frames=200, noise=(2.0, 0.0))
    light = Flicker(frequency=100, depth=0.2) if trouble == "flicker" else None
    dark, clip = (
        simulate(camera, scene="natural", sound="chirp:100-900", rms_px=0.05, seed=4, flicker=f) for f in (None, light)
    )
    frames = clip.frames.copy()
    generator = np.random.default_rng(5)
    if trouble == "hot":
        frames[:, generator.integers(5, 110, 40), generator.integers(5, 150, 40)] = 255
    elif trouble == "letterbox":
        frames[:, :20] = frames[:, -20:] = 16
    elif trouble == "saturated":
        frames = np.minimum(frames.astype(np.int64) + 255 - int(np.quantile(frames[0], 0.8)), 255).astype(np.uint8)
    error = []
    for pictures in (dark.frames, frames):
        found = LocalPhaseLinear().estimate(StoredFrames(pictures, rate=2200.0).sensor_frames()).along((1.0, 0.0))[0]
        truth = clip.truth.displacement[:, 0] - clip.truth.displacement.mean()
        spoilt = found[:, 0] - found[:, 0].mean()
        gain = float(spoilt @ truth / (truth @ truth))
        assert gain == pytest.approx(1, abs=0.05)
        error.append(float(np.std(spoilt - truth)))
    assert error[1] < max(2 * error[0], 0.05 * 0.06)


def test_a_region_too_small_for_the_scales_is_refused_or_warned_of() -> None:
    small = simulate(Camera(width=40, height=36, fps=2200, frames=20), scene="natural", rms_px=0.02)
    with pytest.raises(RegionError, match="40x36 px is too small for 4 scales; at most 3 fit"):
        LocalPhaseLinear(LocalPhaseLinearParams(scales=4)).estimate(small.sensor_frames())
    assert LocalPhaseLinear().estimate(small.sensor_frames()).warnings == ("the region has room for 3 of 4 scales",)
