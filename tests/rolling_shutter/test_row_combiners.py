"""From row samples to a signal: the autoregressive smoother and its baseline, the row average."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vmforensics.data import Channel, Motion, Shutter, Signal, Verdict
from vmforensics.detection import detect
from vmforensics.errors import ParameterError, Unsuitable
from vmforensics.plugins import Registry
from vmforensics.testing import Camera, Simulation, simulate
from vmforensics_rolling_shutter.gap.autoregressive import Autoregressive, AutoregressiveParams
from vmforensics_rolling_shutter.gap.row_average import RowAverage, RowAverageParams
from vmforensics_rolling_shutter.motion.row_motion import RowMotion

GAP = 1 - 720 * 19e-6 * 60  # share of the time in which no row is read


@functools.cache
def clip(sound: str, direction: float = 60.0) -> Simulation:
    """A 60 fps clip of 720 rows, 19 µs each, at 0.03 px RMS; narrow, so that its noise is that of softer pictures."""
    camera = Camera(width=160, height=720, fps=60, frames=24, noise=(2.0, 0.0), shutter=Shutter(line_delay=19e-6))
    rms_px = 0.0 if sound == "silence" else 0.03
    return simulate(camera, scene="print", sound=sound, rms_px=rms_px, direction=direction, seed=3)


@functools.cache
def measured(sound: str) -> Motion:
    return RowMotion().estimate(clip(sound).sensor_frames())


@functools.cache
def smoothed(sound: str) -> Signal:
    return Autoregressive().combine(measured(sound))


def ideal(
    sound: str, *, frames: slice = slice(None), rows: slice = slice(None, None, 4), against_mean: bool = True
) -> Motion:
    """The truth at a quarter of the rows, and noise of known size; read against the mean of the frames, or at rest."""
    truth = clip(sound).truth
    sigma = np.array([2.0, 3.0, 2.4, 3.0]) * 1e-3
    displacement = truth.displacement[frames, rows]
    displacement = (displacement - against_mean * displacement.mean(axis=0))[..., None] * [*truth.axis, *truth.axis]
    noise = sigma * np.random.default_rng(5).standard_normal(displacement.shape)
    return Motion(
        displacement=(displacement + noise).astype(np.float32),
        precision=np.diag(1 / sigma**2).astype(np.float32)[None, None],
        observed=np.ones(displacement.shape[:2], bool),
        frame_times=clip(sound).frame_times[frames],
        row_offsets=truth.instants[0, rows],
        channels=tuple(
            Channel(f"{name}{half}", axis, half)
            for half in (0, 1)
            for name, axis in (("x", (1.0, 0.0)), ("y", (0.0, 1.0)))
        ),
        frame_rate=60.0,
        warnings=("said before",),
    )


def truth_of(signal: Signal, sound: str) -> NDArray[np.float64]:
    """The sound at a signal's instants, in the direction that its axis took."""
    simulation = clip(sound)
    return np.sign(np.dot(signal.axis, simulation.truth.axis)) * simulation.displacement(signal.times)


def correlation(signal: Signal, sound: str) -> float:
    return float(np.corrcoef(signal.samples, truth_of(signal, sound))[0, 1])


def spread(signal: Signal, sound: str, where: Any = slice(None)) -> float:
    error = (signal.samples - truth_of(signal, sound)) / signal.sigma
    return float(np.sqrt(np.mean(error[where] ** 2)))


SOUNDS = pytest.mark.parametrize("sound", ["melody", "speech", "tone:311"])


@SOUNDS
def test_sound_is_recovered_over_the_gaps_and_better_than_by_averaging(sound: str) -> None:
    found, average = smoothed(sound), RowAverage().combine(measured(sound))
    assert correlation(found, sound) > 0.96
    left, left_by_average = (1 - correlation(s, sound) ** 2 for s in (found, average))
    assert left < left_by_average / 3  # 5 dB


@SOUNDS
def test_the_axis_is_found_to_two_degrees(sound: str) -> None:
    for signal in (smoothed(sound), RowAverage().combine(measured(sound))):
        assert abs(np.dot(signal.axis, clip(sound).truth.axis)) > np.cos(np.deg2rad(2))


