"""Frames: as the container stores them (`FrameStream`), and as the sensor read them (`SensorFrames`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from vmforensics.data.clock import Clock
from vmforensics.data.codec import FrameCoding, TableCoding
from vmforensics.data.shutter import Shutter
from vmforensics.errors import RegionError, TooFewFrames

Luma = NDArray[np.uint8] | NDArray[np.uint16]

BLOCK_BYTES = 16 * 2**20
"""Size a source aims at for one block of frames: small enough for the memory bound, large enough for BLAS."""

_MOST_FRAMES = 256  # in a block, however small they are


def frames_at_once(rows: int, cols: int, item_bytes: int) -> int:
    """How many frames of so many pixels a block has; what takes frames on in such blocks needn't copy them.

    >>> frames_at_once(1080, 1920, 1), frames_at_once(180, 240, 1)
    (8, 256)
    """
    return max(1, min(_MOST_FRAMES, BLOCK_BYTES // max(1, rows * cols * item_bytes)))


@dataclass(frozen=True, slots=True, eq=False)
class FrameBlock:
    """Consecutively decoded frames.

    Parameters
    ----------
    index : ndarray [shape=(frames,), int64]
        Position of each frame in the stream's `stamps`, increasing; an undecodable frame is missing here.
    luma : ndarray [shape=(frames, rows, cols), uint8 or uint16, digital numbers]
        The luma plane as decoded, never range-stretched.
    frame_types : tuple of str
        The codec's type of each frame ("I", "P", "B"), "" where the format has none.
    coding : tuple of FrameCoding, TableCoding or None
        How each frame was coded, if asked for (`FrameStream.coded_blocks`); None where nothing is known of it. Empty
        where nothing is known of any.
    """

    index: NDArray[np.int64]
    luma: Luma
    frame_types: tuple[str, ...] = ()
    coding: tuple[FrameCoding | TableCoding | None, ...] = ()

    def __post_init__(self) -> None:
        if self.luma.ndim != 3 or len(self.index) != len(self.luma):
            raise ValueError(f"block of {len(self.index)} indices holds luma of shape {self.luma.shape}")
        if self.luma.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"luma is {self.luma.dtype}; it must be uint8 or uint16")


class FrameStream(ABC):
    """The coded pictures of one clip, to be read as often as wanted, a block at a time.

    Attributes
    ----------
    height, width : int, px
        Size of the coded picture, before any display rotation.
    full_scale : int, digital numbers
        Largest code the pixel format can hold (255, 1023, 4095, 65535).
    stamps : ndarray [shape=(frames,), float64, s]
        Time stamp of each frame in presentation order as the container states it; NaN where it states none.
    stamp_resolution : float, s
        The container's time base: stamps are multiples of it; 0 where it has none.
    declared_rate : float or None, Hz
        Frame rate that the container claims.
    facts : mapping
        What is known of the file (container, codec, pixel format, colour range, rotation ...), JSON values.
        `inter_coded` says whether a lossy codec predicts frames from one another, `keyframes` how many it doesn't:
        detection is stricter then.
    complaints : list of str
        What the decoder had to say during the passes so far; empty where it was content.
    """

    height: int
    width: int
    full_scale: int
    stamps: NDArray[np.float64]
    stamp_resolution: float
    declared_rate: float | None
    facts: Mapping[str, object]
    complaints: list[str]

    @property
    def frame_count(self) -> int:
        """Number of frames the container announces, decodable or not."""
        return len(self.stamps)

    @abstractmethod
    def blocks(self) -> Iterator[FrameBlock]:
        """Read from the first frame on; each call is a new pass over the same frames.

        Raises
        ------
        EvidenceUnreadable
            Decoding fails and can't go on.
        FrameSizeChanged
            A frame has another size or pixel format than the first.
        """

    def coded_blocks(self) -> Iterator[FrameBlock]:
        """As `blocks`, each with how its frames were coded where the source can tell; decoding may take longer."""
        return self.blocks()


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of the coded picture.

    Parameters
    ----------
    x, y : int, px
        Column and row of its top left pixel.
    width, height : int, px
        Its size.
    """

    x: int
    y: int
    width: int
    height: int

    def check_inside(self, height: int, width: int) -> None:
        """Raise `RegionError` unless the rectangle is non-empty and lies in a picture of that size."""
        inside = 0 <= self.x and 0 <= self.y and self.x + self.width <= width and self.y + self.height <= height
        if not inside or self.width < 1 or self.height < 1:
            raise RegionError(
                f"region {self.x},{self.y},{self.width},{self.height} (x,y,width,height) doesn't lie in the "
                f"{width}x{height} px frame",
                hint=f"x+width may be at most {width}, y+height at most {height}",
            )


