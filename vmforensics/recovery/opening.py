"""Evidence opened as frames, and its clock judged: how recoveries, calibrations and assessments begin."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vmforensics.case.fields import check_characters
from vmforensics.custody import Ledger, WatchedStream, shown
from vmforensics.data import Clock, Evidence, FrameStream
from vmforensics.errors import CaseError
from vmforensics.recovery import guard
from vmforensics.recovery.stretch import Stretch
from vmforensics.recovery.summary import describe_clock
from vmforensics.recovery.watch import Watcher
from vmforensics.stages import FrameSource
from vmforensics.timing import judge_clock

_LEAST_FRAMES = 120  # of a stretch: two seconds of ordinary footage, however large its pictures


def exhibit_at(path: str | Path) -> Evidence:
    """The evidence at a path that case files, records and pictures can hold.

    Parameters
    ----------
    path
        A video file, or a folder of pictures.

    Raises
    ------
    CaseError
        Its name holds control characters, or isn't UTF-8.
    """
    try:
        check_characters(os.path.realpath(path))
    except ValueError as error:
        raise CaseError(
            f"{shown(str(path))}: a path that {error} can't be written into a case file",
            hint="work on a copy under a plain name: its SHA-256 shows that it is the same",
        ) from error
    return Evidence(Path(path))


def open_watched(
    source: FrameSource,
    evidence: Evidence,
    implementation: dict[str, Any],
    watcher: Watcher,
    *,
    passes: Mapping[int, str] = MappingProxyType({}),
    most_pixels: int | None = None,
) -> WatchedStream:
    """Open evidence as frames that are digested as they are read, with progress told.

    Parameters
    ----------
    source
        What opens it.
    evidence
        The exhibit.
    implementation
        What the source is, for the message of a failure.
    watcher
        Told of every pass.
    passes
        What to call the first, second ... pass; "reading frames, pass 3" where it isn't said.
    most_pixels
        Read no more than the first frames that hold so many pixels, but a few seconds' worth; None for all.

    Raises
    ------
    EvidenceUnreadable, StageFailed
        It can't be opened.
    """
    opened: FrameStream = guard.call(implementation, lambda: source.open(evidence), FrameStream)
    guard.check_stream(implementation, opened)
    if most_pixels is not None:
        opened = Stretch.of(opened, most_pixels, least=_LEAST_FRAMES)

    def progress(done: int, total: int, number: int) -> None:
        watcher.progress(passes.get(number, f"reading frames, pass {number}"), done, total, "frames")

    return WatchedStream(opened, progress)


def clock_on_record(
    stream: FrameStream,
    ledger: Ledger,
    watcher: Watcher,
    *,
    capture_fps: float | None,
    stamps: NDArray[np.float64] | None = None,
) -> Clock:
    """Judge a stream's clock, as a step in the ledger.

    Parameters
    ----------
    stream
        The frames.
    ledger, watcher
        Told of what was found.
    capture_fps : float or None, Hz
        Frame rate as filmed, where the container's isn't true.
    stamps : ndarray [shape=(frames,), float64, s] or None
        Those of the whole clip, where the stream shows a stretch of it.

    Raises
    ------
    TimingError
        It can't be established.
    """
    with ledger.step("judge clock") as record:
        clock = judge_clock(
            stream.stamps if stamps is None else stamps,
            resolution=stream.stamp_resolution,
            declared_rate=stream.declared_rate,
            capture_fps=capture_fps,
        )
        record["clock"] = describe_clock(clock)
        watcher.say(f"clock: {clock.verdict.value}, {clock.rate:.6g} frames/s ({clock.basis})")
    return clock
