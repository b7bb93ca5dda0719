"""Numbers as people read them."""

from __future__ import annotations

import pytest

from vmforensics.report.quantities import measured, number, percentage, quantity


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (0.0123, 4, "0.0123"),
        (0.00001234567, 4, "1.235 × 10⁻⁵"),
        (0.000099999, 3, "0.0001"),
        (0.0, 4, "0"),
        (-0.25, 4, "−0.25"),
        (-2e-9, 2, "−2 × 10⁻⁹"),
        (9999.96, 5, "10 000"),
        (48000.0, 4, "48 000"),
        (1234.5678, 4, "1235"),
        (123456.789, 9, "123 456.789"),
        (3e9, 4, "3 × 10⁹"),
        (12345678901, 4, "12 345 678 901"),
        (None, 4, "not stated"),
        (float("inf"), 4, "inf"),
    ],
)
def test_number(value: float | None, digits: int, shown: str) -> None:
    assert " ".join(number(value, digits).split()) == shown


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (1.9e-05, "s", "19 µs"),
        (0.001, "s", "1 ms"),
        (0.9999, "s", "999.9 ms"),
        (3.456, "s", "3.456 s"),
        (2.5e-10, "s", "0.25 ns"),
        (0, "s", "0 s"),
        (-0.00025, "s", "−250 µs"),
        (0.0123, "px", "0.0123 px"),
        (60000 / 1001, "Hz", "59.94 Hz"),
    ],
)
def test_quantity(value: float, unit: str, shown: str) -> None:
    assert " ".join(quantity(value, unit).split()) == shown


@pytest.mark.parametrize(
    ("value", "uncertainty", "shown"),
    [
        (1.9e-05, 1.2e-07, "(19.00 ± 0.12) µs"),
        (1.9e-05, 3e-06, "(19.0 ± 3.0) µs"),
        (1.9e-05, 4e-05, "(19 ± 40) µs"),
        (1.9e-05, 0.0, "19 µs, uncertainty not stated"),
        (None, 1e-7, "not stated"),
    ],
)
def test_measured(value: float | None, uncertainty: float, shown: str) -> None:
    assert " ".join(measured(value, uncertainty, "s").split()) == shown


def test_a_space_in_a_quantity_never_breaks() -> None:
    assert " " not in quantity(5749075, "bytes") + quantity(1e-12, "px") + percentage(0.5)
