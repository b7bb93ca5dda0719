"""What every stage must do, as checks that a plugin's author runs over their own.

import pytest
from vmforensics.testing import stage_checks

@pytest.mark.parametrize("check", [pytest.param(c, id=name) for name, c in stage_checks(MyDenoiser)])
def test_my_denoiser(check):
check()
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import json
import pickle
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import (
    BRIGHTNESS,
    DISPLACEMENT,
    Channel,
    Clock,
    Detection,
    Evidence,
    FrameBlock,
    FrameStream,
    Luma,
    Motion,
    Quantity,
    Recovery,
    Region,
    RowTime,
    SensorFrames,
    Shutter,
    Signal,
    TimingVerdict,
    Verdict,
)
from vmforensics.errors import VmforensicsError
from vmforensics.stages import (
    KINDS,
    Denoiser,
    Exporter,
    FrameSource,
    MotionEstimator,
    RowTimeCalibrator,
    SignalCombiner,
    Stage,
    StageParams,
)
from vmforensics.testing.camera import Camera, Flicker
from vmforensics.testing.simulation import Simulation, simulate


class CheckFailed(AssertionError):
    """A stage doesn't do what its interface asks; the message names the stage and every check that failed."""


class StoredFrames(FrameStream):
    """Frames from memory as a source would open them, in blocks of any size, some of them undecodable.

    Parameters
    ----------
    luma : ndarray [shape=(frames, rows, cols), uint8 or uint16, digital numbers]
    rate : float, Hz
        Frame rate.
    block
        Frames in a block.
    lost
        Numbers of the frames that can't be decoded.

    Examples
    --------
    >>> stream = StoredFrames(np.zeros((5, 4, 6), np.uint8), rate=60.0, block=2, lost=(1,))
    >>> [block.index.tolist() for block in stream.blocks()]
    [[0, 2], [3, 4]]
    """

    def __init__(self, luma: Luma, *, rate: float, block: int = 16, lost: Sequence[int] = ()) -> None:
        self.luma = luma
        self._block = block
        self._good = np.setdiff1d(np.arange(len(luma)), lost)
        self.height, self.width = luma.shape[1:]
        self.full_scale = 255 if luma.dtype == np.uint8 else 65535
        self.stamps = np.arange(len(luma)) / rate
        self.stamp_resolution = 0.0
        self.declared_rate = rate
        self.facts = {"container": "none (in memory)"}
        self.complaints = []

    def blocks(self) -> Iterator[FrameBlock]:
        """One pass; see `FrameStream.blocks`."""
        for first in range(0, len(self._good), self._block):
            index = self._good[first : first + self._block]
            yield FrameBlock(index, self.luma[index])

    def sensor_frames(self, shutter: Shutter | None = None, region: Region | None = None) -> SensorFrames:
        """The frames with an exact clock, ready for a motion estimator."""
        clock = Clock(self.stamps, cast(float, self.declared_rate), TimingVerdict.EXACT, "frames counted")
        return SensorFrames(self, clock, shutter or Shutter(), region)


def check_stage(
    stage_class: type[Stage], params: StageParams | None = None, *, evidence: str | Path | None = None
) -> None:
    """Run every check on a stage.

    Parameters
    ----------
    stage_class
        A class of one of the kinds.
    params
        Its parameters; the defaults if None.
    evidence
        For a frame source that reads neither FFV1 in Matroska, nor PNG pictures, nor a TIFF of many pages, nor a
        Photron recording: a clip that it does read.

    Raises
    ------
    CheckFailed
        At least one check failed; the message lists all that did.
    """
    failures = []
    for _, check in stage_checks(stage_class, params, evidence=evidence):
        try:
            check()
        except CheckFailed as failure:
            failures.append(str(failure))
    if failures:
        raise CheckFailed("\n".join(failures))


def stage_checks(
    stage_class: type[Stage], params: StageParams | None = None, *, evidence: str | Path | None = None
) -> Iterator[tuple[str, Callable[[], None]]]:
    """The checks that apply to a stage, by name, for pytest's `parametrize`; each raises `CheckFailed`.

    Parameters
    ----------
    stage_class, params, evidence
        As for `check_stage`.

    Examples
    --------
    >>> from vmforensics.stages import Denoiser
    >>> class Idle(Denoiser):
    ...     name = "idle"
    ...     summary = "does nothing"
    ...     def denoise(self, signal):
    ...         return signal
    >>> [name for name, _ in stage_checks(Idle)][:3]
    ['interface', 'name', 'summary']
    """
    subject = _Subject(stage_class, params, Path(evidence) if evidence is not None else None)
    for kind, name, check in _CHECKS:
        if issubclass(stage_class, kind):
            yield name, functools.partial(_run, subject, name, check)


