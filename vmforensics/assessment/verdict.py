"""The verdict on a clip, with its reasons in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import log10

from vmforensics.assessment.budget import LOUDNESS, SPEECH_LEVEL, Method
from vmforensics.data import Clock, RowTime, TimingVerdict
from vmforensics.shots import some_of

_GOOD_SNR = 0.0  # dB in 80-1000 Hz: smoothing and denoising win some 10 dB for tonal sound, less for the rest
_SHORT, _TOO_SHORT = 1.0, 0.1  # s; no syllable is shorter
_GOOD_ROW_TIME = 0.003  # relative uncertainty
_CRUSHED = 0.3  # share of a small motion left by the compression below which its shape is gone too
_LEAST_UPPER = 200.0  # Hz; below it there is a voice's pitch at best
_CLIPPED = 0.05  # share of the pixels
_VAGUE = 0.5  # of the stated noise, that there must be for it to be known well
_MOST = 0.5  # of the clip; where less was looked at, that is worth a word


class Suitability(StrEnum):
    """Whether sound can be recovered from a clip."""

    SUITABLE = "suitable"
    MARGINAL = "marginal"
    NOT_SUITABLE = "not suitable"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict.

    Parameters
    ----------
    word : Suitability
    reasons : tuple of str
        Why, the weightiest first.
    method : Method or None
        The way of recovery that promises most; None where none does.
    """

    word: Suitability
    reasons: tuple[str, ...]
    method: Method | None


def judge(
    methods: Sequence[Method],
    clock: Clock,
    row_time: RowTime | None,
    *,
    duration: float,
    looked_at: float,
    clipped: float,
    predicted: bool,
    cuts: Sequence[int] = (),
    intruders: Sequence[int] = (),
) -> Judgement:
    """Weigh what is known.

    `suitable` asks that the motion which a loud voice of 80 dB causes at under two metres equals the noise from 80 Hz
    to 1 kHz, before any smoothing; `marginal` that the loudest that published experiments played does.

    Parameters
    ----------
    methods
        The ways of recovery that the clip may allow.
    clock
        The clip's clock.
    row_time
        What is known of the row time; None where nobody looked.
    duration : float, s
        Of the clip.
    looked_at : float, s
        Of the stretch at its beginning that all this was measured on.
    clipped : float
        Share of the pixels at either end of the codes in use.
    predicted
        Whether a lossy codec predicts frames from one another.
    cuts
        Frames of the stretch at which the picture changes altogether.
    intruders
        Frames that something else flashes up in; they were left out.
    """
    possible = [m for m in methods if m.floor is not None and not m.refusal and m.detectable(1000.0) is not None]
    if not possible:
        why = tuple(f"as a {m.shutter} shutter: {m.refusal or _nothing(m)}" for m in methods)
        return Judgement(Suitability.NOT_SUITABLE, (*why, *_unseen(duration, looked_at)), None)
    timed = row_time is not None and row_time.determinate and not row_time.prior
    method = max(
        possible, key=lambda m: (_usable(m, timed), m.upper >= _LEAST_UPPER, m.snr(SPEECH_LEVEL, 1000.0) or -300)
    )
    loud, loudest = (
        method.snr(displacement, 1000.0) or -300.0 for displacement in (SPEECH_LEVEL, LOUDNESS[-1].displacement)
    )
    reasons, word = [_heard(method, loud, loudest)], Suitability.SUITABLE
    if loudest < _GOOD_SNR:
        word = Suitability.NOT_SUITABLE
    elif loud < _GOOD_SNR:
        word = Suitability.MARGINAL
    if duration < _TOO_SHORT:
        word = Suitability.NOT_SUITABLE
        reasons.insert(0, f"the clip lasts {duration:.2g} s: no syllable is that short")
    limits = list(_limits(method, clock, row_time, duration=duration, clipped=clipped))
    if cuts:
        limits.append(
            f"the picture changes altogether at frame {some_of(cuts)}: the map mixes what was seen before and after; "
            "cut the clip there, and assess each part"
        )
    if predicted and method.gain is None:
        limits.append(
            "the compression predicts frames from one another and rounds small motions away; how much of them is left "
            "isn't known"
        )
    if limits and word is Suitability.SUITABLE:
        word = Suitability.MARGINAL
    notes = [f"the picture is another for a moment at frame {some_of(intruders)}: that is left out"] * bool(intruders)
    return Judgement(word, (*reasons, *_common(method), *limits, *notes, *_unseen(duration, looked_at)), method)


