"""Spectral subtraction: noise of the stated σ falls, what stands out of it stays, silence stays silent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from vmforensics.data import Signal
from vmforensics_denoise.spectral_subtraction import SpectralSubtraction, SpectralSubtractionParams

RATE = 4000.0
SIGMA = 0.003


def noise(size: int = 12_000, seed: int = 0) -> NDArray[np.float64]:
    return np.asarray(SIGMA * np.random.default_rng(seed).standard_normal(size))


def tone(level: float, size: int = 12_000) -> NDArray[np.float64]:
    return np.asarray(level * np.sqrt(2) * np.sin(2 * np.pi * 310 * np.arange(size) / RATE))


def signal(samples: NDArray[np.float64], sigma: float = SIGMA) -> Signal:
    return Signal(samples, RATE, 0.5, np.ones(len(samples), bool), np.full(len(samples), sigma))


def denoised(samples: NDArray[np.float64], sigma: float = SIGMA, **params: float) -> NDArray[np.float64]:
    return SpectralSubtraction(SpectralSubtractionParams.model_validate(params)).denoise(signal(samples, sigma)).samples


def rms(samples: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(samples**2)))


def level_of_tone(samples: NDArray[np.float64]) -> float:
    turn = np.exp(-2j * np.pi * 310 * np.arange(len(samples)) / RATE)
    return float(np.sqrt(2) * np.abs(np.mean(samples * turn)))


@pytest.mark.parametrize("seed", range(3))
def test_noise_alone_falls(seed: int) -> None:
    before = noise(seed=seed)
    assert rms(denoised(before)) < 0.6 * rms(before)
    assert rms(denoised(before, oversubtraction=4)) < 0.3 * rms(before)


def test_a_tone_in_noise_stands_out_more() -> None:
    clean = tone(0.003)
    before = clean + noise()
    after = denoised(before)
    gain = level_of_tone(after) / level_of_tone(before)
    before_snr, after_snr = (rms(clean) / rms(x - k * clean) for x, k in ((before, 1.0), (after, gain)))
    assert 20 * np.log10(after_snr / before_snr) > 4


@pytest.mark.parametrize("level", [0.003, 0.01, 0.1])
def test_a_steady_tone_keeps_its_level(level: float) -> None:
    """A noise floor guessed from the signal itself would take it for noise."""
    assert 20 * np.log10(level_of_tone(denoised(tone(level) + noise())) / level) == pytest.approx(0, abs=1)


def test_where_sigma_is_nought_nothing_is_taken() -> None:
    before = tone(0.01) + noise()
    np.testing.assert_allclose(denoised(before, sigma=0.0), before, atol=1e-12)
    np.testing.assert_allclose(denoised(before, oversubtraction=0, floor=0), before, atol=1e-12)


def test_the_larger_the_stated_noise_the_more_is_taken() -> None:
    before = noise()
    levels = [rms(denoised(before, sigma=s)) for s in (0.5 * SIGMA, SIGMA, 2 * SIGMA)]
    assert levels[0] > levels[1] > levels[2]


def test_noise_that_changes_over_the_clip_is_followed() -> None:
    sigma = np.where(np.arange(12_000) < 6000, SIGMA, 10 * SIGMA)
    before = np.random.default_rng(2).standard_normal(12_000) * sigma
    after = SpectralSubtraction().denoise(replace(signal(before), sigma=sigma)).samples
    for part in (slice(500, 5500), slice(6500, 11_500)):
        assert rms(after[part]) < 0.6 * rms(before[part])


def test_nothing_is_ever_made_louder() -> None:
    before = noise() + tone(0.002)
    spectra = [np.abs(np.fft.rfft(x)) for x in (before, denoised(before))]
    assert rms(spectra[1]) < rms(spectra[0])
    assert rms(denoised(before, floor=1, oversubtraction=20)) <= rms(before) * 1.001


@pytest.mark.parametrize("size", [1, 2, 3, 100, 127, 128, 129, 300])
def test_short_signals_keep_their_length(size: int) -> None:
    before = noise(size)
    after = denoised(before)
    assert after.shape == (size,)
    assert rms(after) <= rms(before) * (1 + 1e-9)
    if size < 128:  # shorter than a window of 32 ms
        np.testing.assert_array_equal(after, before)


def test_silence_stays_silence() -> None:
    assert not denoised(np.zeros(5000)).any()
    assert not denoised(np.zeros(5000), sigma=0.0).any()


def test_gaps_are_kept_and_do_not_spoil_what_lies_beside_them() -> None:
    before = signal(tone(0.01) + noise())
    gap = slice(4000, 5000)
    observed, sigma, samples = before.observed.copy(), before.sigma.copy(), before.samples.copy()
    observed[gap], sigma[gap], samples[gap] = False, 0.0, 0.0
    after = SpectralSubtraction().denoise(replace(before, observed=observed, sigma=sigma, samples=samples))
    np.testing.assert_array_equal(after.observed, observed)
    np.testing.assert_array_equal(after.sigma, sigma)
    assert np.abs(after.samples[4200:4800]).max() < 1e-12
    assert 20 * np.log10(level_of_tone(after.samples[5200:]) / 0.01) == pytest.approx(0, abs=1)
    assert (after.rate, after.start, len(after.samples)) == (RATE, 0.5, 12_000)
