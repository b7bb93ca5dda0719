"""Motion from the local phase of a Riesz pyramid: one band a scale, whose phase knows its own direction.

N. Wadhwa, M. Rubinstein, F. Durand, W. T. Freeman (2014), doi:10.1109/ICCPHOT.2014.6831820; the monogenic signal:
M. Felsberg, G. Sommer (2001), doi:10.1109/78.969520.
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import fft

from vmforensics.stages import StageParams
from vmforensics_global_shutter.calibrated import CalibratedHalves, Reader

_MARGIN = 0.75  # wavelengths from the border of a half that aren't used: the transform takes it as periodic
_SCALES = 4


class RieszPhaseParams(StageParams):
    """Parameters of `riesz-phase`."""

    scales: int | None = Field(
        default=None, ge=1, le=8, description="Scales of the pyramid, an octave apart; null: as many as fit, at most 4"
    )


class RieszPhase(CalibratedHalves):
    """Displacement from the quaternionic phase of a Riesz pyramid against the temporal mean.

    A band and its two Riesz transforms make a quaternion b + iR₁ + jR₂ = A·(cos φ + (i cos θ + j sin θ) sin φ) of
    amplitude A, phase φ and orientation θ. Between template and frame, (φ cos θ, φ sin θ) changes by -M·d for a
    displacement d; either half's d is the least-squares one over all scales, weighted by A².
    """

    name: ClassVar[str] = "riesz-phase"
    summary: ClassVar[str] = "Local phase in a Riesz pyramid, weighted by amplitude squared"
    reference: ClassVar[str] = "Wadhwa et al. 2014, doi:10.1109/ICCPHOT.2014.6831820"
    Params: ClassVar[type[StageParams]] = RieszPhaseParams

    def reader(self, template: NDArray[np.float64]) -> Reader:
        """See `CalibratedHalves.reader`."""
        fit = max(1, min(_SCALES, math.floor(math.log2(min(template.shape) / 8))))
        bands = [_Band(template, scale) for scale in range(1, (self.params.scales or fit) + 1)]
        normal = np.linalg.pinv(sum(band.normal for band in bands), hermitian=True)

        def read(luma: NDArray[np.float32]) -> NDArray[np.float64]:
            spectrum = fft.fft2(luma - luma.mean(axis=(1, 2), keepdims=True))
            return np.asarray(sum(band.moment(spectrum) for band in bands) @ normal.T)

        return read


class _Band:
    """One scale of the template.

    Attributes
    ----------
    normal : ndarray [shape=(2, 2), float64]
        Σ A²·MᵀM, its part of the normal equations.
    """

    def __init__(self, template: NDArray[np.float64], scale: int) -> None:
        rows, cols = template.shape
        y, x = 2 * np.pi * fft.fftfreq(rows)[:, None], 2 * np.pi * fft.fftfreq(cols)[None, :]
        radius = np.hypot(x, y)
        octaves = np.log2(np.maximum(radius, 1e-9) * 2**scale / np.pi)  # 0 at the centre, a wavelength of 2^(scale+1)
        self._even = (np.cos(np.pi / 2 * np.clip(octaves, -1, 1)) ** 2).astype(np.float32)
        self._odd = (self._even * (-1j * x + y) / np.maximum(radius, 1e-9)).astype(np.complex64)  # R₁ + i·R₂
        margin = min(math.ceil(_MARGIN * 2 ** (scale + 1)), min(template.shape) // 4)
        self._inside = (slice(margin, rows - margin), slice(margin, cols - margin))
        spectrum = fft.fft2(template - template.mean())
        self._band, self._riesz = self._of(spectrum[None].astype(np.complex64))
        slopes = np.stack([self._turned(*self._of((1j * k * spectrum)[None].astype(np.complex64))) for k in (x, y)])
        power = self._band.real**2 + np.abs(self._riesz) ** 2
        power = np.maximum(power, 1e-12 * power.max(initial=1e-30))
        matrix = (
            -slopes[:, 0] / power[0]
        )  # the change of phase per px [direction of motion, rows, cols], complex: x + iy
        self._weights = (matrix * power[0]).reshape(2, -1).conj()
        self.normal = np.real(self._weights @ matrix.reshape(2, -1).T).astype(np.float64)

    def moment(self, spectrum: NDArray[np.complex64]) -> NDArray[np.float64]:
        """Σ A²·Mᵀ·(change of phase) of frames, of the opposite sign [shape=(frames, 2), float64]."""
        band, riesz = self._of(spectrum)
        turned = self._turned(band, riesz)
        along = self._band * band + (self._riesz.conj() * riesz).real
        size = np.abs(turned)
        change = turned * (np.arctan2(size, along) / np.maximum(size, 1e-20))
        flat = change.reshape(len(change), -1)
        return np.asarray(-np.real(flat @ self._weights.T), dtype=np.float64)

    def _of(self, spectrum: NDArray[np.complex64]) -> tuple[NDArray[np.float32], NDArray[np.complex64]]:
        """The band, and its Riesz transforms R₁ + i·R₂, away from the border."""
        band = fft.ifft2(spectrum * self._even)[:, *self._inside].real
        return band, fft.ifft2(spectrum * self._odd)[:, *self._inside]

    def _turned(self, band: NDArray[np.float32], riesz: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """The i and j parts, as one complex number, of a coefficient times the template's conjugate."""
        return riesz * self._band - band * self._riesz
