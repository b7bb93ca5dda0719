"""Motion by phase correlation: the peak of the cross-correlation of whole pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import fft

from vmforensics.stages import StageParams
from vmforensics_global_shutter.calibrated import CalibratedHalves, Reader

_STEPS = 3  # of Newton's method; within a quarter of a pixel of the peak the error squares with each


class PhaseCorrelationParams(StageParams):
    """Parameters of `phase-correlation`."""

    upsampling: int = Field(
        default=2, ge=1, le=100, description="Steps a pixel in which the peak is searched, before it is refined"
    )
    normalization: Literal["phase", "none"] = Field(
        default="none",
        description="phase: every spatial frequency counts alike, as in phase correlation proper; none: by its power",
    )


class PhaseCorrelation(CalibratedHalves):
    """The displacement at which a half of the picture correlates best with its temporal mean.

    scikit-image finds the peak on a grid of 1/upsampling px; Newton's method takes it from there to the top of the same
    surface, or motion finer than the grid would be lost. Pictures are tapered, for the transform takes them as
    periodic.
    """

    name: ClassVar[str] = "phase-correlation"
    summary: ClassVar[str] = "Peak of the cross-correlation of either half with its temporal mean (scikit-image)"
    reference: ClassVar[str] = (
        "Kuglin & Hines 1975 (phase correlation); Guizar-Sicairos, Thurman & Fienup 2008, doi:10.1364/OL.33.000156"
    )
    Params: ClassVar[type[StageParams]] = PhaseCorrelationParams

    def reader(self, template: NDArray[np.float64]) -> Reader:
        """See `CalibratedHalves.reader`."""
        from skimage.registration import phase_cross_correlation

        find_peak: Callable[..., Any] = phase_cross_correlation
        normalization = None if self.params.normalization == "none" else "phase"
        rows, cols = template.shape
        taper = (np.hanning(rows + 2)[1:-1, None] * np.hanning(cols + 2)[1:-1]).astype(np.float32)
        reference = fft.fft2((template - template.mean()).astype(np.float32) * taper)
        waves = 2 * np.pi * np.stack(np.meshgrid(fft.fftfreq(cols), fft.fftfreq(rows)))  # rad/px along x and y
        waves = (waves * np.all(np.abs(waves) < 3.1, axis=0)).reshape(2, -1)  # the highest wave has no direction
        products = (waves[:, None] * waves[None]).reshape(4, -1)

        def read(luma: NDArray[np.float32]) -> NDArray[np.float64]:
            spectra = fft.fft2((luma - luma.mean(axis=(1, 2), keepdims=True)) * taper)
            found = np.full((len(luma), 2), np.nan)
            seen = np.flatnonzero(spectra.any(axis=(1, 2)))  # not so for a blank picture
            for n in seen:
                shift, *_ = find_peak(
                    reference,
                    spectra[n],
                    space="fourier",
                    upsample_factor=self.params.upsampling,
                    normalization=normalization,
                )
                found[n] = -np.asarray(shift, np.float64)[::-1]
            cross = (spectra[seen] * reference.conj()).reshape(len(seen), rows * cols).astype(np.complex128)
            if normalization:
                cross /= np.maximum(np.abs(cross), 1e-12 * np.abs(cross).max(axis=1, keepdims=True))
            for _ in range(_STEPS):
                turned = cross * np.exp(1j * (found[seen] @ waves))
                curvature = (turned.real @ products.T).reshape(-1, 2, 2)
                slope = (turned.imag @ waves.T)[..., None]
                found[seen] -= (np.linalg.pinv(curvature, hermitian=True) @ slope)[..., 0]
            return found

        return read
