"""Frames gathered, one at a time, into blocks."""

from __future__ import annotations

import numpy as np
from av import VideoFrame
from av.video.frame import PictureType

from vmforensics.data import FrameBlock
from vmforensics.data.frames import BLOCK_BYTES
from vmforensics_media.luma import LumaReader


class BlockBuilder:
    """One `FrameBlock` in the making, of about `BLOCK_BYTES`.

    Parameters
    ----------
    height, width : int, px
        Size of every frame.
    reader
        Takes the luma out of the frames.
    """

    def __init__(self, height: int, width: int, reader: LumaReader) -> None:
        size = max(1, BLOCK_BYTES // max(1, height * width * reader.dtype.itemsize))
        self._luma = np.empty((size, height, width), reader.dtype)
        self._reader = reader
        self._index: list[int] = []
        self._types: list[str] = []

    @property
    def full(self) -> bool:
        """Whether there is no room for another frame."""
        return len(self._index) == len(self._luma)

    def add(self, index: int, frame: VideoFrame) -> None:
        """Add a frame at its position in the stream's stamps."""
        self._reader.read(frame, self._luma[len(self._index)])
        self._index.append(index)
        self._types.append("" if frame.pict_type == PictureType.NONE else PictureType(frame.pict_type).name)

    def finished(self) -> FrameBlock:
        """The block with the frames added so far."""
        count = len(self._index)
        return FrameBlock(np.array(self._index, np.int64), self._luma[:count], tuple(self._types))
