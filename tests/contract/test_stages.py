"""Every registered stage keeps its contract, and the kit that says so notices a stage that doesn't."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from pydantic import Field

from vmforensics.data import Evidence, FrameBlock, FrameStream, Luma, Motion, Recovery, SensorFrames, Signal
from vmforensics.errors import EvidenceUnreadable, ParameterError, TooFewFrames, VmforensicsError
from vmforensics.plugins import Registry
from vmforensics.stages import (
    KINDS,
    Denoiser,
    Exporter,
    FrameSource,
    MotionEstimator,
    SignalCombiner,
    Stage,
    StageParams,
)
from vmforensics.testing import (
    CheckFailed,
    StoredFrames,
    check_names,
    check_stage,
    parametrize_with_checks,
    stage_checks,
)


def every_check() -> list[Any]:
    params = []
    for registered in Registry().stages():
        if registered.provider.distribution == "vmforensics":
            stage = registered.stage
            for name, check in stage_checks(stage):
                params.append(pytest.param(check, id=f"{stage.kind} {stage.name}: {name}"))
    return params


@pytest.mark.parametrize("check", every_check())
def test_shipped_stage(check: Callable[[], None]) -> None:
    check()


def test_every_kind_has_a_registered_stage_and_checks_of_its_own() -> None:
    kinds = {registered.stage.kind for registered in Registry().stages()}
    assert kinds == {kind.kind for kind in KINDS}
    names = {r.stage.kind: {name for name, _ in stage_checks(r.stage)} for r in Registry().stages()}
    common = set.intersection(*names.values())
    assert {"interface", "name", "summary", "picklable", "prints nothing", "leaves nothing behind"} <= common
    assert all(len(own - common) >= 2 for own in names.values())
    for kind in KINDS:
        assert set(check_names(kind)) == names[kind.kind]
        assert all(check_names(kind).values())


# Stages with one fault each. They stand at module level, for a stage must be picklable.


class Good(Denoiser):
    name = "good"
    summary = "does nothing"

    def denoise(self, signal: Signal) -> Signal:
        return signal


class Shouting(Good):
    name = "Loud Name"


class TwoLines(Good):
    summary = "one\ntwo"


class Undocumented(Good):
    class Params(StageParams):
        level: float = 1.0


class Loose(Good):
    class Params(StageParams, frozen=False):
        level: float = Field(default=1.0, description="level, px")


class Boundless(Good):
    class Params(StageParams):
        level: float = Field(default=1.0, description="level, px")


class Unpicklable(Good):
    def __init__(self, params: StageParams | None = None) -> None:
        super().__init__(params)
        self.filter = lambda x: x


class Chatty(Good):
    def denoise(self, signal: Signal) -> Signal:
        print("denoising")  # noqa: T201 - the fault
        return signal


class Leaving(Good):
    def denoise(self, signal: Signal) -> Signal:
        Path("denoised.npy").write_bytes(signal.samples.tobytes())
        return signal


class Holding(Good):
    def denoise(self, signal: Signal) -> Signal:
        _, path = tempfile.mkstemp()  # never closed
        Path(path).unlink()
        return signal


class Leaver(Good):
    def denoise(self, signal: Signal) -> Signal:
        raise SystemExit(0)


class Half(Good):
    def denoise(self, signal: Signal) -> Signal:
        return replace(signal, samples=signal.samples.astype(np.float32))  # type: ignore[arg-type]


class Spoiling(Good):
    def denoise(self, signal: Signal) -> Signal:
        after = replace(signal, samples=signal.samples.copy())
        after.samples[3] = np.nan
        return after


class InPlace(Good):
    def denoise(self, signal: Signal) -> Signal:
        signal.samples[:] = signal.samples.copy()
        return signal


class Absolute(Good):
    def denoise(self, signal: Signal) -> Signal:
        return replace(signal, samples=signal.samples * (np.abs(signal.samples) > 1e-4))


class Certain(Good):
    def denoise(self, signal: Signal) -> Signal:
        return replace(signal, sigma=signal.sigma / 10)


class Filling(Good):
    def denoise(self, signal: Signal) -> Signal:
        return replace(signal, observed=np.ones_like(signal.observed))


class Forgetful(Good):
    def denoise(self, signal: Signal) -> Signal:
        return replace(signal, warnings=())


class Mutating(Good):
    def denoise(self, signal: Signal) -> Signal:
        signal.samples[:] *= 0.9
        return signal


class Random(Good):
    def denoise(self, signal: Signal) -> Signal:
        return replace(signal, samples=signal.samples + 1e-9 * np.random.default_rng().random(len(signal.samples)))


class Humming(Good):
    def denoise(self, signal: Signal) -> Signal:
        return replace(signal, samples=signal.samples + 0.001 * np.sin(2 * np.pi * 50 * signal.times))


class Crashing(Good):
    def denoise(self, signal: Signal) -> Signal:
        if len(signal.samples) < 64:
            raise IndexError("no room for a window")
        return signal


class Muting(Good):
    def denoise(self, signal: Signal) -> Signal:
        return replace(signal, samples=signal.samples * 0.01 + 0.01 * np.sign(signal.samples))


def shipped(kind: str, name: str) -> Any:
    return Registry().create(kind, name)


class Measured(MotionEstimator):
    """The shipped estimator, before a subclass spoils its result."""

    name = "measured"
    summary = "local phase, as shipped"

    def estimate(self, frames: SensorFrames) -> Motion:
        return self.spoilt(shipped("motion_estimator", "local-phase").estimate(frames))

    def spoilt(self, motion: Motion) -> Motion:
        return motion


class WrongScale(Measured):
    def spoilt(self, motion: Motion) -> Motion:
        return replace(motion, displacement=motion.displacement * np.float32(1.1))


class Overconfident(Measured):
    def spoilt(self, motion: Motion) -> Motion:
        return replace(motion, precision=motion.precision * np.float32(2))


class Crossed(Measured):
    """Its second half holds the first one's noise."""

    def spoilt(self, motion: Motion) -> Motion:
        first = [i for i, c in enumerate(motion.channels) if c.half == 0]
        channels, displacement = list(motion.channels), motion.displacement.copy()
        for i in first:
            other = next(j for j, c in enumerate(channels) if c.label == channels[i].label.replace("half 0", "half 1"))
            displacement[:, :, other] = displacement[:, :, i]
            channels[other] = replace(channels[other], response=channels[i].response)
        return replace(motion, displacement=displacement, channels=tuple(channels))


