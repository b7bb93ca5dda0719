"""Riesz phase, phase correlation, optical flow and image SVD against known motion, in the same way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vmforensics.data import Verdict
from vmforensics.detection import detect
from vmforensics.errors import RegionError, TooFewFrames
from vmforensics.stages import MotionEstimator
from vmforensics.testing import Flicker, StoredFrames
from vmforensics_global_shutter.aligned_sum import AlignedSum
from vmforensics_global_shutter.image_svd import ImageSVD
from vmforensics_global_shutter.optical_flow import OpticalFlow
from vmforensics_global_shutter.phase_correlation import PhaseCorrelation, PhaseCorrelationParams
from vmforensics_global_shutter.riesz_phase import RieszPhase, RieszPhaseParams

from .estimation import clip, gain_and_correlation, measure, spread

FAST = [PhaseCorrelation, RieszPhase, ImageSVD]
ALL = [*FAST, OpticalFlow]
X, Y = (1.0, 0.0), (0.0, 1.0)

Estimator = Callable[[], MotionEstimator]


@pytest.mark.parametrize(
    ("estimator", "scene", "direction"),
    [*((e, "natural", 37) for e in FAST), *((e, "edges", 90) for e in FAST), (OpticalFlow, "natural", 37)],
)
def test_motion_is_recovered_with_its_gain(estimator: Estimator, scene: str, direction: float) -> None:
    simulation = clip(scene=scene, direction=direction)
    motion = measure(estimator(), simulation)
    gain, correlation = gain_and_correlation(motion, simulation)
    assert gain == pytest.approx(1, abs=0.035)
    assert correlation > 0.99
    assert motion.warnings == ()
    x, y = simulation.truth.axis
    if estimator in (PhaseCorrelation, RieszPhase):  # image-svd sees nothing across, optical-flow is noisier
        assert np.std(motion.along((-y, x))[0]) < 0.2 * np.std(simulation.displacement(motion.instants))


@pytest.mark.parametrize("estimator", FAST)
def test_large_and_faint_motion_have_one_gain(estimator: Estimator) -> None:
    """A grid of steps, or noise in the gain, would show in the faint one."""
    for rms_px, noise in ((0.003, 0.3), (0.08, 2.0)):
        simulation = clip(scene="print", rms_px=rms_px, noise=noise)
        gain, correlation = gain_and_correlation(measure(estimator(), simulation), simulation)
        assert gain == pytest.approx(1, abs=0.03)
        assert correlation > 0.98


@pytest.mark.parametrize(("estimator", "seed"), [*((e, s) for e in FAST for s in (3, 4)), (OpticalFlow, 3)])
def test_silence_reads_noise_of_the_stated_size(estimator: Estimator, seed: int) -> None:
    motion = measure(
        estimator(), clip("silence", rms_px=0.0, noise=1.5, scene="soft" if seed == 3 else "print", seed=seed)
    )
    for axis in (X, Y):
        assert spread(motion, axis) == pytest.approx(1, abs=0.25)  # 64 trials know it to 9 %, 200 frames to 5 %
    assert detect(motion, AlignedSum().combine(motion)).verdict is Verdict.NO_SIGNAL


@pytest.mark.parametrize("estimator", FAST)
def test_a_faint_sound_is_detected(estimator: Estimator) -> None:
    motion = measure(estimator(), clip(rms_px=0.01, frames=300))
    assert {channel.half for channel in motion.channels} == {0, 1}
    assert detect(motion, AlignedSum().combine(motion)).verdict is Verdict.SIGNAL


@pytest.mark.parametrize("estimator", FAST)
def test_noise_that_neighbours_share_is_stated(estimator: Estimator) -> None:
    """As a codec's: of two independent clips, each pixel's noise is the mean of its own and its neighbours'."""
    still = clip("silence", rms_px=0.0, frames=1, noise=0.0).frames[0].astype(np.float64)
    white = np.random.default_rng(3).normal(size=(200, *still.shape))
    smooth = (white + np.roll(white, 1, 1) + np.roll(white, 1, 2) + np.roll(white, (1, 1), (1, 2))) / 2
    frames = np.rint(still + 1.5 * smooth).clip(0, 255).astype(np.uint8)
    motion = estimator().estimate(StoredFrames(frames, rate=1000.0).sensor_frames())
    for axis in (X, Y):
        assert spread(motion, axis) == pytest.approx(1, abs=0.35)  # two numbers of both directions


