"""Linear-Gaussian inference on a uniform grid: an autoregressive prior, and the posterior after noisy readings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics_rolling_shutter.gap.readings import Readings


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
    def initial(cls, readings: Readings, size: int, order: int, bandwidth: float = 0.5) -> ArPrior:
        """A first guess from the autocovariance of the binned readings, their noise taken out.

        A lag that the gaps hide counts as uncorrelated; negative power is cut off, and so is what lies beyond the
        readings' own bandwidth (cycles/sample), where sparse ones would show images of the sound.
        """
        slot = np.clip(np.rint(readings.position).astype(np.int64), 0, size - 1)
        weight = np.bincount(slot, readings.weight, minlength=size)
        total = np.bincount(slot, readings.weight * readings.value, minlength=size)
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
        power = np.where(np.arange(len(spectrum)) <= 2 * order * bandwidth, spectrum.real, 0.0)
        lags = np.fft.irfft(np.maximum(power, floor))[: order + 1]
        return cls.from_autocovariance(lags)

    def precision(self, size: int) -> NDArray[np.float64]:
        """Inverse covariance of `size` samples as lower diagonals [shape=(order + 1, size), float64, 1/px²].

        Exact for the stationary process, by the formula of Gohberg & Semencul (1972); `size` exceeds twice the order.
        """
        a, order = self.coefficients, len(self.coefficients) - 1
        lags = np.arange(order + 1)
        shifted = np.concatenate([a, np.zeros(order)])[lags[:, None] + lags]
        partial = np.cumsum(a * shifted, axis=1)  # Σ_{l ≤ j} a_l a_{l + lag}
        band = np.repeat(partial[:, -1:], size, axis=1)
        band[:, :order] = partial[:, :order]
        for lag in range(order + 1):
            count = min(size - lag, order)
            band[lag, size - lag - count : size - lag] += partial[lag, count - 1 :: -1] - partial[lag, -1]
            band[lag, size - lag :] = 0.0
        return np.asarray(band / self.innovation)


def posterior(
    prior: ArPrior, band: NDArray[np.float64], moment: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """What is known of the samples after the readings.

    The posterior precision is block tridiagonal, with blocks as wide as the band: its inverse's diagonal and
    first off-diagonal blocks follow from one sweep forth and one back (Takahashi, Fagan & Chin 1973).

    Parameters
    ----------
    band : ndarray [shape=(width + 1, size), float64, 1/px²]
        What the readings say, HᵀWH as lower diagonals; at least as many as the prior's order, and the size a multiple
        of their number.
    moment : ndarray [shape=(size,), float64, 1/px]
        HᵀWy.

    Returns
    -------
    mean, variance : ndarray [shape=(size,), float64, px and px²]
    products : ndarray [shape=(order + 1,), float64, px²]
        Σ_n E[x_n x_{n+k}] for k = 0..order, posterior covariance included.
    """
    order = len(prior.coefficients) - 1
    mean, variance, products = _solve(precision(prior, band), moment, len(band) - 1)
    return mean, variance, products[: order + 1]


def precision(prior: ArPrior, band: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse covariance after the readings, as lower diagonals [shape=(width + 1, size), float64, 1/px²]."""
    total = band.copy()
    own = prior.precision(band.shape[1])
    total[: len(own)] += own
    return total


def _solve(
    band: NDArray[np.float64], moment: NDArray[np.float64], order: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    from scipy.linalg.lapack import dpotrf, dpotri

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
        half = dpotri(dpotrf(carry, lower=1, clean=1)[0], lower=1)[0]
        pivot[k] = half + half.T
        pivot[k].flat[:: order + 1] /= 2
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
