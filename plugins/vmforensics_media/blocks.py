"""Frames gathered, one at a time, into blocks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from av import VideoFrame
from av.video.frame import PictureType
from numpy.typing import NDArray

from vmforensics.data import FrameBlock, FrameCoding, TableCoding
from vmforensics.data.frames import frames_at_once
from vmforensics_media.codec import coding_of
from vmforensics_media.luma import LumaReader

MOST_PIXELS = 2**26
"""Pixels of a picture; a damaged header may claim any size, and the memory for it. 8K video has half as many."""


class BlockBuilder:
    """One `FrameBlock` in the making.

    Parameters
    ----------
    height, width : int, px
        Size of every frame.
    reader
        Takes the luma out of the frames.
    rows
        Which rows of them the block gets; all of them by default.
    """

    def __init__(self, height: int, width: int, reader: LumaReader, rows: slice = slice(None)) -> None:
        size = frames_at_once(height, width, reader.dtype.itemsize)
        self._luma = np.empty((size, height, width), reader.dtype)
        self._reader = reader
        self._rows = rows
        self._index: list[int] = []
        self._types: list[str] = []
        self._coding: list[FrameCoding | TableCoding | None] = []

    @property
    def full(self) -> bool:
        """Whether there is no room for another frame."""
        return len(self._index) == len(self._luma)

    def add(
        self,
        index: int,
        frame: VideoFrame,
        order: int | None = None,
        table: NDArray[np.float32] | None = None,
        unsmoothed: VideoFrame | None = None,
    ) -> None:
        """Add a frame.

        Parameters
        ----------
        index
            Its position in the stream's stamps.
        frame
            The frame as decoded.
        order
            Its place in the order of coding, where that is known.
        table
            The quantiser table in the frame's header, where it has one.
        unsmoothed
            The same frame before the edges of its blocks were smoothed, where it is known.
        """
        self._reader.read(frame, self._luma[len(self._index)])
        self._index.append(index)
        self._types.append("" if frame.pict_type == PictureType.NONE else PictureType(frame.pict_type).name)
        whole = self._rows == slice(None)  # rows taken apart aren't what was coded
        coding = coding_of(frame, order, table) if whole and order is not None else None
        if isinstance(coding, FrameCoding) and unsmoothed is not None:
            luma = np.empty_like(self._luma[0])
            self._reader.read(unsmoothed, luma)
            coding = replace(coding, unsmoothed=luma)
        self._coding.append(coding)

    def finished(self) -> FrameBlock:
        """The block with the frames added so far."""
        count = len(self._index)
        coding = tuple(self._coding) if any(self._coding) else ()
        return FrameBlock(np.array(self._index, np.int64), self._luma[:count, self._rows], tuple(self._types), coding)
