"""Not everything in view vibrates: who shares a signal is found, with signs and delays, and never in noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from vmforensics.data import Channel, Motion, Region, SensorFrames, Signal, Verdict
from vmforensics.detection import detect
from vmforensics.errors import StageError
from vmforensics.stages import SignalCombiner
from vmforensics.testing import Camera, StoredFrames, simulate
from vmforensics_denoise.high_pass import HighPass, HighPassParams
from vmforensics_global_shutter.aligned_sum import AlignedSum
from vmforensics_global_shutter.gradient import Gradient
from vmforensics_global_shutter.inverse_variance import InverseVariance
from vmforensics_global_shutter.local_phase_linear import LocalPhaseLinear
from vmforensics_global_shutter.principal_component import PrincipalComponent
from vmforensics_global_shutter.shared_signal import SharedSignal, SharedSignalParams
from vmforensics_global_shutter.shares import share_a_signal
from vmforensics_global_shutter.whitened import Whitened

RATE = 2200.0
FRAMES = 600


def decibels(signal: Signal, truth: NDArray[np.float64]) -> tuple[float, float]:
    """Power of the truth in a signal over that of the rest, where it was observed, and the gain."""
    seen = signal.observed
    found, expected = (v[seen] - v[seen].mean() for v in (signal.samples, truth))
    gain = float(found @ expected / (expected @ expected))
    return float(10 * np.log10(gain**2 * (expected @ expected) / np.sum((found - gain * expected) ** 2))), gain


def sweep(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """A sound between 100 and 800 Hz, of RMS 1, known at any time."""
    return np.asarray(np.sqrt(2) * np.sin(2 * np.pi * (100 * times + 1280 * times**2)))


def tiled(
    gains: list[float],
    delays: list[float] | None = None,
    *,
    sigma: float = 0.01,
    rms: float = 0.01,
    own: dict[int, NDArray[np.float64]] | None = None,
    seed: int = 0,
) -> Motion:
    """Tiles in a row that move along x by gain · sound(t - delay), each measured along x and y."""
    times = np.arange(FRAMES) / RATE
    noise = np.random.default_rng(seed).normal(0, sigma, (FRAMES, 2 * len(gains)))
    for number, (gain, delay) in enumerate(zip(gains, delays or [0.0] * len(gains), strict=True)):
        noise[:, 2 * number] += gain * rms * sweep(times - delay)
    for number, other in (own or {}).items():
        noise[:, 2 * number] += other
    return Motion(
        displacement=noise.astype(np.float32)[:, None],
        precision=np.diag(np.full(2 * len(gains), sigma**-2)).astype(np.float32)[None, None],
        observed=np.ones((FRAMES, 1), np.bool_),
        frame_times=times,
        row_offsets=np.zeros(1),
        channels=tuple(
            Channel(f"{name}, tile {k}", response, k % 2, Region(32 * k, 0, 32, 32))
            for k in range(len(gains))
            for name, response in (("x", (1.0, 0.0)), ("y", (0.0, 1.0)))
        ),
        frame_rate=RATE,
    )


def verdict(combiner: SignalCombiner, motion: Motion, false_alarm_rate: float = 0.01) -> Verdict:
    """As a run finds it: a combiner that selects gets either half alone, too."""
    steady = motion.steadied()[0]
    chosen = (combiner.combine(steady.half(0)), combiner.combine(steady.half(1))) if combiner.selects else None
    return detect(motion, combiner.combine(motion), chosen=chosen, false_alarm_rate=false_alarm_rate).verdict


@pytest.mark.parametrize(
    ("place", "scene", "sound", "rms_px", "direction"),
    [
        ((24, 20), "natural", "chirp:100-900", 0.005, 0),
        ((64, 44), "print", "tone:310", 0.05, 45),
        ((0, 60), "edges", "speech", 0.02, 100),
    ],
)
def test_a_box_that_vibrates_alone_is_found(
    place: tuple[int, int], scene: str, sound: str, rms_px: float, direction: float
) -> None:
    box = Region(*place, 80, 58)  # a fifth of the picture
    camera = Camera(width=192, height=120, fps=RATE, frames=FRAMES, noise=(1.0, 0.0))
    clip = simulate(camera, scene=scene, sound=sound, rms_px=rms_px, direction=direction, moving=box, seed=7)
    frames = StoredFrames(clip.frames, rate=RATE).sensor_frames()
    whole, known = (Gradient().estimate(SensorFrames(frames.stream, frames.clock, region=r)) for r in (None, box))
    truth = clip.truth.displacement[:, 0]
    best, _ = decibels(AlignedSum().combine(known), truth)
    signal = SharedSignal().combine(whole)
    found, gain = decibels(signal, truth)
    assert signal.method.endswith("parts, which share a signal and don't move alike")
    as_one, _ = decibels(AlignedSum().combine(whole), truth)
    assert found > best - 2
    assert as_one < best - 4
    assert 0.7 < abs(gain) < 1.08  # no tile may lie wholly within the box


def test_tiles_go_with_a_drifting_scene() -> None:
    camera = Camera(width=192, height=120, fps=RATE, frames=400, noise=(1.0, 0.0))
    scores = []
    for drift in ((0.0, 0.0), (8.0, 6.0)):
        clip = simulate(
            camera,
            scene="print",
            sound="chirp:150-900",
            rms_px=0.02,
            moving=Region(64, 32, 64, 64),
            drift=drift,
            seed=9,
        )
        found = SharedSignal().combine(Gradient().estimate(clip.sensor_frames()))
        fast = HighPass(HighPassParams(cutoff=60))
        truth = fast.denoise(replace(found, samples=clip.truth.displacement[:, 0])).samples
        inner = (np.arange(400) > 50) & (np.arange(400) < 350)
        scores.append(decibels(replace(fast.denoise(found), observed=inner), truth))
    (still, _), (drifting, gain) = scores
    assert drifting > still - 2
    assert abs(gain) == pytest.approx(1, abs=0.03)


def test_signs_and_delays_are_undone() -> None:
    delays = [0, 0.4e-3, 0.9e-3, 1.5e-3, 2.2e-3, 3e-3, 0, 0, 0]
    motion = tiled([1, -1, 1, -1, 1, 1, 0, 0, 0], delays, sigma=0.005)
    truth = 0.01 * sweep(motion.frame_times)
    together = tiled([1, 1, 1, 1, 1, 1, 0, 0, 0], sigma=0.005)
    best, _ = decibels(SharedSignal().combine(together), truth)
    found = SharedSignal().combine(motion)
    # which tile's time counts is arbitrary
    scores = [decibels(found, 0.01 * sweep(motion.frame_times - delay))[0] for delay in delays]
    assert max(scores) > best - 1.5
    assert any("channels were shifted, by up to" in warning for warning in found.warnings)
    assert not found.observed.all()
    together_anyway = SharedSignal(SharedSignalParams(max_lag=0)).combine(motion)
    assert together_anyway.observed.all()
    assert max(decibels(together_anyway, 0.01 * sweep(motion.frame_times - d))[0] for d in delays) < best - 5


def test_uniform_motion_is_summed_as_well_as_by_maximum_likelihood() -> None:
    motion = tiled([1.0] * 24, sigma=0.02, rms=0.01)
    truth = 0.01 * sweep(motion.frame_times)
    best, _ = decibels(AlignedSum().combine(motion), truth)
    signal = SharedSignal().combine(motion)
    found, gain = decibels(signal, truth)
    assert signal.method == "the sum of all 24 parts, which may move as one"
    assert found > best - 0.3
    assert abs(gain) == pytest.approx(1, abs=0.05)


def test_a_part_that_moves_by_itself_is_left_out() -> None:
    generator = np.random.default_rng(3)
    times = np.arange(FRAMES) / RATE
    flutter = np.convolve(generator.normal(0, 0.2, FRAMES), np.hanning(9), "same")
    swaying = 0.5 * np.sin(2 * np.pi * 2 * times)
    gains = [0.0] * 12
    gains[4:8] = [1.0] * 4
    motion = tiled(gains, own={0: flutter, 2: swaying, 3: swaying, 9: swaying}, sigma=0.005)
    found = HighPass(HighPassParams(cutoff=40)).denoise(SharedSignal().combine(motion))
    best, _ = decibels(AlignedSum().combine(tiled([1.0] * 3, sigma=0.005, seed=1)), 0.01 * sweep(times))
    inner = (np.arange(FRAMES) > 100) & (np.arange(FRAMES) < FRAMES - 100)
    assert decibels(replace(found, observed=inner), 0.01 * sweep(times))[0] > best - 1


@pytest.mark.parametrize("combiner", [SharedSignal(), PrincipalComponent()])
def test_silence_stays_silent_however_channels_are_chosen(combiner: SignalCombiner) -> None:
    alarms = 0
    for seed in range(20):
        motion = tiled([0.0] * 12, seed=100 + seed)
        alarms += verdict(combiner, motion, false_alarm_rate=0.05) is Verdict.SIGNAL
    assert alarms <= 4  # 1 is expected at most; more than 4 once in 390 times


def test_what_hides_in_the_whole_picture_is_detected_in_the_part_that_carries_it() -> None:
    gains = [0.0] * 40
    gains[8:16] = [1.0, 1.0, -1.0, -1.0] * 2  # in each half as much forth as back: the halves' sums hold nothing
    motion = tiled(gains, sigma=0.01, rms=0.008)
    assert verdict(AlignedSum(), motion) is Verdict.NO_SIGNAL
    assert verdict(SharedSignal(), motion) is Verdict.SIGNAL


def test_channels_that_share_their_noise_are_summed() -> None:
    camera = Camera(width=96, height=72, fps=RATE, frames=200, noise=(1.0, 0.0))
    clip = simulate(camera, scene="natural", sound="chirp:100-900", rms_px=0.03, seed=2)
    motion = LocalPhaseLinear().estimate(clip.sensor_frames())
    best, _ = decibels(AlignedSum().combine(motion), clip.truth.displacement[:, 0])
    found, _ = decibels(SharedSignal().combine(motion), clip.truth.displacement[:, 0])
    assert found > best - 1


@pytest.mark.parametrize("combiner", [InverseVariance(), PrincipalComponent(), SharedSignal()])
def test_each_states_its_uncertainty(combiner: SignalCombiner) -> None:
    motion = tiled([1.0, 1.0, 0.9, 1.0, 1.0, 1.1], sigma=0.004)
    found = combiner.combine(motion)
    truth = 0.01 * sweep(motion.frame_times)
    error = found.samples * np.sign(found.samples @ truth) - truth
    assert np.std(error) == pytest.approx(found.sigma[0], rel=0.2)
    assert abs(found.axis[0]) > 0.99


@pytest.mark.parametrize("combiner", [InverseVariance(), PrincipalComponent(), SharedSignal()])
def test_a_rolling_shutter_and_an_empty_motion_are_refused(combiner: SignalCombiner) -> None:
    motion = tiled([1.0] * 4)
    with pytest.raises(StageError, match="no frame was observed"):
        combiner.combine(replace(motion, observed=np.zeros_like(motion.observed)))
    with pytest.raises(StageError, match=f"{combiner.name}: no channel carries information"):
        combiner.combine(replace(motion, precision=np.zeros_like(motion.precision)))


def test_the_level_of_uniform_motion_is_true_where_each_tile_hardly_shows_it() -> None:
    gains = []
    for seed in range(8):
        motion = tiled([1.0] * 24, sigma=0.02, rms=0.006, seed=seed)
        gains.append(abs(decibels(SharedSignal().combine(motion), 0.006 * sweep(motion.frame_times))[1]))
    assert np.mean(gains) == pytest.approx(1, abs=0.03)
    assert np.std(gains) < 0.05


def test_parts_are_told_apart_seldom_where_nothing_is_shared() -> None:
    """Noise isn't sorted: what comes out is the sum of all but in one clip of twenty."""
    apart = 0
    for seed in range(20):
        motion = tiled([0.0] * 12, seed=seed)
        apart += not share_a_signal(Whitened.of(motion), 11.0)
    assert apart >= 18


