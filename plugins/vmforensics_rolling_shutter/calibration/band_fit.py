"""The period of the bright and dark bands that a flashing light leaves in one rolling-shutter picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_HARMONICS = 8
_FASTEST = 0.45  # cycles a row of the highest harmonic that is fitted
_NARROWEST = 0.25  # cycles a row of the bands themselves
_FEWEST_CYCLES = 1.5  # in the picture, for a band to be looked for at all


@dataclass(frozen=True, slots=True, eq=False)
class BandFit:
    """The bands of one picture.

    Parameters
    ----------
    cycles_per_row : float
        Reciprocal of the period in rows.
    uncertainty : float
        Its standard uncertainty: residuals as they are, and what the choice of the illumination's order matters.
    contrast : float
        RMS of the bands relative to the profile's mean.
    explained : float
        Share of the profile's variance, beyond the slow illumination, that the bands explain.
    fitted : ndarray [shape=(rows,), float64, digital numbers]
        The fitted profile.
    """

    cycles_per_row: float
    uncertainty: float
    contrast: float
    explained: float
    fitted: NDArray[np.float64]


def fit_bands(profile: NDArray[np.float64]) -> BandFit | None:
    """Fit A(y) + S(y)·h(F·y): slow illuminations A and S of the scene, and a light h of any wave form and period 1/F.

    A and S are Legendre polynomials, h a Fourier series without constant. The start is the strongest line of the
    profile under a Hann window, whose place a smooth positive S doesn't move.

    Parameters
    ----------
    profile : ndarray [shape=(rows,), float64, digital numbers]
        Mean of each row.

    Returns
    -------
    BandFit or None
        None where there is no line at all.
    """
    rows = len(profile)
    span = np.linspace(-1, 1, rows)
    slow = np.polynomial.legendre.legvander(span, 4)
    rough = profile - slow @ np.linalg.lstsq(slow, profile, rcond=None)[0]
    if not np.any(np.abs(rough) > 1e-9 * max(float(np.abs(profile).max()), 1e-9)):
        return None
    size = 1 << int(np.ceil(np.log2(16 * rows)))
    power = np.abs(np.fft.rfft(rough * np.hanning(rows + 2)[1:-1], size)) ** 2
    line = np.fft.rfftfreq(size)
    power[(line < _FEWEST_CYCLES / rows) | (line > _NARROWEST)] = 0
    start = float(line[np.argmax(power)])
    if start == 0:
        return None
    degrees = (4, 2) if start * rows >= 6 else (2, 4)
    best, other = (_fit(profile, start, degree) for degree in degrees)
    uncertainty = float(np.hypot(best.uncertainty, best.cycles_per_row - other.cycles_per_row))
    contrast = float(np.std(rough) / max(abs(float(profile.mean())), 1e-9))
    explained = 1 - float(np.var(profile - best.fitted) / np.var(rough))
    return BandFit(best.cycles_per_row, uncertainty, contrast, explained, best.fitted)


def _fit(profile: NDArray[np.float64], start: float, degree: int) -> BandFit:
    from scipy.optimize import least_squares

    rows = len(profile)
    y = np.arange(rows) - (rows - 1) / 2
    slow = np.polynomial.legendre.legvander(np.linspace(-1, 1, rows), degree)
    harmonics = np.arange(1, int(np.clip(_FASTEST / start, 1, _HARMONICS)) + 1)

    def waves(cycles: float) -> NDArray[np.float64]:
        angle = 2 * np.pi * cycles / rows * y[:, None] * harmonics
        return np.concatenate([np.cos(angle), np.sin(angle)], axis=1)

    orders = degree + 1
    basis, shade = waves(start * rows), np.ones(rows)
    ambient = light = form = np.zeros(0)
    for _ in range(5):  # S and h multiply each other: one after the other, for a start
        solution = np.linalg.lstsq(np.concatenate([slow, shade[:, None] * basis], axis=1), profile, rcond=None)[0]
        form = solution[orders:]
        wave = basis @ form
        solution = np.linalg.lstsq(np.concatenate([slow, wave[:, None] * slow], axis=1), profile, rcond=None)[0]
        ambient, light = solution[:orders], solution[orders:]
        shade = slow @ light
    scale = light[0] if light[0] else 1.0

    def model(state: NDArray[np.float64]) -> NDArray[np.float64]:
        shade = slow @ np.concatenate([[1.0], state[1 + orders : 2 * orders]])
        return np.asarray(slow @ state[1 : 1 + orders] + shade * (waves(state[0]) @ state[2 * orders :]))

    state = np.concatenate([[start * rows], ambient, light[1:] / scale, form * scale])
    solved = least_squares(lambda x: model(x) - profile, state, method="lm", x_scale="jac")
    return BandFit(
        cycles_per_row=float(solved.x[0]) / rows,
        uncertainty=_spread(solved.jac, solved.fun, round(1 / start)) / rows,
        contrast=0.0,
        explained=0.0,
        fitted=model(solved.x),
    )


def _spread(jacobian: NDArray[np.float64], residual: NDArray[np.float64], lag: int) -> float:
    """Standard uncertainty of the first parameter with residuals correlated over a period (Newey & West 1987)."""
    rows, size = jacobian.shape
    bread = np.linalg.pinv(jacobian.T @ jacobian)
    scores = jacobian * residual[:, None]
    meat = scores.T @ scores
    for k in range(1, min(lag, rows // 4) + 1):
        product = scores[k:].T @ scores[:-k]
        meat += (1 - k / (lag + 1)) * (product + product.T)
    robust = float((bread @ meat @ bread)[0, 0]) * rows / max(rows - size, 1)
    plain = float(bread[0, 0]) * float(residual @ residual) / max(rows - size, 1)
    return float(np.sqrt(max(robust, plain)))
