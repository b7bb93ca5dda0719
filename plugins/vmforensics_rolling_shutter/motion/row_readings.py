"""What an estimator read off the rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class RowReadings:
    """Displacement of every row, in the channels of `halves.CHANNELS`.

    Parameters
    ----------
    displacement : ndarray [shape=(frames, rows, channels), float32, px]
        0 where not observed.
    precision : ndarray [shape=(frames or 1, rows, channels, channels), float32, 1/px²]
        Inverse covariance of the channels' noise.
    observed : ndarray [shape=(frames, rows), bool]
        Whether the row was measured.
    doubt : str
        Why they can't be relied on, "" where they can.
    path : ndarray [shape=(frames, 2), float64, px] or None
        Where a drifting picture stood in the middle of each frame; the displacement is what the rows moved beyond it.
    notes : tuple of str
        What was followed or left out, in words.
    """

    displacement: NDArray[np.float32]
    precision: NDArray[np.float32]
    observed: NDArray[np.bool_]
    doubt: str = ""
    path: NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()
