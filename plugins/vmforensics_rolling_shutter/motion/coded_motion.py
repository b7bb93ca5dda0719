"""Motion of stripes of eight rows from the cells that a codec's coefficients lay in."""

from __future__ import annotations

from dataclasses import replace

from threadpoolctl import threadpool_limits

from vmforensics.data import FrameCoding, SensorFrames, TableCoding
from vmforensics.numerics.coded.cells import CellReader
from vmforensics.numerics.coded.dither import DitheredPicture, Stir
from vmforensics.numerics.coded.fitted import FittedPicture
from vmforensics.numerics.coded.readings import coarse, coding_of, each_alone, likeliest_noise, read
from vmforensics.numerics.coded.solver import PredictedSolver
from vmforensics.numerics.mean_template import MeanTemplate
from vmforensics_rolling_shutter.motion.row_readings import RowReadings
from vmforensics_rolling_shutter.motion.stripe_blocks import StripeBlocks
from vmforensics_rolling_shutter.motion.stripe_readings import StripeReadings

_LEAST_EXPLAINED = 0.5  # share of the predicted frames' blocks whose prediction must be found
_LARGEST_EXCESS = 4.0  # times the disagreement of the halves that JPEG's cells allow


def measure(frames: SensorFrames, template: MeanTemplate, readings: RowReadings, stripe: int) -> StripeReadings | None:
    """Measure every stripe of every frame from the codec's decisions.

    Parameters
    ----------
    frames
        The clip, of a picture that stays in place.
    template
        Its temporal mean.
    readings
        What plain least squares reads off the rows.
    stripe : px
        Width of the column stripes that are dealt in turn to the two halves; rounded to whole macroblocks.

    Returns
    -------
    StripeReadings or None
        None where the codec doesn't tell how it coded, or took little of frames coded by themselves, where too few
        predictions are found, or where the halves of JPEG pictures disagree by far more than their cells allow.
    """
    coding = coding_of(frames)
    with threadpool_limits(limits=1, user_api="blas"):  # sums that don't depend on the number of threads
        if isinstance(coding, FrameCoding) and each_alone(frames):
            return _of_intra(frames, template, stripe) if coarse(coding) else None
        if isinstance(coding, FrameCoding):
            return _of_predicted(frames, template, stripe)
        if isinstance(coding, TableCoding):
            return _of_tables(frames, template, readings, stripe)
    return None


def _of_predicted(frames: SensorFrames, template: MeanTemplate, stripe: int) -> StripeReadings | None:
    """Of frames that were predicted from others."""
    stripes = StripeBlocks.of(frames, template, stripe, textured=True)
    if stripes is None:
        return None
    blocks = stripes.blocks
    solver, reader = PredictedSolver(blocks, template.still), CellReader(blocks.top, blocks.left)
    sigma = likeliest_noise(frames, solver, reader)
    inferred = None if sigma is None else read(frames, solver, reader, sigma)
    if inferred is None or inferred.explained < _LEAST_EXPLAINED:
        return None
    return StripeReadings(inferred, stripes.rows)


def _of_intra(frames: SensorFrames, template: MeanTemplate, stripe: int) -> StripeReadings | None:
    """Of frames that were each predicted from themselves."""
    stripes = StripeBlocks.of(frames, template, stripe, textured=True)
    if stripes is None:
        return None
    blocks = stripes.blocks
    found = FittedPicture.find(frames, template.still, blocks)
    inferred = None if found is None else read(frames, found.solver(blocks), found.reader(blocks), found.sigma)
    if inferred is None or inferred.explained < _LEAST_EXPLAINED:
        return None
    return StripeReadings(inferred, stripes.rows)


def _of_tables(
    frames: SensorFrames, template: MeanTemplate, readings: RowReadings, stripe: int
) -> StripeReadings | None:
    """Of JPEG pictures."""
    stripes = StripeBlocks.of(frames, template, stripe, textured=False)
    if stripes is None:
        return None
    blocks = stripes.blocks
    stir = Stir.of(readings.displacement, readings.precision[0])
    found = DitheredPicture.find(frames, template.still, blocks, stir)
    if found is None:
        return None
    inferred = read(frames, found.solver(blocks), found.reader(blocks), found.sigma)
    if inferred is None or inferred.excess > _LARGEST_EXCESS:
        return None
    return StripeReadings(replace(inferred, lost=found.lost), stripes.rows)
