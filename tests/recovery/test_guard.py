"""What a stranger's stage does wrong stays its own: named with distribution and version, and off standard output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vmforensics.case import parse_case
from vmforensics.data import Evidence, FrameBlock, FrameStream, Signal
from vmforensics.errors import StageError, UnknownPlugin
from vmforensics.hookspecs import hookimpl
from vmforensics.plugins import Registry
from vmforensics.recovery import guard
from vmforensics.recovery.plan import plan_case, source_for
from vmforensics.stages import FrameSource
from vmforensics.testing import StoredFrames

STAGE = {"kind": "denoiser", "name": "rogue", "distribution": "stranger-stages", "version": "9.1"}
WHO = r"'rogue' \(stranger-stages 9\.1\)"


def signal() -> Signal:
    return Signal(np.zeros(8), 8000.0, 0.0, np.ones(8, bool), np.ones(8))


def test_what_a_stage_prints_is_kept_from_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    def chatter() -> Signal:
        print("denoising ...")  # noqa: T201 - the fault
        return signal()

    with pytest.raises(StageError, match=rf"{WHO} wrote 'denoising \.\.\.\\n' to standard output"):
        guard.call(STAGE, chatter, Signal)
    assert capsys.readouterr().out == ""


def test_a_stage_that_prints_and_fails_is_named_for_failing(capsys: pytest.CaptureFixture[str]) -> None:
    def fall() -> Signal:
        print("oh")  # noqa: T201 - the fault
        raise ValueError("no such band")

    with pytest.raises(StageError, match=rf"{WHO} failed: ValueError: no such band"):
        guard.call(STAGE, fall, Signal)
    assert capsys.readouterr().out == ""


def test_a_stage_cannot_end_the_program() -> None:
    def leave() -> Signal:
        raise SystemExit(0)

    with pytest.raises(StageError, match=rf"{WHO} failed: SystemExit: 0"):
        guard.call(STAGE, leave, Signal)


class Faulty(StoredFrames):
    """Frames whose second block does something else."""

    def __init__(self, fault: Callable[[], Any]) -> None:
        super().__init__(np.zeros((4, 8, 8), np.uint8), rate=60.0, block=2)
        self.fault = fault

    def blocks(self) -> Iterator[FrameBlock]:
        first, _ = super().blocks()
        yield first
        yield self.fault()


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (lambda: 1 / 0, "failed: ZeroDivisionError"),
        (lambda: print("frame"), r"wrote 'frame\\n' to standard output"),  # noqa: T201 - the fault
        (lambda: "frames", "gave str for a block of frames"),
    ],
)
def test_what_goes_wrong_while_frames_are_read_is_the_sources_fault(fault: Callable[[], Any], told: str) -> None:
    source = {**STAGE, "kind": "frame_source"}
    stream = guard.call(source, lambda: Faulty(fault), FrameStream)
    guard.check_stream(source, stream)
    assert (stream.frame_count, stream.width) == (4, 8)

    def estimate() -> None:
        for _ in stream.blocks():
            pass

    with pytest.raises(StageError, match=rf"frame source {WHO} {told}"):
        guard.call({**STAGE, "kind": "motion_estimator", "name": "reader"}, estimate, type(None))


def test_contained_frames_can_be_read_again_and_again() -> None:
    stored = StoredFrames(np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8), rate=60.0, block=3)
    stream = guard.call(STAGE, lambda: stored, FrameStream)
    next(iter(stream.blocks()))
    for _ in range(2):
        assert np.array_equal(np.concatenate([block.luma for block in stream.blocks()]), stored.luma)


def test_an_exporter_names_all_that_it_writes(tmp_path: Path) -> None:
    named, unnamed = tmp_path / "named.txt", tmp_path / "left.tmp"
    named.touch()
    assert guard.check_files(STAGE, [named], tmp_path) == [named]
    unnamed.touch()
    with pytest.raises(StageError, match=rf"{WHO} left 'left\.tmp' without naming it"):
        guard.check_files(STAGE, [named], tmp_path)


def test_an_exporter_closes_what_it_writes(tmp_path: Path) -> None:
    with (tmp_path / "sound.wav").open("wb"), pytest.raises(StageError, match=rf"{WHO} left 'sound\.wav' open"):
        guard.check_files(STAGE, [tmp_path / "sound.wav"], tmp_path)
    assert guard.check_files(STAGE, [tmp_path / "sound.wav"], tmp_path)


def test_a_source_that_fails_to_say_what_it_takes_is_named(tmp_path: Path) -> None:
    class Rogue(FrameSource):
        name = "a-rogue"
        summary = "falls over every file"

        @classmethod
        def accepts(cls, evidence: Evidence) -> bool:
            raise KeyError(evidence.path.suffix)

        def open(self, evidence: Evidence) -> FrameStream:
            raise NotImplementedError

    class Plugin:
        @hookimpl
        def vmforensics_frame_sources(self) -> list[type[FrameSource]]:
            return [Rogue]

    registry = Registry(entry_points=[])
    registry.register(Plugin(), "rogues", "stranger-stages", "9.1")
    (tmp_path / "clip.mkv").touch()
    with pytest.raises(StageError, match=r"frame source 'a-rogue' \(stranger-stages 9\.1\) failed: KeyError: '\.mkv'"):
        source_for(tmp_path / "clip.mkv", registry)


CASE = """version: 1
case: {id: A}
evidence: [{path: clip.mkv}]
camera: {shutter: global}
plugins:
  allow: [%s]
runs: [{denoiser: high-pass}]
"""


def test_a_case_uses_the_plugins_that_it_allows_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "clip.mkv").touch()
    path = tmp_path / "case.yaml"
    allowed = parse_case(CASE % "media, global-shutter, denoise", path)
    (plan,) = plan_case(allowed, Registry())
    assert plan.case.plugins is not None
    assert plan.case.plugins.allow == ("media", "global-shutter", "denoise")
    with pytest.raises(
        UnknownPlugin, match=r"case\.yaml:7:9: runs\[0\]\.denoiser.*: unknown denoiser 'high-pass'"
    ) as e:
        plan_case(parse_case(CASE % "media, global-shutter", path), Registry())
    assert "denoise (not on the case's list of plugins)" in e.value.message
    with pytest.raises(UnknownPlugin, match=r"case\.yaml:6:\d+: plugins\.allow: no plugin 'medai'; installed: ") as e:
        plan_case(parse_case(CASE % "medai", path), Registry())
    assert e.value.hint == "did you mean 'media'?"
