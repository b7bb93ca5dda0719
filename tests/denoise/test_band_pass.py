"""The band-pass: the band stays as it is, what lies beside it goes."""

from __future__ import annotations

import numpy as np
import pytest

from vmforensics.data import Signal
from vmforensics.errors import ParameterError
from vmforensics.plugins import Registry
from vmforensics_denoise.band_pass import BandPass, BandPassParams

RATE = 4000.0


def passed(frequency: float, **params: float) -> np.ndarray:
    samples = np.sin(2 * np.pi * frequency * np.arange(12_000) / RATE)
    signal = Signal(samples, RATE, 0.25, np.ones(12_000, bool), np.full(12_000, 0.01))
    return np.asarray(BandPass(BandPassParams.model_validate(params)).denoise(signal).samples[3000:-3000])


def analogue(frequency: float) -> float:
    """Where the bilinear transform puts a frequency."""
    return float(np.tan(np.pi * frequency / RATE))


@pytest.mark.parametrize("frequency", [40.0, 100.0, 150.0, 400.0, 900.0, 1000.0, 1400.0])
@pytest.mark.parametrize("order", [1, 3])
def test_a_tone_passes_with_butterworths_gain_squared_and_no_shift(frequency: float, order: int) -> None:
    """Low-pass to band-pass: w → (w² - w₁w₂)/(w (w₂ - w₁)); gain 1/(1 + w^2n) after both passes."""
    low, high, here = analogue(100), analogue(1000), analogue(frequency)
    prototype = (here**2 - low * high) / (here * (high - low))
    expected = np.sin(2 * np.pi * frequency * np.arange(12_000) / RATE)[3000:-3000] / (1 + prototype ** (2 * order))
    np.testing.assert_allclose(passed(frequency, order=order), expected, atol=2e-3)


def test_six_decibels_are_lost_at_either_cutoff() -> None:
    for cutoff in (200.0, 700.0):
        found = passed(cutoff, low=200, high=700)
        assert 20 * np.log10(np.abs(found).max()) == pytest.approx(-6.02, abs=0.05)


@pytest.mark.parametrize("high", [2000.0, 5000.0])
def test_a_cutoff_that_the_rate_cannot_hold_is_refused(high: float) -> None:
    with pytest.raises(ParameterError, match=f"high, {high:g} Hz, isn't below half the signal's rate of 4000 Hz"):
        passed(300, high=high)


@pytest.mark.parametrize("params", [{"low": 500, "high": 400}, {"low": 300, "high": 300}, {"low": 0}, {"order": 0}])
def test_bands_that_are_none_are_refused(params: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match="band-pass"):
        Registry().create("denoiser", "band-pass", params)