class Doubled(Measured):
    def spoilt(self, motion: Motion) -> Motion:
        return replace(motion, displacement=motion.displacement.astype(np.float64))  # type: ignore[arg-type]


class Trembling(Measured):
    def spoilt(self, motion: Motion) -> Motion:
        tremor = np.random.default_rng(1).standard_normal(motion.displacement.shape).astype(np.float32)
        return replace(motion, displacement=motion.displacement + 0.01 * tremor)


class Terse(Measured):
    def estimate(self, frames: SensorFrames) -> Motion:
        try:
            return super().estimate(frames)
        except VmforensicsError as error:
            raise TooFewFrames("bad") from error


class Misplaced(Measured):
    """It forgets where on the sensor the region lies."""

    def spoilt(self, motion: Motion) -> Motion:
        return replace(motion, row_offsets=motion.row_offsets - 48 * 20e-6)


class AllSeeing(Measured):
    def spoilt(self, motion: Motion) -> Motion:
        return replace(motion, observed=np.ones_like(motion.observed))


class Blockwise(Measured):
    """Each block is measured by itself."""

    def estimate(self, frames: SensorFrames) -> Motion:
        motion = super().estimate(frames)
        displacement = motion.displacement.copy()
        for block in frames.blocks():
            displacement[block.index] -= displacement[block.index].mean(axis=0)
        return replace(motion, displacement=displacement)


