"""One video stream of one file, as FFmpeg opens it: packets and decoded frames, whatever state the file is in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import av
from av import Packet, VideoFrame
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from vmforensics.errors import EvidenceMissing, EvidenceUnreadable, NoVideo
from vmforensics_media.decoder_log import DAMAGE, DecoderLog

_FOREIGN = {"hls", "concat", "dash", "sdp", "imf", "rtsp", "tty", "bin", "xbin", "adf", "idf", "vapoursynth"}
"""FFmpeg formats that are no recordings: lists that point to other files, and text drawn as pictures."""

_SILENT = {"magicyuv", "mpeg4", "prores"}
"""Decoders that don't always complain of damage which parallel decoding of frames conceals at random."""

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

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """All packets, and an empty one that flushes the decoder; a damaged file ends early, with a complaint."""
        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets, None)
            except (OSError, *DAMAGE) as error:
                self.log.note(f"reading stopped early: {_reason(error)}")
                return
            if packet is None:
                return
            yield packet

    def decode(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        """The frames that the decoder gives out for one more packet; none, with a complaint, for a damaged one."""
        try:
            return packet.decode()
        except EOFError:
            return []
        except DAMAGE as error:
            self.log.note(f"a frame can't be decoded: {_reason(error)}", source=self.stream.codec_context.name)
            return []

    def frames(self) -> Iterator[VideoFrame]:
        """All frames that can be decoded, in presentation order."""
        for packet in self.packets():
            yield from self.decode(packet)


@contextmanager
def opened(path: Path, log: DecoderLog) -> Iterator[OpenVideo]:
    """Open a file's best video stream for reading, and close it whatever happens.

    Raises
    ------
    EvidenceMissing
        The file isn't there, or may not be read.
    EvidenceUnreadable
        FFmpeg can't open it, has no decoder for it, or it is no recording.
    NoVideo
        It holds no moving picture.
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
            stream = _video_stream(container, path)
            yield OpenVideo(container, stream, log)
        finally:
            if stream is not None:
                stream.codec_context.flush_buffers()  # its threads must rest before the log is closed to them
            container.close()


def frames_of(path: Path, log: DecoderLog) -> Iterator[VideoFrame]:
    """Decode a file from its first frame on, to the same frames every time.

    Frames are decoded in parallel as long as the decoder is content. Parallel threads conceal damage differently
    from run to run, so that at the first complaint the file is decoded anew by one thread, which doesn't; what was
    given out before it was sound, and is skipped.
    """
    given = 0
    attempt = DecoderLog()
    with opened(path, attempt) as video:
        codec = video.stream.codec_context.name
        before = attempt.heard_from(codec)  # while the file was probed
        video.stream.thread_type = "SLICE" if codec in _SILENT else "AUTO"
        for packet in video.packets():
            frames = video.decode(packet)
            if attempt.heard_from(codec) > before:
                break
            for frame in frames:
                given += 1
                yield frame
        else:
            log.absorb(attempt)
            return
    with opened(path, log) as video:
        video.stream.codec_context.thread_count = 1
        yield from islice(video.frames(), given, None)


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The stream to take: the best moving picture; cover art in a sound file is none."""
    name = container.format.name
    still = name.startswith("image2") or name.endswith("_pipe")
    if still or name in _FOREIGN:
        raise EvidenceUnreadable(
            f"{path}: it is {'a still picture' if still else 'no recording'} (FFmpeg reads it as {name})",
            hint="hand in the recording itself, or a folder of pictures for the source image-sequence",
        )
    moving = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not moving:
        held = ", ".join(sorted({s.type for s in container.streams})) or "no stream at all"
        raise NoVideo(f"{path}: it holds no moving picture, but {held}", hint="hand in a video file")
    best = container.streams.best("video")
    stream = next((s for s in moving if best is not None and s.index == best.index), moving[0])
    if getattr(stream, "codec_context", None) is None:
        raise EvidenceUnreadable(f"{path}: FFmpeg has no decoder for its video stream")
    return stream


def _reason(error: BaseException) -> str:
    """What an exception says, without the path that FFmpeg appends."""
    return getattr(error, "strerror", None) or str(error)
