"""Frames that a recorder or converter stored twice: they show nothing of their own instant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Motion

_GAP = 3.0  # factor between the changes of repeats and those of frames of their own
_COPIED = 0.1  # of the picture; noise leaves no run of pixels as it was
_MOST = 0.5  # share of repeats beyond which the file's frames aren't the camera's
_LEAST_PERIODIC = 5  # repeats in a regular pattern that are no accident
_REGULAR = 0.95  # share of the frames that fit such a pattern; a second coding hides some repeats
_LONGEST_PERIOD = 12  # frames; 25 frames/s shown at 30 repeats every sixth


@dataclass(frozen=True, slots=True, eq=False)
class Repeats:
    """Which frames repeat the one before.

    Parameters
    ----------
    frames : ndarray [shape=(repeats,), int64]
        Their positions in the stream.
    exact : int
        How many of them are the same to the bit.
    doubt : str
        Why the frames' instants can't be relied on, if they can't.
    still : bool
        Whether no frame differs from the one before: one picture, however often it is stored. It has no gaps.
    """

    frames: NDArray[np.int64]
    exact: int
    doubt: str = ""
    still: bool = False


def find_repeats(
    index: NDArray[np.int64],
    change: NDArray[np.float64],
    exact: NDArray[np.bool_],
    types: Sequence[str],
    frozen: NDArray[np.float64],
) -> Repeats:
    """Tell repeats from frames of their own.

    A frame of its own differs from the one before at least by sensor noise, a repeat by what a second coding leaves.
    Among the frames of one type (I, P, B, which differ in how much noise they keep) repeats are those below a gap of
    a factor 3 in the sorted changes, if they are the minority, and parts of the picture are as before to the bit: where
    light flickers at a fraction of the frame rate, some frames change by their noise alone. Bit-exact repeats always
    count.

    A recorder that repeats a frame now and then fills the slot of one that came late: the others are where they belong.
    A regular pattern comes from a conversion of the frame rate, after which no frame is where the clock puts it.

    Parameters
    ----------
    index : ndarray [shape=(frames,), int64]
        Positions of the decoded frames in the stream.
    change : ndarray [shape=(frames,), float64, digital numbers]
        Mean absolute difference from the decoded frame before; the first isn't looked at.
    exact : ndarray [shape=(frames,), bool]
        Whether nothing differs.
    types
        The codec's type of each frame, "" where there is none.
    frozen : ndarray [shape=(frames,), float64]
        Share of short runs of pixels that are as in the frame before.
    """
    repeated = exact.copy()
    repeated[:1] = False
    kinds = np.array(types)
    for kind in np.unique(kinds[1:]):
        own = np.flatnonzero((kinds == kind) & ~repeated)
        own = own[own > 0]
        values = np.sort(change[own])
        minority = values[: len(values) // 2 + 1]
        if len(minority) < 2:
            continue
        steps = minority[1:] / np.maximum(minority[:-1], 1e-12)
        if steps.max() >= _GAP:
            repeated[own[(change[own] <= minority[int(np.argmax(steps))]) & (frozen[own] > _COPIED)]] = True
    count, total = int(repeated.sum()), len(repeated)
    doubt = ""
    if total > 1 and exact[1:].all():
        return Repeats(index[:0], total - 1, still=True)
    if period := _period(repeated):
        doubt = (
            f"{count} of {total} frames repeat the one before in a regular pattern of {period} frames: the frame rate "
            "was converted, and the frames' true instants aren't on file"
        )
    elif count > _MOST * total:
        doubt = (
            f"{count} of {total} frames repeat the one before: a codec left them out, or the file's frames aren't the "
            "camera's"
        )
    return Repeats(index[repeated], int(np.sum(exact & repeated)), doubt)


def without_repeats(motion: Motion, repeats: Repeats) -> Motion:
    """The motion with repeats unobserved, and in doubt where the frames' instants are; none in one still picture.

    Of the same picture over and over, an estimator measures what its arithmetic rounds: the same in every frame, and
    so in both halves alike.
    """
    if repeats.still:
        return replace(motion, displacement=np.zeros_like(motion.displacement))
    if not len(repeats.frames):
        return motion
    return replace(motion.without(repeats.frames), doubt=motion.doubt or repeats.doubt)


def _period(repeated: NDArray[np.bool_]) -> int:
    """Smallest period in frames of a pattern that nearly all repeats fit; 0 where there is none."""
    inner = repeated[1:]
    if inner.sum() < _LEAST_PERIODIC or inner.all():
        return 0
    for period in range(2, min(_LONGEST_PERIOD, len(inner) // 3) + 1):
        whole = inner[: len(inner) // period * period].reshape(-1, period)
        pattern = whole.mean(axis=0) > _MOST
        if pattern.any() and not pattern.all() and np.mean(whole == pattern) >= _REGULAR:
            return period
    return 0
