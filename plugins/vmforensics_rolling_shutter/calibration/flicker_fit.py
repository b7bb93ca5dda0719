"""Least squares for the row time and the slowly wandering phase of a lamp, over all frames and rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

_KNOT = 2.0  # s between the knots of the wandering phase, at least
_MOST_KNOTS = 20
_WANDER = 0.05  # Hz/s; how fast the light's frequency is expected to change (twice the mains'), a loose prior
_HARMONIC = 0.5  # expected size of the second harmonic relative to the first, a loose prior
_ITERATIONS = 40
_WEIGHED = 12  # iterations in which the rows are weighed anew; then the weights rest, so that the fit can settle
_CONVERGED = 1e-3  # of a standard uncertainty
_LAG = 0.25  # s over which the scores of frames may be correlated (Newey & West)


@dataclass(frozen=True, slots=True, eq=False)
class FlickerFit:
    """The solution.

    Parameters
    ----------
    row_time : float, s
        Time from row to row, negative where the last row of the region is exposed first.
    uncertainty : float, s
        Its standard uncertainty, by the residuals as they are: correlated within frames, and between near ones.
    frequency, frequency_uncertainty : float, Hz
        The light's mean frequency.
    cost : float
        Twice the negative logarithm of the likelihood, up to a constant: frames · Σ_y log(mean squared residual).
    design_effect : float
        Variance of the row time by the residuals as they are, over what independent ones would give; 1 or more.
    amplitude : ndarray [shape=(rows,), float64]
        Of the first harmonic at each row, relative to the row's mean.
    phase : ndarray [shape=(rows,), float64, cycles]
        Phase of each row's flicker beyond the wandering phase at the frame times, as measured row by row.
    phase_uncertainty : ndarray [shape=(rows,), float64, cycles]
        Their standard uncertainty.
    """

    row_time: float
    uncertainty: float
    frequency: float
    frequency_uncertainty: float
    cost: float
    design_effect: float
    amplitude: NDArray[np.float64]
    phase: NDArray[np.float64]
    phase_uncertainty: NDArray[np.float64]

    def mirrored(self, frequency: float) -> FlickerFit:
        """The same flicker as one of another frequency, alike in every frame, with the rows read backwards."""
        return replace(
            self,
            row_time=-self.row_time * self.frequency / frequency,
            uncertainty=self.uncertainty * self.frequency / frequency,
            frequency=frequency,
            phase=-self.phase,
        )


def fit_flicker(
    relative: NDArray[np.float64],
    times: NDArray[np.float64],
    rows: NDArray[np.float64],
    *,
    frequency: float,
    row_time: float,
) -> FlickerFit:
    """Fit the flicker from a starting point.

    Row y of frame n reads o_y + A_y·(cos θ + b·cos 2θ + c·sin 2θ) with θ = φ(t_n + y·τ). The offset o_y and the
    amplitude A_y of every row are eliminated (variable projection, Kaufman 1975, doi:10.1007/BF01932995), so neither
    the scene nor how much of its light flickers matters. φ is a cubic spline, whose second derivative has a loose
    prior: mains wander. Gauss-Newton on (τ, b, c, φ); the covariance is the sandwich of scores summed over frames
    (Newey & West 1987, doi:10.2307/1913610), so that noise that rows of a frame share counts as such.

    Parameters
    ----------
    relative : ndarray [shape=(frames, rows), float64]
        Brightness of each row relative to its mean, minus 1.
    times : ndarray [shape=(frames,), float64, s]
    rows : ndarray [shape=(rows,), float64]
        Row numbers.
    frequency, row_time : float, Hz and s
        Starting point.
    """
    path = _Path(times, frequency)
    y = rows - rows.mean()
    turn = np.exp(-2j * np.pi * frequency * times)
    course = turn * (relative @ np.exp(-2j * np.pi * frequency * row_time * y))
    state = np.concatenate([[row_time, 0.0, 0.0], path.following(course)])
    weight = np.ones(len(rows))
    damping = 1.0
    for step in range(_ITERATIONS):
        model = _linearised(state, relative, y, path)
        if step < _WEIGHED:  # the noise of each row, known the better the nearer the model is
            weight = 1 / np.maximum(np.mean(model.residual**2, axis=0), 1e-16)
        normal = np.einsum("yni,ynj,y->ij", model.jacobian, model.jacobian, weight, optimize=True)
        gradient = np.einsum("yni,ny,y->i", model.jacobian, model.residual, weight, optimize=True)
        prior = path.prior()
        total = normal + prior
        change = np.linalg.solve(total, gradient - prior @ state)
        limit = 0.3 / max(float(np.abs(2 * np.pi * frequency * change[0] * np.ptp(y))), 0.3)  # radians over the rows
        damping = min(1.0, limit)
        state = state + damping * change
        spread = np.sqrt(np.maximum(np.diag(np.linalg.inv(total)), 0.0))  # rounding may make them negative
        if step >= 3 and damping == 1.0 and np.all(np.abs(change) < _CONVERGED * spread):
            break
    model = _linearised(state, relative, y, path)
    covariance = _sandwich(model, weight, total, times)
    phase, doubt = model.row_phases(weight)
    mean_frequency = path.mean_rate()
    return FlickerFit(
        row_time=float(state[0]),
        uncertainty=float(np.sqrt(covariance[0, 0])),
        frequency=frequency + float(mean_frequency @ state[3:]) / (2 * np.pi),
        frequency_uncertainty=float(np.sqrt(mean_frequency @ covariance[3:, 3:] @ mean_frequency)) / (2 * np.pi),
        cost=float(len(times) * np.sum(np.log(np.maximum(np.mean(model.residual**2, axis=0), 1e-16)))),
        design_effect=max(1.0, float(covariance[0, 0] / np.linalg.inv(total)[0, 0])),
        amplitude=model.amplitude,
        phase=(frequency * state[0] * y) + phase,
        phase_uncertainty=doubt,
    )


class _Path:
    """The lamp's phase over time, 2π·f·t + spline, in a basis that frames are expressed in."""

    def __init__(self, times: NDArray[np.float64], frequency: float) -> None:
        from scipy.interpolate import BSpline

        self.times, self.frequency = times, frequency
        span = float(times[-1] - times[0])
        pieces = int(np.clip(np.ceil(span / _KNOT), 1, _MOST_KNOTS))
        knots = np.concatenate([[times[0]] * 3, np.linspace(times[0], times[-1], pieces + 1), [times[-1]] * 3])
        splines = BSpline(knots, np.eye(pieces + 3), 3)
        self.value = np.asarray(splines(times))
        self.rate = np.asarray(splines.derivative(1)(times))
        sites = np.linspace(times[0], times[-1], 4 * pieces + 1)
        bend = np.asarray(splines.derivative(2)(sites))
        self._stiffness = bend.T @ bend / len(sites) * max(pieces, 1) / (2 * np.pi * _WANDER) ** 2

    def following(self, course: NDArray[np.complex128]) -> NDArray[np.float64]:
        """Coefficients that follow the phase of the frames' phasors, where it can be told from their mirror image.

        A cosine has its image at minus its frequency. Where the two are too near for a second's average to part them,
        the coefficients are those of a constant phase (B-splines sum to one).
        """
        from scipy.ndimage import uniform_filter1d

        level = float(np.angle(course.sum()))
        coefficients = np.full(self.value.shape[1], level)
        step = float(np.median(np.diff(self.times)))
        apart = 2 * self.frequency * step % 1.0
        span = round(1.0 / step)
        if min(apart, 1 - apart) / step < 2.0 or len(course) < 2 * span:
            return coefficients
        smooth = uniform_filter1d(course.real, span) + 1j * uniform_filter1d(course.imag, span)
        phase = np.unwrap(np.angle(smooth))
        ridge = 1e-6 * np.eye(self.value.shape[1])
        return np.asarray(np.linalg.solve(self.value.T @ self.value + ridge, self.value.T @ phase))

    def prior(self) -> NDArray[np.float64]:
        """Precision that the priors add, in the order of the fit's parameters."""
        size = 3 + self.value.shape[1]
        precision = np.zeros((size, size))
        precision[[1, 2], [1, 2]] = 1 / _HARMONIC**2
        precision[3:, 3:] = self._stiffness
        return precision

    def mean_rate(self) -> NDArray[np.float64]:
        """Functional of the coefficients that gives the mean angular frequency beyond the nominal one."""
        return np.asarray((self.value[-1] - self.value[0]) / (self.times[-1] - self.times[0]))

    def angles(self, coefficients: NDArray[np.float64], delays: NDArray[np.float64]) -> NDArray[np.float64]:
        """Phase at times + delays (rad) [shape=(frames, rows)]; the spline is linear within a frame's readout."""
        nominal = 2 * np.pi * self.frequency
        at_frame = nominal * self.times + self.value @ coefficients
        return np.asarray(at_frame[:, None] + (nominal + self.rate @ coefficients)[:, None] * delays)


