"""From which share of a step on encoders round a residual up to the next level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.numerics.coded.transforms import EIGHT, FOUR, SIDE


@dataclass(frozen=True, slots=True, eq=False)
class Rounding:
    """How an encoder rounds.

    Parameters
    ----------
    share : ndarray [shape=(2, 64), float32]
        Share of a step, below the next level, from which on a coefficient of `EIGHT` and of `FOUR` is rounded up to it.
    blur : float
        Of a step, by which that isn't known.
    """

    share: NDArray[np.float32]
    blur: float

    def limits(
        self, level: NDArray[np.float32], step: NDArray[np.float32], which: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Limits of the residuals that were rounded to some levels.

        Parameters
        ----------
        level, step : ndarray [shape=(n, 64), float32]
            Whole numbers, and DN.
        which
            `EIGHT` or `FOUR`.

        Returns
        -------
        low, high : ndarray [shape=(n, 64), float32, DN]
        """
        share = self.share[which - EIGHT]
        size, negative = np.abs(level), level < 0
        inner, outer = np.where(size == 0, share - 1, size - share) * step, (size + 1 - share) * step
        return np.where(negative, -outer, inner), np.where(negative, -inner, outer)


def _alike(share: float, blur: float) -> Rounding:
    return Rounding(np.full((FOUR - EIGHT + 1, SIDE * SIDE), share, np.float32), blur)


def _falling(lowest: float, highest: float, blur: float) -> Rounding:
    """With a share that falls off in proportion to the frequency."""
    shares = []
    for size in (8, 4):
        place = np.arange(SIDE) % size / (2 * (size - 1))
        shares.append(lowest - (lowest - highest) * np.add.outer(place, place).ravel())
    return Rounding(np.array(shares, dtype=np.float32), blur)


PREDICTED = _alike(0.21, 0.07)
"""libx264's of frames that are predicted from others, at qualities 12 to 20, as the likelihood and the size of known
motions alike have it (its documented share is 0.17, before it weighs rate against distortion)."""

INTRA = (_falling(0.5, 0.32, 0.05), _falling(0.47, 0.25, 0.1), _alike(1 / 3, 0.02), _alike(0.5, 0.02))
"""What encoders do with intra-coded frames: libx264 where it weighs rate against distortion, more or less so (on
average, as measured against the pictures that it was given); the third of a step that it takes otherwise, as the
standard's reference encoder does; and plain rounding."""
