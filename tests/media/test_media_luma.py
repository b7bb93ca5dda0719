"""The luma plane comes out code by code, whatever the pixel format and the way it lies in memory."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from vmforensics_media.luma import LumaReader

HEIGHT, WIDTH = 5, 6


def filled(pixel_format: str, item: str, place: int, step: int, codes: NDArray[Any]) -> av.VideoFrame:
    """A frame whose first plane holds `codes` at every `step`-th item from `place` on, and ones elsewhere."""
    frame = av.VideoFrame(WIDTH, HEIGHT, pixel_format)
    plane = frame.planes[0]
    rows = np.full((HEIGHT, plane.line_size // np.dtype(item).itemsize), 1, dtype=item)
    rows[:, place : place + step * WIDTH : step] = codes
    plane.update(rows.tobytes())
    return frame


@pytest.mark.parametrize(
    ("pixel_format", "item", "place", "step", "shift", "bits"),
    [
        ("gray", "u1", 0, 1, 0, 8),
        ("yuv420p", "u1", 0, 1, 0, 8),
        ("yuvj422p", "u1", 0, 1, 0, 8),
        ("nv12", "u1", 0, 1, 0, 8),
        ("yuyv422", "u1", 0, 2, 0, 8),
        ("uyvy422", "u1", 1, 2, 0, 8),
        ("ya8", "u1", 0, 2, 0, 8),
        ("gray10le", "<u2", 0, 1, 0, 10),
        ("gray12be", ">u2", 0, 1, 0, 12),
        ("gray16le", "<u2", 0, 1, 0, 16),
        ("gray16be", ">u2", 0, 1, 0, 16),
        ("yuv420p10le", "<u2", 0, 1, 0, 10),
        ("yuv444p12be", ">u2", 0, 1, 0, 12),
        ("p010le", "<u2", 0, 1, 6, 10),
        ("p016le", "<u2", 0, 1, 0, 16),
        ("y210le", "<u2", 0, 2, 6, 10),
        ("ya16be", ">u2", 0, 2, 0, 16),
        ("yuv444p10msble", "<u2", 0, 1, 6, 10),
        ("ayuv", "u1", 1, 4, 0, 8),
        ("vuya", "u1", 2, 4, 0, 8),
        ("xv36le", "<u2", 1, 4, 4, 12),
        ("xv48be", ">u2", 1, 4, 0, 16),
        ("xv30le", "<u4", 0, 1, 10, 10),
        ("v30xle", "<u4", 0, 1, 12, 10),
    ],
)
def test_luma_plane_is_taken_as_it_is(
    pixel_format: str, item: str, place: int, step: int, shift: int, bits: int
) -> None:
    codes = np.random.default_rng(0).integers(0, 2**bits, (HEIGHT, WIDTH))
    frame = filled(pixel_format, item, place, step, codes << shift)
    reader = LumaReader(frame.format)
    luma = np.empty((HEIGHT, WIDTH), reader.dtype)
    reader.read(frame, luma)
    np.testing.assert_array_equal(luma, codes)
    assert reader.full_scale == 2**bits - 1
    assert luma.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert luma.dtype.isnative


@pytest.mark.parametrize(
    ("packed", "planar"),
    [
        ("ayuv", "yuv444p"),
        ("uyva", "yuv444p"),
        ("vuyx", "yuv444p"),
        ("vyu444", "yuv444p"),
        ("xv30le", "yuv444p10le"),
        ("v30xle", "yuv444p10le"),
        ("xv36be", "yuv444p12le"),
        ("xv48le", "yuv444p16le"),
    ],
)
def test_packed_and_planar_luma_are_the_same(packed: str, planar: str) -> None:
    frame = av.VideoFrame(WIDTH, HEIGHT, planar)
    reader = LumaReader(frame.format)
    for plane in frame.planes:
        codes = np.random.default_rng(1).integers(0, reader.full_scale + 1, plane.buffer_size // reader.dtype.itemsize)
        plane.update(codes.astype(reader.dtype).tobytes())
    luma = np.empty((2, HEIGHT, WIDTH), reader.dtype)
    reader.read(frame, luma[0])
    other = frame.reformat(format=packed)
    LumaReader(other.format).read(other, luma[1])
    np.testing.assert_array_equal(luma[1], luma[0])


@pytest.mark.parametrize("pixel_format", ["rgb24", "bgr24", "rgba", "argb", "gbrp", "rgb48le", "rgb48be", "gbrp16le"])
def test_rgb_is_weighted_as_stated(pixel_format: str) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    deep = "48" in pixel_format or "16" in pixel_format
    source = (rgb.astype(np.uint16) * 257) if deep else rgb
    frame = av.VideoFrame.from_ndarray(source, format="rgb48le" if deep else "rgb24").reformat(format=pixel_format)
    reader = LumaReader(frame.format)
    luma = np.empty((HEIGHT, WIDTH), reader.dtype)
    reader.read(frame, luma)
    expected = source @ np.array([0.299, 0.587, 0.114])
    assert np.abs(luma - expected).max() <= 0.501 + (reader.full_scale > 255)
    assert "0.299 R + 0.587 G + 0.114 B" in reader.description


def test_white_and_black_stay_full_scale() -> None:
    for value in (0, 65535):
        frame = av.VideoFrame.from_ndarray(np.full((2, 2, 3), value, np.uint16), format="rgb48le")
        luma = np.empty((2, 2), np.uint16)
        LumaReader(frame.format).read(frame, luma)
        assert luma.tolist() == [[value, value], [value, value]]


def test_bayer_mosaic_of_one_value_is_that_value() -> None:
    frame = av.VideoFrame.from_ndarray(np.full((8, 8), 150, np.uint8), format="bayer_rggb8")
    luma = np.empty((8, 8), np.uint8)
    LumaReader(frame.format).read(frame, luma)
    assert np.all(luma == 150)


@pytest.mark.parametrize("pixel_format", ["grayf32le", "grayf16le", "monow", "xyz12le"])
def test_unknown_formats_are_refused(pixel_format: str) -> None:
    with pytest.raises(ValueError, match=f"{pixel_format} isn't supported"):
        LumaReader(av.VideoFormat(pixel_format, 8, 8))
