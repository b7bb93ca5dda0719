"""The way a readout travels, as the rows tell it."""

from __future__ import annotations

from vmforensics.data import ReadoutDirection

_OPPOSITE = {
    ReadoutDirection.TOP_TO_BOTTOM: ReadoutDirection.BOTTOM_TO_TOP,
    ReadoutDirection.BOTTOM_TO_TOP: ReadoutDirection.TOP_TO_BOTTOM,
    ReadoutDirection.LEFT_TO_RIGHT: ReadoutDirection.RIGHT_TO_LEFT,
    ReadoutDirection.RIGHT_TO_LEFT: ReadoutDirection.LEFT_TO_RIGHT,
}


def travelling(assumed: ReadoutDirection, *, backwards: bool) -> ReadoutDirection:
    """The direction in which the rows were read, given the assumed one and whether time ran backwards along it.

    Examples
    --------
    >>> travelling(ReadoutDirection.TOP_TO_BOTTOM, backwards=True).value
    'bottom-to-top'
    """
    return _OPPOSITE[assumed] if backwards else assumed
