"""Takes the rows' motion beyond first order, where the whole picture sways by more than a few hundredths of a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import factorial

import numpy as np
from numpy.typing import NDArray

from vmforensics_rolling_shutter.derivative import derivative

_ORDER = 4  # of the Taylor series: its remainder is 1e-3 px at 0.5 px of sway, for the finest detail a lens passes
_FRAMES_AT_ONCE = 64


@dataclass(frozen=True, slots=True, eq=False)
class Expansion:
    """What the rows' functionals read when the picture stands at a displacement (x, y), as a series in it.

    A frame displaced by D is T(r - D) = Σ (-1)^(i+j) D_x^i D_y^j / (i! j!) ∂_x^i ∂_y^j T. The functionals are linear:
    their reading is a polynomial in D whose coefficients are fixed for each row and channel.

    Parameters
    ----------
    terms : dict of (i, j) to ndarray [shape=(rows, channels), float64]
        Coefficients of D_x^i D_y^j for 2 ≤ i + j ≤ 4; the first order is what the functionals are made to read.
    """

    terms: dict[tuple[int, int], NDArray[np.float64]]

    @classmethod
    def of(cls, template: NDArray[np.float64], functionals: NDArray[np.float32]) -> Expansion:
        """Project the template's derivatives onto the functionals.

        Parameters
        ----------
        template : ndarray [shape=(rows, cols), float64, DN]
        functionals : ndarray [shape=(rows, cols, channels), float32, px/DN]
        """
        terms = {}
        down = template
        for j in range(_ORDER + 1):
            right = down
            for i in range(_ORDER + 1 - j):
                if i + j >= 2:
                    factor = (-1) ** (i + j) / (factorial(i) * factorial(j))
                    terms[i, j] = factor * np.einsum("rc,rcd->rd", right, functionals)
                right = derivative(right, axis=1)
            down = derivative(down, axis=0)
        return cls(terms)

    def sharpened(self, covariance: NDArray[np.float64]) -> Expansion:
        """The series for the still picture, where the template is its mean over a sway of this covariance (px²).

        The mean lacks, to first order, half the covariance times the second derivatives; what that takes from the
        reading is its constant part and a share of the first order.
        """
        x, xy, y = covariance[0, 0], covariance[0, 1], covariance[1, 1]
        terms = dict(self.terms)
        second = {(2, 0): x, (1, 1): xy, (0, 2): y}
        terms[0, 0] = -sum(share * self.terms[k] for k, share in second.items())
        # ∂x of the missing part: third derivatives; signs and factorials as they stand in `terms`
        terms[1, 0] = -(3 * x * self.terms[3, 0] + 2 * xy * self.terms[2, 1] + y * self.terms[1, 2])
        terms[0, 1] = -(3 * y * self.terms[0, 3] + 2 * xy * self.terms[1, 2] + x * self.terms[2, 1])
        return Expansion(terms)

    def at(self, sway: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What is read beyond first order, and its slope.

        Parameters
        ----------
        sway : ndarray [shape=(frames, 2), float64, px]

        Returns
        -------
        beyond : ndarray [shape=(frames, rows, channels), float64, px]
        slope : ndarray [shape=(frames, rows, channels, 2), float64]
            Its derivatives with respect to x and y.
        """
        x, y = sway.T
        powers = [np.ones((2, len(sway)))]
        for _ in range(_ORDER):
            powers.append(powers[-1] * (x, y))
        beyond, slope_x, slope_y = (
            sum(
                np.multiply.outer(weight, term)
                for (i, j), term in self.terms.items()
                if (weight := _weight(powers, i, j, kind)) is not None
            )
            for kind in ("value", "x", "y")
        )
        return np.asarray(beyond), np.stack([np.asarray(slope_x), np.asarray(slope_y)], axis=-1)


def _weight(powers: list[NDArray[np.float64]], i: int, j: int, kind: str) -> NDArray[np.float64] | None:
    """D_x^i D_y^j or its derivative with respect to x or y; None where that is 0."""
    if kind == "x":
        return i * powers[i - 1][0] * powers[j][1] if i else None
    if kind == "y":
        return j * powers[i][0] * powers[j - 1][1] if j else None
    return np.asarray(powers[i][0] * powers[j][1])


def relinearise(
    readings: NDArray[np.float32], expansion: Expansion, sway: NDArray[np.float64], *, x_y: NDArray[np.intp]
) -> None:
    """Correct, in place, the rows' readings for the sway that they were taken at (one Gauss-Newton step).

    Parameters
    ----------
    readings : ndarray [shape=(frames, rows, channels), float32, px]
        First-order readings; each row's displacement afterwards.
    expansion
        The series, sharpened for the sway.
    sway : ndarray [shape=(frames, 2), float64, px]
        Displacement of each whole frame.
    x_y : ndarray [shape=(channels,), int]
        Whether a channel reads x (0) or y (1); channels come in pairs (x, y).
    """
    edges = [*range(0, len(readings), _FRAMES_AT_ONCE), len(readings)]
    for begin, end in pairwise(edges):
        part = slice(begin, end)
        beyond, slope = expansion.at(sway[part])
        centre = sway[part][:, None, x_y]
        error = readings[part] - centre - beyond
        step = error
        for _ in range(3):  # (1 + slope) · step = error, the slope being small
            pairs = step.reshape(*step.shape[:2], -1, 2)
            moved = np.repeat(pairs, 2, axis=2)  # each channel's own half's (x, y)
            step = error - np.sum(slope * moved, axis=-1)
        readings[part] = centre + step
