"""Motion of stripes of eight rows from the cells that a codec's coefficients lay in, by maximum likelihood."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import FrameBlock, FrameCoding, SensorFrames, TableCoding
from vmforensics.numerics.coded_cells import CellReader
from vmforensics.numerics.table_cells import TableReader
from vmforensics_rolling_shutter.motion.dithered_template import DitheredTemplate
from vmforensics_rolling_shutter.motion.halves import CHANNELS
from vmforensics_rolling_shutter.motion.mean_template import MeanTemplate
from vmforensics_rolling_shutter.motion.row_readings import RowReadings
from vmforensics_rolling_shutter.motion.stripe_blocks import StripeBlocks
from vmforensics_rolling_shutter.motion.stripe_solver import PredictedSolver, StripeSolver, TableSolver

_SIGMAS = 0.5 * 2 ** (np.arange(11) / 2)  # DN, that the noise is chosen from
_NOISE_FRAMES = 6
_LEAST_EXPLAINED = 0.5  # share of the predicted frames' blocks whose prediction must be found
_LEAST_PREDICTED = 0.5  # share of the frames
_LARGEST_EXCESS = 4.0  # times the disagreement of the halves that JPEG's cells allow
_SINGULAR = 1e-9


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
        Share of the blocks, of the predicted frames', that the quantiser's lattice explains.
    excess : float
        Times as much as the cells allow that the halves disagree by, which the precision was lessened by; the mean over
        the types of frame.
    by_table : bool
        Whether the pictures are JPEG's, each coded by itself.
    """

    displacement: NDArray[np.float32]
    precision: NDArray[np.float32]
    rows: NDArray[np.int64]
    kinds: NDArray[np.object_]
    sigma: float
    explained: float
    excess: float
    by_table: bool


def measure(frames: SensorFrames, template: MeanTemplate, readings: RowReadings, stripe: int) -> StripeReadings | None:
    """Measure every stripe of every frame from the codec's decisions.

    Precision is lessened, by type of frame, to what the disagreement of the two halves shows.

    Parameters
    ----------
    frames
        The clip, of a picture that stays in place.
    template
        Its temporal mean.
    readings
        What plain least squares reads off the rows.
    stripe : px
        Width of the column stripes that are dealt in turn to the two halves; rounded to whole macroblocks.

    Returns
    -------
    StripeReadings or None
        None where the codec doesn't tell how it coded, too few predictions are found, or where the halves of JPEG
        pictures disagree by far more than their cells allow.
    """
    first = next((block for block in frames.stream.coded_blocks()), None)
    coding = first.coding[0] if first is not None and first.coding else None
    if isinstance(coding, FrameCoding):
        return _of_predicted(frames, template, stripe)
    if isinstance(coding, TableCoding):
        return _of_tables(frames, template, readings, stripe)
    return None


def _of_predicted(frames: SensorFrames, template: MeanTemplate, stripe: int) -> StripeReadings | None:
    """Of frames that were predicted from others."""
    blocks = StripeBlocks.of(frames, template, stripe, textured=True)
    if blocks is None:
        return None
    solver, reader = PredictedSolver(blocks, template), CellReader(blocks.top, blocks.left)
    sigma = _noise(frames, solver, reader)
    if sigma is None:
        return None
    stripes = _solved(frames, solver, reader, sigma, by_table=False)
    if stripes is None or stripes.explained < _LEAST_EXPLAINED:
        return None
    return stripes


def _of_tables(
    frames: SensorFrames, template: MeanTemplate, readings: RowReadings, stripe: int
) -> StripeReadings | None:
    """Of JPEG pictures."""
    blocks = StripeBlocks.of(frames, template, stripe, textured=False)
    if blocks is None:
        return None
    found = DitheredTemplate.find(frames, template, blocks, readings)
    if found is None:
        return None
    solver = TableSolver(blocks, found.template, found.kept)
    stripes = _solved(frames, solver, TableReader(blocks.top, blocks.left), found.sigma, by_table=True)
    if stripes is None or stripes.excess > _LARGEST_EXCESS:
        return None
    return stripes


