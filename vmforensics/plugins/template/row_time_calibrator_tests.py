"""MyStage keeps the contract of calibrators, and divides the readout by the rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vmforensics.data import Evidence
from vmforensics.plugins.template.row_time_calibrator import MyStage, MyStageParams
from vmforensics.testing import StoredFrames, parametrize_with_checks

CAMERA = MyStageParams(camera="bench camera 1, 1080p60")


@parametrize_with_checks(MyStage, MyStage(CAMERA))
def test_contract(check: Callable[[], None]) -> None:
    """The checks of every calibrator; list one that yours can't pass in expected_failed_checks, with the reason."""
    check()


def test_a_known_camera_has_its_row_time(tmp_path: Path) -> None:
    """The readout of the table is that of the whole picture."""
    frames = StoredFrames(np.zeros((1, 1080, 8), np.uint8), rate=60.0).sensor_frames()
    found = MyStage(CAMERA).calibrate(frames, Evidence(tmp_path))
    assert found.value == pytest.approx(15.73e-3 / 1080)
    assert found.prior
