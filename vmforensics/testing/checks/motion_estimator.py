"""What is asked of a motion estimator: clips whose motion is known."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from typing import cast

import numpy as np

from vmforensics.data import BRIGHTNESS, DISPLACEMENT, Motion, Quantity, Region, Shutter
from vmforensics.errors import VmforensicsError
from vmforensics.stages import MotionEstimator
from vmforensics.testing.camera import Camera, Flicker
from vmforensics.testing.checks.stored_frames import StoredFrames
from vmforensics.testing.checks.subject import Subject, check, check_arrays, refusal, require, same, use
from vmforensics.testing.simulation import Simulation, simulate

_TONE = 130.0  # Hz
_NEXT_TO_NOTHING = 1e-3  # px, or relative brightness
_SLANTED = (0.8, 0.6)
_TABLE = (3 + np.add.outer(np.arange(8), np.arange(8))).astype(np.float32)  # DN; of a good Motion JPEG
_DTYPES = {
    "displacement": np.float32,
    "precision": np.float32,
    "observed": np.bool_,
    "frame_times": np.float64,
    "row_offsets": np.float64,
}


@functools.cache
def clip_of(what: str, quantity: Quantity = DISPLACEMENT) -> Simulation:
    """A clip to estimate on: "tone", "still", "blank" or "rolling"; its motion, or its light, is the tone.

    "frozen" is a still one without noise.
    """
    shutter = Shutter(line_delay=20e-6, exposure=1e-4) if what == "rolling" else Shutter()
    silent = what in ("still", "blank", "frozen")
    lit = quantity is BRIGHTNESS and not silent
    return simulate(
        Camera(
            width=128, height=96, fps=500, frames=90, noise=(0.0 if what == "frozen" else 1.0, 0.0), shutter=shutter
        ),
        scene="grey" if what == "blank" else "print",
        sound="silence" if silent or lit else f"tone:{_TONE}",
        rms_px=0.0 if silent or lit else 0.07,
        flicker=Flicker(_TONE, 0.1) if lit else None,
        direction=float(np.degrees(np.arctan2(_SLANTED[1], _SLANTED[0]))),
    )


def _quantity(subject: Subject) -> Quantity:
    return cast(type[MotionEstimator], subject.stage_class).quantity


def _estimated(
    subject: Subject, what: str, *, block: int = 16, lost: Sequence[int] = (), region: Region | None = None
) -> Motion:
    """Motion of a clip; each is measured once."""

    def work() -> Motion:
        clip = clip_of(what, _quantity(subject))
        table = _TABLE if cast(type[MotionEstimator], subject.stage_class).reads_coding else None
        stored = StoredFrames(clip.frames.copy(), rate=clip.camera.fps, block=block, lost=lost, table=table)
        given = stored.luma.copy()
        motion = subject.make().estimate(stored.sensor_frames(clip.shutter, region))
        require(isinstance(motion, Motion), f"estimate returned {type(motion).__name__}")
        check_arrays(motion, _DTYPES)
        require(same(stored.luma, given), "it changed the frames that it was given")
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
    require(products[0][0] > 0, "it saw nothing move")
    return products[0][1] / products[1][1], products[0][1] / float(np.sqrt(products[0][0] * products[1][1]))


@check(MotionEstimator, "keeps the clip's clock")
def _motion_clock(subject: Subject) -> None:
    """Frame times and rate are the clock's, the quantity is the one it is said to measure."""
    motion, clip = _estimated(subject, "tone"), clip_of("tone", _quantity(subject))
    require(same(motion.frame_times, clip.frame_times), "frame_times aren't the clock's")
    require(motion.frame_rate == clip.camera.fps, f"frame_rate is {motion.frame_rate}, not the clock's")
    require(
        motion.quantity == _quantity(subject), f"it measured {motion.quantity.name}, and is said to measure another"
    )
    require(motion.channels and motion.observed.any(), "it returned no channel, or nothing observed")
    require(len({c.label for c in motion.channels}) == len(motion.channels), "two channels have one label")


@check(MotionEstimator, "precision is a covariance's inverse")
def _precision(subject: Subject) -> None:
    """The stated precision is symmetric and has no negative eigenvalue."""
    precision = _estimated(subject, "tone").precision.astype(np.float64)
    size = float(np.abs(precision).max())
    require(np.abs(precision - precision.swapaxes(-1, -2)).max() <= 1e-5 * size, "precision isn't symmetric")
    require(np.linalg.eigvalsh(precision).min() >= -1e-5 * size, "precision has a negative eigenvalue")


@check(MotionEstimator, "deterministic")
def _motion_deterministic(subject: Subject) -> None:
    """The same frames give the same motion, bit for bit."""
    first = _estimated(subject, "tone")
    subject.results.clear()
    require(same(first, _estimated(subject, "tone")), "the same frames gave another motion")


@check(MotionEstimator, "independent of blocks")
def _motion_blocks(subject: Subject) -> None:
    """In blocks of whatever size the frames come, the motion is the same within a twentieth of its uncertainty."""
    whole = _estimated(subject, "tone", block=1000)
    along, information = whole.along(_SLANTED)
    for size in (1, 7):
        other, known = _estimated(subject, "tone", block=size).along(_SLANTED)
        off = float(np.max(np.abs(other - along) * np.sqrt(information)))
        require(off < 0.05, f"blocks of {size} frames change the motion by {off:.2g} σ")
        require(np.allclose(known, information, rtol=0.05), f"blocks of {size} frames change σ by over 2.5 %")


