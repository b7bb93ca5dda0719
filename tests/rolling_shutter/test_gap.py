"""The autoregressive smoother against the noise bound: gaps, exposures, partial rows, what went with the template."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from vmforensics.data import Channel, Motion, Signal
from vmforensics.testing.sound import Sound
from vmforensics_rolling_shutter.gap.autoregressive import Autoregressive
from vmforensics_rolling_shutter.gap.row_average import RowAverage

Truth = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Rows:
    """Geometry of a rolling shutter.

    Parameters
    ----------
    rows, first_row : int
        Those that show the object.
    row_time, exposure : float, s
    fps : float, Hz
    """

    rows: int
    row_time: float
    fps: float = 60.0
    first_row: int = 0
    exposure: float = 0.0


def row_samples(
    sound: str, geometry: Rows, *, seconds: float = 2.0, rms: float = 0.025, sigma: float = 5e-3, seed: int = 0
) -> tuple[Motion, Truth]:
    """Motion along x as read against the mean of the frames, and the sound (px at times in s) that it comes from."""
    generator = np.random.default_rng(seed)
    wave = Sound.named(sound).waveform(seconds + 0.1, generator)
    frame_times = np.arange(round(seconds * geometry.fps)) / geometry.fps
    offsets = (geometry.first_row + np.arange(geometry.rows)) * geometry.row_time + geometry.exposure / 2
    instants = frame_times[:, None] + offsets
    nodes, weights = np.polynomial.legendre.leggauss(9)
    moved = sum(w / 2 * wave(instants + x * geometry.exposure / 2) for x, w in zip(nodes, weights, strict=True))
    moved = rms * np.asarray(moved)
    channel_sigma = sigma * np.sqrt(2)
    noise = channel_sigma * generator.standard_normal((*moved.shape, 2))
    motion = Motion(
        displacement=((moved - moved.mean(axis=0))[..., None] + noise).astype(np.float32),
        precision=(np.eye(2) / channel_sigma**2).astype(np.float32)[None, None],
        observed=np.ones(moved.shape, bool),
        frame_times=frame_times,
        row_offsets=offsets,
        channels=(Channel("x, half 0", (1.0, 0.0), 0), Channel("x, half 1", (1.0, 0.0), 1)),
        frame_rate=geometry.fps,
        exposure=geometry.exposure or None,
    )
    return motion, lambda times: rms * wave(times)


def bound(geometry: Rows, *, rms: float = 0.025, sigma: float = 5e-3, rate: float = 8000.0) -> float:
    """SNR (dB) that the rows' noise alone would leave, averaged into samples at a rate, had nothing been missed."""
    return float(20 * np.log10(rms / sigma) - 10 * np.log10(geometry.row_time * rate))


def snr(signal: Signal, truth: Truth, where: NDArray[np.bool_] | slice = slice(None)) -> float:
    """SNR (dB) over the samples, with no gain or delay adjusted."""
    expected = truth(signal.times)[where]
    return float(10 * np.log10(np.mean(expected**2) / np.mean((signal.samples[where] - expected) ** 2)))


HD = Rows(720, 19e-6)  # 18 % gap
FULL_HD = Rows(1080, 14.81e-6)  # 4 %
SMALL = Rows(360, 32e-6)  # 31 %


@pytest.mark.parametrize(
    ("sound", "geometry", "behind"),
    [
        ("tone:440", HD, 1.0),
        ("melody", HD, 1.0),
        ("melody", FULL_HD, 1.0),
        ("chirp:100-1500", HD, 1.0),
        ("speech", HD, 4.0),
        ("speech", FULL_HD, 1.5),
    ],
)
def test_recovery_is_as_far_behind_the_bound_as_stated(sound: str, geometry: Rows, behind: float) -> None:
    """Over all samples, those in the gaps as well."""
    motion, truth = row_samples(sound, geometry)
    found = Autoregressive().combine(motion)
    assert snr(found, truth) > bound(geometry) - behind
    assert 0.3 < np.sqrt(np.mean(((found.samples - truth(found.times)) / found.sigma) ** 2)) < 1.3


