"""Takes the rows' motion beyond first order, where the picture moves by more than a few hundredths of a pixel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import factorial

import numpy as np
from numpy.typing import NDArray

from vmforensics.numerics.derivative import derivative
from vmforensics.numerics.mean_template import MeanTemplate

_HIGHEST = 4  # order of the Taylor series
_REACH = (0.1, 0.2)  # px of motion up to which the second and the third order are enough
_FINEST = 2 * np.pi * 0.25  # rad/px, of detail whose blurring by the motion is undone
_RESIDUE = 1e-3  # share of that detail that may stay blurred


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """Where the picture stood while the mean was taken, in numbers.

    Parameters
    ----------
    largest : float, px
        Largest displacement along either axis.
    moments : ndarray [shape=(5, 5), float64, px**(i + j)]
        Mean of x^i y^j over rows and frames.
    """

    largest: float
    moments: NDArray[np.float64]

    @property
    def rms(self) -> float:
        """Root mean square distance from where the mean stands, px."""
        return float(np.sqrt(self.moments[2, 0] + self.moments[0, 2]))

    @property
    def order(self) -> int:
        """Order that the series has to be taken to; the fourth is within 1e-3 px at 0.5 px of motion."""
        return 2 + sum(self.largest > reach for reach in _REACH)

    @property
    def sharpenings(self) -> int:
        """Steps of the fixed point that finds the still picture; each gains the share that the blur takes."""
        blur = _FINEST**2 * max(self.moments[2, 0], self.moments[0, 2]) / 2
        return int(np.clip(np.ceil(np.log(_RESIDUE) / np.log(np.clip(blur, 1e-9, 0.5))), 1, 4))

    @classmethod
    def of(cls, places: Iterable[NDArray[np.float64]]) -> Spread:
        """Gather it from some places [shape=(n, 2), float64, px] after others."""
        largest, total, count = 0.0, np.zeros((_HIGHEST + 1, _HIGHEST + 1)), 0
        for some in places:
            largest = max(largest, float(np.abs(some).max(initial=0.0)))
            x, y = (np.vander(one, _HIGHEST + 1, increasing=True) for one in some.T)
            total += x.T @ y
            count += len(some)
        return cls(largest, total / max(count, 1))


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
    def of(cls, template: MeanTemplate, functionals: NDArray[np.float32], spread: Spread) -> Expansion:
        """Find the still picture behind the mean of moving ones, and project its derivatives onto the functionals.

        Parameters
        ----------
        template
            What the functionals compare with.
        functionals : ndarray [shape=(rows, channels, cols), float32, px/DN]
        spread
            Of the places where the picture stood in the frames that went into the mean.
        """
        along, down = template.slopes
        compared = {(0, 0): template.mean, (1, 0): along, (0, 1): down}
        terms = {}
        for (i, j), picture in derivatives(sharpened(template.mean, spread), spread.order):
            beyond = picture - compared.get((i, j), 0.0)
            terms[i, j] = _factor(i, j) * np.matmul(functionals, beyond.astype(np.float32)[..., None])[..., 0]
        return cls({power: term.astype(np.float64) for power, term in terms.items()})

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
        x_powers, y_powers = ([one**k for k in range(_HIGHEST + 1)] for one in (x, y))
        beyond = sum(x_powers[i] * y_powers[j] * term for (i, j), term in self.terms.items())
        slope_x = sum(i * x_powers[i - 1] * y_powers[j] * term for (i, j), term in self.terms.items() if i)
        slope_y = sum(j * x_powers[i] * y_powers[j - 1] * term for (i, j), term in self.terms.items() if j)
        return np.asarray(beyond), np.stack([np.asarray(slope_x), np.asarray(slope_y)], axis=-1)


def derivatives(picture: NDArray[np.float64], order: int) -> Iterator[tuple[tuple[int, int], NDArray[np.float64]]]:
    """∂_x^i ∂_y^j of a picture for all i + j up to an order, each with its (i, j)."""
    down = picture
    for j in range(order + 1):
        right = down
        for i in range(order + 1 - j):
            yield (i, j), right
            if i + j < order:
                right = derivative(right, axis=1)
        if j < order:
            down = derivative(down, axis=0)


def sharpened(mean: NDArray[np.float64], spread: Spread) -> NDArray[np.float64]:
    """The still picture whose mean over some places is the given one.

    The mean is Σ (-1)^(i+j) m_ij / (i! j!) ∂_x^i ∂_y^j S with the places' moments m_ij; solved for S by fixed point.

    Parameters
    ----------
    mean : ndarray [shape=(rows, cols), float64, DN]
    spread
        The places.
    """
    still = mean
    for _ in range(spread.sharpenings):
        blur = np.zeros_like(mean)
        for (i, j), picture in derivatives(still, spread.order):
            if i + j:
                blur += _factor(i, j) * spread.moments[i, j] * picture
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
    beyond, slope = expansion.at(places)
    centre = places[..., x_y]
    error = readings - centre - beyond
    step = error
    for _ in range(3):  # (1 + slope) · step = error, the slope being small
        pairs = step.reshape(*step.shape[:2], -1, 2)
        moved = np.repeat(pairs, 2, axis=2)  # each channel's own half's (x, y)
        step = error - np.sum(slope * moved, axis=-1)
    readings[...] = centre + step
