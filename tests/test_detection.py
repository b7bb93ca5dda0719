"""The verdict: rarely `signal` on noise, surely on a sound, and none where there is nothing to judge by."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from vmforensics.data import Channel, Detection, Motion, Verdict
from vmforensics.detection import FALSE_ALARM_RATE, LEAST_P, detect

Sound = Callable[[NDArray[np.float64]], NDArray[np.float64]]

SIGMA = np.array([0.01, 0.016, 0.012, 0.016])  # px, of the channels
AXIS = np.array([0.8, 0.6])


def noisy(seed: int, *, rolling: bool, sound: Sound | None = None, frames: int = 0) -> Motion:
    """Two halves, x and y each, of independent noise: a second of 1000 fps, or of 60 fps and 40 rows with a gap."""
    rate, rows, count = (60.0, 40, 60) if rolling else (1000.0, 1, 1000)
    frames = frames or count
    times, offsets = np.arange(frames) / rate, np.arange(rows) * 0.8 / rate / rows
    rng = np.random.default_rng([7, seed])
    displacement = SIGMA * rng.standard_normal((frames, rows, 4))
    if sound is not None:
        displacement += sound(times[:, None] + offsets)[..., None] * [*AXIS, *AXIS]
    return Motion(
        displacement=displacement.astype(np.float32),
        precision=np.diag(1 / SIGMA**2).astype(np.float32)[None, None],
        observed=np.ones((frames, rows), bool),
        frame_times=times,
        row_offsets=offsets,
        channels=tuple(
            Channel(f"{n}{half}", a, half) for half in (0, 1) for n, a in (("x", (1.0, 0.0)), ("y", (0.0, 1.0)))
        ),
        frame_rate=rate,
    )


def judged(
    motion: Motion,
    *,
    rate: float | None = None,
    false_alarm_rate: float = FALSE_ALARM_RATE,
    key_interval: float = 0.0,
) -> Detection:
    """The verdict on a motion combined along its own axis, as a run makes it."""
    rate = rate or (2000.0 if len(motion.row_offsets) > 1 else motion.frame_rate)
    axis = motion.steadied()[0].principal_axis()
    start = float(motion.instants.min())
    size = int((motion.instants.max() - start) * rate) + 1
    signal = motion.onto_grid(axis, start=start, rate=rate, size=size)
    return detect(motion, signal, key_interval=key_interval, false_alarm_rate=false_alarm_rate)


def tone(level: float, frequency: float = 310.0) -> Sound:
    return lambda t: level * np.sqrt(2) * np.sin(2 * np.pi * frequency * t)


def hiss(level: float) -> Sound:
    """Noise of 100-450 Hz, the same function of time in every motion."""
    rng = np.random.default_rng(3)
    frequency, phase = rng.uniform(100, 450, 200), rng.uniform(0, 2 * np.pi, 200)

    def wave(times: NDArray[np.float64]) -> NDArray[np.float64]:
        parts = (np.cos(2 * np.pi * f * times + p) for f, p in zip(frequency, phase, strict=True))
        return np.asarray(level * sum(parts) / np.sqrt(100))

    return wave


@pytest.mark.parametrize("rolling", [False, True])
def test_noise_alone_raises_few_false_alarms(rolling: bool) -> None:
    verdicts = [judged(noisy(seed, rolling=rolling)) for seed in range(60)]
    assert {v.verdict for v in verdicts} <= {Verdict.SIGNAL, Verdict.NO_SIGNAL}
    assert sum(v.verdict is Verdict.SIGNAL for v in verdicts) <= 3  # 0.6 expected at most
    assert sum(v.p_value is not None and v.p_value <= 0.2 for v in verdicts) <= 20  # 12 expected at most
    for v in verdicts:
        assert v.p_value is not None
        assert (v.verdict is Verdict.SIGNAL) == (v.p_value <= FALSE_ALARM_RATE)
        assert (v.band is None) == (v.verdict is Verdict.NO_SIGNAL)


@pytest.mark.parametrize("rolling", [False, True])
@pytest.mark.parametrize(
    ("sound", "lowest", "highest"), [(tone(0.008), 310, 310), (hiss(0.008), 100, 450)], ids=["tone", "hiss"]
)
def test_a_sound_below_the_noise_of_a_sample_is_found(
    rolling: bool, sound: Sound, lowest: float, highest: float
) -> None:
    for seed in range(3):
        found = judged(noisy(seed, rolling=rolling, sound=sound))
        assert found.verdict is Verdict.SIGNAL
        assert found.p_value is not None
        assert 0 < found.p_value < 1e-4
        assert found.band is not None
        low, high = found.band
        assert low < highest
        assert high > lowest
        assert "share a motion" in found.reason


def test_the_band_is_where_the_sound_is() -> None:
    low, high = judged(noisy(1, rolling=False, sound=tone(0.01, 200.0))).band or (0, 0)
    assert 150 < low < 200 < high < 250


@pytest.mark.parametrize("level", [0.008, 0.02, 0.1])
@pytest.mark.parametrize("rolling", [False, True])
def test_a_tone_lies_in_the_band_that_is_named_the_strongest(rolling: bool, level: float) -> None:
    """The gaps of a rolling shutter spread a loud tone over bands that are as significant."""
    found = judged(noisy(0, rolling=rolling, sound=tone(level)))
    low, high = (float(f) for f in re.findall(r"(\d+)-(\d+) Hz", found.reason)[0])
    assert low <= 310 <= high
    assert found.band is not None
    assert found.band[0] <= 310 <= found.band[1]


def test_a_p_value_is_never_nought_nor_stated_beyond_what_is_known() -> None:
    found = judged(noisy(0, rolling=False, sound=tone(1.0)))
    assert found.p_value == LEAST_P > 0
    assert f"p < {LEAST_P:.0e}" in found.reason


def test_the_false_alarm_rate_is_the_callers() -> None:
    motion = noisy(0, rolling=False, sound=tone(0.0045))
    strict = judged(motion, false_alarm_rate=1e-11)
    assert strict.verdict is Verdict.NO_SIGNAL
    assert strict.p_value is not None
    assert strict.false_alarm_rate == 1e-11
    assert judged(motion, false_alarm_rate=min(1.0, strict.p_value)).verdict is Verdict.SIGNAL


def test_a_motion_in_only_one_half_is_no_common_motion() -> None:
    motion = noisy(0, rolling=False)
    displacement = motion.displacement.copy()
    displacement[..., :2] += tone(0.05)(motion.instants)[..., None] * AXIS
    assert judged(replace(motion, displacement=displacement.astype(np.float32))).verdict is Verdict.NO_SIGNAL


def test_opposite_motions_of_the_halves_are_no_common_motion() -> None:
    motion = noisy(0, rolling=False, sound=tone(0.02))
    opposite = np.array([1, 1, -1, -1], np.float32)
    assert judged(replace(motion, displacement=motion.displacement * opposite)).verdict is Verdict.NO_SIGNAL


@pytest.mark.parametrize("rolling", [False, True])
def test_slow_sway_is_no_sound(rolling: bool) -> None:
    def sway(times: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(0.3 * np.sin(2 * np.pi * 1.3 * times) + 0.05 * np.sin(2 * np.pi * 4 * times))

    for seed in range(3):
        assert judged(noisy(seed, rolling=rolling, sound=sway)).verdict is Verdict.NO_SIGNAL


def test_a_pattern_that_stands_in_the_rows_is_no_sound() -> None:
    """As a codec leaves one, repeated until the next key frame."""
    for seed in range(3):
        motion = noisy(seed, rolling=True)
        pattern = 0.01 * np.random.default_rng(seed).standard_normal((2, 40))
        displacement = motion.displacement + np.repeat(pattern, 30, axis=0)[..., None] * [*AXIS, *AXIS]
        found = judged(replace(motion, displacement=displacement.astype(np.float32)))
        assert found.verdict is Verdict.NO_SIGNAL


def test_one_blow_to_both_halves_is_no_sound() -> None:
    motion = noisy(0, rolling=False)
    displacement = motion.displacement.copy()
    displacement[500:510] += 10 * np.random.default_rng(0).standard_normal((10, 1, 1)) * 0.02
    assert judged(replace(motion, displacement=displacement.astype(np.float32))).verdict is Verdict.NO_SIGNAL


def test_without_halves_there_is_no_verdict() -> None:
    loud = noisy(0, rolling=False, sound=tone(0.1))
    for half in (None, 0):
        unmarked = replace(loud, channels=tuple(replace(c, half=half) for c in loud.channels))
        found = judged(unmarked)
        assert (found.verdict, found.p_value, found.band) == (Verdict.UNDETERMINED, None, None)
        assert "no two independent halves" in found.reason


def test_a_doubted_motion_has_no_verdict() -> None:
    found = judged(replace(noisy(0, rolling=False, sound=tone(0.1)), doubt="the picture drifts by 3 px"))
    assert (found.verdict, found.p_value) == (Verdict.UNDETERMINED, None)
    assert found.reason == "the picture drifts by 3 px"


def test_a_clip_too_short_has_no_verdict() -> None:
    found = judged(noisy(0, rolling=False, sound=tone(0.1), frames=100))
    assert (found.verdict, found.p_value) == (Verdict.UNDETERMINED, None)
    assert "too short" in found.reason


@pytest.mark.parametrize("sound", [None, 0.03])
def test_a_short_clip_s_verdict_says_what_it_can_t_tell_of(sound: float | None) -> None:
    """Eight segments of 0.4 s hold 2.5 cycles of 50 Hz each, and no less."""
    noise = noisy(5, rolling=False, sound=tone(sound) if sound else None, frames=400)
    found, whole = judged(noise), judged(noisy(5, rolling=False, sound=tone(sound) if sound else None))
    assert found.verdict is (Verdict.SIGNAL if sound else Verdict.NO_SIGNAL)
    assert "Hz it can't tell, for the clip is short" in found.reason
    assert "can't tell" not in whole.reason


def test_a_motion_that_was_never_observed_has_no_verdict_signal() -> None:
    motion = noisy(0, rolling=False)
    nothing = replace(motion, observed=np.zeros_like(motion.observed), displacement=0 * motion.displacement)
    assert judged(nothing).verdict is not Verdict.SIGNAL


def test_many_missing_frames_neither_hide_a_sound_nor_feign_one() -> None:
    lost = np.zeros((1000, 1), bool)
    lost[100:300] = lost[640:660] = lost[::7] = True
    for sound, verdict in ((tone(0.02), Verdict.SIGNAL), (None, Verdict.NO_SIGNAL)):
        motion = noisy(4, rolling=False, sound=sound)
        displacement = np.where(lost[..., None], 0, motion.displacement)
        assert judged(replace(motion, observed=~lost, displacement=displacement)).verdict is verdict


def test_what_is_slow_behind_a_followed_hand_is_left_open_and_what_is_fast_is_heard() -> None:
    wander = 3 * np.sin(np.linspace(0, 5, 60))[:, None] * [1.0, 0.5]
    hum, voice = (noisy(3, rolling=True, sound=tone(0.006, frequency)) for frequency in (75.0, 310.0))
    assert judged(hum).verdict is judged(voice).verdict is Verdict.SIGNAL
    assert judged(replace(hum, path=wander / 100)).verdict is Verdict.SIGNAL
    followed = judged(replace(hum, path=wander))
    assert followed.verdict is Verdict.NO_SIGNAL
    assert "below 150 Hz, where a hand that is followed leaves traces, it can't tell" in followed.reason
    assert judged(replace(voice, path=wander)).verdict is Verdict.SIGNAL


def test_a_hand_s_tremor_in_a_short_clip_is_no_sound_and_hides_none() -> None:
    def tremor(times: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(4 * np.sin(2 * np.pi * 9.7 * times + 0.4) + 2 * np.sin(2 * np.pi * 7.1 * times + 2.0))

    still, humming = (
        noisy(seed, rolling=False, frames=400, sound=lambda t, a=amplitude: tremor(t) + a * np.sin(2 * np.pi * 90 * t))
        for seed, amplitude in ((1, 0.0), (2, 0.02))
    )
    assert judged(still).verdict is Verdict.NO_SIGNAL
    assert judged(humming).verdict is Verdict.SIGNAL


def test_gaps_in_a_motion_far_from_where_it_began_make_no_pattern() -> None:
    for seed in range(6):
        motion = noisy(seed, rolling=False)
        seen = np.random.default_rng([9, seed]).random((1000, 1)) > 0.2
        away = np.where(seen[..., None], motion.displacement + np.float32(0.8), 0).astype(np.float32)
        detection = judged(replace(motion, displacement=away, observed=seen))
        assert detection.verdict is Verdict.NO_SIGNAL, detection.reason


def test_a_codec_that_repeats_frames_turns_a_steady_tone_into_doubt_not_silence() -> None:
    moved = noisy(1, rolling=True, sound=tone(0.03))
    assert judged(moved).verdict is Verdict.SIGNAL
    found = judged(moved, key_interval=0.5)
    assert found.verdict is Verdict.UNDETERMINED
    assert "repeat" in found.reason


@pytest.mark.parametrize("level", [0.01, 0.03])
def test_a_sound_is_not_called_silence_for_the_codec_that_carried_it(level: float) -> None:
    assert judged(noisy(1, rolling=True, sound=hiss(level)), key_interval=0.5).verdict is not Verdict.NO_SIGNAL


@pytest.mark.parametrize(("drift", "verdict"), [(0.0, Verdict.SIGNAL), (1.0, Verdict.UNDETERMINED)])
def test_what_a_codec_could_lag_behind_a_drift_gets_no_verdict(drift: float, verdict: Verdict) -> None:
    """A tone of 0.02 px, in a picture that travels 0.25 px from key frame to key frame."""
    moved = noisy(1, rolling=False, sound=lambda t: tone(0.02)(t) + drift * t)
    found = judged(moved, key_interval=0.25)
    assert found.verdict is verdict
    assert judged(moved).verdict is Verdict.SIGNAL
    assert not drift or "lag" in found.reason


def test_repeated_noise_is_no_signal_of_an_inter_coded_clip() -> None:
    """Each frame's rows read what they read four frames before, as key and predicted frames in turn would."""
    motion = noisy(3, rolling=True)
    again = np.tile(motion.displacement[:4], (15, 1, 1))
    found = judged(replace(motion, displacement=again), key_interval=0.5)
    assert found.verdict is not Verdict.SIGNAL


