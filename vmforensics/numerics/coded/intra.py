"""What the blocks of an H.264 picture may have been predicted from, of its own pixels (ITU-T H.264, clause 8.3).

Every block is predicted from the decoded samples above it and to its left, in one of a few ways that the encoder
chose: nine for blocks of 4 and of 8 px, four for whole macroblocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from vmforensics.data.codec import MACROBLOCK
from vmforensics.numerics.coded.transforms import CONSTANT, EIGHT, FOUR, SIDE, TRANSFORMS, steps_of

_QUARTER = 4
_MEANS, _MODES = 3, 11  # ways that are means, and all
_NEAR = 0.16  # DN²; as `cells.OFF_LATTICE`, of the 16 coefficients of a quarter
_EVERY = np.ones(SIDE * SIDE, dtype=np.bool_)
_RIGHT_ABOVE = np.array(  # whether the quarter to the right above is coded before, by a quarter's place in a macroblock
    [[True, True, True, True], [True, False, True, False], [True, True, True, False], [True, False, True, False]]
)


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One way that blocks of 8 by 8 px may have been predicted.

    Parameters
    ----------
    which : int
        The transform that the residual is then of.
    judged : ndarray [shape=(64,), bool]
        Which of its coefficients lie on the quantiser's lattice; others were quantised in another way.
    of : callable
        The prediction [shape=(n, 8, 8), int32, DN] of those blocks whose numbers it is given.
    """

    which: int
    judged: NDArray[np.bool_]
    of: Callable[[NDArray[np.int64]], NDArray[np.int32]]


def any_way(prediction: NDArray[np.int32]) -> Iterator[Candidate]:
    """A prediction of all blocks [shape=(blocks, 8, 8), int32, DN], with either transform."""
    for which in (EIGHT, FOUR):
        yield Candidate(which, _EVERY, lambda own: prediction[own])


def intra_candidates(
    luma: NDArray[np.generic], top: NDArray[np.int64], left: NDArray[np.int64], step: NDArray[np.float32]
) -> Iterator[Candidate]:
    """The ways that some blocks may have been predicted from their own picture.

    Parameters
    ----------
    luma : ndarray [shape=(rows, cols), DN]
        The whole coded picture, before its blocks' edges were smoothed.
    top, left : ndarray [shape=(blocks,), int64, px]
        Where the blocks begin: multiples of 8.
    step : ndarray [shape=(blocks,), float32, DN]
        Their nominal quantiser steps.
    """
    picture = _Picture(luma)
    eights = _Borders.of(picture, top, left, SIDE).smoothed()
    for mode in range(_MODES):
        yield Candidate(EIGHT, _EVERY, partial(eights.predicted, mode=mode))
    for whole in _whole(picture, top, left):
        yield Candidate(FOUR, ~CONSTANT[FOUR], whole)
    yield Candidate(FOUR, _EVERY, lambda own: _of_quarters(picture, top[own], left[own], step[own]))


