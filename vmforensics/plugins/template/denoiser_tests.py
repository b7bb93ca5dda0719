"""MyStage keeps the contract of denoisers, and takes out what it says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vmforensics.data import Signal
from vmforensics.plugins.template.denoiser import MyStage, MyStageParams
from vmforensics.testing import parametrize_with_checks


@parametrize_with_checks(MyStage, MyStage(MyStageParams(cutoff=1500.0)))
def test_contract(check: Callable[[], None]) -> None:
    """The checks of every denoiser; list one that yours can't pass in expected_failed_checks, with the reason."""
    check()


def test_high_tones_go_and_low_ones_stay() -> None:
    """What lies above the cutoff is taken out, what lies below is kept in level and phase."""
    times = np.arange(8000) / 8000
    low, high = np.sin(2 * np.pi * 200 * times), np.sin(2 * np.pi * 3500 * times)
    given = Signal(low + high, 8000.0, 0.0, np.ones(8000, bool), np.full(8000, 0.01))
    found = MyStage(MyStageParams(cutoff=1500.0)).denoise(given)
    assert np.abs(found.samples - low)[500:-500].max() < 0.01