def test_rows_that_show_next_to_nothing_don_t_drown_the_rest():
    """Some rows' readings are a hundred times as uncertain; in a soundless clip they once decided for `signal`."""
    generator = np.random.default_rng(5)
    frames, rows = 90, 64
    sigma = np.where(np.arange(rows) < 8, 1.0, 0.01)
    times, offsets = np.arange(frames) / 60, np.arange(rows) * 200e-6
    tone = 0.004 * np.sin(2 * np.pi * 317 * (times[:, None] + offsets))
    noise = generator.standard_normal((frames, rows, 2)) * sigma[:, None]
    precision = np.zeros((1, rows, 2, 2), np.float32)
    precision[0, :, 0, 0] = precision[0, :, 1, 1] = sigma**-2
    motion = Motion(
        displacement=(noise + tone[..., None]).astype(np.float32),
        precision=precision,
        observed=np.ones((frames, rows), bool),
        frame_times=times,
        row_offsets=offsets,
        channels=(Channel("x0", (1.0, 0.0), 0), Channel("x1", (1.0, 0.0), 1)),
        frame_rate=60.0,
    )
    grid = motion.onto_grid((1.0, 0.0), start=0.0, rate=5000.0, size=int(5000 * 1.5))
    assert detect(motion, grid).verdict is Verdict.SIGNAL


