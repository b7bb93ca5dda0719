"""The calibration run: evidence → frames → row time by each method → calibration.json and calibration.png."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import numpy as np

from vmforensics.calibration.summary import judge, summarise
from vmforensics.custody import (
    EvidenceDigest,
    Ledger,
    RunFolder,
    WatchedStream,
    array_digest,
)
from vmforensics.data import (
    Clock,
    Evidence,
    FrameStream,
    ReadoutDirection,
    Region,
    RowTime,
    SensorFrames,
    Shutter,
    TimingVerdict,
)
from vmforensics.errors import TimingError
from vmforensics.plugins import Registry
from vmforensics.recovery import guard
from vmforensics.recovery.examination import Examination
from vmforensics.recovery.opening import exhibit_at, open_watched
from vmforensics.recovery.outcome import Outcome
from vmforensics.recovery.plan import describe_implementation, source_for
from vmforensics.recovery.record import folder_for, saying_where, setting
from vmforensics.recovery.summary import describe_clock, to_json
from vmforensics.recovery.watch import Unwatched, Watcher
from vmforensics.stages import FrameSource, RowTimeCalibrator
from vmforensics.timing import judge_clock

USUAL_METHODS: tuple[str, ...] = ("telemetry", "mains-flicker", "camera-motion", "tonal-sound")
"""The calibrators that are tried where none is named, in this order."""

_COSTLY = ("camera-motion", "tonal-sound")
_GOOD_ENOUGH = 0.003
"""Relative uncertainty of a row time beyond which the usual methods don't go on to the costly ones."""


def calibrate_clip(
    clip: str | Path,
    out: str | Path | None = None,
    *,
    methods: Sequence[str] | None = None,
    params: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    readout_direction: ReadoutDirection = ReadoutDirection.TOP_TO_BOTTOM,
    capture_fps: float | None = None,
    region: Region | None = None,
    registry: Registry | None = None,
    watcher: Watcher | None = None,
) -> Outcome:
    """Find the row time of the camera that took a clip or a picture.

    Parameters
    ----------
    clip
        A video file, a folder of pictures, or a single picture.
    out
        The run folder; by default the next number under `casefiles/CLIP/calibrations/` in the working folder.
    methods
        Names of the calibrators; `USUAL_METHODS` if None.
    params
        Their parameters, by the calibrator's name.
    readout_direction
        The assumed way of the readout: along rows or columns; which of the two ways, a calibrator may find otherwise.
    capture_fps : float or None, Hz
        Frame rate as filmed, where the container's isn't true.
    region
        Rectangle of the coded picture; the whole if None.
    registry
        The stages to choose from; those installed if None.
    watcher
        Told of the progress.

    Raises
    ------
    VmforensicsError
        What went wrong; a run that had begun leaves a ledger that says so. That no row time can be told isn't an error.
    """
    registry, watcher = registry or Registry(), watcher or Unwatched()
    evidence = exhibit_at(clip)
    source = source_for(evidence.path, registry)
    chosen = tuple(USUAL_METHODS if methods is None else methods)
    calibrators = [
        cast(RowTimeCalibrator, registry.create("row_time_calibrator", name, dict(params.get(name, {}))))
        for name in dict.fromkeys(chosen)
    ]
    folder = folder_for(evidence, out, "calibrations")
    asked = {"methods": list(chosen), "readout_direction": readout_direction.value, "capture_fps": capture_fps}
    with folder.record(calibration=asked, **setting(registry)) as ledger, saying_where(ledger):
        run = _Run(evidence, folder, ledger, watcher, registry)
        examination = Examination(evidence, ledger, watcher)
        before = examination.before()
        stream, clock = run.open(source, capture_fps)
        frames = SensorFrames(stream, clock, Shutter(direction=readout_direction), region)
        found = run.calibrate(calibrators, frames, skip_costly=methods is None)
        examination.after(before)
        result = run.publish(before, frames, found)
    return Outcome(folder.path, result, ledger.head)


