"""The aligned sum: maximum likelihood without lags, alignment only where it is certain, honest gaps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from vmforensics.data import Channel, Motion
from vmforensics.errors import StageError
from vmforensics.testing import Camera, simulate
from vmforensics_global_shutter.aligned_sum import AlignedSum, AlignedSumParams
from vmforensics_global_shutter.local_phase import LocalPhase

RATE = 2000.0


def made_motion(
    signals: NDArray[np.float64],
    sigma: list[float],
    *,
    gains: list[float] | None = None,
    times: NDArray[np.float64] | None = None,
    seed: int = 0,
) -> Motion:
    """Channels along x that carry given signals [shape=(channels, frames)] under independent noise."""
    channels, frames = signals.shape
    gains = gains or [1.0] * channels
    noise = np.random.default_rng(seed).normal(size=(frames, channels)) * sigma
    return Motion(
        displacement=(signals.T * gains + noise).astype(np.float32)[:, None],
        precision=np.diag(1 / np.square(sigma)).astype(np.float32)[None, None],
        observed=np.ones((frames, 1), np.bool_),
        frame_times=np.arange(frames) / RATE if times is None else times,
        row_offsets=np.array([1e-4]),
        channels=tuple(Channel(f"channel {i}", (g, 0.0)) for i, g in enumerate(gains)),
        frame_rate=RATE,
        warnings=("said before",),
    )


def wide_band(frames: int, seed: int = 9) -> NDArray[np.float64]:
    """A random signal below a quarter of the frame rate, of RMS 1 [shape=(frames,)]."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=frames))
    spectrum[frames // 4 :] = 0
    signal = np.fft.irfft(spectrum, frames)
    return np.asarray(signal / signal.std())


def test_without_lags_the_sum_is_the_maximum_likelihood_displacement() -> None:
    signal = 0.01 * wide_band(800)
    motion = made_motion(np.stack([signal] * 3), [0.002, 0.004, 0.02], gains=[1.0, -0.7, 1.5])
    found = AlignedSum().combine(motion)
    displacement, information = motion.along((1.0, 0.0))
    assert found.axis == (1.0, 0.0)
    np.testing.assert_allclose(found.samples, displacement[:, 0], atol=1e-9)
    np.testing.assert_allclose(found.sigma, 1 / np.sqrt(information[:, 0]), rtol=1e-6)
    assert np.std(found.samples - signal) == pytest.approx(found.sigma[0], rel=0.1)
    assert (found.rate, found.start, found.unit) == (RATE, 1e-4, "px")
    assert found.observed.all()
    assert found.warnings == ("said before",)


def test_a_delayed_channel_is_aligned_and_the_ends_are_unobserved() -> None:
    signal = 0.02 * wide_band(1000)
    motion = made_motion(np.stack([signal, signal, np.roll(signal, 6)]), [0.004, 0.005, 0.0045], gains=[1, -1, 1])
    found = AlignedSum().combine(motion)
    assert np.flatnonzero(~found.observed).tolist() == list(range(994, 1000))
    assert np.std((found.samples - signal)[:994]) == pytest.approx(found.sigma[0], rel=0.1)
    assert found.sigma[0] == pytest.approx(1 / np.sqrt(1 / 0.004**2 + 1 / 0.005**2 + 1 / 0.0045**2), rel=1e-3)
    assert found.warnings == ("said before", "1 of 3 channels were shifted, by up to 3 ms")
    unaligned = AlignedSum(AlignedSumParams(max_lag=0)).combine(motion)
    assert unaligned.observed.all()
    assert np.std(unaligned.samples - signal) > 3 * found.sigma[0]
    within = AlignedSum(AlignedSumParams(max_lag=2e-3)).combine(motion)
    assert within.observed.all()


def test_noise_is_never_aligned_with_noise() -> None:
    for seed in range(20):
        motion = made_motion(np.zeros((16, 300)), [0.01] * 16, seed=seed)
        across = tuple(replace(c, response=(0.0, 1.0)) for c in motion.channels[8:])
        motion = replace(motion, channels=motion.channels[:8] + across)
        found = AlignedSum(AlignedSumParams(max_lag=20e-3)).combine(motion)
        assert found.warnings == ("said before",)
        assert np.std(found.samples) == pytest.approx(0.01 / np.sqrt(8), rel=0.2)


def test_dropped_and_undecodable_frames_are_gaps_on_the_same_clock() -> None:
    signal = 0.02 * wide_band(400)
    kept = np.setdiff1d(np.arange(400), [100, 101, 250])
    motion = made_motion(signal[kept][None], [0.001], times=kept / RATE)
    observed = motion.observed.copy()
    observed[50] = False
    motion = replace(motion, observed=observed, displacement=np.where(observed[:, :, None], motion.displacement, 0))
    found = AlignedSum().combine(motion)
    gaps = np.array([50, 100, 101, 250])
    assert np.flatnonzero(~found.observed).tolist() == gaps.tolist()
    assert len(found.samples) == 400
    seen = found.observed
    assert np.std(found.samples[seen] - signal[seen]) == pytest.approx(0.001, rel=0.15)
    assert found.samples[50] == pytest.approx(found.samples[[49, 51]].mean())
    assert found.samples[100] == pytest.approx((2 * found.samples[99] + found.samples[102]) / 3)
    assert (found.sigma[gaps] > 5 * found.sigma[0]).all()
    assert found.warnings == ("said before",)


def test_variable_frame_times_are_interpolated_and_said_to_be() -> None:
    def sound(times: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(0.02 * np.sin(2 * np.pi * 150 * times))

    jitter = np.random.default_rng(4).uniform(-0.2, 0.2, 500) / RATE
    times = np.delete(np.arange(500) / RATE + jitter, [200, 201])
    times -= times[0]
    motion = made_motion(sound(times)[None], [1e-4], times=times)
    found = AlignedSum().combine(motion)
    seen = found.observed
    assert 0 < np.count_nonzero(~seen) <= 3
    assert np.std((found.samples - sound(found.times - found.start))[seen]) < 4e-4
    assert found.warnings[1].startswith("frame times vary")
    assert "2000 Hz by cubic spline" in found.warnings[1]


def test_rows_that_share_an_instant_are_averaged() -> None:
    signal = 0.01 * wide_band(300)
    one = made_motion(np.stack([signal, signal]), [0.004, 0.008])
    two = made_motion(np.stack([signal, signal]), [0.002, 0.008], seed=1)
    both = replace(
        one,
        displacement=np.concatenate([one.displacement, two.displacement], axis=1),
        precision=np.concatenate([one.precision, two.precision], axis=1),
        observed=np.repeat(one.observed, 2, axis=1),
        row_offsets=np.array([1e-4, 1e-4]),
    )
    found = AlignedSum().combine(both)
    (d1, i1), (d2, i2) = (m.along((1.0, 0.0)) for m in (one, two))
    np.testing.assert_allclose(found.samples, ((i1 * d1 + i2 * d2) / (i1 + i2))[:, 0], atol=1e-7)
    np.testing.assert_allclose(found.sigma, 1 / np.sqrt(i1 + i2)[:, 0], rtol=1e-5)


def test_a_rolling_shutter_and_an_empty_motion_are_refused() -> None:
    motion = made_motion(np.zeros((1, 20)), [0.01])
    rolling = replace(
        motion,
        displacement=np.repeat(motion.displacement, 2, axis=1),
        observed=np.repeat(motion.observed, 2, axis=1),
        row_offsets=np.array([0.0, 1e-5]),
    )
    with pytest.raises(StageError, match="exposed one after another"):
        AlignedSum().combine(rolling)
    with pytest.raises(StageError, match="no frame was observed"):
        AlignedSum().combine(replace(motion, observed=np.zeros((20, 1), np.bool_)))
    with pytest.raises(StageError, match="no channel carries information"):
        AlignedSum().combine(replace(motion, precision=np.zeros_like(motion.precision)))


@pytest.mark.parametrize("direction", [0, 135])
def test_sound_is_recovered_from_a_high_speed_clip(direction: float) -> None:
    camera = Camera(width=128, height=96, fps=2200, frames=400, noise=(2.0, 0.0), dropped=(120,))
    simulation = simulate(camera, scene="print", sound="speech", rms_px=0.02, direction=direction, seed=5)
    found = AlignedSum().combine(LocalPhase().estimate(simulation.sensor_frames()))
    same_way = np.sign(np.dot(found.axis, simulation.truth.axis))  # which way is forth is arbitrary
    expected = same_way * simulation.displacement(found.times)
    error = found.samples - found.samples.mean() - expected + expected.mean()
    seen = found.observed
    assert np.flatnonzero(~seen).tolist() == [120]
    assert np.corrcoef(found.samples[seen], expected[seen])[0, 1] > 0.99
    assert np.std(error[seen]) == pytest.approx(found.sigma[0], rel=0.15)
    assert found.warnings == ()
