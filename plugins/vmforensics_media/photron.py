"""Photron's high-speed recordings: raw pictures (.mraw) beside a header of text (.cih) or XML (.cihx)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Evidence, FrameBlock, FrameStream, Luma
from vmforensics.data.evidence import COMPANIONS
from vmforensics.data.frames import frames_at_once
from vmforensics.errors import EvidenceMissing, EvidenceUnreadable
from vmforensics.stages import FrameSource
from vmforensics_media.ranges import in_ranges

HEADERS = COMPANIONS[".mraw"]
PICTURES = ".mraw"

_LARGEST_HEADER = 2**20  # bytes; real ones have some ten thousand
_XML = re.compile(rb"<cih>.*</cih>", re.DOTALL)  # between a binary preamble and a binary tail
_LARGEST = {"width": 2**16, "height": 2**16, "frames": 2**31, "step": 2**31}
_COLOUR_CAMERA = re.compile(r"-C(-|\b)")  # "FASTCAM SA-Z type 2100K-C-64GB"; a monochrome one has an M there

_XML_NAMES = {
    "frames": "frameInfo/totalFrame",
    "recorded": "frameInfo/recordedFrame",
    "step": "frameInfo/skipFrame",
    "rate": "recordInfo/recordRate",
    "shutter_ns": "recordInfo/shutterSpeedNsec",
    "width": "imageDataInfo/resolution/width",
    "height": "imageDataInfo/resolution/height",
    "colour": "imageDataInfo/colorInfo/type",
    "bits": "imageDataInfo/colorInfo/bit",
    "depth": "imageDataInfo/effectiveBit/depth",
    "side": "imageDataInfo/effectiveBit/side",
    "format": "imageFileInfo/fileFormat",
    "camera": "deviceInfo/deviceName",
    "date": "fileInfo/date",
    "time": "fileInfo/time",
}
_TEXT_NAMES = {
    "frames": "Total Frame",
    "recorded": "Original Total Frame",
    "step": "Save Step",
    "rate": "Record Rate(fps)",
    "shutter_ns": "Shutter Type2(nsec)",
    "width": "Image Width",
    "height": "Image Height",
    "colour": "Color Type",
    "bits": "Color Bit",
    "depth": "EffectiveBit Depth",
    "side": "EffectiveBit Side",
    "format": "File Format",
    "camera": "Camera Type",
    "date": "Date",
    "time": "Time",
}


class Photron(FrameSource):
    """Reads a Photron recording, given by its header or by its pictures; the other file lies beside it.

    Both files are the exhibit. Codes are 8 bits each, 16 (little-endian), or 10 or 12 packed without gaps, first bit
    first; they stay as stored. The frame rate is the header's recording rate over the step at which frames were saved.
    """

    name = "photron"
    summary = "a Photron recording, .mraw with .cih or .cihx: 8, 10, 12 or 16 bit, monochrome"
    reference = "layout as in the recordings themselves and in pyMRAW, github.com/ladisk/pyMRAW"

    @classmethod
    def accepts(cls, evidence: Evidence) -> bool:
        """Whether it is named as one."""
        return evidence.path.suffix.lower() in COMPANIONS and not evidence.path.is_dir()

    def open(self, evidence: Evidence) -> PhotronRecording:
        """Read the header and hold the pictures' size against it.

        Raises
        ------
        EvidenceMissing
            One of the two files isn't there, or may not be read.
        EvidenceUnreadable
            The header can't be understood, tells of fewer pictures than there are, or of colour.
        """
        return PhotronRecording(*_pair(evidence))


@dataclass(frozen=True, slots=True)
class PhotronHeader:
    """What a header says.

    Parameters
    ----------
    width, height : int, px
    frames : int
        Frames in the file of pictures.
    rate : float, Hz
        Recording rate of the camera.
    step : int
        Of so many recorded frames one was saved.
    bits : int
        Bits that a code takes in the file: 8, 10, 12 or 16.
    depth : int
        Bits of the sensor's codes.
    lower : bool
        Whether those are the lower bits of what a code takes; else the upper ones.
    facts : mapping
        The fields as written, for the record.
    """

    width: int
    height: int
    frames: int
    rate: float
    step: int
    bits: int
    depth: int
    lower: bool
    facts: Mapping[str, str]

    @classmethod
    def read(cls, path: Path) -> PhotronHeader:
        """Read a header.

        Raises
        ------
        EvidenceMissing, EvidenceUnreadable
            As `Photron.open` says.
        """
        data = _content(path, _LARGEST_HEADER + 1)
        if len(data) > _LARGEST_HEADER:
            raise EvidenceUnreadable(f"{path}: it is larger than {_LARGEST_HEADER} bytes; no Photron header is")
        fields = (_of_xml if path.suffix.lower() == ".cihx" else _of_text)(data, path)
        number = _Numbers(fields, path)
        if fields.get("format", "mraw").lower() != "mraw":
            raise EvidenceUnreadable(
                f"{path}: its pictures are stored as {fields['format']!r}; this source reads MRaw",
                hint="hand in the pictures themselves: a video file, or a folder for the source image-sequence",
            )
        if number.colour or _COLOUR_CAMERA.search(fields.get("camera", "")):
            raise EvidenceUnreadable(
                f"{path}: colour ({fields.get('colour')!r}, camera {fields.get('camera', 'not named')!r}); "
                "monochrome recordings are read",
                hint="export it as TIFF or AVI with the camera's software, and state that in the case",
            )
        return cls(
            width=number.whole("width"),
            height=number.whole("height"),
            frames=number.whole("frames"),
            rate=number.positive("rate"),
            step=number.whole("step", default=1),
            bits=number.one_of("bits", (8, 10, 12, 16)),
            depth=number.one_of("depth", range(8, 17), default=number.one_of("bits", (8, 10, 12, 16))),
            lower=number.side(),
            facts={name: value for name, value in fields.items() if value},
        )

    @property
    def frame_bytes(self) -> int:
        """Bytes of a picture."""
        return self.width * self.height * self.bits // 8

    @property
    def full_scale(self) -> int:
        """Largest code there can be."""
        used = min(self.bits, self.depth)
        return ((1 << used) - 1) << (0 if self.lower else self.bits - used)


class PhotronRecording(FrameStream):
    """One recording; see `FrameStream` for what it offers.

    Parameters
    ----------
    header, pictures
        The two files.

    Raises
    ------
    EvidenceMissing, EvidenceUnreadable
        As `Photron.open` says.
    """

    def __init__(self, header: Path, pictures: Path) -> None:
        said = PhotronHeader.read(header)
        found = _size(pictures)
        if said.width * said.height * said.bits % 8:
            raise EvidenceUnreadable(f"{header}: pictures of {said.width}x{said.height} don't fill whole bytes")
        size = said.frames * said.frame_bytes
        announced = f"{said.frames} pictures of {said.width}x{said.height} at {said.bits} bits, as {header.name} says"
        if found > size or found < said.frame_bytes:
            what = "the header isn't this file's" if found > size else "not one is whole"
            raise EvidenceUnreadable(
                f"{pictures}: it holds {found} bytes; {announced}, are {size}: {what}",
                hint="fetch both files again from the original medium",
            )
        self._header, self._pictures = said, pictures
        self._frames = found // said.frame_bytes
        self.height, self.width = said.height, said.width
        self.full_scale = said.full_scale
        self.declared_rate: float | None = said.rate / said.step
        self.stamps = np.arange(self._frames) / self.declared_rate
        self.stamp_resolution = 0.0
        self.complaints: list[str] = []
        if self._frames < said.frames:
            self.complaints.append(
                f"{pictures.name} is cut short, or {header.name} isn't its header: it holds {self._frames} whole "
                f"pictures, not {announced}"
            )
        if said.step > 1:
            self.complaints.append(
                f"one of {said.step} recorded frames was saved: {self.declared_rate:.6g} frames/s, not {said.rate:.6g}"
            )
        place = "" if said.depth >= said.bits else f", in the {'lower' if said.lower else 'upper'} bits of {said.bits}"
        self.facts: Mapping[str, object] = {
            "container": "Photron MRAW",
            "header": header.name,
            "pictures": pictures.name,
            "bit_depth": min(said.depth, said.bits),
            "bits_stored": said.bits,
            "luma": f"codes as stored, {min(said.depth, said.bits)} bits{place}",
            "width": said.width,
            "height": said.height,
            "frames": self._frames,
            "frames_announced_by_header": said.frames,
            "recording_rate_hz": said.rate,
            "saved_every": said.step,
            "inter_coded": False,
            "header_fields": dict(said.facts),
        }

    def blocks(self) -> Iterator[FrameBlock]:
        """Read the pictures in blocks; see `FrameStream.blocks`.

        A picture with a code that the sensor can't give is damaged and doesn't come; which those are is among the
        complaints once the pass is complete.

        Raises
        ------
        EvidenceMissing, EvidenceUnreadable
            The file can't be read on, or half of the pictures or more hold impossible codes.
        """
        said = self._header
        size = frames_at_once(said.height, said.width, 2)
        damaged: list[int] = []
        try:
            with self._pictures.open("rb") as file:
                for first in range(0, self._frames, size):
                    luma = self._read(file, min(size, self._frames - first))
                    sound = luma.reshape(len(luma), -1).max(axis=1) <= said.full_scale
                    damaged += (first + np.flatnonzero(~sound)).tolist()
                    if sound.any():
                        yield FrameBlock(first + np.flatnonzero(sound), luma if sound.all() else luma[sound])
        except OSError as error:
            raise EvidenceMissing(f"{self._pictures}: can't be read: {error.strerror}") from error
        if not damaged:
            return
        told = (
            f"{len(damaged)} pictures (counted from 0: {in_ranges(np.array(damaged))}) hold codes above "
            f"{said.full_scale}, the most that {said.depth} bits in {said.bits} can be"
        )
        if 2 * len(damaged) >= self._frames:
            raise EvidenceUnreadable(f"{self._pictures}: {told}", hint="is it this recording's header?")
        if (told := f"{told}; they are left out") not in self.complaints:
            self.complaints.append(told)

    def _read(self, file: BinaryIO, count: int) -> Luma:
        """The next pictures [shape=(count, rows, cols)]."""
        said = self._header
        data = np.frombuffer(file.read(count * said.frame_bytes), np.uint8)
        if data.size != count * said.frame_bytes:
            raise EvidenceUnreadable(f"{self._pictures}: it became shorter while it was read")
        return _UNPACK[said.bits](data).reshape(count, said.height, said.width)


class _Numbers:
    """A header's fields as numbers within bounds."""

    def __init__(self, fields: Mapping[str, str], path: Path) -> None:
        self._fields, self._path = fields, path

    @property
    def colour(self) -> bool:
        return self._fields.get("colour", "").lower() not in ("mono", "raw")

    def positive(self, name: str) -> float:
        try:
            value = float(self._fields[name])
        except (KeyError, ValueError):
            value = float("nan")
        if not 0 < value < 1e9:
            raise self._wrong(name, "a positive number")
        return value

    def whole(self, name: str, *, default: int | None = None) -> int:
        if name not in self._fields and default is not None:
            return default
        value = self.positive(name)
        if value != int(value) or value > _LARGEST[name]:
            raise self._wrong(name, f"a whole number up to {_LARGEST[name]}")
        return int(value)

    def one_of(self, name: str, allowed: tuple[int, ...] | range, *, default: int | None = None) -> int:
        if name not in self._fields and default is not None:
            return default
        value = self.positive(name)
        if value not in allowed:
            raise self._wrong(name, f"one of {', '.join(map(str, allowed))}")
        return int(value)

    def side(self) -> bool:
        side = self._fields.get("side", "lower").lower()
        if side not in ("lower", "higher"):
            raise self._wrong("side", "Lower or Higher")
        return side == "lower"

    def _wrong(self, name: str, allowed: str) -> EvidenceUnreadable:
        names = _XML_NAMES if self._path.suffix.lower() == ".cihx" else _TEXT_NAMES
        said = repr(self._fields[name][:50]) if name in self._fields else "nothing"
        return EvidenceUnreadable(f"{self._path}: its field {names[name]!r} says {said}; it must be {allowed}")


