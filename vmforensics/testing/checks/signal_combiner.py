"""What is asked of a signal combiner: motions whose displacement is known."""

from __future__ import annotations

import functools
import pickle
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import BRIGHTNESS, DISPLACEMENT, Channel, Motion, Signal
from vmforensics.errors import VmforensicsError
from vmforensics.stages import SignalCombiner
from vmforensics.testing.checks.subject import Subject, check, check_arrays, read_only, refusal, require, same, use

_SLANTED = (0.8, 0.6)
SIGNAL_DTYPES = {"samples": np.float64, "sigma": np.float64, "observed": np.bool_}
"""The arrays of a signal."""


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


def _combined(subject: Subject, what: str) -> list[tuple[Motion, Signal]]:
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
            require(isinstance(signal, Signal), f"combine returned {type(signal).__name__}")
            check_arrays(signal, SIGNAL_DTYPES)
            require(same(given, original), "it changed the motion that it was given")
            found.append((original, signal))
        require(found, "it refused the motion of a global shutter and that of a rolling one")
        return found

    return cast(list[tuple[Motion, Signal]], subject.remembered(what, work))


@check(SignalCombiner, "keeps the clip's time line")
def _signal_times(subject: Subject) -> None:
    """The signal begins and ends where the clip does, at the frame rate or above."""
    for motion, signal in _combined(subject, "tone"):
        first, last, frame = motion.instants.min(), motion.instants.max(), 1 / motion.frame_rate
        require(abs(signal.start - first) < frame, f"it starts at {signal.start:.4g} s, the clip at {first:.4g} s")
        end = float(signal.times[-1])
        require(abs(end - last) < frame, f"it ends at {end:.4g} s, the clip at {last:.4g} s")
        require(signal.rate >= motion.frame_rate * (1 - 1e-9), f"{signal.rate:g} Hz is below the frame rate")
        require(abs(np.hypot(*signal.axis) - 1) < 1e-6, f"the axis {signal.axis} isn't a unit vector")


@check(SignalCombiner, "keeps the quantity")
def _signal_quantity(subject: Subject) -> None:
    """Displacement stays displacement, brightness brightness."""
    for motion, displacement in _combined(subject, "tone"):
        brightness = subject.make().combine(replace(motion, quantity=BRIGHTNESS))
        for signal, wanted in ((displacement, DISPLACEMENT), (brightness, BRIGHTNESS)):
            require(signal.quantity == wanted, f"it made {signal.quantity.name} of {wanted.name}")


@check(SignalCombiner, "deterministic")
def _signal_deterministic(subject: Subject) -> None:
    """The same motion gives the same signal, bit for bit."""
    first = _combined(subject, "tone")
    subject.results.clear()
    for (_, before), (_, after) in zip(first, _combined(subject, "tone"), strict=True):
        require(same(before, after), "the same motion gave another signal")


@check(SignalCombiner, "recovers a tone in px")
def _signal_tone(subject: Subject) -> None:
    """It finds a known tone's direction, and its size within 5 %."""
    for _, signal in _combined(subject, "tone"):
        along = abs(float(np.dot(signal.axis, _SLANTED)))
        require(along > 0.98, f"the axis {signal.axis} isn't that of the motion, {_SLANTED}")
        seen = signal.observed
        truth = _sound(signal.times[seen]) * np.sign(np.dot(signal.axis, _SLANTED))
        correlation = float(np.corrcoef(signal.samples[seen], truth)[0, 1])
        require(correlation > 0.95, f"correlation with the true displacement is {correlation:.3f}; over 0.95 asked")
        gain = float(signal.samples[seen] @ truth / (truth @ truth))
        require(abs(gain - 1) < 0.05, f"it reads {gain:.3f} px for a pixel")


@check(SignalCombiner, "states its uncertainty")
def _signal_sigma(subject: Subject) -> None:
    """The error is what the stated uncertainty says, or less."""
    for _, signal in _combined(subject, "tone"):
        seen = signal.observed
        truth = _sound(signal.times[seen]) * np.sign(np.dot(signal.axis, _SLANTED))
        require((signal.sigma[seen] > 0).all(), "σ is 0 for samples that were observed")
        spread = float(np.sqrt(np.mean(((signal.samples[seen] - truth) / signal.sigma[seen]) ** 2)))
        require(0.15 < spread < 1.6, f"its error is {spread:.2f} times the stated σ")


@check(SignalCombiner, "silence stays silent")
def _signal_silent(subject: Subject) -> None:
    """Noise alone stays within its uncertainty, also where samples are filled in."""
    for _, signal in _combined(subject, "silence"):
        for seen, which in ((signal.observed, "observed"), (~signal.observed, "filled-in")):
            if seen.any():
                level, sigma = (float(np.sqrt(np.mean(x[seen] ** 2))) for x in (signal.samples, signal.sigma))
                require(level <= 1.3 * sigma, f"{which} samples of noise reach {level:.2g} px, σ is {sigma:.2g} px")


@check(SignalCombiner, "lost frames are unobserved")
def _signal_gap(subject: Subject) -> None:
    """What no frame showed is marked as unobserved, and little else."""
    for (motion, signal), (_, whole) in zip(_combined(subject, "gap"), _combined(subject, "tone"), strict=True):
        lost = motion.instants[~motion.observed]
        inside = (signal.times >= lost.min()) & (signal.times <= lost.max())
        require(not signal.observed[inside].any(), "it claims to have observed what no frame showed")
        elsewhere = signal.observed[~inside].sum() / whole.observed[~inside].sum()
        require(elsewhere > 0.9, f"{1 - elsewhere:.0%} of what other frames showed was lost as well")


@check(SignalCombiner, "takes what can't be written to")
def _signal_read_only(subject: Subject) -> None:
    """It works on arrays that can't be written to, as a run hands them over."""
    for motion, signal in _combined(subject, "tone"):
        given = read_only(pickle.loads(pickle.dumps(motion)))  # noqa: S301 - our own bytes
        require(same(subject.make().combine(given), signal), "arrays that can't be written to give another signal")


@check(SignalCombiner, "short and constant motions")
def _signal_short(subject: Subject) -> None:
    """One frame, two, or a motion that is constant or unobserved, gives a plausible signal or is refused."""
    for whole, _ in _combined(subject, "silence"):
        for size in (1, 2, 5):
            _refused_or_right(subject, _beginning(whole, size))
        few = _beginning(whole, 5)
        constant = replace(few, displacement=np.zeros_like(few.displacement))
        _refused_or_right(subject, constant)
        _refused_or_right(subject, replace(constant, observed=np.zeros_like(few.observed)))


def _beginning(motion: Motion, frames: int) -> Motion:
    return replace(
        motion,
        displacement=motion.displacement[:frames],
        observed=motion.observed[:frames],
        frame_times=motion.frame_times[:frames],
    )


def _refused_or_right(subject: Subject, motion: Motion) -> None:
    found: list[Signal] = []
    if refusal(lambda: found.append(subject.make().combine(motion))) is not None:
        return
    (signal,) = found
    require(isinstance(signal, Signal), f"combine returned {type(signal).__name__}")
    check_arrays(signal, SIGNAL_DTYPES)
    require(motion.observed.any() or not signal.observed.any(), "of a motion that nothing observed, it observed some")
    largest, level = (float(np.abs(x).max()) for x in (motion.displacement, signal.samples))
    frames = len(motion.frame_times)
    require(level <= 10 * largest, f"{frames} frames that read {largest:.2g} px at most became {level:.2g} px")


@use(SignalCombiner)
def _use(subject: Subject) -> None:
    _combined(subject, "silence")
