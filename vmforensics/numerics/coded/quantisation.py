"""What a quantiser leaves of a coefficient under noise.

A quantised coefficient tells one thing only: in which cell of the quantiser the coefficient lay. Under Gaussian noise
that is an interval-censored observation, with a likelihood, a score and an information of its own (Gjeddebaek 1949,
doi:10.1080/03461238.1949.10419771).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

_AT_ONCE = 2**14  # values that are worked on at a time
_ROOT_HALF = float(np.sqrt(0.5))
_ERFC = (
    *(-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806),
    *(0.27886807, -1.13520398, 1.48851587, -0.82215223, 0.17087277),
)
_LEAST = 1e-20  # probability below which the tails' asymptote is used
_LARGEST_RATIO = 40.0  # step over noise up to which the kept information is tabulated
_ROOT_2PI = float(np.sqrt(2 * np.pi))


def told_by_cell(
    low: NDArray[np.floating], high: NDArray[np.floating], sigma: NDArray[np.floating]
) -> tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]]:
    """What it tells of a mean that a value about it fell between two limits.

    Parameters
    ----------
    low, high : ndarray [floating, DN]
        The cell's limits less the mean.
    sigma : ndarray that broadcasts to low.shape [floating, DN]
        Standard deviation of the value about its mean.

    Returns
    -------
    likelihood : ndarray [shape=low.shape, floating]
        Logarithm of the cell's probability.
    score : ndarray [shape=low.shape, floating, 1/DN]
        Its derivative by the mean.
    information : ndarray [shape=low.shape, floating, 1/DN²]
        The second derivative, negative; at least 0, for a Gaussian's cells are log-concave.
    """
    sigma = np.broadcast_to(sigma, low.shape)
    told = np.empty((3, low.size), np.result_type(low, sigma))
    pieces = [np.ravel(each) for each in (low, high, sigma)]
    for first in range(0, low.size, _AT_ONCE):
        own = slice(first, first + _AT_ONCE)
        told[:, own] = _told(*(each[own] for each in pieces))
    likelihood, score, information = told.reshape(3, *low.shape)
    return likelihood, score, information


def _told(
    low: NDArray[np.floating], high: NDArray[np.floating], sigma: NDArray[np.floating]
) -> tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]]:
    """As `told_by_cell`, of a few values that stay in the processor's cache."""
    a, b = low / sigma, high / sigma
    tail_a, tail_b = _tail(a), _tail(b)
    share = np.where((a <= 0) & (b >= 0), 1 - tail_a - tail_b, np.abs(tail_a - tail_b))
    far = share < _LEAST
    share = np.where(far, 1.0, share)
    at_a, at_b = (np.exp(-0.5 * each * each) / _ROOT_2PI for each in (a, b))
    slope = (at_a - at_b) / share
    curve = slope * slope + (b * at_b - a * at_a) / share
    near = np.where(a > 0, a, b)  # so far out the value sits at the limit
    likelihood = np.where(far, -0.5 * near * near, np.log(share))
    score = np.where(far, near, slope) / sigma
    information = np.where(far, 1.0, np.maximum(curve, 0.0)) / sigma**2
    return likelihood, score, information


def _tail(x: NDArray[np.floating]) -> NDArray[np.floating]:
    """Probability that a Gaussian lies beyond |x| on one side, within 1.2e-7 of itself.

    By a Chebyshev fit (Press, Teukolsky, Vetterling & Flannery 1992, Numerical Recipes, 2nd edition, section 6.2) of
    products alone, which takes a sixth of the time that the library's function does.
    """
    z = np.abs(x) * x.dtype.type(_ROOT_HALF)
    t = 1 / (1 + z / 2)
    power = np.full_like(t, _ERFC[-1])
    for coefficient in _ERFC[-2::-1]:
        power *= t
        power += x.dtype.type(coefficient)
    power -= z * z
    np.exp(power, out=power)
    return np.asarray(power * t / 2)


