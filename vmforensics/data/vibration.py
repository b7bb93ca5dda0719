"""What one part of the picture has to do with the recovered signal."""

from __future__ import annotations

from dataclasses import dataclass

from vmforensics.data.frames import Region


@dataclass(frozen=True, slots=True)
class Vibration:
    """How one tile of the picture shares the motion that was found.

    Parameters
    ----------
    place : Region
        Rectangle of the stored picture.
    carries : bool
        Whether it shares the motion beyond what noise would feign; what follows means nothing otherwise.
    snr : float, dB
        Power of the shared motion over that of the tile's noise, in one frame; at least -60.
    level : float, px
        RMS of the shared motion.
    frequency : float, Hz
        Where most of it is.
    direction : float, degrees
        Line that it moves along in the stored picture: 0 is right and left, 90 up and down, from 0 to 180 clockwise.
    delay : float, s
        By how much the tile is later than the signal of the tiles that it was compared with.
    """

    place: Region
    carries: bool
    snr: float
    level: float
    frequency: float
    direction: float
    delay: float
