"""What the picture's detail and its noise tell about motion, tile by tile."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Luma, Region, SensorFrames
from vmforensics.errors import TooFewFrames
from vmforensics.numerics.derivative import NOISE_GAIN, derivative
from vmforensics.numerics.noise import NoiseModel

_TILES = 24  # along the longer side, at most
_LEAST_TILE = 16  # px
_PAIRS, _LEAST_PAIRS, _PAIRED_PIXELS = 48, 12, 50_000_000  # of successive frames, spread over the stretch
_MOVED = 1.25  # times the detail of the mean that single frames must have for the picture to have moved
_ALIVE = 4.0  # times the noise that successive frames differ by where something happens
_PILE = 5e-4  # share of the pixels at the largest or the smallest code from which that is clipping


@dataclass(frozen=True, slots=True, eq=False)
class Texture:
    """The information on motion that each tile of a picture holds.

    Parameters
    ----------
    picture : ndarray [shape=(rows, cols), float64, DN]
        Temporal mean, in readout order.
    noise : NoiseModel
        Variance of a pixel.
    rows, cols : ndarray [shape=(tiles + 1,), int64, px]
        Where the tiles begin and end.
    information : ndarray [shape=(tile rows, tile columns, 2, 2), float64, 1/px²]
        Fisher information of one frame on (dx, dy), gain and offset of the tile's brightness projected out.
    alive : ndarray [shape=(tile rows, tile columns), bool]
        Where successive frames differ by far more than noise: something moves there, or a lamp flickers. Nowhere in
        a picture that moves as a whole, where that can't be told.
    clipped : float
        Share of the pixels that reach either end of the codes in use.
    moved : bool
        Whether the picture moved by so much that its mean is blurred.
    """

    picture: NDArray[np.float64]
    noise: NoiseModel
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    information: NDArray[np.float64]
    alive: NDArray[np.bool_]
    clipped: float
    moved: bool

    @classmethod
    def of(cls, frames: SensorFrames) -> Texture:
        """One pass over some frames.

        The information is Σ ∇I ∇Iᵀ / σ²(I) of the mean picture, less what the mean's own noise feigns; of a picture
        that moves it is that of pairs of successive frames, E[∇Iₙ ∇Iₙ₊₁ᵀ], in which noise doesn't count.

        Raises
        ------
        TooFewFrames
            Fewer than three frames could be decoded.
        """
        seen = _Pass.over(frames)
        mean = seen.total / seen.count
        slopes = (derivative(mean, axis=1), derivative(mean, axis=0))
        temporal = seen.squares / (2 * seen.pairs)
        noise = NoiseModel.fitted(mean, slopes, temporal)
        rows, cols = _edges(frames.rows), _edges(frames.cols, frames.rows)
        variance = noise.variance(mean)
        design = np.stack([mean - mean.mean(), np.ones_like(mean), *slopes])
        normal = _tile_sums(design[:, None] * design[None, :] / variance, rows, cols)
        feigned = _tile_sums(NOISE_GAIN / seen.count * np.ones_like(mean), rows, cols)
        information = _projected(normal) - feigned[..., None, None] * np.eye(2)
        level = _tile_sums(variance, rows, cols) / _tile_sums(np.ones_like(mean), rows, cols)
        paired = _tile_sums(seen.crossed / seen.pairs, rows, cols)
        single = np.stack([paired[..., 0], paired[..., 2], paired[..., 2], paired[..., 1]], axis=-1)
        single = single.reshape(*paired.shape[:2], 2, 2) / level[..., None, None]
        moved = bool(np.trace(single.sum((0, 1))) > _MOVED * max(np.trace(information.sum((0, 1))), 1e-9))
        if moved:
            information = single
        differ = _tile_sums(temporal, rows, cols) / _tile_sums(np.ones_like(mean), rows, cols)
        return cls(
            picture=mean,
            noise=noise,
            rows=rows,
            cols=cols,
            information=_positive(information),
            alive=(differ > _ALIVE * level) & (not moved),
            clipped=_clipped(seen.highest, seen.lowest, frames.full_scale),
            moved=moved,
        )

    @property
    def uncertainty(self) -> NDArray[np.float64]:
        """Cramér-Rao bound of one frame along each tile's clearest direction [shape=tiles, float64, px]; inf: none."""
        largest = np.linalg.eigvalsh(self.information)[..., -1]
        with np.errstate(divide="ignore"):
            return np.asarray(1 / np.sqrt(largest))

    @property
    def whole(self) -> Region:
        """All of it, in readout order."""
        return self.region(0, len(self.rows) - 2, 0, len(self.cols) - 2)

    def region(self, top: int, bottom: int, left: int, right: int) -> Region:
        """The rectangle of some tiles (last ones included), in readout order."""
        y, x = int(self.rows[top]), int(self.cols[left])
        return Region(x, y, int(self.cols[right + 1]) - x, int(self.rows[bottom + 1]) - y)


