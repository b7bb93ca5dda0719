"""What readings of motion hold of higher orders than the first."""

from __future__ import annotations

from math import factorial

import numpy as np
from numpy.typing import NDArray

from vmforensics.numerics.coded.blocks import CodedBlocks
from vmforensics.numerics.coded.still import StillPicture
from vmforensics.numerics.coded.transforms import CONSTANT, COSINE, SIDE, transformed
from vmforensics.numerics.derivative import derivative

_HIGHEST = 4
_ROUNDS = 4
_SMALL = 0.02  # px; what moves less is read to first order


def straightened(
    displacement: NDArray[np.float32],
    blocks: CodedBlocks,
    picture: StillPicture,
    weight: NDArray[np.floating] | float,
) -> NDArray[np.float32]:
    """Readings that took a picture to change in proportion to its motion, without what they hold of higher orders.

    A picture S displaced by (x, y) is Σ (-x)^i (-y)^j / (i! j!) ∂_x^i ∂_y^j S. Weighted least squares on the slopes of
    a still picture reads of each term what it has of them, Rᵢⱼ xⁱ yʲ; so does the likelihood of many cells, whose
    limits lie anywhere. The still picture is blurred by the motion C that it is the mean of, S + ½ Σ Cₐᵦ ∂ₐ∂ᵦ S, so
    that R exceeds 1 in the first order, too. r = Σ Rᵢⱼ xⁱ yʲ is solved by iteration.

    Parameters
    ----------
    displacement : ndarray [shape=(frames, samples, 4), float32, px]
        x and y of either half, from where the still picture stands.
    blocks
        In groups: twice a sample plus its half.
    picture
        The still picture, the mean of the frames.
    weight : ndarray [shape=(blocks, 64), floating], or one for all
        How much each coefficient counted.
    """
    if np.abs(displacement).max(initial=0.0) < _SMALL:
        return displacement
    read = displacement.astype(np.float64).reshape(len(displacement), blocks.groups, 2)
    weight = np.where(CONSTANT[COSINE], 0.0, np.broadcast_to(weight, (len(blocks.group), SIDE**2)))
    slopes = np.stack([-_coefficients(blocks, each) for each in picture.slopes])
    known = _sums(np.einsum("bk,xbk,ybk->bxy", weight, slopes, slopes), blocks)
    inverse = np.linalg.pinv(known, rcond=1e-6, hermitian=True)
    sharp = _sharp(picture.mean, read)
    first, further = np.zeros_like(known), []
    for order in range(1, _HIGHEST + 1):
        for i, j in [(order - j, j) for j in range(order + 1)]:
            term = _derived(sharp, i, j)
            change = (-1) ** order / (factorial(i) * factorial(j)) * _coefficients(blocks, term)
            told = np.einsum("gxy,gy->gx", inverse, _sums(np.einsum("bk,xbk,bk->bx", weight, slopes, change), blocks))
            if order == 1:
                first[..., j] = told
            else:
                further.append(((i, j), told))
    back = np.linalg.pinv(first, rcond=1e-3)
    found = read
    for _ in range(_ROUNDS):
        x, y = found[..., :1], found[..., 1:]
        rest = read - sum(x**i * y**j * share for (i, j), share in further)
        found = np.einsum("gxy,fgy->fgx", back, rest)
    wild = ~(np.abs(found - read).max(axis=-1) < np.abs(read).max(axis=-1))  # the series ran away
    found = np.where(wild[..., None], read, found)
    return found.reshape(displacement.shape).astype(np.float32)


def _sharp(mean: NDArray[np.float64], read: NDArray[np.float64]) -> NDArray[np.float64]:
    """The picture without the blur of the motion that the halves have in common."""
    own, other = read[:, ::2] - read[:, ::2].mean(axis=0), read[:, 1::2] - read[:, 1::2].mean(axis=0)
    spread = np.einsum("fsa,fsb->ab", own, other) / max(own[..., 0].size, 1)
    blur = spread[0, 0] * _derived(mean, 2, 0) + spread[1, 1] * _derived(mean, 0, 2)
    blur += (spread[0, 1] + spread[1, 0]) * _derived(mean, 1, 1)
    return np.asarray(mean - blur / 2)


def _derived(picture: NDArray[np.float64], i: int, j: int) -> NDArray[np.float64]:
    for axis, times in ((1, i), (0, j)):
        for _ in range(times):
            picture = derivative(picture, axis=axis)
    return picture


def _coefficients(blocks: CodedBlocks, picture: NDArray[np.float64]) -> NDArray[np.float64]:
    return transformed(blocks.cut(picture), COSINE).astype(np.float64)


def _sums(values: NDArray[np.float64], blocks: CodedBlocks) -> NDArray[np.float64]:
    """Sums over the blocks of each group."""
    total = np.zeros((blocks.groups, *values.shape[1:]))
    np.add.at(total, blocks.group, values)
    return total