@SOUNDS
def test_the_scale_is_that_of_the_motion(sound: str) -> None:
    found = smoothed(sound)
    truth = truth_of(found, sound)
    seen = found.observed
    gain = found.samples[seen] @ truth[seen] / (truth[seen] @ truth[seen])
    assert gain == pytest.approx(1 - 0.5 / 24, abs=0.035)  # of wide-band sound, 1/24 goes with the mean of 24 frames


@SOUNDS
def test_what_was_observed_is_marked(sound: str) -> None:
    found, motion = smoothed(sound), measured(sound)
    assert 1 - found.observed.mean() == pytest.approx(GAP, abs=0.02)
    phase = np.mod(found.times + 1e-9, 1 / 60)
    half_sample = 0.5 / found.rate
    assert found.observed[phase < 719 * 19e-6 - half_sample].all()
    assert not found.observed[(phase > 719 * 19e-6 + half_sample) & (phase < 1 / 60 - half_sample)].any()
    assert (found.rate, found.unit, found.start) == (8000.0, "px", motion.instants.min())
    assert found.times[-1] == pytest.approx(motion.instants.max(), abs=1 / 8000)


@SOUNDS
def test_sigma_covers_noise_gaps_and_what_went_with_the_template(sound: str) -> None:
    """It may be too large for a tone, whose mean over the frames happens to be small."""
    for found in (smoothed(sound), Autoregressive().combine(ideal(sound))):
        for where in (found.observed, ~found.observed):
            assert 0.15 < spread(found, sound, where) < 1.6
        assert np.median(found.sigma[~found.observed]) > 1.05 * np.median(found.sigma[found.observed])


@SOUNDS
def test_sigma_covers_the_error_where_nothing_went_with_the_template(sound: str) -> None:
    assert 0.4 < spread(Autoregressive().combine(ideal(sound, against_mean=False)), sound) < 1.4


def test_silence_stays_within_its_sigma_and_gets_no_verdict_of_signal() -> None:
    found = smoothed("silence")
    assert np.sqrt(np.mean(found.samples**2)) < 1.1 * np.sqrt(np.mean(found.sigma**2))
    assert np.abs(found.samples).max() < 5 * found.sigma.max()
    assert detect(measured("silence"), found).verdict is Verdict.NO_SIGNAL
    assert detect(measured("melody"), smoothed("melody")).verdict is Verdict.SIGNAL


def test_missing_frames_are_a_longer_gap() -> None:
    motion = ideal("tone:311")
    observed = motion.observed.copy()
    observed[10:12] = False
    lost = replace(motion, observed=observed, displacement=np.where(observed[..., None], motion.displacement, 0))
    found = Autoregressive().combine(lost)
    inside = (found.times > 9.9 / 60) & (found.times < 12 / 60)
    assert not found.observed[inside].any()
    assert found.sigma[inside].max() > 1.3 * np.median(found.sigma[found.observed])
    assert 0.15 < spread(found, "tone:311") < 1.6
    dropped = replace(
        motion,
        displacement=np.delete(motion.displacement, [10, 11], axis=0),
        observed=np.delete(motion.observed, [10, 11], axis=0),
        frame_times=np.delete(motion.frame_times, [10, 11]),
    )
    again = Autoregressive().combine(dropped)
    np.testing.assert_array_equal(again.observed, found.observed)
    assert np.corrcoef(again.samples, found.samples)[0, 1] > 0.999


@pytest.mark.parametrize("frames", [6, 8, 12])
def test_a_hole_longer_than_a_window_is_not_known_to_be_silent(frames: int) -> None:
    motion = ideal("tone:311")
    observed = motion.observed.copy()
    observed[4 : 4 + frames] = False
    lost = replace(motion, observed=observed, displacement=np.where(observed[..., None], motion.displacement, 0))
    found = Autoregressive().combine(lost)
    middle = np.abs(found.times - (4 + frames / 2) / 60) < frames / 240
    assert found.sigma[middle].min() > 0.3 * 0.03
    assert spread(found, "tone:311", middle) < 2


