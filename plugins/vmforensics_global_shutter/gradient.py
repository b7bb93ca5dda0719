"""Motion by weighted least squares on the still picture's gradient, tile by tile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from vmforensics.data import Motion, SensorFrames
from vmforensics.errors import RegionError
from vmforensics.stages import MotionEstimator, StageParams
from vmforensics.units import Pixels
from vmforensics_global_shutter.engine import measure
from vmforensics_global_shutter.equations import Equations
from vmforensics_global_shutter.linearise import Linearisation
from vmforensics_global_shutter.still import View
from vmforensics_global_shutter.tiled import linearised, suited_tiles
from vmforensics_global_shutter.tiles import Tile, grid_of

LEAST = 16  # px each way


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
        if min(frames.rows, frames.cols) < LEAST:
            raise RegionError(
                f"the region has {frames.rows} rows of {frames.cols} px; gradient needs at least {LEAST} each way",
                hint="take a larger region",
            )
        tiles = None if self.params.tile is None else grid_of(frames.rows, frames.cols, self.params.tile)
        return measure(frames, lambda view: TiledGradient(tiles or suited_tiles(view)))


@dataclass(frozen=True, slots=True)
class TiledGradient:
    """Least squares on the gradient in each of some tiles.

    Parameters
    ----------
    tiles : tuple of Tile
    """

    tiles: tuple[Tile, ...]

    def linearise(self, view: View) -> Linearisation:
        """The least-squares solutions of every tile as functionals."""
        return linearised(Equations.of(view), self.tiles, view)
