"""The controls: shuffled frames hold nothing, an injected tone is measured as injected, power grows with the tone."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from vmforensics.controls import InjectedFrames, Tone, course_of, gain_of, power_of, shuffled
from vmforensics.data import Evidence, Motion, Region, SensorFrames, Shutter, Signal, Verdict
from vmforensics.detection import FALSE_ALARM_RATE, detect
from vmforensics.plugins import Registry
from vmforensics.recovery.controlling import control
from vmforensics.testing import Camera, simulate, write_clip
from vmforensics.testing.sound import silence, tone

ROLLING = Camera(160, 120, 60, 90, noise=(1.0, 0.0), shutter=Shutter(line_delay=120e-6))
GLOBAL = Camera(96, 80, 1000, 400, noise=(1.0, 0.0))


@lru_cache
def measured(camera: Camera, sound: str, rms: float) -> tuple[SensorFrames, Motion, Signal]:
    """A small clip, its motion, and the motion averaged into a signal."""
    clip = simulate(camera, scene="camera", sound=tone(310.0) if sound == "tone" else silence(), rms_px=rms)
    frames = clip.sensor_frames()
    name = "row-motion" if camera.shutter.is_rolling else "gradient"
    motion: Motion = Registry().create("motion_estimator", name).estimate(frames)  # type: ignore[attr-defined]
    rate = 2000.0 if camera.shutter.is_rolling else camera.fps
    start = float(motion.instants.min())
    size = int(np.ptp(motion.instants) * rate) + 1
    return frames, motion, motion.onto_grid((1.0, 0.0), start=start, rate=rate, size=size)


@pytest.mark.parametrize("camera", [ROLLING, GLOBAL], ids=["rolling", "global"])
def test_a_tone_is_gone_from_shuffled_frames(camera):
    _, motion, signal = measured(camera, "tone", 0.03)
    assert detect(motion, signal).verdict is Verdict.SIGNAL
    mixed = shuffled(motion.steadied()[0])
    assert detect(mixed, signal).verdict is Verdict.NO_SIGNAL
    halves = [k for k, channel in enumerate(mixed.channels) if channel.half == 0]
    np.testing.assert_array_equal(mixed.displacement[..., halves], motion.steadied()[0].displacement[..., halves])


def test_no_frame_stays_in_its_place():
    _, motion, _ = measured(GLOBAL, "silence", 0.0)
    second = [k for k, channel in enumerate(motion.channels) if channel.half == 1]
    before, after = motion.displacement[..., second], shuffled(motion).displacement[..., second]
    assert not np.any(np.all(before == after, axis=(1, 2)))
    np.testing.assert_allclose(np.sort(before, axis=0), np.sort(after, axis=0))


def test_shuffling_keeps_to_frames_of_which_the_same_rows_were_seen():
    _, motion, _ = measured(ROLLING, "silence", 0.0)
    observed = motion.observed.copy()
    observed[::3, :40] = False
    gappy = replace(motion, observed=observed, displacement=np.where(observed[..., None], motion.displacement, 0))
    mixed = shuffled(gappy)
    assert np.count_nonzero(mixed.displacement[::3, :40]) == 0
    assert np.count_nonzero(mixed.displacement) == np.count_nonzero(gappy.displacement)


@pytest.mark.parametrize("sound", ["silence", "tone"])
@pytest.mark.parametrize("camera", [ROLLING, GLOBAL], ids=["rolling", "global"])
def test_an_injected_tone_is_measured_as_injected(camera, sound):
    frames, motion, _ = measured(camera, sound, 0.03)
    injected = Tone.suited(camera.fps, 450.0, 0.02, (1.0, 0.0))
    shown = InjectedFrames(frames.stream, frames.clock, frames.shutter, frames.region, None, injected)
    name = "row-motion" if camera.shutter.is_rolling else "gradient"
    gain = gain_of(motion, Registry().create("motion_estimator", name).estimate(shown), injected)  # type: ignore[attr-defined]
    assert gain is not None
    assert gain.value == pytest.approx(1.0, abs=0.02)
    assert gain.uncertainty < 0.02


def test_the_usual_estimator_of_a_global_shutter_has_its_gain_told_from_a_part_of_the_clip():
    """Its channels' responses depend on the frames, and a part of them has slightly other ones."""
    frames, _, _ = measured(GLOBAL, "silence", 0.0)
    estimator = Registry().create("motion_estimator", "local-phase")
    injected = Tone(130.0, 0.02)
    clock = replace(frames.clock, times=frames.clock.times[:150])
    shown = InjectedFrames(frames.stream, clock, frames.shutter, frames.region, None, injected)
    gain = gain_of(estimator.estimate(frames), estimator.estimate(shown), injected)  # type: ignore[attr-defined]
    assert gain is not None
    assert gain.value == pytest.approx(1.0, abs=0.05)


