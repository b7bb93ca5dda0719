"""In which cell of the quantiser each coefficient of a coded frame lay.

A frame that a codec predicts from others tells more than its pixels: where a residual was rounded to nothing, the
camera's picture can't have differed from the prediction by more than the rounding allows, and where it wasn't, it did
differ by that much. Decoded pixels and the quantisers' steps are enough to see this: the difference between a block and
the block that it was predicted from lies on the lattice of the quantiser, and its difference from any other doesn't.
Blocks of an intra frame are predicted from the pixels beside them (`intra.py`); those tell likewise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import FrameBlock, FrameCoding
from vmforensics.data.codec import MACROBLOCK
from vmforensics.numerics.coded.intra import Candidate, any_way, intra_candidates
from vmforensics.numerics.coded.rounding import PREDICTED, Rounding
from vmforensics.numerics.coded.transforms import COSINE, SIDE, steps_of, transformed

OFF_LATTICE = 0.14
"""DN²; largest mean square distance from the lattice: rounding to whole numbers leaves 1/12, a wrong prediction a
twelfth of the step's square."""

LEAST_STEP = 1.7
"""DN, below which the lattice is too fine to be told."""

UNKNOWN = 1e5
"""DN either way; limits that tell nothing."""

_REFERENCES = 4  # frames before, in order of display, that a block is looked for in
_HELD = 32  # frames: what a reference or a frame yet to be coded can be away


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """What one frame tells of the coefficients of its blocks.

    Parameters
    ----------
    index : int
        The frame's position in the stream.
    low, high : ndarray [shape=(blocks, 64), float32, DN]
        Limits that the camera's coefficients lay between.
    blur : ndarray [shape=(blocks,), float32, DN]
        Standard deviation that the limits are known to; 0 where they are exact.
    which : ndarray [shape=(blocks,), int64]
        Which of the `transforms.TRANSFORMS` each block's coefficients are of.
    explained : ndarray [shape=(blocks,), bool]
        Whether it lies on the quantiser's lattice; of a predicted block: whether its prediction was found. Where it
        doesn't, the limits are those of a uniform quantiser about what was decoded.
    """

    index: int
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    blur: NDArray[np.float32]
    which: NDArray[np.int64]
    explained: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    index: int
    coding: FrameCoding
    pixels: NDArray[np.generic]
    picture: NDArray[np.generic] | None  # the whole of an intra frame