@dataclass(frozen=True, slots=True, eq=False)
class SensorFrames:
    """A region of a clip in readout order, with its clock and shutter: what a motion estimator sees.

    Axis 0 of a frame is the readout axis, the row that was exposed first comes first; axis 1 runs along a
    sensor row. For a global shutter read top to bottom that is the coded picture itself.

    Parameters
    ----------
    stream
        The coded frames.
    clock
        Start of the first sensor row's exposure, for each frame of the stream.
    shutter
        Exposure timing.
    region
        Rectangle of the coded picture; the whole picture if None.
    mask : ndarray [shape=(rows, cols), bool] or None
        Which of the region's pixels count, in readout order; all if None.

    Raises
    ------
    RegionError
        The region doesn't lie in the frame.
    ValueError
        The mask has another shape than the region.
    """

    stream: FrameStream
    clock: Clock
    shutter: Shutter = field(default_factory=Shutter)
    region: Region | None = None
    mask: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        self.rectangle.check_inside(self.stream.height, self.stream.width)
        if self.mask is not None and self.mask.shape != (self.rows, self.cols):
            raise ValueError(f"mask has shape {self.mask.shape}; the region asks for {(self.rows, self.cols)}")

    def within(self, polygon: Sequence[tuple[float, float]]) -> SensorFrames:
        """The same frames, of which only the pixels in a polygon count.

        Parameters
        ----------
        polygon
            Its corners (x, y) in px of the stored picture, in order; a pixel counts where its middle lies inside.
        """
        from skimage.draw import polygon2mask

        r = self.rectangle
        corners = np.array([(y - r.y - 0.5, x - r.x - 0.5) for x, y in polygon])
        mask: NDArray[np.bool_] = polygon2mask((r.height, r.width), corners)  # type: ignore[no-untyped-call]
        if self.shutter.direction.along_columns:
            mask = mask.T
        if self.shutter.direction.reversed:
            mask = mask[::-1]
        return replace(self, mask=np.ascontiguousarray(mask))

    @property
    def rectangle(self) -> Region:
        """The region, or the whole picture."""
        return self.region or Region(0, 0, self.stream.width, self.stream.height)

    @property
    def rows(self) -> int:
        """Number of sensor rows in the region (picture columns, where the readout runs along them)."""
        return self.rectangle.width if self.shutter.direction.along_columns else self.rectangle.height

    @property
    def cols(self) -> int:
        """Number of pixels of a sensor row in the region."""
        return self.rectangle.height if self.shutter.direction.along_columns else self.rectangle.width

    @property
    def frame_count(self) -> int:
        """Number of frames, decodable or not."""
        return self.stream.frame_count

    @property
    def full_scale(self) -> int:
        """Largest code of the pixel format."""
        return self.stream.full_scale

    @property
    def first_row(self) -> int:
        """Sensor row of the region's first row, counted in readout order over the whole coded picture."""
        r, direction = self.rectangle, self.shutter.direction
        start, size, total = (
            (r.x, r.width, self.stream.width) if direction.along_columns else (r.y, r.height, self.stream.height)
        )
        return total - start - size if direction.reversed else start

    def stored(self, place: Region, direction: tuple[float, float]) -> tuple[Region, tuple[float, float]]:
        """A rectangle of the region and a direction, in readout order, as they are in the stored picture.

        Parameters
        ----------
        place
            x along the sensor row, y across rows, from the region's first.
        direction
            (along the row, across rows).

        Returns
        -------
        Region
            Of the whole stored picture.
        (float, float)
            (right, down).
        """
        r, order = self.rectangle, self.shutter.direction
        (along, across), y = direction, place.y
        if order.reversed:
            across, y = -across, self.rows - place.y - place.height
        if order.along_columns:
            return Region(r.x + y, r.y + place.x, place.height, place.width), (across, along)
        return Region(r.x + place.x, r.y + y, place.width, place.height), (along, across)

    def row_offsets(self) -> NDArray[np.float64]:
        """Middle of each row's exposure after the frame time [shape=(rows,), float64, s]."""
        return self.shutter.row_offsets(self.rows, self.first_row)

    def blocks(self) -> Iterator[FrameBlock]:
        """One pass over the region, in readout order; luma is [shape=(frames, rows, cols)]."""
        r, direction = self.rectangle, self.shutter.direction
        for block in self.stream.blocks():
            luma = block.luma[:, r.y : r.y + r.height, r.x : r.x + r.width]
            if direction.along_columns:
                luma = luma.transpose(0, 2, 1)
            if direction.reversed:
                luma = luma[:, ::-1]
            yield FrameBlock(block.index, luma, block.frame_types, block.coding)

    def coded_blocks(self) -> Iterator[FrameBlock]:
        """One pass over whole coded pictures, not the region, each with how it was coded where the source can tell."""
        return self.stream.coded_blocks()

    def mean(self) -> NDArray[np.float64]:
        """Temporal mean of the frames, the template that motion is measured against.

        Returns
        -------
        ndarray [shape=(rows, cols), float64, digital numbers]

        Raises
        ------
        TooFewFrames
            Not a single frame could be decoded.
        """
        total = np.zeros((self.rows, self.cols))
        count = 0
        for block in self.blocks():
            total += block.luma.sum(axis=0, dtype=np.float64)
            count += len(block.index)
        if count == 0:
            raise TooFewFrames("no frame could be decoded")
        return total / count
