"""MyStage keeps the contract of signal combiners, and takes the axis that it is told."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vmforensics.data import Channel, Motion
from vmforensics.plugins.template.signal_combiner import MyStage, MyStageParams
from vmforensics.testing import parametrize_with_checks


@parametrize_with_checks(MyStage)
def test_contract(check: Callable[[], None]) -> None:
    """The checks of every combiner; list one that yours can't pass in expected_failed_checks, with the reason."""
    check()


def test_the_axis_is_the_one_asked_for() -> None:
    """Of a motion along x only, nothing is left along y."""
    moved = np.zeros((100, 1, 2), np.float32)
    moved[:, 0, 0] = 0.02 * np.sin(np.arange(100))
    motion = Motion(
        displacement=moved,
        precision=1e6 * np.eye(2, dtype=np.float32)[None, None],
        observed=np.ones((100, 1), bool),
        frame_times=np.arange(100) / 1000,
        row_offsets=np.zeros(1),
        channels=(Channel("x", (1.0, 0.0)), Channel("y", (0.0, 1.0))),
        frame_rate=1000.0,
    )
    assert np.allclose(MyStage(MyStageParams(axis="horizontal")).combine(motion).samples, moved[:, 0, 0])
    assert not MyStage(MyStageParams(axis="vertical")).combine(motion).samples.any()
