"""The spatial derivative: gain errors here would be gain errors of every displacement."""

from __future__ import annotations

import numpy as np
import pytest

from vmforensics.numerics.derivative import NOISE_GAIN, derivative


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("frequency", [0.005, 0.01, 0.03, 0.1, 0.2, 0.3, 0.35, 0.37, 0.38, 0.4])
def test_the_gain_is_right_to_half_a_percent(axis: int, frequency: float) -> None:
    position = np.arange(400)
    wave = np.sin(2 * np.pi * frequency * position + 0.3)
    slope = 2 * np.pi * frequency * np.cos(2 * np.pi * frequency * position + 0.3)
    picture = np.tile(wave, (3, 1)) if axis == 1 else np.tile(wave[:, None], (1, 3))
    found = derivative(picture, axis=axis)
    found = found[1] if axis == 1 else found[:, 1]
    inner = slice(10, -10)
    gain = found[inner] @ slope[inner] / (slope[inner] @ slope[inner])
    assert gain == pytest.approx(1, abs=0.005)
    assert np.abs(found - gain * slope)[inner].max() < 1e-9 + 1e-6 * slope.max()  # antisymmetric taps: no phase error


@pytest.mark.parametrize("axis", [0, 1])
def test_towards_the_edges_it_gets_coarser_not_wrong(axis: int) -> None:
    position = np.arange(30.0)
    slow = np.sin(2 * np.pi * 0.02 * position)
    picture = np.broadcast_to(slow, (30, 30)) if axis == 1 else np.broadcast_to(slow[:, None], (30, 30))
    found = derivative(picture, axis=axis)
    line = found[5] if axis == 1 else found[:, 5]
    slope = 2 * np.pi * 0.02 * np.cos(2 * np.pi * 0.02 * position)
    assert np.abs(line - slope)[1:-1].max() < 0.06 * slope.max()
    assert np.abs(line - slope)[[0, -1]].max() < 0.1 * slope.max()


def test_the_other_axis_and_an_offset_do_not_matter() -> None:
    picture = np.random.default_rng(0).standard_normal((20, 40))
    np.testing.assert_allclose(derivative(picture.T, axis=0), derivative(picture, axis=1).T)
    np.testing.assert_allclose(derivative(picture + 1e3, axis=0), derivative(picture, axis=0), atol=1e-10)
    assert not derivative(np.full((20, 20), 7.0), axis=0).any()


@pytest.mark.parametrize("size", [8, 9, 12, 13, 16, 17, 32])
def test_the_smallest_region_has_a_derivative(size: int) -> None:
    ramp = np.tile(np.arange(float(size)), (32, 1))
    np.testing.assert_allclose(derivative(ramp, axis=1), 1.0, atol=0.06)


def test_the_noise_gain_is_that_of_white_noise() -> None:
    noise = np.random.default_rng(1).standard_normal((300, 1000))
    assert derivative(noise, axis=1)[:, 10:-10].var() == pytest.approx(NOISE_GAIN, rel=0.02)
