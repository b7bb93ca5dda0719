"""Is the picture in readout order as stated? Its own slow motion tells.

While the rows are read the picture moves on: within a frame, displacement grows with the row's instant at the speed
that the picture has from frame to frame. Where it doesn't, the rows weren't exposed one after another at the stated
pace and in the stated direction: a global shutter, a stabiliser's warp, another direction or axis, another row time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from vmforensics.data import Motion
from vmforensics.numerics.pace import pace_of

_KNOWN = 0.15
"""Standard uncertainty of the pace up to which it says anything."""

_LEAST_DEVIATION = 0.3  # of the pace from 1; less is a matter of the row time's accuracy
_LEAST_SIGMAS = 4.0


class ReadoutVerdict(StrEnum):
    """What the picture's slow motion says of the readout."""

    CONSISTENT = "consistent"  # the rows were exposed in the order and at the pace stated
    CONTRADICTED = "contradicted"  # they weren't
    UNKNOWN = "unknown"  # the picture rests, or its rows move in other ways


@dataclass(frozen=True, slots=True)
class Readout:
    """How far the picture moves on during readout, compared with its motion from frame to frame.

    Parameters
    ----------
    verdict : ReadoutVerdict
        What it says of the stated readout.
    pace : float or None
        1 for the readout as stated, 0 for rows exposed together, -1 for the reverse direction, q for a row time that is
        q times the stated one. None where there is too little to tell.
    uncertainty : float or None
        Its standard uncertainty.
    reason : str
        The finding in plain words.
    """

    verdict: ReadoutVerdict
    pace: float | None
    uncertainty: float | None
    reason: str


def judge_readout(motion: Motion, *, predicted: bool = False) -> Readout:
    """Ask the picture's slow motion whether the readout is as stated; see `numerics.pace`.

    Parameters
    ----------
    motion
        As measured, its sway still in it.
    predicted
        Whether a lossy codec predicts frames from one another. It may hold a picture still that sways by less than
        half a pixel, which then contradicts nothing.
    """
    pace = pace_of(motion)
    if isinstance(pace, str):
        return Readout(ReadoutVerdict.UNKNOWN, None, None, f"readout order couldn't be checked: {pace}")
    found = _judged(pace.value, pace.uncertainty)
    if found.verdict is ReadoutVerdict.CONTRADICTED and predicted and motion.path is None:
        told = "readout order couldn't be checked: compression may have held the picture still"
        return Readout(ReadoutVerdict.UNKNOWN, pace.value, pace.uncertainty, told)
    return found


def _judged(pace: float, uncertainty: float) -> Readout:
    shown = f"during readout the picture moves by {pace:.2f} ± {uncertainty:.2f} of what its motion between frames"
    if uncertainty > _KNOWN:
        reason = "the picture rests, or its rows move in other ways"
        return Readout(ReadoutVerdict.UNKNOWN, pace, uncertainty, f"readout order couldn't be checked: {reason}")
    if abs(pace - 1) <= max(_LEAST_DEVIATION, _LEAST_SIGMAS * uncertainty):
        return Readout(ReadoutVerdict.CONSISTENT, pace, uncertainty, f"{shown} asks for")
    margin = max(_LEAST_DEVIATION, _LEAST_SIGMAS * uncertainty)
    if abs(pace) <= margin:
        meaning = (
            "its rows were exposed together (a global shutter, a stabiliser that redrew the frames), or the readout "
            "runs along the other axis"
        )
    elif abs(pace + 1) <= margin:
        meaning = "the readout runs in the opposite direction"
    else:
        meaning = (
            f"the row time is {pace:.2g} times the stated one"
            if pace > 0
            else f"the readout runs in the opposite direction, with {-pace:.2g} times the stated row time"
        ) + ", or a stabiliser redrew the frames"
    return Readout(ReadoutVerdict.CONTRADICTED, pace, uncertainty, f"{shown} asks for: {meaning}")
