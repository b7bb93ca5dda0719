"""The luma plane of a decoded frame, code by code as the decoder left it.

A conversion to "gray" would stretch limited-range video (16 to 235) to full range; here the plane itself is
taken. Only formats without a luma plane (RGB, palettes, Bayer mosaics) are converted, with stated weights.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from av import VideoFormat, VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from vmforensics.data import Luma

_PACKED = {"yuyv422": (0, 2), "yvyu422": (0, 2), "uyvy422": (1, 2), "y210": (0, 2), "y212": (0, 2), "y216": (0, 2)}
_PACKED |= {"ya8": (0, 2), "ya16": (0, 2), "ayuv64": (1, 4), "ayuv": (1, 4), "uyva": (1, 4), "vyu444": (1, 3)}
_PACKED |= {"vuya": (2, 4), "vuyx": (2, 4), "xv36": (1, 4), "xv48": (1, 4)}
"""Place of the first luma item, and step to the next, in formats that hold luma and colour side by side."""

_IN_WORDS = {"xv30": 10, "v30x": 12}
"""First bit of the luma in formats that hold a pixel in 32 bits."""

_HIGH_ALIGNED = re.compile(r"[py][024]1[026]|xv36|.*msb")  # the code fills the upper bits of its 16
_WEIGHTS = (19595, 38470, 7471)  # ITU-R BT.601: 0.299, 0.587, 0.114, in 1/65536


class LumaReader:
    """Copies the luma of frames of one pixel format into arrays.

    Parameters
    ----------
    pixel_format
        Format of the frames as decoded.

    Attributes
    ----------
    bits : int
        Bits of a luma code.
    dtype : dtype
        uint8 up to 8 bits, else uint16.
    description : str
        Where the luma comes from, in words.

    Raises
    ------
    ValueError
        The format is none of those understood.
    """

    def __init__(self, pixel_format: VideoFormat) -> None:
        name = pixel_format.name.removesuffix("le").removesuffix("be")
        components = pixel_format.components
        self.bits: int = max(c.bits for c in components)
        floating = re.search("f(16|32)$", name) is not None or self.bits > 16
        alone = components[0].plane == 0 and all(c.plane for c in components[1:])
        self._place, self._step = _PACKED.get(name, (0, 1))
        self._first_bit = None if pixel_format.is_big_endian else _IN_WORDS.get(name)
        self._planar_rgb = ""
        if pixel_format.is_bayer:
            self.bits = 16 if name.endswith("16") else 8
        if floating or pixel_format.is_bit_stream:
            raise ValueError(f"pixel format {pixel_format.name} isn't supported")
        if pixel_format.is_rgb or pixel_format.has_palette:
            self._planar_rgb = "gbrp" if self.bits <= 8 else f"gbrp{self.bits}le"
            self.description = f"0.299 R + 0.587 G + 0.114 B (BT.601), full range, of {pixel_format.name}"
        elif alone or name in _PACKED or self._first_bit is not None:
            self.description = f"luma as decoded, of {pixel_format.name}"
        else:
            raise ValueError(f"pixel format {pixel_format.name} isn't supported")
        self.dtype: np.dtype[Any] = np.dtype(np.uint8 if self.bits <= 8 else np.uint16)
        big = pixel_format.is_big_endian and not self._planar_rgb
        self._stored = self.dtype.newbyteorder(">" if big else "<")
        self._shift = 16 - self.bits if _HIGH_ALIGNED.fullmatch(name) and not self._planar_rgb else 0
        self._reformatter = VideoReformatter()

    @property
    def full_scale(self) -> int:
        """Largest code the format can hold."""
        return (1 << self.bits) - 1

    def read(self, frame: VideoFrame, into: Luma) -> None:
        """Copy a frame's luma.

        Parameters
        ----------
        frame
            A decoded frame of the reader's pixel format.
        into : ndarray [shape=(rows, cols), `dtype`, digital numbers]
            Where it goes; top picture row first, whichever way the frame lies in memory.
        """
        if self._planar_rgb:
            into[...] = self._from_rgb(self._reformatter.reformat(frame, format=self._planar_rgb))
            return
        if self._first_bit is not None:
            words = _rows(frame.planes[0], np.dtype("u4").newbyteorder(self._stored.byteorder))[:, : frame.width]
            into[...] = words >> self._first_bit & self.full_scale
            return
        plane = _rows(frame.planes[0], self._stored)[:, self._place :: self._step][:, : frame.width]
        if self._shift:
            np.right_shift(plane, self._shift, out=into, casting="unsafe")
        else:
            into[...] = plane

    def _from_rgb(self, planar: VideoFrame) -> NDArray[np.uint32]:
        """Weighted sum of the planes, which lie in the order green, blue, red [shape=(rows, cols), uint32]."""
        green, blue, red = (_rows(p, self._stored)[:, : planar.width].astype(np.uint32) for p in planar.planes[:3])
        weighted = _WEIGHTS[0] * red + _WEIGHTS[1] * green + _WEIGHTS[2] * blue
        return np.asarray((weighted + 32768) >> 16)


def _rows(plane: VideoPlane, item: np.dtype[Any]) -> NDArray[Any]:
    """A plane's items with its line padding, top row first: a negative line size means it is stored bottom-up."""
    line = plane.line_size
    rows = np.frombuffer(memoryview(plane), item).reshape(plane.height, abs(line) // item.itemsize)
    return np.asarray(rows[::-1] if line < 0 else rows)
