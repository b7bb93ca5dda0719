"""The scores against their definitions, and against other programs that compute them."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
from numpy.typing import NDArray

from vmforensics.errors import ParameterError
from vmforensics.evaluation import METRICS, align, scored

from .sounds import RATE, noisy, recording, voice


def score(name: str, reference: NDArray[np.float64], recovered: NDArray[np.float64], rate: float = RATE) -> float:
    value = METRICS[name].score(reference, recovered, rate).value
    assert value is not None
    return value


@pytest.mark.parametrize("snr", [-5.0, 0.0, 10.0, 40.0])
def test_snr_and_si_sdr_are_what_was_mixed(snr: float) -> None:
    clean = voice()
    assert score("snr", clean, noisy(clean, snr)) == pytest.approx(snr, abs=1e-9)
    assert score("si_sdr", 7 * clean, noisy(clean, snr)) == pytest.approx(snr, abs=1e-9)


def test_segmental_snr_by_its_definition() -> None:
    clean = voice()
    other = noisy(clean, 5)
    values = []
    for start in range(0, len(clean) - 240 + 1, 120):
        s, e = clean[start : start + 240], other[start : start + 240] - clean[start : start + 240]
        if np.any(np.abs(s) > 1e-12):
            values.append(min(max(10 * np.log10(np.sum(s**2) / np.sum(e**2)), -10.0), 35.0))
    assert score("segmental_snr", clean, other) == pytest.approx(np.mean(values), abs=0.1)
    assert score("segmental_snr", clean, clean) == 35.0


def test_log_likelihood_ratio_by_the_spectra_of_the_filters() -> None:
    """aᵀRa is the mean over frequency of |A|² times the reference's power: another way to the same number."""
    from scipy.linalg import solve_toeplitz

    random = np.random.default_rng(0)
    clean = scipy.signal.lfilter([1], [1, -1.6, 0.8], random.standard_normal(240)) * np.hanning(242)[1:-1]
    other = scipy.signal.lfilter([1], [1, -0.5, 0.3], random.standard_normal(240)) * np.hanning(242)[1:-1]
    power = np.abs(np.fft.fft(clean, 1024)) ** 2

    def energy(samples: NDArray[np.float64]) -> float:
        lags = np.correlate(samples, samples, "full")[239 : 239 + 11]
        lags[0] *= 1 + 1e-9
        filtered = np.fft.fft(np.concatenate([[1], -solve_toeplitz(lags[:-1], lags[1:])]), 1024)
        return float(np.mean(np.abs(filtered) ** 2 * power))

    from vmforensics.evaluation.distortion import _likelihood_ratio

    assert _likelihood_ratio(clean, other, 10) == pytest.approx(np.log(energy(other) / energy(clean)), rel=1e-4)
    assert score("llr", voice(), voice()) == pytest.approx(0, abs=1e-9)
    assert score("llr", voice(), 5 * voice()) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("snr", [-5.0, 5.0, 20.0])
@pytest.mark.parametrize("rate", [8000.0, 10_000.0, 2200.0])
def test_stoi_is_pystois(snr: float, rate: float) -> None:
    from pystoi import stoi

    clean = voice(rate=rate)
    other = noisy(clean, snr)
    assert score("stoi", clean, other, rate) == pytest.approx(stoi(clean, other, int(rate)), abs=1e-9)
    extended = stoi(clean, other, int(rate), extended=True)
    assert score("estoi", clean, other, rate) == pytest.approx(extended, abs=1e-6)


def test_pesq_is_the_programs() -> None:
    program = pytest.importorskip("pesq")
    clean, other = voice(), noisy(voice(), 10)
    peak = np.abs(other).max()
    expected = program.pesq(8000, (clean / peak).astype(np.float32), (other / peak).astype(np.float32), "nb")
    assert score("pesq", clean, other) == pytest.approx(expected, abs=1e-6)
    assert METRICS["pesq"].score(clean, other, RATE).interval() is None


