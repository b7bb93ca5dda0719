"""Video files through FFmpeg: every frame's luma as decoded, and every time stamp as stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray
from pydantic import Field

from vmforensics.data import Evidence, FrameBlock, FrameStream
from vmforensics.errors import EvidenceMissing, EvidenceUnreadable, FrameSizeChanged, TooFewFrames
from vmforensics.stages import FrameSource, StageParams
from vmforensics_media.blocks import BlockBuilder
from vmforensics_media.container import OpenVideo, moving_pictures, opened
from vmforensics_media.decoder_log import DecoderLog
from vmforensics_media.decoding import Decoded, Soundness, decoded_frames
from vmforensics_media.facts import bits_within, declared_rate, facts_of
from vmforensics_media.frame_numbers import FrameNumbers
from vmforensics_media.images import is_picture
from vmforensics_media.luma import LumaReader
from vmforensics_media.photron import Photron
from vmforensics_media.ranges import in_ranges
from vmforensics_media.stabilisation import stabilisation
from vmforensics_media.stamps import Arrangement, Stamps
from vmforensics_media.tiff_stack import is_stack


class Video(FrameSource):
    """Decodes a video file with FFmpeg."""

    name = "video"
    summary = "a video file of any container and codec that FFmpeg reads"

    class Params(StageParams):
        """Parameters of `Video`."""

        stream: int | None = Field(
            default=None,
            ge=0,
            description="number of the video stream in a file that holds several, counted from 0 over pictures and "
            "sound alike; none: the one that FFmpeg thinks best",
        )
        fields: Literal["auto", "top", "bottom", "both"] = Field(
            default="auto",
            description="of interlaced footage, whose odd and even rows show different instants: 'top' takes every "
            "frame's 1st, 3rd, 5th ... row, 'bottom' its 2nd, 4th ...; region and row time then count on pictures of "
            "half the height. 'both' takes all rows, on the user's word that they show one instant. 'auto' takes all "
            "rows, and a recovery is refused where the file says that it is interlaced",
        )
        repaired: bool = Field(
            default=False,
            description="whether to use also frames that the decoder patched where they are damaged, and those that "
            "depend on such a frame, up to the next key frame; otherwise they count as gaps",
        )

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
            It holds no moving picture, only sound for instance, or none of the number asked for.
        TooFewFrames
            It holds a video stream without a single frame.
        """
        return VideoFile(evidence.path, self.params)


