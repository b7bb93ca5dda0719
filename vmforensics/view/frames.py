"""The pictures of an exhibit one by one, for a person who steps through them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from vmforensics.data import Evidence, FrameBlock, FrameStream
from vmforensics.errors import EvidenceUnreadable
from vmforensics.plugins import Registry
from vmforensics.recovery.picture import draw_picture
from vmforensics.recovery.plan import source_for

_KEPT_BYTES = 256 * 2**20
"""Decoded pictures that are kept, so that a few steps back don't mean reading from the first frame again."""


class Frames:
    """Reads the frames of one exhibit, which is only ever opened for reading; safe for several threads.

    Parameters
    ----------
    path
        The exhibit.
    registry
        The frame sources to choose from.

    Raises
    ------
    VmforensicsError
        It isn't there, or can't be opened.
    """

    def __init__(self, path: Path, registry: Registry) -> None:
        evidence = Evidence(path)
        self._stream: FrameStream = source_for(path, registry).open(evidence)
        self._lock = threading.Lock()
        self._kept: deque[FrameBlock] = deque()
        self._blocks: Iterator[FrameBlock] = iter(())
        self._read_to = -1

    @property
    def count(self) -> int:
        """Number of frames, decodable or not."""
        return self._stream.frame_count

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the stored picture (px)."""
        return self._stream.width, self._stream.height

    def picture(self, number: int) -> bytes:
        """One frame as a PNG, as `draw_picture` draws it.

        Raises
        ------
        EvidenceUnreadable
            There is no such frame, or it can't be decoded.
        """
        with self._lock:
            if (self._kept and number < int(self._kept[0].index[0])) or self._read_to < 0:
                self._kept.clear()
                self._blocks, self._read_to = self._stream.blocks(), -1
            while self._read_to < number and (block := next(self._blocks, None)) is not None:
                if len(block.index):
                    self._keep(block)
            for block in self._kept:
                (found,) = (block.index == number).nonzero()
                if len(found):
                    return draw_picture(block.luma[found[0]], self._stream.full_scale)
        raise EvidenceUnreadable(f"picture {number + 1} of {self.count} can't be decoded, or isn't there")

    def _keep(self, block: FrameBlock) -> None:
        self._kept.append(block)
        self._read_to = int(block.index[-1])
        while len(self._kept) > 1 and sum(each.luma.nbytes for each in self._kept) > _KEPT_BYTES:
            self._kept.popleft()