def test_the_gain_of_an_estimator_that_halves_motion_is_a_half():
    _, motion, _ = measured(GLOBAL, "silence", 0.0)
    wave = Tone(130.0, 0.02)
    added = wave.at(motion.instants)[..., None] * (motion.response @ np.array([1.0, 0.0]))
    louder = replace(motion, displacement=(motion.displacement + 0.5 * added).astype(np.float32))
    gain = gain_of(motion, louder, wave)
    assert gain is not None
    assert gain.value == pytest.approx(0.5, abs=1e-3)


def test_a_tone_keeps_away_from_the_notches():
    for fps in (24.0, 25.0, 30.0, 59.94, 60.0, 120.0):
        share = Tone.suited(fps, 4000.0, 0.02, (1.0, 0.0)).frequency / fps % 1
        assert 0.3 < share < 0.7


@pytest.mark.parametrize("camera", [ROLLING, GLOBAL], ids=["rolling", "global"])
def test_power_grows_from_chance_to_certainty(camera):
    _, motion, signal = measured(camera, "silence", 0.0)
    curve = power_of(motion, signal, Tone(322.0, 0.02), 1.0, false_alarm_rate=FALSE_ALARM_RATE)
    assert curve is not None
    assert curve.probability[0] <= 0.1
    assert curve.probability[-1] == 1.0
    assert curve.limit is not None
    assert curve.displacement[0] < curve.limit < curve.displacement[-1]


def test_the_repeated_noise_of_a_codec_is_no_power(tmp_path):
    """It agrees with itself frames later; a tone far below it would seem to be found."""
    clip = simulate(replace(ROLLING, noise=(1.0, 0.01)), scene="natural", sound=silence())
    path = write_clip(clip, tmp_path / "clip.mkv", codec="libx264", quality=20, b_frames=0)
    stream = Registry().create("frame_source", "video").open(Evidence(path))  # type: ignore[attr-defined]
    frames = SensorFrames(stream, clip.clock, ROLLING.shutter)
    motion = Registry().create("motion_estimator", "row-motion").estimate(frames)  # type: ignore[attr-defined]
    start = float(motion.instants.min())
    signal = motion.onto_grid((1.0, 0.0), start=start, rate=2000.0, size=int(np.ptp(motion.instants) * 2000) + 1)
    curve = power_of(motion, signal, Tone(322.0, 0.02), 1.0, false_alarm_rate=FALSE_ALARM_RATE, key_interval=1.5)
    assert curve is not None
    assert curve.probability[0] <= 0.1
    assert curve.probability[-1] == 1.0


def test_a_loud_clip_has_the_detection_limit_of_a_silent_one():
    limits = []
    for sound in ("silence", "tone"):
        _, motion, signal = measured(ROLLING, sound, 0.03 if sound == "tone" else 0.0)
        curve = power_of(motion, signal, Tone(322.0, 0.02), 1.0, false_alarm_rate=FALSE_ALARM_RATE)
        assert curve is not None
        assert curve.limit is not None
        limits.append(curve.limit)
    assert limits[1] == pytest.approx(limits[0], rel=0.5)


@pytest.mark.parametrize("camera", [ROLLING, GLOBAL], ids=["rolling", "global"])
def test_the_course_stays_below_its_threshold_in_silence_and_above_in_a_tone(camera):
    _, motion, signal = measured(camera, "silence", 0.0)
    quiet = course_of(motion, signal, None)
    _, motion, signal = measured(camera, "tone", 0.03)
    loud = course_of(motion, signal, (300.0, 320.0))
    if quiet is not None:  # the clip may be too short for windows
        assert np.mean(quiet.statistic > quiet.threshold) < 0.2
    if loud is not None:
        assert np.all(loud.statistic > loud.threshold)
    assert camera is GLOBAL or loud is not None


def test_no_tone_is_put_into_pixels_that_weren_t_read():
    frames, motion, signal = measured(GLOBAL, "silence", 0.0)
    estimator = Registry().create("motion_estimator", "gradient")

    def carried_out(decoded: bool):
        read = replace(motion, decoded=decoded)
        found = detect(read, signal)
        return control(frames, read, signal, found, estimator.estimate, lambda _: signal, key_interval=0.0)  # type: ignore[attr-defined]

    assert carried_out(decoded=True).gain is not None
    controls = carried_out(decoded=False)
    assert controls.gain is None
    assert controls.power is not None
    assert any("read from what the codec decided" in reason for reason in controls.untold)


def test_what_the_run_left_out_is_left_out_of_the_still_region_too():
    whole, _, signal = measured(GLOBAL, "silence", 0.0)
    frames = replace(whole, region=Region(0, 0, 48, 80))
    estimator = Registry().create("motion_estimator", "gradient")
    motion = estimator.estimate(frames).without(np.array([5, 6, 200]))  # type: ignore[attr-defined]
    seen = []

    def combine(measured):
        seen.append(measured)
        return signal

    found = detect(motion, signal)
    controls = control(frames, motion, signal, found, estimator.estimate, combine, key_interval=0.0)  # type: ignore[attr-defined]
    assert controls.still_kind == "still region"
    assert np.flatnonzero(~seen[0].observed[:, 0]).tolist() == [5, 6, 200]
