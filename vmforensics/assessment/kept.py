"""Frames kept in memory, for what reads the same few of them again and again."""

from __future__ import annotations

from collections.abc import Iterator

from vmforensics.data import FrameBlock, FrameCoding, FrameStream, TableCoding

MOST_BYTES = 192 * 2**20
"""Memory that frames may take to be kept."""


class Kept(FrameStream):
    """A stream whose frames are decoded once, if they take no more memory than allowed, and then given out from it.

    Whatever else the wrapped stream offers is offered here.

    Parameters
    ----------
    stream
        A few frames.
    most_bytes
        Memory that they may take; more are decoded in every pass.
    """

    def __init__(self, stream: FrameStream, *, most_bytes: int = MOST_BYTES) -> None:
        self._stream = stream
        self._most = most_bytes
        self._plain: list[FrameBlock] | None = None
        self._coded: list[FrameBlock] | None = None

    def __getattr__(self, name: str) -> object:
        if name == "_stream":  # not set yet: an object being copied or unpickled
            raise AttributeError(name)
        return getattr(self._stream, name)

    @property
    def frame_count(self) -> int:
        """Number of frames the container announces, decodable or not."""
        return self._stream.frame_count

    def blocks(self) -> Iterator[FrameBlock]:
        """As the wrapped stream's."""
        known = self._plain if self._coded is None else self._coded
        if known is not None:
            yield from known
            return
        gathered: list[FrameBlock] = []
        yield from self._gather(self._stream.blocks(), gathered)
        self._plain = gathered or None

    def coded_blocks(self) -> Iterator[FrameBlock]:
        """As the wrapped stream's."""
        if self._coded is not None:
            yield from self._coded
            return
        gathered: list[FrameBlock] = []
        for number, block in enumerate(self._gather(self._stream.coded_blocks(), gathered)):
            if number == 1:  # more than a look at the first: these take the others' place
                self._plain = None
            yield block
        if gathered:
            self._coded, self._plain = gathered, None

    def _gather(self, blocks: Iterator[FrameBlock], into: list[FrameBlock]) -> Iterator[FrameBlock]:
        """Pass blocks on; copies of them go into a list, which ends empty where they are too large."""
        left = self._most
        for block in blocks:
            left -= block.luma.nbytes + sum(_bytes_of(coding) for coding in block.coding)
            if left < 0:
                into.clear()
            else:
                luma = block.luma.copy()  # a source may use a block's memory again
                luma.flags.writeable = False
                into.append(FrameBlock(block.index, luma, block.frame_types, block.coding))
            yield block


def _bytes_of(coding: FrameCoding | TableCoding | None) -> int:
    """Memory that a second picture of a frame takes."""
    return coding.unsmoothed.nbytes if isinstance(coding, FrameCoding) and coding.unsmoothed is not None else 0