class _Picture:
    """A picture whose samples outside of it are those at its edge.

    Parameters
    ----------
    luma : ndarray [shape=(rows, cols), DN]
    """

    def __init__(self, luma: NDArray[np.generic]) -> None:
        self.rows, self.cols = luma.shape
        self._padded = np.pad(luma, ((1, SIDE), (1, SIDE)), mode="edge")

    def at(self, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.int32]:
        """Samples from one before the picture to eight beyond it [shape as rows and cols broadcast, int32, DN]."""
        return self._padded[rows + 1, cols + 1].astype(np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class _Borders:
    """The samples that blocks are predicted from, from the lowest on the left by the corner to the right above.

    Parameters
    ----------
    size : int, px
        Of a block: 4 or 8.
    samples : ndarray [shape=(n, 3 size + 1), int32, DN]
    """

    size: int
    samples: NDArray[np.int32]

    @classmethod
    def of(cls, picture: _Picture, top: NDArray[np.int64], left: NDArray[np.int64], size: int) -> _Borders:
        """Those of some blocks; where a sample isn't known yet, as the standard replaces it."""
        along = np.arange(2 * size)
        side = picture.at(top[:, None] + along[size - 1 :: -1], left[:, None] - 1)
        above = picture.at(top[:, None] - 1, np.minimum(left[:, None] + along, picture.cols))
        known = (top > 0) & (left + size < picture.cols) & _right_above_is_known(top, left, size)
        above[:, size:] = np.where(known[:, None], above[:, size:], above[:, size - 1 : size])
        corner = picture.at(top - 1, left - 1)
        corner = np.where(top == 0, side[:, -1], np.where(left == 0, above[:, 0], corner))
        return cls(size, np.concatenate([side, corner[:, None], above], axis=1))

    def smoothed(self) -> _Borders:
        """The same smoothed, as those of blocks of 8 by 8 px are (clause 8.3.2.2.1)."""
        return _Borders(self.size, _by_three(self.samples))

    def predicted(self, own: NDArray[np.int64] | slice, mode: int) -> NDArray[np.int32]:
        """Some of the blocks, predicted in one of `_MODES` ways [shape=(n, size, size), int32, DN]."""
        size, samples = self.size, self.samples[own]
        if mode < _MEANS:
            used = samples[:, _averaged(size)[mode]]
            count = used.shape[1]
            mean = (used.sum(axis=1, dtype=np.int32) + count // 2) // count
            return np.broadcast_to(mean[:, None, None], (len(mean), size, size))
        two = (samples + np.concatenate([samples[:, 1:], samples[:, -1:]], axis=1) + 1) >> 1
        every = np.concatenate([samples, two, _by_three(samples)], axis=1)
        return np.asarray(every[:, _directions(size)[mode - _MEANS]])


def _averaged(size: int) -> tuple[NDArray[np.int64], ...]:
    """Which of a border's samples are averaged: all but the corner and beyond, or those of one side alone.

    That is so at the edge of a picture or a slice.
    """
    beside, above = np.arange(size), np.arange(size + 1, 2 * size + 1)
    return np.concatenate([beside, above]), beside, above


def _by_three(samples: NDArray[np.int32]) -> NDArray[np.int32]:
    """Each sample and its two neighbours in a mean with weights 1, 2, 1."""
    wide = np.concatenate([samples[:, :1], samples, samples[:, -1:]], axis=1)
    return np.asarray((wide[:, :-2] + 2 * samples + wide[:, 2:] + 2) >> 2)


@cache
def _directions(size: int) -> NDArray[np.int64]:
    """Which of a border's samples, means of two (with the next) and of three each sample of a block is predicted from.

    Vertical and horizontal, then as the standard names them diagonal down left and down right, vertical right,
    horizontal down, vertical left and horizontal up (clauses 8.3.1.2 and 8.3.2.2).

    Returns
    -------
    ndarray [shape=(8, size, size), int64]
    """
    y, x = np.arange(size)[:, None], np.arange(size)
    corner, length = size, 3 * size + 1
    one, two, three = 0, length, 2 * length

    def mixed(place: NDArray[np.int64], at: NDArray[np.int64], beyond: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.where(place < 0, three + beyond, np.where(place % 2 == 0, two, three) + at)

    steep, shallow, up = 2 * x - y, 2 * y - x, x + 2 * y
    back, down = x - (y >> 1), y - (x >> 1)
    rest = corner - 2 - (y + (x >> 1))
    every = (
        one + corner + 1 + x + 0 * y,
        one + corner - 1 - y + 0 * x,
        three + corner + 2 + x + y,
        three + corner + x - y,
        mixed(steep, corner + back, corner + 1 + steep),
        mixed(shallow, corner - down - np.where(shallow % 2 == 0, 1, 0), corner - 1 - shallow),
        np.where(y % 2 == 0, two + corner + 1 + x + (y >> 1), three + corner + 2 + x + (y >> 1)),
        np.where(up > 2 * size - 3, one, mixed(up, rest, rest)),
    )
    return np.array(every)


def _right_above_is_known(top: NDArray[np.int64], left: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
    """Whether the block to the right above was coded before (clause 6.4.11)."""
    y, x = top % MACROBLOCK // size, left % MACROBLOCK // size
    if size == SIDE:
        return np.asarray((y == 0) | (x == 0))
    return np.asarray(_RIGHT_ABOVE[y, x])


def _whole(
    picture: _Picture, top: NDArray[np.int64], left: NDArray[np.int64]
) -> Iterator[Callable[[NDArray[np.int64]], NDArray[np.int32]]]:
    """The ways that whole macroblocks are predicted, of blocks in them (clause 8.3.3); their brightness apart."""
    inside, along = np.arange(SIDE), np.arange(MACROBLOCK)

    def flat(own: NDArray[np.int64]) -> NDArray[np.int32]:
        return np.zeros((len(own), SIDE, SIDE), np.int32)

    def down(own: NDArray[np.int64]) -> NDArray[np.int32]:
        y = top[own] // MACROBLOCK * MACROBLOCK
        row = picture.at(y[:, None] - 1, left[own, None] + inside)
        return np.broadcast_to(row[:, None, :], (len(own), SIDE, SIDE))

    def right(own: NDArray[np.int64]) -> NDArray[np.int32]:
        x = left[own] // MACROBLOCK * MACROBLOCK
        column = picture.at(top[own, None] + inside, x[:, None] - 1)
        return np.broadcast_to(column[:, :, None], (len(own), SIDE, SIDE))

    def plane(own: NDArray[np.int64]) -> NDArray[np.int32]:
        y, x = (place[own] // MACROBLOCK * MACROBLOCK for place in (top, left))
        # The last macroblocks may reach beyond the picture; those aren't found then.
        reach = [
            np.minimum(place[:, None] + np.arange(-1, MACROBLOCK), size - 1)
            for place, size in ((y, picture.rows), (x, picture.cols))
        ]
        side = picture.at(reach[0], x[:, None] - 1)
        above = picture.at(y[:, None] - 1, reach[1])
        weight = along[1 : SIDE + 1]
        tilts = [(5 * ((each[:, 9:] - each[:, 7::-1]) @ weight) + 32) >> 6 for each in (above, side)]
        middle = 16 * (side[:, -1] + above[:, -1])
        across = tilts[0][:, None, None] * (left[own] - x - 7)[:, None, None] + tilts[0][:, None, None] * inside
        below = tilts[1][:, None, None] * ((top[own] - y - 7)[:, None, None] + inside[:, None])
        return np.asarray(np.clip((middle[:, None, None] + across + below + 16) >> 5, 0, None), np.int32)

    yield from (down, right, flat, plane)


def _of_quarters(
    picture: _Picture, top: NDArray[np.int64], left: NDArray[np.int64], step: NDArray[np.float32]
) -> NDArray[np.int32]:
    """Blocks whose four quarters were each predicted in the way that suits their lattice best [shape=(n, 8, 8)]."""
    begin = np.array([0, 0, _QUARTER, _QUARTER]), np.array([0, _QUARTER, 0, _QUARTER])
    top, left = ((place[:, None] + add).ravel() for place, add in zip((top, left), begin, strict=True))
    borders = _Borders.of(picture, top, left, _QUARTER)
    inside = np.arange(_QUARTER)
    pixels = picture.at(top[:, None, None] + inside[:, None], left[:, None, None] + inside)
    unit = np.repeat(steps_of(step, FOUR).reshape(-1, SIDE, SIDE)[:, :_QUARTER, :_QUARTER], _QUARTER, axis=0)
    unit = unit.reshape(-1, _QUARTER**2)
    best = np.full(len(top), np.inf, dtype=np.float32)
    chosen = np.zeros_like(pixels)
    left_over = np.arange(len(top))
    for mode in range(_MODES):
        prediction = borders.predicted(left_over, mode)
        residual = (pixels[left_over] - prediction).reshape(-1, _QUARTER**2).astype(np.float32) @ _ONE_QUARTER
        residual /= unit[left_over]
        away = np.mean(((residual - np.rint(residual)) * unit[left_over]) ** 2, axis=1)
        better = away < best[left_over]
        chosen[left_over[better]], best[left_over[better]] = prediction[better], away[better]
        left_over = left_over[best[left_over] >= _NEAR]
    quarters = chosen.reshape(-1, 2, 2, _QUARTER, _QUARTER)
    return np.asarray(quarters.transpose(0, 1, 3, 2, 4).reshape(-1, SIDE, SIDE))


_ONE_QUARTER = np.kron(TRANSFORMS[FOUR][:_QUARTER, :_QUARTER], TRANSFORMS[FOUR][:_QUARTER, :_QUARTER]).T
