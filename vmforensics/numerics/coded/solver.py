"""Maximum likelihood of the motion of groups of blocks, from the cells that a codec's coefficients lay in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.numerics.coded.blocks import CodedBlocks
from vmforensics.numerics.coded.cells import Cells
from vmforensics.numerics.coded.quantisation import told_by_cell
from vmforensics.numerics.coded.still import StillPicture
from vmforensics.numerics.coded.transforms import CONSTANT, COSINE, SIDE, TRANSFORMS, transformed
from vmforensics.numerics.noise import QUANTISATION

_MOST_TELLING = 24  # of a block's 64 coefficients; they hold nine tenths of what it knows of motion
_MOST_TELLING_ALONE = 40  # of one that was predicted from its own picture
_LEAST_TOLD = 0.01  # of the mean coefficient's information
_STEPS, _LONGEST_STEP = 5, 0.1  # Newton's, and px
_WIDEST = 0.1  # px; uncertainty of the displacement to begin with
_WIDE = 1e3  # DN either way; a cell that tells nothing
_PRIOR = np.array([1 / 0.3**2, 1 / 0.3**2, 1 / 0.1**2, 1 / 10.0**2])  # of x and y (1/px²), a relative gain, an offset


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """Maximum likelihood of one frame.

    Parameters
    ----------
    found : ndarray [shape=(groups, 4), float64]
        Displacement along and across the rows (px), relative gain, and offset (DN).
    precision : ndarray [shape=(groups, 2, 2), float64, 1/px²]
        What the cells tell of the displacement; the weak prior that steadies Newton's method isn't in it.
    doubt : ndarray [shape=(groups, 2), float64, px²]
        Variance of the displacement.
    likelihood : float
        Logarithm.
    """

    found: NDArray[np.float64]
    precision: NDArray[np.float64]
    doubt: NDArray[np.float64]
    likelihood: float


class CellSolver(ABC):
    """What a region's coefficients are without and with motion.

    A coefficient c of a block that is moved by d px, T that of the still picture and T' that of its slope, is
    T - T'·d (1 + g) + gT with noise; the codec tells between which limits it lay. Newton's method on the logarithm of
    the likelihood, jointly for (dx, dy), the gain g and an offset of each group, which only coefficients of brightness
    tell; the second derivatives are the information.

    Parameters
    ----------
    blocks
        The blocks that are used.
    """

    def __init__(self, blocks: CodedBlocks) -> None:
        self.blocks = blocks

    @abstractmethod
    def solve(self, cells: Cells, sigma: float) -> Solution:
        """Maximum likelihood of one frame.

        Parameters
        ----------
        cells
            The frame's, of the solver's blocks.
        sigma : float, DN
            The camera's noise before compression.
        """

    def _solved(
        self,
        low: NDArray[np.float32],
        high: NDArray[np.float32],
        design: NDArray[np.float32],
        noise: NDArray[np.floating],
        lanes: Lanes,
    ) -> Solution:
        """The solution from some coefficients.

        While the likelihood is flat, between limits wider than the noise, its curvature says nothing. The uncertainty
        of the displacement counts as further noise of each coefficient, therefore, and shrinks from step to step.

        Parameters
        ----------
        low, high : ndarray [shape=(n,), float32, DN]
            Limits less the still picture.
        design : ndarray [shape=(4, n), float32]
            What the coefficients change by with x and y (DN/px), with the gain (DN) and with an offset (1).
        noise : ndarray [shape=(n,), DN²]
        lanes : Lanes
            Which group each coefficient is of.
        """
        low, high, noise = lanes.of(low, -_WIDE), lanes.of(high, _WIDE), lanes.of(noise.astype(np.float32), 1.0)
        change = np.stack([lanes.of(each, 0.0) for each in design], axis=1)
        squares = change[:, :2] ** 2
        groups = len(low)
        doubt = np.full((groups, 2), _WIDEST**2)
        found = np.zeros((groups, len(_PRIOR)))
        likelihood = 0.0
        for step in range(_STEPS + 1):
            spread = np.sqrt(noise + _mixed(doubt, squares))
            mean = _mixed(found, change)
            logarithm, score, curve = told_by_cell(low - mean, high - mean, spread)
            information = ((change * curve[:, None]) @ change.swapaxes(1, 2)).astype(np.float64)
            if step == _STEPS:
                likelihood = float(np.sum(logarithm))
                break
            slope = (change @ score[..., None])[..., 0]
            covariance = np.linalg.inv(information + np.diag(_PRIOR))
            found += np.clip((covariance @ (slope - _PRIOR * found)[..., None])[..., 0], -_LONGEST_STEP, _LONGEST_STEP)
            doubt = np.minimum(np.diagonal(covariance, axis1=1, axis2=2)[:, :2], doubt)
        light = information[:, 2:, 2:] + np.diag(_PRIOR[2:])
        lost = information[:, :2, 2:] @ np.linalg.solve(light, information[:, 2:, :2])
        precision = information[:, :2, :2] - lost
        return Solution(found, precision, doubt, likelihood)


def _mixed(shares: NDArray[np.float64], parts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sum of each group's parts [shape=(groups, k, n)] with its shares [shape=(groups, k)]."""
    return np.asarray((shares.astype(np.float32)[:, None] @ parts)[:, 0])