def test_a_motion_that_was_never_observed_is_refused() -> None:
    motion = ideal("silence")
    nothing = replace(motion, observed=np.zeros_like(motion.observed), displacement=0 * motion.displacement)
    with pytest.raises(Unsuitable, match="not a single row"):
        Autoregressive().combine(nothing)


def test_a_slow_sway_stays_in_the_signal_and_does_not_turn_its_axis() -> None:
    motion = ideal("tone:311")
    sway = 0.3 * np.sin(2 * np.pi * 2.0 * motion.instants)
    sway -= sway.mean(axis=0)  # as against a template
    swaying = replace(motion, displacement=(motion.displacement + sway[..., None] * [0, 1, 0, 1]).astype(np.float32))
    found = Autoregressive().combine(swaying)
    axis = clip("tone:311").truth.axis
    assert abs(np.dot(found.axis, axis)) > np.cos(np.deg2rad(3))
    expected = truth_of(found, "tone:311") + found.axis[1] * 0.3 * np.sin(2 * np.pi * 2.0 * found.times)
    inner = slice(300, -300)
    assert np.std((found.samples - expected)[inner]) < 0.01


@pytest.mark.parametrize("rate", [2000.0, 4000.0, 11_025.0])
def test_the_rate_is_the_callers(rate: float) -> None:
    motion = ideal("tone:311", frames=slice(0, 12))
    for combiner in (
        Autoregressive(AutoregressiveParams(rate=rate, order=64)),
        RowAverage(RowAverageParams(rate=rate)),
    ):
        found = combiner.combine(motion)
        assert found.rate == rate
        assert len(found.samples) == int(np.ptp(motion.instants) * rate) + 1
    assert correlation(Autoregressive(AutoregressiveParams(rate=rate, order=64)).combine(motion), "tone:311") > 0.97


@pytest.mark.parametrize("frames", [1, 2, 3, 5])
def test_the_shortest_clips(frames: int) -> None:
    motion = ideal("tone:311", frames=slice(0, frames))
    for combiner in (Autoregressive(), RowAverage()):
        found = combiner.combine(motion)
        assert len(found.samples) == int(np.ptp(motion.instants) * 8000) + 1
        assert np.isfinite(found.sigma).all()


def test_the_row_average_leaves_gaps_at_nought() -> None:
    average, motion = RowAverage().combine(measured("melody")), measured("melody")
    assert not average.samples[~average.observed].any()
    assert not average.sigma[~average.observed].any()
    np.testing.assert_array_equal(average.observed, smoothed("melody").observed)
    displacement, information = motion.along(average.axis)
    slot = np.rint((motion.instants - average.start) * 8000).astype(int)
    inside = slot == 240
    assert np.count_nonzero(inside) >= 6
    expected = np.average(displacement[inside], weights=information[inside])
    assert average.samples[240] == pytest.approx(expected)
    assert average.sigma[240] == pytest.approx(1 / np.sqrt(information[inside].sum()))


def test_the_row_average_states_the_noise_of_a_sample() -> None:
    average = RowAverage().combine(ideal("silence"))
    seen = average.observed
    assert np.sqrt(np.mean((average.samples / np.where(seen, average.sigma, 1))[seen] ** 2)) == pytest.approx(
        1, abs=0.07
    )


def test_the_same_motion_gives_the_same_bytes_and_warnings_travel_on() -> None:
    motion = ideal("speech", frames=slice(0, 12))
    first, second = (Autoregressive().combine(motion) for _ in range(2))
    assert first.samples.tobytes() == second.samples.tobytes()
    assert first.sigma.tobytes() == second.sigma.tobytes()
    assert first.warnings == ("said before",)


@pytest.mark.parametrize(
    "params", [{"rate": 100}, {"order": 8}, {"order": 1000}, {"window": 0.001}, {"passes": 0}, {"order": 64.5}]
)
def test_parameters_out_of_range_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=next(iter(params))):
        Registry().create("signal_combiner", "autoregressive", params)