class VideoFile(FrameStream):
    """One video stream of one file; see `FrameStream` for what it offers.

    Parameters
    ----------
    path
        The file.
    params
        Which stream and which rows; the usual ones if None.

    Raises
    ------
    EvidenceMissing, EvidenceUnreadable, NoVideo, TooFewFrames
        As `Video.open` says.
    """

    def __init__(self, path: Path, params: Video.Params | None = None) -> None:
        _check_file(path)
        self._path = path
        self._params = params or Video.Params()
        self._log = DecoderLog()
        with opened(path, self._log, number=self._params.stream) as video:
            stamps, first = _scanned(video)
            if not len(stamps):
                raise TooFewFrames(f"{path}: the video stream holds no frame", hint=self._log.hint())
            if first is None:
                codec = video.stream.codec_context.name
                raise EvidenceUnreadable(
                    f"{path}: none of its {len(stamps)} {codec} frames can be decoded", hint=self._log.hint()
                )
            reader = self._reader(first)
            stated = video.has_time_stamps and video.stream.time_base is not None
            self._frames = stamps.arranged(stated=stated)
            self._bereft = frozenset(stamps.bereft)
            self._alone = video.stream.codec_context.name == "h264" and stamps.keyframes == len(stamps)
            self.stamp_resolution = float(video.stream.time_base or 0) if stated else 0.0
            self.stamps = self._frames.seconds(self.stamp_resolution)
            self.declared_rate = declared_rate(video, cut=stamps.cut > 0)
            self._find(video, stamps, first)
            sensor_bits = bits_within(video, reader.bits)
            facts = facts_of(video, first) | {
                "bit_depth": sensor_bits or reader.bits,
                "luma": reader.description + (f"; {sensor_bits} bits, spread over 16 by FFmpeg" if sensor_bits else ""),
                "frames": len(stamps),
                "frames_cut_by_edit_list": stamps.cut,
                "frames_without_stamp": int(np.sum(~self._frames.stamped)),
                "keyframes": stamps.keyframes,
            }
        self._format = first.format.name
        self._coded = first.height, first.width
        self._progressive = self._params.fields == "auto" and not first.interlaced_frame
        self._rows = _rows_of(self._params.fields)
        self.height, self.width = len(range(first.height)[self._rows]), first.width
        self.facts: Mapping[str, object] = facts | {"height": self.height, "rows_taken": self._params.fields}
        self.full_scale = reader.full_scale
        self.complaints = self._log.messages()

    def _reader(self, frame: VideoFrame) -> LumaReader:
        try:
            return LumaReader(frame.format)
        except ValueError as error:
            raise EvidenceUnreadable(f"{self._path}: {error}", hint="convert a copy to yuv420p or gray16") from error

    def _find(self, video: OpenVideo, stamps: Stamps, first: VideoFrame) -> None:
        """Say what is odd about the file as a whole."""
        if first.interlaced_frame:
            self._log.find(f"the file says that it is interlaced; {_TAKEN[self._params.fields]}")
        held = len(stamps) + stamps.cut
        if held < video.stream.frames:
            self._log.find(f"the container announces {video.stream.frames} frames, the file holds {held}")
        if not self._frames.ordered:
            self._log.find("the time stamps run backwards; frames are taken in the order of the file, and counted")
        if stamps.bereft:
            places = in_ranges(self._frames.positions(sorted(stamps.bereft)))
            self._log.find(f"by the codec's own count frames are missing from the file before {places}, counted from 0")
        others = [s.index for s in moving_pictures(video.container) if s.index != video.stream.index]
        if others:
            taken = f"stream {video.stream.index} was taken"
            kept = f"the source's parameter 'stream' takes {' or '.join(map(str, others))}"
            self._log.find(f"the file holds {len(others) + 1} moving pictures: {taken}; {kept}")
        if said := stabilisation(self._path, {**video.container.metadata, **video.stream.metadata}):
            self._log.find(said)

    def blocks(self) -> Iterator[FrameBlock]:
        """Decode the file from its first frame on; see `FrameStream.blocks`.

        Frames that are damaged, or depend on such, don't come, unless the parameter `repaired` asks for them; which
        those are is among the complaints once the pass is complete.
        """
        return self._read(coding=False)

    def coded_blocks(self) -> Iterator[FrameBlock]:
        """As `blocks`, each with how its frames were coded, of H.264 (decoded with fewer threads) and Motion JPEG.

        Of H.264 that holds nothing but key frames it also tells what they were before blocks' edges were smoothed.
        """
        return self._read(coding=True)

    def _read(self, *, coding: bool) -> Iterator[FrameBlock]:
        fate = _Fate(self._frames, repaired=self._params.repaired)
        orders = self._frames.ordinals()
        reader: LumaReader | None = None
        block: BlockBuilder | None = None
        for decoded in decoded_frames(
            self._path,
            self._log,
            number=self._params.stream,
            bereft=self._bereft,
            coding=coding,
            unsmoothed=coding and self._alone,
        ):
            frame = decoded.frame
            same = ((frame.height, frame.width), frame.format.name) == (self._coded, self._format)
            if not same and decoded.soundness is Soundness.SOUND:
                raise FrameSizeChanged(
                    f"{self._path}: frame {fate.next} is {frame.width}x{frame.height} {frame.format.name}, those "
                    f"before it {self._coded[1]}x{self._coded[0]} {self._format}",
                    hint="cut a copy where the size changes, and analyse each part",
                )
            torn = self._progressive and frame.interlaced_frame
            position = fate.of(decoded, "" if same else _OTHER_SIZE, _TORN if torn else "")
            if position is None:
                continue
            reader = reader or LumaReader(frame.format)
            block = block or BlockBuilder(*self._coded, reader, self._rows)
            order = int(orders[position]) if decoded.ordinal is None else decoded.ordinal
            block.add(position, frame, order if coding else None, decoded.table, decoded.unsmoothed)
            if block.full:
                yield block.finished()
                block = None
        for finding in fate.findings():
            self._log.find(finding)
        self.complaints = self._log.messages()
        if not fate.given:
            raise EvidenceUnreadable(f"{self._path}: {fate.nothing}", hint=self._log.hint(fate.advice))
        if block is not None:
            yield block.finished()


