"""One picture of the clip, for people to see what was measured where."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from vmforensics.data import Luma

PICTURE_NAME = "frame.png"
_LARGEST = 960  # px; a larger picture is made smaller, by whole factors


def draw_picture(luma: Luma, full_scale: int) -> bytes:
    """A stored picture as an 8-bit grey PNG: black is code 0, white the largest code; nothing is stretched or turned.

    Parameters
    ----------
    luma : ndarray [shape=(rows, cols), uint8 or uint16, digital numbers]
    full_scale : int, digital numbers
        Largest code of the pixel format.

    Returns
    -------
    bytes
        The same for the same picture. One of more than 960 px is made smaller by a whole factor, each pixel the mean
        of those it stands for.
    """
    from PIL import Image

    factor = -(-max(luma.shape) // _LARGEST)
    whole = np.pad(luma, [(0, -size % factor) for size in luma.shape], mode="edge").astype(np.float64)
    blocks = whole.reshape(whole.shape[0] // factor, factor, whole.shape[1] // factor, factor)
    grey = np.rint(blocks.mean(axis=(1, 3)) * (255 / full_scale)).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.frombytes("L", (grey.shape[1], grey.shape[0]), grey.tobytes()).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def describe_picture(frame: int, time_s: float, height: int, width: int) -> dict[str, Any]:
    """The picture as result.json states it: which frame of the clip, when, and the size of the stored picture."""
    return {"file": PICTURE_NAME, "frame": frame, "time_s": time_s, "width": width, "height": height}
