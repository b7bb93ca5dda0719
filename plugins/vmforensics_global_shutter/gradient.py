"""Motion by weighted least squares on the still picture's gradient, tile by tile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Channel, Motion, SensorFrames
from vmforensics.errors import RegionError
from vmforensics.numerics.derivative import NOISE_GAIN
from vmforensics.stages import MotionEstimator
from vmforensics_global_shutter.engine import measure
from vmforensics_global_shutter.functionals import Functionals, Part
from vmforensics_global_shutter.linearise import Linearisation
from vmforensics_global_shutter.still import View
from vmforensics_global_shutter.tiles import Tile, tiles

_LEAST = 16  # px each way
_SUREST = 4.0  # times what the template's noise alone feigns; a direction with less information isn't measured
_VAGUE = 2.0  # px; a direction known no better than that isn't either


class Gradient(MotionEstimator):
    """Joint least squares for (dx, dy) in each tile, with brightness gain and offset as nuisances.

    A frame is I ≈ S - S_x·dx - S_y·dy + g·S + o + noise, with S the still picture and S_x, S_y its spatial derivatives.
    Weighted by the noise variance σ²(I) = a + b·I, the solution reaches the Cramér-Rao bound Cov ≥ (Gᵀ Σ⁻¹ G)⁻¹ of a
    known picture. The picture's own noise, which would shrink the result (errors in variables), is taken out of the
    normal equations. The tiles of a chessboard's two colours make the two halves.
    """

    name: ClassVar[str] = "gradient"
    summary: ClassVar[str] = "Weighted least squares on the gradient of the still picture, tile by tile; fast"
    reference: ClassVar[str] = "Lucas & Kanade 1981; Davis et al. 2014, doi:10.1145/2601097.2601119"

    def estimate(self, frames: SensorFrames) -> Motion:
        """Measure one displacement a frame and tile, at the mean instant of the rows.

        Raises
        ------
        TooFewFrames
            Fewer than three frames could be decoded.
        RegionError
            The region is too small, or holds no texture.
        """
        if min(frames.rows, frames.cols) < _LEAST:
            raise RegionError(
                f"the region has {frames.rows} rows of {frames.cols} px; gradient needs at least {_LEAST} each way",
                hint="take a larger region",
            )
        return measure(frames, TiledGradient(tuple(tiles(frames.rows, frames.cols))))


@dataclass(frozen=True, slots=True)
class TiledGradient:
    """Least squares on the gradient in each of some tiles.

    Parameters
    ----------
    tiles : tuple of Tile
    """

    tiles: tuple[Tile, ...]

    def linearise(self, view: View) -> Linearisation:
        """The least-squares solutions of every tile as functionals: two channels a tile, x and y."""
        along, down = view.slopes()
        weight = view.known / view.noise.variance(view.picture)
        parts, channels = [], []
        precision = np.zeros((2 * len(self.tiles),) * 2)
        for number, tile in enumerate(self.tiles):
            place = (tile.rows, tile.cols)
            design = np.stack([view.picture[place], np.ones(along[place].shape), -along[place], -down[place]])
            solved, known = _solve(design.reshape(4, -1), weight[place].ravel(), view.frames)
            own = slice(2 * number, 2 * number + 2)
            precision[own, own] = known
            parts.append(Part(*place, own, solved.astype(np.float32)))
            r = tile.region
            for name, response in (("x", (1.0, 0.0)), ("y", (0.0, 1.0))):
                label = f"{name}, tile {r.x},{r.y} {r.width}x{r.height}"
                channels.append(Channel(label, response, tile.half, place=r))
        functionals = Functionals(tuple(parts), view.picture, len(channels))
        return Linearisation(functionals, tuple(channels), precision)


def _solve(
    design: NDArray[np.float64], weight: NDArray[np.float64], frames: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Functionals for (dx, dy) with gain and offset projected out, and the inverse covariance of what they read.

    Parameters
    ----------
    design : ndarray [shape=(4, pixels), float64]
        The picture, one, and what a motion of 1 px along and across the rows changes.
    weight : ndarray [shape=(pixels,), float64, 1/DN²]
    frames
        How many frames the picture is the mean of.

    Returns
    -------
    functionals : ndarray [shape=(2, pixels), float64, px/DN]
    precision : ndarray [shape=(2, 2), float64, 1/px²]
    """
    count = np.count_nonzero(weight)
    if count == 0:
        return np.zeros((2, len(weight))), np.zeros((2, 2))
    level = np.average(design[0], weights=weight)
    design = np.concatenate([design[:1] - level, design[1:]])
    weighted = design * weight
    normal = weighted @ design.T
    ridge = 1e-9 * np.trace(normal[:2, :2]) * np.eye(2)
    share = np.linalg.solve(normal[:2, :2] + ridge, normal[:2, 2:]).T  # of gain and offset in the slopes
    information = normal[2:, 2:] - share @ normal[:2, 2:]
    # Noise of the picture, as its derivative sees it: what the normal equations hold too much of.
    noise = NOISE_GAIN / frames * count
    values, vectors = np.linalg.eigh(information - noise * np.eye(2))
    keep = values > max(_SUREST * noise, 1 / _VAGUE**2, 1e-6 * values[-1])
    vectors, values = vectors[:, keep], values[keep]
    inverse = (vectors / values) @ vectors.T
    covariance = inverse @ information @ inverse * (1 + 1 / frames)
    precision = np.linalg.pinv(covariance, rcond=1e-6, hermitian=True) if keep.any() else np.zeros((2, 2))
    return inverse @ (weighted[2:] - share @ weighted[:2]), precision
