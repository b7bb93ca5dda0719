"""A run's controls: the same chain on a still region, on shuffled frames, without the light, on an injected tone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vmforensics.controls import (
    Course,
    Gain,
    InjectedFrames,
    Lighting,
    PowerCurve,
    Tone,
    course_of,
    gain_of,
    power_of,
    shuffled,
)
from vmforensics.data import DISPLACEMENT, Clock, Detection, Motion, Region, SensorFrames, Signal, Verdict
from vmforensics.detection import FALSE_ALARM_RATE, detect
from vmforensics.errors import VmforensicsError

_INJECTED_PIXELS, _LEAST_INJECTED = 60_000_000, 48
"""How much footage a tone is put into: a second of 1080p, all of a small clip."""

_INJECTED_RMS = 0.02  # px
_ORDERS = 5  # of shuffled frames, where the first finds something
_LEAST_WIDTH, _LEAST_HEIGHT = 48, 32  # px, of a still region

Estimate = Callable[[SensorFrames], Motion]
Combine = Callable[[Motion], Signal]
Choose = Callable[[Motion], tuple[Signal, Signal] | None]


@dataclass(frozen=True, slots=True, eq=False)
class Unlit:
    """What is left of a signal without what goes with the light in parts of the picture.

    Parameters
    ----------
    found : Detection
        The verdict on the rest.
    depth : float
        RMS change of the light, relative, in the part where it changes most.
    """

    found: Detection
    depth: float


@dataclass(frozen=True, slots=True, eq=False)
class Controls:
    """What the controls showed.

    Parameters
    ----------
    still : Detection
        The verdict where there is nothing to find.
    still_kind : str
        "still region" or "shuffled frames".
    still_region : Region or None
        Which region; None of shuffled frames.
    still_rms : float, px
        RMS of the signal combined from it.
    shuffled : Detection
        The verdict on shuffled frames.
    unlit : Unlit or None
        What is left without the light; None where there was no signal to begin with.
    tone : Tone or None
        What was injected; None where it couldn't be.
    gain : Gain or None
        How much of it was measured.
    power : PowerCurve or None
        How small a tone would be found.
    course : Course or None
        When the halves agreed.
    untold : tuple of str
        Why a control is missing.
    """

    still: Detection
    still_kind: str
    still_region: Region | None
    still_rms: float
    shuffled: Detection
    unlit: Unlit | None
    tone: Tone | None
    gain: Gain | None
    power: PowerCurve | None
    course: Course | None
    untold: tuple[str, ...]

    def described(self) -> dict[str, Any]:
        """For result.json."""
        r = self.still_region
        return {
            "still": {
                "kind": self.still_kind,
                "region": [r.x, r.y, r.width, r.height] if r else None,
                "verdict": self.still.verdict.value,
                "p_value": self.still.p_value,
                "reason": self.still.reason,
                "rms_px": self.still_rms,
            },
            "shuffled": {
                "verdict": self.shuffled.verdict.value,
                "p_value": self.shuffled.p_value,
                "reason": self.shuffled.reason,
            },
            "light": {
                "verdict": self.unlit.found.verdict.value,
                "p_value": self.unlit.found.p_value,
                "reason": self.unlit.found.reason,
                "relative_change_rms": self.unlit.depth,
            }
            if self.unlit
            else None,
            "injection": {
                "frequency_hz": self.tone.frequency,
                "displacement_px": self.tone.rms,
                "gain": self.gain.value if self.gain else None,
                "gain_uncertainty": self.gain.uncertainty if self.gain else None,
                "detection_limit_px": self.power.limit if self.power else None,
                "power_curve": [list(p) for p in zip(self.power.displacement, self.power.probability, strict=True)]
                if self.power
                else [],
                "trials": self.power.trials if self.power else 0,
            }
            if self.tone
            else None,
            "untold": list(self.untold),
        }

    def described_course(self) -> dict[str, Any] | None:
        """The detection over time, for result.json."""
        course = self.course
        if course is None:
            return None
        return {
            "times_s": course.times.tolist(),
            "statistic": course.statistic.tolist(),
            "threshold": course.threshold,
            "band_hz": list(course.band),
            "window_s": course.window,
            "meaning": "correlation of the two halves of the pixels in a window, in standard deviations of what "
            "independent halves show; one soundless window in a hundred exceeds the threshold",
        }


def control(
    frames: SensorFrames,
    motion: Motion,
    signal: Signal,
    found: Detection,
    estimate: Estimate,
    combine: Combine,
    *,
    key_interval: float,
    dead_zone: float = 0.0,
    lamp_lines: Sequence[float] = (),
    choose: Choose = lambda _: None,
) -> Controls:
    """Carry out all controls of a run.

    Parameters
    ----------
    frames
        What the motion was measured on.
    motion, signal, found
        The run's motion, combined signal and verdict.
    estimate, combine
        The run's motion estimator and combiner.
    key_interval : float, s
    dead_zone : float, px
    lamp_lines : sequence of float, Hz
        As for `detect`.
    choose
        What a combiner that selects channels makes of either half alone, as `detect` takes it.
    """
    steady = replace(motion.steadied()[0], doubt="", path=None)
    chance = _by_chance(
        steady,
        lambda mixed: detect(mixed, signal, chosen=choose(mixed), key_interval=key_interval, lamp_lines=lamp_lines),
    )
    untold: list[str] = []
    still, kind, place, rms = chance, "shuffled frames", None, _rms_of(shuffled(steady), signal)
    region = _still_region(frames)
    if region is not None:
        try:
            gaps = np.flatnonzero(~motion.observed.any(axis=1))  # repeated frames, those that the codec made up
            elsewhere = estimate(replace(frames, region=region, mask=None)).without(gaps)
            its_signal = combine(elsewhere)
            still = detect(
                elsewhere, its_signal, chosen=choose(elsewhere), key_interval=key_interval, lamp_lines=lamp_lines
            )
            kind, place, rms = "still region", region, float(np.sqrt(np.mean(its_signal.samples**2)))
        except VmforensicsError as error:
            untold.append(f"the still region {region.x},{region.y},{region.width},{region.height}: {error.message}")
    unlit = None
    if found.verdict is Verdict.SIGNAL and motion.quantity == DISPLACEMENT:
        light = Lighting.of(frames)
        rest = light.without(motion)
        left = detect(rest, signal, chosen=choose(rest), key_interval=key_interval, lamp_lines=lamp_lines)
        unlit = Unlit(left, light.depth)
    tone, gain, power = None, None, None
    if motion.quantity == DISPLACEMENT and not motion.doubt:
        upper = 0.45 * (signal.rate if motion.observed.shape[1] > 1 else motion.frame_rate)
        tone = Tone.suited(motion.frame_rate, upper, _INJECTED_RMS, signal.axis)
        if motion.decoded:
            try:
                gain = gain_of(motion, estimate(_injected(frames, tone)), tone)
                if gain is None:
                    untold.append("the injected tone: nothing shows along its axis, or rows were read in another way")
            except VmforensicsError as error:
                untold.append(f"the injected tone: {error.message}")
        else:
            untold.append(
                "the injected tone: the motion was read from what the codec decided, and none ever coded the tone"
            )
        power = power_of(
            motion,
            signal,
            tone,
            gain.value if gain else 1.0,
            false_alarm_rate=FALSE_ALARM_RATE,
            key_interval=key_interval,
            dead_zone=dead_zone,
        )
    course = course_of(motion, signal, found.band)
    return Controls(still, kind, place, rms, chance, unlit, tone, gain, power, course, tuple(untold))


def combined_apart(motion: Motion, combine: Combine) -> tuple[Signal, Signal] | None:
    """What a combiner that selects channels makes of either half alone; None where there are no halves to compare."""
    halves = [motion.steadied()[0].half(k) for k in (0, 1)] if not motion.doubt else []
    if not halves or not all(half.channels for half in halves):
        return None
    first, second = (combine(half) for half in halves)
    return first, second


def _by_chance(steady: Motion, test: Callable[[Motion], Detection]) -> Detection:
    """What a test finds in shuffled frames; the median of several orders where it finds something in the first.

    What every frame repeats agrees in any order. Frames of a loud tone may do so in one, for they are few, and many
    frequencies are tested in them that aren't independent.
    """
    found = test(shuffled(steady))
    if found.verdict is not Verdict.SIGNAL:
        return found
    every = [found, *(test(shuffled(steady, seed)) for seed in range(1, _ORDERS))]
    return sorted(every, key=lambda each: 1.0 if each.p_value is None else each.p_value)[_ORDERS // 2]


def heeded(found: Detection, controls: Controls) -> Detection:
    """The verdict in the light of the controls.

    None where the shuffled frames feign a signal too, or where nothing is left without what goes with the light in
    parts of the picture, or less than half of the evidence (of the p-value's logarithm); else the verdict on what is
    left.
    """
    if found.verdict is not Verdict.SIGNAL:
        return found
    if controls.shuffled.verdict is Verdict.SIGNAL:
        return _withdrawn(
            found,
            "the two halves of the region agree, but so they do with their frames shuffled against each other: what is "
            "found is repeated in every frame, and is no sound",
        )
    if controls.unlit is None:
        return found
    left = controls.unlit.found
    if left.verdict is not Verdict.NO_SIGNAL and not _carried_by_light(found, left):
        return left
    return _withdrawn(
        found,
        "the two halves of the region agree, but hardly when what goes with the brightness of parts of the picture "
        f"(up to {100 * controls.unlit.depth:.2g} % RMS) is taken out: a lamp or a screen that flickers there would "
        "show so, and sound can't be told from it",
    )


def _carried_by_light(found: Detection, left: Detection) -> bool:
    """Whether what goes with the light made up most of the evidence: then its rest doesn't stand for itself."""
    return bool(found.p_value and left.p_value and left.p_value**2 > found.p_value)


def _withdrawn(found: Detection, reason: str) -> Detection:
    return replace(found, verdict=Verdict.UNDETERMINED, band=None, reason=reason)


def _rms_of(motion: Motion, signal: Signal) -> float:
    """RMS (px) of a motion averaged on a signal's time line, along its axis."""
    grid = motion.onto_grid(signal.axis, start=signal.start, rate=signal.rate, size=len(signal.samples))
    return float(np.sqrt(np.mean(grid.samples[grid.observed] ** 2))) if grid.observed.any() else 0.0


def _injected(frames: SensorFrames, tone: Tone) -> InjectedFrames:
    """The first frames of the clip, with a tone in them."""
    count = min(frames.frame_count, max(_LEAST_INJECTED, _INJECTED_PIXELS // (frames.rows * frames.cols)))
    clock: Clock = replace(frames.clock, times=frames.clock.times[:count])
    return InjectedFrames(frames.stream, clock, frames.shutter, frames.region, frames.mask, tone)


def _still_region(frames: SensorFrames) -> Region | None:
    """The largest rectangle of the picture beside the region that was looked at; None where it leaves no room.

    With a rolling shutter it shares the region's sensor rows, so that the rows' instants are the same.
    """
    r, width, height = frames.rectangle, frames.stream.width, frames.stream.height
    left, right = Region(0, r.y, r.x, r.height), Region(r.x + r.width, r.y, width - r.x - r.width, r.height)
    above, below = Region(r.x, 0, r.width, r.y), Region(r.x, r.y + r.height, r.width, height - r.y - r.height)
    beside = [left, right, above, below]
    if frames.shutter.is_rolling:
        beside = [above, below] if frames.shutter.direction.along_columns else [left, right]
    roomy = [b for b in beside if b.width >= _LEAST_WIDTH and b.height >= _LEAST_HEIGHT]
    return max(roomy, key=lambda b: b.width * b.height, default=None)
