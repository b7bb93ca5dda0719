"""The journey: evidence file → frames → motion → signal → denoised signal → artefacts, under one ledger."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from vmforensics.case import ShutterKind
from vmforensics.custody import (
    EvidenceDigest,
    Ledger,
    RunFolder,
    WatchedStream,
    array_digest,
    shown,
)
from vmforensics.data import Clock, Detection, FrameStream, Motion, Recovery, Region, SensorFrames, Signal, Verdict
from vmforensics.data.codec import LOSSLESS
from vmforensics.detection import detect
from vmforensics.display import describe_turn, region_hint
from vmforensics.errors import OutputError, RegionError, TimingError, Unsuitable
from vmforensics.kinds import find_made_up
from vmforensics.light import Light, judge_exposure, judge_lamp, lamp_lines
from vmforensics.readout import Readout, ReadoutVerdict, judge_readout
from vmforensics.recovery import guard
from vmforensics.recovery.controlling import Controls, combined_apart, control, heeded
from vmforensics.recovery.inspect import InspectedStream
from vmforensics.recovery.opening import clock_on_record, open_watched
from vmforensics.recovery.picture import PICTURE_NAME, describe_picture, draw_picture
from vmforensics.recovery.plan import Plan
from vmforensics.recovery.summary import describe_signal, notches, shutter_warnings, summarise, to_json
from vmforensics.recovery.watch import Watcher
from vmforensics.repeats import find_repeats, without_repeats
from vmforensics.report import render_report
from vmforensics.shots import cuts_of, intruders_of, longest_shot, some_of
from vmforensics.stages import Stage
from vmforensics.vibration import vibrations

_MOST_EARLIER = 1000  # runs whose evidence is looked at
_LARGEST_READOUT = 1.02
"""Readout, as a share of the frame's time, above which row time and frame rate contradict each other."""


_COPIED = 0.02
"""Share of the picture that repeats exactly from frame to frame, from which it was predicted by a codec."""


_MADE_UP = 0.03
"""px RMS; soundless H.265 shows up to 0.01, alike in far parts of the picture, and of as much sound leaves a tenth."""


def key_interval(stream: FrameStream, rate: float) -> float:
    """Mean time between key frames (s) where a lossy codec predicts frames, as the file or the frames say; else 0."""
    if stream.facts.get("inter_coded") is True:
        keys = stream.facts.get("keyframes")
        return stream.frame_count / (keys if isinstance(keys, int) and keys > 0 else 1) / rate
    if isinstance(stream, InspectedStream) and stream.copied > _COPIED:  # such a codec's output, stored anew
        return stream.frame_count / rate
    return 0.0


def dead_zone(stream: FrameStream) -> float:
    """RMS (px) of motion that a predicting codec may make up by itself; 0 for H.264, which tells its quantisers."""
    told = stream.facts.get("inter_coded") is True and stream.facts.get("codec") == "h264"
    return 0.0 if told or not key_interval(stream, 1.0) else _MADE_UP


def lines_of_lamps(frames: SensorFrames) -> tuple[float, ...]:
    """Frequencies (Hz) at which the light flickers, as far as the frames were read."""
    stream = frames.stream
    if not isinstance(stream, InspectedStream) or not len(stream.index):
        return ()
    offsets = frames.row_offsets()[stream.bands] if frames.shutter.is_rolling else np.zeros(stream.light.shape[1])
    return lamp_lines(stream.light, frames.clock.times[stream.index, None] + offsets)


def _plain_halves(motion: Motion, signal: Signal) -> tuple[Signal, Signal] | None:
    """The motion along the signal's axis in either half alone; None where there are no halves."""
    steady = motion.steadied()[0]
    halves = [steady.half(k) for k in (0, 1)]
    if not all(half.channels for half in halves):
        return None
    size = len(signal.samples)
    first, second = (h.onto_grid(signal.axis, start=signal.start, rate=signal.rate, size=size) for h in halves)
    return first, second


