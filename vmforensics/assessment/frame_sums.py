"""One pass over a stretch of frames: their mean, their extremes, and pairs of successive ones."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Luma, SensorFrames
from vmforensics.errors import TooFewFrames

_PAIRS, _LEAST_PAIRS, _PAIRED_PIXELS = 48, 12, 50_000_000  # of successive frames, spread over the stretch
_KEPT, _LEAST_KEPT, _KEPT_PIXELS = 48, 4, 16_000_000  # of them, that are looked at once more
_PILE = 5e-4  # share of the pixels at the largest or the smallest code from which that is clipping
_NARROW = {np.dtype(np.uint8): (np.uint16, 257), np.dtype(np.uint16): (np.uint32, 65537)}
"""The integers that sums of so many frames fit, and which are added fastest."""


@dataclass(slots=True, eq=False)
class FrameSums:
    """Sums over frames.

    Parameters
    ----------
    total : ndarray [shape=(rows, cols), uint64, DN]
    squares : ndarray [shape=(rows, cols), float32, DN²]
        Of what the frames of a pair differ by.
    highest, lowest : ndarray [shape=(rows, cols), uint16, DN]
        Each pixel's extremes.
    full_scale : int, DN
        Largest code of the pixel format.
    count, pairs : int
        Frames and pairs that the sums are over.
    kept : list of pairs of ndarray [shape=(rows, cols), DN]
        Some of the pairs.
    """

    total: NDArray[np.uint64]
    squares: NDArray[np.float32]
    highest: NDArray[np.uint16]
    lowest: NDArray[np.uint16]
    full_scale: int
    count: int = 0
    pairs: int = 0
    kept: list[tuple[Luma, Luma]] = field(default_factory=list)

    @classmethod
    def over(cls, frames: SensorFrames) -> FrameSums:
        """Read the frames.

        Raises
        ------
        TooFewFrames
            Fewer than three could be decoded, or no two successive ones.
        """
        shape = (frames.rows, frames.cols)
        highest, lowest = np.zeros(shape, np.uint16), np.full(shape, np.iinfo(np.uint16).max, np.uint16)
        sums = cls(np.zeros(shape, np.uint64), np.zeros(shape, np.float32), highest, lowest, frames.full_scale)
        size = frames.rows * frames.cols
        pairs = int(np.clip(_PAIRED_PIXELS // size, _LEAST_PAIRS, _PAIRS))
        keeping = -(-pairs // int(np.clip(_KEPT_PIXELS // size, _LEAST_KEPT, _KEPT)))
        stride = max(1, frames.frame_count // pairs)
        last: tuple[int, Luma] | None = None
        for block in frames.blocks():
            sums._add(block.luma)
            for index, luma in zip(block.index.tolist(), block.luma, strict=True):
                if last is not None and last[0] == index - 1 and index % stride == stride - 1:
                    sums._add_pair(last[1], luma, keep=sums.pairs % keeping == 0)
                if index % stride in (stride - 2, stride - 1) or stride == 1:
                    last = (index, luma.copy())  # a source may use a block's memory again
        if sums.count < 3 or not sums.pairs:
            raise TooFewFrames(f"{sums.count} frame(s) could be decoded; an assessment needs at least 3 in a row")
        return sums

    def _add(self, luma: Luma) -> None:
        narrow, most = _NARROW[luma.dtype]
        for first in range(0, len(luma), most):
            self.total += np.add.reduce(luma[first : first + most], axis=0, dtype=narrow)
        np.maximum(self.highest, np.maximum.reduce(luma, axis=0), out=self.highest)
        np.minimum(self.lowest, np.minimum.reduce(luma, axis=0), out=self.lowest)
        self.count += len(luma)

    def _add_pair(self, before: Luma, luma: Luma, *, keep: bool) -> None:
        change = difference(before, luma)
        change *= change
        self.squares += change
        self.pairs += 1
        if keep:
            self.kept.append((before, luma.copy()))

    def mean(self) -> NDArray[np.float64]:
        """Temporal mean [shape=(rows, cols), float64, DN]."""
        return self.total / self.count

    def clipped(self) -> float:
        """Share of the pixels that reached either end of the codes in use in some frame."""
        clipped = (self.highest >= self.full_scale) | (self.lowest == 0)
        for own_limit in (self.highest == self.highest.max(), self.lowest == self.lowest.min()):
            if np.mean(own_limit) > _PILE:
                clipped |= own_limit
        return float(np.mean(clipped))


def difference(before: Luma, luma: Luma) -> NDArray[np.float32]:
    """What two frames differ by, but for each row's mean, which a lamp changes [shape=(rows, cols), float32, DN]."""
    change = luma.astype(np.float32) - before
    change -= change.mean(axis=1, keepdims=True)
    return change
