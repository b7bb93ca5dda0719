"""The picture of a calibration: what was measured over the rows, the model, and what is left between them."""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vmforensics.calibration.summary import Verdict, microseconds
from vmforensics.data import RowTime

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_INK, _MEASURED, _MODEL, _QUIET = "#1b1b1f", "#5b6577", "#d0662b", "#e4e6ea"


def draw(verdict: Verdict, found: Sequence[RowTime], evidence: str) -> bytes:
    """Draw a calibration as a PNG picture; the same calibration gives the same bytes.

    Parameters
    ----------
    verdict
        What was concluded. Its row time is shown, or the first that there is something to see of.
    found
        Every method's answer.
    evidence
        The exhibit's name.
    """
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = verdict.row_time if verdict.row_time is not None and verdict.row_time.fit is not None else None
    shown = shown or next((row_time for row_time in found if row_time.fit is not None), None)
    with style.context("default", after_reset=True), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a name in a script that the bundled font lacks
        figure = Figure(figsize=(9, 6.2), facecolor="white")
        FigureCanvasAgg(figure)
        _headings(figure, verdict, shown, evidence)
        if shown is not None:
            _curves(figure, shown)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def _headings(figure: Figure, verdict: Verdict, shown: RowTime | None, evidence: str) -> None:
    best = verdict.row_time
    headline = "row time indeterminate"
    if best is not None:
        value, uncertainty = microseconds(best)
        headline = f"row time ({value} ± {uncertainty}) µs, by {best.method}"
    elif shown is not None:
        headline += f"; shown: {shown.method}"
    name = textwrap.shorten(evidence, 60, placeholder=" …")
    reason = textwrap.fill(textwrap.shorten(verdict.reason, 380, placeholder=" …"), 128)
    for y, text, size, weight in ((0.975, f"{name} · {headline}", 12, "bold"), (0.93, reason, 8.5, "normal")):
        figure.text(0.09, y, text, fontsize=size, fontweight=weight, color=_INK, va="top", parse_math=False)


def _curves(figure: Figure, shown: RowTime) -> None:
    fit = shown.fit
    if fit is None:
        return
    grid = figure.add_gridspec(2, 1, height_ratios=(3, 1.2), hspace=0.08, left=0.09, right=0.97, bottom=0.085, top=0.82)
    above, below = figure.add_subplot(grid[0]), figure.add_subplot(grid[1])
    quantity, _, abscissa = fit.quantity.partition(", over ")
    above.plot(fit.rows, fit.measured, color=_MEASURED, linewidth=0.9, marker=".", markersize=3, label="measured")
    above.plot(fit.rows, fit.fitted, color=_MODEL, linewidth=1.1, label="fitted")
    above.set_ylabel(quantity, fontsize=9)
    above.legend(fontsize=8, frameon=False, loc="upper left")
    above.tick_params(labelbottom=False)
    below.axhline(0, color=_MODEL, linewidth=1)
    below.plot(fit.rows, fit.measured - fit.fitted, color=_MEASURED, linewidth=0.7, marker=".", markersize=2.5)
    below.set_ylabel("measured − fitted", fontsize=9)
    below.set_xlabel(abscissa or "sensor row of the region, in readout order", fontsize=9)
    for axes in (above, below):
        axes.tick_params(labelsize=8)
        axes.grid(color=_QUIET, linewidth=0.6)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
