"""The time stamps of a stream's packets, and the place of each decoded frame among them."""

from __future__ import annotations

from array import array

import numpy as np
from av import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vmforensics_media.frame_numbers import FrameNumbers

_NONE = -(2**63)  # what FFmpeg writes for no stamp
_MOST_REORDERED = 16  # frames by which storing and showing order may differ, as codecs allow
_UNTOLD = 4  # the same where no stamp tells the order: what encoders of ordinary pyramids of B frames make


class Stamps:
    """What the container says of when the frames are shown, gathered packet by packet.

    Attributes
    ----------
    keyframes : int
        Frames that stand alone.
    cut : int
        Frames outside the edit list: stored because others refer to them, never shown.
    bereft : set of int
        Frames before which another is missing that the codec numbered, by their ordinal.

    Parameters
    ----------
    numbers
        Follows the codec's own numbers of frames; None for a codec without any.
    """

    def __init__(self, numbers: FrameNumbers | None = None) -> None:
        self._shown = array("q")
        self._place = array("q")
        self._numbers = numbers
        self.keyframes = 0
        self.cut = 0
        self.bereft: set[int] = set()

    def __len__(self) -> int:
        return len(self._shown)

    def add(self, packet: Packet[VideoStream]) -> None:
        """Take the next packet in the order of the file."""
        if packet.size == 0:
            return
        lost = self._numbers is not None and self._numbers.lost_before(bytes(packet))
        if packet.is_discard:
            self.cut += 1
            return
        if lost and not packet.is_keyframe:
            self.bereft.add(len(self))
        self.keyframes += packet.is_keyframe
        place = packet.pts if packet.pts is not None else packet.dts
        if place is None:
            place = self._place[-1] if self._place else 0
        self._shown.append(_NONE if packet.pts is None else packet.pts)
        self._place.append(place)

    def arranged(self, *, stated: bool = True) -> Arrangement:
        """The frames in the order in which they are shown.

        Parameters
        ----------
        stated
            Whether the container states time stamps; if not, those that FFmpeg makes up are dropped.
        """
        place = np.array(self._place, np.int64) if stated else np.zeros(len(self), np.int64)
        order = np.argsort(place, kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        ordered = bool(np.all(np.abs(rank - np.arange(len(order))) <= _MOST_REORDERED))
        if not ordered:
            order = rank = np.arange(len(order))
        ticks = np.array(self._shown, np.int64)[order]
        return Arrangement(rank, ticks, (ticks != _NONE) & stated, ordered=ordered)


class Arrangement:
    """Frames in the order in which they are shown.

    Parameters
    ----------
    rank : ndarray [shape=(frames,), int64]
        Position of each frame among those shown, by its ordinal in the file.
    ticks : ndarray [shape=(frames,), int64]
        Time stamps by position, in units of the stream's time base.
    stamped : ndarray [shape=(frames,), bool]
        Which of them are any.
    ordered
        Whether the stamps order the frames; if not, they run backwards by more than a codec reorders, and stay in the
        order of the file.

    Attributes
    ----------
    told : bool
        Whether the stamps tell each frame's place; if not, frames are counted as they come.
    """

    def __init__(
        self, rank: NDArray[np.int64], ticks: NDArray[np.int64], stamped: NDArray[np.bool_], *, ordered: bool
    ) -> None:
        self._rank = rank
        self._ticks = ticks
        self.stamped = stamped
        self.ordered = ordered
        self.told = ordered and bool(stamped.any())

    def seconds(self, tick: float) -> NDArray[np.float64]:
        """Time stamps by position [shape=(frames,), float64, s]; NaN where there is none."""
        return np.where(self.stamped, self._ticks * tick, np.nan)

    def positions(self, ordinals: list[int]) -> NDArray[np.int64]:
        """Positions of frames by their ordinals in the file, in increasing order."""
        return np.sort(self._rank[ordinals])

    def ordinals(self) -> NDArray[np.int64]:
        """Each frame's ordinal in the file, which is the order of coding [shape=(frames,), int64]."""
        return np.argsort(self._rank, kind="stable")

    def _earliest(self, ordinal: int) -> int:
        """First position that a frame's stamp allows; frames that share one come in the order of the decoder."""
        own = int(self._rank[ordinal])
        if not self.told:
            return own - _UNTOLD
        while own and self.stamped[own] and self.stamped[own - 1] and self._ticks[own] == self._ticks[own - 1]:
            own -= 1
        return own

    def position(self, ordinal: int | None, after: int) -> int | None:
        """Position of a decoded frame, at least `after`; None where there is no room left.

        Parameters
        ----------
        ordinal
            Its packet's, or None where the decoder can't tell.
        after
            The position that follows the frame used before. Frames come as they are shown, so that one whose stamp
            says otherwise, or nothing, follows its predecessor.
        """
        position = after
        if ordinal is not None and ordinal < len(self._rank):
            position = max(after, self._earliest(ordinal))
        return position if position < len(self._rank) else None