_TAKEN = {
    "auto": "the rows of both fields were taken",
    "both": "the rows of both fields were taken, on the user's word that they show one instant",
    "top": "the rows of the top field were taken",
    "bottom": "the rows of the bottom field were taken",
}

_DAMAGED = "damaged frames, patched by the decoder"
_DEPENDENT = "frames that depend on damaged ones"
_OTHER_SIZE = "damaged frames of another size or pixel format"
_TORN = "frames marked as interlaced, unlike the first"
_LOST = "frames that couldn't be decoded at all"
_SURPLUS = "more frames were decoded than the container announces; they are left out"


class _Fate:
    """What became of each of a stream's frames during one pass.

    Parameters
    ----------
    frames
        The frames that the container announces.
    repaired
        Whether damaged frames are used, as far as the decoder patched them.
    """

    def __init__(self, frames: Arrangement, *, repaired: bool) -> None:
        self._frames = frames
        self._repaired = repaired
        self._seen = np.zeros(len(frames.stamped), bool)
        self._unsound: dict[str, NDArray[np.bool_]] = {}
        self._surplus = 0
        self.next = 0
        self.given = 0

    def of(self, decoded: Decoded, *flaws: str) -> int | None:
        """Position of a decoded frame among those shown; None if it isn't to be used.

        Where frames are damaged the decoder may show them in a wrong order; they don't push others from their places.

        Parameters
        ----------
        decoded
            The frame.
        flaws
            Why it can't be used, apart from damage; "" for no reason.
        """
        flaw = next(filter(None, flaws), "")
        damage = {Soundness.DAMAGED: _DAMAGED, Soundness.DEPENDENT: _DEPENDENT}.get(decoded.soundness, "")
        used = not flaw and (self._repaired or not damage)
        in_turn = used or decoded.ordinal is None or not self._frames.told
        position = self._frames.position(decoded.ordinal, self.next if in_turn else 0)
        if position is None:
            self._surplus += used
            return None
        self._seen[position] = True
        if reason := flaw or damage:
            self._unsound.setdefault(reason, np.zeros_like(self._seen))[position] = True
        if in_turn:
            self.next = position + 1
        self.given += used
        return position if used else None

    def findings(self) -> Iterator[str]:
        """What is to be said of frames that aren't sound."""
        for reason in sorted(self._unsound):
            used = self._repaired and reason in (_DAMAGED, _DEPENDENT)
            yield self._list(f"{reason}, {'used as asked for' if used else 'left out'}", self._unsound[reason])
        if not self._seen.all():
            yield self._list(_LOST, ~self._seen)
        if self._surplus:
            yield f"{self._surplus} {_SURPLUS}"

    def _list(self, text: str, which: NDArray[np.bool_]) -> str:
        count = f"{int(which.sum())} of {len(which)}, counted from 0"
        return f"{text}: {in_ranges(np.flatnonzero(which))} ({count})"

    @property
    def advice(self) -> str:
        """What may be done where no frame was given."""
        patched = any(reason in self._unsound for reason in (_DAMAGED, _DEPENDENT))
        return "the source's parameter 'repaired' takes patched frames, too" if patched else ""

    @property
    def nothing(self) -> str:
        """Why no frame was given."""
        if self._seen.any():
            return f"none of its frames is sound: {'; '.join(self.findings())}"
        return "no frame can be decoded"


def _scanned(video: OpenVideo) -> tuple[Stamps, VideoFrame | None]:
    """Read all time stamps, and decode as far as the first frame."""
    codec = video.stream.codec_context
    stamps = Stamps(FrameNumbers(codec.extradata) if codec.name == "h264" else None)
    first: VideoFrame | None = None
    for packet in video.packets():
        stamps.add(packet)
        if first is None:
            first = next(iter(video.decode(packet)), None)
    return stamps, first


def _rows_of(fields: str) -> slice:
    """The rows of a frame that are taken."""
    return {"top": slice(0, None, 2), "bottom": slice(1, None, 2)}.get(fields, slice(None))


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
