"""Motion from local phase: how far the waves of each band of a steerable pyramid have moved.

A displacement d changes a coefficient's phase by -∇φ·d, where ∇φ is the reference picture's own local phase
gradient. Each channel is the least-squares displacement along its band's direction, weighted by the squared
amplitude (Var φ ~ 1/A²). To first order it is a linear functional ⟨W, frame⟩, so that its noise follows from
the noise of the pixels, and so does the covariance of any two channels.

A. Davis, M. Rubinstein, N. Wadhwa, G. Mysore, F. Durand, W. T. Freeman (2014), doi:10.1145/2601097.2601119;
local phase gradient: D. J. Fleet, A. D. Jepson (1990), doi:10.1007/BF00056772.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import fft

from vmforensics.data import Channel, Motion, SensorFrames
from vmforensics.errors import TooFewFrames
from vmforensics.stages import MotionEstimator, StageParams
from vmforensics.units import Pixels
from vmforensics_global_shutter.channel_noise import excess
from vmforensics_global_shutter.pixel_noise import PixelNoise
from vmforensics_global_shutter.spectral import gradient
from vmforensics_global_shutter.steerable_pyramid import Band, SteerablePyramid, max_scales
from vmforensics_global_shutter.texture import no_texture

_CHUNK_PIXELS = 2**19  # transformed at a time: small enough for the processor's cache
ROUNDING = 1 / 12  # DN²; no camera's noise is below that of rounding to whole numbers
_BORDER = 2  # px
_VISIBLE = 100.0  # a coefficient counts if its power is so many times that of the noise in the temporal mean
_GUARD = 1.35  # wavelengths on either side of a stripe's edge that belong to neither half
_DEPENDENT = 5e-3  # correlation of two channels' noise from which on they can't stand for the two halves
RIDGE = 1e-5  # of a channel's variance, added to it: keeps the precision of overlapping bands exact in float32
_SCALES = 4  # unless asked for otherwise, as in the 2014 paper
_BEYOND = 0.01  # share of frames
_DRIFT = 0.5  # px of slow motion that local phase follows without loss
_LOST = 2.0  # px of it beyond which the waves that it compares aren't the same any more

_Real = TypeVar("_Real", np.float32, np.float64)


class PyramidParams(StageParams):
    """Which bands the picture is split into."""

    scales: int | None = Field(
        default=None, ge=1, le=8, description="Scales of the pyramid, an octave apart; null: as many as fit, at most 4"
    )
    orientations: int = Field(default=2, ge=1, le=8, description="Orientations of the pyramid's bands")


class LocalPhaseParams(PyramidParams):
    """Parameters of `local-phase`."""

    stripe_width: Pixels = Field(
        default=48.0, ge=16, le=1024, description="Width of the stripes that make two independent halves, in px"
    )


class LocalPhase(MotionEstimator):
    """Displacement along each band's direction from the local phase against the temporal mean.

    A band gives up to three channels: two on disjoint stripes, whose noise is independent, and one on what lies
    between them. Coarse bands reach too far for stripes and give a single channel.
    """

    name: ClassVar[str] = "local-phase"
    summary: ClassVar[str] = "Local phase in a complex steerable pyramid, weighted by amplitude squared"
    reference: ClassVar[str] = "Davis et al. 2014, doi:10.1145/2601097.2601119"
    Params: ClassVar[type[StageParams]] = LocalPhaseParams

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
        shape = pyramid.shape
        if frames.shutter.is_rolling:
            warnings.append("one displacement a frame of a rolling shutter: sound above half the frame rate is lost")
        template = PhaseTemplate.of(frames, shape)
        found = references(pyramid, template, self.params.stripe_width)
        if not found:
            raise no_texture(frames)
        displacement = np.zeros((frames.frame_count, sum(len(r.channels) for r in found)), np.float32)
        observed = np.zeros(frames.frame_count, np.bool_)
        noise = PixelNoise(template.mean, template.gradient)
        for index, luma in _chunks(frames, shape):
            difference = np.subtract(border_repeated(luma), template.mean, out=luma, dtype=np.float32)
            noise.add(difference)
            spectrum = pyramid.spectrum(difference)
            displacement[index] = np.concatenate([r.displacement(pyramid, spectrum) for r in found], axis=1)
            observed[index] = True

        functionals = np.concatenate([r.functionals(pyramid) for r in found])
        covariance = covariance_of(functionals, np.maximum(noise.variance(), ROUNDING))
        motion = _motion(frames, found, displacement, observed, covariance)
        return replace(motion, warnings=(*warnings, *motion.warnings))


def pyramid_for(frames: SensorFrames, params: PyramidParams) -> tuple[SteerablePyramid, list[str]]:
    """The pyramid for a clip, and what is to be said of it.

    Raises
    ------
    RegionError
        The region is too small for the scales.
    """
    shape = transformable(frames)
    fit = max_scales(shape)
    scales = params.scales or max(1, min(_SCALES, fit))
    pyramid = SteerablePyramid(shape, scales=scales, orientations=params.orientations)
    few = params.scales is None and fit < _SCALES
    return pyramid, [f"the region has room for {fit} of {_SCALES} scales"] if few else []


@dataclass(frozen=True, slots=True, eq=False)
class PhaseTemplate:
    """The picture that motion is measured against.

    Parameters
    ----------
    mean : ndarray [shape=(rows, cols), float64, DN]
        Temporal mean of the frames, border pixels repeated.
    gradient : ndarray [shape=(2, rows, cols), float64, DN/px]
        Its derivatives along x and y, likewise.
    noise : float, DN²
        First guess of the variance of a pixel's noise in one frame, maybe with some motion in it; it only sets how
        cautiously faint coefficients are treated.
    count : int
        Number of frames.
    """

    mean: NDArray[np.float64]
    gradient: NDArray[np.float64]
    noise: float
    count: int

    @classmethod
    def of(cls, frames: SensorFrames, shape: tuple[int, int]) -> PhaseTemplate:
        """The template of a clip, cut to a size; noise is half the mean square difference of consecutive frames."""
        total = np.zeros(shape)
        change = np.zeros(shape)
        last = np.empty((0, *shape), np.float32)
        count = 0
        for _, luma in _chunks(frames, shape):
            total += luma.sum(axis=0, dtype=np.float64)
            change += np.square(np.diff(luma, axis=0, prepend=last)).sum(axis=0, dtype=np.float64)
            last = luma[-1:].copy()
            count += len(luma)
        if count < 3:
            raise TooFewFrames(
                f"only {count} frames could be decoded; motion needs at least 3",
                hint="is the clip damaged, or a picture?",
            )
        mean = total / count
        slopes = border_repeated(gradient(mean).astype(np.float64))
        noise = float(np.median(change)) / (2 * (count - 1))
        return cls(border_repeated(mean), slopes, max(noise, ROUNDING), count)


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """One band of the reference picture, and the channels measured on it.

    Parameters
    ----------
    band : Band
    phasor : ndarray [shape=(h, w), complex64]
        conj(C)/(A² + λ): times a change of the coefficients, it is their relative change.
    weights : ndarray [shape=(channels, h·w), float32, px/rad]
        What a radian of phase in each coefficient contributes to a channel.
    channels : tuple of Channel
    """

    band: Band
    phasor: NDArray[np.complex64]
    weights: NDArray[np.float32]
    channels: tuple[Channel, ...]

    def displacement(self, pyramid: SteerablePyramid, spectrum: NDArray[np.complex64]) -> NDArray[np.float32]:
        """What each channel reads for frames given by the spectrum of their difference from the template, in px."""
        change = pyramid.coefficients(spectrum, self.band)
        change *= self.phasor
        return np.asarray(_angle_of_one_plus(change).reshape(len(change), -1) @ self.weights.T, dtype=np.float32)

    def functionals(self, pyramid: SteerablePyramid) -> NDArray[np.float32]:
        """The picture W of each channel whose product with a small change of the frame is what the channel reads.

        Returns
        -------
        ndarray [shape=(channels, rows, cols), float32, px/DN]
        """
        weighted = self.weights.reshape(-1, *self.band.shape) * self.phasor.conj()
        functionals = np.array([-pyramid.adjoint(w, self.band).imag for w in weighted], dtype=np.float32)
        for axis in (1, 2):  # a border pixel takes no part, its inner neighbour takes its place
            lines = np.moveaxis(functionals, axis, 0)
            lines[_BORDER] += lines[:_BORDER].sum(axis=0)
            lines[-_BORDER - 1] += lines[-_BORDER:].sum(axis=0)
            lines[:_BORDER] = lines[-_BORDER:] = 0
        return functionals


def transformable(frames: SensorFrames) -> tuple[int, int]:
    """Largest size within the region that transforms fast; at most a few pixels less either way."""
    rows, cols = (fft.prev_fast_len(n) for n in (frames.rows, frames.cols))
    return rows, cols


def _chunks(frames: SensorFrames, shape: tuple[int, int]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Frames cut to a size, in chunks that don't depend on the source's blocks; the array is the caller's to change."""
    size = max(1, _CHUNK_PIXELS // (shape[0] * shape[1]))
    top, left = (frames.rows - shape[0]) // 2, (frames.cols - shape[1]) // 2
    index = np.empty(size, np.int64)
    luma = np.empty((size, *shape), np.float32)
    fill = 0
    for block in frames.blocks():
        start = 0
        while start < len(block.index):
            take = min(size - fill, len(block.index) - start)
            index[fill : fill + take] = block.index[start : start + take]
            luma[fill : fill + take] = block.luma[start : start + take, top : top + shape[0], left : left + shape[1]]
            fill, start = fill + take, start + take
            if fill == size:
                yield index, luma
                fill = 0
    if fill:
        yield index[:fill], luma[:fill]


def border_repeated(pictures: NDArray[_Real]) -> NDArray[_Real]:
    """Overwrite the outermost pixels by their inner neighbour: no derivative is known at the border itself.

    What remains is exact: a channel reads a motion with the gain it states.
    """
    for lines in (pictures, np.swapaxes(pictures, -1, -2)):
        lines[..., :_BORDER, :] = lines[..., _BORDER : _BORDER + 1, :]
        lines[..., -_BORDER:, :] = lines[..., -_BORDER - 1 : -_BORDER, :]
    return pictures


@dataclass(frozen=True, slots=True, eq=False)
class _Waves:
    """Local phase of one band of the template, as far as it stands out of noise.

    Parameters
    ----------
    band : Band
    phasor : ndarray [shape=(h, w), complex64]
        As in `Reference`.
    power : ndarray [shape=(h, w), float32, DN²]
        A², where visible; 1 elsewhere.
    turning : ndarray [shape=(2, h, w), float32, DN²·rad/px]
        A²·∇φ along x and y; 0 where not visible.
    noise : float, DN²
        λ, the power of one frame's noise in a coefficient.
    """

    band: Band
    phasor: NDArray[np.complex64]
    power: NDArray[np.float32]
    turning: NDArray[np.float32]
    noise: float

    @classmethod
    def of(
        cls, pyramid: SteerablePyramid, spectrum: NDArray[np.complex64], band: Band, template: PhaseTemplate
    ) -> _Waves:
        """The band of the template and its gradient, whose spectra are given [shape=(3, rows, cols)].

        A frame moves its own gradient picture, whatever the periodic transform makes of the borders: ∂C is the
        band of ∂I, and A²·∂φ = Im(conj(C)·∂C).
        """
        coefficients, *slopes = pyramid.coefficients(spectrum, band)
        power = np.square(np.abs(coefficients))
        noise = template.noise * float(np.sum(np.square(band.filter), dtype=np.float64)) / template.mean.size
        visible = power > _VISIBLE * noise / template.count
        turning = np.stack([(coefficients.conj() * slope).imag * visible for slope in slopes])
        phasor = coefficients.conj() / (power + np.float32(noise))
        return cls(band, phasor, np.where(visible, power, np.float32(1)), turning, noise)

    @property
    def direction(self) -> NDArray[np.float64]:
        """Unit vector (x, y) across the waves' crests."""
        return np.array([math.cos(self.band.angle), math.sin(self.band.angle)])

    def moment(self, pixels: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Σ A²·∇φ·(∂φ along the band's direction) over a set of coefficients [shape=(2,), float64, DN²/px²]."""
        along = np.tensordot(self.direction, self.turning, axes=1) / self.power * pixels
        return np.asarray(np.tensordot(self.turning, along, axes=2), dtype=np.float64)

    def reference(self, sets: list[tuple[str, int | None, NDArray[np.bool_]]]) -> Reference:
        """A channel for each set of coefficients in which anything is visible."""
        along = np.tensordot(self.direction, self.turning, axes=1) * (1 + self.noise / self.power)
        weights, channels = [], []
        for label, half, pixels in sets:
            moment = self.moment(pixels)
            strength = float(self.direction @ moment)
            if strength > 0:
                weights.append((-along * pixels / strength).astype(np.float32).ravel())
                name = f"scale {self.band.scale}, {math.degrees(self.band.angle):.0f}°{label}"
                x, y = moment / strength
                channels.append(Channel(name, (float(x), float(y)), half))
        stacked = np.array(weights, np.float32).reshape(len(weights), self.power.size)
        return Reference(self.band, self.phasor, stacked, tuple(channels))


def references(pyramid: SteerablePyramid, template: PhaseTemplate, stripe_width: float) -> list[Reference]:
    """The template's bands as channels; none without texture.

    The halves are stripes down or across the picture, whichever leaves the poorer half more to measure on.
    """
    pictures = np.stack([template.mean - template.mean.mean(), *template.gradient]).astype(np.float32)
    spectrum = pyramid.spectrum(pictures)
    waves = [_Waves.of(pyramid, spectrum, band, template) for band in pyramid.bands]

    def poorer_half(axis: int) -> float:
        information = [0.0, 0.0]
        for w in waves:
            for _, half, pixels in _stripes(pyramid, w.band, stripe_width, axis):
                if half is not None:
                    information[half] += float(w.direction @ w.moment(pixels)) / w.noise
        return min(information)

    axis = max((1, 0), key=poorer_half)
    found = [w.reference(_stripes(pyramid, w.band, stripe_width, axis)) for w in waves]
    return [reference for reference in found if reference.channels]


def _stripes(
    pyramid: SteerablePyramid, band: Band, width: float, axis: int
) -> list[tuple[str, int | None, NDArray[np.bool_]]]:
    """Sets of a band's rows (axis 0) or columns (1): two halves and the rest, or one set where halves don't fit.

    All bands share the stripes' edges; each keeps its own distance from them. The picture being periodic to the
    transform, the number of stripes is even. A set is an array that broadcasts to the band.
    """
    size, count = pyramid.shape[axis], band.shape[axis]
    stripe = size / (2 * max(1, round(size / (2 * width))))
    guard = _GUARD * band.wavelength
    number, place = np.divmod(np.arange(count) * (size / count), stripe)
    number, place = np.expand_dims(number, 1 - axis), np.expand_dims(place, 1 - axis)
    if stripe - 2 * guard < band.wavelength:
        return [("", None, np.ones_like(number, np.bool_))]
    inside = (place >= guard) & (place <= stripe - guard)
    odd = number % 2 == 1
    return [(", half 0", 0, inside & ~odd), (", half 1", 1, inside & odd), (", rest", None, ~inside)]


def _angle_of_one_plus(change: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Argument of 1 + change, by the half-angle formula (three times as fast as arctan2)."""
    real = change.real + np.float32(1)
    imag = change.imag
    radius = np.sqrt(real * real + imag * imag)
    real += radius
    real += np.float32(1e-30)
    angle = np.arctan(imag / real)
    angle *= 2
    return np.asarray(angle)


def covariance_of(functionals: NDArray[np.float32], variance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariance of what functionals read for pixels with independent noise [shape=(channels, channels), px²].

    Parameters
    ----------
    functionals : ndarray [shape=(channels, rows, cols), float32, px/DN]
    variance : ndarray [shape=(rows, cols), float64, DN²]
    """
    flat = functionals.reshape(len(functionals), -1)
    pixels = variance.ravel().astype(np.float32)
    covariance = np.array([flat @ (f * pixels) for f in flat], dtype=np.float64)
    return (covariance + covariance.T) / 2


def _motion(
    frames: SensorFrames,
    references: list[Reference],
    displacement: NDArray[np.float32],
    observed: NDArray[np.bool_],
    covariance: NDArray[np.float64],
) -> Motion:
    """Leave out channels that noise fills to a quarter wave, and join the rest with their precision."""
    quarter = np.array([r.band.wavelength / 4 for r in references for _ in r.channels])
    useful = np.flatnonzero(np.diag(covariance) < quarter**2)
    if len(useful) == 0:
        raise no_texture(frames)
    channels = [c for r in references for c in r.channels]
    covariance = covariance[np.ix_(useful, useful)]
    covariance += RIDGE * np.diag(np.diag(covariance))
    motion = Motion(
        displacement=displacement[:, None, useful],
        precision=np.linalg.inv(covariance).astype(np.float32)[None, None],
        observed=observed[:, None],
        frame_times=frames.clock.times,
        row_offsets=np.array([frames.row_offsets().mean()]),
        channels=independent([channels[i] for i in useful], covariance),
        frame_rate=frames.clock.rate,
        exposure=frames.shutter.exposure,
    )
    path = _path(motion)
    means = np.array([part.mean(axis=0) for part in np.array_split(path, max(1, min(10, len(path) // 30)))])
    drift = float(np.hypot(*np.ptp(means, axis=0)))
    return replace(
        motion,
        precision=(motion.precision / np.float32(excess(motion))).astype(np.float32),
        warnings=tuple(_large_motion(path, drift, float(quarter[useful].min()))),
        doubt=_doubt(drift),
    )


def independent(channels: list[Channel], covariance: NDArray[np.float64]) -> tuple[Channel, ...]:
    """The channels, with those taken out of their half whose noise isn't independent of the other half's."""
    sigma = np.sqrt(np.diag(covariance))
    half = np.array([-1 if c.half is None else c.half for c in channels])
    opposite = half[:, None] + half[None, :] == 1
    opposite &= (half[:, None] >= 0) & (half[None, :] >= 0)
    dependent = (opposite & (np.abs(covariance) > _DEPENDENT * np.outer(sigma, sigma))).any(axis=1)
    return tuple(replace(c, half=None) if d else c for c, d in zip(channels, dependent, strict=True))


def _path(motion: Motion) -> NDArray[np.float64]:
    """What the channels have in common, where they saw anything [shape=(frames, 2), float64, px]."""
    gain = motion.response.T @ motion.precision[0, 0].astype(np.float64)
    solution = np.linalg.pinv(gain @ motion.response, rcond=1e-6, hermitian=True) @ gain
    return np.asarray(motion.displacement[motion.observed[:, 0], 0] @ solution.T)


def _large_motion(path: NDArray[np.float64], drift: float, quarter_wave: float) -> Iterator[str]:
    """Warn of motion that phase can't follow: beyond a quarter of the finest wave, or away from the template."""
    beyond = float(np.mean(np.hypot(*path.T) > quarter_wave))
    if beyond > _BEYOND:
        yield (
            f"the scene moves by more than {quarter_wave:g} px, a quarter of the finest wave, in {beyond:.0%} of the "
            "frames: their displacement is unreliable; leave out the finest scales or stabilise the clip"
        )
    if drift > _DRIFT:
        yield (
            f"the scene drifts by {drift:.1f} px over the clip: beyond {_DRIFT:g} px the gain falls and noise "
            "grows; stabilise the clip, or recover it in shorter parts"
        )


def _doubt(drift: float) -> str:
    """Why motion of a scene that drifts can't be relied on; "" where it can."""
    if drift <= _LOST:
        return ""
    return (
        f"the scene drifts by {drift:.1f} px, and local phase doesn't follow it: what it reads beyond {_LOST:g} px can "
        "pass for sound; measure with gradient, which follows, or recover the clip in shorter parts"
    )
