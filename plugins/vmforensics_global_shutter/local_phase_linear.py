"""Local phase to first order: the steerable pyramid's adjoint, applied to the still picture, reads motion off frames.

For small motion Σ A²·φ ≈ Σ Im(conj(C_still)·C_frame) is a fixed linear functional ⟨W, frame⟩, so that one matrix
product a block of frames replaces a pyramid a frame.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Channel, Motion, SensorFrames
from vmforensics.stages import MotionEstimator
from vmforensics_global_shutter.engine import measure
from vmforensics_global_shutter.functionals import Functionals, Part
from vmforensics_global_shutter.linearise import Linearisation
from vmforensics_global_shutter.local_phase import (
    RIDGE,
    ROUNDING,
    LocalPhaseParams,
    PhaseTemplate,
    border_repeated,
    covariance_of,
    independent,
    pyramid_for,
    references,
)
from vmforensics_global_shutter.spectral import gradient
from vmforensics_global_shutter.steerable_pyramid import SteerablePyramid
from vmforensics_global_shutter.still import View
from vmforensics_global_shutter.texture import no_texture

_PART_ROWS = 32  # rows whose functionals are multiplied at a time


class LocalPhaseLinearParams(LocalPhaseParams):
    """Parameters of `local-phase-linear`."""


class LocalPhaseLinear(MotionEstimator):
    """What `local-phase` measures, to first order about where the picture stands; far faster.

    Channels, halves and parameters are those of `local-phase`, and on motion of up to 0.05 px so is the result.
    """

    name: ClassVar[str] = "local-phase-linear"
    summary: ClassVar[str] = "Local phase to first order: the steerable pyramid's adjoint on the still picture; fast"
    reference: ClassVar[str] = "Davis et al. 2014, doi:10.1145/2601097.2601119"
    Params: ClassVar[type[LocalPhaseLinearParams]] = LocalPhaseLinearParams

    def estimate(self, frames: SensorFrames) -> Motion:
        """Measure one displacement a frame and channel, at the mean instant of the rows.

        Raises
        ------
        TooFewFrames
            Fewer than three frames could be decoded.
        RegionError
            The region is too small for the scales, or holds no texture.
        """
        pyramid, warnings = pyramid_for(frames, self.params)

        def suited(view: View) -> LinearPhase:
            method = LinearPhase(pyramid, self.params.stripe_width, ())
            channels = method.linearise(view).channels
            if not channels:
                raise no_texture(frames)
            return replace(method, channels=channels)

        motion = measure(frames, suited)
        return replace(motion, warnings=(*warnings, *motion.warnings))


@dataclass(frozen=True, slots=True, eq=False)
class LinearPhase:
    """The bands of a view of the still picture as functionals.

    Parameters
    ----------
    pyramid : SteerablePyramid
    stripe_width : float, px
        Of the stripes that make two halves.
    channels : tuple of Channel
        Those to be measured; empty: all that a view offers.
    """

    pyramid: SteerablePyramid
    stripe_width: float
    channels: tuple[Channel, ...]

    def linearise(self, view: View) -> Linearisation:
        """The functionals of every band and set of pixels; those that a view doesn't offer read nothing."""
        rows, cols = (
            slice((n - m) // 2, (n - m) // 2 + m) for n, m in zip(view.picture.shape, self.pyramid.shape, strict=True)
        )
        mean = view.picture[rows, cols]
        slopes = gradient(mean)
        variance = np.maximum(view.noise.variance(mean), ROUNDING)
        template = PhaseTemplate(
            border_repeated(mean.copy()),
            border_repeated(slopes.astype(np.float64)),
            float(np.median(variance)),
            view.frames,
        )
        found = references(self.pyramid, template, self.stripe_width)
        offered = [channel for reference in found for channel in reference.channels]
        if not offered:
            return Linearisation(Functionals((), view.picture, 0), (), np.zeros((0, 0)))
        pictures = np.concatenate([r.functionals(self.pyramid) for r in found])
        known = view.known[rows, cols]
        if not known.all():
            pictures *= known
            response = -np.tensordot(pictures, slopes, axes=([1, 2], [1, 2])).astype(np.float64)
            offered = [replace(c, response=(float(x), float(y))) for c, (x, y) in zip(offered, response, strict=True)]
        covariance = covariance_of(pictures, variance)
        quarter = np.array([r.band.wavelength / 4 for r in found for _ in r.channels])
        useful = np.flatnonzero((np.diag(covariance) > 0) & (np.diag(covariance) < quarter**2))
        covariance = covariance[np.ix_(useful, useful)]
        covariance += RIDGE * np.diag(np.diag(covariance))
        channels = list(independent([offered[k] for k in useful], covariance))
        precision: NDArray[np.float64] = np.asarray(np.linalg.inv(covariance), dtype=np.float64)
        functionals = pictures[useful]
        if self.channels:
            channels, precision, functionals = self._as_wanted(channels, precision, functionals)
        parts = tuple(
            Part(
                slice(rows.start + k, min(rows.start + k + _PART_ROWS, rows.stop)),
                cols,
                slice(0, len(channels)),
                functionals[:, k : k + _PART_ROWS].reshape(len(channels), -1),
            )
            for k in range(0, self.pyramid.shape[0], _PART_ROWS)
        )
        return Linearisation(Functionals(parts, view.picture, len(channels)), tuple(channels), precision)

    def _as_wanted(
        self, channels: list[Channel], precision: NDArray[np.float64], functionals: NDArray[np.float32]
    ) -> tuple[list[Channel], NDArray[np.float64], NDArray[np.float32]]:
        """The channels in the order of those wanted, with the response that they have here."""
        of = {channel.label: k for k, channel in enumerate(channels)}
        here = [(k, of[c.label]) for k, c in enumerate(self.channels) if c.label in of]
        to, source = (
            (np.array(side, np.intp) for side in zip(*here, strict=True)) if here else (np.zeros(0, np.intp),) * 2
        )
        wanted = list(self.channels)
        for k, own in here:
            wanted[k] = replace(wanted[k], response=channels[own].response)
        all_precision = np.zeros((len(wanted),) * 2)
        all_functionals = np.zeros((len(wanted), *functionals.shape[1:]), np.float32)
        all_precision[np.ix_(to, to)] = precision[np.ix_(source, source)]
        all_functionals[to] = functionals[source]
        return wanted, all_precision, all_functionals
