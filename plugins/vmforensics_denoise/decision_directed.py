"""The decision-directed a-priori signal-to-noise ratio: what keeps suppressed noise from tinkling."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Gain = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
"""A suppression rule: factor on the amplitude, of the a-priori ratio ξ and the a-posteriori ratio γ."""

TINY = 1e-30
"""Lowest a-posteriori ratio: where there is nothing at all."""

_LEAST_NOISE = 1e-12  # of the loudest spot; keeps ratios finite where no noise is known of


def finite_noise(noise: NDArray[np.float64], power: NDArray[np.float64]) -> NDArray[np.float64]:
    """The noise's power, of the shape of |Y|² and never so low that ratios to it overflow."""
    least = max(_LEAST_NOISE * float(power.max()), float(np.finfo(np.float64).tiny))
    return np.broadcast_to(np.maximum(noise, least), power.shape)


def suppressed(
    power: NDArray[np.float64], noise: NDArray[np.float64], rule: Gain, *, smoothing: float, least: float
) -> NDArray[np.float64]:
    """The factors of a suppression rule, frame after frame [shape=(frequencies, frames), float64, 0 to 1].

    With γ = |Y|²/λ and the estimate of the frame before, |X|² = G²|Y|²:
    ξ = max(smoothing · |X|²/λ + (1 - smoothing) · max(γ - 1, 0), least) (Ephraim and Malah 1984,
    doi:10.1109/TASSP.1984.1164453; the lower limit: Cappé 1994, doi:10.1109/89.279283). Rules that would amplify are
    held at 1.

    Parameters
    ----------
    power : ndarray [shape=(frequencies, frames), float64]
        |Y|².
    noise : ndarray [broadcastable to power's shape, float64]
        λ, the noise's share of it.
    rule
        The factor G(ξ, γ).
    smoothing
        Weight of the frame before.
    least
        Lowest ξ.
    """
    noise = finite_noise(noise, power)
    gain = np.empty_like(power)
    before = np.maximum(power[:, 0] - noise[:, 0], 0.0)
    for k in range(power.shape[1]):
        posterior = power[:, k] / noise[:, k]
        prior = smoothing * before / noise[:, k] + (1 - smoothing) * np.maximum(posterior - 1, 0.0)
        gain[:, k] = np.minimum(rule(np.maximum(prior, least), np.maximum(posterior, TINY)), 1.0)
        before = gain[:, k] ** 2 * power[:, k]
    return gain


def suppressed_both_ways(
    power: NDArray[np.float64], noise: NDArray[np.float64], rule: Gain, *, smoothing: float, least: float
) -> NDArray[np.float64]:
    """The same with an a-priori ratio that looks ahead as well as back: a recording needn't be heard as it comes.

    Frames are suppressed forth and back in time; ξ is then as for `suppressed`, with the mean of the estimates |X|² of
    the frame before and the frame after in place of that before (a noncausal a-priori ratio, after Cohen 2004, IEEE
    Signal Processing Letters 11, 725).

    Parameters
    ----------
    power, noise, rule, smoothing, least
        As for `suppressed`.
    """
    noise = finite_noise(noise, power)
    forth = suppressed(power, noise, rule, smoothing=smoothing, least=least)
    back = suppressed(power[:, ::-1], noise[:, ::-1], rule, smoothing=smoothing, least=least)[:, ::-1]
    estimate = np.pad((forth**2 + back**2) / 2 * power, ((0, 0), (1, 1)), mode="edge")
    neighbours = (estimate[:, :-2] + estimate[:, 2:]) / 2
    posterior = power / noise
    prior = smoothing * neighbours / noise + (1 - smoothing) * np.maximum(posterior - 1, 0.0)
    return np.minimum(rule(np.maximum(prior, least), np.maximum(posterior, TINY)), 1.0)
