"""The path of a drifting picture as a function of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FASTEST = 18.0
"""Hz; a hand moves a camera more slowly, and a path has two knots a period of that."""

_KNOTS = 1.25  # a frame, at most: its rows tell where it stood and how fast it went, not much more

_DEGREE = 7  # follows a hand's tremor of 11 Hz to 2e-3 with few knots: what knots could also follow is lost to sound

_RIDGE = 1e-9  # of the largest information: a stretch without any keeps the path that it had


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """A spline through time, with knots at regular distances.

    Parameters
    ----------
    knots : ndarray [shape=(n + 8,), float64, s]
    coefficients : ndarray [shape=(n, 2 or 3), float64, px, px and radians]
        Along and across the rows, and the angle of a picture that turns.
    """

    knots: NDArray[np.float64]
    coefficients: NDArray[np.float64]

    @classmethod
    def resting(cls, begin: float, end: float, frame_rate: float, coordinates: int = 2) -> Path:
        """No motion between two times (s), in two coordinates or with an angle."""
        step = max(1 / (2 * FASTEST), 1 / (_KNOTS * frame_rate))
        count = max(1, int(np.ceil((end - begin) / step)))
        knots = begin + (end - begin) / count * np.arange(-_DEGREE, count + _DEGREE + 1)
        return cls(np.asarray(knots, dtype=np.float64), np.zeros((count + _DEGREE, coordinates)))

    @property
    def span(self) -> tuple[float, float]:
        """Its begin and end, s."""
        return float(self.knots[_DEGREE]), float(self.knots[-_DEGREE - 1])

    def at(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Place at some times (s) [shape=(*times.shape, coordinates)]; held before the begin and after the end."""
        return np.asarray(self._spline(np.clip(times, *self.span)))

    @property
    def _spline(self) -> Any:
        from scipy.interpolate import BSpline

        return BSpline(self.knots, self.coefficients, _DEGREE)

    def corrected(self, times: NDArray[np.float64], beyond: NDArray[np.float64], weight: NDArray[np.float64]) -> Path:
        """The path that also takes up what was seen beyond this one, by weighted least squares.

        Parameters
        ----------
        times : ndarray [shape=(n,), float64, s]
            When, between the begin and the end.
        beyond : ndarray [shape=(n, coordinates), float64, px and radians]
            How far from this path.
        weight : ndarray [shape=(n,), float64, 1/px²]
            How well that is known.
        """
        from scipy.interpolate import BSpline
        from scipy.sparse import diags_array
        from scipy.sparse.linalg import spsolve

        inside = np.clip(times, *self.span)
        basis = BSpline.design_matrix(inside, self.knots, _DEGREE)
        weighted = basis.T @ diags_array(weight)
        normal = weighted @ basis
        normal += diags_array(np.full(normal.shape[0], _RIDGE * float(normal.diagonal().max())))
        return Path(self.knots, self.coefficients + spsolve(normal.tocsc(), weighted @ beyond))
