"""How a region's blocks of a block transform lie in stripes of eight rows, and in either half."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import ReadoutDirection, SensorFrames
from vmforensics.numerics.coded_cells import SIDE
from vmforensics.numerics.derivative import NOISE_GAIN
from vmforensics_rolling_shutter.motion.mean_template import MeanTemplate

_LEAST_TEXTURE = 4.0  # times the information that noise feigns
_MACROBLOCK = 16  # px, that the halves' column stripes are rounded to


@dataclass(frozen=True, slots=True, eq=False)
class StripeBlocks:
    """Blocks of 8 by 8 px.

    Parameters
    ----------
    top, left : ndarray [shape=(blocks,), int64, px]
        Where they begin in the coded picture.
    group : ndarray [shape=(blocks,), int64]
        Twice the stripe that each lies in, plus its half.
    rows : ndarray [shape=(stripes,), int64]
        First of each stripe's eight rows, in the region and in readout order.
    """

    top: NDArray[np.int64]
    left: NDArray[np.int64]
    group: NDArray[np.int64]
    rows: NDArray[np.int64]
    _pixels: tuple[NDArray[np.int64], NDArray[np.int64]]
    _direction: ReadoutDirection

    @classmethod
    def of(cls, frames: SensorFrames, template: MeanTemplate, stripe: int, *, textured: bool) -> StripeBlocks | None:
        """The blocks that lie wholly in the region, on pixels that count; None where there is none.

        Parameters
        ----------
        frames, template
            The clip and its temporal mean.
        stripe : px
            Width of the column stripes that are dealt in turn to the two halves; rounded to whole macroblocks.
        textured
            Whether to leave out blocks that the template shows no detail in.
        """
        direction, region = frames.shutter.direction, frames.rectangle
        tops = np.arange(-(-region.y // SIDE) * SIDE, region.y + region.height - SIDE + 1, SIDE)
        lefts = np.arange(-(-region.x // SIDE) * SIDE, region.x + region.width - SIDE + 1, SIDE)
        if not len(tops) or not len(lefts):
            return None
        top, left = (grid.ravel() for grid in np.meshgrid(tops, lefts, indexing="ij"))
        inside = np.arange(SIDE)
        pixels = (top - region.y)[:, None, None] + inside[:, None], (left - region.x)[:, None, None] + inside
        along = top if direction.along_columns else left
        place = (left - region.x) if direction.along_columns else (top - region.y)
        place = frames.rows - SIDE - place if direction.reversed else place
        every = cls(top, left, along, place, pixels, direction)
        use = every.cut(template.usable).all(axis=(1, 2))
        if textured:
            information = sum(np.sum(every.cut(slope) ** 2, axis=(1, 2)) for slope in template.slopes)
            variance = template.noise.variance(every.cut(template.mean).mean(axis=(1, 2)))
            use &= information > _LEAST_TEXTURE * 2 * NOISE_GAIN / template.frames * SIDE**2 * variance
        if not use.any():
            return None
        rows = np.unique(place[use])
        width = max(stripe // _MACROBLOCK, 1) * _MACROBLOCK
        group = 2 * np.searchsorted(rows, place[use]) + along[use] // width % 2
        return cls(top[use], left[use], group, rows, (pixels[0][use], pixels[1][use]), direction)

    @property
    def groups(self) -> int:
        """How many groups there are: two a stripe."""
        return 2 * len(self.rows)

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
