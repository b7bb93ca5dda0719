"""What all spectral denoisers have in common: noise falls, sound stays, gaps stay empty, σ covers the error."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from vmforensics.data import Signal
from vmforensics.plugins import Registry
from vmforensics.stages import Denoiser
from vmforensics_denoise.noise_floor import quantile_floor
from vmforensics_denoise.short_time import ShortTime

RATE, SIGMA, SIZE = 2200.0, 0.003, 4400
BLIND = ["mmse-lsa", "mmse-stsa", "om-lsa", "weighted-euclidean", "wiener"]
ALL = [*BLIND, "spectral-subtraction", "wiener-known-noise"]


@functools.cache
def denoiser(name: str) -> Denoiser:
    stage = Registry().create("denoiser", name)
    assert isinstance(stage, Denoiser)
    return stage


def noise(seed: int = 0, size: int = SIZE) -> NDArray[np.float64]:
    return np.asarray(SIGMA * np.random.default_rng(seed).standard_normal(size))


def notes(level: float = 0.006) -> NDArray[np.float64]:
    """Notes of a fifth of a second with pauses between them."""
    time = np.arange(SIZE) / RATE
    pitch = np.array([220, 330, 262, 440, 294])[(time // 0.4).astype(int) % 5]
    on = np.sin(np.pi * np.clip((time % 0.4) / 0.2, 0, 1)) ** 0.5
    return np.asarray(level * on * (np.sin(2 * np.pi * pitch * time) + 0.5 * np.sin(4 * np.pi * pitch * time)))


def signal(samples: NDArray[np.float64], sigma: NDArray[np.float64] | float = SIGMA) -> Signal:
    return Signal(samples, RATE, 0.5, np.ones(len(samples), bool), np.broadcast_to(sigma, samples.shape).copy())


def rms(samples: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(samples**2)))


def peaks(samples: NDArray[np.float64]) -> float:
    """The loudest spot of a spectrogram whose windows aren't the denoiser's."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, 150)[::37] * np.hanning(150)
    return float(np.abs(np.fft.rfft(windows, axis=1)).max())


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("seed", range(3))
def test_noise_alone_falls_and_nothing_tinkles_in_it(name: str, seed: int) -> None:
    before = noise(seed)
    after = denoiser(name).denoise(signal(before)).samples
    assert rms(after) < 0.6 * rms(before)
    assert peaks(after) < peaks(before)


@pytest.mark.parametrize("name", ALL)
def test_notes_stand_out_more(name: str) -> None:
    clean = notes()
    before = signal(clean + noise())
    after = denoiser(name).denoise(before)
    assert 20 * np.log10(rms(before.samples - clean) / rms(after.samples - clean)) > 3


@pytest.mark.parametrize("name", ALL)
def test_sigma_covers_the_error(name: str) -> None:
    """Also where the noise is a third of what σ says, or σ is silent about most of it."""
    for clean, factor in ((notes(), 1.0), (notes(0.02), 1.0), (0 * notes(), 1.0), (notes(), 0.33)):
        after = denoiser(name).denoise(signal(clean + factor * noise()))
        assert np.all(after.sigma >= SIGMA * (1 - 1e-9))
        assert np.sqrt(np.mean(((after.samples - clean) / after.sigma) ** 2)) < 1


def test_sigma_grows_by_what_went_beyond_the_noise() -> None:
    before = signal(notes(0.05), 1e-5)
    gone = ShortTime.of(before, 0.032)
    assert gone is not None
    after = gone.scaled(np.zeros_like(gone.power))
    assert not after.samples.any()
    loud = np.sqrt(np.convolve(before.samples**2, np.ones(220) / 220, mode="same"))[220:-220]
    np.testing.assert_allclose(after.sigma[220:-220], np.maximum(loud, 1e-5), rtol=0.05)


@pytest.mark.parametrize("name", ALL)
def test_a_steady_tone_is_no_noise(name: str) -> None:
    """It is there all the time, as noise is; but noise isn't so narrow."""
    clean = 0.006 * np.sqrt(2) * np.sin(2 * np.pi * 310 * np.arange(SIZE) / RATE)
    after = denoiser(name).denoise(signal(clean + noise()))
    assert after.samples @ clean / (clean @ clean) > 0.9


@pytest.mark.parametrize("name", ALL)
def test_empty_gaps_stay_empty(name: str) -> None:
    observed = np.arange(SIZE) % 37 < 30
    before = signal(np.where(observed, notes() + noise(), 0.0), np.where(observed, SIGMA, 0.0))
    after = denoiser(name).denoise(replace(before, observed=observed))
    assert not after.samples[~observed].any()
    assert not after.sigma[~observed].any()
    np.testing.assert_array_equal(after.observed, observed)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("size", [1, 2, 3, 69, 70, 71, 90, 200])
def test_short_signals_keep_their_length(name: str, size: int) -> None:
    after = denoiser(name).denoise(signal(noise(size=size)))
    assert after.samples.shape == (size,)
    assert rms(after.samples) <= rms(noise(size=size)) * (1 + 1e-9)


def test_noise_that_grows_is_followed_by_the_one_that_knows_it() -> None:
    sigma = SIGMA * 6 ** np.linspace(0, 1, SIZE)
    clean = notes(0.02)
    before = signal(clean + sigma * np.random.default_rng(4).standard_normal(SIZE), sigma)
    error = {name: rms(denoiser(name).denoise(before).samples - clean) for name in [*BLIND, "wiener-known-noise"]}
    best = min(error[name] for name in BLIND)
    assert 20 * np.log10(best / error["wiener-known-noise"]) > 1


def test_the_floor_is_that_of_the_noise_with_or_without_sound() -> None:
    for clean, least, most in ((0 * notes(), 0.9, 1.1), (notes(0.01), 0.8, 1.4)):
        frames = ShortTime.of(signal(clean + noise(size=SIZE)), 0.032)
        assert frames is not None
        share = quantile_floor(frames, 0.3) / frames.stated_noise()[10]
        assert np.all((share > least) & (share < most))


def test_spectra_left_alone_give_the_signal_back() -> None:
    frames = ShortTime.of(signal(noise()), 0.032)
    assert frames is not None
    same = frames.scaled(np.ones_like(frames.power))
    np.testing.assert_allclose(same.samples, noise(), atol=1e-15)
    np.testing.assert_array_equal(same.sigma, SIGMA)
    np.testing.assert_allclose(frames.power[:, frames.whole].mean(), frames.stated_noise()[10], rtol=0.03)


@pytest.mark.parametrize("name", ALL)
def test_signals_of_any_scale_and_without_noise_are_no_trouble(name: str) -> None:
    stage = denoiser(name)
    reference = stage.denoise(signal(notes() + noise())).samples
    for scale in (1e-120, 1e9):
        found = stage.denoise(signal(scale * (notes() + noise()), scale * SIGMA)).samples
        np.testing.assert_allclose(found / scale, reference, atol=1e-9)
    for silent in (np.zeros(SIZE), np.where(np.arange(SIZE) < 3000, notes(), 0.0)):
        assert np.isfinite(stage.denoise(signal(silent, 0.0)).samples).all()
