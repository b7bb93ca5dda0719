"""What is asked of an exporter."""

from __future__ import annotations

import contextlib
import functools
import pickle
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vmforensics.data import Detection, Recovery, Verdict
from vmforensics.errors import VmforensicsError
from vmforensics.stages import Exporter
from vmforensics.testing.checks.denoiser import noise, signal_of, tone
from vmforensics.testing.checks.subject import Subject, check, read_only, require, same, use


@functools.cache
def _recovery(what: str) -> Recovery:
    """A recovery to export: "signal", "no-signal" or "zeros"; "1" and "2" are that many samples of no signal."""
    size = int(what) if what.isdecimal() else 800
    samples = np.zeros(size) if what == "zeros" else tone()[:size] + noise(size)
    recovered, raw = signal_of(samples, sigma=0.004), signal_of(samples, sigma=0.004, gaps=True)
    found = what == "signal"
    detection = Detection(
        Verdict.SIGNAL if found else Verdict.NO_SIGNAL,
        1e-9 if found else 0.7,
        0.01,
        (400.0, 480.0) if found else None,
        "made up for a check",
    )
    return Recovery(raw, recovered, detection, title="check · run · clip.mkv", notches=(60.0, 120.0))


@contextlib.contextmanager
def _exported(subject: Subject, what: str) -> Iterator[tuple[list[Path], Path]]:
    original = _recovery(what)
    given = read_only(pickle.loads(pickle.dumps(original)))  # noqa: S301 - our own bytes
    with tempfile.TemporaryDirectory() as folder:
        into = Path(folder)
        paths = subject.make().export(given, into)
        require(isinstance(paths, list), f"export returned {type(paths).__name__}; a list of paths is asked")
        require(same(given, original), "it changed the recovery that it was given")
        require(all(isinstance(p, Path) and p.parent == into for p in paths), f"{paths} aren't paths in {into}")
        yield paths, into


@check(Exporter, "writes into its folder")
def _exporter_files(subject: Subject) -> None:
    """It names all files that it writes, in the folder given to it, of silence as well."""
    for what in ("signal", "no-signal", "zeros"):
        with _exported(subject, what) as (paths, into):
            require(paths, "it wrote nothing")
            require(len(set(paths)) == len(paths), "it names a file twice")
            require(all(p.is_file() and p.stat().st_size for p in paths), "a file is missing or empty")
            require({*into.iterdir()} == {*paths}, "it left files that it doesn't name")


@check(Exporter, "deterministic")
def _exporter_deterministic(subject: Subject) -> None:
    """The same recovery gives the same bytes, which don't hold the folder's path."""
    with _exported(subject, "signal") as (first, here), _exported(subject, "signal") as (second, there):
        require([p.name for p in first] == [p.name for p in second], "the same recovery gave other files")
        for a, b in zip(first, second, strict=True):
            require(a.read_bytes() == b.read_bytes(), f"the same recovery gave other bytes: {a.name}")
            require(str(here).encode() not in a.read_bytes(), f"{a.name} holds the path of its folder")
        require(here != there, "the folders are one")


@check(Exporter, "short recoveries")
def _exporter_short(subject: Subject) -> None:
    """A recovery of one or two samples is written or refused."""
    for size in ("1", "2"):
        with contextlib.suppress(VmforensicsError), _exported(subject, size) as (paths, _):  # to refuse is allowed
            require(paths, f"it wrote nothing of {size} samples")


@use(Exporter)
def _use(subject: Subject) -> None:
    with _exported(subject, "signal"):
        pass
