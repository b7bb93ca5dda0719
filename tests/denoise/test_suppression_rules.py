"""The suppression rules against the definitions that they solve, integrated numerically, and their limits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import i0e

from vmforensics_denoise.decision_directed import suppressed, suppressed_both_ways
from vmforensics_denoise.mmse_lsa import MmseLsa
from vmforensics_denoise.mmse_stsa import MmseStsa
from vmforensics_denoise.om_lsa import presence
from vmforensics_denoise.spectral_subtraction import subtraction_gain
from vmforensics_denoise.weighted_euclidean import WeightedEuclidean
from vmforensics_denoise.wiener import Wiener

RATIOS = [(0.01, 0.5), (0.1, 1.0), (0.1, 4.0), (1.0, 0.3), (1.0, 2.0), (3.0, 10.0), (30.0, 1.0), (30.0, 30.0)]


def expected(of: Callable[[float], float], prior: float, posterior: float) -> float:
    """E[of(amplitude)] given the noisy spectrum, for Gaussian sound and noise; the noisy amplitude is 1.

    The amplitude a given Y is Rician: p(a) ∝ a exp(-(a² + m²)/λ) I₀(2am/λ), about m = ξ/(1 + ξ), λ = ξ/(1 + ξ)/γ.
    """
    mean = prior / (1 + prior)
    spread = mean / posterior

    def density(a: float) -> float:
        return float(2 * a / spread * np.exp(-((a - mean) ** 2) / spread) * i0e(2 * a * mean / spread))

    reach = mean + 12 * np.sqrt(spread)
    return float(quad(lambda a: of(a) * density(a), 0, reach, limit=400, points=[min(mean, reach / 2)])[0])


def gain(rule: Callable[..., np.ndarray], prior: float, posterior: float) -> float:
    return float(rule(np.array([prior]), np.array([posterior]))[0])


@pytest.mark.parametrize(("prior", "posterior"), RATIOS)
def test_each_rule_is_the_estimator_that_it_says(prior: float, posterior: float) -> None:
    """Mean amplitude; exponential of the mean logarithm; 1 over the mean of 1/amplitude; mean spectrum."""
    assert expected(lambda _: 1.0, prior, posterior) == pytest.approx(1, rel=1e-6)
    assert gain(MmseStsa.rule, prior, posterior) == pytest.approx(expected(lambda a: a, prior, posterior), rel=1e-5)
    logarithm = expected(np.log, prior, posterior)
    assert gain(MmseLsa.rule, prior, posterior) == pytest.approx(np.exp(logarithm), rel=1e-5)
    inverse = expected(lambda a: 1 / a, prior, posterior)
    assert gain(WeightedEuclidean.rule, prior, posterior) == pytest.approx(1 / inverse, rel=1e-5)
    assert gain(Wiener.rule, prior, posterior) == pytest.approx(prior / (1 + prior))


@pytest.mark.parametrize(("prior", "posterior"), RATIOS)
def test_the_rules_stand_in_the_order_of_their_means(prior: float, posterior: float) -> None:
    """Harmonic below geometric below arithmetic mean."""
    gains = [gain(rule.rule, prior, posterior) for rule in (WeightedEuclidean, MmseLsa, MmseStsa)]
    assert gains == sorted(gains)


@pytest.mark.parametrize("rule", [MmseStsa, MmseLsa, WeightedEuclidean])
@pytest.mark.parametrize("prior", [0.1, 1.0, 100.0])
def test_far_above_the_noise_every_rule_is_wieners(rule: type, prior: float) -> None:
    assert gain(rule.rule, prior, 1e5) == pytest.approx(prior / (1 + prior), rel=1e-3)


def test_published_values_of_the_log_spectral_gain() -> None:
    """At v = 1, i.e. γ = (1 + ξ)/ξ, exp(½E₁(1)) = exp(½ · 0.219384) (Abramowitz & Stegun, table 5.1)."""
    for prior in (0.1, 1.0, 10.0):
        found = gain(MmseLsa.rule, prior, (1 + prior) / prior) * (1 + prior) / prior
        assert found == pytest.approx(np.exp(0.5 * 0.219384), rel=1e-6)


def test_presence_is_bayes() -> None:
    """Density of |Y|² with sound, ~ 1/(1 + ξ) exp(-γ/(1 + ξ)), against that without, exp(-γ)."""
    prior, posterior = np.array([0.5, 2.0, 10.0]), np.array([0.2, 3.0, 8.0])
    for absence in (0.05, 0.5, 0.9):
        with_sound = (1 - absence) / (1 + prior) * np.exp(-posterior / (1 + prior))
        without = absence * np.exp(-posterior)
        np.testing.assert_allclose(presence(prior, posterior, np.array(absence)), with_sound / (with_sound + without))
    np.testing.assert_array_equal(presence(prior, posterior, np.zeros(3)), 1.0)


def test_subtraction_by_power_and_by_magnitude() -> None:
    power, noise = np.array([0.0, 1.0, 4.0, 100.0]), np.array([1.0, 2.0, 1.0, 1.0])
    expected_power = np.maximum(power - 1.5 * noise, 0.02 * noise)
    found = subtraction_gain(power, noise, 1.5, 0.02, "power")
    np.testing.assert_allclose((found**2 * power)[1:], expected_power[1:])
    magnitude, mean = np.sqrt(power), np.sqrt(np.pi * noise) / 2
    found = subtraction_gain(power, noise, 1.0, 0.1, "magnitude")
    np.testing.assert_allclose((found * magnitude)[1:], np.maximum(magnitude - mean, 0.1 * mean)[1:])
    assert np.all(found <= 1)


def test_the_mean_that_magnitude_subtraction_takes_is_that_of_the_noise() -> None:
    random = np.random.default_rng(0)
    noise = random.standard_normal((2, 200_000)) / np.sqrt(2)  # E|N|² = 1
    assert np.hypot(*noise).mean() == pytest.approx(np.sqrt(np.pi) / 2, rel=0.01)


def test_the_decision_directed_ratio_step_by_step() -> None:
    random = np.random.default_rng(1)
    power, noise = random.exponential(3.0, (1, 6)), 1.5
    seen: list[float] = []

    def rule(prior: np.ndarray, posterior: np.ndarray) -> np.ndarray:
        seen.append(float(prior[0]))
        return Wiener.rule(prior, posterior)

    found = suppressed(power, np.array(noise), rule, smoothing=0.9, least=0.01)
    estimate = max(power[0, 0] - noise, 0.0)
    for k in range(6):
        prior = max(0.9 * estimate / noise + 0.1 * max(power[0, k] / noise - 1, 0), 0.01)
        assert seen[k] == pytest.approx(prior)
        assert found[0, k] == pytest.approx(prior / (1 + prior))
        estimate = (prior / (1 + prior)) ** 2 * power[0, k]


def test_both_ways_means_that_time_has_no_direction() -> None:
    power = np.random.default_rng(2).exponential(2.0, (5, 40))
    noise = np.linspace(0.5, 2, 40)
    found = suppressed_both_ways(power, noise, Wiener.rule, smoothing=0.9, least=0.01)
    mirrored = suppressed_both_ways(power[:, ::-1], noise[::-1], Wiener.rule, smoothing=0.9, least=0.01)
    np.testing.assert_allclose(mirrored[:, ::-1], found, rtol=1e-12)


@pytest.mark.parametrize("rule", [Wiener, MmseStsa, MmseLsa, WeightedEuclidean])
def test_nothing_is_amplified_nor_broken_by_extremes(rule: type) -> None:
    power = np.array([[0.0, 1e-300, 1e-12, 1.0, 1e12, 0.0]])
    for noise in (0.0, 1e-300, 1.0):
        found = suppressed(power, np.array(noise), rule.rule, smoothing=0.98, least=0.003)
        assert np.all((found >= 0) & (found <= 1))