class Summed(SignalCombiner):
    """The shipped combiner, before a subclass spoils its result."""

    name = "summed"
    summary = "aligned sum, as shipped"

    def combine(self, motion: Motion) -> Signal:
        return self.spoilt(shipped("signal_combiner", "aligned-sum").combine(motion))

    def spoilt(self, signal: Signal) -> Signal:
        return signal


class Boastful(Summed):
    def spoilt(self, signal: Signal) -> Signal:
        return replace(signal, sigma=signal.sigma / 3)


class Late(Summed):
    def spoilt(self, signal: Signal) -> Signal:
        return replace(signal, start=signal.start + 0.01)


class Impatient(Summed):
    def combine(self, motion: Motion) -> Signal:
        if len(motion.frame_times) < 4:
            raise IndexError("no room for a window")
        return super().combine(motion)


class Gapless(Summed):
    def spoilt(self, signal: Signal) -> Signal:
        return replace(signal, observed=np.ones_like(signal.observed))


class Singing(Summed):
    def spoilt(self, signal: Signal) -> Signal:
        return replace(signal, samples=signal.samples + 0.01 * np.sin(2 * np.pi * 90 * signal.times))


class Writer(Exporter):
    name = "writer"
    summary = "writes the mean"
    count: ClassVar[Any] = itertools.count()

    def export(self, recovery: Recovery, into: Path) -> list[Path]:
        path = into / "mean.txt"
        path.write_text(self.text(recovery, into))
        return [path]

    def text(self, recovery: Recovery, into: Path) -> str:
        return f"{recovery.raw.samples.mean()}"


class Counting(Writer):
    def text(self, recovery: Recovery, into: Path) -> str:
        return str(next(self.count))


class Located(Writer):
    def text(self, recovery: Recovery, into: Path) -> str:
        return str(into)


class Dividing(Writer):
    def text(self, recovery: Recovery, into: Path) -> str:
        return str(1 / (len(recovery.raw.samples) - 1))


class Littering(Writer):
    def export(self, recovery: Recovery, into: Path) -> list[Path]:
        (into / "notes.tmp").write_text("left behind")
        return super().export(recovery, into)


class StoredSource(FrameSource):
    """The shipped source, before a subclass spoils its frames."""

    name = "stored"
    summary = "reads it all into memory"

    @classmethod
    def accepts(cls, evidence: Evidence) -> bool:
        return evidence.path.suffix == ".mkv"

    def open(self, evidence: Evidence) -> FrameStream:
        opened = shipped("frame_source", "video").open(evidence)
        luma = np.concatenate([block.luma for block in opened.blocks()])
        return self.stream(luma)

    def stream(self, luma: Any) -> FrameStream:
        return StoredFrames(luma, rate=60.0)