class Journey:
    """The steps of one run, each bracketed in the ledger."""

    def __init__(self, plan: Plan, folder: RunFolder, ledger: Ledger, watcher: Watcher) -> None:
        self._plan = plan
        self._folder = folder
        self._ledger = ledger
        self._watcher = watcher
        self._warnings: list[str] = []
        self._readout: Readout | None = None
        self._controls: Controls | None = None
        self._codec_gain: float | None = None
        self._chose: dict[str, str] = {}
        self.assessed: dict[str, Any] | None = None

    @contextmanager
    def _stage(self, stage: Stage) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """A stage's bracket in the ledger: gives its implementation and the entry that will end it."""
        implementation = self._plan.implementation(stage)
        with self._ledger.step(stage.kind, implementation=implementation) as record:
            before = self._names()
            yield implementation, record
            guard.check_folder(implementation, before, self._names())

    def _names(self) -> set[str]:
        return {item.name for item in self._folder.path.iterdir()}

    def compare_with_earlier_runs(self, evidence: EvidenceDigest) -> None:
        """Warn where an earlier run beside this one had other evidence under the same mark."""
        mark = self._plan.evidence.id
        for earlier in sorted(self._folder.path.parent.glob("*/result.json"))[:_MOST_EARLIER]:
            try:
                said = json.loads(earlier.read_bytes())["evidence"]
                other = said["id"] == mark and str(said["sha256"])
            except (OSError, ValueError, KeyError, TypeError):  # no record of ours, or a damaged one
                continue
            if other and other != evidence.sha256:
                self._warn(
                    f"run {earlier.parent.name} had other evidence as exhibit {mark}: SHA-256 {shown(other[:64])}, "
                    f"this one has {evidence.sha256}"
                )
                return

    def open(self) -> tuple[WatchedStream, Clock]:
        """Open the evidence as frames and judge its clock."""
        plan = self._plan
        with self._stage(plan.source) as (implementation, record):
            passes = {1: "reading frames", 2: "measuring motion"}
            stream = open_watched(plan.source, plan.evidence, implementation, self._watcher, passes=passes)
            record["facts"] = dict(stream.facts)
            record["frames"] = stream.frame_count
        clock = clock_on_record(stream, self._ledger, self._watcher, capture_fps=plan.case.camera.capture_fps)
        if turned := describe_turn(stream.facts, stream.height, stream.width):
            self._warn(turned)
        return stream, clock

    def expose(self, stream: WatchedStream, clock: Clock) -> SensorFrames:
        """Give every sensor row its instant."""
        case = self._plan.case
        place = self._plan.place
        region = case.region.to_region() if case.region else Region(0, 0, stream.width, stream.height)
        region = place.to_region() if place else region
        with self._ledger.step("place sensor rows in time") as record:
            shutter = case.camera.to_shutter(stream.height, stream.width)
            try:
                frames = SensorFrames(InspectedStream(stream, shutter, region), clock, shutter, region)
            except RegionError as error:
                hint = region_hint(region, stream.facts, stream.height, stream.width)
                named = f"region {place.name!r}: " if place else ""
                raise RegionError(named + error.message, hint=hint or error.hint) from error
            if place is not None and place.polygon is not None:
                frames = frames.within(place.polygon)
            record["shutter"] = case.camera.model_dump(mode="json") | {"row_time_s": shutter.line_delay or None}
            record["sensor_rows"] = {"first": frames.first_row, "count": frames.rows, "pixels": frames.cols}
            readout = frames.shutter.line_delay * (frames.first_row + frames.rows)
            if readout > _LARGEST_READOUT / clock.rate:
                raise TimingError(
                    f"a readout of {readout * 1e3:.2f} ms doesn't fit into a frame of {1e3 / clock.rate:.2f} ms",
                    hint="the row time or the frame rate is wrong; the row time is the readout divided by the rows",
                )
            exposure = frames.shutter.exposure or 0.0
            if exposure > _LARGEST_READOUT / clock.rate:
                raise TimingError(
                    f"an exposure of {exposure * 1e3:.2f} ms doesn't fit into a frame of {1e3 / clock.rate:.2f} ms",
                    hint="the exposure or the frame rate is wrong",
                )
            if shutter.is_rolling:
                self._heed(judge_exposure(shutter.exposure))
        for warning in shutter_warnings(frames):
            self._warn(warning)
        return frames

    def estimate(self, frames: SensorFrames) -> Motion:
        """Measure the motion."""
        plan = self._plan
        with self._stage(plan.estimator) as (implementation, record):

            def measured() -> Motion:
                motion: Motion = guard.call(implementation, lambda: plan.estimator.estimate(frames), Motion)
                return motion

            try:
                try:
                    motion = measured()
                except (Unsuitable, RegionError):
                    self._read_to_the_end(frames)
                    if not self._keep_what_belongs(frames, record):
                        raise
                    motion = measured()
                else:
                    motion = measured() if self._keep_what_belongs(frames, record) else motion
            except Unsuitable:
                self._look_at_lamp(frames)  # a strobing one is the better reason
                raise
            guard.check_motion(implementation, motion, frames.frame_count)
            stream = frames.stream
            if isinstance(stream, InspectedStream):
                record["decoded_frames"] = stream.decoded_frames
                record["decoded_luma_sha256"] = stream.decoded_digest
                self._look_at(stream)
            self._codec_gain = record["codec_gain"] = motion.codec_gain
            self._chose[plan.estimator.kind] = record["method"] = motion.method
            record["channels"] = [channel.label for channel in motion.channels]
            record["observed_share"] = float(motion.observed.mean())
            record["output_sha256"] = array_digest(motion.displacement, motion.precision, motion.observed)
            record["warnings"] = list(motion.warnings)
        for warning in motion.warnings:
            self._warn(warning)
        return motion

    @staticmethod
    def _read_to_the_end(frames: SensorFrames) -> None:
        """See all frames, where the estimator gave up before."""
        if isinstance(frames.stream, InspectedStream) and not len(frames.stream.index):
            for _ in frames.stream.blocks():
                pass

    def _keep_what_belongs(self, frames: SensorFrames, record: dict[str, Any]) -> bool:
        """Leave out all but the longest shot, and what flashes up in it; whether there was anything to leave out."""
        stream = frames.stream
        if not isinstance(stream, InspectedStream) or not len(stream.index):
            return False
        seen = stream.change, stream.light, stream.full_scale
        cuts, intruders = cuts_of(*seen), intruders_of(*seen)
        record["cuts"] = [int(stream.index[k]) for k in cuts]
        record["intruders"] = [int(stream.index[k]) for k in intruders]
        if not cuts and not intruders:
            return False
        kept = np.zeros(len(stream.index), np.bool_)
        first, end = longest_shot(cuts, len(kept))
        kept[first:end] = True
        kept[list(intruders)] = False
        if cuts:
            self._warn(
                f"the picture changes altogether at frame {some_of(record['cuts'])}: only the longest shot, frames "
                f"{stream.index[first]} to {stream.index[end - 1]}, is measured; the others count as gaps"
            )
        if intruders:
            self._warn(
                f"the picture is another for a moment at frame {some_of(record['intruders'])}: what flashes up there "
                "counts as a gap"
            )
        stream.keep(kept)
        return True

    def _look_at(self, stream: InspectedStream) -> None:
        """Warn of what reading the frames brought to light."""
        decoded = int(str(stream.decoded_frames))
        lost = stream.frame_count - decoded
        if lost > 0 and decoded:
            self._warn(f"{lost} of {stream.frame_count} frames couldn't be decoded; they count as gaps")
        for complaint in list(stream.complaints)[:20]:
            self._warn(complaint)

    def examine_motion(self, frames: SensorFrames, motion: Motion) -> Motion:
        """Ask whether the rows saw the scene when shutter and clock say so; frames that repeat another become gaps.

        Raises
        ------
        Unsuitable
            They didn't: sound made from their times would be made up.
        """
        stream = frames.stream
        if not isinstance(stream, InspectedStream) or not len(stream.index):
            return motion
        with self._ledger.step("examine row times") as record:
            repeats = find_repeats(stream.index, stream.change, stream.exact, stream.types, stream.frozen)
            record["repeated_frames"] = {"frames": repeats.frames.tolist(), "exact": repeats.exact}
            if len(repeats.frames):
                self._warn(
                    f"{len(repeats.frames)} frames repeat the frame before ({repeats.exact} of them exactly); "
                    "they count as gaps"
                )
            if repeats.doubt:
                self._warn(repeats.doubt)
            if repeats.still:
                self._warn(f"all {len(stream.index)} frames are the same to the bit: one picture, which can't move")
            motion = without_repeats(motion, repeats)
            made_up = find_made_up(motion, stream.index, stream.types)
            record["made_up_frames"] = {"frames": made_up.frames.tolist(), "rms_px": made_up.rms}
            if len(made_up.frames):
                self._warn(
                    f"{len(made_up.frames)} frames that the codec predicted from both sides share a motion of "
                    f"{made_up.rms:.2g} px RMS, the others {made_up.others:.2g} px: the codec made it, and they count "
                    "as gaps"
                )
            motion = motion.without(made_up.frames)
            record["output_sha256"] = array_digest(motion.displacement, motion.precision, motion.observed)
            if frames.shutter.is_rolling:
                self._look_at_lamp(frames)
                self._readout = judge_readout(motion, predicted=stream.facts.get("inter_coded") is True)
                record["readout_order"] = self._described_readout()
                self._watcher.say(self._readout.reason)
                if self._readout.verdict is ReadoutVerdict.CONTRADICTED:
                    raise Unsuitable(
                        self._readout.reason,
                        hint="check readout direction and row time; a picture that was stabilised, turned or put "
                        "together anew isn't in readout order any more",
                    )
        return motion

    def _described_readout(self) -> dict[str, Any] | None:
        """What is known of the readout order, as ledger and result state it."""
        found = self._readout
        return (
            found
            if found is None
            else {
                "verdict": found.verdict.value,
                "pace": found.pace,
                "pace_uncertainty": found.uncertainty,
                "reason": found.reason,
            }
        )

    def _look_at_lamp(self, frames: SensorFrames) -> None:
        """Warn of what a lamp does to the rows' instants, or refuse; as far as the frames were read."""
        stream = frames.stream
        if isinstance(stream, InspectedStream) and frames.shutter.is_rolling and len(stream.index):
            instants = frames.clock.times[stream.index, None] + frames.row_offsets()[stream.bands]
            self._heed(judge_lamp(stream.light, instants, frames.shutter.exposure))

    def _heed(self, light: Light) -> None:
        """Warn of what exposure and lamp do to the rows' instants, or refuse."""
        for warning in light.warnings:
            self._warn(warning)
        if light.refusal:
            hint = "row-time recovery needs a shorter exposure, or steadier light, than this footage has"
            raise Unsuitable(light.refusal, hint=hint)

    def combine(self, motion: Motion) -> Signal:
        """Make one signal of the motion samples."""
        plan = self._plan
        self._watcher.say("combining into one signal")
        with self._stage(plan.combiner) as (implementation, record):
            signal = guard.call(implementation, lambda: plan.combiner.combine(motion), Signal)
            record["signal"] = describe_signal(signal)
            self._chose[plan.combiner.kind] = record["method"] = signal.method
            record["output_sha256"] = array_digest(signal.samples, signal.sigma, signal.observed)
        for warning in signal.warnings:
            self._warn(warning)
        if plan.case.camera.rows_at_once > 1:
            steps = np.diff(motion.row_offsets)
            apart = float(np.median(steps[steps > 0])) if np.any(steps > 0) else 0.0
            if signal.rate * apart > 1:
                self._warn(
                    f"rows are read together every {apart * 1e6:.3g} us, and a signal of {signal.rate:.6g} Hz asks for "
                    f"more: give the combiner a rate of at most {1 / apart:.4g} Hz"
                )
        return signal

    def raw(self, motion: Motion, signal: Signal) -> Signal:
        """The measured motion on the signal's time line, nothing filled in; of the channels that a combiner selects."""
        if not self._plan.combiner.selects:
            return motion.onto_grid(signal.axis, start=signal.start, rate=signal.rate, size=len(signal.samples))
        seen = signal.observed
        return replace(signal, samples=np.where(seen, signal.samples, 0.0), sigma=np.where(seen, signal.sigma, 0.0))

    def _chosen(self, motion: Motion) -> tuple[Signal, Signal] | None:
        """What a combiner that selects channels makes of either half alone; None of one that takes all."""
        combiner = self._plan.combiner
        if not combiner.selects:
            return None
        implementation = self._plan.implementation(combiner)
        return combined_apart(motion, lambda half: guard.call(implementation, lambda: combiner.combine(half), Signal))

    def denoise(self, signal: Signal) -> Signal:
        """Apply the denoisers in order."""
        for denoiser in self._plan.denoisers:
            with self._stage(denoiser) as (implementation, record):
                before = signal
                signal = guard.call(implementation, lambda d=denoiser, s=before: d.denoise(s), Signal)  # type: ignore[misc]
                guard.check_denoised(implementation, before, signal)
                record["signal"] = describe_signal(signal)
                record["output_sha256"] = array_digest(signal.samples, signal.sigma, signal.observed)
        return signal

    def judge(
        self, frames: SensorFrames, stream: FrameStream, motion: Motion, signal: Signal, raw: Signal, recovered: Signal
    ) -> Recovery:
        """Ask whether there is anything in it."""
        plan = self._plan
        with self._ledger.step("detect") as record:
            chosen = self._chosen(motion)
            lines = lines_of_lamps(frames)
            record["lamp_lines_hz"] = list(lines)
            interval = key_interval(frames.stream, motion.frame_rate)
            if interval and stream.facts.get("inter_coded") is not True:
                share = 100 * cast(InspectedStream, frames.stream).copied
                coarse = isinstance(stream.facts.get("codec"), str) and stream.facts["codec"] not in LOSSLESS
                why = "its compression is too coarse to show what changes there, or it " if coarse else "it "
                self._warn(
                    f"{share:.2g} % of the picture repeats the frame before to the bit: {why}was compressed with "
                    "prediction before it was stored as it is now; the verdict is as careful as for such a codec"
                )
            detection = detect(
                motion,
                signal,
                chosen=chosen,
                key_interval=interval,
                dead_zone=dead_zone(frames.stream),
                lamp_lines=lines,
            )
            record["detection"] = {
                "verdict": detection.verdict.value,
                "p_value": detection.p_value,
                "false_alarm_rate": detection.false_alarm_rate,
                "band_hz": detection.band,
                "reason": detection.reason,
            }
        detection = self._control(frames, motion, signal, detection)
        title = f"{plan.case.case.title or plan.case.case.id} · {plan.name} · {plan.evidence.path.name}"
        rolling = plan.case.camera.shutter is ShutterKind.ROLLING
        lines = notches(motion.frame_rate, recovered.rate) if rolling else ()
        made = [chosen, _plain_halves(motion, signal)] if detection.verdict is Verdict.SIGNAL and not rolling else []
        first, second = ([pair[k] for pair in made if pair] for k in (0, 1))
        inspected = frames.stream if isinstance(frames.stream, InspectedStream) else None
        return Recovery(
            raw,
            recovered,
            detection,
            title,
            lines,
            vibrations=vibrations(motion, (first, second), frames.stored) if first else (),
            picture=inspected.picture[1] if inspected and inspected.picture else None,
            full_scale=stream.full_scale,
        )

    def _control(self, frames: SensorFrames, motion: Motion, signal: Signal, detection: Detection) -> Detection:
        """Carry out the controls; the verdict in their light."""
        plan = self._plan
        self._watcher.say("carrying out the controls")
        estimating, combining = plan.implementation(plan.estimator), plan.implementation(plan.combiner)
        with self._ledger.step("controls") as record:
            controls = control(
                frames,
                motion,
                signal,
                detection,
                lambda shown: guard.call(estimating, lambda: plan.estimator.estimate(shown), Motion),
                lambda measured: guard.call(combining, lambda: plan.combiner.combine(measured), Signal),
                key_interval=key_interval(frames.stream, motion.frame_rate),
                dead_zone=dead_zone(frames.stream),
                lamp_lines=lines_of_lamps(frames),
                choose=self._chosen,
            )
            self._controls = controls
            record["controls"] = controls.described()
            judged = heeded(detection, controls)
            record["verdict"] = judged.verdict.value
        if controls.still_region is not None and controls.still.verdict is Verdict.SIGNAL:
            r = controls.still_region
            self._warn(
                f"the control region {r.x},{r.y},{r.width},{r.height} beside the region shows a common motion too: "
                "it may be the camera that vibrates, the light, or the compression"
            )
        return judged

    def export(self, recovery: Recovery, staging: Path) -> list[Path]:
        """Have the exporters write their files into the staging folder."""
        files: list[Path] = []
        for number, exporter in enumerate(self._plan.exporters):
            with self._stage(exporter) as (implementation, record):
                self._watcher.say(f"writing {exporter.name}")
                own = staging / f"{number}"
                own.mkdir()
                written = guard.call(implementation, lambda e=exporter, o=own: e.export(recovery, o), list)  # type: ignore[misc]
                for file in guard.check_files(implementation, written, own):
                    target = staging / file.name
                    if target.exists():
                        raise OutputError(f"two exporters write {file.name!r}", hint="leave one of them out")
                    file.replace(target)
                    files.append(target)
                shutil.rmtree(own)
                record["files"] = sorted(file.name for file in written)
        return files

    def summarise(
        self,
        evidence: EvidenceDigest,
        stream: WatchedStream,
        clock: Clock,
        frames: SensorFrames,
        recovery: Recovery,
    ) -> dict[str, Any]:
        """Write result.json and the report."""
        with self._ledger.step("summarise"):
            picture = frames.stream.picture if isinstance(frames.stream, InspectedStream) else None
            if picture is not None:
                drawn = draw_picture(picture[1], stream.full_scale)
                self._ledger.published(self._folder.write(PICTURE_NAME, drawn))
            result = summarise(self._plan, self._folder.path, evidence, stream, clock, frames, recovery, self._warnings)
            result["shutter"]["readout_order"] = self._described_readout()
            result["codec_gain"] = self._codec_gain
            for stage in result["method"]:
                if chose := self._chose.get(stage["kind"]):
                    stage["chose"] = chose
            if self.assessed is not None:
                result["assessment"] = self.assessed
            if self._controls is not None:
                result["controls"] = self._controls.described()
                result["detection_over_time"] = self._controls.described_course()
            if picture is not None:
                time = float(clock.times[picture[0]])
                result["picture"] = describe_picture(picture[0], time, stream.height, stream.width)
            self._ledger.published(self._folder.write("result.json", to_json(result)))
            report = render_report(result, self._folder.path)
            self._ledger.published(self._folder.write("report.html", report))
        return result

    def _warn(self, text: str) -> None:
        if text not in self._warnings:
            self._warnings.append(text)
            self._ledger.append("warning", text=text)
            self._watcher.say(f"warning: {text}")
