"""Row motion while a hand turns the camera, and while something passes in front of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vmforensics.data import Motion, Shutter, Verdict
from vmforensics.detection import detect
from vmforensics.errors import Unsuitable
from vmforensics.numerics.mean_template import MeanTemplate
from vmforensics.testing import Camera, Flicker, Occluder, Simulation, simulate
from vmforensics_rolling_shutter.gap.row_average import RowAverage
from vmforensics_rolling_shutter.motion import drifting
from vmforensics_rolling_shutter.motion.registered import Canvas
from vmforensics_rolling_shutter.motion.row_motion import RowMotion
from vmforensics_rolling_shutter.motion.tracking import track
from vmforensics_rolling_shutter.motion.turn_meter import TurnMeter
from vmforensics_rolling_shutter.motion.turned import canvas_around

PASSING = Occluder(20, 40, 0.1, 0.45)


def clip(sound: str = "tone:311", *, scene: str = "natural", rms_px: float = 0.03, **more: Any) -> Simulation:
    shutter = Shutter(line_delay=13.4e-3 / 104, exposure=1e-4)
    camera = Camera(width=176, height=104, fps=60, frames=36, noise=(1.0, 0.01), shutter=shutter)
    rms_px = 0.0 if sound == "silence" else rms_px
    return simulate(camera, scene=scene, sound=sound, rms_px=rms_px, direction=30.0, **{"seed": 5, **more})


def measure(simulation: Simulation) -> Motion:
    return RowMotion().estimate(simulation.sensor_frames())


def gain_and_precision(motion: Motion, simulation: Simulation) -> tuple[float, float]:
    """Gain of the sound, and what the rows know of it by their actual errors."""
    found, information = motion.along(simulation.truth.axis)
    truth = simulation.truth.displacement
    gain = float(np.sum(information * truth * found) / np.sum(information * truth**2))
    error = np.sum((found - truth) ** 2 * information) / np.count_nonzero(information)
    return gain, float(information.sum() / error)


@pytest.mark.parametrize(
    ("shaking", "dearest", "words"),
    [
        ({"handheld": 10.0, "roll": 2.0}, 3.0, ["turns by 2°"]),
        ({"roll": 0.04}, 3.0, []),  # small enough to be taken out of the rows
        ({"occluder": PASSING}, 5.5, ["something covers"]),  # a fifth of so small a picture while it passes
        (
            {"handheld": 6.0, "roll": 1.0, "occluder": PASSING},
            5.5,
            ["something passes in front", "turns by 1°", "something covers"],
        ),
    ],
    ids=["turned", "leaning", "occluded", "both"],
)
def test_it_costs_little_and_is_told(shaking: dict[str, Any], dearest: float, words: list[str]) -> None:
    precision = []
    for more in ({}, shaking):
        simulation = clip(**more)
        motion = measure(simulation)
        gain, known = gain_and_precision(motion, simulation)
        assert gain == pytest.approx(1, abs=0.03)
        assert ("passes in front of a picture that moves" in motion.doubt) == (len(more) > 2)
        precision.append(known)
    assert 10 * np.log10(precision[0] / precision[1]) < dearest
    assert len(motion.warnings) == len(words)
    assert all(word in warning for word, warning in zip(words, motion.warnings, strict=True))
    assert detect(motion, RowAverage().combine(motion)).verdict is (
        Verdict.UNDETERMINED if motion.doubt else Verdict.SIGNAL
    )
    if motion.path is not None:
        error = motion.path - simulation.truth.drift.mean(axis=1)
        assert np.abs(error - error.mean(axis=0)).max() < 0.15


@pytest.mark.parametrize(
    ("scene", "shaking"),
    [("print", {"handheld": 6.0, "roll": 1.5}), ("camera", {"roll": 0.05}), ("edges", {"occluder": PASSING})],
)
def test_silence_stays_silent(scene: str, shaking: dict[str, Any]) -> None:
    motion = measure(clip("silence", scene=scene, **shaking))
    assert detect(motion, RowAverage().combine(motion)).verdict is not Verdict.SIGNAL


def test_frames_that_are_not_found_do_not_widen_the_scene(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between others, their places are guesses."""
    shaken = clip(handheld=10.0, roll=1.0)
    shaken.frames[12:17] = 0
    canvases = []

    def noted(*shape_and_places: Any) -> Canvas:
        canvases.append(canvas_around(*shape_and_places))
        return canvases[-1]

    monkeypatch.setattr(drifting, "canvas_around", noted)
    motion = measure(shaken)
    assert not motion.observed[12:17].any()
    assert motion.observed[:12].any()
    assert canvases
    assert all(canvas.rows < 104 + 40 and canvas.cols < 176 + 40 for canvas in canvases)


def test_rows_that_stray_far_from_their_frames_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    corrected = drifting._corrected

    def astray(*given: Any) -> tuple[Any, Any]:
        path, places = corrected(*given)
        return path, np.add(places, [400.0, 0.0, 0.0])

    monkeypatch.setattr(drifting, "_corrected", astray)
    with pytest.raises(Unsuitable, match=r"can't be followed: its rows seem to stand up to [34]\d\d px"):
        measure(clip(handheld=6.0, roll=1.0))


def test_what_hides_the_picture_makes_a_gap() -> None:
    motion = measure(clip(occluder=Occluder(170, 104, 0.1, 0.3)))
    hidden = np.flatnonzero(~motion.observed.any(axis=1))
    assert len(hidden) >= 4
    assert hidden.min() >= 6
    assert hidden.max() <= 18
    assert any(f"hides the picture in {len(hidden)} frames" in warning for warning in motion.warnings)


@pytest.mark.parametrize(("predicted", "doubted"), [(True, True), (False, False)])
def test_what_passes_a_predicted_picture_leaves_it_in_doubt(predicted: bool, doubted: bool) -> None:
    frames = clip("silence", occluder=PASSING).sensor_frames()
    frames.stream.facts = {**frames.stream.facts, "inter_coded": predicted}
    motion = RowMotion().estimate(frames)
    assert any("something covers" in warning for warning in motion.warnings)
    assert ("whose frames were predicted from one another" in motion.doubt) is doubted


def test_a_loud_sound_is_no_turn() -> None:
    """301 Hz at 60 frames/s leans every frame a little otherwise, once a second: only columns tell a turn."""
    loud = clip("tone:301", rms_px=0.1)
    assert measure(loud).path is None
    assert np.std(TurnMeter.build(MeanTemplate.measure(loud.sensor_frames())).read(loud.frames)) * 88 < 5e-3


def test_flickering_light_is_nothing_that_passes() -> None:
    motion = measure(clip(flicker=Flicker(100, 0.2)))
    assert motion.path is None
    assert not any("covers" in warning for warning in motion.warnings)


def test_the_turn_is_tracked_and_metered() -> None:
    turned = clip("silence", handheld=6.0, roll=2.0)
    true = turned.truth.turn[:, 52]
    found = track(turned.sensor_frames())[:, 2]
    assert found - found.mean() == pytest.approx(true - true.mean(), abs=1e-3)
    leaning = clip("silence", roll=0.1)
    true = leaning.truth.turn.mean(axis=1)
    found = TurnMeter.build(MeanTemplate.measure(leaning.sensor_frames())).read(leaning.frames)
    assert found.shape == (len(true), 2)
    for half in found.T:
        assert half - half.mean() == pytest.approx(true - true.mean(), abs=2e-4)
