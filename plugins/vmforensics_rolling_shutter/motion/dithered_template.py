"""The still picture behind JPEG pictures, finer than their quantiser's steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import FrameBlock, SensorFrames
from vmforensics.numerics.coded_cells import CONSTANT, SIDE, TRANSFORMS, Cells
from vmforensics.numerics.derivative import derivative
from vmforensics.numerics.levels import Levels
from vmforensics.numerics.noise import QUANTISATION
from vmforensics.numerics.quantisation import kept_information, told_by_cell
from vmforensics.numerics.table_cells import MIDDLE, TableReader
from vmforensics_rolling_shutter.motion.mean_template import MeanTemplate
from vmforensics_rolling_shutter.motion.row_readings import RowReadings
from vmforensics_rolling_shutter.motion.stripe_blocks import StripeBlocks
from vmforensics_rolling_shutter.motion.stripe_solver import StripeSolver, TableSolver, coefficients, noise_of

_FRAMES = 120  # that the template is found from, spread over the clip, each with the one after it for the noise
_LONGEST_STEP = 0.5  # of the noise's standard deviation
_LEAST_EXPLAINED = 0.5  # share of the blocks that must lie on the lattice
_LEAST_LOST = 4.0  # dB; where less was taken, stripes can lose more than they win
_NEAR = np.arange(-1.5, 2.0)  # limits of the cells about the nearest level, in steps


@dataclass(frozen=True, slots=True, eq=False)
class DitheredTemplate:
    """What was found.

    Parameters
    ----------
    template
        As measured, with the picture and its slopes replaced.
    kept : ndarray [shape=(blocks, 64), float64]
        The share of each coefficient's information that its place between the quantiser's limits leaves.
    sigma : float, DN
        The camera's noise before compression.
    explained : float
        Share of the blocks that lay on the lattice.
    """

    template: MeanTemplate
    kept: NDArray[np.float64]
    sigma: float
    explained: float

    @classmethod
    def find(
        cls, frames: SensorFrames, template: MeanTemplate, blocks: StripeBlocks, readings: RowReadings
    ) -> DitheredTemplate | None:
        """Find template and noise from the levels of some frames.

        The mean of the decoded frames is a staircase of the picture that the camera saw, smoothed by noise and motion
        only. Where a coefficient takes two levels, the share of either tells how far its mean lies from the limit
        between them, in units of what dithers it; where it keeps to one, the middle of that cell is taken. One step of
        Newton's method on the likelihood of all levels, given the motion that they yield themselves, then betters it.

        The noise comes from the levels' changes between successive frames, of coefficients whose place in their cells
        may count as random: those of one step or more.

        Parameters
        ----------
        frames
            The clip.
        template
            Its temporal mean.
        blocks
            Those to be looked at.
        readings
            What plain least squares reads: how much the rows move.

        Returns
        -------
        DitheredTemplate or None
            None where too few blocks lie on the lattice, too little changes to tell the noise, or the quantiser took so
            little that there isn't much to be had.
        """
        reader = TableReader(blocks.top, blocks.left)
        levels = Levels.over(reader.read(_some(frames)), blocks.group)
        if levels is None or levels.explained < _LEAST_EXPLAINED:
            return None
        moved = _moved(readings)
        _, design = coefficients(blocks, template)
        slopes = design[:2, 0].astype(np.float64)
        sigma = levels.noise(np.einsum("abk,a->bk", slopes**2, moved.between))
        if sigma is None or _lost(slopes, levels.steps, sigma) < _LEAST_LOST:
            return None
        dither = np.sqrt(sigma**2 + QUANTISATION + np.einsum("abk,a->bk", slopes**2, moved.about))
        values = levels.means(dither)
        template = _showing(template, blocks, values)
        solver = TableSolver(blocks, template, _kept(values, levels.steps, dither))
        values = _bettered(values, levels, solver, template, sigma, reader.read(_some(frames)))
        return cls(_showing(template, blocks, values), _kept(values, levels.steps, dither), sigma, levels.explained)


@dataclass(frozen=True, slots=True, eq=False)
class _Moved:
    """Mean square motion (px²) along and across the rows, beyond noise: about the mean, and between frames."""

    about: NDArray[np.float64]
    between: NDArray[np.float64]


def _moved(readings: RowReadings) -> _Moved:
    """What the two halves of the rows have in common."""
    weight = np.sqrt(np.maximum(np.diagonal(readings.precision[0], axis1=1, axis2=2), 0.0, dtype=np.float64))
    weight = weight[:, :2] * weight[:, 2:]
    centred = readings.displacement - readings.displacement.mean(axis=0)
    total = np.maximum(weight.sum(axis=0), 1e-30)

    def common(values: NDArray[np.float32]) -> NDArray[np.float64]:
        product = np.mean(values[..., :2] * values[..., 2:], axis=0, dtype=np.float64)
        return np.asarray(np.maximum(np.sum(weight * product, axis=0) / total, 0.0))

    return _Moved(common(centred), common(np.diff(centred, axis=0)))


def _some(frames: SensorFrames) -> Iterator[FrameBlock]:
    """Some frames, spread over the clip, each with the one after it."""
    stride = max(2, 2 * frames.frame_count // _FRAMES)
    for block in frames.stream.coded_blocks():
        use = np.flatnonzero(block.index % stride < 2)
        if len(use) and block.coding:
            types = tuple(block.frame_types[k] for k in use) if block.frame_types else ()
            yield FrameBlock(block.index[use], block.luma[use], types, tuple(block.coding[k] for k in use))


def _lost(slopes: NDArray[np.float64], steps: NDArray[np.float64], sigma: float) -> float:
    """What the quantiser took of the information on motion (dB), wherever the coefficients lie in their cells."""
    power = np.sum(slopes**2, axis=0)
    kept = kept_information(steps / np.sqrt(sigma**2 + QUANTISATION))
    return float(10 * np.log10(np.sum(power) / max(float(np.sum(power * kept)), 1e-12)))


def _showing(template: MeanTemplate, blocks: StripeBlocks, values: NDArray[np.float64]) -> MeanTemplate:
    """The template with other coefficients."""
    matrix = TRANSFORMS[0].astype(np.float64)
    pixels = matrix.T @ values.reshape(-1, SIDE, SIDE) @ matrix + MIDDLE
    picture = blocks.put(pixels, template.mean)
    return replace(template, mean=picture, slopes=(derivative(picture, axis=1), derivative(picture, axis=0)))


def _kept(values: NDArray[np.float64], steps: NDArray[np.float64], dither: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of its information that each coefficient keeps where it lies, half a step about each level."""
    from scipy.special import ndtr

    ratio = steps / dither
    place = (_NEAR - (values / steps - np.rint(values / steps))[..., None]) * ratio[..., None]
    density = np.exp(-0.5 * place**2) / np.sqrt(2 * np.pi)
    mass = np.maximum(np.diff(ndtr(place), axis=-1), 1e-12)
    return np.asarray(
        np.where(ratio < 2, kept_information(ratio), np.sum(np.diff(density, axis=-1) ** 2 / mass, axis=-1))
    )


