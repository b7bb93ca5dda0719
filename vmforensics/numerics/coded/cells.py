"""In which cell of the quantiser each coefficient of a coded frame lay.

A frame that a codec predicts from others tells more than its pixels: where a residual was rounded to nothing, the
camera's picture can't have differed from the prediction by more than the rounding allows, and where it wasn't, it did
differ by that much. Decoded pixels and the quantisers' steps are enough to see this: the difference between a block and
the block that it was predicted from lies on the lattice of the quantiser, and its difference from any other doesn't.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import FrameBlock, FrameCoding
from vmforensics.data.codec import MACROBLOCK

SIDE = 8
"""Pixels on a side of the blocks that are looked at: the smallest that can have a prediction of its own."""

ROUNDING = 0.21
"""Share of a step, below the next level, from which on a residual is rounded up to it (see `CellReader`)."""

OFF_LATTICE = 0.14
"""DN²; largest mean square distance from the lattice: rounding to whole numbers leaves 1/12, a wrong prediction a
twelfth of the step's square."""

LEAST_STEP = 1.7
"""DN, below which the lattice is too fine to be told."""

_REFERENCES = 4  # frames before, in order of display, that a block is looked for in
_HELD = 32  # frames: what a reference or a frame yet to be coded can be away
_BLUR = 0.07  # of a step, by which limits that rest on `ROUNDING` aren't known


def _cosines(size: int) -> NDArray[np.float32]:
    """Orthonormal cosine transform (DCT-II) of 8 samples, in pieces of `size` [shape=(8, 8), float32]."""
    k, x = np.arange(size)[:, None], np.arange(size)
    piece = np.cos(np.pi * k * (2 * x + 1) / (2 * size)) * np.sqrt(2 / size)
    piece[0] /= np.sqrt(2)
    return np.asarray(np.kron(np.eye(SIDE // size), piece), dtype=np.float32)


TRANSFORMS = (_cosines(8), _cosines(4))
"""Of one block, and of its four quarters."""

CONSTANT = np.array([[k % size == 0 for k in range(SIDE)] for size in (8, 4)])
CONSTANT = np.array([np.outer(flat, flat).ravel() for flat in CONSTANT])
"""Which coefficients of either transform are a mere brightness [shape=(2, 64), bool]."""


def transformed(blocks: NDArray[np.generic], which: int) -> NDArray[np.float32]:
    """The coefficients of some blocks.

    Parameters
    ----------
    blocks : ndarray [shape=(n, 8, 8)]
    which
        0 for the transform of 8 by 8 px, 1 for four of 4 by 4.

    Returns
    -------
    ndarray [shape=(n, 64), float32]
    """
    matrix = TRANSFORMS[which]
    return np.asarray(matrix @ blocks.astype(np.float32) @ matrix.T).reshape(-1, SIDE * SIDE)


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
        Which of the `TRANSFORMS` each block's coefficients are of.
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


class CellReader:
    """Reads the cells of some blocks, frame by frame.

    Parameters
    ----------
    top, left : ndarray [shape=(blocks,), int64, px]
        Where the blocks begin in the coded picture: multiples of 8.
    fine : bool
        Whether blocks whose quantiser is so fine that their lattice can't be told count as explained: limits about what
        was decoded are as good.

    Notes
    -----
    A prediction without motion is looked for, from each of the nearest frames that were coded before, or the mean of
    the nearest on either side. A coder that weighs rate against distortion rounds down most of the time; the
    share at which it rounds up, 0.21 of a step, was found on libx264 at qualities 12 to 20, by the likelihood and by
    the size of known motions alike (its documented share is 0.17 before the trellis search).
    """

    def __init__(self, top: NDArray[np.int64], left: NDArray[np.int64], *, fine: bool = False) -> None:
        self._top, self._left, self._fine = top, left, fine
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
                held.append(_Frame(int(index), coding, luma[self._rows, self._cols]))
                coded.add(coding.order)
                while first_unread < len(held) and (
                    len(held) - first_unread > _HELD // 2 or _complete(held[first_unread].coding.order, coded)
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
        value = transformed(frame.pixels, 0)
        half = np.float32(0.5) * step[:, None]
        low, high = np.asarray(value - half, np.float32), np.asarray(value + half, np.float32)
        which = np.zeros(len(step), dtype=np.int64)
        explained = np.zeros(len(step), dtype=bool)
        coarse = step >= LEAST_STEP
        if frame.coding.predicted:
            for prediction in _predictions(held, place):
                left = np.flatnonzero(coarse & ~explained)
                if not len(left):
                    break
                for transform in range(len(TRANSFORMS)):
                    own = left[~explained[left]]
                    base = transformed(prediction[own], transform)
                    residual = transformed(frame.pixels[own].astype(np.int32) - prediction[own], transform)
                    unit = step[own, None]
                    level = np.rint(residual / unit)
                    hit = np.mean((residual - level * unit) ** 2, axis=1) < OFF_LATTICE
                    found = own[hit]
                    below, above = _limits(level[hit], step[found, None])
                    low[found], high[found] = base[hit] + below, base[hit] + above
                    which[found], explained[found] = transform, True
        if self._fine:
            explained |= ~coarse
        return Cells(frame.index, low, high, np.asarray(_BLUR * step, np.float32), which, explained)


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


def _limits(level: NDArray[np.float32], step: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Limits of the residuals that were rounded to some levels (DN)."""
    size, sign = np.abs(level), np.sign(level)
    inner, outer = np.where(size == 0, ROUNDING - 1, size - ROUNDING) * step, (size + 1 - ROUNDING) * step
    below = np.where(sign < 0, -outer, inner)
    above = np.where(sign < 0, -inner, outer)
    return below.astype(np.float32), above.astype(np.float32)
