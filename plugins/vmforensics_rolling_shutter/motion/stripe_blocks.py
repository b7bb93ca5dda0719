"""How a region's blocks of a block transform lie in stripes of eight rows, and in either half."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import SensorFrames
from vmforensics.data.codec import MACROBLOCK
from vmforensics.numerics.coded.blocks import CodedBlocks
from vmforensics.numerics.coded.transforms import SIDE
from vmforensics.numerics.mean_template import MeanTemplate


@dataclass(frozen=True, slots=True, eq=False)
class StripeBlocks:
    """Blocks of 8 by 8 px, each in a stripe of eight rows.

    Parameters
    ----------
    blocks : CodedBlocks
        In groups: twice the stripe that each lies in, plus its half.
    rows : ndarray [shape=(stripes,), int64]
        First of each stripe's eight rows, in the region and in readout order.
    """

    blocks: CodedBlocks
    rows: NDArray[np.int64]

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
        blocks = CodedBlocks.of(frames, template, textured=textured)
        if blocks is None:
            return None
        direction, region = frames.shutter.direction, frames.rectangle
        along = blocks.top if direction.along_columns else blocks.left
        place = (blocks.left - region.x) if direction.along_columns else (blocks.top - region.y)
        place = frames.rows - SIDE - place if direction.reversed else place
        rows, stripe_of = np.unique(place, return_inverse=True)
        width = max(stripe // MACROBLOCK, 1) * MACROBLOCK
        return cls(blocks.grouped(2 * stripe_of + along // width % 2, 2 * len(rows)), rows)
