"""What a signal is made of: a motion of the picture, or something else that its rows show."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quantity:
    """What was measured.

    Parameters
    ----------
    name : str
        In the field's words.
    unit : str
        Its unit; "1" for a ratio.
    suffix : str
        How names of figures and arrays end that are in this unit ("rms_px").
    """

    name: str
    unit: str
    suffix: str


DISPLACEMENT = Quantity("displacement", "px", "px")
"""How far the picture moved: the one quantity that can be sound."""

BRIGHTNESS = Quantity("relative brightness", "1", "relative")
"""How much brighter than on average the light was: lamps, LEDs, flicker; not sound."""
