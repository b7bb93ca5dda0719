"""What is asked of a calibrator of the row time."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import cast

from vmforensics.data import Evidence, RowTime
from vmforensics.stages import RowTimeCalibrator
from vmforensics.testing.checks.motion_estimator import clip_of
from vmforensics.testing.checks.stored_frames import StoredFrames
from vmforensics.testing.checks.subject import Subject, check, require, same, use


def _calibrated(subject: Subject, what: str) -> RowTime:
    """The row time of a clip without flicker, light or tone; each is measured once."""

    def work() -> RowTime:
        clip = clip_of(what)
        luma = clip.frames[:1] if what == "tone" else clip.frames  # one picture of it
        stored = StoredFrames(luma.copy(), rate=clip.camera.fps)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "clip.raw"
            path.write_bytes(b"no telemetry")
            row_time = subject.make().calibrate(stored.sensor_frames(), Evidence(path))
            require(path.read_bytes() == b"no telemetry", "it changed the evidence")
        require(isinstance(row_time, RowTime), f"calibrate returned {type(row_time).__name__}")
        require(same(stored.luma, luma), "it changed the frames that it was given")
        return cast(RowTime, row_time)

    return cast(RowTime, subject.remembered(("calibrated", what), work))


@check(RowTimeCalibrator, "makes up no row time")
def _nothing_made_up(subject: Subject) -> None:
    """Of a clip without lamp, tone or motion it measures no row time."""
    for what in ("still", "blank", "tone"):
        row_time = _calibrated(subject, what)
        require(row_time.prior or not row_time.determinate, f"it measured {row_time.value} s where nothing tells")
        require(row_time.method == subject.stage_class.name, f"the answer is signed {row_time.method!r}")


@check(RowTimeCalibrator, "gives the same answer again")
def _same_row_time(subject: Subject) -> None:
    """The same clip gives the same answer."""
    first = _calibrated(subject, "still")
    subject.results.clear()
    require(same(first, _calibrated(subject, "still")), "two calibrations of one clip differ")


@use(RowTimeCalibrator)
def _use(subject: Subject) -> None:
    _calibrated(subject, "still")
