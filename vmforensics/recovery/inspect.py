"""What the frames themselves tell of clock and lamp, noticed as they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from vmforensics.custody import WatchedStream
from vmforensics.data import FrameBlock, FrameStream, Luma, Region, Shutter
from vmforensics.errors import Unsuitable
from vmforensics.recovery.weave import Weave

_BANDS = 128  # of rows; enough for several cycles of any lamp within a readout
_SAMPLED = 2**16  # pixels of a frame that are compared with the frame before
_RUN = 16  # pixels
_CLIPPED = 0.07  # of full scale at either end; limited range has its black at 16 of 255
_COLUMNS = 256  # pixels of a row that its brightness is taken from
_BLACK = 16 / 255  # of full scale, in the limited range of video


class InspectedStream(FrameStream):
    """A watched stream that notes each frame's change and its rows' brightness during its first complete pass.

    Parameters
    ----------
    stream
        The stream to look at; whatever it offers is offered here.
    shutter
        Says which way the rows run.
    region
        Rectangle of the coded picture whose rows' brightness is noted.

    Attributes
    ----------
    index : ndarray [shape=(frames,), int64]
        Positions of the decoded frames; empty before a pass was complete, like the others.
    change : ndarray [shape=(frames,), float64, digital numbers]
        Mean absolute difference from the decoded frame before, on a sample of the rows; 0 for the first.
    types : tuple of str
        The codec's type of each frame.
    light : ndarray [shape=(frames, bands), float64, digital numbers]
        Mean brightness above black of bands of rows, in readout order.
    picture : (int, ndarray [shape=(rows, cols), uint8 or uint16, digital numbers]) or None
        The first decodable frame of the clip's second half, and its position; None where there is none.

    complaints : list of str
        The wrapped stream's, and what this pass adds to them.

    Raises
    ------
    Unsuitable
        The file says that it is interlaced, and nobody has said which of its rows are to be taken.
    """

    def __init__(self, stream: WatchedStream, shutter: Shutter, region: Region) -> None:
        _refuse_interlaced(stream)
        self._stream = stream
        self._shutter = shutter
        self._direction = shutter.direction
        self._region = region
        self.index: NDArray[np.int64] = np.zeros(0, np.int64)
        self.change: NDArray[np.float64] = np.zeros(0)
        self.types: tuple[str, ...] = ()
        self.light: NDArray[np.float64] = np.zeros((0, 1))
        self.frozen: NDArray[np.float64] = np.zeros(0)
        self.picture: tuple[int, Luma] | None = None
        self._kept: NDArray[np.bool_] | None = None
        self._shown: NDArray[np.int64] | None = None

    def __getattr__(self, name: str) -> object:
        if name == "_stream":  # not set yet: an object being copied or unpickled
            raise AttributeError(name)
        return getattr(self._stream, name)

    @property
    def frame_count(self) -> int:
        """Number of frames the container announces, decodable or not."""
        return self._stream.frame_count

    @property
    def exact(self) -> NDArray[np.bool_]:
        """Whether a frame is the same to the bit as the one before [shape=(frames,), bool]."""
        hashes = self._stream.frame_hashes
        every = np.array([k > 0 and hashes[k] == hashes[k - 1] for k in range(len(hashes))], dtype=bool)
        return every if self._kept is None else every[self._kept]

    @property
    def copied(self) -> float:
        """Share of the picture that repeats the frame before to the bit, in frames that don't do so altogether.

        A sensor's noise leaves no sixteen pixels in a row as they were; a codec that predicts frames does.
        """
        changed = self.change > 0
        return float(np.mean(self.frozen[changed])) if changed.any() else 0.0

    def _frozen_share(self, sample: NDArray[np.int32], before: NDArray[np.int32]) -> float:
        """Share of the runs of pixels, but for clipped ones, that are as in the frame before."""
        width = sample.shape[1] // _RUN * _RUN
        if not width:
            return 0.0
        runs = sample[:, :width].reshape(len(sample), -1, _RUN)
        open_ = (runs.min(axis=2) > _CLIPPED * self._stream.full_scale) & (
            runs.max(axis=2) < (1 - _CLIPPED) * self._stream.full_scale
        )
        same = np.all(runs == before[:, :width].reshape(runs.shape), axis=2)
        return float(np.mean(same[open_])) if open_.any() else 0.0

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """From now on show some of the decoded frames only [shape=(decoded frames,), bool].

        What was noticed of the others is forgotten.
        """
        self._kept = kept
        follows = kept & np.concatenate([[False], kept[:-1]])
        usual = float(np.median(self.change[follows])) if follows.any() else 0.0
        self.change = np.where(follows, self.change, usual)[kept]
        self.change[0] = 0.0
        self.types = tuple(t for t, own in zip(self.types, kept, strict=True) if own)
        self.light, self.index, self.frozen = self.light[kept], self.index[kept], self.frozen[kept]
        self._shown = self.index

    def blocks(self) -> Iterator[FrameBlock]:
        """Read from the first frame on, as the wrapped stream does.

        Raises
        ------
        Unsuitable
            The rows turn out to be those of two fields, and a rolling shutter's instants can't be theirs.
        """
        yield from self._read(self._stream.blocks)

    def coded_blocks(self) -> Iterator[FrameBlock]:
        """As `blocks`, each with how its frames were coded where the source can tell; decoding may take longer."""
        yield from self._read(self._stream.coded_blocks)

    def _read(self, read: Callable[[], Iterator[FrameBlock]]) -> Iterator[FrameBlock]:
        if self._shown is not None:
            yield from _some(read(), self._shown)
            return
        if len(self.index):
            yield from read()
            return
        index: list[NDArray[np.int64]] = []
        change: list[float] = []
        frozen: list[float] = []
        light: list[NDArray[np.float64]] = []
        types: list[str] = []
        before: NDArray[np.int32] | None = None
        weave = Weave()
        stride = max(1, self._stream.height * self._stream.width // _SAMPLED)
        for block in read():
            for frame in block.luma:
                sample = frame[::stride].astype(np.int32)
                change.append(0.0 if before is None else float(np.abs(sample - before).mean()))
                frozen.append(0.0 if before is None else self._frozen_share(sample, before))
                before = sample
            if self.picture is None and len(later := np.flatnonzero(block.index >= self.frame_count // 2)):
                self.picture = int(block.index[later[0]]), block.luma[later[0]].copy()
            weave.look_at(block.luma)
            light.append(self._bands(block.luma))
            index.append(block.index)
            types += block.frame_types or [""] * len(block.index)
            yield block
        if index:
            self.index, self.change, self.types = np.concatenate(index), np.array(change), tuple(types)
            self.light, self.frozen = np.concatenate(light), np.array(frozen)
        self._heed(weave.finding())

    def _heed(self, woven: str) -> None:
        """Warn of frames that turn out to be woven of two fields, or refuse."""
        if not woven:
            return
        if self._shutter.is_rolling:
            raise Unsuitable(woven, hint=_ONE_FIELD)
        self.complaints = [woven, *self._stream.complaints]

    @property
    def bands(self) -> NDArray[np.int64]:
        """First row of each band, counted in readout order from the region's first [shape=(bands,), int64]."""
        rows = self._region.width if self._direction.along_columns else self._region.height
        return np.asarray(np.linspace(0, rows, min(rows, _BANDS), endpoint=False).astype(np.int64))

    def _bands(self, luma: Luma) -> NDArray[np.float64]:
        r = self._region
        picture = luma[:, r.y : r.y + r.height, r.x : r.x + r.width]
        if self._direction.along_columns:
            picture = picture.transpose(0, 2, 1)
        if self._direction.reversed:
            picture = picture[:, ::-1]
        means = picture[:, :, :: max(1, picture.shape[2] // _COLUMNS)].mean(axis=2, dtype=np.float64)
        starts = self.bands
        sums = np.add.reduceat(means, starts, axis=1) / np.diff(np.append(starts, means.shape[1]))
        black = _BLACK * self._stream.full_scale if self._stream.facts.get("color_range") == "limited" else 0.0
        return np.asarray(np.maximum(sums - black, 0.0))


def _some(blocks: Iterator[FrameBlock], shown: NDArray[np.int64]) -> Iterator[FrameBlock]:
    """The frames of the given indices."""
    for block in blocks:
        own = np.isin(block.index, shown)
        if own.all():
            yield block
        elif own.any():
            types, coding = tuple(compress(block.frame_types, own)), tuple(compress(block.coding, own))
            yield FrameBlock(block.index[own], block.luma[own], types, coding)


_ONE_FIELD = (
    "take the rows of one field: `frame_source: {name: video, params: {fields: top}}` in a case file, with region and "
    "row time for pictures of half the height"
)


def _refuse_interlaced(stream: FrameStream) -> None:
    """Odd and even rows of interlaced frames show instants half a frame apart; no shutter that can be stated has that.

    Facts that bear on it: `interlaced`, what the file says, and `rows_taken`, "auto" where nobody chose.
    """
    if stream.facts.get("interlaced") is True and stream.facts.get("rows_taken") == "auto":
        raise Unsuitable(
            "the file says that it is interlaced: odd and even rows of a frame show different instants, half a frame "
            "apart, and its motion tears them apart",
            hint=f"{_ONE_FIELD}; or `fields: both`, if it is known that both were exposed at once (progressive "
            "footage marked as interlaced)",
        )
