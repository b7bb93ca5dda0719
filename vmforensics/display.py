"""How a player turns the picture. The analysis never does: sensor rows are rows of the stored picture."""

from __future__ import annotations

from collections.abc import Mapping

from vmforensics.data import Region

_TOP = {90: "right edge", 180: "bottom", 270: "left edge"}  # of the stored picture: what is shown on top
_WORDS = {90: "90° anticlockwise", 180: "180°", 270: "90° clockwise"}


def turn_of(facts: Mapping[str, object]) -> int:
    """Anticlockwise turn in degrees (0, 90, 180, 270) that the container asks players for; 0 where it asks for none.

    Parameters
    ----------
    facts
        A stream's facts; `rotation_degrees` is the display matrix' angle, anticlockwise. A slanted picture counts as
        turned to the nearest upright.
    """
    angle = facts.get("rotation_degrees")
    return round(angle / 90) % 4 * 90 if isinstance(angle, int | float) else 0


def describe_turn(facts: Mapping[str, object], height: int, width: int) -> str:
    """What a turned display means for whoever gives regions and directions; "" for a picture shown as stored."""
    turn = turn_of(facts)
    if not turn:
        return ""
    return (
        f"players show this picture turned by {_WORDS[turn]}; the analysis works on the stored picture of "
        f"{width}x{height} px, whose {_TOP[turn]} is shown on top: region, readout direction and row time count there"
    )


def stored_region(shown: Region, turn: int, height: int, width: int) -> Region:
    """The rectangle of the stored picture (height × width px) that is shown at `shown` after the turn."""
    x, y, w, h = shown.x, shown.y, shown.width, shown.height
    if turn == 90:
        return Region(width - y - h, x, h, w)
    if turn == 180:
        return Region(width - x - w, height - y - h, w, h)
    if turn == 270:
        return Region(y, height - x - w, h, w)
    return shown


def region_hint(region: Region, facts: Mapping[str, object], height: int, width: int) -> str:
    """What to do about a region outside the stored picture that lies in the shown one; "" for any other."""
    turn = turn_of(facts)
    tall, wide = (width, height) if turn in (90, 270) else (height, width)
    if not turn or region.x + region.width > wide or region.y + region.height > tall:
        return ""
    stored = stored_region(region, turn, height, width)
    return (
        f"it lies in the picture as players show it, turned by {_WORDS[turn]}; "
        f"in the stored picture that is {stored.x},{stored.y},{stored.width},{stored.height}"
    )
