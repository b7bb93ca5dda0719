"""The high-pass: known attenuation, no phase shift, no rescaling of what passes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vmforensics.data import Signal
from vmforensics.errors import ParameterError
from vmforensics.plugins import Registry
from vmforensics_denoise.high_pass import HighPass, HighPassParams

RATE = 2000.0


def signal(samples: NDArray[np.float64], rate: float = RATE) -> Signal:
    size = len(samples)
    return Signal(samples, rate, 0.25, np.arange(size) % 7 != 3, np.full(size, 0.01), (0.6, 0.8), warnings=("before",))


def filtered(samples: NDArray[np.float64], rate: float = RATE, **params: float) -> NDArray[np.float64]:
    return HighPass(HighPassParams.model_validate(params)).denoise(signal(samples, rate)).samples


def sine(frequency: float, size: int = 8000, rate: float = RATE) -> NDArray[np.float64]:
    return np.asarray(np.sin(2 * np.pi * frequency * np.arange(size) / rate))


@pytest.mark.parametrize("order", [1, 2, 4, 8])
@pytest.mark.parametrize("frequency", [25.0, 50.0, 80.0, 100.0, 200.0, 700.0])
def test_a_tone_passes_with_butterworths_gain_squared_and_no_shift(order: int, frequency: float) -> None:
    """The bilinear transform warps frequencies: gain = 1/(1 + (tan(w_c/2)/tan(w/2))^2n) after both passes."""
    cutoff = 80.0
    found = filtered(sine(frequency), cutoff=cutoff, order=order)[2000:-2000]
    warped = np.tan(np.pi * cutoff / RATE) / np.tan(np.pi * frequency / RATE)
    expected = sine(frequency)[2000:-2000] / (1 + warped ** (2 * order))
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_six_decibels_are_lost_at_the_cutoff() -> None:
    found = filtered(sine(80), cutoff=80)[2000:-2000]
    assert 20 * np.log10(np.abs(found).max()) == pytest.approx(-6.02, abs=0.05)


def test_sway_and_offset_go_and_sound_stays() -> None:
    sway = 100 + 5 * sine(0.5)
    found = filtered(sway + sine(150))
    np.testing.assert_allclose(found[1000:-1000], sine(150)[1000:-1000], atol=0.01)
    assert np.abs(found).max() < 1.5


def test_time_mirrored_in_time_mirrored_out() -> None:
    samples = np.random.default_rng(0).standard_normal(6000)
    np.testing.assert_allclose(filtered(samples[::-1])[::-1][1500:-1500], filtered(samples)[1500:-1500], atol=1e-6)


@pytest.mark.parametrize("cutoff", [1000.0, 1000.1, 5000.0])
def test_a_cutoff_that_the_rate_cannot_hold_is_refused(cutoff: float) -> None:
    with pytest.raises(ParameterError, match=f"cutoff {cutoff:g} Hz isn't below half the signal's rate of 2000 Hz"):
        filtered(sine(100), cutoff=cutoff)
    assert np.isfinite(filtered(sine(100), cutoff=999.0)).all()


@pytest.mark.parametrize("cutoff", [0, -1, "30 px", True, float("nan")])
def test_what_is_no_cutoff_is_refused(cutoff: object) -> None:
    with pytest.raises(ParameterError, match="cutoff"):
        Registry().create("denoiser", "high-pass", {"cutoff": cutoff})


@pytest.mark.parametrize("size", [1, 2, 3, 5, 20, 101, 150])
@pytest.mark.parametrize("order", [1, 4, 16])
def test_short_signals_keep_their_length_and_stay_bounded(size: int, order: int) -> None:
    samples = np.random.default_rng(size).standard_normal(size)
    found = filtered(samples, order=order)
    assert found.shape == (size,)
    assert np.abs(found).max() <= 10 * np.abs(samples).max()


def test_only_the_samples_change() -> None:
    before = signal(sine(100, 500))
    copy = before.samples.copy()
    after = HighPass().denoise(before)
    np.testing.assert_array_equal(before.samples, copy)
    assert not np.array_equal(after.samples, copy)
    assert (after.rate, after.start, after.axis, after.unit, after.warnings) == (
        RATE,
        0.25,
        (0.6, 0.8),
        "px",
        ("before",),
    )
    np.testing.assert_array_equal(after.observed, before.observed)
    np.testing.assert_array_equal(after.sigma, before.sigma)


def test_sigma_stays_an_upper_bound_of_the_noise() -> None:
    noise = 0.01 * np.random.default_rng(1).standard_normal(20_000)
    after = HighPass(HighPassParams(cutoff=300)).denoise(signal(noise))
    assert 0.7 * 0.01 < np.std(after.samples) < after.sigma.min()


@pytest.mark.parametrize("drift", [0.0, 5.0])
@pytest.mark.parametrize("phase", [0.0, 1.0, 2.5])
def test_a_sound_under_way_starts_and_ends_without_a_step(phase: float, drift: float) -> None:
    """A sound is cut off by the clip's ends at any point of its cycle; a drift goes on beyond them."""
    time = np.arange(16_000) / 8000
    tone = np.sin(2 * np.pi * 311 * time + phase)
    error = filtered(tone + drift * time, rate=8000.0) - tone
    assert np.abs(error).max() < 0.06
