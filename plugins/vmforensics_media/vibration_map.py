"""A picture of who vibrates: the tiles that share the recovered motion, over a frame of the clip."""

from __future__ import annotations

import io
import json
import textwrap
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from vmforensics.data import DISPLACEMENT, Recovery, Verdict, Vibration
from vmforensics.stages import Exporter, StageParams

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _LINE = "#1b1b1f", "#ffffff"
_OPAQUE = 0.62
_COLOURS = "viridis"  # even steps of lightness, also to those who tell few colours apart
_RANGE_DB = 6.0  # span of the colour scale, at least
_WIDTH = 11.0  # inches
_LARGEST = 1200  # px of the frame that is drawn
_NUMBERS = 60  # tiles, up to which each is labelled with its frequency
_FORMAT = 1  # version of vibration_map.json


class VibrationMap(Exporter):
    """Draws each tile that shares the recovered motion over a frame: colour for SNR, a line for its direction.

    Writes `vibration_map.png`, and `vibration_map.json` with the numbers. Each tile was compared with the signal of
    tiles whose noise is independent of its own. Tiles that carry nothing beyond noise stay uncoloured.
    """

    name = "vibration-map"
    summary = "who vibrates: SNR, frequency and direction of each tile over a frame, as picture and numbers"

    class Params(StageParams):
        """Parameters of `VibrationMap`."""

        dpi: int = Field(130, ge=50, le=600, description="resolution of the picture (dots per inch)")

    def export(self, recovery: Recovery, into: Path) -> list[Path]:
        """Draw `vibration_map.png` and write `vibration_map.json`."""
        picture, numbers = into / "vibration_map.png", into / "vibration_map.json"
        picture.write_bytes(_drawn(recovery, self.params.dpi))
        described = json.dumps(_described(recovery), indent=2, allow_nan=False, ensure_ascii=False)
        numbers.write_text(described + "\n", encoding="utf-8")
        return [picture, numbers]


def _described(recovery: Recovery) -> dict[str, Any]:
    """The map in numbers; what means nothing is null."""
    return {
        "format": "vmforensics-vibration-map",
        "version": _FORMAT,
        "title": recovery.title,
        "verdict": recovery.detection.verdict.value,
        "tiles": [_tile(v, recovery.recovered.unit) for v in recovery.vibrations],
    }


def _tile(v: Vibration, unit: str) -> dict[str, Any]:
    carried = {
        "snr_db": round(v.snr, 2),
        f"rms_{unit}": float(f"{v.level:.4g}"),
        "frequency_hz": round(v.frequency, 2),
        "direction_degrees": round(v.direction, 1),
        "delay_s": round(v.delay, 6),
    }
    place = {"x": v.place.x, "y": v.place.y, "width": v.place.width, "height": v.place.height}
    return {**place, "carries": v.carries, **(carried if v.carries else dict.fromkeys(carried))}


def _drawn(recovery: Recovery, dpi: int) -> bytes:
    """The picture as PNG bytes."""
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows, cols = _size(recovery)
    height = float(np.clip(_WIDTH * 0.86 * rows / cols, 2.5, 11.0)) + 1.5
    with style.context("default", after_reset=True), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a title in a script that the bundled font lacks
        figure = Figure(figsize=(_WIDTH, height), facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.07, 0.6 / height, 0.82, 1 - 1.55 / height))
        _frame(axes, recovery, rows, cols)
        _tiles(figure, axes, recovery)
        _headings(figure, recovery, height)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def _size(recovery: Recovery) -> tuple[int, int]:
    """Rows and columns of the stored picture, as far as they are known."""
    if recovery.picture is not None:
        return recovery.picture.shape[0], recovery.picture.shape[1]
    places = [v.place for v in recovery.vibrations]
    return max((p.y + p.height for p in places), default=3), max((p.x + p.width for p in places), default=4)


