"""The noise model, and the halves: what the estimators share."""

from __future__ import annotations

import numpy as np
import pytest

from vmforensics.numerics.derivative import derivative
from vmforensics.numerics.noise import QUANTISATION, NoiseModel
from vmforensics_rolling_shutter.motion.halves import CHANNELS, half_of_columns


@pytest.mark.parametrize("moving", [0.0, 0.05])
def test_the_noise_is_told_from_motion(moving: float) -> None:
    """Variance of 0.6 + 0.03·I DN², and what motion adds to it along and across the rows."""
    random = np.random.default_rng(2)
    rows, cols = np.mgrid[:120, :300]
    mean = 120 + 60 * np.sin(cols / 4) * np.cos(rows / 5) + 30 * np.sin(rows / 17 + cols / 23)
    slopes = derivative(mean, axis=1), derivative(mean, axis=0)
    variance = 0.6 + 0.03 * mean + moving**2 * (slopes[0] ** 2 + 0.5 * slopes[1] ** 2)
    seen = variance * random.chisquare(40, mean.shape) / 40
    found = NoiseModel.fitted(mean, slopes, seen)
    level = np.array([40.0, 120.0, 200.0])
    np.testing.assert_allclose(found.variance(level), 0.6 + 0.03 * level, rtol=0.03)


def test_no_less_than_rounding_is_assumed() -> None:
    assert NoiseModel(-1.0, 0.0).variance(np.array([0.0, 100.0])).tolist() == [QUANTISATION] * 2


@pytest.mark.parametrize(("cols", "stripe", "width"), [(640, 32, 32), (64, 32, 16), (3, 32, 1)])
def test_columns_are_dealt_in_stripes(cols: int, stripe: int, width: int) -> None:
    half_of = half_of_columns(cols, stripe)
    assert half_of.shape == (cols,)
    assert half_of[:width].tolist() == [0] * width
    assert half_of[width] == 1
    assert abs(np.count_nonzero(half_of == 0) - np.count_nonzero(half_of == 1)) <= width
    assert [channel.half for channel in CHANNELS] == [0, 0, 1, 1]
