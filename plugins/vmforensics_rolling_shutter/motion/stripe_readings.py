"""What was inferred of stripes of eight rows, and what plain least squares reads off the same rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.numerics.coded.readings import CodedReadings
from vmforensics.numerics.coded.transforms import SIDE
from vmforensics_rolling_shutter.motion.row_readings import RowReadings


@dataclass(frozen=True, slots=True, eq=False)
class StripeReadings:
    """Displacement of every stripe, in the channels of `halves.CHANNELS`.

    Parameters
    ----------
    inferred : CodedReadings
        A sample a stripe.
    first : ndarray [shape=(stripes,), int64]
        First of each stripe's eight rows, in the region and in readout order.
    """

    inferred: CodedReadings
    first: NDArray[np.int64]

    @property
    def rows(self) -> NDArray[np.int64]:
        """The rows of each stripe [shape=(stripes, 8), int64]."""
        return self.first[:, None] + np.arange(SIDE)

    def plain(self, pixels: RowReadings) -> NDArray[np.float64]:
        """Rows' readings averaged over stripes, each channel by itself.

        Parameters
        ----------
        pixels
            What plain least squares reads off every row.

        Returns
        -------
        ndarray [shape=(frames, stripes, channels), float64, px]
        """
        weight = np.diagonal(pixels.precision, axis1=2, axis2=3)[:, self.rows].astype(np.float64)
        total = weight.sum(axis=2)
        return np.asarray(np.sum(pixels.displacement[:, self.rows] * weight, axis=2) / np.where(total > 0, total, 1.0))
