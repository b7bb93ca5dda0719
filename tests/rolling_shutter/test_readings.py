"""What rows read of samples on a grid: the interpolator, its exposure, its normal equations."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vmforensics_rolling_shutter.gap.readings import Forward, Kernel, Readings


def readings(position: NDArray[np.float64], weight: NDArray[np.float64] | None = None) -> Readings:
    size = len(position)
    value = np.random.default_rng(1).standard_normal(size)
    return Readings(position, value, np.ones(size) if weight is None else weight, np.arange(size) % 7)


@pytest.mark.parametrize("exposure", [0.0, 0.5, 4.0, 33.4])
@pytest.mark.parametrize("frequency", [0.02, 0.1, 0.25, 0.38])
def test_a_wave_is_read_between_the_samples_averaged_over_the_exposure(exposure: float, frequency: float) -> None:
    """To -54 dB up to 0.38 of the rate."""
    size = 300
    position = np.sort(np.random.default_rng(2).uniform(60, 240, 2000))
    wave = np.cos(2 * np.pi * frequency * np.arange(size) + 1)
    read = Forward(readings(position), Kernel.of(exposure), size).read(wave)
    averaged = np.sinc(frequency * exposure) * np.cos(2 * np.pi * frequency * position + 1)
    assert np.sqrt(np.mean((read - averaged) ** 2)) < 2e-3 * np.sqrt(0.5)


@pytest.mark.parametrize("exposure", [0.0, 6.3])
def test_the_normal_equations_are_those_of_the_map(exposure: float) -> None:
    size, width = 96, 30
    position = np.sort(np.random.default_rng(3).uniform(-4, size + 3, 400))
    seen = readings(position, np.random.default_rng(4).uniform(0.5, 5, 400))
    forward = Forward(seen, Kernel.of(exposure), size)
    matrix = np.stack([forward.read(row) for row in np.eye(size)], axis=1)
    gram = matrix.T @ (seen.weight[:, None] * matrix)
    band = forward.band(width, seen.weight)
    for lag in range(width + 1):
        np.testing.assert_allclose(band[lag, : size - lag], np.diagonal(gram, -lag), atol=1e-12)
        assert not band[lag, size - lag :].any()
    np.testing.assert_allclose(
        forward.moment(seen.value, seen.weight), matrix.T @ (seen.weight * seen.value), atol=1e-12
    )
    assert not np.tril(gram, -width - 1).any()


def test_a_part_of_the_readings_counts_from_its_beginning() -> None:
    seen = readings(np.array([0.2, 9.6, 10.4, 19.4, 19.6]))
    part = seen.between(10, 20)
    np.testing.assert_allclose(part.position, [-0.4, 0.4, 9.4])
    assert part.value.tolist() == seen.value[1:4].tolist()
    assert part.row.tolist() == [1, 2, 3]
