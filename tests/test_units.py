"""Quantities: exact where a human writes a decimal, refused quickly where it is none."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from vmforensics.units import Hertz, Pixels, Seconds, hertz, pixels, seconds

Reader = Callable[[object], float]
EVERY = pytest.mark.parametrize("read", [seconds, hertz, pixels])


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("19us", 0.000019),
        ("19 µs", 0.000019),
        ("19 μs", 0.000019),
        ("14.81us", 0.00001481),
        ("15.7 ms", 0.0157),
        ("250ns", 2.5e-7),
        ("1/4000", 1 / 4000),
        ("1 / 4000 s", 1 / 4000),
        ("1e-3", 0.001),
        ("1e-3 s", 0.001),
        (".5", 0.5),
        ("5.", 5.0),
        ("+2", 2.0),
        ("-1ms", -0.001),
        ("010", 10.0),
        (0.000019, 0.000019),
        (3, 3.0),
    ],
)
def test_seconds_are_the_nearest_float(written: object, value: float) -> None:
    assert seconds(written) == value
    assert isinstance(seconds(written), float)


@pytest.mark.parametrize(
    ("written", "value"),
    [("80 Hz", 80), ("8 kHz", 8000), ("8KHZ", 8000), ("60000/1001", 60000 / 1001), ("59.94fps", 59.94), (2200, 2200)],
)
def test_hertz(written: object, value: float) -> None:
    assert hertz(written) == value


def test_pixels() -> None:
    assert pixels("0.02 px") == pixels(0.02) == pixels("2e-2") == 0.02


@pytest.mark.parametrize(
    ("read", "written"), [(hertz, "80 s"), (seconds, "80 Hz"), (pixels, "3 mm"), (seconds, "1 S X")]
)
def test_another_unit_is_refused_and_the_right_ones_are_told(read: Reader, written: str) -> None:
    with pytest.raises(ValueError, match="is no quantity; write") as refusal:
        read(written)
    assert repr(written) in str(refusal.value)


@EVERY
@pytest.mark.parametrize(
    "written",
    [
        True,
        False,
        None,
        [],
        {},
        b"1",
        1j,
        "",
        " ",
        "true",
        "nan",
        "inf",
        "1,5",
        "1:30",
        "0x10",
        "1_000",
        "--1",
        "1e",
        "1/2/3",
        "1/-2",
        "1/",
    ],
    ids=repr,
)
def test_what_is_no_quantity_is_refused(read: Reader, written: object) -> None:
    with pytest.raises(ValueError):
        read(written)


@EVERY
@pytest.mark.parametrize(
    "written", [math.nan, math.inf, -math.inf, np.nan, 10**400, "1e999", "9" * 40 + "e300"], ids=str
)
def test_what_is_not_finite_is_refused(read: Reader, written: object) -> None:
    with pytest.raises(ValueError):
        read(written)


@EVERY
@pytest.mark.parametrize("written", ["1/0", "1/0.0", "0/0"])
def test_division_by_zero_is_refused(read: Reader, written: str) -> None:
    with pytest.raises(ValueError, match="divides by zero"):
        read(written)


@pytest.mark.timeout(10)
@EVERY
@pytest.mark.parametrize("written", ["1e999999999", "1e-999999999", "9" * 10**6, "1/" + "9" * 10**6, " " * 10**6 + "x"])
def test_absurd_numbers_are_refused_before_they_are_worked_out(read: Reader, written: str) -> None:
    with pytest.raises(ValueError):
        read(written)


def test_a_number_too_small_for_a_float_is_zero() -> None:
    assert seconds("1e-999") == 0.0


@given(st.decimals(min_value="1e-9", max_value="1e9", places=9), st.sampled_from(["ns", "us", "ms", "s", ""]))
def test_units_shift_the_decimal_point_exactly(number: Decimal, unit: str) -> None:
    exponent = {"ns": -9, "us": -6, "ms": -3, "s": 0, "": 0}[unit]
    assert seconds(f"{number:f}{unit}") == float(number.scaleb(exponent))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_what_is_printed_is_read_back_exactly(value: float) -> None:
    assert seconds(repr(value)) == value


@given(st.text(max_size=30))
def test_no_text_does_worse_than_a_value_error(text: str) -> None:
    try:
        value = hertz(text)
    except ValueError:
        return
    assert math.isfinite(value)


def test_as_pydantic_fields_they_take_text_and_say_what_is_wrong() -> None:
    class Camera(BaseModel):
        row_time: Seconds
        rate: Hertz
        shift: Pixels

    camera = Camera.model_validate({"row_time": "19us", "rate": "60 fps", "shift": "0.1 px"})
    assert (camera.row_time, camera.rate, camera.shift) == (0.000019, 60.0, 0.1)
    with pytest.raises(ValidationError, match="'19 mHz' is no quantity"):
        Camera.model_validate({"row_time": "19 mHz", "rate": 60, "shift": 0})
    assert Camera.model_json_schema()["properties"]["row_time"]["anyOf"] == [{"type": "number"}, {"type": "string"}]
