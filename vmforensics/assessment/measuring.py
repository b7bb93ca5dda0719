"""What one way of recovery shows on a clip: its motion estimator run on a few frames, or on a part of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, cast

import numpy as np

from vmforensics.assessment.budget import Method
from vmforensics.assessment.candidates import Strip, widest_strip
from vmforensics.assessment.codec_bound import CodecBound, codec_bound
from vmforensics.assessment.floor import floor_of
from vmforensics.assessment.kept import MOST_BYTES, Kept
from vmforensics.assessment.texture import Texture
from vmforensics.case import USUAL_STAGES, ShutterKind
from vmforensics.custody import Ledger, WatchedStream
from vmforensics.data import Clock, Motion, Region, RowTime, SensorFrames, Shutter
from vmforensics.errors import RegionError, TooFewFrames, Unsuitable
from vmforensics.kinds import find_made_up
from vmforensics.light import judge_exposure, judge_lamp
from vmforensics.plugins import Registry
from vmforensics.readout import judge_readout
from vmforensics.recovery import guard
from vmforensics.recovery.inspect import InspectedStream
from vmforensics.recovery.plan import describe_implementation
from vmforensics.recovery.stretch import Stretch
from vmforensics.recovery.watch import Watcher
from vmforensics.repeats import Repeats, find_repeats, without_repeats
from vmforensics.stages import MotionEstimator

_READOUT = 0.9  # share of a frame's time that a readout is taken to last where it isn't known; only noise rests on it


@dataclass(frozen=True, slots=True)
class Effort:
    """How much of a clip a method is run on.

    Parameters
    ----------
    pixels : int
        In all frames together, if that leaves enough of them.
    frames : int
        At least; of a larger picture a strip is taken.
    """

    pixels: int
    frames: int

    @property
    def largest(self) -> int:
        """Pixels of the largest picture that is taken whole."""
        return self.pixels // self.frames


_AT_REST: Mapping[ShutterKind, Effort] = MappingProxyType(
    {ShutterKind.ROLLING: Effort(24_000_000, 24), ShutterKind.GLOBAL: Effort(64_000_000, 64)}
)
_FOLLOWED = Effort(4_000_000, 16)
"""Of a rolling shutter's picture that moves: following it row by row takes a hundred times as long."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What is known of a clip before any method is run on it.

    Parameters
    ----------
    stream : InspectedStream
        The stretch that was looked at.
    clock : Clock
        Of the stretch.
    region : Region
        That is looked at, of the stored picture.
    exposure : float or None, s
    row_time : RowTime or None
    texture : Texture
    """

    stream: InspectedStream
    clock: Clock
    region: Region
    exposure: float | None
    row_time: RowTime | None
    texture: Texture

    @property
    def timed(self) -> bool:
        """Whether the row time is known."""
        return self.row_time is not None and bool(self.row_time.value)

    @property
    def line_delay(self) -> float:
        """Row time (s), or what it may be."""
        return (self.row_time and self.row_time.value) or _READOUT / self.clock.rate / self.stream.height

    def shutter(self, kind: ShutterKind) -> Shutter:
        """A shutter of a kind."""
        return Shutter(line_delay=self.line_delay if kind is ShutterKind.ROLLING else 0.0, exposure=self.exposure)


def measure(sight: Sight, kind: ShutterKind, registry: Registry, ledger: Ledger, watcher: Watcher) -> Method:
    """Run a shutter's usual motion estimator, and see what noise it shows.

    Parameters
    ----------
    sight
        The clip.
    kind
        The shutter.
    registry
        The stages to choose from.
    ledger, watcher
        Told of what is done.
    """
    name = USUAL_STAGES[kind]["motion_estimator"][0]
    estimator = cast(MotionEstimator, registry.create("motion_estimator", name))
    implementation = describe_implementation(estimator, registry.find(estimator.kind, name))
    rolling = kind is ShutterKind.ROLLING
    effort = _FOLLOWED if rolling and sight.texture.moved else _AT_REST[kind]
    strip = widest_strip(sight.texture, effort.largest)
    region = _placed(strip, sight.region) if strip else sight.region
    count = min(effort.pixels // (region.width * region.height), MOST_BYTES // _frame_bytes(sight))
    clock, stream = _shortened(sight, max(effort.frames, count), kind, watcher)
    upper = 0.5 / sight.line_delay if rolling else clock.rate / 2
    motion, floor, bound, repeats, refusal, count = None, None, None, None, "", len(clock.times)
    with ledger.step(estimator.kind, implementation=implementation, shutter=kind.value) as record:
        try:
            seen = InspectedStream(stream, sight.shutter(kind), region)
            frames = SensorFrames(seen, clock, sight.shutter(kind), region)
            motion = guard.call(implementation, lambda: estimator.estimate(frames), Motion)
        except (Unsuitable, RegionError, TooFewFrames) as error:
            refusal = error.message
        else:
            repeats = _repeats(seen)
            motion = without_repeats(motion, repeats)
            motion = motion.without(find_made_up(motion, seen.index, seen.types).frames)
            floor = floor_of(motion, lowest=min(80.0, upper / 4), highest=1000.0)
            if floor is not None and strip is not None:
                floor = floor.of_more(strip.row_share if rolling else strip.share)
            if repeats.still:
                motion = replace(motion, doubt=f"all {count} frames measured are the same to the bit: one picture")
                floor = floor and replace(floor, excess=None, seen=None)  # they show no noise; others may
            refusal = _refusal(motion, sight) if rolling else ""
            record["repeated_frames"] = repeats.frames.tolist()
            record["noise_density_px_per_rthz"] = floor.density if floor else None
        record["frames"], record["region"] = count, [region.x, region.y, region.width, region.height]
        record["refusal"], record["doubt"] = refusal or None, (motion and motion.doubt) or None
    if not sight.texture.moved:
        bound = _bound(sight, stream, rolling=rolling)
    return Method(
        shutter=kind.value,
        estimator=name,
        floor=floor,
        refusal=refusal,
        doubt=motion.doubt if motion else "",
        upper=min(upper, 4000.0) if rolling else upper,
        gain=motion.codec_gain if motion else None,
        exposure=sight.exposure,
        duty=sight.line_delay * sight.region.height * clock.rate if rolling and sight.timed else None,
        samples_per_second=clock.rate * (sight.region.height if rolling else 1),
        frames=count,
        repeated=len(repeats.frames) if repeats else 0,
        part=(region.x, region.y, region.width, region.height) if strip else None,
        bound=bound,
        chose=motion.method if motion else "",
    )


def _repeats(seen: InspectedStream) -> Repeats:
    """Which frames repeat the one before: they show nothing of their own instant."""
    return find_repeats(seen.index, seen.change, seen.exact, seen.types, seen.frozen)


def _placed(strip: Strip, region: Region) -> Region:
    """A strip of the region looked at, as a rectangle of the stored picture."""
    r = strip.region
    return Region(r.x + region.x, r.y + region.y, r.width, r.height)


def _frame_bytes(sight: Sight) -> int:
    """Memory that a frame takes."""
    return sight.stream.height * sight.stream.width * (1 if sight.stream.full_scale < 256 else 2)


def _shortened(sight: Sight, count: int, kind: ShutterKind, watcher: Watcher) -> tuple[Clock, WatchedStream]:
    """The first frames, kept in memory, for an estimator reads them several times."""

    def progress(done: int, total: int, number: int) -> None:
        watcher.progress(f"noise, {kind.value} shutter, pass {number}", done, total, "frames")

    stream = Stretch(sight.stream, count)
    return replace(sight.clock, times=sight.clock.times[: stream.frame_count]), WatchedStream(Kept(stream), progress)


def _bound(sight: Sight, stream: WatchedStream, *, rolling: bool) -> CodecBound:
    """What the codec's quantisers left."""
    texture = sight.texture
    return codec_bound(
        stream,
        texture.picture,
        sight.region,
        shown=float(np.sqrt(texture.noise.variance(texture.picture).mean())),
        line_delay=sight.line_delay if rolling else 0.0,
        frame_rate=sight.clock.rate,
    )


def _refusal(motion: Motion, sight: Sight) -> str:
    """Why rows' instants mean nothing; "" where they may."""
    stream, row_time = sight.stream, sight.row_time
    if refused := judge_exposure(sight.exposure).refusal:
        return refused
    if len(stream.index):
        offsets = sight.shutter(ShutterKind.ROLLING).row_offsets(sight.region.height, sight.region.y)
        instants = sight.clock.times[stream.index, None] + offsets[stream.bands]
        if refused := judge_lamp(stream.light, instants, sight.exposure).refusal:
            return refused
    readout = judge_readout(motion, predicted=cast(Any, stream).facts.get("inter_coded") is True)
    if row_time is not None and row_time.determinate and readout.verdict.value == "contradicted":
        return readout.reason
    if readout.pace is not None and readout.uncertainty is not None and _together(readout.pace, readout.uncertainty):
        return readout.reason
    return ""


def _together(pace: float, uncertainty: float) -> bool:
    """Whether the rows were exposed together, by the picture's own motion."""
    return abs(pace) < 4 * uncertainty and uncertainty < 0.1
