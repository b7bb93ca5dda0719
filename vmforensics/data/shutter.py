"""When each sensor row sees the scene."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from vmforensics.errors import TimingError


class ReadoutDirection(StrEnum):
    """The way the exposure travels over the coded (stored, un-rotated) picture."""

    TOP_TO_BOTTOM = "top-to-bottom"
    BOTTOM_TO_TOP = "bottom-to-top"
    LEFT_TO_RIGHT = "left-to-right"
    RIGHT_TO_LEFT = "right-to-left"

    @property
    def along_columns(self) -> bool:
        """Whether a "sensor row" is a column of the coded picture (a phone held upright)."""
        return self in (ReadoutDirection.LEFT_TO_RIGHT, ReadoutDirection.RIGHT_TO_LEFT)

    @property
    def reversed(self) -> bool:
        """Whether the coded picture's last row (or column) is exposed first."""
        return self in (ReadoutDirection.BOTTOM_TO_TOP, ReadoutDirection.RIGHT_TO_LEFT)


@dataclass(frozen=True, slots=True)
class Shutter:
    """The exposure timing of a camera; a global shutter is one whose line delay is zero.

    Parameters
    ----------
    line_delay : float, s
        Time between the exposures of consecutive rows of the coded picture (the row time); 0 for a global shutter.
    line_delay_uncertainty : float or None, s
        Standard uncertainty of `line_delay`; None where nobody stated it.
    line_delay_source : str
        Who says so: metadata, an LED measurement, a published figure.
    exposure : float or None, s
        Exposure time of a row; None where unknown.
    direction : ReadoutDirection
        The way the readout travels over the coded picture.

    Raises
    ------
    TimingError
        A duration is negative or not finite.
    """

    line_delay: float = 0.0
    line_delay_uncertainty: float | None = None
    line_delay_source: str = ""
    exposure: float | None = None
    direction: ReadoutDirection = ReadoutDirection.TOP_TO_BOTTOM

    def __post_init__(self) -> None:
        for name in ("line_delay", "line_delay_uncertainty", "exposure"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value >= 0):
                raise TimingError(f"shutter {name} is {value} s; it must be finite and not negative")

    @property
    def is_rolling(self) -> bool:
        """Whether rows are exposed one after another."""
        return self.line_delay > 0

    def row_offsets(self, rows: int, first_row: int = 0) -> NDArray[np.float64]:
        """Middle of each row's exposure after the frame time, the one formula for both kinds of shutter.

        instant(n, y) = frame time(n) + line_delay · y + exposure/2, with y counted on the sensor in readout order.

        Parameters
        ----------
        rows
            Number of rows.
        first_row
            Sensor row of the first of them, in readout order.

        Returns
        -------
        ndarray [shape=(rows,), float64, s]

        Examples
        --------
        >>> Shutter(line_delay=1e-5, exposure=2e-4).row_offsets(3).tolist()
        [0.0001, 0.00011, 0.00012]
        """
        sensor_row = np.arange(first_row, first_row + rows, dtype=np.float64)
        return np.asarray(sensor_row * self.line_delay + (self.exposure or 0.0) / 2)
