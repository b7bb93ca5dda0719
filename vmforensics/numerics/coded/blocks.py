"""How a region's pixels lie in the blocks of a block transform."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import ReadoutDirection, SensorFrames
from vmforensics.numerics.coded.transforms import SIDE
from vmforensics.numerics.derivative import NOISE_GAIN
from vmforensics.numerics.mean_template import MeanTemplate

_LEAST_TEXTURE = 4.0  # times the information that noise feigns


@dataclass(frozen=True, slots=True, eq=False)
class CodedBlocks:
    """Blocks of 8 by 8 px, in groups that move as one.

    Parameters
    ----------
    top, left : ndarray [shape=(blocks,), int64, px]
        Where they begin in the coded picture.
    group : ndarray [shape=(blocks,), int64]
        Twice the sample of motion that each belongs to, plus its half.
    groups : int
        How many groups there are.
    """

    top: NDArray[np.int64]
    left: NDArray[np.int64]
    group: NDArray[np.int64]
    groups: int
    _pixels: tuple[NDArray[np.int64], NDArray[np.int64]]
    _direction: ReadoutDirection

    @classmethod
    def of(cls, frames: SensorFrames, template: MeanTemplate, *, textured: bool) -> CodedBlocks | None:
        """The blocks that lie wholly in a clip's region, on pixels that count, as one group; None where there is none.

        Parameters
        ----------
        frames, template
            The clip and its temporal mean.
        textured
            Whether to leave out blocks that the template shows no detail in.
        """
        region = frames.rectangle
        tops = np.arange(-(-region.y // SIDE) * SIDE, region.y + region.height - SIDE + 1, SIDE)
        lefts = np.arange(-(-region.x // SIDE) * SIDE, region.x + region.width - SIDE + 1, SIDE)
        if not len(tops) or not len(lefts):
            return None
        top, left = (grid.ravel() for grid in np.meshgrid(tops, lefts, indexing="ij"))
        inside = np.arange(SIDE)
        pixels = (top - region.y)[:, None, None] + inside[:, None], (left - region.x)[:, None, None] + inside
        every = cls(top, left, np.zeros(len(top), np.int64), 1, pixels, frames.shutter.direction)
        use = np.asarray(every.cut(template.usable).all(axis=(1, 2)))
        return every.some(use & every._textured(template) if textured else use)

    def some(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> CodedBlocks | None:
        """Some of the blocks; None where that is none."""
        return self._of(which) if len(self.top[which]) else None

    def at(self, which: NDArray[np.int64]) -> CodedBlocks:
        """Some of the blocks, at least one, in groups numbered from 0."""
        groups, group = np.unique(self.group[which], return_inverse=True)
        return self._of(which).grouped(group, len(groups))

    def _of(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> CodedBlocks:
        rows, cols = self._pixels
        pixels = rows[which], cols[which]
        return replace(self, top=self.top[which], left=self.left[which], group=self.group[which], _pixels=pixels)

    def bands(self, most: int) -> list[NDArray[np.int64]]:
        """Bands of about so many blocks, by their indices; both halves of a sample lie in the same."""
        samples, count = np.unique(self.group // 2, return_counts=True)
        band = (np.cumsum(count) - 1) // most
        return [np.flatnonzero(np.isin(self.group // 2, samples[band == k])) for k in np.unique(band)]

    def grouped(self, group: NDArray[np.int64], groups: int) -> CodedBlocks:
        """The same blocks in other groups [shape=(blocks,), int64], so many of them."""
        return replace(self, group=group, groups=groups)

    def _textured(self, template: MeanTemplate) -> NDArray[np.bool_]:
        """Which blocks show detail [shape=(blocks,), bool]."""
        information = sum(np.sum(self.cut(slope) ** 2, axis=(1, 2)) for slope in template.slopes)
        variance = template.noise.variance(self.cut(template.mean).mean(axis=(1, 2)))
        return np.asarray(information > _LEAST_TEXTURE * 2 * NOISE_GAIN / template.frames * SIDE**2 * variance)

    def cut(self, picture: NDArray[np.generic]) -> NDArray[np.generic]:
        """The blocks' part of a picture of the region [shape=(rows, cols), in readout order].

        Returns
        -------
        ndarray [shape=(blocks, 8, 8), picture.dtype]
            As coded.
        """
        return np.asarray(self._as_coded(picture)[self._pixels])

    def put(self, values: NDArray[np.float64], picture: NDArray[np.float64]) -> NDArray[np.float64]:
        """A picture of the region with other values in the blocks; the inverse of `cut`.

        Parameters
        ----------
        values : ndarray [shape=(blocks, 8, 8), float64]
        picture : ndarray [shape=(rows, cols), float64]
            What there is outside of them.
        """
        changed = picture.copy()
        self._as_coded(changed)[self._pixels] = values
        return changed

    def _as_coded(self, picture: NDArray[np.generic]) -> NDArray[np.generic]:
        """A view of a picture in readout order, as it was coded."""
        picture = picture[::-1] if self._direction.reversed else picture
        return picture.T if self._direction.along_columns else picture
