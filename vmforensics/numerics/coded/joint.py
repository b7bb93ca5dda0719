"""A still picture's coefficients bettered together with the motion of the frames that tell them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vmforensics.numerics.coded.quantisation import told_by_cell

_AT_ONCE = 4096  # coefficients
_PRIOR = 1 / 0.3**2  # 1/px², of a displacement; as weak as the solver's


def picture_step(
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    slopes: NDArray[np.float32],
    spread: float,
    loose: NDArray[np.floating],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Newton's step of a still picture's coefficients on the likelihood of the cells of some frames that move as one.

    Bettered by turns, the picture copies the errors of the motion, and the motion those of the picture. Where a
    coefficient crosses one limit only, its place moves along with any bend of the scale of displacements, at hardly a
    loss of likelihood, and turns need hundreds of rounds to undo one. Here the picture's coefficients m and all
    displacements s are stepped at once: with the score g and information W of each coefficient k in each frame t, and
    its slopes d, elimination of m from the equations of both leaves

        (Σₖ dₖ dₖᵀ Wₖₜ δₜᵤ - Σₖ dₖ dₖᵀ Wₖₜ Wₖᵤ / Mₖ) Δsᵤ = Σₖ dₖ (gₖₜ - Wₖₜ Gₖ / Mₖ),

    where M and G are the sums over frames (the Schur complement of what falls apart).

    Parameters
    ----------
    low, high : ndarray [shape=(frames, n), float32, DN]
        Limits of each coefficient's cells, less its expected value in the frame.
    slopes : ndarray [shape=(2, n), float32, DN/px]
        What the coefficients change by with the motion.
    spread : float, DN
        Standard deviation of a coefficient about its expected value.
    loose : ndarray [shape=(n,), floating, 1/DN²]
        What is known of each coefficient otherwise: the inverse variance about its present value.

    Returns
    -------
    picture : ndarray [shape=(n,), float64, DN]
        What to add to the picture's coefficients.
    motion : ndarray [shape=(frames, 2), float64, px]
        What to add to the displacements; 0 on average.
    """
    frames, count = low.shape
    score, weight = np.empty((2, frames, count), np.float32)
    for first in range(0, count, _AT_ONCE):
        own = slice(first, first + _AT_ONCE)
        wide = np.full(low[:, own].shape, spread, np.float32)
        _, score[:, own], weight[:, own] = told_by_cell(low[:, own], high[:, own], wide)
    known = weight.sum(axis=0, dtype=np.float64) + loose
    pull = score.sum(axis=0, dtype=np.float64)
    each = weight @ (slopes[:, None] * slopes).reshape(4, -1).T
    alone = np.zeros((frames, 2, frames, 2))
    alone[np.arange(frames), :, np.arange(frames), :] = each.reshape(-1, 2, 2) + _PRIOR * np.eye(2)
    matrix = alone.reshape(2 * frames, 2 * frames)
    wanted = (score @ slopes.T).astype(np.float64).ravel()
    for first in range(0, count, _AT_ONCE):
        shared = _shared(weight, slopes, slice(first, first + _AT_ONCE))
        some = known[first : first + _AT_ONCE]
        matrix -= (shared / some) @ shared.T
        wanted -= shared @ (pull[first : first + _AT_ONCE] / some)
    mean = np.tile(np.eye(2), (frames, 1))  # a motion that all frames share is the picture's own place
    matrix += np.trace(matrix) / frames * (mean @ mean.T)
    moved = np.asarray(np.linalg.solve(matrix, wanted), np.float64)
    step = np.empty(count)
    for first in range(0, count, _AT_ONCE):
        own = slice(first, first + _AT_ONCE)
        step[own] = (pull[own] - moved @ _shared(weight, slopes, own)) / known[own]
    return step, moved.reshape(frames, 2)


def _shared(weight: NDArray[np.float32], slopes: NDArray[np.float32], own: slice) -> NDArray[np.float64]:
    """What frames' motion and the picture have in common [shape=(2 · frames, coefficients)]."""
    product = weight[:, None, own].astype(np.float64) * slopes[:, own]
    return np.asarray(product.reshape(-1, product.shape[-1]))
