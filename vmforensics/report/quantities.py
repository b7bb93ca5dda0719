"""Numbers with units, as people read them: 19 µs, 0.0123 px, (76.00 ± 0.20) µs, 48 000 Hz."""

from __future__ import annotations

import math
from decimal import Decimal

NOT_STATED = "not stated"
"""What stands where nobody said a value."""

NO_BREAK, NARROW_NO_BREAK = "\u00a0", "\u202f"
"""The spaces between a number and its unit, and between groups of three digits."""

_SMALLEST, _LARGEST = 1e-4, 1e9  # magnitudes written without a power of ten
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_PREFIXED = {"s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))}


def number(value: float | None, digits: int = 4) -> str:
    r"""Write a number: an integer in full, anything else with so many significant digits.

    Examples
    --------
    >>> number(0.045939), number(8000.0), number(-0.5), number(None)
    ('0.04594', '8000', '−0.5', 'not stated')
    >>> number(1e-12), number(5749075)
    ('1\xa0×\xa010⁻¹²', '5\u202f749\u202f075')
    """
    if value is None:
        return NOT_STATED
    if isinstance(value, int):
        return _grouped(str(value))
    if not math.isfinite(value):
        return str(value)
    rounded = float(f"{value:.{digits - 1}e}")
    if rounded == 0 or _SMALLEST <= abs(rounded) < _LARGEST:
        return _grouped(format(Decimal(repr(rounded)), "f").removesuffix(".0"))
    mantissa, _, exponent = f"{rounded:.{digits - 1}e}".partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    power = str(int(exponent)).translate(_SUPERSCRIPTS)
    return f"{_grouped(mantissa)}{NO_BREAK}×{NO_BREAK}10{power}"


def quantity(value: float | None, unit: str, digits: int = 4) -> str:
    r"""Write a number with its unit ("1" goes without); seconds take the prefix that suits them.

    Examples
    --------
    >>> quantity(1.9e-05, "s"), quantity(60000 / 1001, "Hz", 7), quantity(0.0123, "px")
    ('19\xa0µs', '59.94006\xa0Hz', '0.0123\xa0px')
    >>> quantity(0.25, "1")
    '0.25'
    """
    if value is None:
        return NOT_STATED
    factor, unit = _prefix(value, unit)
    written = number(value if factor == 1 else value / factor, digits)
    return f"{written}{NO_BREAK}{unit}" if unit != "1" else written  # a ratio


def measured(value: float | None, uncertainty: float | None, unit: str) -> str:
    r"""Write a value with its standard uncertainty, both to the uncertainty's second digit (JCGM 100:2008, 7.2.6).

    Examples
    --------
    >>> measured(7.6e-05, 2e-07, "s"), measured(7.6e-05, None, "s")
    ('(76.00 ± 0.20)\xa0µs', '76\xa0µs, uncertainty not stated')
    >>> measured(0.93, 0.02, "1")
    '(0.930 ± 0.020)'
    """
    if value is None:
        return NOT_STATED
    if not uncertainty:
        return f"{quantity(value, unit, 6)}, uncertainty {NOT_STATED}"
    factor, unit = _prefix(value, unit)
    value, uncertainty = value / factor, uncertainty / factor
    decimals = max(0, 1 - math.floor(math.log10(uncertainty)))
    written = f"({value:.{decimals}f} ± {uncertainty:.{decimals}f})"
    return f"{written}{NO_BREAK}{unit}" if unit != "1" else written


def percentage(share: float | None, digits: int = 3) -> str:
    r"""Write a share of one in per cent.

    Examples
    --------
    >>> percentage(0.17626), percentage(None)
    ('17.6\xa0%', 'not stated')
    """
    return NOT_STATED if share is None else quantity(100 * share, "%", digits)


def _prefix(value: float, unit: str) -> tuple[float, str]:
    """The largest factor, with its unit, that leaves a value of 1 or more; the smallest for what is less than all."""
    choices = _PREFIXED.get(unit, ((1.0, unit),))
    if value == 0:
        return choices[0]
    return next((each for each in choices if abs(value) >= each[0]), choices[-1])


def _grouped(digits: str) -> str:
    """Digits in groups of three from five digits on, with a true minus sign."""
    sign = "−" if digits.startswith("-") else ""
    whole, point, fraction = digits.removeprefix("-").partition(".")
    if len(whole) > 4:
        whole = f"{int(whole):,}".replace(",", NARROW_NO_BREAK)
    return f"{sign}{whole}{point}{fraction}"