@check(MotionEstimator, "recovers a tone in px")
def _motion_tone(subject: Subject) -> None:
    """It finds a known tone with the right size, within 5 %."""
    gain, correlation = _against_truth(_estimated(subject, "tone"), clip_of("tone", _quantity(subject)))
    require(correlation > 0.95, f"correlation with the truth is {correlation:.3f}; more than 0.95 asked")
    require(abs(gain - 1) < 0.05, f"it reads {gain:.3f} times what is true")


@check(MotionEstimator, "rows have their own instants")
def _motion_rolling(subject: Subject) -> None:
    """Of a rolling shutter, instants lie within the region's readout, and the tone is found at them."""
    clip, region = clip_of("rolling", _quantity(subject)), Region(0, 48, 128, 48)
    motion = _estimated(subject, "rolling", region=region)
    span = StoredFrames(clip.frames, rate=clip.camera.fps).sensor_frames(clip.shutter, region).row_offsets()
    inside = (motion.row_offsets >= span[0] - 1e-9) & (motion.row_offsets <= span[-1] + 1e-9)
    require(inside.all(), "row_offsets lie outside the readout of the region")
    _, correlation = _against_truth(motion, clip)
    require(correlation > 0.95, f"correlation at the stated instants is {correlation:.3f}; more than 0.95 asked")


@check(MotionEstimator, "silence stays silent")
def _motion_silent(subject: Subject) -> None:
    """A still clip reads as much as the stated uncertainty says, no more and no less by a quarter."""
    motion = _estimated(subject, "still")
    for axis in ((1.0, 0.0), (0.0, 1.0), _SLANTED):
        found, information = motion.along(axis)
        seen = information > 0
        if not seen.any():  # a direction that its channels don't respond to
            continue
        spread = float(np.sqrt(np.mean(found[seen] ** 2 * information[seen])))
        require(0.8 < spread < 1.25, f"a still clip reads {spread:.2f} times the stated σ along {axis}")


@check(MotionEstimator, "halves are independent")
def _motion_halves(subject: Subject) -> None:
    """Channels of the two halves share no noise."""
    motion = _estimated(subject, "still")
    made = {channel.half for channel in motion.channels} - {None}
    if not made:  # allowed; the detector then answers "undetermined"
        return
    require(made == {0, 1}, f"halves are numbered {sorted(made, key=str)}; both 0 and 1 are needed")
    for axis in ((1.0, 0.0), (0.0, 1.0)):
        first, second = (motion.half(k).along(axis) for k in (0, 1))
        seen = (first[1] > 0) & (second[1] > 0)
        a, b = (found[seen] * np.sqrt(information[seen]) for found, information in (first, second))
        shared = float(a @ b / np.sqrt((a @ a) * (b @ b))) if len(a) else 0.0
        require(abs(shared) < 5 / np.sqrt(max(len(a), 1)), f"their noise correlates by {shared:.3f} along {axis}")


@check(MotionEstimator, "undecodable frames are unobserved")
def _motion_lost(subject: Subject) -> None:
    """Frames that can't be decoded are marked as unobserved, and don't spoil the others."""
    lost = (0, 40, 41, 89)
    motion = _estimated(subject, "tone", lost=lost)
    require(not motion.observed[list(lost)].any(), "it claims to have observed frames that weren't there")
    require(not motion.displacement[~motion.observed].any(), "displacement isn't 0 where nothing was observed")
    _, correlation = _against_truth(motion, clip_of("tone", _quantity(subject)))
    require(correlation > 0.95, f"lost frames spoil the others: correlation {correlation:.3f}")


@check(MotionEstimator, "frames all alike")
def _motion_frozen(subject: Subject) -> None:
    """Frames that are all alike don't move, or are refused."""
    with contextlib.suppress(VmforensicsError):  # to refuse is allowed
        motion = _estimated(subject, "frozen")
        moved = float(np.abs(motion.displacement).max(initial=0.0))
        require(moved < _NEXT_TO_NOTHING, f"frames that are all alike move by {moved:.2g} {motion.quantity.unit}")


@check(MotionEstimator, "refuses what holds no motion")
def _motion_refuses(subject: Subject) -> None:
    """Two frames, a blank wall and a region of 4x4 px are refused with an error that says why."""
    few = tuple(range(2, clip_of("tone").camera.frames))
    require(refusal(lambda: _estimated(subject, "tone", lost=few)), "two frames gave no VmforensicsError")
    if _quantity(subject) == DISPLACEMENT:  # what is blank can still be bright
        require(refusal(lambda: _estimated(subject, "blank")), "a blank wall gave no VmforensicsError")
    tiny = Region(0, 0, 4, 4)
    require(refusal(lambda: _estimated(subject, "tone", region=tiny)), "4x4 px gave no VmforensicsError")


@use(MotionEstimator)
def _use(subject: Subject) -> None:
    _estimated(subject, "still")
