"""The complex steerable pyramid: what its definition promises."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vmforensics.errors import RegionError
from vmforensics_global_shutter.steerable_pyramid import Band, SteerablePyramid, max_scales

SIZES = [((64, 96), 4, 2), ((64, 96), 3, 1), ((63, 90), 3, 4), ((77, 65), 2, 3), ((40, 33), 3, 8)]


def full_filter(pyramid: SteerablePyramid, band: Band) -> NDArray[np.float64]:
    """A band's transfer function over the whole frequency plane, through the public transforms only."""
    impulse = np.zeros(band.shape, np.complex64)
    impulse[0, 0] = 1
    return np.fft.fft2(pyramid.adjoint(impulse, band)).real


def random_picture(shape: tuple[int, int]) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(("shape", "scales", "orientations"), SIZES)
def test_bands_and_residuals_tile_the_frequency_plane(shape: tuple[int, int], scales: int, orientations: int) -> None:
    pyramid = SteerablePyramid(shape, scales=scales, orientations=orientations)
    power = sum(full_filter(pyramid, band) ** 2 for band in pyramid.bands)
    mirrored = np.roll(np.flip(power), (1, 1), (0, 1))  # a real picture's spectrum is symmetric
    high, low = pyramid.residuals()
    total = (power + mirrored) / 2 + high**2 + low**2
    assert len(pyramid.bands) == scales * orientations
    np.testing.assert_allclose(total, 1, atol=1e-5)


@pytest.mark.parametrize(("shape", "scales", "orientations"), SIZES)
def test_a_picture_is_rebuilt_from_its_bands_and_residuals(
    shape: tuple[int, int], scales: int, orientations: int
) -> None:
    pyramid = SteerablePyramid(shape, scales=scales, orientations=orientations)
    picture = random_picture(shape)
    spectrum = pyramid.spectrum(picture)
    high, low = pyramid.residuals()
    rebuilt = np.fft.ifft2((high**2 + low**2) * spectrum).real
    for band in pyramid.bands:
        # a coarser grid holds fewer coefficients, each standing for a larger area
        area = picture.size / band.filter.size
        rebuilt += area * pyramid.adjoint(pyramid.coefficients(spectrum, band), band).real
    np.testing.assert_allclose(rebuilt, picture, atol=1e-5)


def test_coarse_bands_are_samples_of_the_band_at_full_resolution() -> None:
    pyramid = SteerablePyramid((64, 96), scales=3, orientations=2)
    spectrum = pyramid.spectrum(random_picture((64, 96)))
    for band in pyramid.bands:
        full = np.fft.ifft2(full_filter(pyramid, band) * spectrum)
        step = 2 ** (band.scale - 1)
        assert band.shape == (64 // step, 96 // step)
        np.testing.assert_allclose(pyramid.coefficients(spectrum, band), full[::step, ::step], atol=1e-5)


def test_the_transpose_is_the_transpose() -> None:
    pyramid = SteerablePyramid((45, 70), scales=3, orientations=3)
    picture = random_picture((45, 70))
    for band in pyramid.bands:
        weights = (random_picture(band.shape) + 1j * random_picture(band.shape)[::-1]).astype(np.complex64)
        coefficients = pyramid.coefficients(pyramid.spectrum(picture), band)
        left = np.vdot(weights, coefficients)
        right = np.vdot(pyramid.adjoint(weights, band), picture)
        assert left == pytest.approx(right, rel=1e-4)


@pytest.mark.parametrize(
    ("frequency", "angle", "scale"), [((0, 16), 0.0, 1), ((16, 0), np.pi / 2, 1), ((0, 8), 0.0, 2)]
)
def test_a_shift_turns_the_phase_by_its_wave_number(frequency: tuple[int, int], angle: float, scale: int) -> None:
    pyramid = SteerablePyramid((64, 64), scales=2, orientations=2)
    y, x = np.mgrid[:64, :64]
    wave = 2 * np.pi / 64 * np.array(frequency)
    shift = 0.37
    first, second = (np.cos(wave[0] * (y - d) + wave[1] * (x - d)).astype(np.float32) for d in (0.0, shift))
    band = next(b for b in pyramid.bands if b.scale == scale and b.angle == pytest.approx(angle))
    before, after = (pyramid.coefficients(pyramid.spectrum(p), band) for p in (first, second))
    assert np.abs(before).min() > 0.5
    np.testing.assert_allclose(np.angle(after / before), -shift * wave.sum(), atol=1e-4)


def test_brightness_reaches_no_band() -> None:
    pyramid = SteerablePyramid((32, 32), scales=3, orientations=2)
    spectrum = pyramid.spectrum(np.full((32, 32), 200, np.float32))
    for band in pyramid.bands:
        assert np.abs(pyramid.coefficients(spectrum, band)).max() == 0


def test_many_pictures_at_once_are_as_good_as_one_by_one() -> None:
    pyramid = SteerablePyramid((32, 40), scales=2, orientations=2)
    pictures = np.stack([random_picture((32, 40)), random_picture((32, 40))[::-1]])
    for band in pyramid.bands:
        together = pyramid.coefficients(pyramid.spectrum(pictures), band)
        alone = [pyramid.coefficients(pyramid.spectrum(p), band) for p in pictures]
        np.testing.assert_allclose(together, alone, atol=1e-6)


def test_too_many_scales_for_a_picture_name_both() -> None:
    assert max_scales((64, 200)) == 4
    SteerablePyramid((64, 200), scales=4, orientations=1)
    with pytest.raises(RegionError, match=r"200x63 px is too small for 4 scales; at most 3 fit"):
        SteerablePyramid((63, 200), scales=4, orientations=1)
