"""The frames of a video file, each with what is known of its soundness; the same ones every time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import cast

import numpy as np
from av import Packet, VideoFrame
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vmforensics_media.container import OpenVideo, opened
from vmforensics_media.decoder_log import DAMAGE, DecoderLog
from vmforensics_media.jpeg import luma_table

_SILENT = {"magicyuv", "mpeg4", "prores"}
"""Decoders that don't always complain of damage which parallel decoding of frames conceals at random."""

_MOST_THREADS = 16  # as FFmpeg's own limit

_TELLING = {"h264"}
"""Decoders whose threads, one a frame, tell a frame's quantisers before they have read them all."""


class Soundness(StrEnum):
    """Whether a decoded frame shows what was recorded."""

    SOUND = "sound"
    DAMAGED = "damaged"  # the decoder complained of it, and patched it from other frames
    DEPENDENT = "dependent"  # predicted, in part perhaps, from a damaged one


@dataclass(frozen=True, slots=True)
class Decoded:
    """One decoded frame.

    Parameters
    ----------
    frame
        PyAV's.
    ordinal : int or None
        Its packet's place among those that hold a frame, in the order of the file; None where the decoder can't tell.
    soundness : Soundness
    table : ndarray [shape=(8, 8), float32, DN] or None
        The quantiser steps that a JPEG picture's header tells, if asked for.
    unsmoothed : VideoFrame or None
        The same frame before the edges of its blocks were smoothed, if asked for and the stream is sound.
    """

    frame: VideoFrame
    ordinal: int | None
    soundness: Soundness
    table: NDArray[np.float32] | None = None
    unsmoothed: VideoFrame | None = None


def decoded_frames(
    path: Path,
    log: DecoderLog,
    *,
    number: int | None = None,
    bereft: frozenset[int] = frozenset(),
    coding: bool = False,
    unsmoothed: bool = False,
) -> Iterator[Decoded]:
    """Decode a stream from its first frame on, in presentation order.

    Parameters
    ----------
    path
        The file.
    log
        Hears FFmpeg.
    number
        The stream; None takes the one that FFmpeg thinks best.
    bereft
        Ordinals of packets before which a frame is missing, though FFmpeg doesn't notice.
    coding
        Whether frames are to carry what `coding_of` reads.
    unsmoothed
        Whether to decode them a second time, without smoothing the edges of blocks; only of streams without frames that
        are predicted from others.

    Notes
    -----
    Frames are decoded in parallel as long as FFmpeg is content. Parallel threads conceal damage differently from run
    to run, so that at the first complaint the file is decoded anew by one thread, which doesn't, and after which each
    complaint belongs to one frame; what was given out before it was sound, and is skipped.
    """
    given = 0
    attempt = DecoderLog()
    with opened(path, attempt, number=number, coding=coding) as video:
        codec = video.stream.codec_context.name
        heard, errors = attempt.heard_from(codec), attempt.errors  # while the file was probed
        one_by_one = codec in _SILENT or (coding and codec in _TELLING)
        video.stream.thread_type = "SLICE" if one_by_one else "AUTO"
        if not one_by_one:  # more frames under way than FFmpeg would have: its reader has other things to do, too
            video.stream.codec_context.thread_count = min(2 * (os.cpu_count() or 1), _MOST_THREADS)
        tables = _Tables(wanted=coding and codec == "mjpeg")
        raw = _Unsmoothed(video) if unsmoothed else None
        for packet in video.packets():
            tables.look_at(packet)
            frames = video.decode(packet)
            if raw is not None:
                raw.look_at(packet)
            if attempt.heard_from(codec) > heard or attempt.errors > errors:
                break
            if packet.is_corrupt or packet.opaque in bereft:
                break
            if any(frame.is_corrupt for frame in frames):
                break
            for frame in frames:
                given += 1
                ordinal = _ordinal(frame)
                yield Decoded(
                    frame, ordinal, Soundness.SOUND, tables.of(ordinal), None if raw is None else raw.of(ordinal)
                )
        else:
            log.absorb(attempt)
            return
    with opened(path, log, number=number, coding=coding) as video:
        video.stream.codec_context.thread_count = 1
        tables = _Tables(wanted=coding and codec == "mjpeg")
        yield from islice(_carefully(video, bereft, tables), given, None)


