"""The still picture, the camera's noise and the encoder's rounding that make an intra-coded clip's cells likeliest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import FrameBlock, SensorFrames
from vmforensics.numerics.coded.blocks import CodedBlocks
from vmforensics.numerics.coded.cells import CellReader, Cells
from vmforensics.numerics.coded.quantisation import told_by_cell
from vmforensics.numerics.coded.rounding import INTRA, Rounding
from vmforensics.numerics.coded.solver import PredictedSolver, coefficients, noise_of
from vmforensics.numerics.coded.still import StillPicture
from vmforensics.numerics.coded.transforms import COSINE, SIDE, TRANSFORMS, between, untransformed

_SAMPLE = 1200  # blocks that noise and rounding are found from
_FRAMES, _FEW_FRAMES = 96, 24  # spread over the clip; that the picture, and that noise and rounding are found from
_LEAST_EXPLAINED = 0.5  # share of the blocks whose prediction must be found
_ROUNDS, _FIRST = 6, 4  # of refinement, and how many while the rounding is chosen
_SIGMAS = 0.5 * 2 ** (np.arange(9) / 2)  # DN, that the noise is chosen from at first
_NEARBY = np.array([0.6, 0.75, 0.9, 1.0, 1.1, 1.3])  # times what it was, from round to round
_NOISE_FRAMES = 3  # that it is chosen on
_BAND, _FRAMES_OF_BANDS = 4000, 32  # blocks that are worked on at a time where both are known, and frames
_FALLING = (2.0, 1.4, 1.0)  # times the noise: what it is taken for there, from round to round
_AT_ONCE = 256  # blocks whose equations are solved at a time
_LONGEST_STEP = 3.0  # times the noise


@dataclass(frozen=True, slots=True, eq=False)
class FittedPicture:
    """What was found.

    The mean of decoded pictures is a staircase of what the camera saw, as far as the predictions don't dither it, and
    drawn towards the predictions where the encoder rounds down. It is bettered by Newton's method on the likelihood of
    all cells, given the motion that they show themselves; the noise is chosen anew in every round, and is large at
    first, for it stands for the picture's errors, too.

    Parameters
    ----------
    still
        The picture, with its slopes.
    sigma : float, DN
        The camera's noise before compression.
    rounding
        How the encoder rounded.
    likelihood : float
        Logarithm, of the cells that it was found from.
    """

    still: StillPicture
    sigma: float
    rounding: Rounding
    likelihood: float = -np.inf

    @classmethod
    def find(cls, frames: SensorFrames, mean: StillPicture, blocks: CodedBlocks) -> FittedPicture | None:
        """Find all three.

        Parameters
        ----------
        frames
            The clip, of intra frames only.
        mean
            Temporal mean of the region.
        blocks
            Those to be looked at. Groups are independent of one another: they are worked on some at a time.

        Returns
        -------
        FittedPicture or None
            None where too few blocks' predictions are found: the pixels aren't those that were predicted from, or the
            file has quantisers by frequency, which FFmpeg doesn't tell.
        """
        bands = blocks.bands(_SAMPLE)
        chosen = bands[len(bands) // 2]
        sample = blocks.at(chosen)
        tried = []
        for rounding in INTRA:
            fit = _Fit(sample, list(_cells(frames, sample, rounding, _FEW_FRAMES)))
            if fit.explained < _LEAST_EXPLAINED:
                return None
            begun = cls(mean, 0.0, rounding)
            begun = replace(begun, sigma=fit.noise(begun, _SIGMAS))
            tried.append(fit.chosen(begun, _FIRST))
        found = max(tried, key=lambda each: each.likelihood)
        fit = _Fit(sample, list(_cells(frames, sample, found.rounding, _FRAMES)))
        found = fit.chosen(found, _ROUNDS - _FIRST)
        rest = np.setdiff1d(np.arange(len(blocks.group)), chosen)
        others = blocks.some(rest)
        for part in others.bands(_BAND) if others else ():
            band = blocks.at(rest[part])
            fit = _Fit(band, list(_cells(frames, band, found.rounding, _FRAMES_OF_BANDS)))
            found = fit.bettered(found, [times * found.sigma for times in _FALLING])
        return found

    def reader(self, blocks: CodedBlocks) -> CellReader:
        """What reads the cells of some blocks."""
        return CellReader(blocks.top, blocks.left, fine=True, intra=self.rounding)

    def solver(self, blocks: CodedBlocks) -> PredictedSolver:
        """What reads motion against this picture."""
        return PredictedSolver(blocks, self.still, intra=True)


class _Fit:
    """Some blocks' cells in some frames, and how likely a picture makes them.

    Parameters
    ----------
    blocks, cells
        The blocks, in groups that move as one, and each frame's cells of them.
    """

    def __init__(self, blocks: CodedBlocks, cells: list[Cells]) -> None:
        self._blocks, self._cells = blocks, cells

    @property
    def explained(self) -> float:
        """Share of the blocks whose prediction was found."""
        return float(np.mean([each.explained for each in self._cells])) if self._cells else 0.0

    def noise(self, picture: FittedPicture, among: NDArray[np.float64]) -> float:
        """The likeliest noise (DN) among some."""
        solver = picture.solver(self._blocks)
        some = self._cells[:: max(1, len(self._cells) // _NOISE_FRAMES)]
        total = [sum(solver.solve(each, sigma).likelihood for each in some) for sigma in among]
        return float(among[int(np.argmax(total))])

    def chosen(self, picture: FittedPicture, rounds: int) -> FittedPicture:
        """A picture made likelier in some rounds, and its noise."""
        for _ in range(rounds):
            picture = self._bettered(replace(picture, sigma=self.noise(picture, picture.sigma * _NEARBY)))
        return picture

    def bettered(self, picture: FittedPicture, sigmas: list[float]) -> FittedPicture:
        """A picture made likelier in some rounds of given noise (DN)."""
        for sigma in sigmas:
            picture = self._bettered(replace(picture, sigma=sigma))
        return picture

    def _bettered(self, picture: FittedPicture) -> FittedPicture:
        """One step of Newton's method; the likelihood is that before it."""
        blocks, solver = self._blocks, picture.solver(self._blocks)
        still, design = coefficients(blocks, picture.still, constant=True)
        own = np.arange(len(blocks.group))
        score, information = np.zeros((2, len(TRANSFORMS), len(own), SIDE * SIDE))
        likelihood = 0.0
        for cells in self._cells:
            solved = solver.solve(cells, picture.sigma)
            change = design[:, cells.which, own]
            moved = np.einsum("abk,ba->bk", change, solved.found[blocks.group].astype(np.float32))
            mean = still[cells.which, own] + moved
            doubtful = np.einsum("abk,ba->bk", change[:2] ** 2, solved.doubt[blocks.group])
            spread = np.sqrt(noise_of(cells, picture.sigma)[:, None] + doubtful).astype(np.float32)
            logarithm, pull, curve = told_by_cell(cells.low - mean, cells.high - mean, spread)
            likelihood += float(np.sum(logarithm))
            score[cells.which, own] += pull
            information[cells.which, own] += curve
        most = _LONGEST_STEP * picture.sigma
        step = np.clip(self._step(score, information), -most, most)
        pixels = np.add(blocks.cut(picture.still.mean), untransformed(step, COSINE))
        better = StillPicture.of(blocks.put(pixels, picture.still.mean))
        return replace(picture, still=better, likelihood=likelihood)

    def _step(self, score: NDArray[np.float64], information: NDArray[np.float64]) -> NDArray[np.float64]:
        """Newton's step in the cosine transform [shape=(blocks, 64), float64, DN].

        Blocks that are coded now by one transform, now by another, have no transform in which their equations fall
        apart; those of the 64 coefficients are solved together.
        """
        width = np.array([np.median(each.high - each.low, axis=1) for each in self._cells], dtype=np.float64)
        loose = 12 / width.mean(axis=0) ** 2  # as if anywhere in a cell
        seen = [which for which in range(len(TRANSFORMS)) if information[which].any()]
        moved = np.empty(score.shape[1:])
        for first in range(0, len(moved), _AT_ONCE):
            own = slice(first, first + _AT_ONCE)
            pull = np.zeros_like(moved[own])
            curve = loose[own, None, None] * np.eye(SIDE * SIDE)
            for which in seen:
                turn = between(which, COSINE)
                pull += score[which, own] @ turn.T
                curve += (turn * information[which, own, None]) @ turn.T
            moved[own] = np.linalg.solve(curve, pull[..., None])[..., 0]
        return moved


def _cells(frames: SensorFrames, blocks: CodedBlocks, rounding: Rounding, count: int) -> Iterator[Cells]:
    """The cells of some blocks in so many frames, spread over the clip."""
    reader = CellReader(blocks.top, blocks.left, fine=True, intra=rounding)
    yield from reader.read(_some(frames, max(1, frames.frame_count // count)))


def _some(frames: SensorFrames, stride: int) -> Iterator[FrameBlock]:
    """Every so-manieth frame."""
    for block in frames.coded_blocks():
        use = np.flatnonzero(block.index % stride == 0)
        if len(use) and block.coding:
            yield FrameBlock(block.index[use], block.luma[use], (), tuple(block.coding[k] for k in use))
