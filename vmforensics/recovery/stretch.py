"""The first frames of a clip, for what needn't read all of it."""

from __future__ import annotations

from collections.abc import Iterator

from vmforensics.data import FrameBlock, FrameStream


class Stretch(FrameStream):
    """The first frames of another stream; whatever else that one offers is offered here.

    Parameters
    ----------
    stream
        The whole clip.
    count
        How many of its frames to show.

    Attributes
    ----------
    whole : ndarray [shape=(frames of the whole clip,), float64, s]
        Time stamps of all its frames.
    """

    def __init__(self, stream: FrameStream, count: int) -> None:
        self._stream = stream
        self.stamps = stream.stamps[:count]
        self.whole = stream.stamps

    @classmethod
    def of(cls, stream: FrameStream, most_pixels: int, *, least: int) -> Stretch:
        """As many first frames as hold a number of pixels, but no fewer than `least`."""
        return cls(stream, max(least, most_pixels // max(stream.height * stream.width, 1)))

    def __getattr__(self, name: str) -> object:
        if name == "_stream":  # not set yet: an object being copied or unpickled
            raise AttributeError(name)
        return getattr(self._stream, name)

    def blocks(self) -> Iterator[FrameBlock]:
        """Read from the first frame to the last of the stretch."""
        return self._first(self._stream.blocks())

    def coded_blocks(self) -> Iterator[FrameBlock]:
        """As `blocks`, each with how its frames were coded where the source can tell."""
        return self._first(self._stream.coded_blocks())

    def _first(self, blocks: Iterator[FrameBlock]) -> Iterator[FrameBlock]:
        count = len(self.stamps)
        for block in blocks:
            keep = block.index < count
            if keep.all():
                yield block
                continue
            if some := int(keep.sum()):
                yield FrameBlock(block.index[keep], block.luma[keep], block.frame_types[:some], block.coding[:some])
            return
