"""Local phase against known motion: gain, direction, noise, independent halves, silence."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from vmforensics.data import Clock, FrameBlock, FrameStream, Luma, Motion, Region, SensorFrames, Shutter, TimingVerdict
from vmforensics.errors import RegionError, TooFewFrames
from vmforensics.testing import Camera, Flicker, Simulation, simulate
from vmforensics_global_shutter.local_phase import LocalPhase, LocalPhaseParams

X, Y = (1.0, 0.0), (0.0, 1.0)


class Pictures(FrameStream):
    """Frames from memory, in blocks of any size, some of them undecodable."""

    def __init__(self, frames: Luma, *, block: int = 50, lost: tuple[int, ...] = ()) -> None:
        self.pictures, self.block = frames, block
        self.good = np.setdiff1d(np.arange(len(frames)), lost)
        self.height, self.width, self.full_scale = *frames.shape[1:], 255
        self.stamps = np.arange(len(frames)) / 2200
        self.stamp_resolution, self.declared_rate, self.facts, self.complaints = 0.0, 2200.0, {}, []

    def blocks(self) -> Iterator[FrameBlock]:
        for start in range(0, len(self.good), self.block):
            index = self.good[start : start + self.block]
            yield FrameBlock(index, self.pictures[index])

    def sensor_frames(self, shutter: Shutter | None = None) -> SensorFrames:
        clock = Clock(self.stamps, 2200.0, TimingVerdict.EXACT, "given")
        return SensorFrames(self, clock, shutter or Shutter())


def clip(
    sound: str = "chirp:100-900",
    *,
    size: tuple[int, int] = (128, 96),
    frames: int = 250,
    noise: tuple[float, float] = (1.0, 0.0),
    bits: int = 8,
    rms_px: float = 0.02,
    direction: float = 0.0,
    scene: str = "natural",
    seed: int = 1,
    **more: object,
) -> Simulation:
    camera = Camera(width=size[0], height=size[1], fps=2200, frames=frames, noise=noise, bits=bits)
    return simulate(
        camera,
        scene=scene,
        sound=sound,
        rms_px=rms_px,
        direction=direction,
        seed=seed,
        **more,  # type: ignore[arg-type]
    )


def measure(simulation: Simulation, **params: object) -> Motion:
    return LocalPhase(LocalPhaseParams(**params)).estimate(simulation.sensor_frames())  # type: ignore[arg-type]


def truth(simulation: Simulation) -> NDArray[np.float64]:
    displacement = simulation.truth.displacement[:, 0]
    return displacement - displacement.mean()


def gain_and_correlation(motion: Motion, simulation: Simulation) -> tuple[float, float]:
    found = motion.along(simulation.truth.axis)[0][:, 0]
    expected = truth(simulation)
    return float(found @ expected / (expected @ expected)), float(np.corrcoef(found, expected)[0, 1])


@pytest.mark.parametrize("direction", [0, 37, 90, 135])
def test_motion_is_recovered_in_any_direction(direction: float) -> None:
    simulation = clip(direction=direction)
    motion = measure(simulation)
    gain, correlation = gain_and_correlation(motion, simulation)
    assert gain == pytest.approx(1, abs=0.01)
    assert correlation > 0.995
    axis = np.array(motion.steadied()[0].principal_axis())
    assert abs(axis @ simulation.truth.axis) > np.cos(np.deg2rad(1.6))
    assert motion.warnings == ()
    across = motion.along((-axis[1], axis[0]))[0]
    assert np.std(across) < 0.1 * np.std(truth(simulation))


@pytest.mark.parametrize(("rms_px", "noise"), [(0.005, 0.5), (0.1, 0.5), (0.1, 16.0)])
@pytest.mark.parametrize("scene", ["print", "edges"])
def test_gain_holds_for_faint_strong_and_noisy_motion(scene: str, rms_px: float, noise: float) -> None:
    simulation = clip(scene=scene, rms_px=rms_px, noise=(noise, 0), direction=37, size=(160, 128))
    motion = measure(simulation)
    gain, _ = gain_and_correlation(motion, simulation)
    standard_error = 1 / np.sqrt(motion.along(simulation.truth.axis)[1][0, 0]) / np.linalg.norm(truth(simulation))
    assert gain == pytest.approx(1, abs=0.005 + 2.5 * standard_error)


@pytest.mark.parametrize(("scales", "orientations"), [(1, 1), (2, 3), (4, 2), (3, 8)])
def test_every_channel_responds_as_it_says(scales: int, orientations: int) -> None:
    """Without noise and rounding, each channel reads response · displacement, also at the picture's borders."""
    for direction in (0, 90):
        simulation = clip(bits=16, noise=(0, 0), frames=40, direction=direction)
        motion = measure(simulation, scales=scales, orientations=orientations)
        expected = truth(simulation)
        readings = motion.displacement[:, 0].T @ expected / (expected @ expected)
        np.testing.assert_allclose(readings, motion.response @ simulation.truth.axis, atol=0.01)
        assert len({c.label for c in motion.channels}) == len(motion.channels) >= scales * orientations


