"""Numbers with units, as people read them: 19 µs, 0.0123 px, (76.00 ± 0.20) µs, 48 000 Hz."""

from __future__ import annotations

import math
from decimal import Decimal

from markupsafe import Markup

NOT_STATED = "not stated"
"""What stands where nobody said a value."""

_SPACE = "\u00a0"  # between number and unit, never broken
_THIN = "\u202f"  # between groups of three digits
_SMALLEST, _LARGEST = 1e-4, 1e9  # magnitudes written without a power of ten
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_PREFIXED = {"s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))}


def number(value: float | None, digits: int = 4) -> str:
    """Write a number: an integer in full, anything else with so many significant digits.

    Examples
    --------
    >>> number(0.045939), number(0), number(1e-12), number(None)
    ('0.04594', '0', '1\u00a0×\u00a010⁻¹²', 'not stated')
    >>> number(5749075)
    '5\u202f749\u202f075'
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
    return f"{mantissa}{_SPACE}×{_SPACE}10{power}".replace("-", "−")


def quantity(value: float | None, unit: str, digits: int = 4) -> Markup:
    """Write a number with its unit; seconds take the prefix that suits them.

    Examples
    --------
    >>> print(quantity(1.9e-05, "s"), quantity(0.0123, "px"), quantity(59.94005994, "Hz", 7), quantity(None, "s"))
    19 µs 0.0123 px 59.94006 Hz not stated
    """
    if value is None:
        return Markup(NOT_STATED)
    factor, unit = _prefix(value, unit)
    return Markup("{}{}{}").format(number(value / factor if factor != 1 else value, digits), _SPACE, unit)


def measured(value: float | None, uncertainty: float | None, unit: str) -> Markup:
    """Write a value with its standard uncertainty, both to the uncertainty's second digit (JCGM 100:2008, 7.2.6).

    Examples
    --------
    >>> print(measured(7.6e-05, 2e-07, "s"))
    (76.00 ± 0.20) µs
    >>> print(measured(7.6e-05, None, "s"))
    76 µs, uncertainty not stated
    """
    if value is None or uncertainty is None:
        tail = "" if value is None else f", uncertainty {NOT_STATED}"
        return quantity(value, unit, 6) + tail
    factor, unit = _prefix(value, unit)
    value, uncertainty = value / factor, uncertainty / factor
    decimals = max(0, 1 - math.floor(math.log10(uncertainty))) if uncertainty > 0 else 6
    both = f"({value:.{decimals}f} ± {uncertainty:.{decimals}f})"
    return Markup("{}{}{}").format(both, _SPACE, unit)


def percentage(share: float | None, digits: int = 3) -> Markup:
    """Write a share of one in per cent.

    Examples
    --------
    >>> print(percentage(0.17626))
    17.6 %
    """
    return Markup(NOT_STATED) if share is None else quantity(100 * share, "%", digits)


def _prefix(value: float, unit: str) -> tuple[float, str]:
    """The factor and unit that bring a value to 1 or more, where there are such."""
    choices = _PREFIXED.get(unit, ((1.0, unit),))
    if value == 0:
        return choices[0]
    return next((each for each in choices if abs(value) >= each[0] * (1 - 1e-12)), choices[-1])


def _grouped(digits: str) -> str:
    """Digits in groups of three from five digits on; a true minus sign."""
    whole, point, fraction = digits.partition(".")
    sign, whole = ("−", whole[1:]) if whole.startswith("-") else ("", whole)
    if len(whole) > 4:
        whole = f"{int(whole):,}".replace(",", _THIN)
    return f"{sign}{whole}{point}{fraction}"
