"""What travels between the stages, in journey order: evidence, frames, motion, signal, result."""

from vmforensics.data.clock import Clock, TimingVerdict
from vmforensics.data.codec import FrameCoding, TableCoding
from vmforensics.data.evidence import Evidence
from vmforensics.data.frames import FrameBlock, FrameStream, Luma, Region, SensorFrames
from vmforensics.data.motion import Channel, Motion
from vmforensics.data.quantity import BRIGHTNESS, DISPLACEMENT, Quantity
from vmforensics.data.result import Detection, Recovery, Verdict
from vmforensics.data.row_time import RowTime, RowTimeFit
from vmforensics.data.shutter import ReadoutDirection, Shutter
from vmforensics.data.signal import Signal
from vmforensics.data.vibration import Vibration

__all__ = [
    "BRIGHTNESS",
    "DISPLACEMENT",
    "Channel",
    "Clock",
    "Detection",
    "Evidence",
    "FrameBlock",
    "FrameCoding",
    "FrameStream",
    "Luma",
    "Motion",
    "Quantity",
    "ReadoutDirection",
    "Recovery",
    "Region",
    "RowTime",
    "RowTimeFit",
    "SensorFrames",
    "Shutter",
    "Signal",
    "TableCoding",
    "TimingVerdict",
    "Verdict",
    "Vibration",
]
