"""Motion of each sensor row against the temporal mean, by weighted least squares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Motion, SensorFrames
from vmforensics.errors import RegionError, Unsuitable
from vmforensics.numerics.coded.gain import gain_left
from vmforensics.numerics.coded.transforms import SIDE
from vmforensics.numerics.mean_template import MeanTemplate
from vmforensics.stages import MotionEstimator, StageParams
from vmforensics_rolling_shutter.motion import coded_motion, drifting, periodic, steady
from vmforensics_rolling_shutter.motion.halves import CHANNELS, StripeParams, half_of_columns
from vmforensics_rolling_shutter.motion.row_readings import RowReadings
from vmforensics_rolling_shutter.motion.stripe_readings import StripeReadings
from vmforensics_rolling_shutter.motion.stripe_rows import rows_of
from vmforensics_rolling_shutter.motion.tracking import LostAtOnce

_LEAST_ROWS, _LEAST_COLS = 8, 32
_LONGEST_STRIPE = 4e-4  # s that a stripe of rows may take, or too much of the sound would average out
_RESTING = 0.15  # px that whole frames may move by for a codec to predict them in place
_SWALLOWED = 0.95  # share of the motion left, below which the codec's loss is worth a word
_CLIPPED = 0.01  # share of the pixels that may be left out without a word


class RowMotionParams(StripeParams):
    """Parameters of `row-motion`."""


class RowMotion(MotionEstimator):
    """Joint least squares for (dx, dy) of every sensor row, with brightness gain and offset as nuisances.

    A row of frame n is I_n ≈ T - T_x·dx - T_y·dy + g·T + o + noise, with T the temporal mean of that row and T_x, T_y
    its spatial derivatives (what moves to the right takes its brightness from the left). Weighted by the noise
    variance σ²(I) = a + b·I, the solution reaches the Cramér-Rao bound Cov ≥ (Gᵀ Σ⁻¹ G)⁻¹ of a known template. The
    template's own noise, which would shrink the result (errors in variables), is taken out of the normal equations.
    The row's pixels are dealt in stripes to two halves that are solved apart: four channels, x and y of each half.

    A picture that moves by more than half a pixel or turns, a camera held by hand, is followed instead: T is then the
    registered mean of the frames, as seen from where the picture stands, and at what angle, at each row's instant, and
    the path, whose fastest part is half the frame rate, is taken out. A picture that doesn't move as one is refused.
    What passes in front of the scene is left out, cell by cell, while it covers it.

    Where an H.264 or Motion JPEG file tells how coarsely it was quantised, and the picture rests, stripes of eight rows
    are read instead, by maximum likelihood from the quantiser's cells that their coefficients lay in: what was rounded
    away can be told from what wasn't there (docs/codec.md).
    """

    name: ClassVar[str] = "row-motion"
    summary: ClassVar[str] = "motion of every sensor row: weighted least squares on the mean template"
    reference: ClassVar[str] = (
        "Lucas & Kanade 1981 (least squares on the gradient); Davis et al. 2014, doi:10.1145/2601097.2601119, "
        "section 6 (rolling shutter)"
    )
    Params: ClassVar[type[StageParams]] = RowMotionParams
    masks: ClassVar[bool] = True

    def estimate(self, frames: SensorFrames) -> Motion:
        """Measure every row of every frame.

        Raises
        ------
        RegionError
            The region is too small, or has no texture.
        TooFewFrames
            Fewer than three frames could be decoded.
        Unsuitable
            The picture drifts and can't be followed: it leaves itself, or its parts move apart.
        """
        if frames.cols < _LEAST_COLS or frames.rows < _LEAST_ROWS:
            raise RegionError(
                f"the region has {frames.rows} sensor rows of {frames.cols} px; row motion needs at least "
                f"{_LEAST_ROWS} rows of {_LEAST_COLS} px",
                hint="take a larger region",
            )
        half_of = half_of_columns(frames.cols, int(self.params.stripe))
        template = MeanTemplate.measure(frames)
        readings = _measured(frames, template, half_of)
        doubts = [doubt for doubt in (readings.doubt, *_doubts(frames, template, readings)) if doubt]
        notes = [*readings.notes]
        if template.clipped > _CLIPPED:
            notes.append(f"{template.clipped:.1%} of the pixels are clipped or close to one that is, and left out")
        if stripes := _coded(frames, template, readings, int(self.params.stripe)):
            return _of_stripes(frames, readings, stripes, doubts, notes)
        return Motion(
            displacement=readings.displacement,
            precision=readings.precision,
            observed=readings.observed,
            frame_times=frames.clock.times,
            row_offsets=frames.row_offsets(),
            channels=CHANNELS,
            frame_rate=frames.clock.rate,
            exposure=frames.shutter.aperture,
            doubt="; ".join(doubts),
            warnings=(*doubts, *notes),
            path=readings.path,
        )


def _measured(frames: SensorFrames, template: MeanTemplate, half_of: NDArray[np.int64]) -> RowReadings:
    """Against the mean where the picture stays in place, else along its path."""
    try:
        readings = steady.measure(frames, template, half_of)
        if readings is None and frames.mask is not None:
            raise Unsuitable(
                "the picture moves, and a region that isn't a rectangle can't be followed", hint="give it as a box"
            )
    except RegionError as blank:  # a blank wall, or a texture that drifted until its mean was blank
        if frames.mask is not None:
            raise
        try:
            return drifting.measure(frames, half_of)
        except LostAtOnce:
            raise blank from None
    return readings or drifting.measure(frames, half_of)


def _coded(frames: SensorFrames, template: MeanTemplate, readings: RowReadings, stripe: int) -> StripeReadings | None:
    """What the codec's decisions tell of a picture that rests, where they do and stripes of rows are short enough."""
    if readings.path is not None or SIDE * frames.shutter.line_delay > _LONGEST_STRIPE:
        return None
    weight = np.where(readings.observed[..., None], np.diagonal(readings.precision, axis1=2, axis2=3), 0.0)
    sway = np.sum(weight * readings.displacement, axis=1) / np.maximum(weight.sum(axis=1), 1e-9)
    if np.abs(sway).max(initial=0.0) > _RESTING:
        return None
    return coded_motion.measure(frames, template, readings, stripe)


