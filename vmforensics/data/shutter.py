"""When each sensor row sees the scene."""

from __future__ import annotations

import math
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
    sensor_rows_per_row : float
        Sensor rows that were averaged into one row of the coded picture: 1 for a picture stored as read, 2 for one
        binned or scaled to half its height. It may be a fraction (1080 rows stored as 720: 1.5).
    rows_at_once : int
        Sensor rows that are exposed and read together; 1 for all but multi-row-parallel sensors.
    first_sensor_row : int
        Sensor rows read before the coded picture's first one, where it is a crop. It moves all instants alike, and
        says which rows are read together.

    Raises
    ------
    TimingError
        A duration or a number of rows is out of range.
    """

    line_delay: float = 0.0
    line_delay_uncertainty: float | None = None
    line_delay_source: str = ""
    exposure: float | None = None
    direction: ReadoutDirection = ReadoutDirection.TOP_TO_BOTTOM
    sensor_rows_per_row: float = 1.0
    rows_at_once: int = 1
    first_sensor_row: int = 0

    def __post_init__(self) -> None:
        for name in ("line_delay", "line_delay_uncertainty", "exposure"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value >= 0):
                raise TimingError(f"shutter {name} is {value} s; it must be finite and not negative")
        if not (np.isfinite(self.sensor_rows_per_row) and self.sensor_rows_per_row >= 1):
            raise TimingError(f"{self.sensor_rows_per_row} sensor rows per stored row; it must be 1 or more")
        if self.rows_at_once < 1:
            raise TimingError(f"{self.rows_at_once} rows read at once; it must be 1 or more")
        if self.first_sensor_row < 0:
            raise TimingError(f"first sensor row {self.first_sensor_row}; it must not be negative")

    @property
    def is_rolling(self) -> bool:
        """Whether rows are exposed one after another."""
        return self.line_delay > 0

    @property
    def line_time(self) -> float:
        """Time between consecutive rows of the sensor itself, in s."""
        return self.line_delay / self.sensor_rows_per_row

    @property
    def aperture(self) -> float | None:
        """Time that a stored row averages over, in s; None where the exposure is unknown.

        The exposure, where a stored row is one sensor row. Else the length of the boxcar whose variance is that of all
        its sensor rows' exposures together, √(exposure² + (s² − B²)·line_time²) for s rows per row, B read at once:
        to second order in frequency it takes as much of a tone as they do.
        """
        if self.exposure is None:
            return None
        spread = max(self.sensor_rows_per_row**2 - self.rows_at_once**2, 0.0) * self.line_time**2
        return math.hypot(self.exposure, math.sqrt(spread)) if spread else self.exposure

    def sensor_rows(self, rows: int, first_row: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Instants of the sensor rows that went into each stored row, and their shares in it.

        Sensor row k is exposed at frame time + floor(k / rows_at_once) · rows_at_once · line_time, in the middle of
        its exposure exposure/2 later. Stored row y averages the sensor rows from first_sensor_row +
        y · sensor_rows_per_row on, by area.

        Parameters
        ----------
        rows, first_row
            As for `row_offsets`.

        Returns
        -------
        instants, shares : ndarray [shape=(rows, sensor rows per row), float64, s and 1]
            Middle of each exposure after the frame time; shares that add up to 1.
        """
        scale = self.sensor_rows_per_row
        start = self.first_sensor_row + scale * np.arange(first_row, first_row + rows, dtype=np.float64)
        count = math.ceil(scale) + (not float(scale).is_integer())
        row = np.floor(start)[:, None] + np.arange(count)
        shares = np.minimum(row + 1, start[:, None] + scale) - np.maximum(row, start[:, None])
        group = row - row % self.rows_at_once
        instants = group * self.line_time + (self.exposure or 0.0) / 2
        return np.asarray(instants), np.asarray(np.maximum(shares, 0.0) / scale)

    def row_offsets(self, rows: int, first_row: int = 0) -> NDArray[np.float64]:
        """Middle of each stored row's exposure after the frame time, the one formula for every shutter.

        instant(n, y) = frame time(n) + line_delay · y + exposure/2, with y counted in readout order; or the mean over
        the sensor rows that stored row y was made of (`sensor_rows`).

        Parameters
        ----------
        rows
            Number of rows.
        first_row
            Number of the first of them in the coded picture, in readout order.

        Returns
        -------
        ndarray [shape=(rows,), float64, s]

        Examples
        --------
        >>> Shutter(line_delay=1e-5, exposure=2e-4).row_offsets(3).tolist()
        [0.0001, 0.00011, 0.00012]
        >>> Shutter(line_delay=1e-5, rows_at_once=2).row_offsets(4).tolist()
        [0.0, 0.0, 2e-05, 2e-05]
        """
        instants, shares = self.sensor_rows(rows, first_row)
        return np.asarray(np.sum(instants * shares, axis=1))
