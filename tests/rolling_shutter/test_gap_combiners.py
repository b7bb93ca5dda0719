"""Two ways over the gaps to compare with: band-limited least squares, and Janssen's interpolation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from vmforensics.data import Channel, Motion, Shutter, Signal
from vmforensics.errors import ParameterError, Unsuitable
from vmforensics.plugins import Registry
from vmforensics.stages import SignalCombiner
from vmforensics.testing import Camera, Simulation, simulate
from vmforensics_rolling_shutter.gap.band_limited import BandLimited, BandLimitedParams
from vmforensics_rolling_shutter.gap.janssen import Janssen, JanssenParams
from vmforensics_rolling_shutter.gap.row_average import RowAverage

BOTH = pytest.mark.parametrize("combiner", [BandLimited(), Janssen()], ids=lambda stage: stage.name)
SOUNDS = pytest.mark.parametrize("sound", ["melody", "tone:311"])
FRAMES, ROWS, PITCH = 24, 180, 76e-6
SIGMA = np.array([2.0, 3.0]) * 1e-3


def clip(sound: str) -> Simulation:
    camera = Camera(width=32, height=ROWS, fps=60, frames=FRAMES, shutter=Shutter(line_delay=PITCH))
    return simulate(camera, sound=sound, rms_px=0.0 if sound == "silence" else 0.03, direction=60.0, seed=3)


def motion_of(sound: str, *, lost: slice = slice(0)) -> Motion:
    """The true motion as read against the frames' mean, with noise of known size; some frames missing."""
    truth = clip(sound).truth
    observed = np.ones((FRAMES, ROWS), bool)
    observed[lost] = False
    moved = truth.displacement - truth.displacement.mean(axis=0)
    displacement = moved[..., None] * truth.axis
    displacement = displacement + SIGMA * np.random.default_rng(5).standard_normal(displacement.shape)
    return Motion(
        displacement=np.where(observed[..., None], displacement, 0).astype(np.float32),
        precision=np.diag(1 / SIGMA**2).astype(np.float32)[None, None],
        observed=observed,
        frame_times=clip(sound).frame_times,
        row_offsets=truth.instants[0],
        channels=(Channel("x", (1.0, 0.0)), Channel("y", (0.0, 1.0))),
        frame_rate=60.0,
        warnings=("said before",),
    )


def error_of(signal: Signal, sound: str) -> tuple[Any, Any]:
    simulation = clip(sound)
    truth = np.sign(np.dot(signal.axis, simulation.truth.axis)) * simulation.displacement(signal.times)
    return signal.samples - truth, truth


def decibels(signal: Signal, sound: str, where: Any) -> float:
    error, truth = error_of(signal, sound)
    return float(10 * np.log10(np.sum(truth[where] ** 2) / np.sum(error[where] ** 2)))


@SOUNDS
def test_janssen_carries_tonal_sound_over_the_gaps_and_leaves_what_was_measured(sound: str) -> None:
    motion = motion_of(sound)
    filled, average = Janssen().combine(motion), RowAverage().combine(motion)
    np.testing.assert_array_equal(filled.observed, average.observed)
    seen = filled.observed
    assert decibels(filled, sound, ~seen) > 10
    np.testing.assert_allclose(filled.samples[seen], average.samples[seen], atol=5e-3)  # but for the sway's smoothing
    assert decibels(filled, sound, slice(None)) > decibels(average, sound, slice(None)) + 5


@SOUNDS
def test_least_squares_beat_the_average_where_rows_are_and_stay_small_in_gaps(sound: str) -> None:
    motion = motion_of(sound)
    fitted, average = BandLimited().combine(motion), RowAverage().combine(motion)
    seen = fitted.observed
    assert decibels(fitted, sound, seen) > decibels(average, sound, seen)
    _, truth = error_of(fitted, sound)
    assert np.sqrt(np.mean(fitted.samples[~seen] ** 2)) < 1.2 * np.sqrt(np.mean(truth**2))


def test_least_squares_find_what_the_band_allows_at_the_rows_own_instants() -> None:
    """With rows all through the frame, and none of the grid's rounding: 1900 Hz turn by 85° in a grid's sample."""
    rng = np.random.default_rng(1)
    times = np.sort(rng.uniform(0, 0.2, 4000)).reshape(40, 100)
    motion = motion_of("silence")
    motion = replace(
        motion,
        displacement=(np.sin(2 * np.pi * 1900 * times)[..., None] * [1.0, 0.0]).astype(np.float32),
        observed=np.ones((40, 100), bool),
        frame_times=np.arange(40) * 5e-3,
        row_offsets=np.arange(100) * 5e-5,
        frame_rate=200.0,
    )
    instants = motion.instants
    motion = replace(
        motion, displacement=(np.sin(2 * np.pi * 1900 * instants)[..., None] * [1.0, 0.0]).astype(np.float32)
    )
    found = BandLimited().combine(motion)
    inner = slice(80, -80)
    expected = np.sin(2 * np.pi * 1900 * found.times)
    assert np.std((found.samples - expected)[inner]) < 0.01
    narrow = BandLimited(BandLimitedParams(bandwidth=500)).combine(motion)
    assert np.std(narrow.samples[inner]) < 0.05


