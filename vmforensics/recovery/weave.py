"""Do odd and even rows show the same instant? Interlaced footage that a converter took for progressive says nothing.

What the even rows of a frame let expect is compared with the odd rows of the frame before, of the same and of the next.
What moves steadily differs by the square of the time between: e(τ) = c + k(τ + δ)² for τ = -1, 0, 1, where δ is by how
much of a frame the odd rows are later: 0 in progressive footage, 1/2 or -1/2 in interlaced.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Luma

_TRIPLES = 8  # frames of a block that are compared with their neighbours
_PIXELS = 2**15  # of a frame that are compared
_LEAST = 8  # compared frames that make a finding
_HEAVIEST = 2.0  # weight of a comparison, in those of the median one: a cut outweighs no others
_KNOWN = 0.06  # standard uncertainty of the offset, in frames, up to which it says anything
_APART = (0.35, 0.65)  # offsets, in frames, that two fields have


class Weave:
    """Gathers comparisons of odd with even rows, a block of frames at a time."""

    def __init__(self) -> None:
        self._found: list[tuple[float, float]] = []

    def look_at(self, luma: Luma) -> None:
        """Compare some frames of a block with their neighbours [shape=(frames, rows, cols)]."""
        frames, rows, cols = luma.shape
        pairs = (rows - 1) // 2
        if frames < 3 or not pairs:
            return
        step = max(1, pairs * cols // _PIXELS)
        for middle in np.unique(np.linspace(1, frames - 2, _TRIPLES).astype(int)):
            around = luma[middle - 1 : middle + 2, : 2 * pairs + 1, ::step].astype(np.float32)
            expected = (around[1, :-1:2] + around[1, 2::2]) / 2
            before, same, after = ((around[:, 1::2] - expected) ** 2).mean(axis=(1, 2), dtype=np.float64)
            self._found.append(((after - before) / 4, (after + before - 2 * same) / 2))

    def offset(self) -> tuple[float, float] | None:
        """By how much of a frame odd rows are later than even ones, and its standard uncertainty; None for unknown."""
        if len(self._found) < _LEAST:
            return None
        found = np.array(self._found)
        size = np.abs(found[:, 1])
        found *= np.minimum(1, _HEAVIEST * np.median(size) / np.maximum(size, 1e-12))[:, None]
        change, curve = found.T
        total = float(curve.sum())
        if total <= 0:
            return None
        offset = float(change.sum()) / total
        uncertainty = _scatter(change - offset * curve) / total
        return offset, uncertainty

    def finding(self) -> str:
        """What is to be said of footage whose odd and even rows show different instants; "" of any other."""
        measured = self.offset()
        if measured is None or measured[1] > _KNOWN or not _APART[0] < abs(measured[0]) < _APART[1]:
            return ""
        return (
            f"odd and even rows show instants that are {abs(measured[0]):.2f} ± {measured[1]:.2f} of a frame apart: "
            "the footage is interlaced"
        )


def _scatter(residuals: NDArray[np.float64]) -> float:
    """Standard deviation of a sum of independent residuals."""
    return float(np.sqrt(np.sum(residuals**2) * len(residuals) / (len(residuals) - 1)))
