"""A clip in one TIFF file of many pages, as high-speed and laboratory cameras export it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from vmforensics.data import Evidence, FrameBlock, FrameStream, Luma
from vmforensics.data.frames import frames_at_once
from vmforensics.errors import EvidenceMissing, EvidenceUnreadable, FrameSizeChanged, VmforensicsError
from vmforensics.stages import FrameSource, StageParams
from vmforensics.units import Hertz
from vmforensics_media.blocks import MOST_PIXELS
from vmforensics_media.ranges import in_ranges

_MOST_COMPLAINTS = 50
_TIFF = re.compile(rb"II[*+]\0|MM\0[*+]")


def is_stack(path: Path) -> bool:
    """Whether a file is a TIFF of more than one page, by its first bytes and its directories."""
    try:
        with path.open("rb") as file:
            if not _TIFF.match(file.read(4)):
                return False
        with _opened(path, []) as tiff:
            return _virtual(tiff) or not _single(tiff)
    except Exception:  # a damaged file may raise anything; whoever opens it is told
        return False


class TiffStack(FrameSource):
    """Reads the pages of a TIFF file in their order, a frame each: grey, 8 or 16 bit, as stored."""

    name = "tiff-stack"
    summary = "a TIFF file of many grey pages, 8 or 16 bit"
    reference = "TIFF 6.0 (Adobe 1992)"

    class Params(StageParams):
        """Parameters of `TiffStack`."""

        rate: Hertz | None = Field(
            None, gt=0, description="frames per second (Hz) at which the pages were taken; none: the case says it"
        )

    @classmethod
    def accepts(cls, evidence: Evidence) -> bool:
        """Whether it is a TIFF file of more than one page."""
        return not evidence.path.is_dir() and is_stack(evidence.path)

    def open(self, evidence: Evidence) -> PageStream:
        """Read the file's directories.

        Raises
        ------
        EvidenceMissing
            The file isn't there, or may not be read.
        EvidenceUnreadable
            It is no TIFF file, has colour, is compressed in a way that can't be read, or is damaged beyond opening.
        """
        return PageStream(evidence.path, rate=self.params.rate)


class PageStream(FrameStream):
    """The pages of one file; see `FrameStream` for what it offers.

    Parameters
    ----------
    path
        The file.
    rate : float or None, Hz
        Frame rate; the stamps are NaN if None.

    Raises
    ------
    EvidenceMissing, EvidenceUnreadable
        As `TiffStack.open` says.
    """

    def __init__(self, path: Path, *, rate: float | None = None) -> None:
        self._path = path
        self.complaints: list[str] = []
        try:
            with _opened(path, self.complaints) as tiff:
                _check(path, tiff)
                count = len(tiff.pages)
                page = tiff.pages.first
                self._kind = _kind(page)
                compression = str(getattr(page.compression, "name", page.compression)).lower()
        except VmforensicsError:
            raise
        except Exception as error:
            raise EvidenceUnreadable(f"{path}: it can't be read as TIFF: {error}") from error
        self.height, self.width, self._dtype = self._kind
        self.full_scale = int(np.iinfo(self._dtype).max)
        self.declared_rate = rate
        self.stamp_resolution = 0.0
        self.stamps = np.arange(count) / rate if rate else np.full(count, np.nan)
        self.facts: Mapping[str, object] = {
            "container": "TIFF of many pages",
            "bit_depth": 8 * self._dtype.itemsize,
            "luma": "codes as stored",
            "compression": compression,
            "width": self.width,
            "height": self.height,
            "frames": count,
            "inter_coded": False,
        }

    def blocks(self) -> Iterator[FrameBlock]:
        """Decode the pages in order; see `FrameStream.blocks`.

        Damaged ones don't come; which those are is among the complaints once the pass is complete.
        """
        size = frames_at_once(self.height, self.width, self._dtype.itemsize)
        damaged: list[int] = []
        with _opened(self._path, self.complaints) as tiff:
            for first in range(0, len(self.stamps), size):
                count = min(size, len(self.stamps) - first)
                luma: Luma = np.empty((count, self.height, self.width), self._dtype)
                index: list[int] = []
                for number in range(first, first + count):
                    page = self._page(tiff, number)
                    if page is None:
                        damaged.append(number)
                        continue
                    luma[len(index)] = page
                    index.append(number)
                if index:
                    yield FrameBlock(np.array(index, np.int64), luma[: len(index)])
        if len(damaged) == len(self.stamps):
            raise EvidenceUnreadable(f"{self._path}: none of its {len(damaged)} pages can be decoded")
        if damaged:
            told = f"{len(damaged)} damaged pages, left out (counted from 0): {in_ranges(np.array(damaged))}"
            self.complaints[:] = [told, *(c for c in self.complaints if c != told)]

    def _page(self, tiff: Any, number: int) -> Luma | None:
        """The pixels of a page, or None for a damaged one."""
        try:
            page = tiff.pages[number].aspage()
            kind = _kind(page)
            luma = np.asarray(page.asarray(maxworkers=1)) if kind == self._kind else None
        except Exception as error:  # a damaged page may raise anything
            self._complain(f"page {number} can't be decoded: {error}")
            return None
        if luma is None:
            rows, cols, dtype = kind
            raise FrameSizeChanged(
                f"{self._path}: page {number} is {cols}x{rows} {dtype}, the first one {self.width}x{self.height} "
                f"{self._dtype}",
                hint="cut a copy where the pages change, and analyse each part",
            )
        if luma.shape != kind[:2]:
            self._complain(f"page {number} holds {luma.shape} pixels")
            return None
        return luma

    def _complain(self, text: str) -> None:
        if text not in self.complaints and len(self.complaints) < _MOST_COMPLAINTS:
            self.complaints.append(text)


class _Complaints(logging.Handler):
    """Collects distinct messages; tifffile complains to a logger, and goes on with the pages that it finds."""

    def __init__(self, into: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._into = into

    def emit(self, record: logging.LogRecord) -> None:
        said = re.sub(r"^<.*?> ", "", " ".join(record.getMessage().split()))
        if said not in self._into and len(self._into) < _MOST_COMPLAINTS:
            self._into.append(said)


@contextmanager
def _opened(path: Path, complaints: list[str]) -> Iterator[Any]:
    """The file, held open by tifffile for reading; what that complains of is added to a list."""
    import tifffile

    logger, handler = logging.getLogger("tifffile"), _Complaints(complaints)
    propagates = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        with _file(path, tifffile) as tiff:
            yield tiff
    finally:
        logger.propagate = propagates
        logger.removeHandler(handler)


def _file(path: Path, tifffile: Any) -> Any:
    try:
        return tifffile.TiffFile(path)
    except FileNotFoundError as error:
        raise EvidenceMissing(f"{path}: no such file", hint="check the path") from error
    except IsADirectoryError as error:
        raise EvidenceUnreadable(f"{path}: it is a folder, no TIFF file") from error
    except OSError as error:
        raise EvidenceMissing(f"{path}: can't be read: {error.strerror}", hint="check permissions") from error
    except Exception as error:
        raise EvidenceUnreadable(f"{path}: it can't be read as TIFF: {error}") from error


def _single(tiff: Any) -> bool:
    """Whether there is one page; the others aren't looked for."""
    try:
        return tiff.pages[1] is None
    except IndexError:
        return True


