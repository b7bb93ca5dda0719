"""The row time at which the camera's own motion runs on evenly while the rows are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

import numpy as np
from pydantic import Field

from vmforensics.data import Evidence, FrameBlock, FrameStream, Region, RowTime, RowTimeFit, SensorFrames, Shutter
from vmforensics.errors import RegionError, TooFewFrames, Unsuitable
from vmforensics.numerics.pace import Pace, pace_of
from vmforensics.stages import RowTimeCalibrator, StageParams
from vmforensics_rolling_shutter.calibration.readout import travelling

_FIRST = 0.2  # of the frame's time: the readout tried first, not far off in either direction
_ROUNDS = 6
_SETTLED = 0.005  # deviation of the pace from 1 up to which a trial is right but for what is measured
_TOGETHER = 0.1  # pace below which rows count as exposed together
_FLOOR = 0.005  # relative uncertainty: rows don't show one motion in quite the same way
_LARGEST = 0.05  # relative uncertainty beyond which the row time isn't told
_ROUGHLY = 0.25  # relative uncertainty up to which a trial shows where the next one lies
_RESTS = "the picture rests, or its rows move in other ways than a camera's motion"
_COLS = 512  # px of a row that are enough


class CameraMotionParams(StageParams):
    """Parameters of `camera-motion`."""

    frames: int = Field(default=180, ge=60, le=3600, description="frames that are used, from the first on")


class CameraMotion(RowTimeCalibrator):
    """Compares the motion within frames with the motion from frame to frame of a camera held by hand.

    While the rows are read the picture moves on, by its velocity times the time that the readout takes. Row motion is
    measured with a trial row time, and compared with what the path from frame to frame asks for; the trial is changed
    until both agree. The direction of the readout comes out as well. A picture that rests tells nothing.
    """

    name: ClassVar[str] = "camera-motion"
    summary: ClassVar[str] = "row time from the skew that a hand-held camera's own motion gives each frame"
    reference: ClassVar[str] = (
        "Meingast, Geyer & Sastry 2005, arXiv:cs/0503076 (motion during readout); Oth, Furgale, Kneip & Siegwart 2013, "
        "doi:10.1109/CVPR.2013.179 (line delay from a moving camera)"
    )
    Params: ClassVar[type[StageParams]] = CameraMotionParams

    def calibrate(self, frames: SensorFrames, evidence: Evidence) -> RowTime:  # noqa: ARG002 the frames say it all
        """Measure the row motion with one trial row time after another."""
        from vmforensics_rolling_shutter.motion.row_motion import RowMotion

        view = _part(frames, self.params.frames)
        last = view.first_row + view.rows
        limit = 1.02 / (view.clock.rate * last)
        trial, direction = _FIRST / (view.clock.rate * last), frames.shutter.direction
        for _ in range(_ROUNDS):
            shutter = replace(Shutter(line_delay=trial), exposure=frames.shutter.exposure, direction=direction)
            try:
                motion = RowMotion().estimate(replace(view, shutter=shutter))
            except (RegionError, TooFewFrames, Unsuitable) as error:
                return RowTime(self.name, f"the rows' motion can't be measured: {error.message}")
            pace = pace_of(motion)
            if isinstance(pace, str):
                return RowTime(self.name, pace)
            if not pace.uncertainty < _ROUGHLY * max(abs(pace.value), 1.0):
                return RowTime(self.name, _RESTS)
            if abs(pace.value) < _TOGETHER:
                return RowTime(self.name, "the rows were exposed together, or run along the picture's other axis")
            if abs(pace.value - 1) < max(_SETTLED, pace.uncertainty):
                return self._answer(trial, pace, shutter) if pace.uncertainty < _LARGEST else RowTime(self.name, _RESTS)
            if pace.value < 0:
                direction = travelling(direction, backwards=True)
            trial = min(trial * abs(pace.value), limit)
        return RowTime(self.name, "no row time makes the motion within frames agree with that from frame to frame")

    def _answer(self, trial: float, pace: Pace, shutter: Shutter) -> RowTime:
        value = trial * pace.value
        relative = float(np.hypot(pace.uncertainty, _FLOOR))
        order = np.argsort(pace.expected)
        return RowTime(
            self.name,
            "the picture moves on during readout as its motion from frame to frame asks for",
            value=value,
            uncertainty=relative * value,
            direction=shutter.direction,
            fit=RowTimeFit(
                rows=pace.expected[order],
                measured=pace.found[order],
                fitted=pace.value * pace.expected[order],
                quantity="motion within a frame, over what the path asks for (weighted px)",
            ),
        )


def _part(frames: SensorFrames, count: int) -> SensorFrames:
    """The first frames of a clip, and the middle of their rows."""
    area, along_columns = frames.rectangle, frames.shutter.direction.along_columns
    size = min(frames.cols, _COLS)
    lead = (frames.cols - size) // 2
    region = (
        Region(area.x, area.y + lead, area.width, size)
        if along_columns
        else Region(area.x + lead, area.y, size, area.height)
    )
    clock = replace(frames.clock, times=frames.clock.times[:count])
    return replace(frames, stream=_FirstFrames(frames.stream, count), clock=clock, region=region)


class _FirstFrames(FrameStream):
    """The first frames of a stream."""

    def __init__(self, stream: FrameStream, count: int) -> None:
        self._stream = stream
        self.height, self.width, self.full_scale = stream.height, stream.width, stream.full_scale
        self.stamps = stream.stamps[:count]
        self.stamp_resolution, self.declared_rate = stream.stamp_resolution, stream.declared_rate
        self.facts, self.complaints = stream.facts, stream.complaints

    def blocks(self) -> Iterator[FrameBlock]:
        count = self.frame_count
        for block in self._stream.blocks():
            own = int(np.searchsorted(block.index, count))
            if own:
                yield FrameBlock(block.index[:own], block.luma[:own], block.frame_types[:own])
            if own < len(block.index):
                return
