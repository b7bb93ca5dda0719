"""Motion of each sensor row against the temporal mean, by weighted least squares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vmforensics.data import Channel, Luma, Motion, SensorFrames
from vmforensics.errors import RegionError, TooFewFrames, Unsuitable
from vmforensics.stages import MotionEstimator, StageParams
from vmforensics.units import Pixels
from vmforensics_rolling_shutter.derivative import NOISE_GAIN, derivative
from vmforensics_rolling_shutter.relinearise import Expansion, relinearise

_LEAST_ROWS, _LEAST_COLS = 8, 32
_NOISE_PAIRS = 96  # frame pairs that the noise model is measured on
_FIRST_ORDER = 0.05  # px of motion up to which the linearisation is exact enough
_SPAN = 15  # rows over which a row's place is averaged: sound hardly moves on in so short a time
_EDGE_ROWS = 8  # rows at the top and bottom whose derivatives are less exact than a sway asks for
_FOLLOWED = 1.0  # px of frame motion beyond which the series diverges
_RANGE = 0.35  # px of frame motion beyond which the series' remainder can pass for a faint sound


class RowMotionParams(StageParams):
    """Parameters of `row-motion`."""

    stripe: Pixels = Field(
        default=32.0,
        ge=8,
        le=512,
        description="width of the column stripes that are dealt in turn to the two halves compared by the detector, px",
    )


class RowMotion(MotionEstimator):
    """Joint least squares for (dx, dy) of every sensor row, with brightness gain and offset as nuisances.

    A row of frame n is I_n ≈ T - T_x·dx - T_y·dy + g·T + o + noise, with T the temporal mean of that row and T_x, T_y
    its spatial derivatives (what moves to the right takes its brightness from the left). Weighted by the noise
    variance σ²(I) = a + b·I, the solution reaches the Cramér-Rao bound Cov ≥ (Gᵀ Σ⁻¹ G)⁻¹ of a known template. The
    template's own noise, which would shrink the result (errors in variables), is taken out of the normal equations.
    The row's pixels are dealt in stripes to two halves that are solved apart: four channels, x and y of each half.
    """

    name: ClassVar[str] = "row-motion"
    summary: ClassVar[str] = "motion of every sensor row: weighted least squares on the mean template"
    reference: ClassVar[str] = (
        "Lucas & Kanade 1981 (least squares on the gradient); Davis et al. 2014, doi:10.1145/2601097.2601119, "
        "section 6 (rolling shutter)"
    )
    Params: ClassVar[type[StageParams]] = RowMotionParams

    def estimate(self, frames: SensorFrames) -> Motion:
        """Measure every row of every frame.

        Raises
        ------
        RegionError
            The region is too small, or has no texture.
        TooFewFrames
            Fewer than three frames could be decoded.
        Unsuitable
            The picture moves farther than its rows can be followed.
        """
        if frames.cols < _LEAST_COLS or frames.rows < _LEAST_ROWS:
            raise RegionError(
                f"the region has {frames.rows} sensor rows of {frames.cols} px; row motion needs at least "
                f"{_LEAST_ROWS} rows of {_LEAST_COLS} px",
                hint="take a larger region",
            )
        template = _Template.measure(frames)
        solver = _RowSolver.build(template, _halves(frames.cols, int(self.params.stripe)))

        count, rows = frames.frame_count, frames.rows
        displacement = np.zeros((count, rows, len(solver.channels)), dtype=np.float32)
        observed = np.zeros((count, rows), dtype=bool)
        mean = template.mean.astype(np.float32)
        for block in frames.blocks():
            deviation = block.luma.transpose(1, 0, 2).astype(np.float32)
            deviation -= mean[:, None, :]
            moved = (deviation @ solver.functionals).transpose(1, 0, 2)
            brightness = 1 + moved[:, :, -1:]  # a brighter row shows the same motion in larger differences
            displacement[block.index] = moved[:, :, :-1] / np.maximum(brightness, 0.1)
            observed[block.index] = solver.informative
        seen = observed.any(axis=1)
        sway = solver.frame_motion(displacement)
        _refuse_travel(sway[seen])
        places = solver.places(displacement, sway)
        if float(np.abs(places[seen]).max(initial=0.0)) > _FIRST_ORDER:
            spread = places[seen][:, solver.informative].reshape(-1, 2)
            expansion = Expansion.of(template.mean, solver.functionals[:, :, :-1], spread)
            relinearise(displacement, expansion, places, x_y=np.array([0, 1, 0, 1]))
            swaying = float(np.abs(sway[seen]).max()) > _FIRST_ORDER and frames.rows > 4 * _EDGE_ROWS
            edge = _EDGE_ROWS if swaying else 0
            observed[:, :edge] = observed[:, frames.rows - edge :] = False  # their derivatives look out of the region
            displacement[~observed] = 0
        doubt = _doubt(sway[seen])
        return Motion(
            displacement=displacement,
            precision=solver.precision[None],
            observed=observed,
            frame_times=frames.clock.times,
            row_offsets=frames.row_offsets(),
            channels=solver.channels,
            frame_rate=frames.clock.rate,
            exposure=frames.shutter.exposure,
            doubt=doubt,
            warnings=(doubt,) if doubt else (),
        )


@dataclass(frozen=True, slots=True)
class _Template:
    """What the rows are compared with: the temporal mean, the noise about it, and how many frames went into it."""

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    frames: int

    @classmethod
    def measure(cls, frames: SensorFrames) -> _Template:
        """One pass for the mean; the noise from the differences of successive frames, spread over the clip."""
        total = np.zeros((frames.rows, frames.cols))
        squares = np.zeros((frames.rows, frames.cols))
        count = pairs = 0
        stride = max(1, frames.frame_count // _NOISE_PAIRS)
        last: Luma | None = None
        for block in frames.blocks():
            total += block.luma.sum(axis=0, dtype=np.float64)
            count += len(block.index)
            for index, luma in zip(block.index, block.luma, strict=True):
                if last is not None and index % stride == 0:
                    difference = luma.astype(np.float32) - last
                    difference -= difference.mean(axis=1, keepdims=True)  # a row's flicker is no noise
                    squares += difference * difference
                    pairs += 1
                last = luma
            last = None if last is None else last.copy()  # a source may use a block's memory again
        if count < 3 or pairs < 1:
            raise TooFewFrames(f"{count} frame(s) could be decoded; row motion needs at least 3")
        mean = total / count
        slopes = [derivative(mean, axis=axis) for axis in (1, 0)]
        return cls(mean, _noise_variance(mean, slopes, squares / (2 * pairs)), count)


def _noise_variance(
    mean: NDArray[np.float64], slopes: list[NDArray[np.float64]], temporal: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sensor noise a + b·I of every pixel, from the temporal variance with the motion's share told apart.

    The variance of a pixel is regressed on 1, I, I_x², I_y², I_x·I_y and (I − mean)²: the last four take up motion
    and flicker. Quantisation to whole digital numbers leaves at least 1/12.

    Parameters
    ----------
    mean, temporal : ndarray [shape=(rows, cols), float64, DN and DN²]
    slopes : list of two ndarray [shape=(rows, cols), float64, DN/px]
    """
    level = mean.mean()
    columns = [
        np.ones_like(mean),
        mean - level,
        slopes[0] ** 2,
        slopes[1] ** 2,
        slopes[0] * slopes[1],
        (mean - level) ** 2,
    ]
    step = max(1, mean.size // 200_000)
    design = np.stack([c.ravel()[::step] for c in columns], axis=1)
    scale = np.abs(design).max(axis=0)
    scale[scale == 0] = 1.0
    weight = np.ones(len(design))
    target = temporal.ravel()[::step]
    solution = np.zeros(len(columns))
    for _ in range(3):  # the variance of a variance grows with its square: weigh by the fit so far
        solution = np.linalg.lstsq(design / scale * weight[:, None], target * weight, rcond=None)[0] / scale
        weight = 1 / np.maximum(design @ solution, 0.05 * max(float(target.mean()), 1e-6))
    return np.asarray(np.maximum(solution[0] + solution[1] * (mean - level), 1 / 12))


def _halves(cols: int, stripe: int) -> NDArray[np.int64]:
    """Deal the columns in stripes to half 0 and 1 [shape=(cols,), int64]; a narrow region gets narrower stripes."""
    width = min(stripe, max(cols // 4, 1))
    return np.asarray(np.arange(cols) // width % 2)


@dataclass(frozen=True, slots=True)
class _RowSolver:
    """The least-squares solution of every row as fixed linear functionals of the row's deviation from the template.

    Parameters
    ----------
    functionals : ndarray [shape=(rows, cols, channels + 1), float32, px/DN]
        One a channel; the last gives the row's relative change of brightness instead (1/DN).
    precision : ndarray [shape=(rows, channels, channels), float32, 1/px²]
    informative : ndarray [shape=(rows,), bool]
        Whether a row says anything about motion at all.
    channels : tuple of Channel
    """

    functionals: NDArray[np.float32]
    precision: NDArray[np.float32]
    informative: NDArray[np.bool_]
    channels: tuple[Channel, ...]

    @classmethod
    def build(cls, template: _Template, halves: NDArray[np.int64]) -> _RowSolver:
        mean, weight = template.mean, 1 / template.variance
        rows, cols = mean.shape
        slopes = np.stack([derivative(mean, axis=1), derivative(mean, axis=0)], axis=-1)
        # Noise of the template, as its derivative sees it: what the normal equations hold too much of.
        slope_noise = NOISE_GAIN / template.frames
        functionals = np.zeros((rows, cols, 5), dtype=np.float32)
        functionals[:, :, 4] = 1 / np.maximum(mean.sum(axis=1, keepdims=True), 1.0)
        precision = np.zeros((rows, 4, 4), dtype=np.float32)
        for half in range(2):
            w = weight * (halves == half)
            nuisance = np.stack([mean, np.ones_like(mean)], axis=-1)
            nn = np.einsum("rc,rca,rcb->rab", w, nuisance, nuisance)
            nn += 1e-9 * np.trace(nn, axis1=1, axis2=2)[:, None, None] * np.eye(2)
            ns = np.einsum("rc,rca,rcb->rab", w, nuisance, slopes)
            clean = slopes - nuisance @ np.linalg.solve(nn, ns)  # the slopes with gain and offset projected out
            information = np.einsum("rc,rca,rcb->rab", w, clean, clean)
            channel = slice(2 * half, 2 * half + 2)
            noise = slope_noise * np.count_nonzero(halves == half)
            inverse = _inverse(information - noise * np.eye(2), noise)
            functionals[:, :, channel] = -(w[..., None] * clean) @ inverse
            covariance = inverse @ information @ inverse * (1 + 1 / template.frames)
            precision[:, channel, channel] = _inverse(covariance, 0.0)
        names = ("x", "y")
        channels = tuple(
            Channel(f"{name}, half {half}", (1.0, 0.0) if name == "x" else (0.0, 1.0), half)
            for half in range(2)
            for name in names
        )
        informative = np.trace(precision, axis1=1, axis2=2) > 0
        if not informative.any():
            raise RegionError("the region has no texture to measure motion on", hint="choose a region with detail")
        return cls(functionals, precision, informative, channels)

    def frame_motion(self, displacement: NDArray[np.float32]) -> NDArray[np.float64]:
        """Motion of each whole frame along x and y, by weighted least squares over its rows and halves.

        Parameters
        ----------
        displacement : ndarray [shape=(frames, rows, channels), float32, px]

        Returns
        -------
        ndarray [shape=(frames, 2), float64, px]
        """
        response = np.array([channel.response for channel in self.channels])
        gain = np.einsum("ca,rcd->rad", response, self.precision, dtype=np.float64)
        normal = np.einsum("rad,db->ab", gain, response)
        moment = np.einsum("rad,frd->fa", gain, displacement)
        return np.asarray(moment @ _inverse(normal[None], 0.0)[0])

    def places(self, displacement: NDArray[np.float32], sway: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where the picture stood at each row: its frame's motion, and what a few rows about it read beyond that.

        Where the rows together know it to no better than the first order's reach, only the frame's motion counts.

        Parameters
        ----------
        displacement : ndarray [shape=(frames, rows, channels), float32, px]
        sway : ndarray [shape=(frames, 2), float64, px]

        Returns
        -------
        ndarray [shape=(frames, rows, 2), float64, px]
        """
        from scipy.ndimage import uniform_filter1d

        response = np.array([channel.response for channel in self.channels])
        gain = np.einsum("ca,rcd->rad", response, self.precision, dtype=np.float64)
        normal = uniform_filter1d(gain @ response, _SPAN, axis=0, mode="constant") * _SPAN
        beyond = displacement - sway[:, None, :] @ response.T
        moment = np.einsum("rad,frd->fra", gain, beyond)
        moment = uniform_filter1d(moment, _SPAN, axis=1, mode="constant") * _SPAN
        known = _inverse(normal, 1 / _FIRST_ORDER**2)
        return np.asarray(sway[:, None, :] + np.einsum("rab,frb->fra", known, moment))


def _inverse(matrices: NDArray[np.float64], floor: float) -> NDArray[np.float64]:
    """Pseudo-inverse of symmetric 2×2 matrices on the directions whose eigenvalue is above 4·floor, and above 0.

    Parameters
    ----------
    matrices : ndarray [shape=(rows, 2, 2), float64]
    floor
        What noise alone feigns.
    """
    values, vectors = np.linalg.eigh(matrices)
    keep = values > np.maximum(4 * floor, 1e-9 * values[:, -1:])
    inverse = np.where(keep & (values > 0), 1 / np.where(keep & (values > 0), values, 1.0), 0.0)
    return np.asarray((vectors * inverse[:, None, :]) @ vectors.transpose(0, 2, 1))


def _refuse_travel(sway: NDArray[np.float64]) -> None:
    """Raise `Unsuitable` where the picture moves farther than its rows can be followed against one template."""
    largest = float(np.hypot(*sway.T).max(initial=0.0))
    if largest > _FOLLOWED:
        raise Unsuitable(
            f"the picture moves by up to {largest:.1f} px against its mean; the motion of single rows can be measured "
            f"up to {_FOLLOWED:g} px",
            hint="choose a region or a stretch of the clip that stays in place; what moves by itself (a person, a "
            "string in full swing) can't serve",
        )


def _doubt(sway: NDArray[np.float64]) -> str:
    """Why the motion can't be relied on, if the whole picture moves farther than the series holds."""
    largest = float(np.hypot(*sway.T).max(initial=0.0))
    if largest <= _RANGE:
        return ""
    return (
        f"the picture sways by up to {largest:.2f} px against its mean; beyond {_RANGE} px the sway's own trace "
        "in the rows can't be told from a faint sound"
    )
