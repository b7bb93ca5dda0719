"""The common picture of runs on several regions: where each looked, and what it found."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from vmforensics.recovery.picture import PICTURE_NAME

REGION_MAP = "regions.png"

_STYLES: dict[str, tuple[str, Literal["-", "--", ":"]]] = {
    "signal": ("#0b6e8f", "-"),
    "no-signal": ("#d0662b", "--"),
    "undetermined": ("#8a8f98", ":"),
}
"""Colour and line of a verdict; the line tells them apart without colours too."""


def draw_regions(runs: Sequence[tuple[Path, dict[str, Any]]]) -> bytes | None:
    """Draw the regions of some runs over a frame, as a PNG picture; the same runs give the same bytes.

    Parameters
    ----------
    runs
        Each run's folder, and what its result.json says.

    Returns
    -------
    bytes or None
        None where the runs didn't look at named regions, or left no picture.
    """
    placed = [(folder, result) for folder, result in runs if result["region"].get("name")]
    shown = next(((f, r["picture"]) for f, r in placed if r.get("picture") and (f / PICTURE_NAME).is_file()), None)
    if shown is None:
        return None
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Polygon
    from PIL import Image

    folder, picture = shown
    with Image.open(folder / PICTURE_NAME) as opened:
        frame = opened.copy()
    width, height = picture["width"], picture["height"]
    tall = min(max(8.8 * height / width, 2.0), 11.0)
    with style.context("default", after_reset=True), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        figure = Figure(figsize=(9.6, tall + 1.2), facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.07, 0.5 / (tall + 1.2), 0.9, tall / (tall + 1.2)))
        axes.imshow(frame, cmap="gray", vmin=0, vmax=255, extent=(0, width, height, 0))
        for _, result in placed:
            region, (colour, line) = result["region"], _STYLES[result["verdict"]]
            x, y, right, bottom = (
                region["x"],
                region["y"],
                region["x"] + region["width"],
                region["y"] + region["height"],
            )
            corners = region.get("polygon") or [(x, y), (right, y), (right, bottom), (x, bottom)]
            axes.add_patch(Polygon(corners, fill=False, edgecolor="white", linewidth=3.2))
            axes.add_patch(Polygon(corners, fill=False, edgecolor=colour, linewidth=1.8, linestyle=line))
            axes.text(
                x + 2,
                y + 2,
                f"{region['name']}: {result['verdict']}",
                fontsize=8,
                color="white",
                va="top",
                parse_math=False,
                bbox={"facecolor": colour, "edgecolor": "none", "pad": 1.5},
            )
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.set_xlabel("column, px", fontsize=8.5)
        axes.set_ylabel("row, px", fontsize=8.5)
        axes.tick_params(labelsize=8)
        keys = [Line2D([], [], color=c, linestyle=s, label=verdict) for verdict, (c, s) in _STYLES.items()]
        figure.legend(handles=keys, loc="upper right", ncol=3, frameon=False, fontsize=8.5)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    return buffer.getvalue()