def _of_xml(data: bytes, path: Path) -> dict[str, str]:
    """Fields of a .cihx. It is a stranger's XML: bounded in size, and refused if it declares anything of its own."""
    found = _XML.search(data)
    if found is None or b"<!" in found[0].replace(b"<!--", b""):
        raise EvidenceUnreadable(f"{path}: it holds no Photron header, or one with declarations in it")
    try:
        root = ElementTree.fromstring(found[0].decode("utf-8"))  # noqa: S314 no document type, hence no entities
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise EvidenceUnreadable(f"{path}: its header isn't well-formed: {error}") from error
    return {
        name: " ".join(text.split())[:500]
        for name, place in _XML_NAMES.items()
        if (text := root.findtext(place)) is not None
    }


def _of_text(data: bytes, path: Path) -> dict[str, str]:
    """Fields of a .cih: "name : value" a line, up to the first empty line; what follows tells of programs."""
    text = data.decode("utf-8", errors="replace").replace("\r\n", "\n")
    if "Camera Information Header" not in text[:100]:
        raise EvidenceUnreadable(f"{path}: it holds no Photron header")
    lines = (line.partition(":") for line in text.split("\n\n", 1)[0].splitlines())
    said: dict[str, str] = {}
    for name, _, value in lines:
        said.setdefault(name.strip(), " ".join(value.split())[:500])
    return {name: said[label] for name, label in _TEXT_NAMES.items() if label in said}


