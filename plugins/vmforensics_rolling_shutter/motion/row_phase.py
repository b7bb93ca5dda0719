"""Motion of each sensor row along itself, by the local phase of a log-Gabor bank."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Channel, Luma, Motion, SensorFrames
from vmforensics.errors import RegionError, Unsuitable
from vmforensics.numerics.mean_template import MeanTemplate
from vmforensics.stages import MotionEstimator, StageParams
from vmforensics_rolling_shutter.motion.halves import StripeParams, half_of_columns

_LEAST_ROWS, _LEAST_COLS = 8, 32
_CENTRES = (0.28, 0.14, 0.07)  # cycles/px, of bands an octave apart
_SPREAD = 0.45  # of a band, in the logarithm of frequency: one and a half octaves at half the amplitude
_LEAST_GAIN = 0.02  # at the frequencies where a band ends
_LEAST_POWER = 6.0  # times the noise of one frame; less has no phase to speak of
_RAMP = 4  # px over which a stripe's weight falls off at each of its ends
_RANGE = 0.5  # px of motion of a frame up to which phase follows within 2 %


class RowPhase(MotionEstimator):
    """Amplitude-weighted local phase differences of every sensor row against its temporal mean, in px along the row.

    Each half's pixels (stripes of columns, dealt in turn) are filtered along the row by a bank of log-Gabor filters, an
    octave apart, into complex responses C_b(x). Motion by d turns their phase by -ψ_b(x)·d, with ψ = Im(C̄·C′)/|C|² and
    C′ the response to the row's derivative: the phase gradient, and at a stripe's end what is left of it. With the
    weights A² = |C|² of the mean row, over the bands' noise power, d = -Σ A²ψ·Δφ / Σ A²ψ². A row's brightness doesn't
    enter its phase. σ is the sensor noise a + b·I through the same sum, to first order.

    Only x is seen. Motion across the rows changes what a row shows; its phase turns by Im(C̄·C_y)/|C|² per px, which
    weighted like the rest reads as c·dy, with a fixed c for each row. On textures without a preferred direction c is
    as often positive as negative (0.1 to 0.3 RMS): motion across the rows isn't seen, but adds a pattern to each row's
    reading. On slanted lines c is their slope, in every row: motion across them then reads as motion along the row. For
    both directions, and without that leak, take `row-motion`.
    """

    name: ClassVar[str] = "row-phase"
    summary: ClassVar[str] = (
        "motion along each sensor row by local phase (log-Gabor); motion across rows isn't measured"
    )
    reference: ClassVar[str] = (
        "Fleet & Jepson 1990, doi:10.1007/BF00056772 (image velocity by local phase); Field 1987, "
        "doi:10.1364/JOSAA.4.002379 (log-Gabor); Davis et al. 2014, doi:10.1145/2601097.2601119 (A² weights)"
    )
    Params: ClassVar[type[StageParams]] = StripeParams

    def estimate(self, frames: SensorFrames) -> Motion:
        """Measure every row of every frame.

        Raises
        ------
        RegionError
            The region is too small, or has no texture along its rows.
        TooFewFrames
            Fewer than three frames could be decoded.
        Unsuitable
            The picture moves farther than phase can follow.
        """
        if frames.cols < _LEAST_COLS or frames.rows < _LEAST_ROWS:
            raise RegionError(
                f"the region has {frames.rows} sensor rows of {frames.cols} px; row phase needs at least "
                f"{_LEAST_ROWS} rows of {_LEAST_COLS} px",
                hint="take a larger region",
            )
        template = MeanTemplate.measure(frames)
        member = half_of_columns(frames.cols, int(self.params.stripe))
        readers = [_PhaseReader.build(template, _faded(member == half)) for half in (0, 1)]
        spread = np.stack([reader.variance for reader in readers], axis=-1) * (1 + 1 / template.frames)
        informative = np.asarray(np.isfinite(spread).all(axis=1))
        if not informative.any():
            raise RegionError("the region has no texture along its rows", hint="choose a region with detail")
        displacement = np.zeros((frames.frame_count, frames.rows, 2), dtype=np.float32)
        observed = np.zeros((frames.frame_count, frames.rows), dtype=bool)
        for block in frames.blocks():
            for index, luma in zip(block.index, block.luma, strict=True):
                for half, reader in enumerate(readers):
                    displacement[index, :, half] = reader.read(luma)
                observed[index] = informative
        displacement[~observed] = 0
        precision = np.where(informative[:, None], 1 / spread, 0.0)
        motion = Motion(
            displacement=displacement,
            precision=(precision[:, :, None] * np.eye(2)).astype(np.float32)[None],
            observed=observed,
            frame_times=frames.clock.times,
            row_offsets=frames.row_offsets(),
            channels=tuple(Channel(f"x, half {half}", (1.0, 0.0), half) for half in (0, 1)),
            frame_rate=frames.clock.rate,
            exposure=frames.shutter.aperture,
        )
        sway, known = motion.frame_means()
        largest = float(np.abs(sway[known > 0, 0]).max(initial=0.0))
        if largest > _RANGE:
            raise Unsuitable(
                f"the picture moves by up to {largest:.1f} px along the rows against its mean; phase follows "
                f"{_RANGE:g} px",
                hint="choose a region or a stretch of the clip that stays in place",
            )
        return motion


@dataclass(frozen=True, slots=True, eq=False)
class _Band:
    """One octave of a row's detail, sampled as densely as it asks for.

    Parameters
    ----------
    bins : slice
        The part of a row's spectrum that the band lets through.
    gain : ndarray [shape=(bins,), float32]
        How much of each.
    reference : ndarray [shape=(rows, bins), complex64]
        The mean rows' responses, conjugated and weighted: a row's phase against them, times their amplitude squared.
    weight : ndarray [shape=(rows, bins), float32, px]
        What a phase difference of 1 rad counts in the displacement.
    """

    bins: slice
    gain: NDArray[np.float32]
    reference: NDArray[np.complex64]
    weight: NDArray[np.float32]

    def response(self, spectrum: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """A row's complex response, turned down in frequency to its own bins [shape=(rows, bins), complex64]."""
        from scipy.fft import ifft

        return np.asarray(ifft(spectrum[:, self.bins] * self.gain, axis=1), dtype=np.complex64)