@pytest.mark.parametrize(("scene", "noise"), [("natural", (2.0, 0.0)), ("print", (0.5, 0.03)), ("soft", (16.0, 0.0))])
def test_silence_reads_noise_of_the_stated_size_and_independent_halves(scene: str, noise: tuple[float, float]) -> None:
    motion = measure(clip("silence", scene=scene, noise=noise, frames=700))
    precision = motion.precision[0, 0].astype(np.float64)
    readings = motion.displacement[:, 0] - motion.displacement[:, 0].mean(axis=0)
    whitened = readings @ np.linalg.cholesky(precision)
    assert np.mean(whitened**2) == pytest.approx(1, abs=0.05)
    for axis in (X, Y):
        displacement, information = motion.along(axis)
        assert np.std(displacement) * np.sqrt(information[0, 0]) == pytest.approx(1, abs=0.1)

    covariance = np.linalg.inv(precision)
    sigma = np.sqrt(np.diag(covariance))
    sets = [[i for i, c in enumerate(motion.channels) if c.half == half] for half in (0, 1)]
    assert all(sets)
    assert np.abs(covariance / np.outer(sigma, sigma))[np.ix_(*sets)].max() < 5e-3
    for axis in (X, Y):
        first, second = (motion.half(half).along(axis)[0][:, 0] for half in (0, 1))
        assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(700)
        # the halves' sums: weights and covariance are known, and with them the correlation to expect
        gains = [np.linalg.solve(covariance[np.ix_(s, s)], motion.response[s] @ axis) for s in sets]
        shared = gains[0] @ covariance[np.ix_(*sets)] @ gains[1]
        own = [g @ covariance[np.ix_(s, s)] @ g for g, s in zip(gains, sets, strict=True)]
        assert abs(shared) / np.sqrt(own[0] * own[1]) < 1e-3


def test_both_halves_see_what_moves_in_a_part_of_the_scene() -> None:
    simulation = clip(size=(240, 120), rms_px=0.05, moving=Region(30, 20, 100, 90))
    motion = measure(simulation)
    for half in (0, 1):
        seen = motion.half(half).along(X)[0][:, 0]
        assert np.corrcoef(seen, truth(simulation))[0, 1] > 0.9


def test_noise_that_is_correlated_between_pixels_is_stated_honestly() -> None:
    still = clip("silence", frames=1, noise=(0, 0)).frames[0].astype(np.float64)
    white = np.random.default_rng(3).normal(size=(500, *still.shape))
    smooth = (white + np.roll(white, 1, 1) + np.roll(white, 1, 2) + np.roll(white, (1, 1), (1, 2))) / 2
    frames = np.rint(still + 1.5 * smooth).clip(0, 255).astype(np.uint8)
    motion = LocalPhase(LocalPhaseParams(scales=2)).estimate(Pictures(frames).sensor_frames())
    displacement, information = motion.along(X)
    assert np.std(displacement) * np.sqrt(information[0, 0]) == pytest.approx(1, abs=0.15)


