"""One video stream of one file, as FFmpeg opens it: packets and decoded frames, whatever state the file is in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av import Packet, VideoFrame
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from vmforensics.errors import EvidenceMissing, EvidenceUnreadable, NoVideo
from vmforensics_media.blocks import MOST_PIXELS
from vmforensics_media.decoder_log import DAMAGE, DecoderLog

_FOREIGN = {"hls", "concat", "dash", "sdp", "imf", "rtsp", "tty", "bin", "xbin", "adf", "idf", "vapoursynth"}
"""FFmpeg formats that are no recordings: lists that point to other files, and text drawn as pictures."""

_NO_TIMESTAMPS = 0x80  # FFmpeg's AVFMT_NOTIMESTAMPS


class OpenVideo:
    """A container held open, and the video stream taken from it.

    Attributes
    ----------
    container, stream
        PyAV's.
    log : DecoderLog
        Hears FFmpeg for as long as the file is open.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, log: DecoderLog) -> None:
        self.container = container
        self.stream = stream
        self.log = log

    @property
    def has_time_stamps(self) -> bool:
        """Whether the format stores any; for a bare stream FFmpeg makes them up."""
        return not self.container.format.flags & _NO_TIMESTAMPS

    @property
    def predicts(self) -> bool:
        """Whether the codec makes a frame from earlier ones, so that damage lives on in those that follow."""
        return not self.stream.codec_context.codec.intra_only

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """All packets, and an empty one that flushes the decoder; a damaged file ends early, with a complaint.

        A packet's `opaque` is its ordinal among those that hold a frame to be shown, and None for others; the frame
        that is decoded from it carries the same.
        """
        packets = self.container.demux(self.stream)
        ordinal = 0
        while True:
            try:
                packet = next(packets, None)
            except (OSError, *DAMAGE) as error:
                self.log.fail(f"reading stopped early: {_reason(error)}")
                return
            if packet is None:
                return
            if packet.size and not packet.is_discard:
                packet.opaque = ordinal
                ordinal += 1
            yield packet

    def decode(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        """The frames that the decoder gives out for one more packet; none, with a complaint, for a damaged one."""
        try:
            return packet.decode()
        except EOFError:
            return []
        except DAMAGE as error:
            self.log.fail(f"a frame can't be decoded: {_reason(error)}", source=self.stream.codec_context.name)
            return []


@contextmanager
def opened(path: Path, log: DecoderLog, *, number: int | None = None, coding: bool = False) -> Iterator[OpenVideo]:
    """Open one video stream of a file for reading, and close it whatever happens.

    Parameters
    ----------
    path
        The file.
    log
        Hears FFmpeg for as long as the file is open.
    number
        The stream, as FFmpeg counts a file's streams; None takes the one that FFmpeg thinks best.
    coding
        Whether frames are to carry what `coding_of` reads.

    Raises
    ------
    EvidenceMissing
        The file isn't there, or may not be read.
    EvidenceUnreadable
        FFmpeg can't open it, has no decoder for it, it is no recording, or its pictures are too large.
    NoVideo
        It holds no moving picture, or none of that number.
    """
    with log.listening():
        try:
            container = av.open(
                f"file:{path}",  # a path is a path, whatever protocol it looks like
                mode="r",
                options={"protocol_whitelist": "file"},
                metadata_errors="backslashreplace",
            )
        except (FileNotFoundError, PermissionError) as error:
            raise EvidenceMissing(f"{path}: can't be read: {error.strerror}") from error
        except DAMAGE as error:
            raise EvidenceUnreadable(
                f"{path}: FFmpeg can't open it as video: {_reason(error)}", hint=log.hint()
            ) from error
        stream: VideoStream | None = None
        try:
            stream = _video_stream(container, path, number)
            told = {"export_side_data": "venc_params"} if coding else {}
            stream.codec_context.options = {"max_pixels": str(MOST_PIXELS), **told}
            stream.codec_context.copy_opaque = True
            yield OpenVideo(container, stream, log)
        finally:
            if stream is not None:
                stream.codec_context.flush_buffers()  # its threads must rest before the log is closed to them
            container.close()


def moving_pictures(container: InputContainer) -> list[VideoStream]:
    """A file's video streams; cover art in a sound file is none."""
    return [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]


def _video_stream(container: InputContainer, path: Path, number: int | None) -> VideoStream:
    """The stream to take, checked."""
    name = container.format.name
    still = name.startswith("image2") or name.endswith("_pipe")
    if still or name in _FOREIGN:
        raise EvidenceUnreadable(
            f"{path}: it is {'a still picture' if still else 'no recording'} (FFmpeg reads it as {name})",
            hint="hand in the recording itself, or a folder of pictures for the source image-sequence",
        )
    moving = moving_pictures(container)
    if not moving:
        held = ", ".join(sorted({s.type for s in container.streams})) or "no stream at all"
        raise NoVideo(f"{path}: it holds no moving picture, but {held}", hint="hand in a video file")
    if number is None:
        best = container.streams.best("video")
        number = best.index if best is not None else None
    elif number not in (numbers := [s.index for s in moving]):
        held = " and ".join(map(str, numbers))
        raise NoVideo(
            f"{path}: its stream {number} is no moving picture; {held} {'are' if len(numbers) > 1 else 'is'}",
            hint="streams are counted from 0, over pictures and sound alike; `vmforensics info` lists them",
        )
    stream = next((s for s in moving if s.index == number), moving[0])
    if getattr(stream, "codec_context", None) is None:
        raise EvidenceUnreadable(f"{path}: FFmpeg has no decoder for its video stream")
    if stream.width * stream.height > MOST_PIXELS:
        raise EvidenceUnreadable(
            f"{path}: its pictures claim {stream.width}x{stream.height} px; {MOST_PIXELS} pixels at most are read",
            hint="is the file damaged?",
        )
    return stream


def _reason(error: BaseException) -> str:
    """What an exception says, without the path that FFmpeg appends."""
    return getattr(error, "strerror", None) or str(error)