def test_coherence_is_scipys_without_its_bias() -> None:
    clean, other = voice(8.0), noisy(voice(8.0), 0)
    frequency, seen = scipy.signal.coherence(
        clean, other, RATE, window=np.hanning(802)[1:-1], nperseg=800, noverlap=400, detrend=False
    )
    chance = 1 / (0.53 * (len(clean) // 400 - 1))
    inside = (frequency >= 100) & (frequency <= 1000)
    expected = np.clip((seen[inside] - chance) / (1 - chance), 0, 1).mean()
    assert score("coherence", clean, other) == pytest.approx(expected, abs=1e-9)


def test_coherence_heeds_no_filter_and_finds_nothing_in_nothing() -> None:
    random = np.random.default_rng(2)
    wide, unrelated = random.standard_normal((2, 40_000))
    filtered = scipy.signal.lfilter([1, 0.4], [1, -0.7, 0.3], wide)
    assert score("coherence", wide, filtered) > 0.98
    assert score("coherence", wide, unrelated) < 0.02


def test_spectrogram_correlation_heeds_neither_level_nor_sign() -> None:
    clean = voice()
    assert score("spectrogram_correlation", clean, -3 * clean) == pytest.approx(1)
    worse = [score("spectrogram_correlation", clean, noisy(clean, snr)) for snr in (20, 5, -10)]
    assert worse == sorted(worse, reverse=True)
    assert abs(score("spectrogram_correlation", clean, np.random.default_rng(0).standard_normal(24_000))) < 0.2


@pytest.mark.parametrize(("cents", "right"), [(0, 1.0), (30, 1.0), (-40, 1.0), (70, 0.0), (1200, 0.0)])
@pytest.mark.parametrize("rate", [2200.0, 8000.0])
def test_pitch_accuracy_is_within_half_a_semitone(cents: float, right: float, rate: float) -> None:
    time = np.arange(round(1.5 * rate)) / rate
    pitch = np.array([196.0, 262.0, 330.0])[(time // 0.5).astype(int)]

    def sung(factor: float) -> NDArray[np.float64]:
        phase = 2 * np.pi * np.cumsum(pitch * factor) / rate
        return np.asarray(np.sin(phase) + 0.5 * np.sin(2 * phase) + 0.3 * np.sin(3 * phase))

    found = score("pitch_accuracy", sung(1), noisy(sung(2 ** (cents / 1200)), 25), rate)
    assert found == pytest.approx(right, abs=0.12)


def test_noise_has_no_pitch() -> None:
    noise = np.random.default_rng(0).standard_normal(16_000)
    assert METRICS["pitch_accuracy"].score(noise, noise, RATE).value is None


@pytest.mark.parametrize("name", ["si_sdr", "segmental_snr", "coherence", "stoi"])
def test_intervals_hold_what_other_moments_score(name: str) -> None:
    clean = voice(12.0, seed=20)
    long = METRICS[name].score(clean, noisy(clean, 5), RATE)
    interval = long.interval()
    assert interval is not None
    assert interval == long.interval()  # the same draws every time
    low, high = interval
    assert low < (long.value or 0.0) < high
    moments = [slice(k, k + 24_000) for k in range(0, 96_000, 24_000)]
    others = [score(name, clean[part], noisy(clean, 5)[part]) for part in moments]
    spread = np.std(others) / np.sqrt(len(others))
    assert 0.1 * spread < (high - low) / 4 < 10 * spread + 0.02


def test_a_moment_is_too_short_for_an_interval() -> None:
    assert METRICS["snr"].score(voice(0.5), noisy(voice(0.5), 5), RATE).interval() is None


def test_observed_and_synthesised_are_told_apart() -> None:
    clean = voice()
    mask = np.arange(len(clean)) % 16 < 13
    error = np.random.default_rng(0).standard_normal(len(clean)) * np.where(mask, 5e-4, 5e-3)
    sigma = np.where(mask, 5e-4, 5e-3)
    found = scored(align(recording(clean + error, observed=mask, sigma=sigma), recording(clean)), names=["snr"])
    assert found["observed"]["share"] == pytest.approx(13 / 16, abs=0.001)
    assert found["observed"]["snr_db"] > found["synthesised"]["snr_db"] + 18
    for part in ("observed", "synthesised"):
        assert found[part]["error_over_sigma"] == pytest.approx(1, abs=0.05)


def test_an_unknown_score_is_refused() -> None:
    with pytest.raises(ParameterError, match="loudness"):
        scored(align(recording(voice()), recording(voice())), names=["loudness"])
