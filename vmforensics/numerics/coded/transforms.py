"""The block transforms of JPEG and H.264, and the steps that H.264 rounds their coefficients by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIDE = 8
"""Pixels on a side of the blocks that are looked at: the smallest that can have a prediction of its own."""

COSINE, EIGHT, FOUR = 0, 1, 2
"""Which transform: JPEG's, of 8 by 8 px; H.264's of 8 by 8 px; and of the four quarters of such a block."""

_STEP_OF_0 = 0.625  # of quantiser 0, which doubles with every 6
_SCALES = (  # ITU-T H.264, clause 8.5.9: for each remainder of the quantiser, by a coefficient's place
    ((10, 16, 13), (20, 18, 32, 19, 25, 24)),
    ((11, 18, 14), (22, 19, 35, 21, 28, 26)),
    ((13, 20, 16), (26, 23, 42, 24, 33, 31)),
    ((14, 23, 18), (28, 25, 45, 26, 35, 33)),
    ((16, 25, 20), (32, 28, 51, 30, 40, 38)),
    ((18, 29, 23), (36, 32, 58, 34, 46, 43)),
)
_FRACTION = 64  # that both inverse transforms divide by in the end
_BASES: tuple[
    list[list[float]], list[list[float]]
] = (  # clauses 8.5.12 and 8.5.13: what a coefficient puts on the samples, before that
    [[1, 1, 1, 1], [1, 0.5, -0.5, -1], [1, -1, -1, 1], [0.5, -1, 1, -0.5]],
    [
        [1, 1, 1, 1, 1, 1, 1, 1],
        [1.5, 1.25, 0.75, 0.375, -0.375, -0.75, -1.25, -1.5],
        [1, 0.5, -0.5, -1, -1, -0.5, 0.5, 1],
        [1.25, -0.375, -1.5, -0.75, 0.75, 1.5, 0.375, -1.25],
        [1, -1, -1, 1, 1, -1, -1, 1],
        [0.75, -1.5, 0.375, 1.25, -1.25, -0.375, 1.5, -0.75],
        [0.5, -1, 1, -0.5, -0.5, 1, -1, 0.5],
        [0.375, -0.75, 1.25, -1.5, 1.5, -1.25, 0.75, -0.375],
    ],
)


def _cosines() -> NDArray[np.float64]:
    """Orthonormal cosine transform (DCT-II) of 8 samples [shape=(8, 8), float64]."""
    k, x = np.arange(SIDE)[:, None], np.arange(SIDE)
    matrix = np.cos(np.pi * k * (2 * x + 1) / (2 * SIDE)) * np.sqrt(2 / SIDE)
    matrix[0] /= np.sqrt(2)
    return np.asarray(matrix)


def _orthonormal(basis: list[list[float]]) -> NDArray[np.float64]:
    """H.264's transform of 8 samples, or of each of two fours, with rows of length 1 [shape=(8, 8), float64]."""
    rows = np.array(basis) / np.linalg.norm(basis, axis=1, keepdims=True)
    return np.kron(np.eye(SIDE // len(rows)), rows)


TRANSFORMS = tuple(each.astype(np.float32) for each in (_cosines(), *(_orthonormal(b) for b in _BASES[::-1])))
"""Of `COSINE`, `EIGHT` and `FOUR`: matrices that samples are multiplied by from both sides. H.264's resemble the
cosine transform, but where a residual is large the difference, up to 3 %, is larger than its rounding."""

_FLAT = np.array([[k % size == 0 for k in range(SIDE)] for size in (8, 8, 4)])
CONSTANT = np.array([np.outer(flat, flat).ravel() for flat in _FLAT])
"""Which coefficients of each transform are a mere brightness [shape=(3, 64), bool]."""


def transformed(blocks: NDArray[np.generic], which: int) -> NDArray[np.float32]:
    """The coefficients of some blocks.

    Parameters
    ----------
    blocks : ndarray [shape=(n, 8, 8)]
    which
        `COSINE`, `EIGHT` or `FOUR`.

    Returns
    -------
    ndarray [shape=(n, 64), float32]
    """
    return np.asarray(blocks.reshape(-1, SIDE * SIDE).astype(np.float32) @ _WHOLE[which])


_WHOLE = tuple(np.ascontiguousarray(np.kron(matrix, matrix).T) for matrix in TRANSFORMS)


def _kinds(size: int) -> NDArray[np.int64]:
    """Which of the scales a coefficient of H.264's transforms has [shape=(size, size), int64]."""
    k = np.arange(size)
    if size != SIDE:
        parity = k[:, None] % 2 + k % 2
        return np.asarray(np.array([0, 2, 1])[parity])
    kind = np.array([0, 1, 2, 1])[k % 4]  # a multiple of four, odd, or two more than that
    return np.asarray(np.array([[0, 3, 4], [3, 1, 5], [4, 5, 2]])[kind[:, None], kind])


def _relative_steps() -> NDArray[np.float32]:
    """Steps of `EIGHT` and `FOUR` over the nominal step [shape=(2, 6, 64), float32], by the quantiser's remainder."""
    steps = []
    for which, basis in enumerate(_BASES[::-1]):
        length = np.linalg.norm(basis, axis=1)
        size = len(basis)
        more = 4 if size == SIDE else 1  # clause 8.5.13 scales by so much less
        own = [
            np.array(scales[1 - which])[_kinds(size)] * np.outer(length, length) / (more * _FRACTION * _nominal(k))
            for k, scales in enumerate(_SCALES)
        ]
        steps.append([np.tile(each, (SIDE // size, SIDE // size)).ravel() for each in own])
    return np.array(steps, dtype=np.float32)


def _nominal(quantiser: int) -> float:
    return float(_STEP_OF_0 * 2 ** (quantiser / 6))


_RELATIVE = _relative_steps()


def steps_of(nominal: NDArray[np.float32], which: int) -> NDArray[np.float32]:
    """The exact steps of H.264's coefficients, without scaling lists: they differ by some per cent.

    Parameters
    ----------
    nominal : ndarray [shape=(n,), float32, DN]
        Each block's step as its quantiser has it, doubling with every 6.
    which
        `EIGHT` or `FOUR`.

    Returns
    -------
    ndarray [shape=(n, 64), float32, DN]
        In units of the orthonormal transform.
    """
    remainder = np.rint(6 * np.log2(nominal / _STEP_OF_0)).astype(np.int64) % 6
    return np.asarray(nominal[:, None] * _RELATIVE[which - EIGHT][remainder])


def untransformed(coefficients: NDArray[np.floating], which: int) -> NDArray[np.float64]:
    """The blocks [shape=(n, 8, 8), float64] of some coefficients [shape=(n, 64)]; the inverse of `transformed`."""
    return np.asarray(coefficients.astype(np.float64) @ _WHOLE[which].T).reshape(-1, SIDE, SIDE)


def between(which: int, other: int) -> NDArray[np.float64]:
    """What turns coefficients of one transform into those of another [shape=(64, 64), float64]: c' = M c."""
    return np.asarray(_WHOLE[other].T.astype(np.float64) @ _WHOLE[which])
