"""The complex steerable pyramid: pictures split into bands of scale and orientation, each with a local phase.

Filters are products of a raised cosine in log2 radius, one octave from peak to zero, and cos^(K-1) lobes on
a half-plane, so that coefficients are analytic: their argument is the local phase. All bands of one pyramid
and its two residuals tile the frequency plane. A band is sampled as coarsely as its support allows, by
cropping the spectrum around it, which loses nothing.

E. P. Simoncelli, W. T. Freeman (1995), doi:10.1109/ICIP.1995.537667;
J. Portilla, E. P. Simoncelli (2000), doi:10.1023/A:1026553619983.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from vmforensics.errors import RegionError

_WORKERS = -1  # one transform a core; the result doesn't depend on it


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """One scale and orientation.

    Parameters
    ----------
    scale : int
        1 for the finest; its centre wavelength is 2^(scale + 1) px. 0 and one more than there are for the residuals.
    angle : float, rad
        Direction of the band's waves in the picture, from the x axis towards y (down).
    filter : ndarray [shape=(h, w), float32]
        Real transfer function on the cropped spectrum, in FFT order.
    """

    scale: int
    angle: float
    filter: NDArray[np.float32]

    @property
    def wavelength(self) -> float:
        """Wavelength at the centre of the band, in px."""
        return float(2 ** (self.scale + 1))

    @property
    def shape(self) -> tuple[int, int]:
        """Number of coefficients down and across."""
        return self.filter.shape[0], self.filter.shape[1]


class SteerablePyramid:
    """The filters for pictures of one size, and the transforms with them.

    Parameters
    ----------
    shape
        Rows and columns of the pictures, which are taken as periodic.
    scales
        Number of scales, an octave apart.
    orientations
        Number of orientations K, at angles k·π/K.

    Raises
    ------
    RegionError
        The pictures are too small for so many scales.

    Examples
    --------
    >>> pyramid = SteerablePyramid((64, 96), scales=2, orientations=2)
    >>> [(band.scale, round(band.angle, 2), band.shape) for band in pyramid.bands]
    [(1, 0.0, (64, 96)), (1, 1.57, (64, 96)), (2, 0.0, (32, 48)), (2, 1.57, (32, 48))]
    """

    def __init__(self, shape: tuple[int, int], *, scales: int, orientations: int) -> None:
        if scales > max_scales(shape):
            raise RegionError(
                f"a picture of {shape[1]}x{shape[0]} px is too small for {scales} scales; "
                f"at most {max_scales(shape)} fit",
                hint=f"take fewer scales, or a region of {2 ** (scales + 2)} px or more each way",
            )
        self.shape = shape
        self.scales = scales
        self.orientations = orientations
        self.bands = tuple(self._band(s, k) for s, k in product(range(1, scales + 1), range(orientations)))

    @cached_property
    def all_bands(self) -> tuple[Band, ...]:
        """The bands, and both residuals dealt into bands by orientation: together they pass everything but the mean."""
        others = product((0, self.scales + 1), range(self.orientations))
        return (*self.bands, *(self._band(s, k) for s, k in others))

    def _band(self, scale: int, orientation: int) -> Band:
        rows, cols = (min(n, fft.next_fast_len(2 * math.ceil(n / 2**scale))) for n in self.shape)
        radius, angle = self._polar((rows, cols))
        outer = np.ones_like(radius)
        if scale > 0:
            outer *= _lowpass(radius * 2 ** (scale - 1))
        if scale <= self.scales:
            outer *= _highpass(radius * 2**scale)
        outer[0, 0] = 0
        centre = math.pi * orientation / self.orientations
        transfer = outer * _lobe(angle - centre, self.orientations)
        return Band(scale, centre, transfer.astype(np.float32))

    def _polar(self, cropped: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Radius (rad/px) and angle (rad) of the lowest frequencies of the picture, in FFT order."""
        y, x = (2 * np.pi / n * fft.fftfreq(m, 1 / m) for n, m in zip(self.shape, cropped, strict=True))
        return np.hypot(y[:, None], x[None, :]), np.arctan2(y[:, None], x[None, :])

    def residuals(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Transfer functions of what the bands leave out, above and below them.

        Returns
        -------
        high, low : ndarray [shape=(rows, cols), float64]
        """
        radius, _ = self._polar(self.shape)
        return _highpass(radius), _lowpass(radius * 2**self.scales)

    def spectrum(self, pictures: NDArray[np.float32]) -> NDArray[np.complex64]:
        """Fourier transform of pictures, from which any band is taken.

        Parameters
        ----------
        pictures : ndarray [shape=(..., rows, cols), float32]
        """
        return np.asarray(fft.fft2(pictures, workers=_WORKERS), dtype=np.complex64)

    def coefficients(self, spectrum: NDArray[np.complex64], band: Band) -> NDArray[np.complex64]:
        """One band's complex coefficients.

        Parameters
        ----------
        spectrum : ndarray [shape=(..., rows, cols), complex64]
        band : Band

        Returns
        -------
        ndarray [shape=(..., h, w), complex64]
            The band at the points (i·rows/h, j·cols/w) of the picture.
        """
        cropped = np.empty((*spectrum.shape[:-2], *band.shape), np.complex64)
        for fine, coarse in self._quadrants(band):
            np.multiply(spectrum[..., *fine], band.filter[coarse], out=cropped[..., *coarse])
        coefficients = fft.ifft2(cropped, workers=_WORKERS, overwrite_x=True)
        coefficients *= np.float32(band.filter.size / math.prod(self.shape))
        return np.asarray(coefficients, dtype=np.complex64)

    def adjoint(self, coefficients: NDArray[np.complex64], band: Band) -> NDArray[np.complex64]:
        """Transpose of taking coefficients: a picture p has ⟨coefficients of p, c⟩ = ⟨p, this of c⟩.

        Parameters
        ----------
        coefficients : ndarray [shape=(h, w), complex64]
        band : Band

        Returns
        -------
        ndarray [shape=(rows, cols), complex64]
        """
        spectrum = np.zeros(self.shape, np.complex64)
        self._add_adjoint(coefficients, band, spectrum)
        return np.asarray(fft.ifft2(spectrum, workers=_WORKERS, overwrite_x=True), dtype=np.complex64)

    def rebuilt(self, parts: Iterable[tuple[NDArray[np.complex64], Band]]) -> NDArray[np.float32]:
        """The picture that the coefficients of some bands add up to [shape=(rows, cols), float32]."""
        spectrum = np.zeros(self.shape, np.complex64)
        for coefficients, band in parts:
            self._add_adjoint(coefficients, band, spectrum, area=math.prod(self.shape) / band.filter.size)
        return np.ascontiguousarray(fft.ifft2(spectrum, workers=_WORKERS, overwrite_x=True).real, dtype=np.float32)

    def _add_adjoint(
        self, coefficients: NDArray[np.complex64], band: Band, spectrum: NDArray[np.complex64], area: float = 1.0
    ) -> None:
        cropped = fft.fft2(coefficients, workers=_WORKERS)
        for fine, coarse in self._quadrants(band):
            spectrum[fine] += cropped[coarse] * (np.float32(area) * band.filter[coarse])

    def _quadrants(self, band: Band) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
        """Where the four quadrants of the band's spectrum lie in the picture's spectrum, and in its own."""
        axes = []
        for n, m in zip(self.shape, band.shape, strict=True):
            positive, negative = (m + 1) // 2, m // 2
            low, high = slice(0, positive), slice(n - negative, n)
            axes.append([(low, low), (high, slice(m - negative, m))])
        for (fine_y, coarse_y), (fine_x, coarse_x) in product(*axes):
            yield (fine_y, fine_x), (coarse_y, coarse_x)


def max_scales(shape: tuple[int, int]) -> int:
    """The largest number of scales a picture can hold: the coarsest band's longest wave fits into it once."""
    return max(0, math.floor(math.log2(min(shape))) - 2)


def _highpass(radius: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 from π rad/px on, 0 below π/2, a raised cosine of log2 radius between."""
    octaves = np.log2(np.maximum(radius, 1e-12) / np.pi)
    return np.asarray(np.sin(np.pi / 2 * np.clip(1 + octaves, 0.0, 1.0)))


def _lowpass(radius: NDArray[np.float64]) -> NDArray[np.float64]:
    """The power complement of `_highpass`."""
    octaves = np.log2(np.maximum(radius, 1e-12) / np.pi)
    return np.asarray(-np.sin(np.pi / 2 * np.clip(octaves, -1.0, 0.0)))


def _lobe(angle: NDArray[np.float64], orientations: int) -> NDArray[np.float64]:
    """Half-plane lobe cos^(K-1), of such height that K of them and their mirror images have a power sum of 2.

    A real picture's spectrum is symmetric, so that the mean over the two halves is 1.
    """
    order = orientations - 1
    power = 2 ** (2 * order) * math.factorial(order) ** 2 / (orientations * math.factorial(2 * order))
    cosine = np.cos(angle)
    edge = np.where(np.abs(cosine) < 1e-9, math.sqrt(0.5), cosine > 0)  # a wave on the edge is in both halves
    return np.asarray(edge * np.sqrt(2 * power) * np.abs(cosine) ** order)
