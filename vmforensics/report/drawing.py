"""Line drawings as SVG that is part of the page: sharp on paper, and in the page's own light or dark colours."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

_STYLES = {
    "axis": 'stroke="#545d68" stroke-width="1" fill="none"',
    "grid": 'stroke="#d5dae0" stroke-width="0.7" fill="none"',
    "label": 'fill="#545d68" font-size="13" font-family="Liberation Sans, Arial, sans-serif"',
    "title": 'fill="#1b1f24" font-size="14.5" font-weight="600" font-family="Liberation Sans, Arial, sans-serif"',
    "raw": 'fill="#5b6577" stroke="#5b6577" stroke-width="0.6"',
    "recovered": 'fill="#0b6e8f" stroke="#0b6e8f" stroke-width="0.6"',
    "curve": 'fill="none" stroke="#0b6e8f" stroke-width="1.4" stroke-linejoin="round"',
    "noise": 'fill="none" stroke="#8a93a0" stroke-width="1.1" stroke-dasharray="5 3"',
    "threshold": 'fill="none" stroke="#b4471f" stroke-width="1.2" stroke-dasharray="6 3"',
    "seen": 'fill="#9fb4c2"',
    "invented": 'fill="#c2691c"',
    "unseen": 'fill="#a35a00" font-size="13" font-family="Liberation Sans, Arial, sans-serif"',
    "notch": 'stroke="#ffffff" stroke-opacity="0.45" stroke-width="0.7" stroke-dasharray="3 4" fill="none"',
    "mains50": 'stroke="#f0a13a" stroke-width="1.6" fill="none"',
    "mains60": 'stroke="#7fd1ff" stroke-width="1.6" fill="none"',
    "mains50-label": 'fill="#a35a00" font-size="11" font-family="Liberation Sans, Arial, sans-serif"',
    "mains60-label": 'fill="#0a6aa1" font-size="11" font-family="Liberation Sans, Arial, sans-serif"',
    "trusted": 'fill="#1f8a4c"',
    "untrusted": 'fill="#ffffff" fill-opacity="0.35"',
    "found": 'fill="none" stroke="#ffffff" stroke-width="1.2"',
    "region": 'fill="none" stroke="#ffb000" stroke-width="2"',
    "region-edge": 'fill="none" stroke="#000000" stroke-width="4" stroke-opacity="0.6"',
    "cursor": 'stroke="#ff2d2d" stroke-width="1.5" visibility="hidden"',
    "section": 'fill="#ff2d2d" fill-opacity="0.15" visibility="hidden"',
    "frame": 'fill="#000000"',
}
"""What each class of mark looks like on paper; the style sheet gives the marks other colours on dark screens."""


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round values from `low` to `high`, some `about` of them.

    Examples
    --------
    >>> ticks(0, 3), ticks(-0.04, 0.04, 3)
    ([0.0, 1.0, 2.0, 3.0], [-0.025, 0.0, 0.025])
    """
    from matplotlib.ticker import MaxNLocator

    values = MaxNLocator(nbins=about, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    margin = 2e-3 * (high - low)  # a clip that begins a moment after 0 s gets its 0
    return [float(f"{value:.10g}") + 0.0 for value in values if low - margin <= value <= high + margin]


class Axis:
    """A straight scale from values to places on the drawing.

    Parameters
    ----------
    low, high : float
        Values at the two ends.
    at, to : float
        Their places.
    """

    def __init__(self, low: float, high: float, at: float, to: float) -> None:
        self.low, self.high, self.at, self.to = low, high, at, to

    def __call__(self, value: float) -> float:
        """The place of a value."""
        return self.at + (value - self.low) / (self.high - self.low) * (self.to - self.at)


class Drawing:
    """An SVG picture in the making.

    Parameters
    ----------
    width, height : float
        Size in the drawing's own units, which are pixels at its natural size.
    name : str
        What a person who can't see it is told: what is shown, and what it shows.
    """

    def __init__(self, width: float, height: float, name: str) -> None:
        self.width, self.height, self.name = width, height, name
        self._marks: list[str] = []

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        """Draw a straight line."""
        self._mark("line", kind, f'x1="{x1:.2f}" y1="{y1:.2f}" x2="{x2:.2f}" y2="{y2:.2f}"')

    def rect(self, x: float, y: float, width: float, height: float, kind: str) -> None:
        """Draw a rectangle."""
        self._mark("rect", kind, f'x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}"')

    def path(self, points: Sequence[tuple[float, float]], kind: str, *, closed: bool = False) -> None:
        """Draw a line through points."""
        if points:
            d = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + ("Z" if closed else "")
            self._mark("path", kind, f'd="{d}"')

    def text(self, x: float, y: float, text: str, kind: str = "label", *, anchor: str = "start", turn: int = 0) -> None:
        """Write a text; `turn` in degrees about its own place."""
        turned = f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn else ""
        self._marks.append(
            f'<text class="mark-{kind}" {_STYLES[kind]} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{turned}>'
            f"{escape(text)}</text>"
        )

    def image(self, x: float, y: float, width: float, height: float, uri: str, *, smooth: bool = False) -> None:
        """Put in a picture, stretched to the rectangle."""
        rendering = "" if smooth else ' image-rendering="pixelated"'
        self._marks.append(
            f'<image x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}" '
            f'preserveAspectRatio="none"{rendering} href="{uri}"/>'
        )

    def horizontal(self, axis: Axis, y: float, title: str, about: int = 7) -> None:
        """Draw a horizontal axis with its labels under it."""
        self.line(axis.at, y, axis.to, y, "axis")
        for value in ticks(axis.low, axis.high, about):
            self.line(axis(value), y, axis(value), y + 4, "axis")
            self.text(axis(value), y + 17, f"{value:g}".replace("-", "−"), anchor="middle")
        self.text((axis.at + axis.to) / 2, y + 35, title, anchor="middle")

    def vertical(self, axis: Axis, x: float, title: str, about: int = 5, factor: float = 1.0) -> None:
        """Draw a vertical axis with its labels at its left; they are the values divided by `factor`."""
        self.line(x, axis.at, x, axis.to, "axis")
        for value in ticks(axis.low, axis.high, about):
            self.line(x - 4, axis(value), x, axis(value), "axis")
            self.text(x - 7, axis(value) + 4, f"{value / factor:.6g}".replace("-", "−"), anchor="end")
        self.text(x - 48, (axis.at + axis.to) / 2, title, anchor="middle", turn=-90)

    def finished(self, **data: float) -> Markup:
        """The drawing as an element of the page; `data` is told to the page's script."""
        told = "".join(f' data-{key}="{value:.6g}"' for key, value in data.items())
        # Texts and the name are escaped, all else is numbers and our own words.
        return Markup(  # noqa: S704
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} {self.height:g}" '
            f'width="{self.width:g}" height="{self.height:g}" role="img" '
            f'aria-label="{escape(self.name)}"{told}>{"".join(self._marks)}</svg>'
        )

    def _mark(self, element: str, kind: str, place: str) -> None:
        self._marks.append(f'<{element} class="mark-{kind}" {_STYLES[kind]} {place}/>')


def logarithmic_ticks(low: float, high: float) -> list[float]:
    """The powers of ten from `low` to `high`.

    Examples
    --------
    >>> logarithmic_ticks(0.002, 3.0)
    [0.01, 0.1, 1.0]
    """
    return [10.0**k for k in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]


def coloured(level: NDArray[np.float64], low: float, high: float) -> str:
    """A picture of levels as a data: URI, first row at the bottom; colours that the colour-blind can tell apart.

    Parameters
    ----------
    level : ndarray [shape=(rows, columns), float64]
    low, high : float
        What the darkest and the lightest colour stand for.
    """
    from matplotlib import colormaps
    from PIL import Image

    index = np.clip((level - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    picture = Image.frombytes("P", (index.shape[1], index.shape[0]), np.ascontiguousarray(index[::-1]).tobytes())
    palette = (colormaps["magma"](np.arange(256))[:, :3] * 255).round().astype(np.uint8)
    picture.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