def _common(method: Method) -> Sequence[str]:
    """What is to be said where the stretch shows more motion than noise."""
    floor, least = method.floor, method.detectable(1000.0)
    if floor is None or least is None or floor.firm:
        return ()
    return (
        f"that noise isn't firm: the stretch shows motion {20 * log10(floor.most / floor.density):.0f} dB above it, "
        f"{least * floor.most / floor.density:.2g} px RMS, which is sound, or what drift, light or the codec do to the "
        "whole picture alike; a recovery shows it as well, and only its own tests tell them apart",
    )


def _unseen(duration: float, looked_at: float) -> Sequence[str]:
    """What is to be said where most of the clip wasn't looked at."""
    if looked_at > _MOST * duration:
        return ()
    return (f"all this was measured on the first {looked_at:.3g} s; the other {duration - looked_at:.4g} s may differ",)


def _usable(method: Method, timed: bool) -> bool:
    """Whether a run could be made right away: rows whose time isn't known can't be used."""
    return (method.shutter == "global" and method.upper > _LEAST_UPPER / 2) or timed


def _nothing(method: Method) -> str:
    if method.floor is None:
        return "nothing in the picture shows motion"
    return f"{method.upper * 2:.4g} frames/s show nothing from 80 Hz up"


def _heard(method: Method, loud: float, loudest: float) -> str:
    least = method.detectable(1000.0) or 0.0
    told = (
        f"as a {method.shutter} shutter, motion of {least:.2g} px RMS from 80 to {min(1000.0, method.upper):.0f} Hz "
        "equals the noise"
    )
    if loud >= _GOOD_SNR:
        return f"{told}; a loud voice of 80 dB at under two metres would be {loud:.0f} dB above it"
    if loudest >= _GOOD_SNR:
        return (
            f"{told}; a loud voice of 80 dB at under two metres would be at {round(loud):+d} dB, the 110 dB of "
            f"published experiments at {round(loudest):+d} dB"
        )
    return f"{told}; even the 110 dB of published experiments would be at {round(loudest):+d} dB"


def _limits(
    method: Method, clock: Clock, row_time: RowTime | None, *, duration: float, clipped: float
) -> Sequence[str]:
    """What keeps a clip from being suitable, however low its noise."""
    limits = []
    if method.doubt:
        limits.append(method.doubt)
    if method.gain is not None and method.gain < _CRUSHED:
        limits.append(f"the compression left about {100 * method.gain:.0f} % of so small a motion, and distorted it")
    if method.floor is not None and method.floor.excess is None:
        limits.append("the noise is the method's own estimate: there are too few frames to check it by")
    if method.floor is not None and method.floor.held < _VAGUE:
        limits.append(
            "the compression holds successive frames alike: the noise is known within "
            f"{10 * log10(1 / method.floor.held):.0f} dB either way only, but for its own sudden changes"
        )
    if method.repeated and not method.doubt:
        limits.append(
            f"{method.repeated} of the {method.frames} frames measured repeat the one before: they "
            "show nothing, and count as gaps"
        )
    if method.upper < _LEAST_UPPER:
        limits.append(f"nothing above {method.upper:.4g} Hz shows")
    if clock.verdict is TimingVerdict.VARIABLE or clock.doubtful_by:
        limits.append(f"the frames' times are uncertain ({clock.basis})")
    if method.shutter == "rolling":
        known = None if row_time is None else row_time.relative_uncertainty
        if row_time is None or row_time.value is None or row_time.prior:
            limits.append("the row time isn't known: film an LED of known frequency with the same camera and mode")
        elif known is not None and known > _GOOD_ROW_TIME:
            limits.append(f"the row time is known to {100 * known:.2g} % only")
    if _TOO_SHORT <= duration < _SHORT:
        limits.append(f"the clip lasts {duration:.2g} s only")
    if clipped > _CLIPPED:
        limits.append(f"{100 * clipped:.0f} % of the pixels are clipped, and show no motion")
    return limits
