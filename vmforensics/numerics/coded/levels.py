"""What the coefficients of JPEG pictures were rounded to, and what that tells of the camera's noise and picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vmforensics.numerics.coded.cells import Cells
from vmforensics.numerics.coded.quantisation import level_changes
from vmforensics.numerics.coded.tables import MIDDLE, PLAIN, limit_above
from vmforensics.numerics.coded.transforms import CONSTANT, COSINE, SIDE
from vmforensics.numerics.noise import QUANTISATION

_COARSE = 2.5  # steps this many times the noise show two levels at most
_LEAST_CHANGES = 100  # of levels that the noise is told from
_BLACK = MIDDLE * SIDE  # a block's coefficient of brightness, less that of a black one
_RAREST = 1e-3  # least share of a level
_HALVINGS = 40
_STILLEST = 0.25  # share of the large coefficients that the noise is told from: those that move least
_FAINT = 1e-5  # px²; motion that coefficients are ranked by where there is less: the faintest would be the stillest
_SAME = 0.3  # of a step, that a constant coefficient may be off its level
_LEAST_NOISE = 0.1  # DN


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """What coefficients were rounded to, in some frames [shape=(blocks, 64)].

    Parameters
    ----------
    mean : float64, DN
    steps : float64, DN
        Mean quantiser step.
    varies : bool
        Whether more than one level occurred.
    changes : float64
        Sum over the pairs of successive frames of the squared change, in steps.
    pairs : int
    flicker : float
        Mean square of the relative change of a stripe's brightness between the frames of a pair.
    explained : float
        Share of the blocks that lay on the lattice.
    """

    mean: NDArray[np.float64]
    steps: NDArray[np.float64]
    varies: NDArray[np.bool_]
    changes: NDArray[np.float64]
    pairs: int
    flicker: float
    explained: float

    @classmethod
    def over(cls, every: Iterator[Cells], group: NDArray[np.int64]) -> Levels | None:
        """One pass.

        Parameters
        ----------
        every
            The frames' cells, limits half a step about each level, those of successive frames next to one another.
        group : ndarray [shape=(blocks,), int64]
            Which stripe each block lies in: what lamps light alike.

        Returns
        -------
        Levels or None
            None where there aren't two successive frames.
        """
        shape = (len(group), SIDE * SIDE)
        filled = np.unique(group)
        total, steps, changes = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        lowest, highest = np.full(shape, np.inf, np.float32), np.full(shape, -np.inf, np.float32)
        explained: list[float] = []
        last: tuple[int, NDArray[np.floating]] | None = None
        pairs, flicker = 0, 0.0
        for cells in every:
            middle, step = (cells.low + cells.high) / 2, cells.high - cells.low
            total += middle
            steps += step
            np.minimum(lowest, middle, out=lowest)
            np.maximum(highest, middle, out=highest)
            explained.append(float(np.mean(cells.explained)))
            if last is not None and last[0] == cells.index - 1:
                changes += ((middle - last[1]) / step) ** 2
                light = [np.bincount(group, one[:, 0] + _BLACK)[filled] for one in (last[1], middle)]
                flicker += float(np.mean((light[1] / np.maximum(light[0], 1.0) - 1) ** 2))
                pairs += 1
                last = None
            else:
                last = cells.index, middle
        if not pairs:
            return None
        count = len(explained)
        return cls(
            mean=total / count,
            steps=steps / count,
            varies=highest - lowest > 0.5 * steps / count,
            changes=changes,
            pairs=pairs,
            flicker=flicker / pairs,
            explained=float(np.mean(explained)),
        )

    def some(self, which: NDArray[np.int64]) -> Levels:
        """Those of some of the blocks."""
        parts = {name: getattr(self, name)[which] for name in ("mean", "steps", "varies", "changes")}
        return replace(self, **parts)

    def noise(self, steepness: NDArray[np.float64], moved: NDArray[np.float64]) -> float | None:
        """The camera's noise (DN) that explains how often levels changed; None where too few did.

        Coefficients of more than a step count, of the quarter that motion changes least: about zero they pile up, and
        their places in the cells aren't random. Their number falls off with size, so that counting from a limit on
        says too much, and counting from the middle of a cell on too little (as the trapezoid and the midpoint rule of a
        convex function do); the mean of both is taken.

        Parameters
        ----------
        steepness : ndarray [shape=(2, blocks, 64), float64, (DN/px)²]
            Squared change of the coefficients with motion along and across the rows.
        moved : ndarray [shape=(2,), float64, px²]
            Mean square motion between successive frames.
        """
        levels = np.abs(self.mean) / self.steps
        constant = ~self.varies & (np.abs(levels - 1) < _SAME)
        share = np.where(levels > 1.5, 1.0, np.where(constant, 0.25, np.where(levels > 1, 0.5, 0.0)))
        share = np.where(CONSTANT[COSINE], 0.0, share)
        if not share.any():
            return None
        other = np.einsum("abk,a->bk", steepness, moved) + self.flicker * self.mean**2
        restless = np.einsum("abk,a->bk", steepness, np.maximum(moved, _FAINT)) + self.flicker * self.mean**2
        share = np.where(restless <= np.quantile(restless[share > 0], _STILLEST), share, 0.0)
        used = share > 0
        share, steps, other = share[used], self.steps[used], other[used]
        seen = float(np.sum(share * self.changes[used]))
        if seen < _LEAST_CHANGES:
            return None
        low, high = 0.0, float(steps.max())
        for _ in range(_HALVINGS):
            sigma = (low + high) / 2
            told = level_changes(np.sqrt(2 * (sigma**2 + QUANTISATION) + other) / steps)
            low, high = (sigma, high) if self.pairs * float(np.sum(share * told)) < seen else (low, sigma)
        return max((low + high) / 2, _LEAST_NOISE)

    def means(self, dither: NDArray[np.float64], share: float = PLAIN) -> NDArray[np.float64]:
        """The coefficients' means (DN) by how often each level occurred.

        Parameters
        ----------
        dither : ndarray [shape=(blocks, 64), float64, DN]
            Standard deviation of what smooths the staircase: noise and motion.
        share
            How the encoder rounded, as `TableReader` takes it.
        """
        from scipy.special import ndtri

        level = self.mean / self.steps
        below = np.floor(level)
        often = np.clip(level - below, _RAREST, 1 - _RAREST)
        beyond = np.clip(dither * ndtri(often), -self.steps / 2, self.steps / 2)
        coarse = self.varies & (self.steps > _COARSE * dither)
        smoothed = self.mean + self.varies * (PLAIN - share) * self.steps * np.clip(level, -1, 1)
        return np.where(coarse, limit_above(below, share) * self.steps + beyond, smoothed)
