"""A picture between its pixels, against waves whose values are known everywhere."""

from __future__ import annotations

import numpy as np
import pytest

from vmforensics.numerics.finer import Finer


@pytest.mark.parametrize(("frequency", "error"), [(0.0, 1e-5), (0.05, 5e-4), (0.25, 5e-4), (0.38, 2e-3)])
def test_waves_are_read_between_the_pixels(frequency: float, error: float) -> None:
    row, col = np.random.default_rng(1).uniform(20, 60, (2, 400))
    along = np.arange(80)
    for axis, place in ((1, col), (0, row)):
        wave = np.cos(2 * np.pi * frequency * along + 0.3)
        picture = np.broadcast_to(wave if axis else wave[:, None], (80, 80))
        found = Finer(picture).at(row, col)
        assert np.abs(found - np.cos(2 * np.pi * frequency * place + 0.3)).max() < error
