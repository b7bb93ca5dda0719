"""Motion by weighted least squares on the still picture's gradient, tile by tile."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vmforensics.data import Channel, Motion, SensorFrames
from vmforensics.errors import RegionError
from vmforensics.stages import MotionEstimator, StageParams
from vmforensics.units import Pixels
from vmforensics_global_shutter.engine import measure
from vmforensics_global_shutter.functionals import Functionals, Part
from vmforensics_global_shutter.linearise import Linearisation
from vmforensics_global_shutter.spectral import NOISE_GAIN
from vmforensics_global_shutter.still import View
from vmforensics_global_shutter.tiles import Tile, grid_of, grids

_LEAST = 16  # px each way
_BORDER = 2  # px
_SUREST = 4.0  # times what the template's noise alone feigns; a direction with less information isn't measured
_LOSS = 0.1  # of the information that the whole picture has, estimated; 0.3 dB in truth
_SAMPLE = 2**16  # pixels that tell it
_VAGUE = 2.0  # px; a direction known no better than that isn't either


class GradientParams(StageParams):
    """Parameters of `gradient`."""

    tile: Pixels | None = Field(
        default=None,
        ge=16,
        le=4096,
        description="Size of the tiles that are measured apart, in px; null: the smallest of 32 px or more that lose "
        "little to what is fitted in each, at most 48",
    )


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
    masks: ClassVar[bool] = True
    Params: ClassVar[type[GradientParams]] = GradientParams

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
        size = self.params.tile
        if size is None:
            return measure(frames, TiledGradient.suited)
        tiles = grid_of(frames.rows, frames.cols, size)
        return measure(frames, lambda _: TiledGradient(tiles))


@dataclass(frozen=True, slots=True)
class TiledGradient:
    """Least squares on the gradient in each of some tiles.

    Parameters
    ----------
    tiles : tuple of Tile
    """

    tiles: tuple[Tile, ...]

    @classmethod
    def suited(cls, view: View) -> TiledGradient:
        """With the finest tiles that a picture allows.

        In a tile smaller than the picture's detail a motion can't be told from a change of brightness; tiles that
        lose too much so are doubled in size.
        """
        equations = _Equations.of(view)
        step = max(1, math.isqrt(view.picture.size // _SAMPLE))

        def information(rows: slice, cols: slice) -> NDArray[np.float64]:
            return equations.information((slice(rows.start, rows.stop, step), slice(cols.start, cols.stop, step)))

        whole = information(slice(None), slice(None))
        for grid in grids(*view.picture.shape):
            share = sum(information(tile.rows, tile.cols) for tile in grid)
            if np.all(np.diag(share) >= (1 - _LOSS) * np.diag(whole)):
                break
        return cls(grid)

    def linearise(self, view: View) -> Linearisation:
        """The least-squares solutions of every tile as functionals: two channels a tile, x and y.

        Tiles move with the picture: each keeps to the same part of the scene.
        """
        equations = _Equations.of(view)
        parts, channels = [], []
        precision = np.zeros((2 * len(self.tiles),) * 2)
        for number, tile in enumerate(self.tiles):
            place = tile.at(view.place, view.picture.shape)
            solved, known = equations.solved(place)
            own = slice(2 * number, 2 * number + 2)
            precision[own, own] = known
            parts.append(Part(*place, own, solved.astype(np.float32)))
            r = tile.region
            for name, response in (("x", (1.0, 0.0)), ("y", (0.0, 1.0))):
                label = f"{name}, tile {r.x},{r.y} {r.width}x{r.height}"
                channels.append(Channel(label, response, tile.half, place=r))
        functionals = Functionals(tuple(parts), view.picture, len(channels))
        return Linearisation(functionals, tuple(channels), precision)


@dataclass(frozen=True, slots=True, eq=False)
class _Equations:
    """What every pixel contributes to the normal equations.

    Parameters
    ----------
    design : ndarray [shape=(4, rows, cols), float32]
        The picture less its mean, one, and what a motion of 1 px along and across the rows changes.
    weight : ndarray [shape=(rows, cols), float32, 1/DN²]
    frames : int
        How many frames the picture is the mean of.
    """

    design: NDArray[np.float32]
    weight: NDArray[np.float32]
    frames: int

    @classmethod
    def of(cls, view: View) -> _Equations:
        """Those of a view, whose border takes no part: no derivative is known there."""
        weight = (view.known / view.noise.variance(view.picture)).astype(np.float32)
        for edge in (weight, weight.T):
            edge[:_BORDER] = edge[-_BORDER:] = 0
        picture = view.picture
        design = np.empty((4, *picture.shape), np.float32)
        design[0], design[1] = picture - picture.mean(), 1
        np.negative(view.gradient, out=design[2:])
        return cls(design, weight, view.frames)

    def _projected(self, place: tuple[slice, slice]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Information on (dx, dy) in a tile [shape=(2, 2)], and the pixels' shares in its moments [shape=(2, pixels)].

        Gain and offset are projected out.
        """
        design = self.design[:, *place].reshape(4, -1).astype(np.float64)
        weighted = design * self.weight[place].ravel()
        normal = weighted @ design.T
        ridge = (1e-9 * np.trace(normal[:2, :2]) + 1e-12) * np.eye(2)
        share = np.linalg.solve(normal[:2, :2] + ridge, normal[:2, 2:]).T
        return normal[2:, 2:] - share @ normal[:2, 2:], weighted[2:] - share @ weighted[:2]

    def _feigned(self, place: tuple[slice, slice]) -> float:
        """Information that the picture's own noise feigns, as its derivative sees it: an eigenvalue too much."""
        return float(NOISE_GAIN / self.frames * np.count_nonzero(self.weight[place]))

    def information(self, place: tuple[slice, slice]) -> NDArray[np.float64]:
        """On (dx, dy) in a tile [shape=(2, 2), float64, 1/px²]."""
        return self._projected(place)[0] - self._feigned(place) * np.eye(2)

    def solved(self, place: tuple[slice, slice]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Functionals for (dx, dy) of a tile, and the inverse covariance of what they read.

        Returns
        -------
        functionals : ndarray [shape=(2, pixels), float64, px/DN]
        precision : ndarray [shape=(2, 2), float64, 1/px²]
        """
        information, moments = self._projected(place)
        feigned = self._feigned(place)
        values, vectors = np.linalg.eigh(information - feigned * np.eye(2))
        keep = values > max(_SUREST * feigned, 1 / _VAGUE**2, 1e-6 * values[-1])
        if not keep.any():
            return np.zeros_like(moments), np.zeros((2, 2))
        inverse = (vectors[:, keep] / values[keep]) @ vectors[:, keep].T
        covariance = inverse @ information @ inverse * (1 + 1 / self.frames)
        return inverse @ moments, np.linalg.pinv(covariance, rcond=1e-6, hermitian=True)
