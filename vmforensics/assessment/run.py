"""The assessment run: evidence → a stretch of frames → texture, row time, noise of each method → verdict and map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from vmforensics.assessment import heat_map
from vmforensics.assessment.budget import Method
from vmforensics.assessment.candidates import Candidate, best_region, candidates
from vmforensics.assessment.listening import Heard, Listener
from vmforensics.assessment.measuring import Sight, measure
from vmforensics.assessment.summary import suggested_case, summarise
from vmforensics.assessment.texture import Texture
from vmforensics.assessment.verdict import Judgement, Suitability, judge
from vmforensics.case import ShutterKind, dump_case
from vmforensics.custody import EvidenceDigest, Ledger, RunFolder, WatchedStream, array_digest
from vmforensics.data import Clock, Evidence, FrameStream, Region, RowTime, SensorFrames, Shutter
from vmforensics.errors import TimingError
from vmforensics.plugins import Registry
from vmforensics.recovery import guard
from vmforensics.recovery.examination import Examination
from vmforensics.recovery.inspect import InspectedStream
from vmforensics.recovery.opening import clock_on_record, exhibit_at, open_watched
from vmforensics.recovery.outcome import Outcome
from vmforensics.recovery.plan import describe_implementation, source_for
from vmforensics.recovery.record import folder_for, saying_where, setting
from vmforensics.recovery.summary import to_json
from vmforensics.recovery.watch import Unwatched, Watcher
from vmforensics.shots import cuts_of, intruders_of
from vmforensics.stages import FrameSource, RowTimeCalibrator, Stage

_PIXELS = 200_000_000
"""What is looked at: all 2200 frames of a second at 240 × 180, 22 s of 640 × 480 at 30 frames/s, and no less than 120
frames of larger pictures."""

_PASSES = {1: "detail and noise", 2: "flicker of lamps"}

_ORDINARY, _HIGH_SPEED = 100.0, 400.0
"""Frames/s; slower footage is hardly ever from a global shutter, faster footage hardly ever from a rolling one."""

_HIGH_SPEED_CAMERAS = frozenset({"Phantom Cine", "Photron MRAW"})  # whose sensors have global shutters

_LARGEST_READOUT = 1.02
"""Of a frame's time, that its readout or exposure may last as stated."""

