"""What the picture's detail and its noise tell about motion, tile by tile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.assessment.frame_sums import FrameSums, difference
from vmforensics.assessment.tiles import Tiles, slopes
from vmforensics.data import Luma, Region, SensorFrames
from vmforensics.numerics.derivative import NOISE_GAIN
from vmforensics.numerics.noise import NoiseModel

_MOVED = 1.25  # times the detail of the mean that single frames must have for the picture to have moved
_TRAVEL = 0.15  # px that it must have moved by between the frames looked at, too
_ALIVE = 4.0  # times the noise that successive frames differ by where something happens
_FLAT = 0.25  # of the pixels, those with the least slopes, that the noise of a picture that moves is told from
_SAMPLES = 100_000  # pixels that noise is told from, about


@dataclass(frozen=True, slots=True, eq=False)
class Texture:
    """The information on motion that each tile of a picture holds.

    Parameters
    ----------
    picture : ndarray [shape=(rows, cols), float64, DN]
        Temporal mean, in readout order.
    noise : NoiseModel
        Variance of a pixel.
    tiles : Tiles
    information : ndarray [shape=(tile rows, tile columns, 2, 2), float64, 1/px²]
        Fisher information of one frame on (dx, dy), gain and offset of the tile's brightness projected out.
    alive : ndarray [shape=(tile rows, tile columns), bool]
        Where successive frames differ by far more than noise: something moves there, or a lamp flickers. Nowhere in
        a picture that moves as a whole, where that can't be told.
    clipped : float
        Share of the pixels that reach either end of the codes in use.
    moved : bool
        Whether the picture, or what holds most of its detail, moved by so much that the mean is blurred.
    """

    picture: NDArray[np.float64]
    noise: NoiseModel
    tiles: Tiles
    information: NDArray[np.float64]
    alive: NDArray[np.bool_]
    clipped: float
    moved: bool

    @classmethod
    def of(cls, frames: SensorFrames) -> Texture:
        """One pass over some frames.

        The information is Σ ∇I ∇Iᵀ / σ²(I) of the mean picture, less what the mean's own noise feigns; of a picture
        that moves it is that of pairs of successive frames, E[∇Iₙ ∇Iₙ₊₁ᵀ / σ²], in which noise doesn't count.

        Raises
        ------
        TooFewFrames
            Fewer than three frames could be decoded.
        """
        sums = FrameSums.over(frames)
        tiles = Tiles.of(frames.rows, frames.cols)
        mean = sums.mean()
        temporal = sums.squares / np.float32(2 * sums.pairs)
        noise = _noise(mean, temporal, tiles)
        normal, level = _normal(mean, noise, tiles), np.empty(tiles.shape)
        differ, detail = np.empty(tiles.shape), np.empty(tiles.shape)
        for k, band in tiles.bands():
            level[k] = tiles.sums(noise.variance(mean[band]))
            differ[k] = tiles.sums(temporal[band])
            along, down = slopes(mean, band)
            detail[k] = tiles.sums(along**2 + down**2)
        detail -= 2 * NOISE_GAIN / sums.count * level
        moved = _travel(mean, sums.kept, tiles) > _TRAVEL and _blurred(detail, sums.kept, tiles)
        if moved:
            noise = _noise_of_pairs(sums.kept, tiles)
            information = _crossed(sums.kept, tiles, noise)
        else:
            feigned = NOISE_GAIN / sums.count * tiles.pixels
            information = _projected(normal) - feigned[..., None, None] * np.eye(2)
        return cls(
            picture=mean,
            noise=noise,
            tiles=tiles,
            information=_positive(information),
            alive=(differ > _ALIVE * level) & (not moved),
            clipped=sums.clipped(),
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
        down, across = self.tiles.shape
        return self.region(0, down - 1, 0, across - 1)

    def region(self, top: int, bottom: int, left: int, right: int) -> Region:
        """The rectangle of some tiles (last ones included), in readout order."""
        rows, cols = self.tiles.rows, self.tiles.cols
        y, x = int(rows[top]), int(cols[left])
        return Region(x, y, int(cols[right + 1]) - x, int(rows[bottom + 1]) - y)


def _noise(mean: NDArray[np.float64], temporal: NDArray[np.float32], tiles: Tiles) -> NoiseModel:
    """The noise of a picture at rest, from the temporal variance of its pixels."""
    step = max(1, mean.size // _SAMPLES)
    samples = [
        tuple(each.ravel()[::step] for each in (mean[band], *slopes(mean, band), temporal[band]))
        for _, band in tiles.bands()
    ]
    level, along, down, variance = (np.concatenate(each) for each in zip(*samples, strict=True))
    return NoiseModel.fitted(level, (along, down), variance)


def _noise_of_pairs(pairs: list[tuple[Luma, Luma]], tiles: Tiles) -> NoiseModel:
    """The noise of a picture that moves, from where each frame's slopes are least."""
    step = max(1, len(pairs) * pairs[0][0].size // _SAMPLES)
    samples = []
    for before, luma in pairs:
        change = difference(before, luma)
        for _, band in tiles.bands():
            along, down = (slope.ravel()[::step] for slope in slopes(before, band))
            steep = along**2 + down**2
            flat = steep <= np.quantile(steep, _FLAT)
            level, changed = (each[band].ravel()[::step][flat].astype(np.float64) for each in (before, change))
            samples.append((level, along[flat], down[flat], changed**2 / 2))
    level, along, down, variance = (np.concatenate(each) for each in zip(*samples, strict=True))
    return NoiseModel.fitted(level, (along, down), variance)


def _normal(mean: NDArray[np.float64], noise: NoiseModel, tiles: Tiles) -> NDArray[np.float64]:
    """Normal equations of each tile's (gain, offset, dx, dy) [shape=(*tiles, 4, 4), float64]."""
    normal = np.empty((*tiles.shape, 4, 4))
    middle = mean.mean()
    for k, band in tiles.bands():
        weight = 1 / noise.variance(mean[band])
        design = (mean[band] - middle, np.ones_like(weight), *slopes(mean, band))
        for i, one in enumerate(design):
            for j, other in enumerate(design[: i + 1]):
                normal[k, :, i, j] = normal[k, :, j, i] = tiles.sums(weight * one * other)
    return normal


def _crossed(pairs: list[tuple[Luma, Luma]], tiles: Tiles, noise: NoiseModel | None = None) -> NDArray[np.float64]:
    """E[∇Iₙ ∇Iₙ₊₁ᵀ], over the variance where the noise is given [shape=(*tiles, 2, 2), float64]."""
    crossed = np.zeros((*tiles.shape, 2, 2))
    for before, luma in pairs:
        for k, band in tiles.bands():
            first, second = slopes(before, band), slopes(luma, band)
            if noise is not None:
                variance = noise.variance(before[band].astype(np.float64))
                first = (first[0] / variance, first[1] / variance)
            for i, one in enumerate(first):
                for j, other in enumerate(second):
                    crossed[k, :, i, j] += tiles.sums(one * other)
    return np.asarray((crossed + np.swapaxes(crossed, -1, -2)) / (2 * len(pairs)))


def _blurred(detail: NDArray[np.float64], pairs: list[tuple[Luma, Luma]], tiles: Tiles) -> bool:
    """Whether single frames hold more detail than their mean [shape=tiles, DN²/px²] where there is most of it.

    Noise that a codec carries over from frame to frame looks like detail of single frames, but is little beside it.
    """
    single = np.maximum(np.trace(_crossed(pairs, tiles), axis1=-2, axis2=-1), 0.0)
    return bool(single[single > _MOVED * np.maximum(detail, 0.0)].sum() > 0.5 * single.sum() > 0)


def _travel(mean: NDArray[np.float64], pairs: list[tuple[Luma, Luma]], tiles: Tiles) -> float:
    """How far apart the first frames of pairs stand, by least squares on the mean's slopes, px.

    Slopes see no more than their own width of a motion, which is enough here.
    """
    normal, moments = np.zeros((2, 2)), np.zeros((len(pairs), 2))
    for _, band in tiles.bands():
        gradient = np.stack([slope.ravel() for slope in slopes(mean, band)])
        normal += gradient @ gradient.T
        for k, (frame, _) in enumerate(pairs):
            moments[k] += gradient @ (mean[band] - frame[band]).ravel()
    if not np.linalg.matrix_rank(normal):
        return 0.0
    places = moments @ np.linalg.pinv(normal, rcond=1e-6, hermitian=True)
    return float(np.hypot(*np.ptp(places, axis=0)))


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