@dataclass(slots=True, eq=False)
class _Pass:
    """Sums over the frames [shape=(rows, cols)]."""

    total: NDArray[np.float64]
    squares: NDArray[np.float64]
    crossed: NDArray[np.float64]
    highest: NDArray[np.uint16]
    lowest: NDArray[np.uint16]
    count: int = 0
    pairs: int = 0

    @classmethod
    def over(cls, frames: SensorFrames) -> _Pass:
        shape = (frames.rows, frames.cols)
        sums = cls(
            np.zeros(shape),
            np.zeros(shape),
            np.zeros((*shape, 3)),
            np.zeros(shape, np.uint16),
            np.full(shape, np.iinfo(np.uint16).max, np.uint16),
        )
        pairs = int(np.clip(_PAIRED_PIXELS // (frames.rows * frames.cols), _LEAST_PAIRS, _PAIRS))
        stride = max(1, frames.frame_count // pairs)
        last: tuple[int, Luma] | None = None
        for block in frames.blocks():
            sums.total += block.luma.sum(axis=0, dtype=np.float64)
            np.maximum(sums.highest, block.luma.max(axis=0, initial=0), out=sums.highest)
            np.minimum(sums.lowest, block.luma.min(axis=0, initial=frames.full_scale), out=sums.lowest)
            sums.count += len(block.luma)
            for index, luma in zip(block.index.tolist(), block.luma, strict=True):
                if last is not None and last[0] == index - 1 and index % stride == stride - 1:
                    sums.add_pair(last[1].astype(np.float64), luma.astype(np.float64))
                if index % stride in (stride - 2, stride - 1) or stride == 1:
                    last = (index, luma.copy())  # a source may use a block's memory again
        if sums.count < 3 or not sums.pairs:
            raise TooFewFrames(f"{sums.count} frame(s) could be decoded; an assessment needs at least 3 in a row")
        return sums

    def add_pair(self, before: NDArray[np.float64], luma: NDArray[np.float64]) -> None:
        """Count two successive frames."""
        change = luma - before
        change -= change.mean(axis=1, keepdims=True)  # a lamp's
        self.squares += change * change
        (x, y), (u, v) = ((derivative(f, axis=1), derivative(f, axis=0)) for f in (before, luma))
        self.crossed += np.stack([x * u, y * v, (x * v + y * u) / 2], axis=-1)
        self.pairs += 1


def _edges(size: int, other: int = 0) -> NDArray[np.int64]:
    """Where tiles begin and end along a side (px)."""
    tile = max(_LEAST_TILE, math.ceil(max(size, other) / _TILES / 8) * 8)
    return np.asarray(np.linspace(0, size, max(1, round(size / tile)) + 1).astype(np.int64))


def _tile_sums(values: NDArray[np.float64], rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sums over tiles; the picture's axes are the last two, or the first two where there are three."""
    if values.ndim == 4:
        summed = np.add.reduceat(np.add.reduceat(values, rows[:-1], axis=2), cols[:-1], axis=3)
        return np.asarray(np.moveaxis(summed, (2, 3), (0, 1)))
    return np.asarray(np.add.reduceat(np.add.reduceat(values, rows[:-1], axis=0), cols[:-1], axis=1))


def _projected(normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Information on (dx, dy) with gain and offset projected out of normal equations [shape=(..., 4, 4)]."""
    nuisance, mixed = normal[..., :2, :2], normal[..., :2, 2:]
    ridge = 1e-9 * np.trace(nuisance, axis1=-2, axis2=-1)[..., None, None] + 1e-12
    share = np.linalg.solve(nuisance + ridge * np.eye(2), mixed)
    return np.asarray(normal[..., 2:, 2:] - np.swapaxes(mixed, -1, -2) @ share)


def _positive(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Symmetric matrices without their negative eigenvalues, which are noise."""
    values, vectors = np.linalg.eigh(matrices)
    return np.asarray((vectors * np.maximum(values, 0)[..., None, :]) @ np.swapaxes(vectors, -1, -2))


def _clipped(highest: NDArray[np.uint16], lowest: NDArray[np.uint16], full_scale: int) -> float:
    """Share of the pixels that were clipped in some frame."""
    clipped = (highest >= full_scale) | (lowest == 0)
    for own_limit in (highest == highest.max(), lowest == lowest.min()):
        if np.mean(own_limit) > _PILE:
            clipped |= own_limit
    return float(np.mean(clipped))