_CALIBRATORS = ("telemetry", "mains-flicker")


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What the user knows of the recording beforehand; nothing has to be known.

    Parameters
    ----------
    shutter : str or None
        "rolling" or "global"; None: whichever the clip may be.
    row_time : float or None, s
    row_time_uncertainty : float or None, s
    exposure : float or None, s
    capture_fps : float or None, Hz
        Frame rate as filmed, where the container's isn't true.
    region : Region or None
        Where to look; the whole picture if None.
    """

    shutter: str | None = None
    row_time: float | None = None
    row_time_uncertainty: float | None = None
    exposure: float | None = None
    capture_fps: float | None = None
    region: Region | None = None


def assess_clip(
    clip: str | Path,
    out: str | Path | None = None,
    *,
    known: Knowledge | None = None,
    count: int = 5,
    listening: bool = False,
    registry: Registry | None = None,
    watcher: Watcher | None = None,
) -> Outcome:
    """Say whether sound can be recovered from a clip, how faint, and where in the picture to look.

    The first seconds are read, the detail of the picture and its noise are measured tile by tile, and the usual motion
    estimators are run to see what noise they show on this very footage.

    Parameters
    ----------
    clip
        A video file, or a folder of pictures.
    out
        The run folder; by default the next number under `casefiles/CLIP/assessments/` in the working folder.
    known
        What is known of the recording.
    count
        How many candidate regions to name, beside the best one.
    listening
        Whether to ask each candidate if its pixels share a motion.
    registry
        The stages to choose from; those installed if None.
    watcher
        Told of the progress.

    Raises
    ------
    VmforensicsError
        What went wrong; a run that had begun leaves a ledger that says so. That a clip isn't suitable is no error.
    """
    registry, watcher, known = registry or Registry(), watcher or Unwatched(), known or Knowledge()
    evidence = exhibit_at(clip)
    source = source_for(evidence.path, registry)
    folder = folder_for(evidence, out, "assessments")
    region = known.region
    asked = {
        "shutter": known.shutter,
        "row_time_s": known.row_time,
        "row_time_uncertainty_s": known.row_time_uncertainty,
        "exposure_s": known.exposure,
        "capture_fps": known.capture_fps,
        "region": [region.x, region.y, region.width, region.height] if region else None,
    }
    with folder.record(assessment=asked, **setting(registry)) as ledger, saying_where(ledger):
        run = _Run(evidence, folder, ledger, watcher, registry, known)
        examination = Examination(evidence, ledger, watcher)
        before = examination.before()
        stream, clock = run.open(source)
        seen, texture = run.look(stream, clock)
        row_time = run.find_row_time(stream, clock)
        methods = run.measure(seen, clock, row_time, texture)
        listed = candidates(texture, count)
        heard = run.listen(seen, clock, row_time, texture, listed) if listening else []
        examination.after(before)
        cuts = [int(seen.index[k]) for k in cuts_of(seen.change, seen.light, stream.full_scale)]
        result = run.publish(before, stream, clock, texture, row_time, methods, listed, heard, cuts)
    return Outcome(folder.path, result, ledger.head)


class _Run:
    """The steps of one assessment, each bracketed in the ledger."""

    def __init__(
        self,
        evidence: Evidence,
        folder: RunFolder,
        ledger: Ledger,
        watcher: Watcher,
        registry: Registry,
        known: Knowledge,
    ) -> None:
        self._evidence = evidence
        self._folder = folder
        self._ledger = ledger
        self._watcher = watcher
        self._registry = registry
        self._known = known
        self._whole = 0.0
        self._intruders: list[int] = []

    def open(self, source: FrameSource) -> tuple[WatchedStream, Clock]:
        """Open the first seconds of the evidence as frames, and judge the clock of all of it."""
        implementation = self._implementation(source)
        with self._ledger.step(source.kind, implementation=implementation) as record:
            stream = open_watched(
                source, self._evidence, implementation, self._watcher, passes=_PASSES, most_pixels=_PIXELS
            )
            whole = cast(Any, stream).whole
            record["facts"] = dict(stream.facts)
            record["frames"], record["frames_looked_at"] = len(whole), stream.frame_count
        clock = clock_on_record(stream, self._ledger, self._watcher, stamps=whole, capture_fps=self._known.capture_fps)
        self._whole = float(clock.times[-1]) + 1 / clock.rate
        self._check_known(clock, stream.height)
        return stream, replace(clock, times=clock.times[: stream.frame_count])

    def _check_known(self, clock: Clock, rows: int) -> None:
        """Refuse a row time or exposure that can't be.

        Raises
        ------
        TimingError
            It doesn't fit into a frame's time.
        """
        for what, seconds in (
            ("a readout", (self._known.row_time or 0.0) * rows),
            ("an exposure", self._known.exposure or 0.0),
        ):
            if seconds > _LARGEST_READOUT / clock.rate:
                raise TimingError(
                    f"{what} of {seconds * 1e3:.2f} ms doesn't fit into a frame of {1e3 / clock.rate:.2f} ms",
                    hint="it, or the frame rate, is wrong; the row time is the readout divided by the rows",
                )

    def look(self, stream: WatchedStream, clock: Clock) -> tuple[InspectedStream, Texture]:
        """Measure the picture's detail and noise, and notice what the frames tell of lamps."""
        with self._ledger.step("look at texture and noise") as record:
            region = self._region(stream)
            seen = InspectedStream(stream, Shutter(), region)
            texture = Texture.of(SensorFrames(seen, clock, region=region))
            intruders = intruders_of(seen.change, seen.light, stream.full_scale)
            record["intruders"] = self._intruders = [int(seen.index[k]) for k in intruders]
            if intruders:
                seen.keep(~np.isin(np.arange(len(seen.index)), intruders))
                texture = Texture.of(SensorFrames(seen, clock, region=region))
            record["noise_dn2"] = {"a": texture.noise.a, "b": texture.noise.b}
            record["output_sha256"] = array_digest(texture.information)
        return seen, texture

    def _region(self, stream: FrameStream) -> Region:
        return self._known.region or Region(0, 0, stream.width, stream.height)

    def find_row_time(self, stream: WatchedStream, clock: Clock) -> RowTime | None:
        """The row time as stated, or as the file or the lamps tell it; None for high-speed footage."""
        known = self._known
        if known.row_time:
            return RowTime("stated", "stated by the user", known.row_time, known.row_time_uncertainty or known.row_time)
        if known.shutter == "global" or clock.rate > _HIGH_SPEED:
            return None
        found: list[RowTime] = []
        for name in _CALIBRATORS:
            if name not in {registered.stage.name for registered in self._registry.stages("row_time_calibrator")}:
                continue
            calibrator = cast(RowTimeCalibrator, self._registry.create("row_time_calibrator", name))
            implementation = self._implementation(calibrator)
            with self._ledger.step(calibrator.kind, implementation=implementation) as record:
                frames = SensorFrames(stream, clock, Shutter(), known.region)
                work = partial(calibrator.calibrate, frames, self._evidence)
                row_time = guard.call(implementation, work, RowTime)
                record["row_time_s"], record["row_time_uncertainty_s"] = row_time.value, row_time.uncertainty
                record["reason"] = row_time.reason
            found.append(row_time)
        measured = [r for r in found if r.determinate and not r.prior]
        if measured:
            return min(measured, key=lambda r: r.relative_uncertainty or np.inf)
        if found and all(r.value is None for r in found):
            reasons = [found[0].reason, *(f"{r.method}: {r.reason}" for r in found[1:])]
            return RowTime(found[0].method, "; ".join(reasons))
        return min(found, key=lambda r: r.relative_uncertainty or np.inf, default=None)

    def measure(
        self, stream: InspectedStream, clock: Clock, row_time: RowTime | None, texture: Texture
    ) -> list[Method]:
        """Measure the noise of each method that the clip may allow."""
        sight = Sight(stream, clock, self._region(stream), self._known.exposure, row_time, texture)
        return [
            measure(sight, ShutterKind(kind), self._registry, self._ledger, self._watcher)
            for kind in self._shutters(stream, clock)
        ]

    def listen(
        self,
        stream: InspectedStream,
        clock: Clock,
        row_time: RowTime | None,
        texture: Texture,
        listed: Sequence[Candidate],
    ) -> list[Heard]:
        """Ask each candidate whether its pixels share a motion."""
        kinds = self._shutters(stream, clock)
        sight = Sight(stream, clock, self._region(stream), self._known.exposure, row_time, texture)
        kind = ShutterKind(kinds[0] if sight.timed else kinds[-1])
        with self._ledger.step("listen to candidates", shutter=kind.value) as record:
            if kind is ShutterKind.ROLLING and texture.moved:
                heard = [Heard.untold("the picture moves: only a recovery, which follows it, tells") for _ in listed]
            else:
                listener = Listener.at(stream, clock, sight.shutter(kind), self._registry)
                heard = listener.listen(
                    (self._placed(candidate).region for candidate in listed),
                    lambda done, total: self._watcher.progress("listening", done, total, "regions"),
                )
                if kind is ShutterKind.ROLLING and not sight.timed:  # of rows whose times are made up
                    heard = [replace(each, band=None) for each in heard]
            record["verdicts"] = [each.verdict for each in heard]
        return heard

    def _shutters(self, stream: InspectedStream, clock: Clock) -> list[str]:
        """Which shutters the clip may have, a rolling one first."""
        if self._known.shutter:
            return [self._known.shutter]
        if cast(Any, stream).facts.get("container") in _HIGH_SPEED_CAMERAS:
            return ["global"]
        return ["rolling"] * (clock.rate <= _HIGH_SPEED) + ["global"] * (clock.rate >= _ORDINARY)

    def publish(
        self,
        evidence: EvidenceDigest,
        stream: WatchedStream,
        clock: Clock,
        texture: Texture,
        row_time: RowTime | None,
        methods: Sequence[Method],
        listed: Sequence[Candidate],
        heard: Sequence[Heard],
        cuts: Sequence[int],
    ) -> dict[str, Any]:
        """Write the map, the case and assessment.json."""
        with self._ledger.step("judge") as record:
            judgement = judge(
                methods,
                clock,
                row_time,
                duration=self._whole,
                looked_at=stream.frame_count / clock.rate,
                clipped=texture.clipped,
                predicted=stream.facts.get("inter_coded") is True,
                cuts=cuts,
                intruders=self._intruders,
            )
            record["verdict"], record["reasons"] = judgement.word.value, list(judgement.reasons)
        with self._ledger.step("summarise"):
            seen = best_region(texture)
            best = self._placed(seen) if seen else None
            ranked = [self._placed(candidate) for candidate in listed]
            per_frame = np.sqrt(2 / clock.rate)
            picture = heat_map.draw(
                texture.picture,
                texture.uncertainty * per_frame,
                (texture.tiles.rows, texture.tiles.cols),
                ([("best", seen)] if seen else []) + [(str(k), c) for k, c in enumerate(listed, start=1)],
                title=f"{self._evidence.path.name}: {judgement.word.value}",
                caption=judgement.reasons[0],
                full_scale=stream.full_scale,
            )
            files = self._folder.write("assessment.png", picture)
            self._ledger.published(files)
            case = None
            if judgement.method is not None:
                case = suggested_case(
                    self._evidence, self._known, judgement.method, row_time, best, folder=self._folder.path
                )
            if case is not None:
                written = self._folder.write("case.yaml", dump_case(case, leave_out_defaults=True).encode())
                self._ledger.published(written)
                files = {**files, **written}
            result = summarise(
                judgement,
                methods,
                self._evidence,
                evidence,
                stream,
                clock,
                texture,
                row_time,
                whole_duration=self._whole,
                best=best,
                ranked=ranked,
                heard=heard,
                files=files,
            )
            self._ledger.published(self._folder.write("assessment.json", to_json(result)))
        return result

    def _placed(self, candidate: Candidate) -> Candidate:
        """A candidate of the region looked at, as a rectangle of the whole picture."""
        origin = self._known.region
        if origin is None:
            return candidate
        r = candidate.region
        return replace(candidate, region=Region(r.x + origin.x, r.y + origin.y, r.width, r.height))

    def _implementation(self, stage: Stage) -> dict[str, Any]:
        return describe_implementation(stage, self._registry.find(stage.kind, stage.name))


__all__ = ["Judgement", "Knowledge", "Suitability", "assess_clip"]
