"""Frames that are missing from an H.264 stream without a word: the numbers of its reference frames have gaps.

A frame that was lost after it was coded (a network, a disk) leaves the ones after it predicted from a frame that isn't
there. FFmpeg puts the frame before it in its place, and doesn't complain.
"""

from __future__ import annotations

from collections.abc import Iterator

_SLICE, _IDR, _PARAMETERS = 1, 5, 7  # kinds of units: ITU-T H.264, table 7-1
_HEAD = 64  # bytes of a unit that are looked at; scaling lists may make a parameter set longer
_LARGEST_HEAD = 1024
_CHROMA_PROFILES = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}  # 7.3.2.1.1
_SEPARATE_PLANES = 3
_LONGEST = 16  # bits of a frame's number


class FrameNumbers:
    """Follows `frame_num` (ITU-T H.264, 7.4.3) through a stream's packets.

    Parameters
    ----------
    extradata
        The codec's data from the container, or None: it says how units are delimited, and holds a parameter set.
    """

    def __init__(self, extradata: bytes | None) -> None:
        data = extradata or b""
        self._length = (data[4] & 3) + 1 if len(data) > 6 and data[0] == 1 else 0  # ISO/IEC 14496-15, 5.3.3.1
        self._modulus = 0
        self._separate = False
        self._before: int | None = None
        if self._length:
            size = int.from_bytes(data[6:8])
            self._take_parameters(data[8 : 8 + size])
        else:
            self.lost_before(data)

    def lost_before(self, packet: bytes) -> bool:
        """Whether a frame is missing between the packet before and this one, the next in the order of the file."""
        for unit in self._units(packet):
            kind, reference = unit[0] & 31, unit[0] >> 5 & 3
            if kind == _PARAMETERS:
                self._take_parameters(unit)
            elif kind in (_SLICE, _IDR) and self._modulus:
                try:
                    number = self._number_of(unit)
                except IndexError:
                    return False
                return self._follows(number, restart=kind == _IDR, reference=reference > 0)
        return False

    def _follows(self, number: int, *, restart: bool, reference: bool) -> bool:
        before = self._before
        allowed = before is None or restart or number == 0 or (number - before) % self._modulus <= 1
        if reference or not allowed:
            self._before = number
        return not allowed

    def _number_of(self, unit: bytes) -> int:
        bits = _Bits(unit[1:_HEAD])
        for _ in range(3):  # first macroblock, slice type, picture parameter set
            bits.golomb()
        if self._separate:
            bits.take(2)
        return bits.take(self._modulus.bit_length() - 1)

    def _take_parameters(self, unit: bytes) -> None:
        """Read a sequence parameter set (7.3.2.1.1) as far as needed; one that allows gaps tells nothing."""
        try:
            self._modulus, self._separate = _parameters(_Bits(unit[1:_LARGEST_HEAD]))
        except IndexError:
            self._modulus = 0

    def _units(self, packet: bytes) -> Iterator[bytes]:
        """The packet's units, or at least their beginnings."""
        if self._length:
            start = 0
            while start + self._length < len(packet):
                size = int.from_bytes(packet[start : start + self._length])
                start += self._length
                if size:
                    yield packet[start : start + min(size, _LARGEST_HEAD)]
                start += size
            return
        start = packet.find(b"\0\0\1")
        while 0 <= start < len(packet) - 3:
            yield packet[start + 3 : start + 3 + _LARGEST_HEAD]
            start = packet.find(b"\0\0\1", start + 3)


def _parameters(bits: _Bits) -> tuple[int, bool]:
    """The modulus of frame numbers, 0 where gaps are allowed, and whether colour planes are coded apart."""
    profile = bits.take(8)
    bits.take(16)
    bits.golomb()
    separate = False
    if profile in _CHROMA_PROFILES:
        chroma = bits.golomb()
        separate = chroma == _SEPARATE_PLANES and bool(bits.take(1))
        bits.golomb()
        bits.golomb()
        bits.take(1)
        if bits.take(1):
            for place in range(12 if chroma == _SEPARATE_PLANES else 8):
                if bits.take(1):
                    _skip_scaling_list(bits, 16 if place < 6 else 64)
    length = bits.golomb() + 4
    if length > _LONGEST:
        raise IndexError
    order = bits.golomb()
    if order == 0:
        bits.golomb()
    elif order == 1:
        bits.take(1)
        bits.golomb()
        bits.golomb()
        for _ in range(bits.golomb()):
            bits.golomb()
    bits.golomb()
    return (0 if bits.take(1) else 1 << length), separate


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            code = bits.golomb()
            following = (last + (code + 1 >> 1 if code & 1 else -(code >> 1))) % 256  # signed: 9.1.1
        last = following or last


class _Bits:
    """Reads a unit's bits, the bytes that only prevent start codes left out (7.4.1.1); IndexError at their end."""

    def __init__(self, data: bytes) -> None:
        data = data.replace(b"\0\0\3", b"\0\0")
        self._value = int.from_bytes(data)
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise IndexError
        return self._value >> self._left & (1 << count) - 1

    def golomb(self) -> int:
        """An Exp-Golomb code, unsigned (9.1)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)