@pytest.mark.parametrize("stray", [0.0, 0.4])
def test_what_is_found_at_a_lamp_s_frequency_doesn_t_count(stray):
    """Both halves hold the same line at 100 Hz; beside the lamp's frequency it would be a signal."""
    generator = np.random.default_rng(6)
    frames = 1000
    times = np.arange(frames) / 500
    line = 0.02 * np.sin(2 * np.pi * (100 + stray) * times)
    noise = 0.01 * generator.standard_normal((frames, 1, 2))
    motion = Motion(
        displacement=(noise + line[:, None, None]).astype(np.float32),
        precision=np.broadcast_to(np.eye(2, dtype=np.float32) * 1e4, (1, 1, 2, 2)).copy(),
        observed=np.ones((frames, 1), bool),
        frame_times=times,
        row_offsets=np.zeros(1),
        channels=(Channel("x0", (1.0, 0.0), 0), Channel("x1", (1.0, 0.0), 1)),
        frame_rate=500.0,
    )
    grid = motion.onto_grid((1.0, 0.0), start=0.0, rate=500.0, size=frames)
    assert detect(motion, grid).verdict is Verdict.SIGNAL
    assert detect(motion, grid, lamp_lines=(100.0,)).verdict is Verdict.NO_SIGNAL
    assert detect(motion, grid, lamp_lines=(70.0,)).verdict is Verdict.SIGNAL
