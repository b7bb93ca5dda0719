"""Small sound clips, one of each kind that cameras, recorders and laboratories hand over, to be damaged."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import imageio.v3
import numpy as np
import tifffile
from numpy.typing import NDArray

FRAMES = 36
HEIGHT, WIDTH = 48, 64
RATE = 500

_H264 = {"g": "12", "bf": "2", "threads": "1"}
_X265 = {"x265-params": "log-level=none:pools=none:frame-threads=1:keyint=12"}
_SVT = {"svtav1-params": "lp=1", "preset": "12", "g": "12"}


def pictures() -> NDArray[np.uint8]:
    """A texture that sways by a third of a pixel, with sensor noise [shape=(frames, rows, cols), uint8]."""
    rng = np.random.default_rng(11)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    waves = [(rng.uniform(0.1, 0.8), rng.uniform(-0.8, 0.8), rng.uniform(0, 7)) for _ in range(12)]
    frames = []
    for n in range(FRAMES):
        shift = 0.3 * np.sin(2 * np.pi * 60 * n / RATE)
        scene = sum(np.cos(a * (x - shift) + b * y + phase) for a, b, phase in waves)
        frames.append(np.clip(120 + 14 * scene + rng.normal(0, 1, scene.shape), 17, 234))
    return np.rint(frames).astype(np.uint8)


def _video(folder: Path, name: str, codec: str, pixel_format: str = "yuv420p", **settings: Mapping[str, str]) -> Path:
    path = folder / name
    with av.open(str(path), "w", options=dict(settings.get("container", {}))) as container:
        stream = container.add_stream(codec, rate=25, options=dict(settings.get("options", {})))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
        for n, picture in enumerate(pictures()):
            frame = av.VideoFrame.from_ndarray(picture, format="gray").reformat(format=pixel_format)
            frame.pts, frame.time_base = n, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _packets(path: Path) -> Iterator[tuple[bytes, bool]]:
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            if packet.size:
                yield bytes(packet), packet.is_keyframe


def _dav(folder: Path) -> Path:
    """A Dahua recording: every packet between "DHAV" and "dhav", as FFmpeg's demuxer reads it."""
    bare = _video(folder, "in-dav.h264", "libx264", options={"g": "12", "bf": "0", "threads": "1"})
    extension = bytes([0x80, 0, WIDTH // 8, HEIGHT // 8, 0x81, 0, 2, 25])
    path = folder / "clip.dav"
    with path.open("wb") as file:
        for n, (data, key) in enumerate(_packets(bare)):
            length = 24 + len(extension) + len(data) + 8
            kind, date = 0xFD if key else 0xFC, (26 << 26) | (1 << 22) | (1 << 17) | (n // 25)
            header = struct.pack("<4s4B3IH2B", b"DHAV", kind, 0, 0, 0, n, length, date, 40 * n % 65536, 8, 0)
            file.write(header + extension + data + struct.pack("<4sI", b"dhav", length))
    bare.unlink()
    return path


def _folder(folder: Path, suffix: str) -> Path:
    path = folder / f"pictures-{suffix}"
    path.mkdir()
    for n, picture in enumerate(pictures()):
        imageio.v3.imwrite(path / f"frame-{n:03d}.{suffix}", picture, plugin="pillow")
    return path


def _tiff(folder: Path) -> Path:
    path = folder / "clip.tif"
    tifffile.imwrite(path, pictures(), photometric="minisblack")
    return path


def _photron(folder: Path) -> Path:
    said = {
        "Record Rate(fps)": RATE,
        "Total Frame": FRAMES,
        "Image Width": WIDTH,
        "Image Height": HEIGHT,
        "Color Type": "Mono",
        "Color Bit": 8,
        "File Format": "MRaw",
    }
    path = folder / "clip.mraw"
    path.write_bytes(pictures().tobytes())
    header = "".join(f"{name} : {value}\n" for name, value in said.items())
    path.with_suffix(".cih").write_text("#Camera Information Header\n" + header)
    return path


def _film(
    name: str, codec: str, pixel_format: str = "yuv420p", **settings: Mapping[str, str]
) -> Callable[[Path], Path]:
    return lambda folder: _video(folder, name, codec, pixel_format, **settings)


_FRAGMENTS = {"movflags": "frag_keyframe+empty_moov"}

SPECIMENS: Mapping[str, Callable[[Path], Path]] = {
    "h264.mp4": _film("h264.mp4", "libx264", options=_H264),
    "h264-faststart.mp4": _film("faststart.mp4", "libx264", options=_H264, container={"movflags": "faststart"}),
    "h264-fragments.mp4": _film("fragments.mp4", "libx264", options=_H264, container=_FRAGMENTS),
    "h264.mov": _film("h264.mov", "libx264", options=_H264),
    "h264.mkv": _film("h264.mkv", "libx264", options=_H264),
    "h264.avi": _film("h264.avi", "libx264", options=_H264),
    "h264.ts": _film("h264.ts", "libx264", options=_H264),
    "h264.flv": _film("h264.flv", "libx264", options=_H264),
    "h264.h264": _film("bare.h264", "libx264", options=_H264),
    "h264.dav": _dav,
    "h264-intra.mp4": _film("h264-intra.mp4", "libx264", options={"g": "1", "crf": "20", "threads": "1"}),
    "h264-10bit.mp4": _film("h264-10bit.mp4", "libx264", "yuv420p10le", options=_H264),
    "hevc.mp4": _film("hevc.mp4", "libx265", options=_X265),
    "hevc.ts": _film("hevc.ts", "libx265", options=_X265),
    "mjpeg.avi": _film("mjpeg.avi", "mjpeg", "yuvj420p"),
    "mjpeg.mov": _film("mjpeg.mov", "mjpeg", "yuvj420p"),
    "ffv1.mkv": _film("ffv1.mkv", "ffv1", "gray"),
    "ffv1-10bit.mkv": _film("ffv1-10bit.mkv", "ffv1", "gray10le"),
    "vp8.webm": _film("vp8.webm", "libvpx"),
    "vp9.webm": _film("vp9.webm", "libvpx-vp9", options={"cpu-used": "8", "g": "12"}),
    "av1.mp4": _film("av1.mp4", "libsvtav1", options=_SVT),
    "mpeg4.avi": _film("mpeg4.avi", "mpeg4", options={"g": "12", "bf": "2"}),
    "mpeg2.mpg": _film("mpeg2.mpg", "mpeg2video", options={"g": "12", "bf": "2"}),
    "wmv2.asf": _film("wmv2.asf", "wmv2", options={"g": "12"}),
    "prores.mov": _film("prores.mov", "prores_ks", "yuv422p10le"),
    "raw.avi": _film("raw.avi", "rawvideo", "gray"),
    "pictures.png": partial(_folder, suffix="png"),
    "pictures.jpg": partial(_folder, suffix="jpg"),
    "pages.tif": _tiff,
    "photron.mraw": _photron,
}
"""What writes each kind of clip into a folder."""
