"""MyStage keeps the contract of exporters, and writes what it was given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from vmforensics.data import Detection, Recovery, Signal, Verdict
from vmforensics.plugins.template.exporter import MyStage
from vmforensics.testing import parametrize_with_checks


@parametrize_with_checks(MyStage)
def test_contract(check: Callable[[], None]) -> None:
    """The checks of every exporter; list one that yours can't pass in expected_failed_checks, with the reason."""
    check()


def test_the_table_holds_the_samples(tmp_path: Path) -> None:
    """Every number can be read back."""
    samples = np.array([0.001, -0.002, 0.003])
    signal = Signal(samples, 1000.0, 0.5, np.array([True, False, True]), np.full(3, 1e-4))
    detection = Detection(Verdict.NO_SIGNAL, 0.5, 0.01, None, "made up for a test")
    (table,) = MyStage().export(Recovery(signal, signal, detection), tmp_path)
    found = np.loadtxt(table, delimiter=",", skiprows=1)
    assert found[:, 0].tolist() == [0.5, 0.501, 0.502]
    assert found[:, 1].tolist() == samples.tolist()
    assert found[:, 3].tolist() == [1, 0, 1]