def _pair(evidence: Evidence) -> tuple[Path, Path]:
    """The header and the pictures."""
    if not Photron.accepts(evidence):
        raise EvidenceUnreadable(
            f"{evidence.path}: it isn't named as a Photron recording", hint="its files end in .mraw and .cih or .cihx"
        )
    files = evidence.files()
    headers = [p for p in files if p.suffix.lower() in HEADERS]
    pictures = [p for p in files if p.suffix.lower() == PICTURES]
    for wanted, which in ((headers, "header (.cih or .cihx)"), (pictures, "file of pictures (.mraw)")):
        if not wanted:
            raise EvidenceMissing(
                f"{evidence.path}: no {which} of the same name lies beside it", hint="a recording is two files"
            )
        if len(wanted) > 1:
            raise EvidenceUnreadable(
                f"{evidence.path}: {len(wanted)} files could be its {which}: {', '.join(p.name for p in wanted)}",
                hint="name the header itself as the evidence",
            )
    return headers[0], pictures[0]


def _content(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(limit)
    except OSError as error:
        raise EvidenceMissing(f"{path}: can't be read: {error.strerror}", hint="check permissions") from error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise EvidenceMissing(f"{path}: can't be read: {error.strerror}", hint="check permissions") from error


def _bytes(data: NDArray[np.uint8]) -> Luma:
    return data


def _words(data: NDArray[np.uint8]) -> Luma:
    return data.view("<u2").astype(np.uint16)


def _packed_12(data: NDArray[np.uint8]) -> Luma:
    """Two codes in three bytes, first bit first.

    >>> _packed_12(np.array([0xAB, 0xCD, 0xEF], np.uint8)).tolist() == [0xABC, 0xDEF]
    True
    """
    first, middle, last = data.reshape(-1, 3).astype(np.uint16).T
    return np.stack([first << 4 | middle >> 4, (middle & 0x0F) << 8 | last], axis=1).ravel()


def _packed_10(data: NDArray[np.uint8]) -> Luma:
    """Four codes in five bytes, first bit first.

    >>> _packed_10(np.array([0xFF, 0xC0, 0x10, 0x08, 0x03], np.uint8)).tolist()
    [1023, 1, 2, 3]
    """
    b = data.reshape(-1, 5).astype(np.uint16).T
    codes = [b[k] << (2 * k + 2) | b[k + 1] >> (6 - 2 * k) for k in range(4)]
    return np.stack(codes, axis=1).ravel() & np.uint16(0x3FF)


_UNPACK: dict[int, Callable[[NDArray[np.uint8]], Luma]] = {8: _bytes, 10: _packed_10, 12: _packed_12, 16: _words}