def _carefully(video: OpenVideo, bereft: frozenset[int], tables: _Tables) -> Iterator[Decoded]:
    """All frames that can be decoded, by one thread, and which of them aren't sound."""
    damage = _Damage(predicts=video.predicts)
    errors = video.log.errors
    for packet in video.packets():
        tables.look_at(packet)
        frames = video.decode(packet)
        damage.look_at(packet, faulty=packet.is_corrupt or packet.opaque in bereft or video.log.errors > errors)
        errors = video.log.errors
        for frame in frames:
            ordinal = _ordinal(frame)
            soundness = Soundness.DAMAGED if frame.is_corrupt else damage.of(ordinal)
            yield Decoded(frame, ordinal, soundness, tables.of(ordinal))


class _Tables:
    """The quantiser tables of packets whose frames haven't been given out yet.

    Parameters
    ----------
    wanted
        Whether to look for any.
    """

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted
        self._found: dict[int, NDArray[np.float32]] = {}

    def look_at(self, packet: Packet[VideoStream]) -> None:
        """Take note of the next packet in the order of the file."""
        if self._wanted and isinstance(packet.opaque, int) and (table := luma_table(bytes(packet))) is not None:
            self._found[packet.opaque] = table

    def of(self, ordinal: int | None) -> NDArray[np.float32] | None:
        """The table of a packet's frame, once; None where none was told."""
        return None if ordinal is None else self._found.pop(ordinal, None)


class _Unsmoothed:
    """Frames decoded once more, without the filter that smooths the edges of blocks.

    Parameters
    ----------
    video
        What the packets come from.
    """

    def __init__(self, video: OpenVideo) -> None:
        codec = video.stream.codec_context
        self._decoder = cast(VideoCodecContext, VideoCodecContext.create(codec.name, "r"))
        self._decoder.extradata = codec.extradata
        self._decoder.options = {**codec.options, "skip_loop_filter": "all"}
        self._decoder.thread_type = "SLICE"
        self._decoder.copy_opaque = True
        self._found: dict[int, VideoFrame] = {}

    def look_at(self, packet: Packet[VideoStream]) -> None:
        """Decode the next packet in the order of the file, of which the other decoder has complained where it must."""
        try:
            frames = self._decoder.decode(packet if packet.size else None)
        except (EOFError, *DAMAGE):
            return
        self._found |= {ordinal: frame for frame in frames if (ordinal := _ordinal(frame)) is not None}

    def of(self, ordinal: int | None) -> VideoFrame | None:
        """The frame of a packet, once; None where it couldn't be decoded."""
        return None if ordinal is None else self._found.pop(ordinal, None)


class _Damage:
    """Which packets aren't sound: those complained of, and those after them up to the next key frame.

    A frame that is stored after a key frame but shown before it may refer to what came before both.
    """

    def __init__(self, *, predicts: bool) -> None:
        self._predicts = predicts
        self._found: dict[int, Soundness] = {}
        self._spoiled = False
        self._sound_from: int | None = None  # time stamp of the key frame that ended the last damage

    def look_at(self, packet: Packet[VideoStream], *, faulty: bool) -> None:
        """Take note of the next packet in the order of the file."""
        if packet.is_keyframe and self._spoiled:
            self._spoiled, self._sound_from = False, packet.pts
        ordinal = packet.opaque if isinstance(packet.opaque, int) else None
        if faulty:
            self._spoiled = self._spoiled or (self._predicts and not packet.is_disposable)
            if ordinal is not None:
                self._found[ordinal] = Soundness.DAMAGED
        elif ordinal is not None and (self._spoiled or self._leads(packet)):
            self._found[ordinal] = Soundness.DEPENDENT

    def _leads(self, packet: Packet[VideoStream]) -> bool:
        return self._sound_from is not None and packet.pts is not None and packet.pts < self._sound_from

    def of(self, ordinal: int | None) -> Soundness:
        """What is known of a packet's frame; one that can't be told from others is as good as its neighbours."""
        if ordinal is None:
            return Soundness.DEPENDENT if self._spoiled else Soundness.SOUND
        return self._found.get(ordinal, Soundness.SOUND)


def _ordinal(frame: VideoFrame) -> int | None:
    return frame.opaque if isinstance(frame.opaque, int) else None
