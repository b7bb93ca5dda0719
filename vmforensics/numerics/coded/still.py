"""The still picture that coded frames are compared with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.numerics.derivative import derivative


@dataclass(frozen=True, slots=True, eq=False)
class StillPicture:
    """A region's picture without motion, in readout order.

    Parameters
    ----------
    mean : ndarray [shape=(rows, cols), float64, DN]
    slopes : two ndarrays [shape=(rows, cols), float64, DN/px]
        Its derivatives along and across the rows.
    """

    mean: NDArray[np.float64]
    slopes: tuple[NDArray[np.float64], NDArray[np.float64]]

    @classmethod
    def of(cls, mean: NDArray[np.float64]) -> StillPicture:
        """That of a picture [shape=(rows, cols), float64, DN], whose derivatives are made here."""
        return cls(mean, (derivative(mean, axis=1), derivative(mean, axis=0)))
