"""A row time has an uncertainty and a reason, or no value and a reason."""

from __future__ import annotations

import numpy as np
import pytest

from vmforensics.data import RowTime, RowTimeFit


def test_what_a_row_time_says() -> None:
    known, unknown = RowTime("led", "seen", 1e-5, 1e-8), RowTime("led", "dark")
    assert known.determinate
    assert known.relative_uncertainty == pytest.approx(1e-3)
    assert not unknown.determinate
    assert unknown.relative_uncertainty is None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"reason": " "}, "rests on"),
        ({"value": 1e-5}, "has an uncertainty"),
        ({"uncertainty": 1e-8}, "has an uncertainty"),
        ({"value": -1e-5, "uncertainty": 1e-8}, "value is -1e-05"),
        ({"value": 1e-5, "uncertainty": float("nan")}, "uncertainty is nan"),
        ({"light_frequency": 0.0}, "light_frequency is 0.0"),
    ],
)
def test_half_a_row_time_is_none(given: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        RowTime(**{"method": "led", "reason": "seen", **given})  # type: ignore[arg-type]


def test_a_fit_is_one_finite_value_a_row() -> None:
    rows = np.arange(3.0)
    assert RowTimeFit(rows, rows, rows, "phase (cycles)").rows is rows
    for wrong in (np.arange(2.0), np.array([0.0, np.inf, 1.0]), np.zeros((3, 1))):
        with pytest.raises(ValueError, match="measured of a row-time fit"):
            RowTimeFit(rows, wrong, rows, "phase (cycles)")
