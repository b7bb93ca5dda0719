"""Where a clip changes from one shot to another: what was measured across a cut would be made up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LEAST_CHANGE = 0.02  # of full scale, that a frame differs from the one before
_PROMINENT = 6.0  # times the changes around it
_AROUND = 12  # frames on either side
_LASTING = 4  # frames on either side whose brightness is compared
_APART = 3.0  # times what they differ by among themselves
_LEAST_PROFILE = 0.01  # of full scale, that the bands' brightness differs by across a cut


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
    found: list[int] = []
    for k in np.flatnonzero(change > _LEAST_CHANGE * full_scale).tolist():
        around = np.concatenate([change[max(1, k - _AROUND) : k], change[k + 1 : k + 1 + _AROUND]])
        before, after = light[max(0, k - _LASTING) : k], light[k : k + _LASTING]
        if not len(around) or not len(before) or change[k] < _PROMINENT * np.median(around):
            continue
        apart = float(np.mean(np.abs(after.mean(axis=0) - before.mean(axis=0))))
        within = max(float(np.mean(np.ptp(part, axis=0))) for part in (before, after))
        if apart > max(_LEAST_PROFILE * full_scale, _APART * within / 2):
            found.append(k)
    return tuple(found)


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