class _Run:
    """The steps of one calibration, each bracketed in the ledger."""

    def __init__(
        self, evidence: Evidence, folder: RunFolder, ledger: Ledger, watcher: Watcher, registry: Registry
    ) -> None:
        self._evidence = evidence
        self._folder = folder
        self._ledger = ledger
        self._watcher = watcher
        self._registry = registry

    def open(self, source: FrameSource, capture_fps: float | None) -> tuple[WatchedStream, Clock]:
        """Open the evidence as frames and judge its clock."""
        implementation = self._implementation(source)
        with self._ledger.step(source.kind, implementation=implementation) as record:
            stream = open_watched(source, self._evidence, implementation, self._watcher)
            record["facts"] = dict(stream.facts)
            record["frames"] = stream.frame_count
        with self._ledger.step("judge clock") as record:
            clock = _clock_of(stream, capture_fps)
            record["clock"] = describe_clock(clock)
            self._watcher.say(f"clock: {clock.verdict.value}, {clock.rate:.6g} frames/s ({clock.basis})")
        return stream, clock

    def calibrate(
        self, calibrators: Sequence[RowTimeCalibrator], frames: SensorFrames, *, skip_costly: bool
    ) -> list[tuple[dict[str, Any], RowTime]]:
        """Run every calibrator; with the usual ones, the costly one only where none of the others knows enough."""
        found: list[tuple[dict[str, Any], RowTime]] = []
        for calibrator in calibrators:
            known = min((r.relative_uncertainty or np.inf for _, r in found if not r.prior), default=np.inf)
            if skip_costly and calibrator.name in _COSTLY and known <= _GOOD_ENOUGH:
                continue
            self._watcher.say(f"trying {calibrator.name}")
            implementation = self._implementation(calibrator)
            with self._ledger.step(calibrator.kind, implementation=implementation) as record:
                before = {item.name for item in self._folder.path.iterdir()}
                row_time = guard.call(implementation, partial(calibrator.calibrate, frames, self._evidence), RowTime)
                guard.check_folder(implementation, before, {item.name for item in self._folder.path.iterdir()})
                record["row_time_s"], record["row_time_uncertainty_s"] = row_time.value, row_time.uncertainty
                record["reason"], record["prior"] = row_time.reason, row_time.prior
                if row_time.fit is not None:
                    fit = row_time.fit
                    record["output_sha256"] = array_digest(fit.rows, fit.measured, fit.fitted)
            found.append((implementation, row_time))
        return found

    def publish(
        self, evidence: EvidenceDigest, frames: SensorFrames, found: Sequence[tuple[dict[str, Any], RowTime]]
    ) -> dict[str, Any]:
        """Write the plot and calibration.json."""
        from vmforensics.calibration.plot import draw

        with self._ledger.step("summarise") as record:
            verdict = judge([row_time for _, row_time in found])
            record["verdict"], record["reason"] = verdict.word, verdict.reason
            picture = draw(verdict, [row_time for _, row_time in found], self._evidence.path.name)
            files = self._folder.write("calibration.png", picture)
            self._ledger.published(files)
            result = summarise(verdict, found, self._evidence, evidence, frames, files)
            self._ledger.published(self._folder.write("calibration.json", to_json(result)))
        return result

    def _implementation(self, stage: FrameSource | RowTimeCalibrator) -> dict[str, Any]:
        return describe_implementation(stage, self._registry.find(stage.kind, stage.name))


def _clock_of(stream: FrameStream, capture_fps: float | None) -> Clock:
    """The clip's clock; a single picture without a rate has one that no method may rely on."""
    try:
        return judge_clock(
            stream.stamps,
            resolution=stream.stamp_resolution,
            declared_rate=stream.declared_rate,
            capture_fps=capture_fps,
        )
    except TimingError:
        if stream.frame_count > 1 or capture_fps is not None:
            raise
        basis = "a single picture has no frame rate; 1 Hz stands in, and nothing rests on it"
        return Clock(np.zeros(1), 1.0, TimingVerdict.EXACT, basis)
