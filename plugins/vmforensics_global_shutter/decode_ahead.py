"""Frames decoded while those before them are worked on."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import FrameBlock, SensorFrames

_BLOCK_PIXELS = 2**24
_MOST = 128  # frames
_AHEAD = 3  # blocks; as long as the reader makes the still picture, the decoder has something to do


def decoded_ahead(frames: SensorFrames) -> Iterator[FrameBlock]:
    """One pass over the frames, decoded by a second thread a few blocks ahead of their reader.

    Decoders and matrix products let go of the interpreter, so that both run at once. How many frames a block has
    depends on their size alone, not on the source, and its memory isn't used again.
    """
    size = max(1, min(_MOST, _BLOCK_PIXELS // (frames.rows * frames.cols)))
    blocks = _cut(frames.blocks(), size)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="decode-ahead") as worker:
        pending = deque(worker.submit(next, blocks, None) for _ in range(_AHEAD))
        try:
            while (block := pending.popleft().result()) is not None:
                pending.append(worker.submit(next, blocks, None))
                yield block
        finally:
            for unwanted in pending:
                unwanted.cancel()
            worker.submit(blocks.close).result()  # in the thread that it was read in


def _cut(blocks: Iterator[FrameBlock], size: int) -> Generator[FrameBlock, None, None]:
    """The same frames in blocks of a given size, the last one smaller; what comes in one piece isn't copied."""
    pieces: list[FrameBlock] = []
    missing = size
    for block in blocks:
        start = 0
        while start < len(block.index):
            own = slice(start, start + missing)
            pieces.append(FrameBlock(block.index[own], block.luma[own]))
            start += missing
            missing -= len(pieces[-1].index)
            if not missing:
                yield _joined(pieces)
                pieces, missing = [], size
    if pieces:
        yield _joined(pieces)


def _joined(pieces: list[FrameBlock]) -> FrameBlock:
    luma: list[NDArray[Any]] = [piece.luma for piece in pieces]
    whole = np.ascontiguousarray(luma[0]) if len(luma) == 1 else np.concatenate(luma)
    return FrameBlock(np.concatenate([piece.index for piece in pieces]), whole)
