"""What is known of a frame's coding: its quantisers.

Those of H.264, one a macroblock, are read from the side data that FFmpeg calls video encoding parameters
(libavutil/video_enc_params.h), which it makes when asked to; those of JPEG stand in each picture's header.
"""

from __future__ import annotations

import numpy as np
from av import VideoFrame
from av.sidedata.sidedata import SideDataContainer, Type
from av.video.frame import PictureType
from numpy.typing import NDArray

from vmforensics.data import FrameCoding, TableCoding
from vmforensics.data.codec import MACROBLOCK

_H264 = 1  # AV_VIDEO_ENC_PARAMS_H264
_HEADER = np.dtype(
    [("blocks", "<u4"), ("", "V4"), ("offset", "<u8"), ("size", "<u8"), ("kind", "<i4"), ("quantiser", "<i4")]
)
_BLOCK = np.dtype([("x", "<i4"), ("y", "<i4"), ("width", "<i4"), ("height", "<i4"), ("quantiser", "<i4")])
_STEP_OF_0 = 0.625  # of quantiser 0; doubled by every 6 (Wiegand et al. 2003, doi:10.1109/TCSVT.2003.815165)


_LUMA_FORMATS = ("yuvj", "yuv4", "gray")  # whose first plane is the luma that was coded


def coding_of(frame: VideoFrame, order: int, table: NDArray[np.float32] | None) -> FrameCoding | TableCoding | None:
    """How a frame was coded; None where FFmpeg doesn't tell, or another codec's quantisers aren't understood.

    Parameters
    ----------
    frame
        As decoded.
    order
        Its place in the order of coding.
    table : ndarray [shape=(8, 8), float32, DN] or None
        What `luma_table` reads in the frame's packet, of a JPEG picture.
    """
    if frame.interlaced_frame:
        return None
    if table is not None:
        return TableCoding(table) if frame.format.name.startswith(_LUMA_FORMATS) else None
    # The frame's own container of side data refers to it, and it to the container: both would stay until the next
    # collection of garbage, a gigabyte of full HD.
    data = SideDataContainer(frame).get(Type.VIDEO_ENC_PARAMS)  # type: ignore[call-arg]
    if data is None:
        return None
    content = bytes(data)
    header = np.frombuffer(content, _HEADER, count=1)[0]
    rows, cols = -(-frame.height // MACROBLOCK), -(-frame.width // MACROBLOCK)
    if header["kind"] != _H264 or header["blocks"] != rows * cols or header["size"] != _BLOCK.itemsize:
        return None
    blocks = np.frombuffer(content, _BLOCK, count=rows * cols, offset=int(header["offset"]))
    if np.any(blocks["width"] != MACROBLOCK) or np.any(blocks["height"] != MACROBLOCK):
        return None
    quantiser = np.zeros((rows, cols))
    quantiser[blocks["y"] // MACROBLOCK, blocks["x"] // MACROBLOCK] = header["quantiser"] + blocks["quantiser"]
    predicted = frame.pict_type not in (PictureType.I, PictureType.SI)
    return FrameCoding(order, predicted, (_STEP_OF_0 * 2 ** (quantiser / 6)).astype(np.float32))
