"""Linear-Gaussian inference on a uniform grid: an autoregressive prior, irregular noisy observations, the posterior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_TAPS = 16  # of the interpolator: error below -60 dB up to 0.38 of the grid's rate
_KAISER = 6.0


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """Samples at arbitrary instants.

    Parameters
    ----------
    position : ndarray [shape=(m,), float64, samples]
        Instant of each in units of the grid, increasing.
    value : ndarray [shape=(m,), float64, px]
        What was read.
    weight : ndarray [shape=(m,), float64, 1/px²]
        Inverse noise variance.
    """

    position: NDArray[np.float64]
    value: NDArray[np.float64]
    weight: NDArray[np.float64]

    def between(self, begin: int, end: int) -> Observations:
        """Those inside begin..end of the grid, counted from begin."""
        part = slice(*np.searchsorted(self.position, [begin - 0.5, end - 0.5]))
        return Observations(self.position[part] - begin, self.value[part], self.weight[part])

    def likelihood(self, size: int, width: int) -> Likelihood:
        """What the observations say of `size` samples, as normal equations with `width` lower diagonals."""
        base = np.floor(self.position).astype(np.int64) - _TAPS // 2 + 1
        offset = self.position[:, None] - (base[:, None] + np.arange(_TAPS))
        radius = np.clip(1 - (2 * offset / _TAPS) ** 2, 0.0, 1.0)
        taps = np.sinc(offset) * np.i0(_KAISER * np.sqrt(radius)) / np.i0(_KAISER)
        index = base[:, None] + np.arange(_TAPS)
        taps[(index < 0) | (index >= size)] = 0.0
        index = np.clip(index, 0, size - 1)
        band = np.zeros((width + 1, size), dtype=np.float64)
        for a in range(_TAPS):
            share = self.weight * taps[:, a]
            for b in range(a, _TAPS):
                band[b - a] += np.bincount(index[:, a], share * taps[:, b], minlength=size)
        weighted = (self.weight * self.value)[:, None] * taps
        moment = np.asarray(np.bincount(index.ravel(), weighted.ravel(), minlength=size), dtype=np.float64)
        return Likelihood(band, moment)


@dataclass(frozen=True, slots=True, eq=False)
class Likelihood:
    """Normal equations of the samples given the observations.

    Parameters
    ----------
    band : ndarray [shape=(width + 1, size), float64, 1/px²]
        HᵀWH as lower diagonals, H being the interpolator and W the weights.
    moment : ndarray [shape=(size,), float64, 1/px]
        HᵀWy.
    """

    band: NDArray[np.float64]
    moment: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ArPrior:
    """A stationary autoregressive process x_n = -Σ a_k x_{n-k} + e_n, Var e = q.

    Parameters
    ----------
    coefficients : ndarray [shape=(order + 1,), float64]
        a_0 = 1, a_1 ... a_order.
    innovation : float, px²
        q.
    """

    coefficients: NDArray[np.float64]
    innovation: float

    @classmethod
    def from_autocovariance(cls, autocovariance: NDArray[np.float64]) -> ArPrior:
        """Fit by the Yule-Walker equations (Levinson 1946); lags 0..order, px²."""
        from scipy.linalg import solve_toeplitz

        lags = autocovariance.copy()
        lags[0] = lags[0] * (1 + 1e-7) + 1e-16
        tail = solve_toeplitz(lags[:-1], -lags[1:])
        innovation = float(lags[0] + tail @ lags[1:])
        return cls(np.concatenate([[1.0], tail]), max(innovation, 1e-9 * float(lags[0])))

    @classmethod
    def white(cls, power: float, order: int) -> ArPrior:
        """White noise of a power (px²): what is known of a stretch that was hardly seen."""
        return cls(np.eye(1, order + 1)[0], max(power, 1e-16))

    @classmethod
    def initial(cls, observations: Observations, size: int, order: int) -> ArPrior:
        """A first guess from the autocovariance of the binned observations, their noise taken out.

        A lag that the gaps hide counts as uncorrelated; negative power is cut off.
        """
        slot = np.clip(np.rint(observations.position).astype(np.int64), 0, size - 1)
        weight = np.bincount(slot, observations.weight, minlength=size)
        total = np.bincount(slot, observations.weight * observations.value, minlength=size)
        value = total / np.where(weight > 0, weight, 1.0)
        mask = weight / max(float(weight.max(initial=0.0)), 1e-300)
        signal = mask * value
        length = 2 * size
        power = np.abs(np.fft.rfft(signal, length)) ** 2
        pairs = np.fft.irfft(np.abs(np.fft.rfft(mask, length)) ** 2, length)[: order + 1]
        products = np.fft.irfft(power, length)[: order + 1]
        noise = float(np.sum(mask[weight > 0] ** 2 / weight[weight > 0]))
        floor = max(1e-3 * noise / max(float(pairs[0]), 1e-300), 1e-14)
        products[0] = max(products[0] - noise, 0.0)
        lags = np.where(pairs > 1e-3 * pairs[0], products / np.where(pairs > 0, pairs, 1.0), 0.0)
        lags *= np.hanning(2 * order + 3)[order + 1 : -1]
        spectrum = np.fft.rfft(np.concatenate([lags, np.zeros(1), lags[:0:-1]]))
        lags = np.fft.irfft(np.maximum(spectrum.real, floor))[: order + 1]
        return cls.from_autocovariance(lags)

    def precision(self, size: int) -> NDArray[np.float64]:
        """Inverse covariance of `size` samples as lower diagonals [shape=(order + 1, size), float64, 1/px²].

        Exact for the stationary process, by the formula of Gohberg & Semencul (1972); `size` exceeds twice the order.
        """
        a, order = self.coefficients, len(self.coefficients) - 1
        lag, column = np.arange(order + 1)[:, None], np.arange(size)
        shifted = np.concatenate([a, np.zeros(order)])[lag + np.arange(order + 1)]
        partial = np.cumsum(a * shifted, axis=1)  # Σ_{l ≤ j} a_l a_{l + lag}
        behind = size - 1 - column - lag
        late = np.where(behind >= 0, partial[lag, np.clip(behind, 0, order)], 0.0)
        band = partial[:, np.minimum(column, order)] + late - partial[:, -1:]
        band[behind < 0] = 0.0
        return np.asarray(band / self.innovation)


def posterior(
    prior: ArPrior, likelihood: Likelihood
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """What is known of the samples after the observations.

    The posterior precision is block tridiagonal, with blocks of the prior's order: its inverse's diagonal and
    first off-diagonal blocks follow from one sweep forth and one back (Takahashi, Fagan & Chin 1973).

    Parameters
    ----------
    likelihood
        What was observed, with as many diagonals as the prior's order; of a multiple of as many samples.

    Returns
    -------
    mean, variance : ndarray [shape=(size,), float64, px and px²]
    products : ndarray [shape=(order + 1,), float64, px²]
        Σ_n E[x_n x_{n+k}] for k = 0..order, posterior covariance included.
    """
    order = len(prior.coefficients) - 1
    size = len(likelihood.moment)
    return _solve(likelihood.band + prior.precision(size), likelihood.moment, order)


def _solve(
    band: NDArray[np.float64], moment: NDArray[np.float64], order: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    size = band.shape[1]
    count = size // order
    row, col = np.meshgrid(np.arange(order), np.arange(order), indexing="ij")
    first = np.arange(count)[:, None, None] * order
    diagonal = band[np.abs(row - col), first + np.minimum(row, col)]
    coupling = np.where(row <= col, band[np.clip(order + row - col, 0, order), first + col], 0.0)

    pivot = np.empty_like(diagonal)  # inverse of the forward Schur complements
    forward = np.empty((count, order))
    carry, carried = diagonal[0], moment[:order]
    for k in range(count):
        pivot[k] = np.linalg.inv(carry)
        pivot[k] = (pivot[k] + pivot[k].T) / 2
        forward[k] = carried
        if k + 1 < count:
            gain = coupling[k] @ pivot[k]
            carry = diagonal[k + 1] - gain @ coupling[k].T
            carried = moment[(k + 1) * order : (k + 2) * order] - gain @ carried
    mean = np.empty((count, order))
    variance = np.empty((count, order))
    inner, outer = np.zeros((order, order)), np.zeros((order, order))
    mean[-1] = pivot[-1] @ forward[-1]
    block = pivot[-1]
    variance[-1] = np.diagonal(block)
    inner += block
    for k in range(count - 2, -1, -1):
        gain = coupling[k] @ pivot[k]
        mean[k] = pivot[k] @ forward[k] - gain.T @ mean[k + 1]
        off = -block @ gain
        block = pivot[k] - gain.T @ off
        variance[k] = np.diagonal(block)
        inner += block
        outer += off
    flat = mean.ravel()
    products = np.array([flat[: size - k] @ flat[k:] for k in range(order + 1)])
    ahead = (col - row).ravel() + order  # diagonals from -order to order
    products += np.bincount(ahead, inner.ravel(), minlength=2 * order + 1)[order:]
    products[1:] += np.bincount(ahead, outer.ravel(), minlength=2 * order + 1)[2 * order - 1 : order - 1 : -1]
    return flat, np.maximum(variance.ravel(), 0.0), products
