"""Numbers with units, as people write them in a case file or on a command line: 19us, 1/4000, 80 Hz.

Inside the program every quantity is a plain float in its base unit: seconds, hertz, pixels.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

_MICRO = Fraction(1, 10**6)  # exact factors: 19us is the float nearest to 0.000019
_SECONDS = {"": Fraction(1), "s": Fraction(1), "ms": Fraction(1, 1000), "ns": Fraction(1, 10**9)}
_SECONDS |= {"us": _MICRO, "µs": _MICRO, "μs": _MICRO}
_HERTZ = {"": Fraction(1), "hz": Fraction(1), "khz": Fraction(1000), "fps": Fraction(1)}
_PIXELS = {"": Fraction(1), "px": Fraction(1)}
_QUANTITY = re.compile(  # digits are bounded, for the arithmetic is exact
    r"\s*(?P<number>[+-]?(?:[0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?)"
    r"(?:\s*/\s*(?P<divisor>[0-9]{1,40}\.?[0-9]{0,40}))?\s*(?P<unit>[A-Za-zµμ]*)\s*"
)


def _parse(given: object, units: dict[str, Fraction], allowed: str) -> float:
    if isinstance(given, bool) or not isinstance(given, (int, float, str)):
        raise ValueError(f"{given!r} is no quantity; write {allowed}")
    value: int | float | Fraction
    if isinstance(given, str):
        match = _QUANTITY.fullmatch(given)
        unit = match["unit"] if match else ""
        factor = units.get(unit, units.get(unit.lower())) if match else None
        if match is None or factor is None:
            raise ValueError(f"{given!r} is no quantity; write {allowed}")
        divisor = Fraction(match["divisor"] or 1)
        if divisor == 0:
            raise ValueError(f"{given!r} divides by zero; write {allowed}")
        value = Fraction(match["number"]) / divisor * factor
    else:
        value = given
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{given!r} isn't finite; write {allowed}")
    return number


def seconds(value: object) -> float:
    """Read a duration, in seconds.

    Raises
    ------
    ValueError
        It is no number, has another unit, or isn't finite.

    Examples
    --------
    >>> seconds("19us"), seconds("1/4000"), seconds("15.7 ms"), seconds(0.5)
    (1.9e-05, 0.00025, 0.0157, 0.5)
    """
    return _parse(value, _SECONDS, "seconds such as 0.000019, 19us, 15.7 ms or 1/4000")


def hertz(value: object) -> float:
    """Read a frequency or a rate, in hertz.

    Raises
    ------
    ValueError
        It is no number, has another unit, or isn't finite.

    Examples
    --------
    >>> hertz("80 Hz"), hertz("8 kHz"), hertz("60000/1001"), hertz(2200)
    (80.0, 8000.0, 59.94005994005994, 2200.0)
    """
    return _parse(value, _HERTZ, "hertz such as 80, 80 Hz, 8 kHz or 60000/1001")


def pixels(value: object) -> float:
    """Read a length in pixels.

    Raises
    ------
    ValueError
        It is no number, has another unit, or isn't finite.

    Examples
    --------
    >>> pixels("0.02 px")
    0.02
    """
    return _parse(value, _PIXELS, "pixels such as 0.02 or 0.02 px")


def _quantity(description: str, example: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"anyOf": [{"type": "number"}, {"type": "string"}], "description": description, "examples": [example]}
    )


Seconds = Annotated[float, BeforeValidator(seconds), _quantity("a duration; a bare number is in seconds", "19us")]
"""A pydantic field type: seconds as a float, written as 0.000019, 19us or 1/4000."""

Hertz = Annotated[float, BeforeValidator(hertz), _quantity("a frequency; a bare number is in hertz", "80 Hz")]
"""A pydantic field type: hertz as a float, written as 80, 80 Hz or 8 kHz."""

Pixels = Annotated[float, BeforeValidator(pixels), _quantity("a length in pixels", "0.02 px")]
"""A pydantic field type: pixels as a float."""
