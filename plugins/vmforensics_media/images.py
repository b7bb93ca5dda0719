"""A folder of pictures as a clip: a high-speed camera's raw export, or frames that somebody else extracted."""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av import VideoFrame
from pydantic import Field

from vmforensics.data import Evidence, FrameBlock, FrameStream
from vmforensics.errors import EvidenceMissing, EvidenceUnreadable, FrameSizeChanged
from vmforensics.stages import FrameSource, StageParams
from vmforensics.units import Hertz
from vmforensics_media.blocks import BlockBuilder
from vmforensics_media.decoder_log import DAMAGE, DecoderLog
from vmforensics_media.luma import LumaReader
from vmforensics_media.tiff_stack import is_stack

_MAGIC = re.compile(rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|II\*\0|MM\0\*|BM.{4}\0{4}|P[2356]\s", re.DOTALL)
"""First bytes of PNG, JPEG, TIFF, BMP and PGM/PPM."""

_LAST_NUMBER = re.compile(r"^(?P<before>.*?)(?P<number>\d+)(?P<after>\D*)$")
_MOST_HOLES = 10  # dropped frames per picture, above which the numbers are taken for something else (dates)
_MOST_LISTED = 100
_LOOKED_AT = 12  # pictures of a folder that are compared before anything else is asked for


def is_picture(path: Path) -> bool:
    """Whether a file is a still picture, by its first bytes."""
    try:
        with path.open("rb") as file:
            return _MAGIC.match(file.read(16)) is not None
    except OSError:
        return False


class ImageSequence(FrameSource):
    """Reads the pictures of a folder in numeric order; a gap in their numbering is a dropped frame.

    A single picture is a clip of one frame: too little to recover sound from, enough to calibrate a shutter with.
    """

    name = "image-sequence"
    summary = "a folder of PNG, TIFF, BMP, PGM or JPEG pictures, 8 or 16 bit"

    class Params(StageParams):
        """Parameters of `ImageSequence`."""

        rate: Hertz | None = Field(
            None, gt=0, description="frames per second (Hz) at which the pictures were taken; none: the case says it"
        )
        pattern: str = Field("*", min_length=1, description="names of the pictures, with the wildcards * ? [ ]")

    @classmethod
    def accepts(cls, evidence: Evidence) -> bool:
        """Whether it is a folder, or a still picture by its first bytes and not the first of a stack."""
        motion_jpeg = evidence.path.suffix.lower() in (".mjpeg", ".mjpg")
        return evidence.path.is_dir() or (is_picture(evidence.path) and not motion_jpeg and not is_stack(evidence.path))

    def open(self, evidence: Evidence) -> PictureFolder:
        """List a folder's pictures and decode the first.

        Raises
        ------
        EvidenceMissing
            The folder isn't there, or may not be read.
        EvidenceUnreadable
            It holds no picture, is none, or none can be decoded.
        FrameSizeChanged
            Its pictures aren't of one kind, as far as a few of them show.
        """
        return PictureFolder(evidence.path, pattern=self.params.pattern, rate=self.params.rate)


class PictureFolder(FrameStream):
    """The pictures of one folder, or one picture; see `FrameStream` for what it offers.

    Dropped frames have a stamp, as damaged pictures do, but never come in a block.

    Parameters
    ----------
    path
        The folder or the picture.
    pattern
        Names of the pictures, with wildcards.
    rate : float or None, Hz
        Frame rate; the stamps are NaN if None.

    Raises
    ------
    EvidenceMissing, EvidenceUnreadable, FrameSizeChanged
        As `ImageSequence.open` says.
    """

    def __init__(self, path: Path, *, pattern: str = "*", rate: float | None = None) -> None:
        self._path = path
        self._log = DecoderLog()
        self._pictures, ignored = _listed(path, pattern)
        if not self._pictures:
            raise EvidenceUnreadable(
                f"{path}: no file named {pattern!r} in this folder is a picture",
                hint="PNG, TIFF, BMP, PGM and JPEG pictures are read",
            )
        names = [p.name for p in self._pictures]
        self._slots, numbering = _numbered(names)
        missing = self._slots[-1] + 1 - len(names)
        if missing:
            self._log.find(f"{missing} numbers are missing between {names[0]} and {names[-1]}: taken as dropped frames")
        first, place = self._first()
        reader = self._reader(first, place)
        self._format = first.format.name
        self.height, self.width = first.height, first.width
        for other in self._pictures[:: max(1, len(self._pictures) // _LOOKED_AT)]:
            if (frame := self._decoded(other)) is not None:
                self._check_alike(frame, other)
        self.full_scale = reader.full_scale
        self.declared_rate = rate
        self.stamp_resolution = 0.0
        slots = np.arange(self._slots[-1] + 1, dtype=np.float64)
        self.stamps = slots / rate if rate else np.full(len(slots), np.nan)
        self.complaints = self._log.messages()
        self.facts: Mapping[str, object] = {
            "container": "folder of pictures" if path.is_dir() else "picture",
            "pixel_format": self._format,
            "bit_depth": reader.bits,
            "luma": reader.description,
            "width": self.width,
            "height": self.height,
            "frames": len(slots),
            "pictures": len(names),
            "first_picture": names[0],
            "last_picture": names[-1],
            "numbering": numbering,
            "ignored_files": ignored[:_MOST_LISTED],
            "ignored_file_count": len(ignored),
        }

    def blocks(self) -> Iterator[FrameBlock]:
        """Decode the pictures in order; see `FrameStream.blocks`.

        Damaged ones don't come; which those are is among the complaints once the pass is complete.
        """
        reader: LumaReader | None = None
        block: BlockBuilder | None = None
        damaged: list[str] = []
        for slot, path in zip(self._slots, self._pictures, strict=True):
            frame = self._decoded(path)
            if frame is None:
                damaged.append(path.name)
                continue
            self._check_alike(frame, path)
            reader = reader or self._reader(frame, path)
            block = block or BlockBuilder(self.height, self.width, reader)
            block.add(slot, frame)
            if block.full:
                yield block.finished()
                block = None
        if damaged:
            named = ", ".join(damaged[:_MOST_LISTED]) + (" ..." if len(damaged) > _MOST_LISTED else "")
            self._log.find(f"{len(damaged)} damaged pictures, left out: {named}")
        self.complaints = self._log.messages()
        if block is not None:
            yield block.finished()

    def _first(self) -> tuple[VideoFrame, Path]:
        """The first picture that can be decoded."""
        reason: EvidenceUnreadable | None = None
        for path in self._pictures:
            try:
                return self._decode(path), path
            except EvidenceUnreadable as error:
                reason = reason or error
        raise reason or EvidenceUnreadable(f"{self._path}: it holds no picture")

    def _check_alike(self, frame: VideoFrame, path: Path) -> None:
        if (frame.width, frame.height, frame.format.name) != (self.width, self.height, self._format):
            raise FrameSizeChanged(
                f"{path}: it is {frame.width}x{frame.height} {frame.format.name}, the first picture "
                f"{self.width}x{self.height} {self._format}: a clip's pictures are all of one kind",
                hint="select them with the parameter pattern of the source image-sequence, or move the others away",
            )

    def _reader(self, frame: VideoFrame, path: Path) -> LumaReader:
        try:
            return LumaReader(frame.format)
        except ValueError as error:
            raise EvidenceUnreadable(f"{path}: {error}", hint="convert a copy to 8 or 16 bit grey") from error

    def _decoded(self, path: Path) -> VideoFrame | None:
        """One picture, or None for a damaged one."""
        try:
            return self._decode(path)
        except EvidenceUnreadable:
            return None

    def _decode(self, path: Path) -> VideoFrame:
        """Decode one picture; one that FFmpeg finds an error in isn't taken, for it would show half a frame."""
        errors = self._log.errors
        reason = "it holds more than one picture"
        frames: list[VideoFrame] = []
        with self._log.listening():
            try:
                with path.open("rb") as file, av.open(file, mode="r", metadata_errors="backslashreplace") as container:
                    frames = list(container.decode(video=0))
            except DAMAGE as error:
                reason = getattr(error, "strerror", None) or str(error)
            except OSError as error:
                raise EvidenceMissing(f"{path}: can't be read: {error.strerror}", hint="check permissions") from error
        self.complaints = self._log.messages()
        if len(frames) != 1 or self._log.errors > errors:
            said = "; ".join(self.complaints[:3])
            reason = reason if len(frames) != 1 else "it is damaged"
            raise EvidenceUnreadable(
                f"{path}: the picture can't be decoded: {reason}", hint=f"FFmpeg says: {said}" if said else None
            )
        return frames[0]


def _listed(path: Path, pattern: str) -> tuple[list[Path], list[str]]:
    """The folder's pictures in natural order, and the names of the files left out."""
    if not path.exists():
        raise EvidenceMissing(f"{path}: no such folder", hint="check the path")
    if is_picture(path):
        return [path], []
    if not path.is_dir():
        raise EvidenceUnreadable(f"{path}: it is no folder of pictures", hint="for a video file use the source video")
    try:
        files = sorted((p for p in path.iterdir() if p.is_file()), key=lambda p: _natural(p.name))
    except OSError as error:
        raise EvidenceMissing(f"{path}: can't be read: {error.strerror}", hint="check permissions") from error
    hidden = {p for p in files if p.name.startswith(".")}
    taken = [p for p in files if p not in hidden and fnmatch.fnmatchcase(p.name, pattern) and is_picture(p)]
    left = set(files) - set(taken)
    return taken, [p.name for p in files if p in left]


def _natural(name: str) -> tuple[list[tuple[str, int]], str]:
    """Sort key that puts 9 before 10.

    >>> sorted(["b10", "b9", "a"], key=_natural)
    ['a', 'b9', 'b10']
    """
    parts = re.findall(r"(\D*)(\d*)", name)
    return [(text, int(number or -1)) for text, number in parts], name


def _numbered(names: list[str]) -> tuple[list[int], str]:
    """Frame position of each picture by the last number in its name, and how it was found, in words.

    >>> _numbered(["f01.png", "f02.png", "f05.png"])
    ([0, 1, 4], 'by the last number in the name, in steps of 1')
    >>> _numbered(["a.png", "b.png"])
    ([0, 1], 'consecutive, in natural order of the names')
    """
    matches = [_LAST_NUMBER.match(name) for name in names]
    consecutive = list(range(len(names))), "consecutive, in natural order of the names"
    if len({(m["before"], m["after"]) if m else name for m, name in zip(matches, names, strict=True)}) > 1:
        return consecutive
    numbers = [int(m["number"]) for m in matches if m]
    gaps = [b - a for a, b in pairwise(numbers)]
    if not gaps or min(gaps) < 1:
        return consecutive
    step = math.gcd(*gaps)
    slots = [(number - numbers[0]) // step for number in numbers]
    if slots[-1] > _MOST_HOLES * len(slots):
        return consecutive
    return slots, f"by the last number in the name, in steps of {step}"
