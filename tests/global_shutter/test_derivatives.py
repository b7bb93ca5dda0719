"""The engine's fast derivatives against the exact ones."""

from __future__ import annotations

import numpy as np
import pytest

from vmforensics.numerics.derivative import derivative
from vmforensics_global_shutter.spectral import derivative as spectral
from vmforensics_global_shutter.still import slope


@pytest.mark.parametrize("shape", [(20, 200), (80, 81), (83, 97), (160, 145)])
@pytest.mark.parametrize("axis", [0, 1])
def test_products_with_pieces_of_the_matrix_are_the_stencils(shape: tuple[int, int], axis: int) -> None:
    picture = np.random.default_rng(0).normal(100, 30, shape)
    np.testing.assert_allclose(slope(picture.astype(np.float32), axis=axis), derivative(picture, axis=axis), atol=1e-3)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("size", [90, 97])  # lengths that transform fast and slowly
def test_slopes_of_waves_are_exact_up_to_the_finest(size: int, axis: int) -> None:
    place = np.arange(size) + np.zeros((40, 1))
    for frequency in (0.02, 0.2, 0.45):
        wave, slopes = np.sin(2 * np.pi * frequency * place), np.cos(2 * np.pi * frequency * place)
        found = spectral(wave if axis else wave.T, axis)
        inner = (found if axis else found.T)[:, 30:-30]
        np.testing.assert_allclose(inner, 2 * np.pi * frequency * slopes[:, 30:-30], atol=0.03 * 2 * np.pi * frequency)
