"""Rows within stripes: what the stripes' readings lack where a sound is fast."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vmforensics_rolling_shutter.motion.row_readings import RowReadings
from vmforensics_rolling_shutter.motion.stripe_readings import StripeReadings

_AGREEING = 0.1  # share of the rows' deviations that both halves must have in common


def rows_of(readings: RowReadings, stripes: StripeReadings) -> RowReadings | None:
    """Each row's deviation from its stripe, as plain least squares reads it, put upon the stripe's own reading.

    Eight rows read as one lose what differs between them. Where the two halves of the picture agree on it, that is
    motion, and worth its noise. A row gets the part of its stripe's information that it has of the stripe's texture.

    Parameters
    ----------
    readings
        What plain least squares reads off every row.
    stripes
        What was inferred of every stripe of rows.

    Returns
    -------
    RowReadings or None
        None where the halves don't agree on the deviations.
    """
    rows, inferred = stripes.rows, stripes.inferred
    known = np.trace(readings.precision[0], axis1=1, axis2=2).astype(np.float64)[rows]
    share = known / np.maximum(known.sum(axis=1, keepdims=True), 1e-30)
    plain = readings.displacement[:, rows]
    apart = plain - np.einsum("rk,frkc->frc", share, plain)[:, :, None]
    if _agreement(apart - apart.mean(axis=0), share, stripes) < _AGREEING:
        return None
    displacement = np.zeros_like(readings.displacement)
    precision = np.zeros((*displacement.shape, displacement.shape[2]), dtype=np.float32)
    displacement[:, rows] = inferred.displacement[:, :, None] + apart
    precision[:, rows] = inferred.precision[:, :, None] * share[None, :, :, None, None]
    observed = np.trace(precision, axis1=2, axis2=3) > 0
    displacement[~observed] = 0
    return RowReadings(displacement, precision, observed)


def _agreement(apart: NDArray[np.floating], share: NDArray[np.float64], stripes: StripeReadings) -> float:
    """The halves' correlation in the deviations, in the direction that they agree on most; its median over stripes."""
    first, second = apart[..., :2], apart[..., 2:]
    common = np.einsum("rk,frka->ra", share, first * second)
    power = np.einsum("rk,frka->ra", share, first**2 + second**2) / 2
    seen = np.trace(stripes.inferred.precision, axis1=2, axis2=3).any(axis=0)
    correlation = np.median((common / np.maximum(power, 1e-30))[seen], axis=0)
    return float(np.max(correlation))