@dataclass(frozen=True, slots=True, eq=False)
class _PhaseReader:
    """Reads the displacement of one half of every row.

    Parameters
    ----------
    columns : ndarray [shape=(cols,), float32]
        Weight of each column, 0 where it belongs to the other half.
    bands : tuple of _Band
    variance : ndarray [shape=(rows,), float64, px²]
        Of a reading; infinite where a row shows nothing.
    """

    columns: NDArray[np.float32]
    bands: tuple[_Band, ...]
    variance: NDArray[np.float64]

    @classmethod
    def build(cls, template: MeanTemplate, columns: NDArray[np.float64]) -> _PhaseReader:
        """Weigh every place of every band by how surely the mean row's phase shows motion there."""
        from scipy.fft import fft, rfftfreq

        cols = len(columns)
        noise = template.noise.variance(template.mean)
        weights = columns.astype(np.float32)
        spectra = [_spectrum(picture.astype(np.float32), weights) for picture in (template.mean, template.slopes[0])]
        frequency = rfftfreq(cols)
        bands = []
        total = np.zeros((len(noise), 1))
        adjoint = np.zeros((len(noise), cols), dtype=np.complex128)
        for centre in _CENTRES:
            gain = np.zeros(len(frequency))
            gain[1:] = np.exp(-0.5 * (np.log(frequency[1:] / centre) / _SPREAD) ** 2)
            passed = np.flatnonzero(gain > _LEAST_GAIN)
            bins = slice(passed[0], passed[-1] + 1)
            size = len(passed)
            band = _Band(
                bins, gain[bins].astype(np.float32), np.zeros((0, 0), np.complex64), np.zeros((0, 0), np.float32)
            )
            still, moving = (band.response(each).astype(np.complex128) for each in spectra)
            spread = np.sum(gain[bins] ** 2) / size**2  # of the response to white noise of variance 1
            power = np.abs(still) ** 2
            doubt = spread * (noise @ columns**2)[:, None]  # of one frame's response
            sensitivity = (still.conj() * moving).imag * (power > _LEAST_POWER * doubt) / spread
            turn = np.divide(sensitivity, power, out=np.zeros_like(power), where=power > 0)
            total += np.sum(sensitivity * turn * spread, axis=1, keepdims=True)
            adjoint[:, bins] += fft(turn * still, axis=1).conj() * gain[bins] / size
            bands.append(_Band(bins, band.gain, still.conj().astype(np.complex64), -sensitivity.astype(np.float32)))
        seen = total > 0
        safe = np.where(seen, total, 1.0)
        functional = fft(adjoint, axis=1).imag * columns
        functional -= columns * (functional.sum(axis=1, keepdims=True) / columns.sum())
        variance = np.sum(functional**2 * noise, axis=1) / safe[:, 0] ** 2
        bands = [replace(band, weight=(band.weight / safe).astype(np.float32)) for band in bands]
        return cls(weights, tuple(bands), np.where(seen[:, 0], variance, np.inf))

    def read(self, luma: Luma) -> NDArray[np.float64]:
        """Displacement of every row of a frame [shape=(rows,), float64, px]."""
        spectrum = _spectrum(luma.astype(np.float32), self.columns)
        displacement = np.zeros(len(spectrum))
        for band in self.bands:
            turned = np.angle(band.response(spectrum) * band.reference)
            displacement += np.einsum("rk,rk->r", band.weight, turned, dtype=np.float64)
        return displacement


def _spectrum(rows: NDArray[np.float32], columns: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Spectrum of the weighted rows, their weighted mean taken off [shape=(rows, cols // 2 + 1), complex64]."""
    from scipy.fft import rfft

    centre = rows @ columns / columns.sum()
    return np.asarray(rfft((rows - centre[:, None]) * columns, axis=1))


def _faded(member: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weights of the columns: 1 in a half's stripes, falling to 0 at their ends [shape=(cols,), float64]."""
    from scipy.ndimage import distance_transform_edt

    padded = np.concatenate([[False], member, [False]])
    inside = np.asarray(distance_transform_edt(padded))[1:-1]
    return np.asarray(np.sin(np.pi / 2 * np.clip((inside - 0.5) / _RAMP, 0, 1)) ** 2 * member)
