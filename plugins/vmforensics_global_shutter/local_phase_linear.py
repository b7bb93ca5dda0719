"""Local phase to first order: the steerable pyramid's adjoint, applied to the still picture, reads motion off frames.

For small motion Σ A²·φ ≈ Σ Im(conj(C_still)·C_frame) is a fixed linear functional ⟨W, frame⟩, so that one matrix
product a block of frames replaces a pyramid a frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vmforensics.data import Motion, SensorFrames
from vmforensics.stages import MotionEstimator
from vmforensics.units import Pixels
from vmforensics_global_shutter.engine import measure
from vmforensics_global_shutter.equations import Equations
from vmforensics_global_shutter.linearise import Linearisation
from vmforensics_global_shutter.local_phase import PyramidParams, pyramid_for
from vmforensics_global_shutter.steerable_pyramid import Band, SteerablePyramid
from vmforensics_global_shutter.still import View
from vmforensics_global_shutter.tiled import linearised, suited_tiles
from vmforensics_global_shutter.tiles import Tile, grid_of

_APART = 4  # px between those that tell the usual noise
_VISIBLE = 9.0  # a coefficient counts if its power is so many times that of the noise in the still picture


class LocalPhaseLinearParams(PyramidParams):
    """Parameters of `local-phase-linear`."""

    tile: Pixels | None = Field(
        default=None,
        ge=16,
        le=4096,
        description="Size of the tiles that are measured apart, in px; null: as `gradient` chooses them",
    )


class LocalPhaseLinear(MotionEstimator):
    """What `local-phase` measures, to first order about where the picture stands; far faster, and tile by tile.

    Where a picture moves by d, a coefficient A·exp(iφ) of a band turns by -∇φ·d. The functional Σ A²·∇φ·Δφ over a
    tile and all bands is the pyramid's adjoint of i·∇φ·C, weighted by the noise of the pixels; the tile's displacement
    is what solves for its readings, with brightness gain and offset as nuisances. Bands are weighed as white noise has
    it, alike, and what the pyramid leaves out above and below them is split by orientation, too: with the bands alone
    the readings would stand 0.5 dB (a soft picture: 3 dB) off the bound. On motion of up to 0.05 px the result is that
    of `local-phase`.
    """

    name: ClassVar[str] = "local-phase-linear"
    summary: ClassVar[str] = "Local phase to first order: the steerable pyramid's adjoint on the still picture; fast"
    reference: ClassVar[str] = "Davis et al. 2014, doi:10.1145/2601097.2601119"
    masks: ClassVar[bool] = True
    Params: ClassVar[type[LocalPhaseLinearParams]] = LocalPhaseLinearParams

    def estimate(self, frames: SensorFrames) -> Motion:
        """Measure one displacement a frame and tile, at the mean instant of the rows.

        Raises
        ------
        TooFewFrames
            Fewer than three frames could be decoded.
        RegionError
            The region is too small for the scales, or holds no texture.
        """
        pyramid, warnings = pyramid_for(frames, self.params)
        tiles = None if self.params.tile is None else grid_of(frames.rows, frames.cols, self.params.tile)
        bands = pyramid.all_bands  # worked out before frames fill the memory
        motion = measure(frames, lambda view: LinearPhase(pyramid, bands, tiles or suited_tiles(view)))
        return replace(motion, warnings=(*warnings, *motion.warnings))


@dataclass(frozen=True, slots=True, eq=False)
class LinearPhase:
    """The bands of a view of the still picture as functionals.

    Parameters
    ----------
    pyramid : SteerablePyramid
    bands : tuple of Band
        Those of its bands that are used.
    tiles : tuple of Tile
    """

    pyramid: SteerablePyramid
    bands: tuple[Band, ...]
    tiles: tuple[Tile, ...]

    def linearise(self, view: View) -> Linearisation:
        """What each tile reads of the phases of all bands."""
        equations = replace(Equations.of(view), instrument=self._turning(view))
        return linearised(equations, self.tiles, view)

    def _turning(self, view: View) -> NDArray[np.float32]:
        """The picture that the turning of all phases adds up to, for motion along x and y.

        Returns
        -------
        ndarray [shape=(2, rows, cols), float32, DN/px]
            Were amplitudes as even as phases are, it would be the gradient.
        """
        rows, cols = (
            slice((n - m) // 2, (n - m) // 2 + m) for n, m in zip(view.picture.shape, self.pyramid.shape, strict=True)
        )
        mean = view.picture[rows, cols].astype(np.float32)
        mean -= mean.mean()
        noise = float(np.median(view.noise.variance(view.picture[::_APART, ::_APART])))
        spectrum = self.pyramid.spectrum(mean)
        del mean
        turning = np.zeros((2, *view.picture.shape), np.float32)
        for slopes, into in zip(view.gradient, turning, strict=True):
            moved = self.pyramid.spectrum(slopes[rows, cols])
            into[rows, cols] = self.pyramid.rebuilt(self._turned(spectrum, moved, noise / view.frames))
        return turning

    def _turned(
        self, spectrum: NDArray[np.complex64], moved: NDArray[np.complex64], noise: float
    ) -> Iterator[tuple[NDArray[np.complex64], Band]]:
        """By how much a motion of 1 px turns the coefficients of each band, i·∇φ·C.

        Parameters
        ----------
        spectrum, moved : ndarray [shape=(rows, cols), complex64]
            Of the picture, and of its derivative along the motion.
        noise : float, DN²
            Variance of a pixel of the still picture.
        """
        for band in self.bands:
            coefficients = self.pyramid.coefficients(spectrum, band)
            change = self.pyramid.coefficients(moved, band)
            power = np.square(np.abs(coefficients))
            least = _VISIBLE * noise * float(np.sum(np.square(band.filter), dtype=np.float64)) / spectrum.size
            change *= coefficients.conj()
            turn = change.imag / np.maximum(power, np.float32(max(least, 1e-12)))
            coefficients *= turn
            coefficients *= np.complex64(1j)
            yield coefficients, band
