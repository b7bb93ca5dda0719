"""Motion of stripes of eight rows from the cells that a codec's coefficients lay in, by maximum likelihood."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import FrameBlock, SensorFrames
from vmforensics.numerics.coded_cells import CONSTANT, SIDE, CellReader, Cells, transformed
from vmforensics.numerics.derivative import NOISE_GAIN
from vmforensics.numerics.noise import QUANTISATION
from vmforensics.numerics.quantisation import told_by_cell
from vmforensics_rolling_shutter.motion.halves import CHANNELS
from vmforensics_rolling_shutter.motion.mean_template import MeanTemplate

_MOST_TELLING = 24  # of a block's 64 coefficients; they hold nine tenths of what it knows of motion
_MODEL_ERROR = 0.07  # of a step, by which the limits are blurred: the coder's rounding isn't known exactly
_STEPS, _LONGEST_STEP = 5, 0.1  # Newton's, and px
_WIDEST = 0.1  # px; uncertainty of the displacement to begin with
_PRIOR = np.array([1 / 0.3**2, 1 / 0.3**2, 1 / 0.1**2])  # of x and y (1/px²) and of a relative gain
_SIGMAS = 0.5 * 2 ** (np.arange(11) / 2)  # DN, that the noise is chosen from
_NOISE_FRAMES = 6
_LEAST_EXPLAINED = 0.5  # share of the predicted frames' blocks whose prediction must be found
_LEAST_PREDICTED = 0.5  # share of the frames
_SINGULAR = 1e-9
_LEAST_TEXTURE = 4.0  # times the information that noise feigns


@dataclass(frozen=True, slots=True, eq=False)
class StripeReadings:
    """Displacement of every stripe, in the channels of `halves.CHANNELS`.

    Parameters
    ----------
    displacement : ndarray [shape=(frames, stripes, channels), float32, px]
    precision : ndarray [shape=(frames, stripes, channels, channels), float32, 1/px²]
        Inverse covariance of the channels' noise.
    rows : ndarray [shape=(stripes,), int64]
        First of each stripe's eight rows, in the region and in readout order.
    kinds : ndarray [shape=(frames,), object]
        The frames' types, as the codec calls them; "" for one that wasn't decoded.
    sigma : float, DN
        The camera's noise before compression, as the likelihood has it.
    explained : float
        Share of the predicted frames' blocks whose prediction was found.
    """

    displacement: NDArray[np.float32]
    precision: NDArray[np.float32]
    rows: NDArray[np.int64]
    kinds: NDArray[np.object_]
    sigma: float
    explained: float


def measure(frames: SensorFrames, template: MeanTemplate, stripe: int) -> StripeReadings | None:
    """Measure every stripe of every frame from the codec's decisions.

    A coefficient c of a block that is moved by d px, T its template and T' that of its slope, is T - T'·d (1 + g) + gT
    with noise; the codec tells between which limits it lay. Newton's method on the logarithm of the likelihood, jointly
    for (dx, dy) and the gain g of each stripe and half; the second derivatives are the information. Precision is
    lessened, by type of frame, to what the disagreement of the two halves shows.

    Parameters
    ----------
    frames
        The clip, of a picture that stays in place.
    template
        Its temporal mean.
    stripe : px
        Width of the column stripes that are dealt in turn to the two halves; rounded to whole macroblocks.

    Returns
    -------
    StripeReadings or None
        None where the codec doesn't tell how it coded, or too few predictions are found.
    """
    solver = _Solver.build(frames, template, stripe)
    if solver is None:
        return None
    sigma = _noise(frames, solver)
    if sigma is None:
        return None
    count = frames.frame_count
    displacement = np.zeros((count, len(solver.rows), len(CHANNELS)), dtype=np.float32)
    precision = np.zeros((count, len(solver.rows), len(CHANNELS), len(CHANNELS)), dtype=np.float32)
    kinds = np.full(count, "", dtype=object)
    explained: list[float] = []
    for cells in solver.reader.read(_noting_types(frames.stream.coded_blocks(), kinds)):
        found, known, _ = solver.solve(cells, sigma)
        for half in (0, 1):
            channel = slice(2 * half, 2 * half + 2)
            displacement[cells.index, :, channel] = found[half::2]
            precision[cells.index, :, channel, channel] = known[half::2]
        if kinds[cells.index] != "I":
            explained.append(float(np.mean(cells.explained)))
    if len(explained) < _LEAST_PREDICTED * count or np.mean(explained) < _LEAST_EXPLAINED:
        return None
    _calibrate(displacement, precision, kinds)
    displacement[np.trace(precision, axis1=2, axis2=3) == 0] = 0.0
    return StripeReadings(displacement, precision, solver.rows, kinds, sigma, float(np.mean(explained)))


def _noting_types(blocks: Iterator[FrameBlock], kinds: NDArray[np.object_]) -> Iterator[FrameBlock]:
    """Pass blocks on, and write down their frames' types."""
    for block in blocks:
        kinds[block.index] = block.frame_types or [""] * len(block.index)
        yield block