class Lanes:
    """Coefficients of many groups laid side by side, each group's in a row of its own; short rows are filled up.

    Parameters
    ----------
    group : ndarray [shape=(n,), int64]
        Which group each coefficient is of.
    groups
        How many groups there are.
    """

    def __init__(self, group: NDArray[np.int64], groups: int) -> None:
        order = np.argsort(group, kind="stable")
        count = np.bincount(group, minlength=groups)
        first = np.concatenate([[0], np.cumsum(count)[:-1]])
        self._place = np.full((groups, max(int(count.max(initial=0)), 1)), len(group))
        self._place[group[order], np.arange(len(group)) - first[group[order]]] = order

    def of(self, values: NDArray[np.float32], filling: float) -> NDArray[np.float32]:
        """Values of the coefficients, likewise [shape=(groups, most of a group), float32]."""
        return np.asarray(np.append(values, np.float32(filling))[self._place])


class PredictedSolver(CellSolver):
    """For blocks whose transform differs from frame to frame; the same number of coefficients of each counts.

    Parameters
    ----------
    blocks, picture
        Where, and what the picture is.
    intra
        Whether they were predicted from their own picture.
    """

    def __init__(self, blocks: CodedBlocks, picture: StillPicture, *, intra: bool = False) -> None:
        super().__init__(blocks)
        still, design = coefficients(blocks, picture, constant=intra)
        whole = np.maximum(np.sum(design[:2] ** 2, axis=(2, 3), keepdims=True), 1e-9)
        strength = np.sum(design[:2] ** 2 / whole, axis=0)
        self._telling = np.argsort(-strength, axis=2, kind="stable")[
            :, :, : _MOST_TELLING_ALONE if intra else _MOST_TELLING
        ]
        self._still = np.take_along_axis(still, self._telling, 2)
        self._design = np.take_along_axis(design, self._telling[None], 3)
        self._lanes = Lanes(np.repeat(blocks.group, self._telling.shape[2]), blocks.groups)

    def solve(self, cells: Cells, sigma: float) -> Solution:
        """As `CellSolver.solve` says."""
        own = np.arange(len(self.blocks.group))
        telling, still = self._telling[cells.which, own], self._still[cells.which, own]
        low = np.take_along_axis(cells.low, telling, 1) - still
        high = np.take_along_axis(cells.high, telling, 1) - still
        count = telling.shape[1]
        return self._solved(
            low.ravel(),
            high.ravel(),
            self._design[:, cells.which, own].reshape(len(_PRIOR), -1),
            np.repeat(noise_of(cells, sigma), count),
            self._lanes,
        )


class TableSolver(CellSolver):
    """For blocks of 8 by 8 px that are always coded alike; of each, the coefficients count that tell anything.

    Parameters
    ----------
    blocks, picture
        Where, and what the picture is.
    kept : ndarray [shape=(blocks, 64), float64]
        The share of each coefficient's information that the quantiser leaves.
    """

    def __init__(self, blocks: CodedBlocks, picture: StillPicture, kept: NDArray[np.float64]) -> None:
        super().__init__(blocks)
        still, design = coefficients(blocks, picture)
        told = np.sum(design[:2, COSINE] ** 2, axis=0) * kept
        self._used = np.nonzero(told > _LEAST_TOLD * np.mean(told))
        self._still, self._design = still[COSINE][self._used], design[:, COSINE][:, self._used[0], self._used[1]]
        self._lanes = Lanes(blocks.group[self._used[0]], blocks.groups)

    def solve(self, cells: Cells, sigma: float) -> Solution:
        """As `CellSolver.solve` says."""
        low, high = cells.low[self._used] - self._still, cells.high[self._used] - self._still
        return self._solved(low, high, self._design, noise_of(cells, sigma)[self._used[0]], self._lanes)


def coefficients(
    blocks: CodedBlocks, picture: StillPicture, *, constant: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A picture's coefficients, and what they change by with the motion and the light.

    Parameters
    ----------
    blocks, picture
        Where, and what the picture is.
    constant
        Whether those of H.264 that are a mere brightness change, too, as the means of small blocks do.

    Returns
    -------
    still : ndarray [shape=(3, blocks, 64), float32, DN]
        In each of the `transforms.TRANSFORMS`.
    design : ndarray [shape=(4, 3, blocks, 64), float32]
        By x and y (DN/px), by the gain (DN) and by an offset (1); 0 for what is a mere brightness.
    """
    pictures = (picture.mean, *picture.slopes)
    cut = np.array(
        [[transformed(blocks.cut(each), which) for which in range(len(TRANSFORMS))] for each in pictures],
        dtype=np.float32,
    )
    even = np.array([transformed(np.ones((1, SIDE, SIDE)), which) for which in range(len(TRANSFORMS))])
    design = np.stack([-cut[1], -cut[2], cut[0], np.broadcast_to(even, cut[0].shape)])
    fixed = CONSTANT & (np.arange(len(TRANSFORMS)) == COSINE)[:, None] if constant else CONSTANT
    return cut[0], np.where(fixed[:, None, :], np.float32(0), design)


def noise_of(cells: Cells, sigma: float) -> NDArray[np.float64]:
    """Variance of a coefficient about its mean: of the camera's picture, and of the limits [shape=(blocks,), DN²]."""
    return np.asarray(sigma**2 + QUANTISATION + cells.blur.astype(np.float64) ** 2)
