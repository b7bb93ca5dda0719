"""A motion that only one kind of coded frames shows: the codec made it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Motion

_BOTH_SIDES = "B"
_FEW = 16  # frames of either kind
_LARGER = 2.0  # times the others' power
_SURE = 3.0  # standard errors


@dataclass(frozen=True, slots=True, eq=False)
class MadeUp:
    """What frames predicted from both sides show, and the others don't.

    Parameters
    ----------
    frames : ndarray [shape=(n,), int64]
        Which frames; none where they show what the others show.
    rms : float, px
        Of the motion that the two halves of the pixels share in them.
    others : float, px
        Of what they share in the other frames.
    """

    frames: NDArray[np.int64]
    rms: float = 0.0
    others: float = 0.0


def find_made_up(motion: Motion, index: NDArray[np.int64], types: Sequence[str]) -> MadeUp:
    """Ask whether frames predicted from both sides share a motion that the others lack.

    They are coded the most coarsely, from blocks that the codec moved to where they fit best: where light changes, or
    little is kept of a frame, whole parts of the picture move by hundredths of a pixel, in both halves of the pixels
    alike. Sound moves frames of any kind, and of these a codec keeps the least.

    Parameters
    ----------
    motion
        Of a global shutter; of a rolling one, whose rows tell more than a frame's mean, nothing is asked.
    index : ndarray [shape=(frames,), int64]
        Position in the stream of each decoded frame.
    types : sequence of str
        Kind of each, as the decoder has it ("I", "P", "B").
    """
    nothing = MadeUp(np.zeros(0, np.int64))
    if motion.observed.shape[1] > 1:
        return nothing
    kind = np.full(len(motion.frame_times), "", dtype="<U1")
    kind[index] = types
    kinds = [motion.observed[:, 0] & (kind == _BOTH_SIDES), motion.observed[:, 0] & np.isin(kind, ["I", "P"])]
    if min(int(np.count_nonzero(own)) for own in kinds) < _FEW:
        return nothing
    steady = motion.steadied()[0]
    halves = [steady.half(k) for k in (0, 1)]
    if not all(half.channels for half in halves):
        return nothing
    found = np.zeros((2, 2))  # of either kind: the halves' covariance, summed over both axes, and its variance
    for axis in ((1.0, 0.0), (0.0, 1.0)):
        first, second = (half.along(axis)[0][:, 0] for half in halves)
        for number, own in enumerate(kinds):
            (one, common), (_, other) = np.cov(first[own], second[own])
            found[number] += common, (one * other + common**2) / np.count_nonzero(own)
    (own, own_variance), (rest, rest_variance) = found
    rest = max(rest, 0.0)
    if own - rest < _SURE * np.sqrt(own_variance + rest_variance) or own < _LARGER * rest:
        return nothing
    return MadeUp(np.flatnonzero(kinds[0]), float(np.sqrt(own)), float(np.sqrt(rest)))
