"""Frames from memory, as a source would open them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import (
    Clock,
    FrameBlock,
    FrameStream,
    Luma,
    Region,
    SensorFrames,
    Shutter,
    TableCoding,
    TimingVerdict,
)


class StoredFrames(FrameStream):
    """Frames from memory as a source would open them, in blocks of any size, some of them undecodable.

    As in a run, blocks can't be written to.

    Parameters
    ----------
    luma : ndarray [shape=(frames, rows, cols), uint8 or uint16, digital numbers]
    rate : float, Hz
        Frame rate.
    block
        Frames in a block.
    lost
        Numbers of the frames that can't be decoded.
    table : ndarray [shape=(8, 8), float32, DN] or None
        Quantiser steps: the frames are coded as Motion JPEG would, and tell so. Only of whole blocks of 8 by 8 px.

    Examples
    --------
    >>> stream = StoredFrames(np.zeros((5, 4, 6), np.uint8), rate=60.0, block=2, lost=(1,))
    >>> [block.index.tolist() for block in stream.blocks()]
    [[0, 2], [3, 4]]
    """

    def __init__(
        self,
        luma: Luma,
        *,
        rate: float,
        block: int = 16,
        lost: Sequence[int] = (),
        table: NDArray[np.float32] | None = None,
    ) -> None:
        self.luma = luma if table is None else _as_jpeg(luma, table)
        self._coding = None if table is None else TableCoding(table)
        self._block = block
        self._good = np.setdiff1d(np.arange(len(luma)), lost)
        self.height, self.width = luma.shape[1:]
        self.full_scale = 255 if luma.dtype == np.uint8 else 65535
        self.stamps = np.arange(len(luma)) / rate
        self.stamp_resolution = 0.0
        self.declared_rate = rate
        self.facts = {"container": "none (in memory)"}
        self.complaints = []

    def blocks(self) -> Iterator[FrameBlock]:
        """One pass; see `FrameStream.blocks`."""
        for first in range(0, len(self._good), self._block):
            index = self._good[first : first + self._block]
            luma = self.luma[index]
            luma.flags.writeable = False
            yield FrameBlock(index, luma)

    def coded_blocks(self) -> Iterator[FrameBlock]:
        """As `blocks`, with the table where there is one."""
        for block in self.blocks():
            count = len(block.index)
            yield (
                block
                if self._coding is None
                else replace(block, frame_types=("I",) * count, coding=(self._coding,) * count)
            )

    def sensor_frames(self, shutter: Shutter | None = None, region: Region | None = None) -> SensorFrames:
        """The frames with an exact clock, ready for a motion estimator."""
        clock = Clock(self.stamps, cast(float, self.declared_rate), TimingVerdict.EXACT, "frames counted")
        return SensorFrames(self, clock, shutter or Shutter(), region)


def _as_jpeg(luma: Luma, table: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Frames with each coefficient of each block rounded to a multiple of its step, as JPEG does."""
    from scipy.fft import dctn, idctn

    frames, rows, cols = luma.shape
    blocks = luma.reshape(frames, rows // 8, 8, cols // 8, 8).astype(np.float64) - 128
    steps = table[:, None, :]
    levels = np.rint(dctn(blocks, axes=(2, 4), norm="ortho") / steps)
    decoded = idctn(levels * steps, axes=(2, 4), norm="ortho") + 128
    return np.asarray(np.clip(np.rint(decoded), 0, 255).reshape(luma.shape), dtype=np.uint8)
