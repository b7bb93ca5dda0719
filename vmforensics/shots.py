"""Which frames show what the others don't: those of another shot, or of something that flashes up for a moment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_LEAST_CHANGE = 0.02  # of full scale, that a frame differs from the one before
_PROMINENT = 6.0  # times the changes around it
_AROUND = 12  # frames on either side
_LASTING = 4  # frames on either side whose brightness is compared
_APART = 3.0  # times what they differ by among themselves
_LEAST_PROFILE = 0.01  # of full scale, that the bands' brightness differs by across a cut
_TOLD = 10  # frame numbers in a message
_BRIEF = 4  # frames that something may flash up for
_SELDOM = 0.05  # share of the frames; what flashes up more often is a strobing light, which has rules of its own


def cuts_of(change: NDArray[np.float64], light: NDArray[np.float64], full_scale: int) -> tuple[int, ...]:
    """Find the frames that begin a new shot.

    A cut is a sudden change of most of the picture that lasts: a flash passes, a moving camera changes every frame. A
    lamp that is switched counts too, for the picture before it isn't the one after it.

    Parameters
    ----------
    change : ndarray [shape=(frames,), float64, digital numbers]
        Mean absolute difference of each frame from the one before.
    light : ndarray [shape=(frames, bands), float64, digital numbers]
        Mean brightness of bands of rows.
    full_scale : digital numbers
        Largest code of the pixel format.

    Returns
    -------
    tuple of int
        Positions in these arrays, increasing; empty for a single shot.
    """
    return tuple(k for k in _sudden(change, full_scale) if _differ(light, k, k, full_scale))


def intruders_of(change: NDArray[np.float64], light: NDArray[np.float64], full_scale: int) -> tuple[int, ...]:
    """Find single frames, or a few, that show something else than those before and after: a flash, a blank, a splice.

    Parameters
    ----------
    change, light, full_scale
        As in `cuts_of`.

    Returns
    -------
    tuple of int
        Positions in these arrays, increasing; empty where there is none, or where it happens all the time.
    """
    sudden = _sudden(change, full_scale)
    found: list[int] = []
    for first in sudden:
        if found and first <= found[-1] + 1:  # the way back from the one before
            continue
        back = [k for k in sudden if first < k <= first + _BRIEF and not _differ(light, first, k, full_scale)]
        if back:
            found += range(first, back[-1])
    return tuple(found) if len(found) <= max(1, _SELDOM * len(change)) else ()


def _sudden(change: NDArray[np.float64], full_scale: int) -> list[int]:
    """Frames at which most of the picture changes by far more than it does around them."""
    found: list[int] = []
    for k in np.flatnonzero(change > _LEAST_CHANGE * full_scale).tolist():
        around = np.concatenate([change[max(1, k - _AROUND) : k], change[k + 1 : k + 1 + _AROUND]])
        if k and len(around) and change[k] >= _PROMINENT * np.median(around):
            found.append(k)
    return found


def _differ(light: NDArray[np.float64], end: int, start: int, full_scale: int) -> bool:
    """Whether the brightness up to one frame lastingly differs from that from another frame on."""
    before, after = light[max(0, end - _LASTING) : end], light[start : start + _LASTING]
    apart = float(np.mean(np.abs(after.mean(axis=0) - before.mean(axis=0))))
    within = max(float(np.mean(np.ptp(part, axis=0))) for part in (before, after))
    return apart > max(_LEAST_PROFILE * full_scale, _APART * within / 2)


def some_of(frames: Sequence[int]) -> str:
    """Frame numbers in words, the first ones if there are many.

    Examples
    --------
    >>> some_of([4, 9])
    '4, 9'
    """
    return ", ".join(map(str, frames[:_TOLD])) + (" ..." if len(frames) > _TOLD else "")


def longest_shot(cuts: tuple[int, ...], frames: int) -> tuple[int, int]:
    """First frame of the longest shot, and the first after it.

    Examples
    --------
    >>> longest_shot((10, 25), 30)
    (10, 25)
    """
    edges = [0, *cuts, frames]
    lengths = np.diff(edges)
    k = int(np.argmax(lengths))
    return edges[k], edges[k + 1]
