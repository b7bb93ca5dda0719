"""Motion of groups of blocks in every frame of a clip, read from its codec's decisions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import FrameBlock, FrameCoding, SensorFrames, TableCoding
from vmforensics.numerics.coded.calibration import calibrate
from vmforensics.numerics.coded.cells import CellReader
from vmforensics.numerics.coded.solver import CellSolver
from vmforensics.numerics.coded.tables import TableReader

_SIGMAS = 0.5 * 2 ** (np.arange(11) / 2)  # DN, that the noise is chosen from
_NOISE_FRAMES = 6
_LEAST_EXPLAINED = 0.5
_LEAST_TOLD = 0.5  # share of the frames
_MOST_LOST = 11.5  # dB that JPEG's quantiser may have taken
_FINE = 5.0  # DN; with such steps and noise of 1 DN their decisions tell half a decibel more than pixels


@dataclass(frozen=True, slots=True, eq=False)
class CodedReadings:
    """Displacement of every sample, a stripe of rows or a whole frame, in four channels: x and y of either half.

    Parameters
    ----------
    displacement : ndarray [shape=(frames, samples, 4), float32, px]
    precision : ndarray [shape=(frames, samples, 4, 4), float32, 1/px²]
        Inverse covariance of the channels' noise.
    kinds : ndarray [shape=(frames,), object]
        The frames' types, as the codec calls them; "" for one that wasn't decoded.
    sigma : float, DN
        The camera's noise before compression, as the likelihood has it.
    explained : float
        Share of the blocks that the quantiser's lattice explains; of the predicted frames where those are the most.
    excess : float
        Times as much as the cells allow that the halves disagree by, which the precision was lessened by; the mean over
        the types of frame.
    by_table : bool
        Whether the pictures are JPEG's, each coded by itself.
    lost : float, dB
        What JPEG's quantiser took of the information on motion; 0 where it isn't told.
    """

    displacement: NDArray[np.float32]
    precision: NDArray[np.float32]
    kinds: NDArray[np.object_]
    sigma: float
    explained: float
    excess: float
    by_table: bool
    lost: float = 0.0

    @property
    def vague(self) -> str:
        """Why the size of the motion isn't known to better than a fifth; "" where it is."""
        if self.lost <= _MOST_LOST:
            return ""
        return (
            f"the compression took {self.lost:.0f} dB of what the picture tells of motion: how large the motion is may "
            "be off by a fifth"
        )


def coding_of(frames: SensorFrames) -> FrameCoding | TableCoding | None:
    """What a clip tells of how its frames were coded; None where it tells nothing. Reads one block of frames.

    It is told of the second frame, for encoders code the first far finer than those that follow.
    """
    first = next((block for block in frames.coded_blocks()), None)
    told = [coding for coding in first.coding if coding is not None] if first is not None else []
    return told[min(1, len(told) - 1)] if told else None


def each_alone(frames: SensorFrames) -> bool:
    """Whether every frame of a clip was coded by itself, as its container tells."""
    facts = frames.stream.facts
    return facts.get("keyframes") is not None and facts.get("keyframes") == facts.get("frames")


def coarse(coding: FrameCoding) -> bool:
    """Whether a frame's quantisers took so much that reading what they decided is worth minutes of work."""
    return bool(np.mean(coding.steps) > _FINE)


def read(
    frames: SensorFrames, solver: CellSolver, reader: CellReader | TableReader, sigma: float
) -> CodedReadings | None:
    """Read every frame, and lessen the precision to what the disagreement of the two halves shows, by type of frame.

    Parameters
    ----------
    frames
        The clip.
    solver
        Of groups of blocks: twice a sample plus its half.
    reader
        Of the same blocks' cells.
    sigma : float, DN
        The camera's noise before compression.

    Returns
    -------
    CodedReadings or None
        None where too few frames are predicted from others, or told by a table.
    """
    count, samples = frames.frame_count, solver.blocks.groups // 2
    by_table = isinstance(reader, TableReader)
    displacement = np.zeros((count, samples, 4), dtype=np.float32)
    precision = np.zeros((count, samples, 4, 4), dtype=np.float32)
    kinds = np.full(count, "", dtype=object)
    intra: list[float] = []
    explained: list[float] = []
    for cells in reader.read(_noting_types(frames.coded_blocks(), kinds)):
        solved = solver.solve(cells, sigma)
        for half in (0, 1):
            channel = slice(2 * half, 2 * half + 2)
            displacement[cells.index, :, channel] = solved.found[half::2, :2]
            precision[cells.index, :, channel, channel] = solved.precision[half::2]
        alone = not by_table and kinds[cells.index] == "I"
        (intra if alone else explained).append(float(np.mean(cells.explained)))
    if len(explained) < _LEAST_TOLD * count:
        explained += intra
    if len(explained) < _LEAST_TOLD * count:
        return None
    excess = calibrate(displacement, precision, kinds)
    displacement[np.trace(precision, axis1=2, axis2=3) == 0] = 0.0
    return CodedReadings(displacement, precision, kinds, sigma, float(np.mean(explained)), excess, by_table)


def likeliest_noise(
    frames: SensorFrames, solver: CellSolver, reader: CellReader, least_explained: float = _LEAST_EXPLAINED
) -> float | None:
    """The likeliest noise (DN) of the first few predicted frames; None where there are none.

    Parameters
    ----------
    frames
        The clip.
    solver, reader
        Of the same blocks.
    least_explained : float
        Share of a frame's blocks that the quantiser's lattice must explain for it to count.
    """
    total = np.zeros(len(_SIGMAS))
    kinds = np.full(frames.frame_count, "", dtype=object)
    used = 0
    for cells in reader.read(_noting_types(frames.coded_blocks(), kinds)):
        if kinds[cells.index] == "I" or np.mean(cells.explained) < least_explained:
            continue
        total += [solver.solve(cells, sigma).likelihood for sigma in _SIGMAS]
        used += 1
        if used == _NOISE_FRAMES:
            break
    return float(_SIGMAS[int(np.argmax(total))]) if used else None


def _noting_types(blocks: Iterator[FrameBlock], kinds: NDArray[np.object_]) -> Iterator[FrameBlock]:
    """Pass blocks on, and write down their frames' types."""
    for block in blocks:
        kinds[block.index] = block.frame_types or [""] * len(block.index)
        yield block
