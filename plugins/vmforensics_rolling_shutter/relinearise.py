"""Takes the rows' motion beyond first order, where the picture moves by more than a few hundredths of a pixel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import factorial

import numpy as np
from numpy.typing import NDArray

from vmforensics_rolling_shutter.derivative import derivative

_ORDER = 4  # of the Taylor series: its remainder is 1e-3 px at 0.5 px of sway, for the finest detail a lens passes
_SHARPENINGS = 3
_FRAMES_AT_ONCE = 64


@dataclass(frozen=True, slots=True, eq=False)
class Expansion:
    """What the rows' functionals read when the picture stands at a displacement D, as a series in it.

    A still picture S displaced by D is S(r - D) = Σ (-1)^(i+j) D_x^i D_y^j / (i! j!) ∂_x^i ∂_y^j S, and the functionals
    are linear: their reading is a polynomial in D, with coefficients that are fixed for each row and channel.

    Parameters
    ----------
    terms : dict of (i, j) to ndarray [shape=(rows, channels), float64]
        Coefficients of D_x^i D_y^j, less the D that the functionals are made to read in first order.
    """

    terms: dict[tuple[int, int], NDArray[np.float64]]

    @classmethod
    def of(cls, mean: NDArray[np.float64], functionals: NDArray[np.float32], places: NDArray[np.float64]) -> Expansion:
        """Find the still picture behind the mean of moving ones, and project its derivatives onto the functionals.

        Parameters
        ----------
        mean : ndarray [shape=(rows, cols), float64, DN]
            Temporal mean of the frames, that the functionals compare with.
        functionals : ndarray [shape=(rows, cols, channels), float32, px/DN]
        places : ndarray [shape=(n, 2), float64, px]
            Where the picture stood in the frames that went into the mean.
        """
        still = sharpened(mean, places)
        terms = {
            (i, j): _factor(i, j) * np.einsum("rc,rcd->rd", picture, functionals)
            for (i, j), picture in derivatives(still)
            if i + j >= 2
        }
        blur = still - mean
        terms[0, 0] = np.einsum("rc,rcd->rd", blur, functionals)
        terms[1, 0] = -np.einsum("rc,rcd->rd", derivative(blur, axis=1), functionals)
        terms[0, 1] = -np.einsum("rc,rcd->rd", derivative(blur, axis=0), functionals)
        return cls(terms)

    def at(self, place: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What is read beyond first order at a displacement, and its slope.

        Parameters
        ----------
        place : ndarray [shape=(frames, rows, 2), float64, px]

        Returns
        -------
        beyond : ndarray [shape=(frames, rows, channels), float64, px]
        slope : ndarray [shape=(frames, rows, channels, 2), float64]
            Its derivatives with respect to x and y.
        """
        x, y = np.moveaxis(place, -1, 0)[..., None]
        x_powers, y_powers = ([one**k for k in range(_ORDER + 1)] for one in (x, y))
        beyond = sum(x_powers[i] * y_powers[j] * term for (i, j), term in self.terms.items())
        slope_x = sum(i * x_powers[i - 1] * y_powers[j] * term for (i, j), term in self.terms.items() if i)
        slope_y = sum(j * x_powers[i] * y_powers[j - 1] * term for (i, j), term in self.terms.items() if j)
        return np.asarray(beyond), np.stack([np.asarray(slope_x), np.asarray(slope_y)], axis=-1)


def derivatives(picture: NDArray[np.float64]) -> Iterator[tuple[tuple[int, int], NDArray[np.float64]]]:
    """∂_x^i ∂_y^j of a picture for all i + j up to the series' order, each with its (i, j)."""
    down = picture
    for j in range(_ORDER + 1):
        right = down
        for i in range(_ORDER + 1 - j):
            yield (i, j), right
            right = derivative(right, axis=1)
        down = derivative(down, axis=0)


def sharpened(mean: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """The still picture whose mean over some places is the given one.

    The mean is S + Σ_{i+j≥2} (-1)^(i+j) m_ij / (i! j!) ∂_x^i ∂_y^j S with the places' moments m_ij; solved for S by
    fixed point.

    Parameters
    ----------
    mean : ndarray [shape=(rows, cols), float64, DN]
    places : ndarray [shape=(n, 2), float64, px]
    """
    x, y = (places - places.mean(axis=0)).T
    still = mean
    for _ in range(_SHARPENINGS):
        blur = np.zeros_like(mean)
        for (i, j), picture in derivatives(still):
            if i + j >= 2:
                blur += _factor(i, j) * float(np.mean(x**i * y**j)) * picture
        still = mean - blur
    return still


def _factor(i: int, j: int) -> float:
    return float((-1) ** (i + j)) / (factorial(i) * factorial(j))


def relinearise(
    readings: NDArray[np.float32], expansion: Expansion, places: NDArray[np.float64], *, x_y: NDArray[np.intp]
) -> None:
    """Correct, in place, the rows' readings for the place that they were taken at (one Gauss-Newton step).

    Parameters
    ----------
    readings : ndarray [shape=(frames, rows, channels), float32, px]
        First-order readings; each row's displacement afterwards.
    expansion
        The series.
    places : ndarray [shape=(frames, rows, 2), float64, px]
        Where the picture stood, as well as it is known.
    x_y : ndarray [shape=(channels,), int]
        Whether a channel reads x (0) or y (1); channels come in pairs (x, y).
    """
    edges = [*range(0, len(readings), _FRAMES_AT_ONCE), len(readings)]
    for begin, end in pairwise(edges):
        part = slice(begin, end)
        beyond, slope = expansion.at(places[part])
        centre = places[part][..., x_y]
        error = readings[part] - centre - beyond
        step = error
        for _ in range(3):  # (1 + slope) · step = error, the slope being small
            pairs = step.reshape(*step.shape[:2], -1, 2)
            moved = np.repeat(pairs, 2, axis=2)  # each channel's own half's (x, y)
            step = error - np.sum(slope * moved, axis=-1)
        readings[part] = centre + step