def _bettered(
    values: NDArray[np.float64],
    levels: Levels,
    solver: StripeSolver,
    template: MeanTemplate,
    sigma: float,
    every: Iterator[Cells],
) -> NDArray[np.float64]:
    """One step of Newton's method on the likelihood of those coefficients that took several levels."""
    blocks = solver.blocks
    used = np.nonzero(levels.varies & ~CONSTANT[0])
    group = blocks.group[used[0]]
    still, design = coefficients(blocks, template)
    still, design = still[0][used], design[:, 0][:, used[0], used[1]]
    loose = levels.steps[used] ** -2 * 12  # as if anywhere in a cell
    score, information = -(values - levels.mean)[used] * loose, loose.copy()
    for cells in every:
        solved = solver.solve(cells, sigma)
        mean = still + np.einsum("ak,ka->k", design, solved.found[group].astype(np.float32))
        doubtful = np.einsum("ak,ka->k", design[:2] ** 2, solved.doubt[group])
        spread = np.sqrt(noise_of(cells, sigma)[used[0]] + doubtful).astype(np.float32)
        _, pull, curve = told_by_cell(cells.low[used] - mean, cells.high[used] - mean, spread)
        score += pull
        information += curve
    better = values.copy()
    better[used] += np.clip(score / information, -_LONGEST_STEP * sigma, _LONGEST_STEP * sigma)
    return better