@dataclass(eq=False)
class _Subject:
    """A stage under examination, with what it has returned so far."""

    stage_class: type[Stage]
    params: StageParams | None
    evidence: Path | None
    results: dict[object, Any] = field(default_factory=dict)

    def make(self) -> Any:
        """A new instance."""
        return self.stage_class(self.params)

    def remembered(self, key: object, work: Callable[[], Any]) -> Any:
        if key not in self.results:
            self.results[key] = work()
        return self.results[key]


_Check = Callable[[_Subject], None]
_CHECKS: list[tuple[type[Stage], str, _Check]] = []


class _Wrong(Exception):
    """What is wrong, in words."""


def _check(kind: type[Stage], name: str) -> Callable[[_Check], _Check]:
    def add(check: _Check) -> _Check:
        _CHECKS.append((kind, name, check))
        return check

    return add


def _run(subject: _Subject, name: str, check: _Check) -> None:
    stage = subject.stage_class
    who = f"{stage.kind or 'stage'} {stage.name or stage.__name__!r}, check {name!r}"
    try:
        check(subject)
    except _Wrong as wrong:
        raise CheckFailed(f"{who}: {wrong}") from None
    except Exception as error:  # a stranger's code may raise anything
        raise CheckFailed(f"{who}: raised {type(error).__name__}: {error}") from error


def _require(condition: object, otherwise: str) -> None:
    if not condition:
        raise _Wrong(otherwise)


def _same(first: Any, second: Any) -> bool:
    """Whether two results agree to the last bit."""
    if isinstance(first, np.ndarray):
        return (
            isinstance(second, np.ndarray)
            and (first.shape, first.dtype) == (second.shape, second.dtype)
            and first.tobytes() == second.tobytes()
        )
    if dataclasses.is_dataclass(first):
        return type(first) is type(second) and all(
            _same(getattr(first, f.name), getattr(second, f.name)) for f in dataclasses.fields(first)
        )
    if isinstance(first, tuple | list):
        return type(first) is type(second) and len(first) == len(second) and all(map(_same, first, second))
    return bool(first == second)


def _refused(work: Callable[[], Any]) -> bool:
    """Whether some work is refused with an error that a user can read."""
    try:
        work()
    except VmforensicsError:
        return True
    return False


# Every stage


@_check(Stage, "interface")
def _interface(subject: _Subject) -> None:
    kinds = [kind.__name__ for kind in KINDS if issubclass(subject.stage_class, kind)]
    _require(len(kinds) == 1, f"it derives from {', '.join(kinds) or 'none'} of the interfaces; it must be one")
    missing = sorted(getattr(subject.stage_class, "__abstractmethods__", ()))
    _require(not missing, f"it doesn't implement {', '.join(missing)}")


@_check(Stage, "name")
def _name(subject: _Subject) -> None:
    name = subject.stage_class.name
    _require(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name), f"{name!r} must be lower case, words joined by hyphens")


@_check(Stage, "summary")
def _summary(subject: _Subject) -> None:
    summary = subject.stage_class.summary
    _require(summary.strip() and "\n" not in summary, f"the summary {summary!r} must be one line that says something")
    _require("\n" not in subject.stage_class.reference, "the reference must be one line")


@_check(Stage, "parameters are documented")
def _documented(subject: _Subject) -> None:
    params = subject.stage_class.Params
    _require(issubclass(params, StageParams), f"{params.__name__} must derive from StageParams")
    bare = [name for name, info in params.model_fields.items() if not (info.description or "").strip()]
    _require(not bare, f"no description, with its unit, on: {', '.join(bare)}")


@_check(Stage, "parameters are frozen and strict")
def _frozen(subject: _Subject) -> None:
    params = subject.make().params
    _require(isinstance(params, subject.stage_class.Params), f"params are a {type(params).__name__}")
    config = type(params).model_config
    for key, wanted in (("frozen", True), ("extra", "forbid"), ("allow_inf_nan", False)):
        _require(config.get(key) == wanted, f"{type(params).__name__} must keep {key}={wanted!r} of StageParams")
    again = type(params).model_validate(params.model_dump(mode="json"))
    _require(again == params, "the parameters don't survive being written to a case file and read back")


@_check(Stage, "picklable")
def _picklable(subject: _Subject) -> None:
    stage = subject.make()
    copy = pickle.loads(pickle.dumps(stage))  # noqa: S301 - our own bytes
    _require(type(copy) is type(stage) and copy.params == stage.params, "a pickled copy isn't the same stage")


