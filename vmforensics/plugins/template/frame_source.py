"""Reads a stack of pictures that NumPy has saved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from vmforensics.data import Evidence, FrameBlock, FrameStream, Luma
from vmforensics.errors import EvidenceUnreadable
from vmforensics.stages import FrameSource

_MAGIC = b"\x93NUMPY"
_BLOCK = 64  # frames


class MyStage(FrameSource):
    """A .npy file [shape=(frames, rows, cols), uint8 or uint16], as a laboratory's own camera program may write.

    Such a file states no frame rate: the case says it (capture_fps).
    """

    name: ClassVar[str] = "my-stage"
    summary: ClassVar[str] = "a stack of pictures in a .npy file"

    @classmethod
    def accepts(cls, evidence: Evidence) -> bool:
        """Whether it is a .npy file, by its name and first bytes."""
        if evidence.path.suffix.lower() != ".npy" or not evidence.path.is_file():
            return False
        with evidence.path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC

    def open(self, evidence: Evidence) -> FrameStream:
        """Open the stack; its pixels are read as they are asked for.

        Raises
        ------
        EvidenceMissing
            It isn't there, or may not be read.
        EvidenceUnreadable
            It is no .npy file, or doesn't hold pictures.
        """
        (path,) = evidence.files() if not evidence.path.is_dir() else (evidence.path,)
        try:
            luma = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise EvidenceUnreadable(f"{path}: no stack of pictures in a .npy file: {error}") from error
        if luma.ndim != 3 or luma.dtype not in (np.uint8, np.uint16) or luma.size == 0:
            raise EvidenceUnreadable(
                f"{path}: it holds {luma.dtype} of shape {luma.shape}; uint8 or uint16 (frames, rows, cols) is read"
            )
        return _Stack(luma)


class _Stack(FrameStream):
    """Frames from an array."""

    def __init__(self, luma: Luma) -> None:
        self._luma = luma
        self.height, self.width = luma.shape[1:]
        self.full_scale = int(np.iinfo(luma.dtype).max)
        self.stamps = np.full(len(luma), np.nan)
        self.stamp_resolution = 0.0
        self.declared_rate = None
        self.facts = {"container_format": "npy", "inter_coded": False}
        self.complaints = []

    def blocks(self) -> Iterator[FrameBlock]:
        """One pass; see `FrameStream.blocks`."""
        for first in range(0, len(self._luma), _BLOCK):
            luma = self._luma[first : first + _BLOCK].copy()  # read from the file here
            yield FrameBlock(np.arange(first, first + len(luma)), luma)
