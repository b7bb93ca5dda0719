"""Calls into plugins: whatever goes wrong in them is named as theirs, and what they return is what it must be."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import io
from collections.abc import Callable, Iterator, Sequence, Set
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from vmforensics.data import FrameBlock, FrameStream, Motion, Signal
from vmforensics.errors import OutputError, StageError, VmforensicsError

T = TypeVar("T")

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def call(implementation: dict[str, Any], work: Callable[[], T], kind: type[Any]) -> T:
    """Call a stage, check what it returns, and make the arrays in it read-only.

    Frames that it returns are contained in the same way whenever they are read.

    Raises
    ------
    StageError
        It raised something that isn't a `VmforensicsError`, wrote to standard output, or returned another type or
        values that aren't allowed.
    OutputError
        The disk is full.
    """
    who = culprit(implementation)
    result = contained(implementation, work)
    if not isinstance(result, kind):
        raise StageError(f"{who} returned {type(result).__name__}; its interface asks for {kind.__name__}")
    if isinstance(result, Motion | Signal):
        try:
            seal(result)
        except ValueError as error:
            raise StageError(f"{who} returned a {kind.__name__} that isn't allowed: {error}") from error
    if isinstance(result, FrameStream):
        return cast(T, ContainedStream(result, implementation))
    return result


def contained(implementation: dict[str, Any], work: Callable[[], T]) -> T:
    """Let a stage work, with what goes wrong in it named as its own, and nothing of it on standard output.

    Raises
    ------
    StageError
        It raised something that isn't a `VmforensicsError`, or wrote to standard output.
    OutputError
        The disk is full.
    """
    who = culprit(implementation)
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            result = work()
    except (VmforensicsError, MemoryError):
        raise
    except (Exception, SystemExit) as error:  # a plugin may raise anything
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            raise OutputError(f"{who}: {error.strerror}", hint="make room on the disk, and run again") from error
        raise StageError(
            f"{who} failed: {type(error).__name__}: {error}",
            hint="this is a fault of the plugin; the ledger names its version and source",
        ) from error
    if text := said.getvalue():
        raise StageError(
            f"{who} wrote {text[:80]!r} to standard output, which belongs to the program",
            hint="this is a fault of the plugin: a stage prints nothing",
        )
    return result


class ContainedStream(FrameStream):
    """A frame stream whose reads are contained: what goes wrong in them is the source's fault, not the reader's.

    Whatever else the wrapped stream offers is offered here.

    Parameters
    ----------
    stream
        The frames.
    implementation
        The frame source that they come from.
    """

    def __init__(self, stream: FrameStream, implementation: dict[str, Any]) -> None:
        self._stream = stream
        self._implementation = implementation

    def __getattr__(self, name: str) -> object:
        if name in ("_stream", "_implementation"):  # not set yet: an object being copied or unpickled
            raise AttributeError(name)
        return getattr(self._stream, name)

    @property
    def frame_count(self) -> int:
        """Number of frames the container announces, decodable or not."""
        return self._stream.frame_count

    def blocks(self) -> Iterator[FrameBlock]:
        """One pass; see `FrameStream.blocks`.

        Raises
        ------
        StageError
            The source raised something else than its interface allows, or what it gave is no block of frames.
        """
        return self._checked(self._stream.blocks)

    def coded_blocks(self) -> Iterator[FrameBlock]:
        """One pass; see `FrameStream.coded_blocks`. Raises as `blocks` does."""
        return self._checked(self._stream.coded_blocks)

    def _checked(self, read: Callable[[], Iterator[FrameBlock]]) -> Iterator[FrameBlock]:
        blocks = contained(self._implementation, lambda: iter(read()))
        while (block := contained(self._implementation, lambda: next(blocks, None))) is not None:
            if not isinstance(block, FrameBlock):
                raise StageError(
                    f"{culprit(self._implementation)} gave {type(block).__name__} for a block of frames; "
                    "its interface asks for FrameBlock"
                )
            yield block


def seal(measured: Motion | Signal) -> None:
    """Check a motion or signal as it is now, and make its arrays read-only: no later stage can change it.

    Raises
    ------
    ValueError
        It isn't what its class allows, because an array was written to after it had been made.
    """
    measured.__post_init__()
    for field in dataclasses.fields(measured):
        array = getattr(measured, field.name)
        if isinstance(array, np.ndarray):
            array.flags.writeable = False


def culprit(implementation: dict[str, Any]) -> str:
    """A stage as an error message names it."""
    provider = f"{implementation['distribution']} {implementation['version']}".strip()
    provider = provider or str(implementation.get("origin", "local"))
    return f"{implementation['kind'].replace('_', ' ')} {implementation['name']!r} ({provider})"


def check_folder(implementation: dict[str, Any], before: Set[str], after: Set[str]) -> None:
    """Raise `StageError` where a stage put something into the run folder, which only the program writes to."""
    if added := sorted(after - before):
        raise StageError(
            f"{culprit(implementation)} put {', '.join(map(repr, added))} into the run folder",
            hint="an exporter writes into the folder given to it; a run folder holds what the ledger knows",
        )


def check_stream(implementation: dict[str, Any], stream: FrameStream) -> None:
    """Raise `StageError` where a stream lacks what its interface promises."""
    missing = [name for name in FrameStream.__annotations__ if not hasattr(stream, name)]
    if missing:
        raise StageError(f"{culprit(implementation)} returned a stream without {', '.join(missing)}")


def check_motion(implementation: dict[str, Any], motion: Motion, frames: int) -> None:
    """Raise `StageError` where a motion isn't about these frames."""
    if len(motion.frame_times) != frames:
        raise StageError(
            f"{culprit(implementation)} returned motion for {len(motion.frame_times)} frames of a clip of {frames}"
        )


def check_denoised(implementation: dict[str, Any], before: Signal, after: Signal) -> None:
    """Raise `StageError` where a denoiser changed more than the samples."""
    kept = ("rate", "start", "unit", "axis")
    changed = [name for name in kept if getattr(before, name) != getattr(after, name)]
    if before.samples.shape != after.samples.shape:
        changed.append("length")
    elif not np.array_equal(before.observed, after.observed):
        changed.append("observed mask")
    if changed:
        raise StageError(f"{culprit(implementation)} changed the signal's {', '.join(changed)}; it must keep them")


def check_files(implementation: dict[str, Any], files: Sequence[object], folder: Path) -> list[Path]:
    """The files that an exporter wrote; `StageError` where they aren't all that is in its folder, finished."""
    who = culprit(implementation)
    paths = [Path(file) for file in files if isinstance(file, str | Path)]
    if len(paths) != len(files):
        raise StageError(f"{who} returned something else than paths")
    for path in paths:
        if path.parent != folder or not path.is_file():
            raise StageError(f"{who} names {path}, which isn't a file in the folder given to it")
    if unnamed := sorted(path.name for path in set(folder.iterdir()) - set(paths)):
        raise StageError(f"{who} left {', '.join(map(repr, unnamed))} without naming it")
    if held := _open_below(folder):
        raise StageError(
            f"{who} left {', '.join(map(repr, held))} open: it could still change after its digest was taken",
            hint="an exporter closes what it has written",
        )
    return paths


def _open_below(folder: Path) -> list[str]:
    """The files in a folder that this process has open; none where the system doesn't tell."""
    found = set()
    for descriptor in Path("/proc/self/fd").glob("*"):
        with contextlib.suppress(OSError):  # it may be closed by now
            path = descriptor.readlink()
            if path.is_relative_to(folder.resolve()):
                found.add(path.name)
    return sorted(found)
