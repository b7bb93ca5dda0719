"""The still picture behind JPEG pictures, finer than their quantiser's steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import FrameBlock, SensorFrames
from vmforensics.numerics.coded.blocks import CodedBlocks
from vmforensics.numerics.coded.cells import Cells
from vmforensics.numerics.coded.joint import picture_step
from vmforensics.numerics.coded.levels import Levels
from vmforensics.numerics.coded.quantisation import kept_information, told_by_cell
from vmforensics.numerics.coded.solver import TableSolver, coefficients, noise_of
from vmforensics.numerics.coded.still import StillPicture
from vmforensics.numerics.coded.tables import MIDDLE, PLAIN, ROUNDINGS, TableReader, limit_above
from vmforensics.numerics.coded.transforms import CONSTANT, COSINE, SIDE, TRANSFORMS
from vmforensics.numerics.noise import QUANTISATION

_FRAMES = 120  # that the picture is found from, spread over the clip, each with the one after it for the noise
_ROUNDS, _FIRST = 3, 2  # in which it is bettered, and after how many the rounding is chosen
_SAMPLE = 600  # blocks that it is chosen on
_BAND = 4000  # blocks that are bettered at a time
_LONGEST_STEP = 2.0  # of the noise's standard deviation
_FARTHEST = 0.1  # px, that the motion is stepped by
_LEAST_EXPLAINED = 0.5  # share of the blocks that must lie on the lattice
_NEAR = np.arange(-2, 2)  # levels, from a coefficient's own, above which a limit counts

LEAST_LOST = 4.0
"""dB; where the quantiser took less of the information on motion, stripes of eight rows can lose more than they win."""


@dataclass(frozen=True, slots=True, eq=False)
class Stir:
    """Mean square motion (px²) along and across the rows, beyond noise [shape=(2,)]: about the mean, between frames."""

    about: NDArray[np.float64]
    between: NDArray[np.float64]

    @classmethod
    def of(cls, displacement: NDArray[np.float32], precision: NDArray[np.float32]) -> Stir:
        """What the two halves have in common.

        Parameters
        ----------
        displacement : ndarray [shape=(frames, samples, 4), float32, px]
            x and y of either half.
        precision : ndarray [shape=(samples, 4, 4), float32, 1/px²]
            Inverse covariance of their noise.
        """
        weight = np.sqrt(np.maximum(np.diagonal(precision, axis1=1, axis2=2), 0.0, dtype=np.float64))
        weight = weight[:, :2] * weight[:, 2:]
        centred = displacement - displacement.mean(axis=0)
        total = np.maximum(weight.sum(axis=0), 1e-30)

        def common(values: NDArray[np.float32]) -> NDArray[np.float64]:
            product = np.mean(values[..., :2] * values[..., 2:], axis=0, dtype=np.float64)
            return np.asarray(np.maximum(np.sum(weight * product, axis=0) / total, 0.0))

        return cls(common(centred), common(np.diff(centred, axis=0)))


@dataclass(frozen=True, slots=True, eq=False)
class DitheredPicture:
    """What was found.

    Parameters
    ----------
    still
        The picture, with its slopes.
    values : ndarray [shape=(blocks, 64), float64, DN]
        Its coefficients.
    steps, dither : ndarray [shape=(blocks, 64), float64, DN]
        Their mean quantiser steps, and the standard deviation of what dithers them: noise and motion.
    sigma : float, DN
        The camera's noise before compression.
    explained : float
        Share of the blocks that lay on the lattice.
    lost : float, dB
        What the quantiser took of the information on motion.
    share : float
        How the encoder rounded, as `TableReader` takes it.
    likelihood : float
        Logarithm, of the levels that it was judged by.
    """

    still: StillPicture
    values: NDArray[np.float64]
    steps: NDArray[np.float64]
    dither: NDArray[np.float64]
    sigma: float
    explained: float
    lost: float
    share: float = PLAIN
    likelihood: float = -np.inf

    @property
    def kept(self) -> NDArray[np.float64]:
        """Share of its information that each coefficient keeps between the limits [shape=(blocks, 64), float64]."""
        return _kept(self.values, self.steps, self.dither, self.share)

    def reader(self, blocks: CodedBlocks) -> TableReader:
        """What reads the cells of some blocks."""
        return TableReader(blocks.top, blocks.left, self.share)

    def solver(self, blocks: CodedBlocks) -> TableSolver:
        """What reads motion against this picture."""
        return TableSolver(blocks, self.still, self.kept)

    @classmethod
    def find(
        cls,
        frames: SensorFrames,
        mean: StillPicture,
        blocks: CodedBlocks,
        stir: Stir,
        *,
        least_lost: float = LEAST_LOST,
        count: int = _FRAMES,
    ) -> DitheredPicture | None:
        """Find picture and noise from the levels of some frames.

        The mean of the decoded frames is a staircase of the picture that the camera saw, smoothed by noise and motion
        only. Where a coefficient takes two levels, the share of either tells how far its mean lies from the limit
        between them, in units of what dithers it; where it keeps to one, that is taken. Some steps of Newton's method
        on the likelihood of all levels, which picture and motion take together, then better it (`picture_step`). Of the
        ways in which encoders round, the one that makes the levels likeliest is taken.

        The noise comes from the levels' changes between successive frames, of coefficients whose place in their cells
        may count as random: those of one step or more.

        Parameters
        ----------
        frames
            The clip.
        mean
            Temporal mean of the region.
        blocks
            Those to be looked at. Groups are independent of one another: they are worked on some at a time.
        stir
            How much the picture moves.
        least_lost : float, dB
            What the quantiser must have taken of the information on motion.
        count : int
            Frames that are looked at, spread over the clip.

        Returns
        -------
        DitheredPicture or None
            None where too few blocks lie on the lattice, too little changes to tell the noise, or the quantiser took so
            little that there isn't much to be had.
        """
        levels = Levels.over(TableReader(blocks.top, blocks.left).read(_some(frames, count)), blocks.group)
        if levels is None or levels.explained < _LEAST_EXPLAINED:
            return None
        _, design = coefficients(blocks, mean)
        slopes = design[:2, COSINE].astype(np.float64)
        sigma = levels.noise(slopes**2, stir.between)
        lost = 0.0 if sigma is None else _lost(slopes, levels.steps, sigma)
        if sigma is None or lost < least_lost:
            return None
        dither = np.sqrt(sigma**2 + QUANTISATION + np.einsum("abk,a->bk", slopes**2, stir.about))
        blank = cls(mean, levels.mean, levels.steps, dither, sigma, levels.explained, lost)
        share = blank._likeliest_rounding(frames, blocks, levels)
        picture = blank._rounded(levels, blocks, share)
        for band in blocks.bands(_BAND):
            some = blocks.at(band)
            cells = picture.reader(some).read(_some(frames, count))
            part = picture._part(band)._bettered(levels.some(band), some, cells, _ROUNDS)
            values = picture.values.copy()
            values[band] = part.values
            picture = replace(picture, still=part.still, values=values)
        return picture

    def _rounded(self, levels: Levels, blocks: CodedBlocks, share: float) -> DitheredPicture:
        """As far as the levels' means tell, of an encoder that rounds so."""
        values = levels.means(self.dither, share)
        return replace(self, still=_showing(self.still, blocks, values), values=values, share=share)

    def _part(self, chosen: NDArray[np.int64]) -> DitheredPicture:
        """The same of some of the blocks."""
        return replace(self, values=self.values[chosen], steps=self.steps[chosen], dither=self.dither[chosen])

    def _likeliest_rounding(self, frames: SensorFrames, blocks: CodedBlocks, levels: Levels) -> float:
        """How the encoder rounded, as some of the blocks tell once the picture is bettered for either."""
        chosen = np.arange(0, len(blocks.group), -(-len(blocks.group) // _SAMPLE))
        few, levels = blocks.at(chosen), levels.some(chosen)
        tried = []
        for share in ROUNDINGS:
            begun = self._part(chosen)._rounded(levels, few, share)
            every = list(begun.reader(few).read(_some(frames, _FRAMES)))
            tried.append(begun._bettered(levels, few, every, _FIRST)._judged(few, every))
        return max(tried, key=lambda each: each.likelihood).share

    def _bettered(self, levels: Levels, blocks: CodedBlocks, every: Iterable[Cells], rounds: int) -> DitheredPicture:
        """After some steps of Newton's method, of those coefficients that took several levels."""
        used = np.nonzero(levels.varies & ~CONSTANT[COSINE])
        order = np.argsort(blocks.group[used[0]], kind="stable")
        used = used[0][order], used[1][order]
        solver = self.solver(blocks)
        low, high, motion = [], [], []
        for cells in every:
            low.append(cells.low[used])
            high.append(cells.high[used])
            motion.append(solver.solve(cells, self.sigma).found)
        told = _Told(used, blocks.group[used[0]], np.array(low), np.array(high), np.array(motion))
        picture = self
        for _ in range(rounds):
            picture = picture._stepped(blocks, told)
        return picture

    def _stepped(self, blocks: CodedBlocks, told: _Told) -> DitheredPicture:
        """After one step; the motion is stepped along with the picture, in place."""
        still, design = coefficients(blocks, self.still)
        still, design = still[COSINE][told.used], design[:, COSINE][:, told.used[0], told.used[1]]
        spread, most = float(np.sqrt(self.sigma**2 + QUANTISATION)), _LONGEST_STEP * self.sigma
        loose = 12 / self.steps[told.used] ** 2  # as if anywhere in a cell
        values, step = self.values.copy(), np.zeros(len(told.group))
        for number in np.unique(told.group):
            own = slice(*np.searchsorted(told.group, (number, number + 1)))
            mean = still[own] + told.motion[:, number].astype(np.float32) @ design[:, own]
            step[own], moved = picture_step(
                told.low[:, own] - mean, told.high[:, own] - mean, design[:2, own], spread, loose[own]
            )
            told.motion[:, number, :2] += np.clip(moved, -_FARTHEST, _FARTHEST)
        values[told.used] += np.clip(step, -most, most)
        return replace(self, still=_showing(self.still, blocks, values), values=values)

    def _judged(self, blocks: CodedBlocks, every: Iterable[Cells]) -> DitheredPicture:
        """The same with its likelihood, of the levels of all coefficients but the brightness."""
        used = np.nonzero(np.broadcast_to(~CONSTANT[COSINE], self.values.shape))
        solver = self.solver(blocks)
        group = blocks.group[used[0]]
        still, design = coefficients(blocks, self.still)
        still, design = still[COSINE][used], design[:, COSINE][:, used[0], used[1]]
        likelihood = 0.0
        for cells in every:
            solved = solver.solve(cells, self.sigma)
            mean = still + np.einsum("ak,ka->k", design, solved.found[group].astype(np.float32))
            doubtful = np.einsum("ak,ka->k", design[:2] ** 2, solved.doubt[group])
            spread = np.sqrt(noise_of(cells, self.sigma)[used[0]] + doubtful).astype(np.float32)
            logarithm, _, _ = told_by_cell(cells.low[used] - mean, cells.high[used] - mean, spread)
            likelihood += float(np.sum(logarithm))
        return replace(self, likelihood=likelihood)


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """What some frames tell of the coefficients that are bettered, in order of their groups.

    Parameters
    ----------
    used : pair of ndarray [shape=(n,), int64]
        Their blocks, and which of each block's coefficients they are.
    group : ndarray [shape=(n,), int64]
        What moves as one.
    low, high : ndarray [shape=(frames, n), float32, DN]
        Limits of their cells.
    motion : ndarray [shape=(frames, groups, 4), float64]
        Displacement (px), relative gain and offset of each group.
    """

    used: tuple[NDArray[np.int64], NDArray[np.int64]]
    group: NDArray[np.int64]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    motion: NDArray[np.float64]


def _some(frames: SensorFrames, count: int) -> Iterator[FrameBlock]:
    """So many frames, spread over the clip, each with the one after it."""
    stride = max(2, 2 * frames.frame_count // count)
    for block in frames.coded_blocks():
        use = np.flatnonzero(block.index % stride < 2)
        if len(use) and block.coding:
            types = tuple(block.frame_types[k] for k in use) if block.frame_types else ()
            yield FrameBlock(block.index[use], block.luma[use], types, tuple(block.coding[k] for k in use))


def _lost(slopes: NDArray[np.float64], steps: NDArray[np.float64], sigma: float) -> float:
    """What the quantiser took of the information on motion (dB), wherever the coefficients lie in their cells."""
    power = np.sum(slopes**2, axis=0)
    kept = kept_information(steps / np.sqrt(sigma**2 + QUANTISATION))
    return float(10 * np.log10(np.sum(power) / max(float(np.sum(power * kept)), 1e-12)))


def _showing(picture: StillPicture, blocks: CodedBlocks, values: NDArray[np.float64]) -> StillPicture:
    """The picture with other coefficients."""
    matrix = TRANSFORMS[COSINE].astype(np.float64)
    pixels = matrix.T @ values.reshape(-1, SIDE, SIDE) @ matrix + MIDDLE
    return StillPicture.of(blocks.put(pixels, picture.mean))


def _kept(
    values: NDArray[np.float64], steps: NDArray[np.float64], dither: NDArray[np.float64], share: float
) -> NDArray[np.float64]:
    """The share of its information that each coefficient keeps where it lies, by the limits next to it."""
    from scipy.special import ndtr

    ratio, place = steps / dither, values / steps
    level = np.sign(place) * np.floor(np.abs(place) + share)
    apart = (limit_above(level[..., None] + _NEAR, share) - place[..., None]) * ratio[..., None]
    density = np.exp(-0.5 * apart**2) / np.sqrt(2 * np.pi)
    mass = np.maximum(np.diff(ndtr(apart), axis=-1), 1e-12)
    return np.asarray(
        np.where(ratio < 2, kept_information(ratio), np.sum(np.diff(density, axis=-1) ** 2 / mass, axis=-1))
    )