@dataclass(frozen=True, slots=True, eq=False)
class _Linearised:
    """Residuals and their derivatives at a point, with every row's offset and amplitude eliminated."""

    residual: NDArray[np.float64]  # (frames, rows)
    jacobian: NDArray[np.float64]  # (rows, frames, parameters)
    amplitude: NDArray[np.float64]  # (rows,)
    quadrature: NDArray[np.float64]  # (rows, frames): derivative by the row's own phase

    def row_phases(self, weight: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Each row's phase beyond the fit, and its standard uncertainty (cycles)."""
        power = np.einsum("yn,yn->y", self.quadrature, self.quadrature)
        safe = np.where(power > 0, power, 1.0)
        beyond = np.einsum("yn,ny->y", self.quadrature, self.residual) / safe
        sigma = np.where(power > 0, 1 / np.sqrt(safe * weight), np.inf)
        return beyond / (2 * np.pi), sigma / (2 * np.pi)


def _linearised(
    state: NDArray[np.float64], relative: NDArray[np.float64], y: NDArray[np.float64], path: _Path
) -> _Linearised:
    row_time, b, c = state[:3]
    angle = path.angles(state[3:], y * row_time).T
    shape = np.cos(angle) + b * np.cos(2 * angle) + c * np.sin(2 * angle)
    basis = np.stack([np.ones_like(shape), shape], axis=-1)  # (rows, frames, 2)
    gram = np.einsum("yni,ynj->yij", basis, basis) + 1e-12 * np.eye(2)
    inverse = np.linalg.inv(gram)

    def clean(columns: NDArray[np.float64]) -> NDArray[np.float64]:
        fitted = inverse @ np.einsum("yni,ynk->yik", basis, columns)
        return np.asarray(columns - basis @ fitted)

    data = relative.T[..., None]
    linear = (inverse @ np.einsum("yni,ynk->yik", basis, data))[..., 0]
    amplitude = linear[:, 1]
    slope = amplitude[:, None] * (-np.sin(angle) - 2 * b * np.sin(2 * angle) + 2 * c * np.cos(2 * angle))
    rate = 2 * np.pi * path.frequency + path.rate @ state[3:]
    columns = [
        slope * rate * y[:, None],
        amplitude[:, None] * np.cos(2 * angle),
        amplitude[:, None] * np.sin(2 * angle),
    ]
    delays = (y * row_time)[:, None, None]
    wander = slope[..., None] * (path.value + delays * path.rate)
    jacobian = clean(np.concatenate([np.stack(columns, axis=-1), wander], axis=-1))
    return _Linearised(clean(data)[..., 0].T, jacobian, amplitude, clean(slope[..., None])[..., 0])


def _sandwich(
    model: _Linearised, weight: NDArray[np.float64], total: NDArray[np.float64], times: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Covariance of the parameters by the scores of whole frames, correlated over a short lag."""
    scores = np.einsum("yni,ny,y->ni", model.jacobian, model.residual, weight, optimize=True)
    frames, size = scores.shape
    lags = int(np.clip(round(_LAG * frames / max(float(np.ptp(times)), 1e-9)), 1, max(frames // 4, 1)))
    meat = scores.T @ scores
    for lag in range(1, lags + 1):
        product = scores[lag:].T @ scores[:-lag]
        meat += (1 - lag / (lags + 1)) * (product + product.T)
    bread = np.linalg.inv(total)
    robust = bread @ meat @ bread * frames / max(frames - size, 1)
    # Scores that cancel by chance may feign more than the noise allows: never less than the likelihood's own.
    least = np.linalg.inv(total)
    scale = np.sqrt(np.maximum(np.diag(least) / np.maximum(np.diag(robust), 1e-300), 1.0))
    return np.asarray(robust * scale[:, None] * scale[None, :])
