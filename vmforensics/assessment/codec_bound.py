"""What a codec's quantisers left of the information on motion: the bound that no recovery can pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vmforensics.assessment.budget import BANDS, LOWEST
from vmforensics.data import FrameBlock, FrameCoding, FrameStream, Region, TableCoding
from vmforensics.data.codec import LOSSLESS, MACROBLOCK
from vmforensics.numerics.coded.levels import Levels
from vmforensics.numerics.coded.quantisation import codec_limited_information
from vmforensics.numerics.coded.tables import TableReader
from vmforensics.numerics.coded.transforms import COSINE, SIDE, transformed
from vmforensics.numerics.derivative import derivative
from vmforensics.numerics.noise import QUANTISATION

_EIGHT_BITS = 255
_FRAMES = 48  # that noise and steps are taken from, at the beginning
_MOST_CODINGS = 8  # of those frames, whose steps are averaged over
_BLOCK_ROWS = 32  # of blocks, that are reckoned at once
_MOST_BLOCKS = 2000
_STIR = 1e-4  # px²; ranks coefficients by how much motion would change them
_LEAST_EXPLAINED = 0.3  # share of the blocks that must lie on the quantiser's lattice


@dataclass(frozen=True, slots=True)
class CodecBound:
    """Cramér-Rao bounds of a region's motion, along the direction that is seen most clearly.

    Parameters
    ----------
    basis : str
        What the figures stand for, or why there are none.
    noise : float or None, DN
        The camera's noise before compression; None where that isn't known, like what follows.
    limited, unlimited : float or None, px
        Standard deviation of a median row's reading (of a whole frame's at a global shutter) that is left, and that the
        same noise would have allowed without the codec.
    samples_per_second : float
        Of such rows or frames while they are read.
    shutter : str
        "rolling" or "global".
    direction : str
        In which motion is seen most clearly, "along rows" or "across rows"; "" where there is no bound.
    at_best : bool
        Whether there may have been more noise, and less may be left.
    """

    basis: str
    noise: float | None
    limited: float | None
    unlimited: float | None
    samples_per_second: float
    shutter: str
    direction: str = ""
    at_best: bool = False

    def described(self, upper: float) -> dict[str, Any]:
        """For assessment.json; nothing shows above a frequency (Hz)."""
        known = self.limited is not None and self.unlimited is not None
        loss = 20 * np.log10(self.limited / self.unlimited) if self.limited and self.unlimited else None
        return {
            "basis": self.basis,
            "at_best": self.at_best,
            "shutter": self.shutter,
            "direction": self.direction or None,
            "noise_before_compression_dn": self.noise,
            "sample": "row" if self.shutter == "rolling" else "frame",
            "uncertainty_px": self.limited,
            "uncertainty_without_codec_px": self.unlimited,
            "noise_density_px_per_rthz": self._density(self.limited),
            "rms_px": self._bands(self.limited, upper) if known else None,
            "rms_without_codec_px": self._bands(self.unlimited, upper) if known else None,
            "loss_db": None if loss is None else float(loss),
        }

    def _density(self, uncertainty: float | None) -> float | None:
        """One-sided noise density (px/√Hz) of independent samples."""
        return None if uncertainty is None else uncertainty * float(np.sqrt(2 / self.samples_per_second))

    def _bands(self, uncertainty: float | None, upper: float) -> dict[str, float]:
        density = self._density(uncertainty) or 0.0
        return {f"80_{top:.0f}_hz": density * float(np.sqrt(max(min(top, upper) - LOWEST, 0.0))) for top in BANDS}


def codec_bound(
    stream: FrameStream,
    picture: NDArray[np.float64],
    region: Region | None,
    *,
    shown: float,
    line_delay: float,
    frame_rate: float,
) -> CodecBound:
    """Reckon what is left of the information on motion.

    Each coefficient of the picture's slope, in 8 by 8 px cosine transforms, counts by what a uniform quantiser of its
    step leaves under the camera's noise (`codec_limited_information`), on average over some of the first frames. The
    noise is that before compression: of JPEG by how often levels change (`Levels.noise`). Of H.264 it is only known to
    be at least what decoded frames still show; less noise would leave more, so that the figure stays a bound, and the
    loss is the largest that it can have been.

    Parameters
    ----------
    stream
        The clip; rows run from top to bottom.
    picture : ndarray [shape=(rows, cols), float64, DN]
        Its temporal mean in the region.
    region
        Rectangle of the coded picture; the whole of it if None.
    shown : float, DN
        Standard deviation of the noise that decoded frames show.
    line_delay : float, s
        Between rows; 0 for a global shutter.
    frame_rate : float, Hz
    """
    shutter, samples = ("rolling", 1 / line_delay) if line_delay else ("global", frame_rate)
    if stream.full_scale != _EIGHT_BITS:
        return CodecBound("not known: the pixels have more than 8 bits", None, None, None, samples, shutter)
    blocks = _Blocks.of(picture, region)
    if blocks is None:
        return CodecBound("not known: the picture is smaller than a block", None, None, None, samples, shutter)
    coded = list(_first(stream))
    codings = [coding for block in coded for coding in block.coding if coding is not None]
    if not codings:
        codec = stream.facts.get("codec")
        basis = f"not known: the file doesn't tell how coarsely {codec} quantised" if codec else "not known: no codec"
        if codec in LOSSLESS:
            basis = f"{codec} loses nothing"
        return CodecBound(basis, None, None, None, samples, shutter)
    tables = isinstance(codings[0], TableCoding)
    sigma = blocks.noise_of_tables(coded) if tables else shown
    if sigma is None:
        basis = "not known: too little changes from frame to frame to tell the camera's noise before compression"
        return CodecBound(basis, None, None, None, samples, shutter)
    total = np.sqrt(sigma**2 + QUANTISATION)
    left, free = np.zeros(2), np.zeros(2)
    for axis in (0, 1):
        slope = derivative(blocks.picture, axis=1 - axis)
        without = _information(slope, np.full((SIDE, SIDE), 1e-9), total)
        kept = np.mean([_information(slope, blocks.steps(one), total) for one in _some(codings)], axis=0)
        left[axis], free[axis] = _of_sample(kept, shutter), _of_sample(without, shutter)
    clearest = int(np.argmax(left))
    if left[clearest] <= 0:
        return CodecBound("not known: the picture shows no motion", sigma, None, None, samples, shutter)
    limited, unlimited = (float(1 / np.sqrt(information[clearest])) for information in (left, free))
    direction = ("along rows", "across rows")[clearest]
    return CodecBound(_BASIS[tables], sigma, limited, unlimited, samples, shutter, direction, at_best=not tables)


_BASIS = {
    True: "each picture's quantiser table, as its header tells it",
    False: "at best: each block's quantiser, as if it coded the block by itself (predicted ones may keep less), and no "
    "more noise than decoded frames still show. The loss is at most this",
}


def _first(stream: FrameStream) -> Iterator[FrameBlock]:
    """The first frames."""
    left = _FRAMES
    for block in stream.coded_blocks():
        count = min(left, len(block.index))
        yield FrameBlock(
            block.index[:count], block.luma[:count].copy(), block.frame_types[:count], block.coding[:count]
        )
        left -= count
        if left <= 0:
            return


def _some(codings: list[FrameCoding | TableCoding]) -> list[FrameCoding | TableCoding]:
    """A few of them, spread evenly: steps hardly change, but after the first, which encoders code far finer."""
    first = min(1, len(codings) - 1)
    return [codings[k] for k in np.unique(np.linspace(first, len(codings) - 1, _MOST_CODINGS).astype(int))]


def _information(slope: NDArray[np.float64], steps: NDArray[np.floating], sigma: float) -> NDArray[np.float64]:
    """As `codec_limited_information`, some rows of blocks at a time, which needs less memory."""
    size = _BLOCK_ROWS * SIDE
    return np.concatenate(
        [
            codec_limited_information(
                slope[top : top + size],
                steps if steps.ndim == 2 else steps[top // SIDE : top // SIDE + _BLOCK_ROWS],
                sigma,
            )
            for top in range(0, len(slope), size)
        ]
    )


def _of_sample(information: NDArray[np.float64], shutter: str) -> float:
    """Information (1/px²) of a median row, an eighth of its blocks', or of a whole frame."""
    if shutter == "global":
        return float(np.sum(information))
    rows = np.sum(information, axis=1) / SIDE
    rows = rows[rows > 0]
    return float(np.median(rows)) if len(rows) else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Blocks:
    """The whole blocks of a region.

    Parameters
    ----------
    picture : ndarray [shape=(rows, cols), float64, DN]
        What they cover of the temporal mean: whole blocks.
    y, x : int, px
        Where that begins in the coded picture: multiples of 8.
    top, left : ndarray [shape=(blocks,), int64, px]
        Where those that the noise is told from begin.
    """

    picture: NDArray[np.float64]
    y: int
    x: int
    top: NDArray[np.int64]
    left: NDArray[np.int64]

    @classmethod
    def of(cls, picture: NDArray[np.float64], region: Region | None) -> _Blocks | None:
        """Lay them out; None where there is none."""
        y, x = (region.y, region.x) if region is not None else (0, 0)
        down, right = -y % SIDE, -x % SIDE
        rows, cols = ((size - skip) // SIDE * SIDE for size, skip in zip(picture.shape, (down, right), strict=True))
        if rows < SIDE or cols < SIDE:
            return None
        whole = picture[down : down + rows, right : right + cols]
        top, left = np.meshgrid(np.arange(0, rows, SIDE), np.arange(0, cols, SIDE), indexing="ij")
        chosen = np.arange(0, top.size, max(1, top.size // _MOST_BLOCKS))
        return cls(whole, y + down, x + right, (y + down + top.ravel())[chosen], (x + right + left.ravel())[chosen])

    def _cut(self, picture: NDArray[np.float64]) -> NDArray[np.float64]:
        """Coefficients of the chosen blocks of a picture [shape=(blocks, 64), float64, DN]."""
        inside = np.arange(SIDE)
        rows = (self.top - self.y)[:, None, None] + inside[:, None]
        cols = (self.left - self.x)[:, None, None] + inside
        return transformed(picture[rows, cols], COSINE).astype(np.float64)

    def _slopes(self) -> NDArray[np.float64]:
        """Squared change of each coefficient with motion, of either axis [shape=(2, blocks, 64), (DN/px)²]."""
        return np.stack([self._cut(derivative(self.picture, axis=axis)) for axis in (1, 0)]) ** 2

    def noise_of_tables(self, coded: list[FrameBlock]) -> float | None:
        """The camera's noise (DN) by JPEG's levels."""
        levels = Levels.over(TableReader(self.top, self.left).read(iter(coded)), self.top // SIDE)
        if levels is None or levels.explained < _LEAST_EXPLAINED:
            return None
        return levels.noise(self._slopes(), np.full(2, _STIR))

    def steps(self, coding: FrameCoding | TableCoding) -> NDArray[np.floating]:
        """A frame's quantiser steps, as `codec_limited_information` takes them."""
        if isinstance(coding, TableCoding):
            return coding.steps
        rows, cols = (size // SIDE for size in self.picture.shape)
        down = (self.y + SIDE * np.arange(rows)) // MACROBLOCK
        right = (self.x + SIDE * np.arange(cols)) // MACROBLOCK
        return np.asarray(coding.steps[np.ix_(down, right)][..., None, None])
