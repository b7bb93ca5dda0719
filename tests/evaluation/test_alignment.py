"""Alignment finds what was done to a sound: delay, turn, gain, another rate, another clock."""

from __future__ import annotations

import numpy as np
import pytest

from vmforensics.errors import EvidenceUnreadable
from vmforensics.evaluation import align
from vmforensics.testing.sound import speech

from .sounds import RATE, noisy, recording, voice


def shifted(delay: float, seconds: float = 3.0, pace: float = 1.0, rate: float = RATE) -> np.ndarray:
    """The same voice, begun later (s), by a clock of another pace."""
    wave = speech().waveform(3.0, np.random.default_rng(0))
    return np.asarray(0.02 * wave(pace * np.arange(round(seconds * rate)) / rate - delay))


@pytest.mark.parametrize("delay", [0.0, 0.31234, -0.2, 1e-4])
@pytest.mark.parametrize("turned", [1, -1])
def test_lag_polarity_and_gain_are_found(delay: float, turned: int) -> None:
    given = turned * 3.5 * shifted(delay)
    found = align(recording(noisy(given, 10)), recording(voice()))
    assert found.lag == pytest.approx(delay, abs=5e-6)
    assert found.polarity == turned
    assert found.gain == pytest.approx(3.5, rel=0.02)
    inner = slice(800, -2000)
    clean = align(recording(given), recording(voice()))
    np.testing.assert_allclose(clean.reference[inner], clean.recovered[inner], atol=2e-3 * given.std() + 2e-4)


@pytest.mark.parametrize(
    ("mine", "other"), [(8000.0, 48_000.0), (48_000.0, 8000.0), (2200.0, 8000.0), (8000.0, 2200.0)]
)
def test_rates_meet_at_the_lower(mine: float, other: float) -> None:
    recovered, reference = recording(shifted(0.1, rate=mine), mine), recording(voice(rate=other), other)
    found = align(recovered, reference)
    assert found.rate == min(mine, other)
    assert found.lag == pytest.approx(0.1, abs=2e-4)
    assert np.corrcoef(found.reference, found.recovered)[0, 1] > 0.93


@pytest.mark.parametrize("ppm", [-900.0, 150.0, 2500.0])
def test_a_clock_of_another_pace_is_made_up_for_if_asked(ppm: float) -> None:
    given = recording(noisy(shifted(0.05, pace=1 + ppm * 1e-6), 10))
    without, with_it = align(given, recording(voice())), align(given, recording(voice()), drift=True)
    assert without.drift is None
    assert with_it.drift == pytest.approx(ppm * 1e-6, abs=5e-5)
    errors = [np.mean((each.reference - each.recovered) ** 2) for each in (without, with_it)]
    assert errors[1] < 0.8 * errors[0]


def test_clocks_of_one_pace_are_found_to_be() -> None:
    found = align(recording(noisy(shifted(0.05), 0)), recording(voice()), drift=True)
    assert found.drift == pytest.approx(0, abs=2e-5)


def test_a_tone_of_many_periods_is_aligned_by_its_envelope() -> None:
    time = np.arange(16_000) / RATE
    notes = np.sin(2 * np.pi * 440 * time) * (0.2 + (np.random.default_rng(3).random(16)[(time * 8).astype(int)] > 0.5))
    later = np.concatenate([np.zeros(1234), notes])
    assert align(recording(noisy(later, 0)), recording(notes)).lag == pytest.approx(1234 / RATE, abs=1e-5)


def test_a_given_scale_makes_a_wrong_gain_an_error() -> None:
    found = align(recording(0.5 * voice()), recording(voice()), scale=1.0)
    assert found.gain == 1.0
    np.testing.assert_allclose(found.recovered, 0.5 * found.reference, atol=1e-6)


def test_what_was_observed_goes_along() -> None:
    mask = np.arange(24_000) % 10 < 7
    sigma = np.where(mask, 1.0, 2.0)
    found = align(recording(shifted(0.01), observed=mask, sigma=sigma), recording(voice()))
    assert found.observed is not None
    assert found.sigma is not None
    assert found.observed.mean() == pytest.approx(0.7, abs=0.01)
    np.testing.assert_array_equal(found.sigma == 1.0, found.observed)


def test_too_short_for_a_drift_is_said() -> None:
    short = voice()[:8000]
    with pytest.raises(EvidenceUnreadable, match="too short to tell a clock's drift"):
        align(recording(short), recording(short), drift=True)
