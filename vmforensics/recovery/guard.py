"""Calls into plugins: whatever goes wrong in them is named as theirs, and what they return is what it must be."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from vmforensics.data import FrameStream, Motion, Signal
from vmforensics.errors import OutputError, StageError, VmforensicsError

T = TypeVar("T")

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def call(implementation: dict[str, Any], work: Callable[[], T], kind: type[Any]) -> T:
    """Call a stage, check what it returns, and make the arrays in it read-only.

    Raises
    ------
    StageError
        It raised something that isn't a `VmforensicsError`, or returned another type or values that aren't allowed.
    OutputError
        The disk is full.
    """
    who = culprit(implementation)
    try:
        result = work()
    except (VmforensicsError, MemoryError):
        raise
    except Exception as error:  # a plugin may raise anything
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            raise OutputError(f"{who}: {error.strerror}", hint="make room on the disk, and run again") from error
        raise StageError(
            f"{who} failed: {type(error).__name__}: {error}",
            hint="this is a fault of the plugin; the ledger names its version and source",
        ) from error
    if not isinstance(result, kind):
        raise StageError(f"{who} returned {type(result).__name__}; its interface asks for {kind.__name__}")
    if isinstance(result, Motion | Signal):
        try:
            seal(result)
        except ValueError as error:
            raise StageError(f"{who} returned a {kind.__name__} that isn't allowed: {error}") from error
    return result


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
    provider = f"{implementation['distribution'] or 'local'} {implementation['version']}".strip()
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
    """The files that an exporter wrote; `StageError` where they aren't in its folder."""
    paths = [Path(file) for file in files if isinstance(file, str | Path)]
    if len(paths) != len(files):
        raise StageError(f"{culprit(implementation)} returned something else than paths")
    for path in paths:
        if path.parent != folder or not path.is_file():
            raise StageError(f"{culprit(implementation)} names {path}, which isn't a file in the folder given to it")
    return paths
