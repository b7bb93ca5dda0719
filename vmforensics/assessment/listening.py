"""Whether anything vibrates in some parts of the picture, as far as a few frames of it tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import cast

from vmforensics.assessment.kept import MOST_BYTES, Kept
from vmforensics.case import USUAL_STAGES, ShutterKind
from vmforensics.custody import WatchedStream
from vmforensics.data import Clock, FrameStream, Motion, Region, SensorFrames, Shutter, Signal, Verdict
from vmforensics.detection import FALSE_ALARM_RATE, detect
from vmforensics.errors import VmforensicsError
from vmforensics.kinds import find_made_up
from vmforensics.plugins import Registry
from vmforensics.recovery import guard
from vmforensics.recovery.controlling import combined_apart
from vmforensics.recovery.inspect import InspectedStream
from vmforensics.recovery.journey import dead_zone, key_interval, lines_of_lamps
from vmforensics.recovery.plan import describe_implementation
from vmforensics.recovery.stretch import Stretch
from vmforensics.repeats import find_repeats, without_repeats
from vmforensics.stages import MotionEstimator, SignalCombiner

_PLAIN = "row-average"
"""Combiner of a rolling shutter's rows where only their agreement is asked for."""

_MOST_FRAMES = 4000


@dataclass(frozen=True, slots=True)
class Heard:
    """What the two halves of a region's pixels say.

    Parameters
    ----------
    verdict : str
        "signal", "no-signal" or "undetermined".
    p_value : float or None
        Of all regions that were asked together; None where nothing could be told.
    band : (float, float) or None, Hz
        Where the common motion is; None where there is none, or its rows' times aren't known.
    reason : str
    """

    verdict: str
    p_value: float | None
    band: tuple[float, float] | None
    reason: str

    @classmethod
    def untold(cls, reason: str) -> Heard:
        """Where nothing could be told."""
        return cls(Verdict.UNDETERMINED.value, None, None, reason)

    def of_several(self, count: int) -> Heard:
        """What is left of it where so many regions were asked (Bonferroni's correction)."""
        if self.p_value is None:
            return self
        p_value = min(1.0, self.p_value * count)
        if self.verdict == Verdict.SIGNAL.value and p_value > FALSE_ALARM_RATE:
            return Heard(Verdict.NO_SIGNAL.value, p_value, None, f"no more than one of {count} regions shows by chance")
        return replace(self, p_value=p_value)


@dataclass(frozen=True, slots=True)
class Listener:
    """Asks one part of a clip's beginning after another whether its pixels share a motion.

    Parameters
    ----------
    stream : WatchedStream
        The beginning, as much of it as may be kept in memory.
    clock : Clock
        Of as many frames.
    shutter : Shutter
    registry : Registry
        The stages to choose from.
    """

    stream: WatchedStream
    clock: Clock
    shutter: Shutter
    registry: Registry

    @classmethod
    def at(cls, stream: FrameStream, clock: Clock, shutter: Shutter, registry: Registry) -> Listener:
        """A listener to the first frames of a stream."""
        size = stream.height * stream.width * (1 if stream.full_scale < 256 else 2)
        first = Stretch(stream, min(_MOST_FRAMES, max(1, MOST_BYTES // size)))
        times = clock.times[: first.frame_count]
        return cls(WatchedStream(Kept(first)), replace(clock, times=times), shutter, registry)

    def listen(self, regions: Iterable[Region], progress: Callable[[int, int], None]) -> list[Heard]:
        """Ask each region; p-values count that there are several.

        Parameters
        ----------
        regions
            Of the stored picture.
        progress
            Told how many of how many are done.
        """
        every = list(regions)
        found = []
        for number, region in enumerate(every):
            progress(number, len(every))
            found.append(self._asked(region).of_several(len(every)))
        return found

    def _asked(self, region: Region) -> Heard:
        try:
            return self._heard(region)
        except VmforensicsError as error:  # too little texture, too much motion
            return Heard.untold(error.message)

    def _heard(self, region: Region) -> Heard:
        kind = ShutterKind.ROLLING if self.shutter.is_rolling else ShutterKind.GLOBAL
        usual = USUAL_STAGES[kind]
        estimator = cast(MotionEstimator, self.registry.create("motion_estimator", usual["motion_estimator"][0]))
        combining = _PLAIN if self.shutter.is_rolling else usual["signal_combiner"][0]
        combiner = cast(SignalCombiner, self.registry.create("signal_combiner", combining))
        estimated, combined = (
            describe_implementation(stage, self.registry.find(stage.kind, stage.name))
            for stage in (estimator, combiner)
        )
        seen = InspectedStream(self.stream, self.shutter, region)
        frames = SensorFrames(seen, self.clock, self.shutter, region)
        motion = guard.call(estimated, lambda: estimator.estimate(frames), Motion)
        motion = without_repeats(motion, find_repeats(seen.index, seen.change, seen.exact, seen.types, seen.frozen))
        motion = motion.without(find_made_up(motion, seen.index, seen.types).frames)

        def combine(measured: Motion) -> Signal:
            return guard.call(combined, lambda: combiner.combine(measured), Signal)

        found = detect(
            motion,
            combine(motion),
            chosen=combined_apart(motion, combine) if combiner.selects else None,
            key_interval=key_interval(seen, motion.frame_rate),
            dead_zone=dead_zone(seen),
            lamp_lines=lines_of_lamps(frames),
        )
        return Heard(found.verdict.value, found.p_value, found.band, found.reason)