@BOTH
@pytest.mark.parametrize("sound", ["melody", "tone:311", "silence"])
def test_sigma_covers_the_error_where_rows_are_and_where_none_are(combiner: SignalCombiner, sound: str) -> None:
    signal = combiner.combine(motion_of(sound))
    error, _ = error_of(signal, sound)
    for where in (signal.observed, ~signal.observed):
        ratio = np.sqrt(np.mean(error[where] ** 2) / np.mean(signal.sigma[where] ** 2))
        assert (0.1 if sound == "silence" else 0.25) < ratio < 1.4
    assert (signal.sigma > 0).all()


@BOTH
def test_a_long_hole_is_not_known_to_be_silent(combiner: SignalCombiner) -> None:
    signal = combiner.combine(motion_of("tone:311", lost=slice(8, 18)))
    hole = np.abs(signal.times - 13 / 60) < 3 / 60
    assert not signal.observed[hole].any()
    error, _ = error_of(signal, "tone:311")
    assert np.sqrt(np.mean(error[hole] ** 2)) < 1.4 * np.sqrt(np.mean(signal.sigma[hole] ** 2))
    assert signal.sigma[hole].min() > 2 * np.median(signal.sigma[signal.observed])
    assert decibels(signal, "tone:311", signal.observed) > 12


@BOTH
def test_a_slow_sway_stays_in_the_signal_and_does_not_turn_its_axis(combiner: SignalCombiner) -> None:
    motion = motion_of("tone:311")
    sway = 0.3 * np.sin(2 * np.pi * 2.0 * motion.instants)
    sway = (sway - sway.mean(axis=0))[..., None] * [0, 1]
    signal = combiner.combine(replace(motion, displacement=(motion.displacement + sway).astype(np.float32)))
    assert abs(np.dot(signal.axis, clip("tone:311").truth.axis)) > np.cos(np.deg2rad(4))
    error, _ = error_of(signal, "tone:311")
    error = error - signal.axis[1] * 0.3 * np.sin(2 * np.pi * 2.0 * signal.times)
    assert np.std(error[signal.observed][300:-300]) < 0.01


@BOTH
def test_time_line_warnings_and_bytes(combiner: SignalCombiner) -> None:
    motion = motion_of("melody")
    first, second = combiner.combine(motion), combiner.combine(motion)
    assert (first.samples.tobytes(), first.sigma.tobytes()) == (second.samples.tobytes(), second.sigma.tobytes())
    assert (first.start, first.rate, first.warnings) == (motion.instants.min(), 8000.0, ("said before",))
    assert len(first.samples) == int(np.ptp(motion.instants) * 8000) + 1


@BOTH
@pytest.mark.parametrize("frames", [1, 2, 5])
def test_the_shortest_clips(combiner: SignalCombiner, frames: int) -> None:
    motion = motion_of("tone:311")
    part = replace(
        motion,
        displacement=motion.displacement[:frames],
        observed=motion.observed[:frames],
        frame_times=motion.frame_times[:frames],
    )
    assert np.abs(combiner.combine(part).samples).max() < 0.2


@BOTH
def test_a_motion_that_was_never_observed_is_refused(combiner: SignalCombiner) -> None:
    with pytest.raises(Unsuitable, match="not a single row"):
        combiner.combine(motion_of("silence", lost=slice(None)))


def test_a_bandwidth_that_the_rate_cannot_hold_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"rate of 4000 Hz can't hold a bandwidth of 2000 Hz"):
        BandLimited(BandLimitedParams(rate=4000.0)).combine(motion_of("silence"))
    coarse = BandLimited(BandLimitedParams(rate=4000.0, bandwidth=1200.0)).combine(motion_of("tone:311"))
    assert decibels(coarse, "tone:311", coarse.observed) > 12


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("band-limited", {"bandwidth": 10}),
        ("janssen", {"order": 2}),
        ("janssen", {"window": 0}),
        ("janssen", {"passes": 0}),
    ],
)
def test_parameters_out_of_range_are_refused(name: str, params: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=next(iter(params))):
        Registry().create("signal_combiner", name, params)


def test_more_rounds_fill_better() -> None:
    once, often = (Janssen(JanssenParams(passes=n)).combine(motion_of("melody")) for n in (1, 5))
    assert decibels(often, "melody", ~often.observed) > decibels(once, "melody", ~once.observed) + 0.5