class CellReader:
    """Reads the cells of some blocks, frame by frame.

    Parameters
    ----------
    top, left : ndarray [shape=(blocks,), int64, px]
        Where the blocks begin in the coded picture: multiples of 8.
    fine : bool
        Whether blocks whose quantiser is so fine that their lattice can't be told count as explained: limits about what
        was decoded are as good.
    intra : Rounding or None
        How the encoder rounds in intra frames, where predictions are to be looked for in those; their pixels must then
        be those before the edges of blocks were smoothed.

    Notes
    -----
    A prediction without motion is looked for, from each of the nearest frames that were coded before, or the mean of
    the nearest on either side; in intra frames, from the pixels above and to the left.
    """

    def __init__(
        self,
        top: NDArray[np.int64],
        left: NDArray[np.int64],
        *,
        fine: bool = False,
        intra: Rounding | None = None,
    ) -> None:
        self._top, self._left, self._fine, self._intra = top, left, fine, intra
        inside = np.arange(SIDE)
        self._rows = top[:, None, None] + inside[None, :, None]
        self._cols = left[:, None, None] + inside[None, None, :]

    def read(self, blocks: Iterator[FrameBlock]) -> Iterator[Cells]:
        """The cells of every frame whose coding is known, in order of display.

        Parameters
        ----------
        blocks
            Whole coded pictures.
        """
        held: list[_Frame] = []
        coded: set[int] = set()
        first_unread = 0
        for block in blocks:
            for index, luma, coding in zip(block.index, block.luma, block.coding, strict=False):
                if not isinstance(coding, FrameCoding):
                    continue
                picture = None
                if not coding.predicted and self._intra is not None:
                    picture = luma.copy() if coding.unsmoothed is None else coding.unsmoothed
                seen = luma if picture is None else picture
                held.append(_Frame(int(index), coding, seen[self._rows, self._cols], picture))
                coded.add(coding.order)
                while first_unread < len(held) and (
                    len(held) - first_unread > _HELD // 2
                    or held[first_unread].picture is not None
                    or _complete(held[first_unread].coding.order, coded)
                ):
                    yield self._cells(held, first_unread)
                    first_unread += 1
                surplus = max(first_unread - _HELD // 2, 0)
                del held[:surplus]
                first_unread -= surplus
        for place in range(first_unread, len(held)):
            yield self._cells(held, place)

    def _cells(self, held: list[_Frame], place: int) -> Cells:
        frame = held[place]
        step = frame.coding.steps[self._top // MACROBLOCK, self._left // MACROBLOCK]
        value = transformed(frame.pixels, COSINE)
        half = np.float32(0.5) * step[:, None]
        low, high = np.asarray(value - half, np.float32), np.asarray(value + half, np.float32)
        which = np.full(len(step), COSINE)
        explained = np.zeros(len(step), dtype=bool)
        coarse = step >= LEAST_STEP
        rounding = PREDICTED if self._intra is None or frame.coding.predicted else self._intra
        for candidate in self._candidates(held, place, step):
            left = np.flatnonzero(coarse & ~explained)
            if not len(left):
                break
            residual = transformed(frame.pixels[left].astype(np.int32) - candidate.of(left), candidate.which)
            unit = steps_of(step[left], candidate.which)
            level = np.rint(residual / unit)
            off = (residual - level * unit)[:, candidate.judged]
            hit = np.einsum("bk,bk->b", off, off) < OFF_LATTICE * off.shape[1]
            found = left[hit]
            below, above = rounding.limits(level[hit], unit[hit], candidate.which)
            base = transformed(frame.pixels[found], candidate.which) - residual[hit]
            low[found] = np.where(candidate.judged, base + below, -UNKNOWN)
            high[found] = np.where(candidate.judged, base + above, UNKNOWN)
            which[found], explained[found] = candidate.which, True
        if frame.picture is not None:
            lost = coarse & ~explained
            low[lost], high[lost] = -UNKNOWN, UNKNOWN
        if self._fine:
            explained |= ~coarse
        return Cells(frame.index, low, high, np.asarray(rounding.blur * step, np.float32), which, explained)

    def _candidates(self, held: list[_Frame], place: int, step: NDArray[np.float32]) -> Iterator[Candidate]:
        """What the frame's blocks may have been predicted from, likeliest first."""
        picture = held[place].picture
        if picture is not None:
            yield from intra_candidates(picture, self._top, self._left, step)
        elif held[place].coding.predicted:
            for prediction in _predictions(held, place):
                yield from any_way(prediction)


def _complete(order: int, coded: set[int]) -> bool:
    """Whether all frames coded shortly before have been seen, so that no reference is yet to come."""
    return all(k in coded for k in range(max(order - _HELD // 2, 0), order))


def _predictions(held: list[_Frame], place: int) -> Iterator[NDArray[np.int32]]:
    """What the frame's blocks may have been predicted from [shape=(blocks, 8, 8), int32, DN], likeliest first."""
    order = held[place].coding.order
    before = [frame for frame in held[place - 1 :: -1] if frame.coding.order < order] if place else []
    after = next((frame for frame in held[place + 1 :] if frame.coding.order < order), None)
    pixels = [frame.pixels.astype(np.int32) for frame in before[:_REFERENCES]]
    yield from pixels[:1]
    if after is not None:
        other = after.pixels.astype(np.int32)
        if pixels:
            yield (pixels[0] + other + 1) >> 1
        yield other
    yield from pixels[1:]
