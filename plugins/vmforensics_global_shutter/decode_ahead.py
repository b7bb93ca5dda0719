"""Frames decoded while those before them are worked on."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from vmforensics.data import FrameBlock, SensorFrames

_BLOCK_PIXELS = 2**24
_MOST = 128  # frames


def decoded_ahead(frames: SensorFrames) -> Iterator[FrameBlock]:
    """One pass over the frames, each block decoded by a second thread while its reader has the one before.

    Decoders and matrix products let go of the interpreter, so that both run at once. How many frames a block has
    depends on their size alone, not on the source, and its memory isn't used again.
    """
    size = max(1, min(_MOST, _BLOCK_PIXELS // (frames.rows * frames.cols)))
    blocks = _cut(frames.blocks(), size)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="decode-ahead") as worker:
        try:
            pending = worker.submit(next, blocks, None)
            while (block := pending.result()) is not None:
                pending = worker.submit(next, blocks, None)
                yield block
        finally:
            worker.submit(blocks.close).result()  # in the thread that it was read in


def _cut(blocks: Iterator[FrameBlock], size: int) -> Generator[FrameBlock, None, None]:
    """The same frames in blocks of a given size, the last one smaller."""
    index, luma, fill = np.empty(size, np.int64), None, 0
    for block in blocks:
        start = 0
        while start < len(block.index):
            if luma is None:
                index, luma, fill = (
                    np.empty(size, np.int64),
                    np.empty((size, *block.luma.shape[1:]), block.luma.dtype),
                    0,
                )
            take = min(size - fill, len(block.index) - start)
            index[fill : fill + take] = block.index[start : start + take]
            luma[fill : fill + take] = block.luma[start : start + take]
            fill, start = fill + take, start + take
            if fill == size:
                yield FrameBlock(index, luma)
                luma = None
    if luma is not None:
        yield FrameBlock(index[:fill], luma[:fill])
