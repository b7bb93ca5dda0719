"""The linear-Gaussian solver against dense algebra."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import solve_discrete_lyapunov, toeplitz

from vmforensics_rolling_shutter.gap.gaussian import ArPrior, posterior
from vmforensics_rolling_shutter.gap.readings import Forward, Kernel, Readings


def stable_prior(order: int, seed: int = 0) -> ArPrior:
    """A process with poles well inside the unit circle."""
    rng = np.random.default_rng(seed)
    radius, angle = rng.uniform(0.5, 0.9, order // 2), rng.uniform(0.1, np.pi - 0.1, order // 2)
    poles = radius * np.exp(1j * angle)
    return ArPrior(np.real(np.poly(np.concatenate([poles, poles.conj()]))), 0.7)


def autocovariance(prior: ArPrior, lags: int) -> NDArray[np.float64]:
    """Exact, by the stationary state of the companion form."""
    order = len(prior.coefficients) - 1
    companion = np.eye(order, k=-1)
    companion[0] = -prior.coefficients[1:]
    innovation = np.zeros((order, order))
    innovation[0, 0] = prior.innovation
    found = list(solve_discrete_lyapunov(companion, innovation)[0])
    for _ in range(order, lags):
        found.append(-float(prior.coefficients[1:] @ np.array(found[-1 : -order - 1 : -1])))
    return np.array(found[:lags])


def dense(band: NDArray[np.float64]) -> NDArray[np.float64]:
    """The symmetric matrix of some lower diagonals."""
    size = band.shape[1]
    matrix = np.zeros((size, size))
    for lag, diagonal in enumerate(band):
        matrix += np.diag(diagonal[: size - lag], -lag)
        assert not diagonal[size - lag :].any()
    return matrix + np.tril(matrix, -1).T


def readings_at(position: NDArray[np.float64], value: NDArray[np.float64], weight: NDArray[np.float64]) -> Readings:
    return Readings(position, value, weight, np.zeros(len(position), dtype=np.int64))


def some_readings(size: int, count: int, seed: int = 1) -> Readings:
    rng = np.random.default_rng(seed)
    position = np.sort(rng.uniform(-0.4, size - 0.6, count))
    position = position[(position < 0.4 * size) | (position > 0.6 * size)]  # a gap
    return readings_at(position, rng.standard_normal(len(position)), rng.uniform(0.5, 5.0, len(position)))


def normal_equations(readings: Readings, size: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    forward = Forward(readings, Kernel.of(0.0), size)
    return forward.band(width, readings.weight), forward.moment(readings.value, readings.weight)


@pytest.mark.parametrize("order", [2, 4, 10])
def test_the_precision_is_the_inverse_of_the_covariance(order: int) -> None:
    prior, size = stable_prior(order), 6 * order
    covariance = toeplitz(autocovariance(prior, size))
    np.testing.assert_allclose(dense(prior.precision(size)) @ covariance, np.eye(size), atol=1e-6)


@pytest.mark.parametrize("order", [2, 6, 12])
def test_yule_walker_finds_the_process_again(order: int) -> None:
    prior = stable_prior(order, seed=3)
    found = ArPrior.from_autocovariance(autocovariance(prior, order + 1))
    np.testing.assert_allclose(found.coefficients, prior.coefficients, atol=1e-4)
    assert found.innovation == pytest.approx(prior.innovation, rel=1e-4)


def test_a_nearly_deterministic_process_stays_positive() -> None:
    lags = np.cos(2 * np.pi * 0.05 * np.arange(17))
    prior = ArPrior.from_autocovariance(lags)
    assert prior.innovation > 0
    assert np.linalg.eigvalsh(dense(prior.precision(64))).min() > 0


@pytest.mark.parametrize(("order", "blocks"), [(16, 2), (16, 5), (24, 8)])
def test_the_posterior_is_the_dense_solution(order: int, blocks: int) -> None:
    size = order * blocks
    prior, readings = stable_prior(order), some_readings(size, 3 * size)
    band, moment = normal_equations(readings, size, order)
    mean, variance, products = posterior(prior, band, moment)
    covariance = np.linalg.inv(np.linalg.inv(toeplitz(autocovariance(prior, size))) + dense(band))
    expected = covariance @ moment
    np.testing.assert_allclose(mean, expected, atol=1e-9)
    np.testing.assert_allclose(variance, np.diag(covariance), rtol=1e-8)
    second = covariance + np.outer(expected, expected)
    np.testing.assert_allclose(products, [np.trace(second, offset=k) for k in range(order + 1)], rtol=1e-8)


def test_without_observations_the_posterior_is_the_prior() -> None:
    prior, size = stable_prior(16), 96
    mean, variance, products = posterior(prior, np.zeros((17, size)), np.zeros(size))
    lags = autocovariance(prior, 17)
    assert not mean.any()
    np.testing.assert_allclose(variance, lags[0], rtol=1e-8)
    np.testing.assert_allclose(products, lags * (size - np.arange(17)), rtol=1e-7, atol=1e-9)


def test_a_band_wider_than_the_prior_gives_the_same_posterior() -> None:
    prior, readings = stable_prior(16), some_readings(96, 300)
    narrow = posterior(prior, *normal_equations(readings, 96, 16))
    wide = posterior(prior, *normal_equations(readings, 96, 24))
    for one, other in zip(narrow, wide, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-10)


def test_the_first_guess_has_the_signals_power_without_the_noise() -> None:
    rng = np.random.default_rng(4)
    size = 1600
    position = np.sort(rng.uniform(0, size - 1, 6000))
    position = position[np.mod(position, 160) < 130]  # a gap in every frame
    value = np.sin(2 * np.pi * 0.04 * position) + rng.standard_normal(len(position))
    prior = ArPrior.initial(readings_at(position, value, np.ones(len(position))), size, 32)
    power = autocovariance(prior, 1)[0]
    assert power == pytest.approx(0.5, rel=0.25)
    silent = readings_at(position, rng.standard_normal(len(position)), np.ones(len(position)))
    assert autocovariance(ArPrior.initial(silent, size, 32), 1)[0] < 0.1