def test_flicker_and_brightness_are_no_motion() -> None:
    dark = clip("silence", noise=(1.0, 0.0))
    lit = clip("silence", noise=(1.0, 0.0), flicker=Flicker(frequency=100, depth=0.1))
    assert np.ptp(lit.frames.mean(axis=(1, 2))) > 20
    for axis in (X, Y):
        quiet, flickering = (np.std(measure(s).along(axis)[0]) for s in (dark, lit))
        assert flickering < 1.2 * quiet


def test_the_result_does_not_depend_on_the_blocks_that_frames_come_in() -> None:
    frames = clip(frames=60, size=(100, 70)).frames
    found = [LocalPhase().estimate(Pictures(frames, block=b).sensor_frames()) for b in (1, 7, 60)]
    for other in found[1:]:
        assert other.displacement.tobytes() == found[0].displacement.tobytes()
        assert other.precision.tobytes() == found[0].precision.tobytes()


def test_undecodable_frames_are_unobserved_and_cost_the_others_nothing() -> None:
    simulation = clip(frames=120)
    lost = (0, 50, 51, 119)
    motion = LocalPhase().estimate(Pictures(simulation.frames, lost=lost).sensor_frames())
    assert np.flatnonzero(~motion.observed[:, 0]).tolist() == list(lost)
    assert not motion.displacement[list(lost)].any()
    seen = motion.observed[:, 0]
    found = motion.along(X)[0][seen, 0]
    assert np.corrcoef(found, truth(simulation)[seen])[0, 1] > 0.99


def test_a_region_without_texture_is_refused() -> None:
    with pytest.raises(RegionError, match="0,0,128,96 holds no texture"):
        measure(clip(scene="grey", frames=20))
    with pytest.raises(RegionError, match="no texture"):
        LocalPhase().estimate(Pictures(np.zeros((5, 32, 32), np.uint8)).sensor_frames())


def test_fewer_than_three_frames_are_refused() -> None:
    frames = clip(frames=4).frames
    with pytest.raises(TooFewFrames, match="only 2 frames"):
        LocalPhase().estimate(Pictures(frames, lost=(1, 2)).sensor_frames())
    assert LocalPhase().estimate(Pictures(frames, lost=(1,)).sensor_frames()).observed.sum() == 3


def test_a_region_too_small_for_the_scales_is_refused_or_warned_of() -> None:
    small = clip(size=(40, 36), frames=20)
    with pytest.raises(RegionError, match="40x36 px is too small for 4 scales; at most 3 fit"):
        measure(small, scales=4)
    assert measure(small, scales=3).warnings == ()
    assert measure(small).warnings == ("the region has room for 3 of 4 scales",)
    with pytest.raises(RegionError, match="at most 0 fit"):
        measure(clip(size=(40, 7), frames=20))


def test_motion_beyond_phase_and_drift_are_warned_of() -> None:
    (far,) = measure(clip("tone:300", rms_px=1.5, frames=150)).warnings
    assert "more than 1 px, a quarter of the finest wave" in far
    little = measure(clip(drift=(1.2, 0.0), frames=150))
    (drift,) = little.warnings
    assert "drifts by 1." in drift
    assert little.doubt == ""
    assert "measure with gradient" in measure(clip(drift=(6.0, 0.0), frames=150)).doubt


def test_a_rolling_shutter_gives_one_sample_at_the_rows_mean_instant() -> None:
    frames = clip(frames=10).frames
    shutter = Shutter(line_delay=1e-6, exposure=1e-4)
    motion = LocalPhase().estimate(Pictures(frames).sensor_frames(shutter))
    assert motion.instants[0] == pytest.approx([95 / 2 * 1e-6 + 5e-5])
    assert any("rolling shutter" in w for w in motion.warnings)
