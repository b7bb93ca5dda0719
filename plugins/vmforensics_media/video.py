"""Video files through FFmpeg: every frame's luma as decoded, and every time stamp as stored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from av import Packet, VideoFrame
from av.video.stream import VideoStream

from vmforensics.data import Evidence, FrameBlock, FrameStream
from vmforensics.errors import EvidenceMissing, EvidenceUnreadable, FrameSizeChanged, TooFewFrames
from vmforensics.stages import FrameSource
from vmforensics_media.blocks import BlockBuilder
from vmforensics_media.container import OpenVideo, frames_of, opened
from vmforensics_media.decoder_log import DecoderLog
from vmforensics_media.facts import bits_within, declared_rate, facts_of
from vmforensics_media.images import is_picture
from vmforensics_media.luma import LumaReader
from vmforensics_media.photron import Photron
from vmforensics_media.tiff_stack import is_stack


class Video(FrameSource):
    """Decodes a video file with FFmpeg."""

    name = "video"
    summary = "a video file of any container and codec that FFmpeg reads"

    @classmethod
    def accepts(cls, evidence: Evidence) -> bool:
        """Whether it is a file, and neither a still picture by its first bytes nor raw pictures without a container."""
        motion_jpeg = evidence.path.suffix.lower() in (".mjpeg", ".mjpg")
        other = is_picture(evidence.path) or is_stack(evidence.path) or Photron.accepts(evidence)
        return not evidence.path.is_dir() and (motion_jpeg or not other)

    def open(self, evidence: Evidence) -> VideoFile:
        """Open a video file; all its time stamps are read, and its first frame.

        Raises
        ------
        EvidenceMissing
            The file isn't there, or may not be read.
        EvidenceUnreadable
            It is a folder, empty, no video, or damaged beyond opening.
        NoVideo
            It holds no moving picture, only sound for instance.
        TooFewFrames
            It holds a video stream without a single frame.
        """
        return VideoFile(evidence.path)


class VideoFile(FrameStream):
    """The best video stream of one file; see `FrameStream` for what it offers.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    EvidenceMissing, EvidenceUnreadable, NoVideo, TooFewFrames
        As `Video.open` says.
    """

    def __init__(self, path: Path) -> None:
        _check_file(path)
        self._path = path
        self._log = DecoderLog()
        with opened(path, self._log) as video:
            index, first = _scanned(video)
            if not index.ticks:
                raise TooFewFrames(f"{path}: the video stream holds no frame", hint=self._log.hint())
            if first is None:
                codec = video.stream.codec_context.name
                raise EvidenceUnreadable(
                    f"{path}: none of its {len(index.ticks)} {codec} frames can be decoded", hint=self._log.hint()
                )
            try:
                reader = LumaReader(first.format)
            except ValueError as error:
                raise EvidenceUnreadable(f"{path}: {error}", hint="convert a copy to yuv420p or gray16") from error
            stored = len(index.ticks) + index.cut
            if stored < video.stream.frames:
                self._log.note(f"the container announces {video.stream.frames} frames, the file holds {stored}")
            sensor_bits = bits_within(video, reader.bits)
            stamped = video.has_time_stamps and video.stream.time_base is not None
            self.stamp_resolution = float(video.stream.time_base or 0) if stamped else 0.0
            self.declared_rate = declared_rate(video, cut=index.cut > 0)
            self.facts: Mapping[str, object] = facts_of(video, first) | {
                "bit_depth": sensor_bits or reader.bits,
                "luma": reader.description + (f"; {sensor_bits} bits, spread over 16 by FFmpeg" if sensor_bits else ""),
                "frames": len(index.ticks),
                "frames_cut_by_edit_list": index.cut,
                "frames_without_stamp": sum(tick is None or not stamped for tick in index.ticks),
                "keyframes": index.keyframes,
            }
        self._format = first.format.name
        self.height, self.width = first.height, first.width
        self.full_scale = reader.full_scale
        self._ticks = [tick if stamped else None for tick in index.ticks]
        self.stamps = np.array([np.nan if t is None else t * self.stamp_resolution for t in self._ticks])
        self.complaints = self._log.messages()

    def blocks(self) -> Iterator[FrameBlock]:
        """Decode the file from its first frame on; see `FrameStream.blocks`."""
        position = _Positions(self._ticks)
        reader: LumaReader | None = None
        block: BlockBuilder | None = None
        decoded = 0
        for frame in frames_of(self._path, self._log):
            if (frame.width, frame.height, frame.format.name) != (self.width, self.height, self._format):
                raise FrameSizeChanged(
                    f"{self._path}: frame {decoded} is {frame.width}x{frame.height} {frame.format.name}, those "
                    f"before it {self.width}x{self.height} {self._format}",
                    hint="cut a copy where the size changes, and analyse each part",
                )
            index = position.of(frame.pts)
            if index is None:
                self._log.note("more frames were decoded than the container announces; the surplus is left out")
                continue
            reader = reader or LumaReader(frame.format)
            block = block or BlockBuilder(self.height, self.width, reader)
            block.add(index, frame)
            decoded += 1
            if block.full:
                yield block.finished()
                block = None
        self.complaints = self._log.messages()
        if decoded == 0:
            raise EvidenceUnreadable(f"{self._path}: no frame can be decoded", hint=self._log.hint())
        if block is not None:
            yield block.finished()


class _Index:
    """The container's packets.

    Attributes
    ----------
    ticks : list of int or None
        Presentation stamp of each frame in presentation order, in units of the stream's time base.
    keyframes : int
        Frames that stand alone.
    cut : int
        Frames outside the edit list: stored because others refer to them, never shown.
    """

    def __init__(self) -> None:
        self._order: list[tuple[int, int | None]] = []
        self.keyframes = 0
        self.cut = 0

    @property
    def ticks(self) -> list[int | None]:
        return [pts for _, pts in sorted(self._order, key=lambda entry: entry[0])]

    def add(self, packet: Packet[VideoStream]) -> None:
        if packet.size == 0:
            return
        if packet.is_discard:
            self.cut += 1
            return
        self.keyframes += packet.is_keyframe
        place = packet.pts if packet.pts is not None else packet.dts
        if place is None:
            place = self._order[-1][0] if self._order else 0
        self._order.append((place, packet.pts))


class _Positions:
    """Maps decoded frames, as they come, to their positions in the stream's stamps."""

    def __init__(self, ticks: list[int | None]) -> None:
        self._size = len(ticks)
        self._next = 0
        self._of: dict[int, list[int]] = defaultdict(list)
        for position, tick in enumerate(ticks):
            if tick is not None:
                self._of[tick].append(position)

    def of(self, pts: int | None) -> int | None:
        """Position of the next decoded frame; one without a known stamp follows the frame before it.

        Positions only increase. None when there is no room left.
        """
        stamped = self._of.get(pts, []) if pts is not None else []
        position = next((p for p in stamped if p >= self._next), self._next)
        if position >= self._size:
            return None
        self._next = position + 1
        return position


def _scanned(video: OpenVideo) -> tuple[_Index, VideoFrame | None]:
    """Read all time stamps, and decode as far as the first frame."""
    index = _Index()
    first: VideoFrame | None = None
    for packet in video.packets():
        index.add(packet)
        if first is None:
            first = next(iter(video.decode(packet)), None)
    return index, first


def _check_file(path: Path) -> None:
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise EvidenceUnreadable(f"{path}: the file is empty (0 bytes)", hint="fetch the exhibit again")
    except IsADirectoryError as error:
        raise EvidenceUnreadable(
            f"{path}: it is a folder, not a video file", hint="for a folder of pictures use the source image-sequence"
        ) from error
    except FileNotFoundError as error:
        raise EvidenceMissing(f"{path}: no such file", hint="check the path") from error
    except OSError as error:
        raise EvidenceMissing(f"{path}: can't be read: {error.strerror}", hint="check permissions") from error