@_check(Stage, "prints nothing")
def _quiet(subject: _Subject) -> None:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        subject.results.clear()
        _USES[subject.stage_class.kind](subject)
    _require(not said.getvalue(), f"it wrote {said.getvalue()[:80]!r} to the terminal; results and errors say it all")


# Frame sources


@functools.cache
def _little_clip() -> Simulation:
    return simulate(Camera(width=48, height=32, fps=60, frames=12), scene="print", sound="tone:7", rms_px=1.0)


@contextlib.contextmanager
def _readable(subject: _Subject) -> Iterator[tuple[Evidence, bool]]:
    """Evidence that the source takes, and whether it holds the frames of `_little_clip`."""
    from vmforensics.testing.encode import write_clip, write_image_sequence, write_photron, write_tiff_stack

    source = cast(type[FrameSource], subject.stage_class)
    if subject.evidence is not None:
        yield Evidence(subject.evidence), False
        return
    with tempfile.TemporaryDirectory() as folder:
        clip = _little_clip()
        film, pictures, stack, recording = (Path(folder) / n for n in ("clip.mkv", "pictures", "clip.tif", "clip.cih"))
        write_clip(clip, film)
        write_image_sequence(clip, pictures)
        write_tiff_stack(clip, stack)
        write_photron(clip, recording)
        for path in (film, pictures, stack, recording):
            if source.accepts(Evidence(path)):
                yield Evidence(path), True
                return
        raise _Wrong("it takes neither FFV1 in Matroska nor a folder of PNGs; name a clip that it takes: evidence=")


def _read(stream: FrameStream) -> tuple[NDArray[np.int64], Luma]:
    blocks = list(stream.blocks())
    return np.concatenate([b.index for b in blocks]), np.concatenate([b.luma for b in blocks])


def _bytes_of(evidence: Evidence) -> list[bytes]:
    return [file.read_bytes() for file in evidence.files()]


@_check(FrameSource, "opens what it takes")
def _opens(subject: _Subject) -> None:
    with _readable(subject) as (evidence, ours):
        stream = subject.make().open(evidence)
        _require(isinstance(stream, FrameStream), f"open returned {type(stream).__name__}")
        missing = [name for name in FrameStream.__annotations__ if not hasattr(stream, name)]
        _require(not missing, f"the stream lacks {', '.join(missing)}")
        json.dumps(dict(stream.facts), allow_nan=False)
        index, luma = _read(stream)
        _require(np.all(np.diff(index) > 0) and index[-1] < stream.frame_count, "indices must increase within stamps")
        _require(luma.shape[1:] == (stream.height, stream.width), f"frames of {luma.shape[1:]} aren't height × width")
        _require(int(luma.max()) <= stream.full_scale, f"luma exceeds full_scale, {stream.full_scale}")
        if ours:
            _require(_same(luma, _little_clip().frames), "lossless luma isn't what was written: it was stretched")
            _require(stream.frame_count == len(luma), f"{stream.frame_count} stamps for {len(luma)} frames")


@_check(FrameSource, "every pass is the same")
def _same_passes(subject: _Subject) -> None:
    with _readable(subject) as (evidence, _):
        stream = subject.make().open(evidence)
        next(stream.blocks())  # a pass given up half-way
        first, second = _read(stream), _read(stream)
        _require(_same(first, second), "two passes over one stream differ")
        _require(_same(first, _read(subject.make().open(evidence))), "opening the evidence again gives other frames")


@_check(FrameSource, "leaves the evidence alone")
def _evidence_unchanged(subject: _Subject) -> None:
    with _readable(subject) as (evidence, _):
        before, names = _bytes_of(evidence), evidence.files()
        _read(subject.make().open(evidence))
        _require(evidence.files() == names and _bytes_of(evidence) == before, "the evidence changed")


