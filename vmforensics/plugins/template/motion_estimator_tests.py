"""MyStage keeps the contract of motion estimators, and measures a known motion."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vmforensics.plugins.template.motion_estimator import MyStage
from vmforensics.testing import Camera, parametrize_with_checks, simulate


@parametrize_with_checks(MyStage)
def test_contract(check: Callable[[], None]) -> None:
    """The checks of every estimator; list one that yours can't pass in expected_failed_checks, with the reason."""
    check()


def test_a_known_motion_is_measured_as_well_as_it_says() -> None:
    """The error of a simulated clip is what the stated uncertainty says."""
    clip = simulate(Camera(width=64, height=48, fps=1000, frames=150), sound="tone:130", rms_px=0.05)
    found, information = MyStage().estimate(clip.sensor_frames()).along((1.0, 0.0))
    truth = clip.truth.displacement - clip.truth.displacement.mean()
    error = (found - truth) * np.sqrt(information)
    assert 0.8 < float(np.sqrt(np.mean(error**2))) < 1.25
