"""The two disjoint sets of pixels that motion is measured on apart: the detector compares them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vmforensics.data import Channel
from vmforensics.stages import StageParams
from vmforensics.units import Pixels

CHANNELS = tuple(
    Channel(f"{name}, half {half}", response, half)
    for half in (0, 1)
    for name, response in (("x", (1.0, 0.0)), ("y", (0.0, 1.0)))
)
"""Motion along and across the rows, of each half."""


class StripeParams(StageParams):
    """Parameters of an estimator that deals the columns in stripes to two halves."""

    stripe: Pixels = Field(
        default=32.0,
        ge=8,
        le=512,
        description="width of the column stripes that are dealt in turn to the two halves compared by the detector, px",
    )


def half_of_columns(cols: int, stripe: int) -> NDArray[np.int64]:
    """Deal the columns of a row, in stripes, to half 0 and half 1.

    A region narrower than four stripes gets narrower ones.

    Parameters
    ----------
    cols, stripe : int, px
        Length of a row, and width of a stripe.

    Returns
    -------
    ndarray [shape=(cols,), int64]
        0 or 1.
    """
    width = min(stripe, max(cols // 4, 1))
    return np.asarray(np.arange(cols) // width % 2)