def _frame(axes: Axes, recovery: Recovery, rows: int, cols: int) -> None:
    if recovery.picture is not None:
        every = -(-max(rows, cols) // _LARGEST)
        axes.imshow(
            recovery.picture[::every, ::every], cmap="gray", vmin=0, vmax=recovery.full_scale,
            extent=(0, cols, rows, 0), interpolation="antialiased",
        )  # fmt: skip
    axes.set_xlim(0, cols)
    axes.set_ylim(rows, 0)
    axes.set_aspect("equal")
    axes.set_xlabel("column of the stored picture (px)", fontsize=9)
    axes.set_ylabel("row (px)", fontsize=9)
    axes.tick_params(labelsize=8)


def _tiles(figure: Figure, axes: Axes, recovery: Recovery) -> None:
    """Colour, direction and frequency of each tile that carries the motion; an outline of the others."""
    from matplotlib import colormaps, patheffects
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.patches import Rectangle

    carrying = [v for v in recovery.vibrations if v.carries]
    levels = [v.snr for v in carrying] or [0.0]
    low = float(np.floor(min(levels)))
    scale = Normalize(low, max(float(np.ceil(max(levels))), low + _RANGE_DB))
    around = [patheffects.withStroke(linewidth=2.4, foreground=_INK)]
    for v in recovery.vibrations:
        p = v.place
        colour = colormaps[_COLOURS](scale(v.snr)) if v.carries else "none"
        axes.add_patch(Rectangle((p.x, p.y), p.width, p.height, facecolor=colour, edgecolor="none", alpha=_OPAQUE))
        edge = _LINE if v.carries else "#9aa0aa"
        axes.add_patch(
            Rectangle((p.x, p.y), p.width, p.height, facecolor="none", edgecolor=edge, linewidth=0.6, alpha=0.8)
        )
        if not v.carries:
            continue
        angle, reach = np.deg2rad(v.direction), 0.3 * min(p.width, p.height)
        across, down = reach * np.cos(angle), reach * np.sin(angle)
        x, y = p.x + p.width / 2, p.y + p.height * (0.42 if len(carrying) <= _NUMBERS else 0.5)
        axes.plot(
            [x - across, x + across], [y - down, y + down], color=_LINE, linewidth=1.6, path_effects=around,
            solid_capstyle="round",
        )  # fmt: skip
        if len(carrying) <= _NUMBERS:
            axes.text(
                x, p.y + 0.96 * p.height, f"{v.frequency:.0f} Hz", ha="center", va="bottom", fontsize=7, color=_LINE,
                path_effects=around,
            )  # fmt: skip
    if carrying:
        bar = figure.colorbar(ScalarMappable(scale, _COLOURS), cax=axes.inset_axes((1.02, 0, 0.03, 1)))
        bar.set_label("SNR of the shared motion in one frame (dB)", fontsize=8)
        bar.ax.tick_params(labelsize=8)


def _headings(figure: Figure, recovery: Recovery, height: float) -> None:
    """Title, and what the map says."""
    carrying = sum(v.carries for v in recovery.vibrations)
    if recovery.recovered.quantity != DISPLACEMENT:
        said = f"{recovery.recovered.quantity.name} was measured, not motion: there is nothing to map"
    elif recovery.detection.verdict is not Verdict.SIGNAL:
        said = "no common motion was found: no tile is coloured"
    elif not recovery.vibrations:
        said = "the motion was measured on the whole region at once: there are no tiles to compare"
    else:
        said = (
            f"{carrying} of {len(recovery.vibrations)} tiles share the recovered motion; colour: SNR, line: the "
            "direction they move along, number: where most of it is; tiles only outlined show nothing beyond noise"
        )
    title = textwrap.shorten(recovery.title or "Who vibrates", 110, placeholder=" …")
    figure.text(0.07, 1 - 0.3 / height, title, fontsize=13, fontweight="bold", color=_INK, parse_math=False)
    figure.text(0.07, 1 - 0.72 / height, textwrap.fill(said, 150), fontsize=8.5, color=_INK, parse_math=False)