@pytest.mark.parametrize("every", [12, 3])
def test_gaps_alike_in_all_tiles_are_nothing_that_they_share(every: int) -> None:
    """A codec that repeats its key frames leaves few frames of their own."""
    alone = 0
    for seed in range(6):
        motion = tiled([0.0] * 12, seed=seed)
        observed = (np.arange(FRAMES) % every == 0)[:, None]
        gaps = replace(motion, observed=observed, displacement=np.where(observed[..., None], motion.displacement, 0))
        alone += not share_a_signal(Whitened.of(gaps), 11.0)
        found = SharedSignal().combine(gaps)
        assert np.array_equal(found.observed, observed[:, 0])
    assert alone >= 4


def test_delays_that_no_two_frames_could_undo_stay() -> None:
    delays = [0, 0.9e-3, 2.2e-3, 0, 0.9e-3, 2.2e-3]
    motion = tiled([1.0] * 6, delays, sigma=0.001)
    observed = (np.arange(FRAMES) % 3 == 0)[:, None]
    gaps = replace(motion, observed=observed, displacement=np.where(observed[..., None], motion.displacement, 0))
    found = SharedSignal().combine(gaps)
    assert found.observed.sum() == observed.sum()


@pytest.mark.parametrize("frames", [3, 5, 9, 40])
@pytest.mark.parametrize("sigma", [0.0, 0.01])
def test_few_frames_and_frames_without_motion_are_summed(frames: int, sigma: float) -> None:
    motion = tiled([0.0] * 6, sigma=0.01)
    short = replace(
        motion,
        displacement=motion.displacement[:frames] * np.float32(sigma / 0.01),
        observed=motion.observed[:frames],
        frame_times=motion.frame_times[:frames],
    )
    found = SharedSignal().combine(short)
    assert len(found.samples) == frames
    assert np.isfinite(found.samples).all()
    assert found.observed.all()
    assert found.method == "the sum of all 6 parts, which share no more than by chance"