def _noise(frames: SensorFrames, solver: _Solver) -> float | None:
    """The likeliest noise (DN) of the first few predicted frames; None where there are none."""
    total = np.zeros(len(_SIGMAS))
    used = 0
    for cells in solver.reader.read(frames.stream.coded_blocks()):
        if np.mean(cells.explained) < _LEAST_EXPLAINED:
            continue
        total += [solver.solve(cells, sigma)[2] for sigma in _SIGMAS]
        used += 1
        if used == _NOISE_FRAMES:
            break
    return float(_SIGMAS[int(np.argmax(total))]) if used else None


def _calibrate(displacement: NDArray[np.float32], precision: NDArray[np.float32], kinds: NDArray[np.object_]) -> None:
    """Lessen the precision, in place, where the two halves disagree by more than it allows, by type of frame.

    Their difference e would have e'C⁻¹e = 2 on average, with C = P0⁻¹ + P1⁻¹.
    """
    first, second = precision[:, :, :2, :2].astype(np.float64), precision[:, :, 2:, 2:].astype(np.float64)
    both = first + second
    known = np.linalg.det(both) > _SINGULAR * np.trace(both, axis1=2, axis2=3) ** 2
    safe = np.where(known[..., None, None], both, np.eye(2))
    common = first @ np.linalg.solve(safe, second)  # (P0⁻¹ + P1⁻¹)⁻¹, of singular ones too
    apart = displacement[:, :, :2] - displacement[:, :, 2:]
    energy = np.einsum("fra,frab,frb->fr", apart, common, apart)
    for kind in set(kinds):
        own = known & (kinds == kind)[:, None] & (np.trace(common, axis1=2, axis2=3) > 0)
        if own.any():
            precision[kinds == kind] /= max(float(np.mean(energy[own])) / 2, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Solver:
    """The blocks of a region that show motion, and what their coefficients are without and with it.

    Parameters
    ----------
    reader
        Of the blocks' cells.
    group : ndarray [shape=(blocks,), int64]
        Twice the stripe that each lies in, plus its half.
    telling : ndarray [shape=(2, blocks, k), int64]
        Which coefficients are used, of either transform.
    still : ndarray [shape=(2, blocks, k), float32, DN]
        The template's.
    design : ndarray [shape=(3, 2, blocks, k), float32]
        What they change by with x and y (DN/px), and with the gain (DN).
    rows : ndarray [shape=(stripes,), int64]
        First row of each stripe.
    """

    reader: CellReader
    group: NDArray[np.int64]
    telling: NDArray[np.int64]
    still: NDArray[np.float32]
    design: NDArray[np.float32]
    rows: NDArray[np.int64]

    @classmethod
    def build(cls, frames: SensorFrames, template: MeanTemplate, stripe: int) -> _Solver | None:
        """Lay out the blocks; None where none lies wholly in the region and has texture, or the rows are too few."""
        direction, region = frames.shutter.direction, frames.rectangle

        def coded(picture: NDArray[np.float64]) -> NDArray[np.float64]:
            picture = picture[::-1] if direction.reversed else picture
            return picture.T if direction.along_columns else picture

        tops = np.arange(-(-region.y // SIDE) * SIDE, region.y + region.height - SIDE + 1, SIDE)
        lefts = np.arange(-(-region.x // SIDE) * SIDE, region.x + region.width - SIDE + 1, SIDE)
        if not len(tops) or not len(lefts):
            return None
        top, left = (grid.ravel() for grid in np.meshgrid(tops, lefts, indexing="ij"))
        inside = np.arange(SIDE)
        pixels = (
            (top - region.y)[:, None, None] + inside[:, None],
            (left - region.x)[:, None, None] + inside,
        )
        pictures = [coded(picture)[pixels] for picture in (template.mean, *template.slopes)]
        information = sum(np.sum(slope**2, axis=(1, 2)) for slope in pictures[1:])
        feigned = 2 * NOISE_GAIN / template.frames * SIDE**2 * template.noise.variance(pictures[0].mean(axis=(1, 2)))
        use = (information > _LEAST_TEXTURE * feigned) & coded(template.usable.astype(np.float64))[pixels].all(
            axis=(1, 2)
        )
        if not use.any():
            return None
        top, left = top[use], left[use]
        along = top if direction.along_columns else left
        place = (left - region.x) if direction.along_columns else (top - region.y)
        place = frames.rows - SIDE - place if direction.reversed else place
        rows = np.unique(place)
        width = max(stripe // 16, 1) * 16
        group = 2 * np.searchsorted(rows, place) + along // width % 2
        coefficients = np.array(
            [[transformed(picture[use], which) for which in (0, 1)] for picture in pictures], dtype=np.float32
        )
        still, design = coefficients[0], np.stack([-coefficients[1], -coefficients[2], coefficients[0]])
        design = np.where(CONSTANT[:, None, :], np.float32(0), design)
        strength = np.sum(
            design[:2] ** 2 / np.maximum(np.sum(design[:2] ** 2, axis=(2, 3), keepdims=True), 1e-9), axis=0
        )
        telling = np.argsort(-strength, axis=2, kind="stable")[:, :, :_MOST_TELLING]
        return cls(
            CellReader(top, left),
            group,
            telling,
            np.take_along_axis(still, telling, 2),
            np.take_along_axis(design, telling[None], 3),
            rows,
        )

    def solve(self, cells: Cells, sigma: float) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        """Maximum likelihood of one frame.

        Returns
        -------
        displacement : ndarray [shape=(groups, 2), float64, px]
        precision : ndarray [shape=(groups, 2, 2), float64, 1/px²]
            What the cells tell; the weak prior that steadies Newton's method isn't in it.
        likelihood : float
            Logarithm.
        """
        own = np.arange(len(self.group))
        telling, still = self.telling[cells.which, own], self.still[cells.which, own]
        design = self.design[:, cells.which, own]
        low = np.take_along_axis(cells.low, telling, 1) - still
        high = np.take_along_axis(cells.high, telling, 1) - still
        groups = 2 * len(self.rows)
        noise = sigma**2 + QUANTISATION + (_MODEL_ERROR * cells.step[:, None]) ** 2
        squares = design[:2] ** 2
        doubt = np.full((groups, 2), _WIDEST**2)
        found = np.zeros((groups, 3))
        information = np.zeros((groups, 3, 3))
        likelihood = 0.0
        for step in range(_STEPS + 1):
            spread = np.sqrt(noise + np.einsum("abk,ba->bk", squares, doubt[self.group])).astype(np.float32)
            mean = np.einsum("abk,ba->bk", design, found[self.group].astype(np.float32))
            logarithm, score, curve = told_by_cell(low - mean, high - mean, spread)
            for a in range(3):
                for b in range(a, 3):
                    terms = np.sum(curve * design[a] * design[b], axis=1)
                    information[:, a, b] = information[:, b, a] = np.bincount(self.group, terms, groups)
            if step == _STEPS:
                likelihood = float(np.sum(logarithm))
                break
            slope = np.stack(
                [np.bincount(self.group, np.sum(score * design[a], axis=1), groups) for a in range(3)], axis=1
            )
            covariance = np.linalg.inv(information + np.diag(_PRIOR))
            found += np.clip((covariance @ (slope - _PRIOR * found)[..., None])[..., 0], -_LONGEST_STEP, _LONGEST_STEP)
            doubt = np.minimum(np.diagonal(covariance, axis1=1, axis2=2)[:, :2], doubt)
        lost = information[:, :2, 2] / (information[:, 2, 2] + _PRIOR[2])[:, None]
        precision = information[:, :2, :2] - lost[:, :, None] * information[:, None, 2, :2]
        return found[:, :2], precision, likelihood
