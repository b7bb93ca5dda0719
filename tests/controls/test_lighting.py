"""A light that flickers on a part of the picture is no sound, and hides none."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from partly_lit import PartlyLitCamera, Screen

from vmforensics.controls import Lighting
from vmforensics.data import Detection, Motion, SensorFrames, Shutter, Signal, Verdict
from vmforensics.detection import detect
from vmforensics.plugins import Registry
from vmforensics.recovery.controlling import control, heeded
from vmforensics.testing import Camera, Flicker, simulate

GLOBAL: dict[str, Any] = {"width": 128, "height": 96, "fps": 500, "frames": 400}
ROLLING: dict[str, Any] = {
    "width": 160, "height": 200, "fps": 60, "frames": 100, "shutter": Shutter(line_delay=60e-6), "screen": True,
}  # fmt: skip
LAMP, FILM = Flicker(frequency=83.1, depth=0.2), Screen(frequency=60.0, depth=0.2)
CLIPS: dict[str, tuple[PartlyLitCamera, str, Flicker, str]] = {
    "spot, gradient": (PartlyLitCamera(**GLOBAL, screen=False), "gradient", LAMP, "brick"),
    "screen, gradient": (PartlyLitCamera(**GLOBAL, screen=True), "gradient", LAMP, "text"),
    "film, local phase": (PartlyLitCamera(**GLOBAL, screen=True), "local-phase", FILM, "text"),
    "lamp, rows": (PartlyLitCamera(**ROLLING), "row-motion", LAMP, "brick"),
    "film, rows": (PartlyLitCamera(**ROLLING), "row-motion", replace(FILM, depth=0.05), "brick"),
}


@lru_cache
def measured(name: str, sound: str, rms: float, *, lit: bool) -> tuple[SensorFrames, Motion, Signal]:
    """A small clip, its motion, and the motion averaged into a signal."""
    camera, estimator, flicker, scene = CLIPS[name]
    clip = simulate(camera, scene=scene, sound=sound, rms_px=rms, flicker=flicker if lit else None)
    frames = clip.sensor_frames()
    motion: Motion = Registry().create("motion_estimator", estimator).estimate(frames)  # type: ignore[attr-defined]
    rate = 2000.0 if camera.shutter.is_rolling else camera.fps
    start = float(motion.instants.min())
    axis = motion.steadied()[0].principal_axis()
    return frames, motion, motion.onto_grid(axis, start=start, rate=rate, size=int(np.ptp(motion.instants) * rate) + 1)


def judged(name: str, sound: str, rms: float, *, lit: bool) -> tuple[Detection, Detection]:
    """The verdict on a clip as it is, and on what is left without the light."""
    frames, motion, signal = measured(name, sound, rms, lit=lit)
    return detect(motion, signal), detect(Lighting.of(frames).without(motion), signal)


@pytest.mark.parametrize("name", CLIPS)
def test_a_light_on_a_part_of_the_picture_is_no_sound(name: str) -> None:
    _, unlit = judged(name, "silence", 0.0, lit=True)
    assert unlit.verdict is Verdict.NO_SIGNAL


def test_without_the_control_it_would_be_taken_for_one() -> None:
    assert any(judged(name, "silence", 0.0, lit=True)[0].verdict is Verdict.SIGNAL for name in CLIPS)


@pytest.mark.parametrize("lit", [False, True], ids=["steady", "flickering"])
@pytest.mark.parametrize("name", ["screen, gradient", "film, local phase", "lamp, rows"])
@pytest.mark.parametrize("rms", [0.03, 0.2])
def test_a_sound_stays(name: str, rms: float, lit: bool) -> None:
    _, unlit = judged(name, "tone:190", rms, lit=lit)
    assert unlit.verdict is Verdict.SIGNAL
    assert unlit.band is not None
    assert unlit.band[0] <= 190 <= unlit.band[1]


def test_a_picture_that_swings_far_is_no_light() -> None:
    """A picture that swings by pixels changes the brightness of its tiles as well, and isn't a lamp."""
    camera, _, _, _ = CLIPS["spot, gradient"]
    plain = Camera(camera.width, camera.height, camera.fps, camera.frames)
    clip = simulate(plain, scene="text", sound="tone:60", rms_px=1.5)
    frames = clip.sensor_frames()
    motion: Motion = Registry().create("motion_estimator", "gradient").estimate(frames)  # type: ignore[attr-defined]
    rest = Lighting.of(frames).without(motion)
    assert rest.displacement.std() == pytest.approx(motion.displacement.std(), rel=0.05)


def test_what_light_explains_is_gone_and_nothing_else() -> None:
    """Rows that were never seen stay unseen, and a motion without anything to do with the light keeps its size."""
    frames, motion, _ = measured("lamp, rows", "silence", 0.0, lit=True)
    observed = motion.observed.copy()
    observed[::5, 30:50] = False
    gappy = replace(motion, observed=observed, displacement=np.where(observed[..., None], motion.displacement, 0))
    rest = Lighting.of(frames).without(gappy)
    assert np.count_nonzero(rest.displacement[~observed]) == 0
    steady = measured("lamp, rows", "silence", 0.0, lit=False)
    kept = Lighting.of(steady[0]).without(steady[1]).displacement
    assert kept.std() == pytest.approx(steady[1].displacement.std(), rel=0.1)


@pytest.mark.parametrize(
    ("before", "after", "verdict"), [(1e-12, 1e-3, False), (1e-12, 1e-8, True), (5e-3, 8e-3, True)]
)
def test_what_the_light_carried_most_of_is_no_signal(before: float, after: float, verdict: bool) -> None:
    frames, motion, signal = measured("screen, gradient", "tone:190", 0.03, lit=True)
    found = replace(detect(motion, signal), verdict=Verdict.SIGNAL, p_value=before)
    controls = control(frames, motion, signal, found, lambda _: motion, lambda _: signal, key_interval=0.0)
    assert controls.unlit is not None
    left = replace(controls.unlit, found=replace(found, p_value=after))
    judged = heeded(found, replace(controls, unlit=left))
    assert judged.verdict is (Verdict.SIGNAL if verdict else Verdict.UNDETERMINED)


@pytest.mark.parametrize(("sound", "verdict"), [("silence", Verdict.UNDETERMINED), ("tone:190", Verdict.SIGNAL)])
def test_the_verdict_heeds_the_light(sound: str, verdict: Verdict) -> None:
    name = "screen, gradient"
    frames, motion, signal = measured(name, sound, 0.03 if sound != "silence" else 0.0, lit=True)
    found = replace(detect(motion, signal), verdict=Verdict.SIGNAL)
    controls = control(
        frames,
        motion,
        signal,
        found,
        lambda _: motion,
        lambda _: signal,
        key_interval=0.0,
    )
    judged = heeded(found, controls)
    assert judged.verdict is verdict
    assert controls.described()["light"]["verdict"] == ("signal" if sound != "silence" else "no-signal")
    assert 0.01 < controls.described()["light"]["relative_change_rms"] < 0.5
    if verdict is Verdict.UNDETERMINED:
        assert "brightness of parts of the picture" in judged.reason
