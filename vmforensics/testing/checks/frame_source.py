"""What is asked of a frame source."""

from __future__ import annotations

import contextlib
import functools
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Evidence, FrameStream, Luma
from vmforensics.stages import FrameSource
from vmforensics.testing.camera import Camera
from vmforensics.testing.checks.subject import Subject, Wrong, check, refusal, require, same, use
from vmforensics.testing.simulation import Simulation, simulate


@functools.cache
def _little_clip() -> Simulation:
    return simulate(Camera(width=48, height=32, fps=60, frames=12), scene="print", sound="tone:7", rms_px=1.0)


@contextlib.contextmanager
def _readable(subject: Subject) -> Iterator[tuple[Evidence, bool]]:
    """Evidence that the source takes, and whether it holds the frames of `_little_clip`."""
    from vmforensics.testing.encode import write_clip, write_image_sequence, write_photron, write_tiff_stack

    source = cast(type[FrameSource], subject.stage_class)
    if isinstance(subject.evidence, Path):
        yield Evidence(subject.evidence), False
        return
    with tempfile.TemporaryDirectory() as folder:
        clip = _little_clip()
        if subject.evidence is not None:
            own = Evidence(subject.evidence(clip.frames, Path(folder)))
            require(source.accepts(own), f"it doesn't take {own.path.name}, which was written for it")
            yield own, True
            return
        film, pictures, stack, recording = (Path(folder) / n for n in ("clip.mkv", "pictures", "clip.tif", "clip.cih"))
        write_clip(clip, film)
        write_image_sequence(clip, pictures)
        write_tiff_stack(clip, stack)
        write_photron(clip, recording)
        for path in (film, pictures, stack, recording):
            if source.accepts(Evidence(path)):
                yield Evidence(path), True
                return
        raise Wrong(
            "it takes neither FFV1 in Matroska, nor PNG pictures, nor a TIFF of many pages, nor a Photron recording; "
            "name a clip that it takes (evidence=, or --evidence)"
        )


def _read(stream: FrameStream) -> tuple[NDArray[np.int64], Luma]:
    blocks = list(stream.blocks())
    return np.concatenate([b.index for b in blocks]), np.concatenate([b.luma for b in blocks])


def _bytes_of(evidence: Evidence) -> list[bytes]:
    return [file.read_bytes() for file in evidence.files()]


@check(FrameSource, "opens what it takes")
def _opens(subject: Subject) -> None:
    """The stream has all that is promised, and lossless pixels come through as they were written."""
    with _readable(subject) as (evidence, ours):
        stream = subject.make().open(evidence)
        require(isinstance(stream, FrameStream), f"open returned {type(stream).__name__}")
        missing = [name for name in FrameStream.__annotations__ if not hasattr(stream, name)]
        require(not missing, f"the stream lacks {', '.join(missing)}")
        json.dumps(dict(stream.facts), allow_nan=False)
        stamps = stream.stamps
        require(isinstance(stamps, np.ndarray) and stamps.dtype == np.float64, "stamps aren't an array of float64")
        index, luma = _read(stream)
        require(index.dtype == np.int64, f"index is {index.dtype}; int64 is asked")
        require(luma.dtype in (np.uint8, np.uint16), f"luma is {luma.dtype}; uint8 or uint16 is asked")
        require(np.all(np.diff(index) > 0) and index[-1] < stream.frame_count, "indices must increase within stamps")
        require(luma.shape[1:] == (stream.height, stream.width), f"frames of {luma.shape[1:]} aren't height × width")
        require(int(luma.max()) <= stream.full_scale, f"luma exceeds full_scale, {stream.full_scale}")
        if ours:
            require(same(luma, _little_clip().frames), "lossless luma isn't what was written: it was stretched")
            require(stream.frame_count == len(luma), f"{stream.frame_count} stamps for {len(luma)} frames")


@check(FrameSource, "every pass is the same")
def _same_passes(subject: Subject) -> None:
    """Every pass over the frames gives the same ones, also after one that was given up."""
    with _readable(subject) as (evidence, _):
        stream = subject.make().open(evidence)
        next(stream.blocks())  # a pass given up half-way
        first, second = _read(stream), _read(stream)
        require(same(first, second), "two passes over one stream differ")
        require(same(first, _read(subject.make().open(evidence))), "opening the evidence again gives other frames")


@check(FrameSource, "leaves the evidence alone")
def _evidence_unchanged(subject: Subject) -> None:
    """The exhibit's files are the same afterwards, and no other lies beside them."""
    with _readable(subject) as (evidence, _):
        before, names = _bytes_of(evidence), evidence.files()
        _read(subject.make().open(evidence))
        require(evidence.files() == names and _bytes_of(evidence) == before, "the evidence changed")


@check(FrameSource, "refuses what it can't read")
def _refuses_rubbish(subject: Subject) -> None:
    """An empty file, a text, an empty folder and a missing one are refused with an error that names the file."""
    with tempfile.TemporaryDirectory() as folder:
        empty, text, nothing = (Path(folder) / name for name in ("empty.mp4", "text.mp4", "nothing"))
        empty.touch()
        text.write_text("this is no video\n" * 50)
        nothing.mkdir()
        for path in (empty, text, nothing, Path(folder) / "missing.mp4"):
            said = refusal(lambda: _read(subject.make().open(Evidence(path))))  # noqa: B023 - called at once
            require(said is not None, f"it opened {path.name} without a VmforensicsError")
            require(path.name in str(said), f"its error doesn't name the file {path.name}: {said!r}")


@use(FrameSource)
def _use(subject: Subject) -> None:
    with _readable(subject) as (evidence, _):
        _read(subject.make().open(evidence))
