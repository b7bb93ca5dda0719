"""The line remover: lines go, whatever else there is stays, gaps neither ring nor fill."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vmforensics.data import Signal
from vmforensics.errors import ParameterError
from vmforensics.plugins import Registry
from vmforensics.testing import check_stage
from vmforensics_denoise.line_remover import LineRemover, LineRemoverParams

RATE, SIZE = 3000.0, 18_000
TIMES = np.arange(SIZE) / RATE


def sine(frequency: float) -> NDArray[np.float64]:
    return np.asarray(np.sin(2 * np.pi * frequency * TIMES + 0.4))


def signal(samples: NDArray[np.float64], gaps: str = "none") -> Signal:
    """A signal without gaps, or seen for 82 % of each sixtieth of a second, the rest "filled" in or "empty"."""
    observed = np.full(len(samples), True) if gaps == "none" else (np.arange(len(samples)) / RATE * 60) % 1 < 0.82
    held = observed | (gaps == "filled")
    sigma = np.where(observed, 1e-3, 3e-3)
    return Signal(
        np.where(held, samples, 0.0), RATE, 0.25, observed, np.where(held, sigma, 0.0), (0.6, 0.8), warnings=("before",)
    )


def cleaned(samples: NDArray[np.float64], gaps: str = "none", **params: Any) -> NDArray[np.float64]:
    return LineRemover(LineRemoverParams(**params)).denoise(signal(samples, gaps)).samples


def change(samples: NDArray[np.float64], gaps: str = "none", **params: Any) -> float:
    """Level after over level before, dB."""
    before, after = signal(samples, gaps), cleaned(samples, gaps, **params)
    seen = before.observed
    return float(10 * np.log10(np.sum(after[seen] ** 2) / np.sum(before.samples[seen] ** 2)))


@pytest.mark.parametrize("gaps", ["none", "filled", "empty"])
@pytest.mark.parametrize("off", [-0.15, 0.0, 0.05])
def test_hum_goes_wherever_the_mains_stand(gaps: str, off: float) -> None:
    hum = 0.1 * sine(2 * (50 + off)) + 0.05 * sine(4 * (50 + off)) + 0.02 * sine(6 * (50 + off))
    assert change(hum, gaps, mains=50) < -20


@pytest.mark.parametrize("gaps", ["none", "filled"])
def test_frame_rate_lines_go(gaps: str) -> None:
    assert change(sine(60000 / 1001) + sine(4 * 60000 / 1001), gaps, frame_rate=60000 / 1001) < -40


def test_a_wandering_mains_frequency_is_followed() -> None:
    phase = 2 * np.pi * (100 * TIMES - 0.2 / (2 * np.pi * 0.05) * np.cos(2 * np.pi * 0.05 * TIMES))
    assert change(np.sin(phase) + 0.3 * np.sin(2 * phase), mains=50) < -20


@pytest.mark.parametrize("gaps", ["none", "filled"])
@pytest.mark.parametrize("frequency", [23.0, 88.0, 111.0, 121.5, 160.0, 317.0, 1402.0])
def test_other_sound_keeps_its_level_and_place(gaps: str, frequency: float) -> None:
    params = {"mains": 50, "frame_rate": 60.0}
    assert abs(change(sine(frequency), gaps, **params)) < 0.1
    found = cleaned(sine(frequency), gaps, **params)
    np.testing.assert_allclose(found[6000:-6000], sine(frequency)[6000:-6000], atol=0.02)


@pytest.mark.parametrize("width", [0.5, 1.0, 4.0])
def test_the_width_is_that_of_the_notch(width: float) -> None:
    """Half the power at half a width, a tenth of a decibel beyond one; away from the ends, where windows fade."""

    def loss(frequency: float) -> float:
        samples = np.sin(2 * np.pi * frequency * np.arange(60_000) / RATE)
        found = cleaned(samples, frame_rate=120.0, harmonics=1, width=width)[15_000:-15_000]
        return float(10 * np.log10(np.mean(found**2) / 0.5))

    assert loss(120 + width / 2) == pytest.approx(-3, abs=0.7)
    assert loss(120 + width) > -0.1
    assert loss(120.0) < -40


def test_hum_goes_and_the_sound_under_it_stays() -> None:
    sound = 0.2 * sine(311) + 0.1 * sine(140)
    found = cleaned(sound + sine(100) + 0.5 * sine(300), "filled", mains=50)
    assert 10 * np.log10(np.sum((found - sound) ** 2) / np.sum(sound**2)) < -20


def test_empty_gaps_stay_empty_and_only_samples_and_sigma_change() -> None:
    before = signal(sine(100) + 0.01, "empty")
    after = LineRemover(LineRemoverParams(mains=50)).denoise(before)
    gap = ~before.observed
    assert not after.samples[gap].any()
    assert not after.sigma[gap].any()
    assert (after.sigma[~gap] >= before.sigma[~gap]).all()
    kept = replace(after, samples=before.samples, sigma=before.sigma)
    assert all(np.all(getattr(kept, name) == getattr(before, name)) for name in ("rate", "start", "axis", "warnings"))


def test_sigma_takes_up_the_fits_own_uncertainty() -> None:
    """What the fits differ by from noise to noise, at the samples themselves."""
    rng = np.random.default_rng(0)
    sample = [cleaned(0.01 * rng.standard_normal(SIZE) + 0.1 * sine(100), mains=50, harmonics=5) for _ in range(2)]
    assert np.std(sample[0]) == pytest.approx(0.01, rel=0.05)
    noisy = replace(signal(sample[0]), sigma=np.full(SIZE, 0.01))
    grown = LineRemover(LineRemoverParams(mains=50)).denoise(noisy).sigma / 0.01
    assert 1 < np.median(grown) < 1.05


def test_nothing_to_do_is_said() -> None:
    before = signal(sine(100))
    for params, told in ((LineRemoverParams(), "neither a frame rate nor a mains"),):
        after = LineRemover(params).denoise(before)
        np.testing.assert_array_equal(after.samples, before.samples)
        assert any(told in warning for warning in after.warnings)


@pytest.mark.parametrize("size", [1, 2, 60, 100])
def test_a_signal_too_short_for_lines_is_left_alone(size: int) -> None:
    before = signal(sine(100)[:size])
    after = LineRemover(LineRemoverParams(mains=50)).denoise(before)
    np.testing.assert_array_equal(after.samples, before.samples)
    assert "too short for lines" in after.warnings[-1]


def test_a_short_signal_gets_wider_notches_and_is_told_so() -> None:
    after = LineRemover(LineRemoverParams(mains=50)).denoise(signal(sine(100)[:1500]))
    assert np.std(after.samples) < 0.03
    assert "2.4 Hz wide" in after.warnings[-1]


def test_what_was_never_observed_stays_nothing() -> None:
    nothing = replace(signal(np.zeros(SIZE)), observed=np.zeros(SIZE, bool), sigma=np.zeros(SIZE))
    assert not LineRemover(LineRemoverParams(mains=60)).denoise(nothing).samples.any()


@pytest.mark.parametrize("params", [{"mains": 50, "frame_rate": 60.0}, {"mains": 60, "width": 3.0, "harmonics": 60}])
def test_it_keeps_the_contract_with_lines_to_take_out(params: dict[str, Any]) -> None:
    check_stage(LineRemover, LineRemoverParams(**params))


@pytest.mark.parametrize("params", [{"mains": 55}, {"width": 0.01}, {"harmonics": 0}, {"frame_rate": "fast"}])
def test_parameters_out_of_range_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=next(iter(params))):
        Registry().create("denoiser", "line-remover", params)