class Stretching(StoredSource):
    def stream(self, luma: Any) -> FrameStream:
        return super().stream((luma.astype(int) * 255 // 235).clip(0, 255).astype(np.uint8))


class OnceOnly(StoredSource):
    def stream(self, luma: Any) -> FrameStream:
        class Tape(StoredFrames):
            def blocks(self) -> Any:
                while self.luma.any():
                    frames, self.luma = self.luma, np.zeros_like(self.luma)
                    yield FrameBlock(np.arange(len(frames)), frames)

        return Tape(luma, rate=60.0)


class Mumbling(StoredSource):
    def open(self, evidence: Evidence) -> FrameStream:
        try:
            return super().open(evidence)
        except VmforensicsError as error:
            raise EvidenceUnreadable("this is no video at all") from error


class Gullible(StoredSource):
    def open(self, evidence: Evidence) -> FrameStream:
        try:
            return super().open(evidence)
        except Exception:
            return StoredFrames(np.zeros((3, 8, 8), np.uint8), rate=60.0)


SPOILT: list[tuple[type[Stage], str, str]] = [
    (Shouting, "name", "lower case"),
    (TwoLines, "summary", "one line"),
    (Undocumented, "parameters are documented", "level"),
    (Loose, "parameters are frozen and strict", "frozen=True"),
    (Boundless, "parameters are bounded", "level has neither"),
    (Unpicklable, "picklable", "pickle"),
    (Leaving, "leaves nothing behind", "denoised.npy"),
    (Holding, "leaves nothing behind", "open"),
    (Leaver, "prints nothing", "SystemExit"),
    (Half, "does no harm", "samples is float32; float64 is asked"),
    (Spoiling, "deterministic", "aren't finite"),
    (InPlace, "takes what can't be written to", "read-only"),
    (Absolute, "works in any unit", "times the signal, with"),
    (Certain, "σ covers what is left", "times the stated σ"),
    (Chatty, "prints nothing", "denoising"),
    (Filling, "keeps the time line", "observed"),
    (Forgetful, "keeps the time line", "warnings"),
    (Mutating, "deterministic", "changed the signal that it was given"),
    (Random, "deterministic", "another result"),
    (Humming, "zeros stay zeros", "became"),
    (Crashing, "short and constant signals", "IndexError: no room"),
    (Muting, "does no harm", "is lost"),
    (WrongScale, "recovers a tone in px", "1.1"),
    (Overconfident, "silence stays silent", "times the stated σ"),
    (Crossed, "halves are independent", "correlates"),
    (Misplaced, "rows have their own instants", "outside the readout"),
    (AllSeeing, "undecodable frames are unobserved", "weren't there"),
    (Blockwise, "independent of blocks", "blocks of 1 frames"),
    (Doubled, "recovers a tone in px", "displacement is float64; float32 is asked"),
    (Trembling, "frames all alike", "frames that are all alike move by 0.0"),
    (Terse, "refuses what holds no motion", "its error says 'bad'"),
    (Impatient, "short and constant motions", "no room for a window"),
    (Dividing, "short recoveries", "ZeroDivisionError"),
    (Mumbling, "refuses what it can't read", "doesn't name the file empty.mp4"),
    (Boastful, "states its uncertainty", "times the stated σ"),
    (Late, "keeps the clip's time line", "starts at"),
    (Gapless, "lost frames are unobserved", "no frame showed"),
    (Singing, "silence stays silent", "noise reach"),
    (Counting, "deterministic", "other bytes"),
    (Located, "deterministic", "mean.txt"),
    (Littering, "writes into its folder", "doesn't name"),
    (Stretching, "opens what it takes", "stretched"),
    (OnceOnly, "every pass is the same", "raised"),
    (Gullible, "refuses what it can't read", "empty.mp4"),
]


@pytest.mark.parametrize(("stage", "check", "told"), [pytest.param(*case, id=case[0].__name__) for case in SPOILT])
def test_a_spoilt_stage_is_caught(stage: type[Stage], check: str, told: str) -> None:
    checks = dict(stage_checks(stage))
    with pytest.raises(CheckFailed) as failure:
        checks[check]()
    assert stage.name in str(failure.value)
    assert check in str(failure.value)
    assert told in str(failure.value)


@pytest.mark.parametrize("stage", [Good, Measured, Summed, Writer, StoredSource])
def test_the_same_stages_unspoilt_pass(stage: type[Stage]) -> None:
    check_stage(stage)


def test_an_expected_failure_is_forgiven_and_a_pass_in_its_place_is_not() -> None:
    reason = "its threshold is in px"
    check_stage(Absolute, expected_failed_checks={"works in any unit": reason})
    with pytest.raises(CheckFailed, match="'deterministic': it was expected to fail \\(of course\\), and passes"):
        check_stage(Good, expected_failed_checks={"deterministic": "of course"})
    with pytest.raises(CheckFailed, match="works in any unit") as failure:
        check_stage(Absolute, expected_failed_checks={"deterministic": "of course"})
    assert len(str(failure.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("expected", "told"),
    [({"works in eny unit": "no"}, "no check 'works in eny unit'; the checks are: "), ({"name": " "}, "reason")],
)
def test_expected_failures_are_known_checks_with_reasons(expected: dict[str, str], told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        check_stage(Good, expected_failed_checks=expected)
    with pytest.raises(ParameterError, match=told):
        parametrize_with_checks(Good, expected_failed_checks=expected)


def test_the_pytest_form_has_a_test_a_check_and_a_strict_mark_for_what_is_expected() -> None:
    mark = parametrize_with_checks(Good, Absolute, expected_failed_checks={"works in any unit": "px"}).mark
    names, params = mark.args
    assert names == "check"
    ids = [str(param.id) for param in params]
    assert ids == [f"denoiser 'good': {name}" for name in check_names(Denoiser)] * 2
    marked = {param.id: param.marks for param in params if param.marks}
    assert marked.keys() == {"denoiser 'good': works in any unit"}
    ((xfail,),) = marked.values()
    assert xfail.kwargs == {"reason": "px", "raises": CheckFailed, "strict": True}


@parametrize_with_checks(Good, Good(), expected_failed_checks={})
def test_the_pytest_form_runs(check: Callable[[], None]) -> None:
    check()


def test_a_made_stage_is_checked_with_its_own_parameters() -> None:
    class Scaled(Good):
        class Params(StageParams):
            factor: float = Field(default=1.0, ge=0, description="factor on the samples, 1")

        def denoise(self, signal: Signal) -> Signal:
            return replace(signal, samples=signal.samples * self.params.factor)

    dict(stage_checks(Scaled()))["does no harm"]()
    with pytest.raises(CheckFailed, match="does no harm"):
        dict(stage_checks(Scaled(Scaled.Params(factor=2.0))))["does no harm"]()


def test_every_failure_is_reported() -> None:
    class Worst(Shouting, TwoLines):
        def denoise(self, signal: Signal) -> Signal:
            return replace(signal, samples=signal.samples * np.nan)

    with pytest.raises(CheckFailed) as failure:
        check_stage(Worst)
    lines = str(failure.value).splitlines()
    for check in ("'name'", "'summary'", "'picklable'", "'keeps the time line'", "'zeros stay zeros'"):
        assert any(check in line for line in lines), check


def test_an_abstract_stage_and_one_of_no_kind_are_told_so() -> None:
    class Half(Denoiser):
        name = "half"
        summary = "lacks its method"

    with pytest.raises(CheckFailed, match="doesn't implement denoise"):
        check_stage(Half)

    class Nothing(Stage):
        name = "nothing"
        summary = "derives from the base alone"

    with pytest.raises(CheckFailed, match="none of the interfaces"):
        check_stage(Nothing)


def test_a_source_of_another_format_is_checked_on_the_clip_it_is_given(tmp_path: Path) -> None:
    class Own(StoredSource):
        @classmethod
        def accepts(cls, evidence: Evidence) -> bool:
            return evidence.path.suffix == ".own"

        def open(self, evidence: Evidence) -> FrameStream:
            size = evidence.path.stat().st_size if evidence.path.suffix == ".own" else 0
            return StoredFrames(np.full((3, 8, 8), size, np.uint8), rate=60.0)

    with pytest.raises(CheckFailed, match="name a clip that it takes"):
        dict(stage_checks(Own))["opens what it takes"]()
    clip = tmp_path / "clip.own"
    clip.write_bytes(b"frames")
    dict(stage_checks(Own, evidence=clip))["opens what it takes"]()

    def write(frames: Luma, folder: Path) -> Path:
        (folder / "clip.own").write_bytes(bytes(int(frames.max())))
        return folder / "clip.own"

    with pytest.raises(CheckFailed, match="lossless luma isn't what was written"):
        dict(stage_checks(Own, evidence=write))["opens what it takes"]()


def test_parameters_reach_the_stage() -> None:
    class Gain(Good):
        class Params(StageParams):
            factor: float = Field(default=1.0, description="factor on the samples, 1")

        def denoise(self, signal: Signal) -> Signal:
            return replace(signal, samples=signal.samples * self.params.factor)

    dict(stage_checks(Gain))["does no harm"]()
    with pytest.raises(CheckFailed, match="times as large"):
        dict(stage_checks(Gain, Gain.Params(factor=1.09)))["does no harm"]()
