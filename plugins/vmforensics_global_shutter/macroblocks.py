"""How a picture's macroblocks are dealt to two halves, and which of them are looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import SensorFrames
from vmforensics.data.codec import MACROBLOCK
from vmforensics.numerics.coded.blocks import CodedBlocks
from vmforensics.numerics.mean_template import MeanTemplate

_MOST, _LEAST = 1200, 200  # blocks that are looked at
_WORK = 5_000_000  # blocks in all frames; some minutes


@dataclass(frozen=True, slots=True, eq=False)
class HalvedBlocks:
    """The most telling blocks, those of each half a group.

    Parameters
    ----------
    blocks : CodedBlocks
        Group 0 and group 1.
    count : int
        How many blocks there were to choose from.
    share : float
        What the chosen ones hold of the squared slopes, which tell motion.
    """

    blocks: CodedBlocks
    count: int
    share: float

    @classmethod
    def of(cls, frames: SensorFrames, template: MeanTemplate, *, textured: bool) -> HalvedBlocks | None:
        """Choose as many as a clip of such a length allows; None where either half has none.

        Parameters
        ----------
        frames, template
            The clip and its temporal mean.
        textured
            Whether to leave out blocks that the template shows no detail in.
        """
        every = CodedBlocks.of(frames, template, textured=textured)
        if every is None:
            return None
        strength = sum(np.sum(every.cut(slope) ** 2, axis=(1, 2)) for slope in template.slopes)
        half = half_at(every.top, every.left)
        most = int(np.clip(_WORK // max(frames.frame_count, 1), _LEAST, _MOST)) // 2
        ranked = [np.flatnonzero(half == k) for k in (0, 1)]
        ranked = [own[np.argsort(-strength[own], kind="stable")][:most] for own in ranked]
        if not all(len(own) for own in ranked):
            return None
        chosen = np.sort(np.concatenate(ranked))
        share = float(strength[chosen].sum() / max(float(strength.sum()), 1e-30))
        blocks = every.some(chosen)
        return None if blocks is None else cls(blocks.grouped(half[chosen], 2), len(every.top), share)


def half_at(y: NDArray[np.int64], x: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which half the macroblock at some pixels of the coded picture belongs to: the colours of a chessboard."""
    return np.asarray((y // MACROBLOCK + x // MACROBLOCK) % 2)


def half_of_pixels(frames: SensorFrames) -> NDArray[np.int64]:
    """The half that each pixel of the region belongs to [shape=(rows, cols), int64], in readout order."""
    region, direction = frames.rectangle, frames.shutter.direction
    half = half_at((region.y + np.arange(region.height))[:, None], region.x + np.arange(region.width))
    half = half.T if direction.along_columns else half
    return half[::-1] if direction.reversed else half