def _virtual(tiff: Any) -> bool:
    """Whether the first directory stands for several pictures."""
    return bool(tiff.is_imagej and _single(tiff) and (tiff.imagej_metadata or {}).get("images", 1) > 1)


def _kind(page: Any) -> tuple[int, int, np.dtype[Any]]:
    """Rows, columns and native type of a page's pixels."""
    return page.imagelength, page.imagewidth, np.dtype(page.dtype).newbyteorder("=")


def _check(path: Path, tiff: Any) -> None:
    """Raise `EvidenceUnreadable` unless the pages are grey, brighter for larger codes, of 8 or 16 bits."""
    if _virtual(tiff):
        raise EvidenceUnreadable(
            f"{path}: its pictures have no directories of their own, as in ImageJ files above 4 GB",
            hint="export it as a folder of pictures",
        )
    page = tiff.pages.first
    if page.imagelength * page.imagewidth > MOST_PIXELS:
        raise EvidenceUnreadable(
            f"{path}: its pages claim {page.imagewidth}x{page.imagelength} px; {MOST_PIXELS} pixels at most are read",
            hint="is the file damaged?",
        )
    photometric = str(getattr(page.photometric, "name", page.photometric)).lower()
    if page.samplesperpixel != 1 or photometric != "minisblack":
        raise EvidenceUnreadable(
            f"{path}: its pages have {page.samplesperpixel} sample(s) a pixel, {photometric}; one, minisblack, is read",
            hint="export it as grey pictures",
        )
    if page.bitspersample not in (8, 16) or page.dtype not in (np.uint8, np.uint16):
        raise EvidenceUnreadable(
            f"{path}: its pixels are {page.bitspersample} bits, {page.dtype}; 8 and 16 bits, unsigned, are read",
            hint="export it with 16 bits",
        )
