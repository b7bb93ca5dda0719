"""The time of each frame, and how far it can be believed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class TimingVerdict(StrEnum):
    """What the container's time stamps turned out to be."""

    EXACT = "exact"  # a constant rate, stamps on it within the time base
    ROUNDED = "rounded"  # a constant rate behind stamps rounded to a coarse time base (Matroska's 1 ms)
    VARIABLE = "variable"  # true variable rate: the stamps themselves are the best clock
    BROKEN = "broken"  # absent, not increasing, or contradictory


@dataclass(frozen=True, slots=True, eq=False)
class Clock:
    """When each frame began, and on whose word.

    Parameters
    ----------
    times : ndarray [shape=(frames,), float64, s]
        Start of the exposure of sensor row 0 of each frame, strictly increasing; the first is 0.
    rate : float, Hz
        Frame rate: of the constant-rate grid, or the mean rate of a variable one.
    verdict : TimingVerdict
        What the stamps are.
    basis : str
        The clock in use, in plain words ("constant rate fitted to the stamps").
    residual : float, s
        Largest distance of a stamp from the fitted constant rate (0 where there are no stamps).
    doubtful_by : float, s
        How far a frame's time may be off, where stamps stray from the rate by more than rounding explains.
    missing : int
        Frames that the grid has room for but the container doesn't hold (dropped by the recorder).
    """

    times: NDArray[np.float64]
    rate: float
    verdict: TimingVerdict
    basis: str
    residual: float = 0.0
    missing: int = 0
    doubtful_by: float = 0.0

    def __post_init__(self) -> None:
        if self.times.ndim != 1 or not np.all(np.isfinite(self.times)):
            raise ValueError("frame times must be one finite value a frame")
        if np.any(np.diff(self.times) <= 0):
            raise ValueError("frame times must increase")
        if not (np.isfinite(self.rate) and self.rate > 0):
            raise ValueError(f"frame rate is {self.rate}; it must be positive")