def _solved(
    frames: SensorFrames, solver: StripeSolver, reader: CellReader | TableReader, sigma: float, *, by_table: bool
) -> StripeReadings | None:
    """Every stripe of every frame; None where too few frames are predicted from others, or told by a table."""
    rows, count = solver.blocks.rows, frames.frame_count
    displacement = np.zeros((count, len(rows), len(CHANNELS)), dtype=np.float32)
    precision = np.zeros((count, len(rows), len(CHANNELS), len(CHANNELS)), dtype=np.float32)
    kinds = np.full(count, "", dtype=object)
    explained: list[float] = []
    for cells in reader.read(_noting_types(frames.stream.coded_blocks(), kinds)):
        solved = solver.solve(cells, sigma)
        for half in (0, 1):
            channel = slice(2 * half, 2 * half + 2)
            displacement[cells.index, :, channel] = solved.found[half::2, :2]
            precision[cells.index, :, channel, channel] = solved.precision[half::2]
        if by_table or kinds[cells.index] != "I":
            explained.append(float(np.mean(cells.explained)))
    if len(explained) < _LEAST_PREDICTED * count:
        return None
    excess = _calibrate(displacement, precision, kinds)
    displacement[np.trace(precision, axis1=2, axis2=3) == 0] = 0.0
    return StripeReadings(displacement, precision, rows, kinds, sigma, float(np.mean(explained)), excess, by_table)


def _noting_types(blocks: Iterator[FrameBlock], kinds: NDArray[np.object_]) -> Iterator[FrameBlock]:
    """Pass blocks on, and write down their frames' types."""
    for block in blocks:
        kinds[block.index] = block.frame_types or [""] * len(block.index)
        yield block


def _noise(frames: SensorFrames, solver: StripeSolver, reader: CellReader) -> float | None:
    """The likeliest noise (DN) of the first few predicted frames; None where there are none."""
    total = np.zeros(len(_SIGMAS))
    used = 0
    for cells in reader.read(frames.stream.coded_blocks()):
        if np.mean(cells.explained) < _LEAST_EXPLAINED:
            continue
        total += [solver.solve(cells, sigma).likelihood for sigma in _SIGMAS]
        used += 1
        if used == _NOISE_FRAMES:
            break
    return float(_SIGMAS[int(np.argmax(total))]) if used else None


def _calibrate(displacement: NDArray[np.float32], precision: NDArray[np.float32], kinds: NDArray[np.object_]) -> float:
    """Lessen the precision, in place, where the two halves disagree by more than it allows, by type of frame.

    Their difference e would have e'C⁻¹e = 2 on average, with C = P0⁻¹ + P1⁻¹. Gives the mean excess of the types.
    """
    energy, known = _disagreement(displacement, precision)
    excesses = []
    for kind in sorted(set(kinds)):
        own = known & (kinds == kind)[:, None]
        if own.any():
            excesses.append(float(np.mean(energy[own])) / 2)
            precision[kinds == kind] /= max(excesses[-1], 1.0)
    return float(np.mean(excesses)) if excesses else 0.0


def _disagreement(
    displacement: NDArray[np.float32], precision: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """By how much the halves of each sample differ, and whether that is known [shape=(frames, stripes)]."""
    first, second = precision[:, :, :2, :2].astype(np.float64), precision[:, :, 2:, 2:].astype(np.float64)
    both = first + second
    known = np.linalg.det(both) > _SINGULAR * np.trace(both, axis1=2, axis2=3) ** 2
    safe = np.where(known[..., None, None], both, np.eye(2))
    common = first @ np.linalg.solve(safe, second)  # (P0⁻¹ + P1⁻¹)⁻¹, of singular ones too
    apart = displacement[:, :, :2] - displacement[:, :, 2:]
    energy = np.einsum("fra,frab,frb->fr", apart, np.broadcast_to(common, (*apart.shape[:2], 2, 2)), apart)
    return energy, np.broadcast_to(known & (np.trace(common, axis1=2, axis2=3) > 0), energy.shape)
