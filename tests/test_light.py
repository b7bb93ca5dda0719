"""The lamp's lines: a flicker that all of the picture shares is one, a thing that moves in it isn't."""

from __future__ import annotations

import numpy as np
import pytest

from vmforensics.light import lamp_lines

RATE, FRAMES, BANDS = 500.0, 600, 64


def brightness(seed: int = 1) -> np.ndarray:
    """Bands of a still picture with a little noise [shape=(frames, bands)]."""
    generator = np.random.default_rng(seed)
    level = generator.uniform(40, 180, BANDS)
    return level + 0.02 * generator.standard_normal((FRAMES, BANDS))


def instants(readout: float = 0.0) -> np.ndarray:
    return np.arange(FRAMES)[:, None] / RATE + readout * np.arange(BANDS) / BANDS


def test_steady_light_has_no_lines():
    assert lamp_lines(brightness(), instants()) == ()


@pytest.mark.parametrize("frequency", [100.0, 120.0, 219.3])
def test_a_flicker_that_all_share_is_a_line(frequency):
    rows = brightness() * (1 + 0.01 * np.cos(2 * np.pi * frequency * np.arange(FRAMES) / RATE))[:, None]
    lines = lamp_lines(rows, instants())
    assert lines[0] == pytest.approx(frequency, abs=RATE / FRAMES)
    harmonic = 2 * lines[0] if 4 * lines[0] < RATE else RATE - 2 * lines[0]  # which the frame rate folds back
    assert harmonic == pytest.approx(lines[1], abs=1e-5)
    assert max(lines) <= RATE / 2


def test_a_thing_that_moves_is_no_line():
    rows = brightness()
    share = np.linspace(-1, 1, BANDS) ** 3  # it covers a bright part here while it uncovers one there
    rows *= 1 + 0.05 * np.outer(np.cos(2 * np.pi * 128 * np.arange(FRAMES) / RATE), share)
    assert lamp_lines(rows, instants()) == ()


def test_rows_of_a_rolling_shutter_tell_the_mains_and_its_harmonics():
    times = np.arange(90)[:, None] / 30 + 0.03 * np.arange(BANDS) / BANDS
    generator = np.random.default_rng(2)
    rows = 100 * (1 + 0.05 * np.cos(2 * np.pi * 100.02 * times)) + 0.05 * generator.standard_normal(times.shape)
    lines = lamp_lines(rows, times)
    assert lines[0] == pytest.approx(100.02, abs=0.2)
    assert lines[1] == pytest.approx(2 * lines[0])
