"""Frames from files, results into files: the only plugin that talks to PyAV."""

from __future__ import annotations

from typing import Any

from vmforensics.hookspecs import hookimpl
from vmforensics.stages import Exporter, FrameSource


@hookimpl
def vmforensics_frame_sources() -> list[type[FrameSource]]:
    """Video files, folders of pictures, TIFF files of many pages, Photron's recordings."""
    from vmforensics_media.images import ImageSequence
    from vmforensics_media.photron import Photron
    from vmforensics_media.tiff_stack import TiffStack
    from vmforensics_media.video import Video

    return [Video, ImageSequence, TiffStack, Photron]


@hookimpl
def vmforensics_exporters() -> list[type[Exporter]]:
    """Sound, picture and numbers."""
    from vmforensics_media.arrays import Arrays
    from vmforensics_media.spectrogram import Spectrogram
    from vmforensics_media.vibration_map import VibrationMap
    from vmforensics_media.wav import Wav

    return [Wav, Spectrogram, Arrays, VibrationMap]


@hookimpl
def vmforensics_libraries() -> dict[str, Any]:
    """The build of FFmpeg that PyAV brings."""
    from vmforensics_media.ffmpeg import ffmpeg_build

    return {"ffmpeg": ffmpeg_build()}