@_check(FrameSource, "refuses what it can't read")
def _refuses_rubbish(subject: _Subject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        empty, text, nothing = (Path(folder) / name for name in ("empty.mp4", "text.mp4", "nothing"))
        empty.touch()
        text.write_text("this is no video\n" * 50)
        nothing.mkdir()
        for path in (empty, text, nothing, Path(folder) / "missing.mp4"):
            evidence = Evidence(path)
            refused = _refused(lambda: _read(subject.make().open(evidence)))  # noqa: B023 - called at once
            _require(refused, f"it opened {path.name} without a VmforensicsError")


# Motion estimators

_TONE = 130.0  # Hz
_SLANTED = (0.8, 0.6)


@functools.cache
def _clip(what: str, quantity: Quantity = DISPLACEMENT) -> Simulation:
    """A clip to estimate on: "tone", "still", "blank" or "rolling"; its motion, or its light, is the tone."""
    shutter = Shutter(line_delay=20e-6, exposure=1e-4) if what == "rolling" else Shutter()
    silent = what in ("still", "blank")
    lit = quantity is BRIGHTNESS and not silent
    return simulate(
        Camera(width=128, height=96, fps=500, frames=90, noise=(1.0, 0.0), shutter=shutter),
        scene="grey" if what == "blank" else "print",
        sound="silence" if silent or lit else f"tone:{_TONE}",
        rms_px=0.0 if silent or lit else 0.07,
        flicker=Flicker(_TONE, 0.1) if lit else None,
        direction=float(np.degrees(np.arctan2(_SLANTED[1], _SLANTED[0]))),
    )


def _quantity(subject: _Subject) -> Quantity:
    return cast(type[MotionEstimator], subject.stage_class).quantity


def _estimated(
    subject: _Subject, what: str, *, block: int = 16, lost: Sequence[int] = (), region: Region | None = None
) -> Motion:
    """Motion of a clip; each is measured once."""

    def work() -> Motion:
        clip = _clip(what, _quantity(subject))
        stored = StoredFrames(clip.frames.copy(), rate=clip.camera.fps, block=block, lost=lost)
        motion = subject.make().estimate(stored.sensor_frames(clip.shutter, region))
        _require(isinstance(motion, Motion), f"estimate returned {type(motion).__name__}")
        _require(_same(stored.luma, clip.frames), "it changed the frames that it was given")
        return cast(Motion, motion)

    return cast(Motion, subject.remembered((what, block, tuple(lost), region), work))


def _against_truth(motion: Motion, clip: Simulation) -> tuple[float, float]:
    """Gain and correlation of a motion along the true axis with the truth at its own instants."""
    if clip.flicker:
        found, information = motion.along((1.0, 0.0))
        truth = clip.flicker.light(motion.instants, clip.camera.exposure) - 1
    else:
        found, information = motion.along(clip.truth.axis)
        truth = clip.displacement(motion.instants)
    seen = information > 0
    weight = information[seen]
    centred = [x[seen] - np.average(x[seen], weights=weight) for x in (found, truth)]
    products = [[float(np.sum(weight * a * b)) for b in centred] for a in centred]
    _require(products[0][0] > 0, "it saw nothing move")
    return products[0][1] / products[1][1], products[0][1] / float(np.sqrt(products[0][0] * products[1][1]))


@_check(MotionEstimator, "keeps the clip's clock")
def _motion_clock(subject: _Subject) -> None:
    motion, clip = _estimated(subject, "tone"), _clip("tone", _quantity(subject))
    _require(_same(motion.frame_times, clip.frame_times), "frame_times aren't the clock's")
    _require(motion.frame_rate == clip.camera.fps, f"frame_rate is {motion.frame_rate}, not the clock's")
    _require(
        motion.quantity == _quantity(subject), f"it measured {motion.quantity.name}, and is said to measure another"
    )
    _require(motion.channels and motion.observed.any(), "it returned no channel, or nothing observed")
    _require(len({c.label for c in motion.channels}) == len(motion.channels), "two channels have one label")


@_check(MotionEstimator, "precision is a covariance's inverse")
def _precision(subject: _Subject) -> None:
    precision = _estimated(subject, "tone").precision.astype(np.float64)
    size = float(np.abs(precision).max())
    _require(np.abs(precision - precision.swapaxes(-1, -2)).max() <= 1e-5 * size, "precision isn't symmetric")
    _require(np.linalg.eigvalsh(precision).min() >= -1e-5 * size, "precision has a negative eigenvalue")


@_check(MotionEstimator, "deterministic")
def _motion_deterministic(subject: _Subject) -> None:
    first = _estimated(subject, "tone")
    subject.results.clear()
    _require(_same(first, _estimated(subject, "tone")), "the same frames gave another motion")


@_check(MotionEstimator, "independent of blocks")
def _motion_blocks(subject: _Subject) -> None:
    whole = _estimated(subject, "tone", block=1000)
    along, information = whole.along(_SLANTED)
    for size in (1, 7):
        other, known = _estimated(subject, "tone", block=size).along(_SLANTED)
        off = float(np.max(np.abs(other - along) * np.sqrt(information)))
        _require(off < 0.05, f"blocks of {size} frames change the motion by {off:.2g} σ")
        _require(np.allclose(known, information, rtol=0.05), f"blocks of {size} frames change σ by over 2.5 %")


@_check(MotionEstimator, "recovers a tone in px")
def _motion_tone(subject: _Subject) -> None:
    gain, correlation = _against_truth(_estimated(subject, "tone"), _clip("tone", _quantity(subject)))
    _require(correlation > 0.95, f"correlation with the truth is {correlation:.3f}; more than 0.95 asked")
    _require(abs(gain - 1) < 0.05, f"it reads {gain:.3f} times what is true")


@_check(MotionEstimator, "rows have their own instants")
def _motion_rolling(subject: _Subject) -> None:
    clip, region = _clip("rolling", _quantity(subject)), Region(0, 48, 128, 48)
    motion = _estimated(subject, "rolling", region=region)
    span = StoredFrames(clip.frames, rate=clip.camera.fps).sensor_frames(clip.shutter, region).row_offsets()
    inside = (motion.row_offsets >= span[0] - 1e-9) & (motion.row_offsets <= span[-1] + 1e-9)
    _require(inside.all(), "row_offsets lie outside the readout of the region")
    _, correlation = _against_truth(motion, clip)
    _require(correlation > 0.95, f"correlation at the stated instants is {correlation:.3f}; more than 0.95 asked")


@_check(MotionEstimator, "silence stays silent")
def _motion_silent(subject: _Subject) -> None:
    motion = _estimated(subject, "still")
    for axis in ((1.0, 0.0), (0.0, 1.0), _SLANTED):
        found, information = motion.along(axis)
        seen = information > 0
        if not seen.any():  # a direction that its channels don't respond to
            continue
        spread = float(np.sqrt(np.mean(found[seen] ** 2 * information[seen])))
        _require(0.8 < spread < 1.25, f"a still clip reads {spread:.2f} times the stated σ along {axis}")


@_check(MotionEstimator, "halves are independent")
def _motion_halves(subject: _Subject) -> None:
    motion = _estimated(subject, "still")
    made = {channel.half for channel in motion.channels} - {None}
    if not made:  # allowed; the detector then answers "undetermined"
        return
    _require(made == {0, 1}, f"halves are numbered {sorted(made, key=str)}; both 0 and 1 are needed")
    for axis in ((1.0, 0.0), (0.0, 1.0)):
        first, second = (motion.half(k).along(axis) for k in (0, 1))
        seen = (first[1] > 0) & (second[1] > 0)
        a, b = (found[seen] * np.sqrt(information[seen]) for found, information in (first, second))
        shared = float(a @ b / np.sqrt((a @ a) * (b @ b))) if len(a) else 0.0
        _require(abs(shared) < 5 / np.sqrt(max(len(a), 1)), f"their noise correlates by {shared:.3f} along {axis}")


@_check(MotionEstimator, "undecodable frames are unobserved")
def _motion_lost(subject: _Subject) -> None:
    lost = (0, 40, 41, 89)
    motion = _estimated(subject, "tone", lost=lost)
    _require(not motion.observed[list(lost)].any(), "it claims to have observed frames that weren't there")
    _require(not motion.displacement[~motion.observed].any(), "displacement isn't 0 where nothing was observed")
    _, correlation = _against_truth(motion, _clip("tone", _quantity(subject)))
    _require(correlation > 0.95, f"lost frames spoil the others: correlation {correlation:.3f}")


@_check(MotionEstimator, "refuses what holds no motion")
def _motion_refuses(subject: _Subject) -> None:
    few = tuple(range(2, _clip("tone").camera.frames))
    _require(_refused(lambda: _estimated(subject, "tone", lost=few)), "two frames gave no VmforensicsError")
    if _quantity(subject) == DISPLACEMENT:  # what is blank can still be bright
        _require(_refused(lambda: _estimated(subject, "blank")), "a blank wall gave no VmforensicsError")
    tiny = Region(0, 0, 4, 4)
    _require(_refused(lambda: _estimated(subject, "tone", region=tiny)), "4x4 px gave no VmforensicsError")


# Signal combiners


def _sound(times: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(0.02 * np.sqrt(2) * np.sin(2 * np.pi * 170.0 * times))


@functools.cache
def _motion(what: str, rolling: bool) -> Motion:
    """A motion against the frames' mean, to combine: "tone", "silence", or "gap" (a tone with frames lost)."""
    rng = np.random.default_rng(4)
    rate = 60.0 if rolling else 1000.0
    frames, rows = (16, 60) if rolling else (300, 1)
    times = np.arange(frames) / rate
    offsets = np.asarray(np.arange(rows) * 0.8 / (rate * rows) + 1e-4, dtype=np.float64)
    sigma = np.array([1.0, 2.0, 1.2, 2.0]) * 0.004
    observed = np.ones((frames, rows), bool)
    if what == "gap":
        observed[frames // 2 : frames // 2 + 3] = False
    truth = np.zeros((frames, rows)) if what == "silence" else _sound(times[:, None] + offsets)
    truth = truth - truth.mean(axis=0)
    noise = rng.standard_normal((frames, rows, 4)) * sigma
    displacement = truth[..., None] * [*_SLANTED, *_SLANTED] + noise
    return Motion(
        displacement=np.where(observed[..., None], displacement, 0).astype(np.float32),
        precision=np.diag(1 / sigma**2).astype(np.float32)[None, None],
        observed=observed,
        frame_times=times,
        row_offsets=offsets,
        channels=tuple(
            Channel(f"{name}, half {half}", axis, half)
            for half in (0, 1)
            for name, axis in (("x", (1.0, 0.0)), ("y", (0.0, 1.0)))
        ),
        frame_rate=rate,
    )


def _combined(subject: _Subject, what: str) -> list[tuple[Motion, Signal]]:
    """The signals made of a motion under a global and a rolling shutter; one kind may be refused."""

    def work() -> list[tuple[Motion, Signal]]:
        found: list[tuple[Motion, Signal]] = []
        for rolling in (False, True):
            original = _motion(what, rolling)
            given = pickle.loads(pickle.dumps(original))  # noqa: S301 - our own bytes
            try:
                signal = subject.make().combine(given)
            except VmforensicsError:
                continue
            _require(isinstance(signal, Signal), f"combine returned {type(signal).__name__}")
            _require(_same(given, original), "it changed the motion that it was given")
            found.append((original, signal))
        _require(found, "it refused the motion of a global shutter and that of a rolling one")
        return found

    return cast(list[tuple[Motion, Signal]], subject.remembered(what, work))


@_check(SignalCombiner, "keeps the clip's time line")
def _signal_times(subject: _Subject) -> None:
    for motion, signal in _combined(subject, "tone"):
        first, last, frame = motion.instants.min(), motion.instants.max(), 1 / motion.frame_rate
        _require(abs(signal.start - first) < frame, f"it starts at {signal.start:.4g} s, the clip at {first:.4g} s")
        end = float(signal.times[-1])
        _require(abs(end - last) < frame, f"it ends at {end:.4g} s, the clip at {last:.4g} s")
        _require(signal.rate >= motion.frame_rate * (1 - 1e-9), f"{signal.rate:g} Hz is below the frame rate")
        _require(abs(np.hypot(*signal.axis) - 1) < 1e-6, f"the axis {signal.axis} isn't a unit vector")


@_check(SignalCombiner, "keeps the quantity")
def _signal_quantity(subject: _Subject) -> None:
    for motion, displacement in _combined(subject, "tone"):
        brightness = subject.make().combine(replace(motion, quantity=BRIGHTNESS))
        for signal, wanted in ((displacement, DISPLACEMENT), (brightness, BRIGHTNESS)):
            _require(signal.quantity == wanted, f"it made {signal.quantity.name} of {wanted.name}")


@_check(SignalCombiner, "deterministic")
def _signal_deterministic(subject: _Subject) -> None:
    first = _combined(subject, "tone")
    subject.results.clear()
    for (_, before), (_, after) in zip(first, _combined(subject, "tone"), strict=True):
        _require(_same(before, after), "the same motion gave another signal")


@_check(SignalCombiner, "recovers a tone in px")
def _signal_tone(subject: _Subject) -> None:
    for _, signal in _combined(subject, "tone"):
        along = abs(float(np.dot(signal.axis, _SLANTED)))
        _require(along > 0.98, f"the axis {signal.axis} isn't that of the motion, {_SLANTED}")
        seen = signal.observed
        truth = _sound(signal.times[seen]) * np.sign(np.dot(signal.axis, _SLANTED))
        correlation = float(np.corrcoef(signal.samples[seen], truth)[0, 1])
        _require(correlation > 0.95, f"correlation with the true displacement is {correlation:.3f}; over 0.95 asked")
        gain = float(signal.samples[seen] @ truth / (truth @ truth))
        _require(abs(gain - 1) < 0.05, f"it reads {gain:.3f} px for a pixel")


@_check(SignalCombiner, "states its uncertainty")
def _signal_sigma(subject: _Subject) -> None:
    for _, signal in _combined(subject, "tone"):
        seen = signal.observed
        truth = _sound(signal.times[seen]) * np.sign(np.dot(signal.axis, _SLANTED))
        _require((signal.sigma[seen] > 0).all(), "σ is 0 for samples that were observed")
        spread = float(np.sqrt(np.mean(((signal.samples[seen] - truth) / signal.sigma[seen]) ** 2)))
        _require(0.15 < spread < 1.6, f"its error is {spread:.2f} times the stated σ")


@_check(SignalCombiner, "silence stays silent")
def _signal_silent(subject: _Subject) -> None:
    for _, signal in _combined(subject, "silence"):
        for seen, which in ((signal.observed, "observed"), (~signal.observed, "filled-in")):
            if seen.any():
                level, sigma = (float(np.sqrt(np.mean(x[seen] ** 2))) for x in (signal.samples, signal.sigma))
                _require(level <= 1.3 * sigma, f"{which} samples of noise reach {level:.2g} px, σ is {sigma:.2g} px")


@_check(SignalCombiner, "lost frames are unobserved")
def _signal_gap(subject: _Subject) -> None:
    for (motion, signal), (_, whole) in zip(_combined(subject, "gap"), _combined(subject, "tone"), strict=True):
        lost = motion.instants[~motion.observed]
        inside = (signal.times >= lost.min()) & (signal.times <= lost.max())
        _require(not signal.observed[inside].any(), "it claims to have observed what no frame showed")
        elsewhere = signal.observed[~inside].sum() / whole.observed[~inside].sum()
        _require(elsewhere > 0.9, f"{1 - elsewhere:.0%} of what other frames showed was lost as well")


# Denoisers

_RATE = 8000.0  # Hz


def _signal(samples: NDArray[np.float64], *, sigma: float = 0.0, gaps: bool = False) -> Signal:
    observed = np.ones(len(samples), bool)
    if gaps:
        observed.reshape(-1)[len(samples) // 3 : len(samples) // 2] = False
    return Signal(
        samples=np.where(observed, samples, 0.0),
        rate=_RATE,
        start=0.25,
        observed=observed,
        sigma=np.where(observed, sigma, 0.0),
        axis=_SLANTED,
        warnings=("said before",),
    )


def _tone() -> NDArray[np.float64]:
    return np.asarray(0.02 * np.sin(2 * np.pi * 440.0 * np.arange(4000) / _RATE))


def _noise(size: int = 4000) -> NDArray[np.float64]:
    return np.asarray(0.004 * np.random.default_rng(8).standard_normal(size))


def _denoised(subject: _Subject, signal: Signal) -> Signal:
    given = pickle.loads(pickle.dumps(signal))  # noqa: S301 - our own bytes
    result = subject.make().denoise(given)
    _require(isinstance(result, Signal), f"denoise returned {type(result).__name__}")
    _require(_same(given, signal), "it changed the signal that it was given")
    return cast(Signal, result)


@_check(Denoiser, "keeps the time line")
def _denoiser_times(subject: _Subject) -> None:
    before = _signal(_tone() + _noise(), sigma=0.004, gaps=True)
    after = _denoised(subject, before)
    for name in ("rate", "start", "quantity", "axis", "observed"):
        _require(_same(getattr(before, name), getattr(after, name)), f"it changed the signal's {name}")
    _require(after.samples.shape == before.samples.shape, f"{len(before.samples)} samples became {len(after.samples)}")
    _require(set(before.warnings) <= set(after.warnings), "it lost the warnings of the stages before it")


@_check(Denoiser, "deterministic")
def _denoiser_deterministic(subject: _Subject) -> None:
    signal = _signal(_tone() + _noise(), sigma=0.004)
    _require(_same(_denoised(subject, signal), _denoised(subject, signal)), "the same signal gave another result")


@_check(Denoiser, "zeros stay zeros")
def _denoiser_zeros(subject: _Subject) -> None:
    for sigma in (0.0, 0.004):
        after = _denoised(subject, _signal(np.zeros(4000), sigma=sigma))
        _require(not after.samples.any(), f"digital silence (σ {sigma}) became {np.abs(after.samples).max():.2g} px")


@_check(Denoiser, "short and constant signals")
def _denoiser_short(subject: _Subject) -> None:
    for size in (1, 2, 3, 17, 100):
        signal = _signal(_noise(size), sigma=0.004)
        with contextlib.suppress(VmforensicsError):  # to refuse is allowed
            after = _denoised(subject, signal)
            _require(after.samples.shape == (size,), f"{size} samples became {len(after.samples)}")
    after = _denoised(subject, _signal(np.full(4000, 0.5), sigma=0.004))
    _require(np.abs(after.samples).max() < 1.0, "a constant signal is more than doubled")


@_check(Denoiser, "does no harm")
def _denoiser_harmless(subject: _Subject) -> None:
    clean, noise = _tone(), _noise()
    after = _denoised(subject, _signal(clean + noise, sigma=0.004))
    correlation = float(np.corrcoef(after.samples, clean)[0, 1])
    _require(correlation > 0.95, f"a tone of 440 Hz well above the noise is lost: correlation {correlation:.3f}")
    error = float(np.std(after.samples - clean) / np.std(noise))
    _require(error < 1.1, f"it makes a tone's error {error:.2f} times as large")
    alone = _denoised(subject, _signal(noise, sigma=0.004)).samples
    growth = float(np.std(alone) / np.std(noise))
    _require(growth < 1.05, f"it makes noise {growth:.2f} times as loud")


# Exporters


@functools.cache
def _recovery(what: str) -> Recovery:
    """A recovery to export: "signal", "no-signal" or "zeros"."""
    size = 800
    samples = np.zeros(size) if what == "zeros" else _tone()[:size] + _noise(size)
    recovered, raw = _signal(samples, sigma=0.004), _signal(samples, sigma=0.004, gaps=True)
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
def _exported(subject: _Subject, what: str) -> Iterator[tuple[list[Path], Path]]:
    original = _recovery(what)
    given = pickle.loads(pickle.dumps(original))  # noqa: S301 - our own bytes
    with tempfile.TemporaryDirectory() as folder:
        into = Path(folder)
        paths = subject.make().export(given, into)
        _require(isinstance(paths, list), f"export returned {type(paths).__name__}; a list of paths is asked")
        _require(_same(given, original), "it changed the recovery that it was given")
        yield paths, into


@_check(Exporter, "writes into its folder")
def _exporter_files(subject: _Subject) -> None:
    for what in ("signal", "no-signal", "zeros"):
        with _exported(subject, what) as (paths, into):
            _require(paths, "it wrote nothing")
            _require(all(isinstance(p, Path) and p.parent == into for p in paths), f"{paths} aren't paths in {into}")
            _require(len(set(paths)) == len(paths), "it names a file twice")
            _require(all(p.is_file() and p.stat().st_size for p in paths), "a file is missing or empty")
            _require({*into.iterdir()} == {*paths}, "it left files that it doesn't name")


@_check(Exporter, "deterministic")
def _exporter_deterministic(subject: _Subject) -> None:
    with _exported(subject, "signal") as (first, here), _exported(subject, "signal") as (second, there):
        _require([p.name for p in first] == [p.name for p in second], "the same recovery gave other files")
        for a, b in zip(first, second, strict=True):
            _require(a.read_bytes() == b.read_bytes(), f"the same recovery gave other bytes: {a.name}")
            _require(str(here).encode() not in a.read_bytes(), f"{a.name} holds the path of its folder")
        _require(here != there, "the folders are one")


# At work


def _use_source(subject: _Subject) -> None:
    with _readable(subject) as (evidence, _):
        _read(subject.make().open(evidence))


def _use_exporter(subject: _Subject) -> None:
    with _exported(subject, "signal"):
        pass


# Row-time calibrators


def _calibrated(subject: _Subject, what: str) -> RowTime:
    """The row time of a clip without flicker, light or tone; each is measured once."""

    def work() -> RowTime:
        clip = _clip(what)
        luma = clip.frames[:1] if what == "tone" else clip.frames  # one picture of it
        stored = StoredFrames(luma.copy(), rate=clip.camera.fps)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "clip.raw"
            path.write_bytes(b"no telemetry")
            row_time = subject.make().calibrate(stored.sensor_frames(), Evidence(path))
            _require(path.read_bytes() == b"no telemetry", "it changed the evidence")
        _require(isinstance(row_time, RowTime), f"calibrate returned {type(row_time).__name__}")
        _require(_same(stored.luma, luma), "it changed the frames that it was given")
        return cast(RowTime, row_time)

    return cast(RowTime, subject.remembered(("calibrated", what), work))


@_check(RowTimeCalibrator, "makes up no row time")
def _nothing_made_up(subject: _Subject) -> None:
    for what in ("still", "blank", "tone"):
        row_time = _calibrated(subject, what)
        _require(row_time.prior or not row_time.determinate, f"it measured {row_time.value} s where nothing tells")
        _require(row_time.method == subject.stage_class.name, f"the answer is signed {row_time.method!r}")


@_check(RowTimeCalibrator, "gives the same answer again")
def _same_row_time(subject: _Subject) -> None:
    first = _calibrated(subject, "still")
    subject.results.clear()
    _require(_same(first, _calibrated(subject, "still")), "two calibrations of one clip differ")


_USES: dict[str, Callable[[_Subject], object]] = {
    "frame_source": _use_source,
    "motion_estimator": lambda subject: _estimated(subject, "still"),
    "signal_combiner": lambda subject: _combined(subject, "silence"),
    "denoiser": lambda subject: _denoised(subject, _signal(_noise(), sigma=0.004)),
    "exporter": _use_exporter,
    "row_time_calibrator": lambda subject: _calibrated(subject, "still"),
}
"""One use of a stage of each kind."""
