"""The picture of an assessment: the frame, and over it the least motion that each part would show."""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vmforensics.assessment.candidates import Candidate

_INK, _FRAME = "#1b1b1f", "#d0662b"
_DECADES = 1.5  # of the map's colours, from the best tile on
_LONGEST = 1600  # px of the picture shown


def draw(
    picture: NDArray[np.float64],
    density: NDArray[np.float64],
    edges: tuple[NDArray[np.int64], NDArray[np.int64]],
    regions: Sequence[tuple[str, Candidate]],
    *,
    title: str,
    caption: str,
    full_scale: int,
) -> bytes:
    """Draw a heat map as a PNG picture; the same assessment gives the same bytes.

    Parameters
    ----------
    picture : ndarray [shape=(rows, cols), float64, DN]
        The stored picture, as it lies in readout order.
    density : ndarray [shape=(tile rows, tile columns), float64, px/√Hz]
        Noise of each tile's motion; infinite where nothing shows.
    edges
        Where the tiles begin and end, in rows and in columns (px).
    regions
        Rectangles to mark, with their labels.
    title, caption
        What stands above.
    full_scale : digital numbers
        Largest code of the pixel format.
    """
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    rows, cols = picture.shape
    step = max(1, max(rows, cols) // _LONGEST)
    least = float(density.min(initial=np.inf))
    width = 9.6
    height = float(np.clip(width * 0.8 * rows / cols, 2.4, 12)) + 1.5
    with style.context("default", after_reset=True), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        figure = Figure(figsize=(width, height), facecolor="white")
        FigureCanvasAgg(figure)
        figure.text(
            0.07, 1 - 0.22 / height, title, fontsize=12, fontweight="bold", color=_INK, va="top", parse_math=False
        )
        wrapped = textwrap.fill(textwrap.shorten(caption, 300, placeholder=" …"), 118)
        figure.text(0.07, 1 - 0.5 / height, wrapped, fontsize=8.5, color=_INK, va="top", parse_math=False)
        axes = figure.add_axes((0.07, 0.5 / height, 0.8, 1 - 1.5 / height))
        axes.imshow(
            picture[::step, ::step],
            cmap="gray",
            vmin=0,
            vmax=full_scale,
            extent=(0, cols, rows, 0),
            interpolation="nearest",
        )
        if np.isfinite(least):
            norm = LogNorm(least, least * 10**_DECADES)
            shown = np.ma.masked_where(~(density <= least * 10**_DECADES), density)
            mesh = axes.pcolormesh(edges[1], edges[0], shown, cmap="cividis_r", norm=norm, alpha=0.45, linewidth=0)
            mesh.set_rasterized(True)
            bar = figure.add_axes((0.885, 0.5 / height, 0.018, 1 - 1.5 / height))
            scale = figure.colorbar(mesh, cax=bar)
            scale.solids.set_alpha(1) if scale.solids is not None else None
            scale.set_label("noise of the motion, px/√Hz (less is better)", fontsize=8.5)
            scale.ax.tick_params(labelsize=8)
        for label, candidate in regions:
            r = candidate.region
            axes.add_patch(Rectangle((r.x, r.y), r.width, r.height, fill=False, edgecolor=_FRAME, linewidth=1.6))
            axes.text(
                r.x + 3,
                r.y + 3,
                label,
                fontsize=8,
                color="white",
                va="top",
                parse_math=False,
                bbox={"facecolor": _FRAME, "edgecolor": "none", "pad": 1.5},
            )
        axes.set(xlim=(0, cols), ylim=(rows, 0))
        axes.set_xlabel("column, px", fontsize=8.5)
        axes.set_ylabel("row, px", fontsize=8.5)
        axes.tick_params(labelsize=8)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    return buffer.getvalue()
