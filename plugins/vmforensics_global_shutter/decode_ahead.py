"""Frames decoded while those before them are worked on."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from queue import SimpleQueue
from threading import Event, Semaphore, Thread, current_thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import FrameBlock, SensorFrames
from vmforensics.data.frames import frames_at_once

_AHEAD = 3  # blocks; as long as the reader makes the still picture, the decoder has something to do


def decoded_ahead(frames: SensorFrames) -> Iterator[FrameBlock]:
    """One pass over the frames, decoded by a second thread a few blocks ahead of their reader.

    Decoders and matrix products let go of the interpreter, so that both run at once. How many frames a block has
    depends on their size alone, not on the source, and its memory isn't used again.
    """
    size = frames_at_once(frames.rows, frames.cols, 1 if frames.full_scale < 256 else 2)
    ahead: SimpleQueue[FrameBlock | BaseException | None] = SimpleQueue()
    room, unwanted = Semaphore(_AHEAD), Event()

    def decode() -> None:
        try:
            with closing(_cut(frames.blocks(), size)) as blocks:
                while room.acquire() and not unwanted.is_set():
                    block = next(blocks, None)
                    ahead.put(block)
                    if block is None:
                        return
        except BaseException as error:  # the reader's to deal with
            ahead.put(error)

    # No executor: the garbage collector may end this pass, and has ended the executor's threads by then.
    worker = Thread(target=decode, name="decode-ahead", daemon=True)
    worker.start()
    try:
        while (block := ahead.get()) is not None:
            if isinstance(block, BaseException):
                raise block
            room.release()
            yield block
    finally:
        unwanted.set()
        room.release()
        if worker is not current_thread():
            worker.join()


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
