"""What a calibrator says about the row time: a value with its uncertainty, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.data.shutter import ReadoutDirection


@dataclass(frozen=True, slots=True, eq=False)
class RowTimeFit:
    """What a row time was read off, for the plot: a measured quantity over sensor rows, and the model fitted to it.

    Parameters
    ----------
    rows : ndarray [shape=(n,), float64]
        Sensor rows of the region in readout order, from its first.
    measured : ndarray [shape=(n,), float64, `quantity`]
        What was measured there.
    fitted : ndarray [shape=(n,), float64, `quantity`]
        What the model says.
    quantity : str
        What both are, with the unit in brackets: "phase of the light (cycles)".

    Raises
    ------
    ValueError
        Shapes disagree, or a value isn't finite.
    """

    rows: NDArray[np.float64]
    measured: NDArray[np.float64]
    fitted: NDArray[np.float64]
    quantity: str

    def __post_init__(self) -> None:
        for name in ("rows", "measured", "fitted"):
            array = getattr(self, name)
            if array.ndim != 1 or array.shape != self.rows.shape or not np.all(np.isfinite(array)):
                raise ValueError(f"{name} of a row-time fit must be finite, one value a row; shape {array.shape}")


@dataclass(frozen=True, slots=True, eq=False)
class RowTime:
    """A row time with its standard uncertainty, or the reason why there is none.

    Parameters
    ----------
    method : str
        Name of the calibrator.
    reason : str
        In plain words: what the value rests on, or why it is indeterminate.
    value : float or None, s
        Time between the exposures of consecutive rows of the coded picture; None: indeterminate.
    uncertainty : float or None, s
        Its standard uncertainty; None exactly where `value` is.
    direction : ReadoutDirection or None
        The way the readout travels, where the method tells.
    prior : bool
        Whether the value is an expectation about this kind of camera, not a measurement or a record of this clip.
    light_frequency, light_frequency_uncertainty : float or None, Hz
        Frequency of the light that was used, with its standard uncertainty where it was fitted.
    fit : RowTimeFit or None
        What there is to plot.

    Raises
    ------
    ValueError
        A number isn't positive and finite, the uncertainty is missing, or nothing is said.
    """

    method: str
    reason: str
    value: float | None = None
    uncertainty: float | None = None
    direction: ReadoutDirection | None = None
    prior: bool = False
    light_frequency: float | None = None
    light_frequency_uncertainty: float | None = None
    fit: RowTimeFit | None = None

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise ValueError("a row time says what it rests on, or why there is none")
        if (self.value is None) != (self.uncertainty is None):
            raise ValueError("a row time has an uncertainty, and an uncertainty a row time")
        for name in ("value", "uncertainty", "light_frequency", "light_frequency_uncertainty"):
            number = getattr(self, name)
            if number is not None and not (np.isfinite(number) and number > 0):
                raise ValueError(f"row-time {name} is {number}; it must be positive and finite")

    @property
    def determinate(self) -> bool:
        """Whether there is a value."""
        return self.value is not None

    @property
    def relative_uncertainty(self) -> float | None:
        """Standard uncertainty as a share of the value; None where there is none."""
        return None if self.value is None or self.uncertainty is None else self.uncertainty / self.value
