"""What a video file says of itself, as JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import av
from av import VideoFrame
from av.video.stream import VideoStream

from vmforensics_media.container import OpenVideo, moving_pictures

_RANGES = {1: "limited", 2: "full"}
_MATRICES = {0: "rgb", 1: "bt709", 2: "unspecified", 5: "bt470bg", 6: "smpte170m", 9: "bt2020"}  # ISO/IEC 23091-2
_LONGEST_TEXT = 500
_MOST_TAGS = 100


def facts_of(video: OpenVideo, frame: VideoFrame) -> dict[str, object]:
    """Collect a file's facts.

    Parameters
    ----------
    video
        The open file.
    frame
        Its first decoded frame: headers and frames may differ, and the frames are what is analysed.
    """
    container, stream = video.container, video.stream
    codec = stream.codec_context
    duration = stream.duration * stream.time_base if stream.duration and stream.time_base else None
    if duration is None and container.duration:
        duration = Fraction(container.duration, av.time_base)
    encoder = container.metadata.get("encoder") or stream.metadata.get("encoder")
    return {
        "container": container.format.long_name,
        "container_format": container.format.name,
        "codec": codec.name,
        "codec_tag": codec.codec_tag.strip("\x00"),
        "profile": codec.profile,
        "inter_coded": codec.codec.lossy and not codec.codec.intra_only,
        "pixel_format": frame.format.name,
        "width": frame.width,
        "height": frame.height,
        "sample_aspect_ratio": _ratio(stream.sample_aspect_ratio),
        "color_range": _RANGES.get(frame.color_range, "unspecified"),
        "color_space": _MATRICES.get(frame.colorspace, f"code {frame.colorspace}"),
        "rotation_degrees": frame.rotation,
        "interlaced": frame.interlaced_frame,
        "bit_rate": codec.bit_rate or container.bit_rate or None,
        "duration_s": None if duration is None else float(duration),
        "time_stamps": video.has_time_stamps,
        "time_base": _ratio(stream.time_base),
        "average_rate": _ratio(stream.average_rate),
        "guessed_rate": _ratio(stream.guessed_rate),
        "video_streams": len(container.streams.video),
        "moving_pictures": [_described(s) for s in moving_pictures(container)],
        "audio_streams": len(container.streams.audio),
        "stream_taken": stream.index,
        "encoder": _text(encoder) if encoder else None,
        "metadata": _tags(container.metadata),
        "stream_metadata": _tags(stream.metadata),
        "decoder": {
            "pyav": av.__version__,
            **{name: ".".join(map(str, av.library_versions[name])) for name in ("libavcodec", "libavformat")},
        },
    }


def _described(stream: VideoStream) -> str:
    """One of several video streams, so that somebody can choose."""
    codec = getattr(stream, "codec_context", None)
    if codec is None:
        return f"stream {stream.index}: FFmpeg has no decoder for it"
    frames = f", {stream.frames} frames" if stream.frames else ""
    return f"stream {stream.index}: {codec.name} {stream.width}x{stream.height}{frames}"


def declared_rate(video: OpenVideo, *, cut: bool) -> float | None:
    """The frame rate that a file claims, in Hz; None where it claims none.

    FFmpeg invents 25 fps for a bare stream, whose own header may know better; and its average counts the frames
    that an edit list has cut.

    Parameters
    ----------
    video
        The open file.
    cut
        Whether an edit list leaves frames out.
    """
    stream = video.stream
    average, guessed = stream.average_rate, stream.guessed_rate
    candidates = (guessed, average) if cut else (average, guessed)
    if not video.has_time_stamps:
        candidates = (stream.codec_context.framerate, None)
    return next((float(rate) for rate in candidates if rate), None)


def bits_within(video: OpenVideo, bits: int) -> int | None:
    """Bits of the sensor's codes in raw video of more bits (Phantom's 10, 12 or 14 in 16); None where they are as many.

    FFmpeg repeats a code's upper bits below its lower ones, so that the codes span what the pixel format can hold.

    Parameters
    ----------
    video
        The open file.
    bits
        Bits of the pixel format.
    """
    codec = video.stream.codec_context
    coded = codec.bits_per_coded_sample if codec.name == "rawvideo" and "cine" in video.container.format.name else 0
    return coded if 8 < coded < bits else None


def _ratio(value: Fraction | None) -> str | None:
    return f"{value.numerator}/{value.denominator}" if value else None


def _text(value: str) -> str:
    return value if len(value) <= _LONGEST_TEXT else f"{value[:_LONGEST_TEXT]}… ({len(value)} characters)"


def _tags(metadata: Mapping[str, str]) -> dict[str, str]:
    return {_text(key): _text(metadata[key]) for key in sorted(metadata)[:_MOST_TAGS]}