def test_the_common_clip_is_recovered_ten_decibels_above_the_best_public_tool() -> None:
    """Chirp of 100 to 1500 Hz, 31 % gap, 1/2000 s: 7.8 dB there."""
    motion, truth = row_samples("chirp:100-1500", Rows(360, 32e-6, exposure=1 / 2000), rms=0.05, sigma=8e-3)
    assert snr(Autoregressive().combine(motion), truth) > 18


def test_what_went_with_the_template_is_found_again() -> None:
    """Each row's own mean of two seconds of sound is a hundredth of its power, twenty decibels down."""
    motion, truth = row_samples("chirp:100-1500", FULL_HD, sigma=2e-3)
    lost = truth(motion.instants).mean(axis=0)
    ceiling = -10 * np.log10(np.mean(lost**2) / np.mean(truth(motion.instants) ** 2))
    assert snr(Autoregressive().combine(motion), truth) > ceiling + 4


@pytest.mark.parametrize("exposure", [1 / 2000, 1 / 500])
def test_the_exposure_is_undone(exposure: float) -> None:
    geometry = Rows(1080, 14.81e-6, exposure=exposure)
    motion, truth = row_samples("chirp:100-1500" if exposure < 1e-3 else "chirp:50-350", geometry, sigma=1e-3)
    found = Autoregressive().combine(motion)
    assert snr(found, truth) > 26
    average = RowAverage().combine(motion)
    assert snr(average, truth, average.observed) < 21


def test_the_exposure_is_undone_by_twelve_decibels_at_most() -> None:
    """At 1790 Hz an exposure of 1/2000 s leaves 11 %; it is brought up to 46 %."""
    left = np.sinc(1790 / 2000)
    motion, truth = row_samples("tone:1790", Rows(1080, 14.81e-6, exposure=1 / 2000), sigma=2e-4)
    found = Autoregressive().combine(motion)
    expected = truth(found.times)
    inner = slice(400, -400)
    gain = found.samples[inner] @ expected[inner] / (expected[inner] @ expected[inner])
    assert gain == pytest.approx(4 * left, rel=0.03)
    assert found.exposure_undone == pytest.approx(12.04, abs=0.01)


def test_an_object_on_a_third_of_the_height_is_heard_and_the_rest_said_to_be_synthesised() -> None:
    geometry = Rows(300, 14.81e-6, first_row=400)
    duty = 300 * 14.81e-6 * 60
    for sound, least in (("tone:440", 20.0), ("melody", 5.0)):
        motion, truth = row_samples(sound, geometry)
        found = Autoregressive().combine(motion)
        assert found.synthesised_share == pytest.approx(1 - duty, abs=0.02)
        assert snr(found, truth) > least
        assert snr(found, truth, found.observed) > bound(geometry) - 1
        error = np.abs(found.samples - truth(found.times)) / found.sigma
        assert np.sqrt(np.mean(error[~found.observed] ** 2)) < 1.3


@pytest.mark.parametrize("sound", ["speech", "melody"])
def test_observed_samples_stay_within_their_noise(sound: str) -> None:
    motion, _ = row_samples(sound, HD)
    found, measured = Autoregressive().combine(motion), RowAverage().combine(motion)
    seen = found.observed & measured.observed
    left = (found.samples - measured.samples)[seen] / measured.sigma[seen]
    went = np.sqrt(np.mean(motion.displacement.mean(axis=0) ** 2))
    assert went < 1e-3
    assert np.mean(left**2) < 1.5


@pytest.mark.parametrize("sound", ["tone:4300", "tone:5000"])
def test_sound_beyond_the_band_makes_no_false_sound(sound: str) -> None:
    """Rows follow it; the grid can't. What they say then counts for less, and that is told."""
    motion, truth = row_samples(sound, HD, rms=0.03, sigma=3e-3)
    found = Autoregressive().combine(motion)
    assert found.samples.std() < 0.5 * truth(found.times).std()
    assert any("stray from the recovered sound" in warning for warning in found.warnings)
    assert Autoregressive().combine(row_samples("melody", HD)[0]).warnings == ()