@pytest.mark.parametrize("estimator", FAST)
def test_flicker_is_no_motion(estimator: Estimator) -> None:
    lit = measure(estimator(), clip("silence", rms_px=0.0, flicker=Flicker(100, 0.05)))
    for axis in (X, Y):
        assert spread(lit, axis) < 1.4
    assert detect(lit, AlignedSum().combine(lit)).verdict is Verdict.NO_SIGNAL


@pytest.mark.parametrize("estimator", ALL)
def test_what_holds_no_motion_is_refused(estimator: Estimator) -> None:
    for frames in (clip("silence", rms_px=0.0, scene="grey", frames=40).frames, np.full((9, 64, 64), 90, np.uint8)):
        with pytest.raises(RegionError, match="texture"):
            estimator().estimate(StoredFrames(frames, rate=1000.0).sensor_frames())
    with pytest.raises(TooFewFrames, match="only 2 frames"):
        measure(estimator(), clip(frames=2))
    with pytest.raises(RegionError, match="39 rows of 64 px"):
        measure(estimator(), clip(frames=5, size=(64, 39)))


def test_a_half_without_texture_gives_no_channel() -> None:
    frames = clip(frames=60).frames.copy()
    frames[:, :, 36:] = 90
    frames[:, 28:] = 90
    motion = RieszPhase().estimate(StoredFrames(frames, rate=1000.0).sensor_frames())
    assert {channel.half for channel in motion.channels} == {0}


def test_a_blank_frame_is_unobserved_to_phase_correlation() -> None:
    frames = clip(frames=60).frames.copy()
    frames[17] = 50
    motion = PhaseCorrelation().estimate(StoredFrames(frames, rate=1000.0).sensor_frames())
    assert np.flatnonzero(~motion.observed[:, 0]).tolist() == [17]


def test_phase_correlation_proper_is_noisier_and_says_so() -> None:
    simulation = clip(rms_px=0.1)
    by_power = measure(PhaseCorrelation(), simulation)
    alike = measure(PhaseCorrelation(PhaseCorrelationParams(normalization="phase")), simulation)
    assert alike.along(X)[1].mean() < 0.1 * by_power.along(X)[1].mean()
    gain, correlation = gain_and_correlation(alike, simulation)
    assert gain == pytest.approx(1, abs=0.1)
    assert correlation > 0.9


def test_phase_correlation_finds_its_way_over_pixels() -> None:
    still = clip("silence", rms_px=0.0, frames=1, noise=0.5, scene="print").frames[0]
    frames = np.stack([np.roll(still, k % 3, axis=1) for k in range(30)])
    reader = PhaseCorrelation().reader(still.astype(np.float64))
    places = reader(frames.astype(np.float32))
    np.testing.assert_allclose(places[:, 0], np.arange(30) % 3, atol=0.1)
    np.testing.assert_allclose(places[:, 1], 0, atol=0.05)


@pytest.mark.parametrize("scales", [1, 2])
def test_riesz_scales(scales: int) -> None:
    simulation = clip(scene="print")
    gain, correlation = gain_and_correlation(
        measure(RieszPhase(RieszPhaseParams(scales=scales)), simulation), simulation
    )
    assert gain == pytest.approx(1, abs=0.03)
    assert correlation > 0.98


def test_svd_follows_two_directions_at_once() -> None:
    """Two components tell x from y; one would have to choose."""
    one = clip(scene="print", rms_px=0.05, direction=0, sound="tone:300")
    other = clip(scene="print", rms_px=0.05, direction=90, sound="tone:500")
    still = clip("silence", rms_px=0.0, scene="print", frames=1, noise=0.0).frames[0].astype(np.float64)
    frames = one.frames.astype(np.float64) + other.frames - still
    motion = ImageSVD().estimate(
        StoredFrames(np.rint(frames).clip(0, 255).astype(np.uint8), rate=2200.0).sensor_frames()
    )
    for axis, simulation in ((X, one), (Y, other)):
        found, truth = motion.along(axis)[0].ravel(), simulation.displacement(motion.instants).ravel()
        assert np.corrcoef(found, truth)[0, 1] > 0.97


def test_svd_sub_images_are_bounded() -> None:
    simulation = clip(size=(200, 120), frames=60)
    small = measure(ImageSVD(ImageSVD.Params(size=16)), simulation)
    large = measure(ImageSVD(ImageSVD.Params(size=64)), simulation)
    assert small.along(X)[1].mean() < large.along(X)[1].mean()


@pytest.mark.parametrize("estimator", FAST)
def test_drift_and_far_motion_are_warned_of(estimator: Any) -> None:
    (drift,) = (w for w in measure(estimator(), clip(drift=(2.0, 0.0), frames=120)).warnings if "drifts" in w)
    assert "stabilise" in drift