def kept_information(ratio: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of a coefficient's Fisher information that a uniform quantiser leaves, on average over where its cells lie.

    With cells of width r in units of the noise, ∫ (φ(a) - φ(a + r))² / (Φ(a + r) - Φ(a)) da / r: 1 for a fine
    quantiser, and falling as 1/r where the step exceeds the noise by far and only coefficients near a limit tell.

    Parameters
    ----------
    ratio : ndarray [float64]
        Quantiser step over the noise's standard deviation.

    Examples
    --------
    >>> np.round(kept_information(np.array([0.1, 1.0, 4.0])), 2)
    array([1.  , 0.92, 0.45])
    """
    known, share = _table()
    kept = np.interp(ratio, known, share)
    return np.asarray(np.where(ratio > _LARGEST_RATIO, share[-1] * _LARGEST_RATIO / np.maximum(ratio, 1e-9), kept))


@cache
def _table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from scipy.special import ndtr

    known = np.concatenate([[0.0], np.geomspace(0.05, _LARGEST_RATIO, 120)])
    share = np.ones_like(known)
    for k, step in enumerate(known[1:], start=1):
        a = np.arange(-9 - step, 9, min(step / 8, 0.01))
        b = a + step
        difference = (np.exp(-0.5 * a * a) - np.exp(-0.5 * b * b)) / _ROOT_2PI
        upper = a > 0
        mass = ndtr(np.where(upper, -a, b)) - ndtr(np.where(upper, -b, a))
        share[k] = np.sum(difference**2 / np.maximum(mass, 1e-300)) * (a[1] - a[0]) / step
    return known, share


def level_changes(ratio: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean square of the change, in steps, of a coefficient's level between two values that differ at random.

    Where the cells lie at random, a difference of k + f steps (k whole, f < 1) crosses k limits with probability 1 - f
    and k + 1 with probability f; the mean of k² (1 - f) + (k + 1)² f is taken over a Gaussian. For coarse steps that is
    the mean size of the difference, √(2/π) of its standard deviation.

    Parameters
    ----------
    ratio : ndarray [float64]
        Standard deviation of the difference over the step; up to 20.

    Examples
    --------
    >>> np.round(level_changes(np.array([0.1, 1.0])), 3)
    array([0.08 , 1.167])
    """
    return np.asarray(np.interp(ratio, *_changes()))


@cache
def _changes() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    known = np.concatenate([[0.0], np.geomspace(1e-3, 20, 200)])
    places = (np.arange(4000) + 0.5) / 4000 * 6  # of the Gaussian, in standard deviations
    density = np.exp(-0.5 * places**2)
    size = known[:, None] * places
    whole = np.floor(size)
    square = whole**2 + (size - whole) * (2 * whole + 1)
    return known, np.asarray(square @ density / density.sum())


def codec_limited_information(
    slope: NDArray[np.float64], steps: NDArray[np.floating], sigma: float
) -> NDArray[np.float64]:
    """Fisher information about a displacement that is left once a picture's block transform has been quantised.

    The bound of what any estimator can get out of an intra-coded picture: each coefficient c_k of the slope, in 8 by 8
    px cosine transforms, counts c_k²/σ² times what the quantiser leaves of it (`kept_information`).

    Parameters
    ----------
    slope : ndarray [shape=(rows, cols), float64, DN/px]
        Derivative of the template along the displacement.
    steps : ndarray [shape=(8, 8) or broadcasting to (rows // 8, cols // 8, 1, 1), DN]
        Quantiser steps in units of an orthonormal transform: by coefficient (Motion JPEG), or by block.
    sigma : float, DN
        Standard deviation of a pixel's noise before compression.

    Returns
    -------
    ndarray [shape=(rows // 8, cols // 8), float64, 1/px²]
        Of each whole block of 8 by 8 px; one rigid displacement has their sum.
    """
    from scipy.fft import dctn

    rows, cols = (size // 8 for size in slope.shape)
    blocks = slope[: 8 * rows, : 8 * cols].reshape(rows, 8, cols, 8).transpose(0, 2, 1, 3)
    spectrum = dctn(blocks, axes=(2, 3), norm="ortho")
    spectrum[:, :, 0, 0] = 0.0  # a brightness, as far as a block can tell
    kept = kept_information(np.broadcast_to(np.asarray(steps, dtype=np.float64) / sigma, spectrum.shape))
    return np.asarray(np.sum(spectrum**2 * kept, axis=(2, 3)) / sigma**2)