def _of_stripes(
    frames: SensorFrames, readings: RowReadings, stripes: StripeReadings, doubts: list[str], notes: list[str]
) -> Motion:
    """The motion of stripes of rows, each a sample in the middle of its rows; of JPEG's rows where they tell more."""
    inferred = stripes.inferred
    gain = gain_left(stripes.plain(readings), stripes.inferred)
    if inferred.vague:
        notes = [*notes, inferred.vague]
    if gain is not None and gain < _SWALLOWED:
        notes = [
            *notes,
            f"the compression left {gain:.0%} of the motion in the pixels; the rest was inferred from how "
            "each block was coded",
        ]
    offsets = frames.row_offsets()
    span, aperture = SIDE * frames.shutter.line_delay, frames.shutter.aperture
    if inferred.by_table and (rows := rows_of(readings, stripes)):
        return Motion(
            displacement=rows.displacement,
            precision=rows.precision,
            observed=rows.observed,
            frame_times=frames.clock.times,
            row_offsets=offsets,
            channels=CHANNELS,
            frame_rate=frames.clock.rate,
            exposure=aperture,
            doubt="; ".join(doubts),
            warnings=(*doubts, *notes),
            codec_gain=gain,
            decoded=False,
        )
    return Motion(
        displacement=inferred.displacement,
        precision=inferred.precision,
        observed=np.trace(inferred.precision, axis1=2, axis2=3) > 0,
        frame_times=frames.clock.times,
        row_offsets=offsets[stripes.rows].mean(axis=1),
        channels=CHANNELS,
        frame_rate=frames.clock.rate,
        exposure=None if aperture is None else float(np.hypot(aperture, span)),  # boxcars: their variances add
        doubt="; ".join(doubts),
        warnings=(*doubts, *notes),
        codec_gain=gain,
        decoded=False,
    )


def _doubts(frames: SensorFrames, template: MeanTemplate, readings: RowReadings) -> Iterator[str]:
    """Why the rows can't be relied on in such a picture."""
    if readings.path is not None and template.clipped > _CLIPPED:
        yield (
            f"{template.clipped:.1%} of the pixels are clipped, or close to one that is, while the picture drifts; "
            "they can't be left out there, and don't follow the light"
        )
    if periodic.lossy(frames.stream.facts) and periodic.repetition(template.mean) > periodic.REPEATING:
        yield (
            "the texture repeats itself, and the compression's errors repeat with it: they can't be told from motion"
        )
