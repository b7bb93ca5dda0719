"""A benchmark's results as a table in Markdown, and as a picture."""

from __future__ import annotations

import io
from typing import Any

_COLUMNS = (
    ("si_sdr", "SI-SDR (dB)", 1),
    ("behind_bound_db", "short of the bound (dB)", 1),
    ("segmental_snr", "segmental SNR (dB)", 1),
    ("stoi", "STOI", 2),
    ("coherence", "coherence", 2),
)
_LOWEST = -12.0  # dB; what is worse is told in figures
_SLOTS = {"": "", "motion_estimator": "estimator", "signal_combiner": "combiner", "denoiser": "denoiser"}
_COLOURS = {"": "#1b1b1f", "motion_estimator": "#0b6e8f", "signal_combiner": "#d98c2b", "denoiser": "#7a4fa3"}


def written(content: dict[str, Any]) -> str:
    """The table of each shutter, methods in the order of their slots, the best SI-SDR first; Markdown.

    Parameters
    ----------
    content
        What benchmark.json says.
    """
    lines: list[str] = []
    for shutter in sorted({row["shutter"] for row in content["methods"]}):
        rows = _ordered(content, shutter)
        clips = [clip for clip in content["clips"] if clip["shutter"] == shutter]
        bounds = ", ".join(
            f"{clip['name']} {clip['bound_db']:.1f} dB" for clip in clips if clip["bound_db"] is not None
        )
        lines += [f"### {shutter.capitalize()} shutter", "", f"Bounds: {bounds or 'not known'}.", ""]
        lines.append("| exchanged | method | " + " | ".join(title for _, title, _ in _COLUMNS) + " |")
        lines.append("|---" * (2 + len(_COLUMNS)) + "|")
        for row in rows:
            cells = [_cell(row[name], digits) for name, _, digits in _COLUMNS]
            slot = ", ".join(_SLOTS.get(part, part) for part in row["slot"].split(", "))
            lines.append(f"| {slot} | {row['method']} | " + " | ".join(cells) + " |")
        for row in rows:
            lines += [f"\nRefused: {reason}." for reason in row["refused"]]
        lines.append("")
    return "\n".join(lines)


def drawn(content: dict[str, Any]) -> bytes:
    """SI-SDR of every method with its interval, a panel a shutter, the mean bound as a line; PNG bytes."""
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shutters = sorted({row["shutter"] for row in content["methods"]})
    tallest = max(len(_ordered(content, shutter)) for shutter in shutters)
    with style.context("default", after_reset=True):
        figure = Figure(figsize=(6.2 * len(shutters), 1.2 + 0.24 * tallest), facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        for axes, shutter in zip(figure.subplots(1, len(shutters), squeeze=False)[0], shutters, strict=True):
            rows = [row for row in _ordered(content, shutter) if row["si_sdr"]["value"] is not None]
            for place, row in enumerate(rows):
                found = row["si_sdr"]
                colour = _COLOURS.get(row["slot"], "#5b6577")
                if found["low"] is not None:
                    axes.plot([found["low"], found["high"]], [place, place], color=colour, linewidth=1.2, alpha=0.6)
                axes.plot(found["value"], place, "o", color=colour, markersize=4)
            bounds = [c["bound_db"] for c in content["clips"] if c["shutter"] == shutter and c["bound_db"] is not None]
            if bounds:
                axes.axvline(sum(bounds) / len(bounds), color="#8a8f99", linewidth=1, linestyle=(0, (4, 3)))
            axes.set_yticks(range(len(rows)), [row["method"] for row in rows], fontsize=7.5)
            axes.invert_yaxis()
            left = max(axes.get_xlim()[0], _LOWEST)
            axes.set_xlim(left=left)
            for place, row in enumerate(rows):
                if row["si_sdr"]["value"] < left:
                    axes.annotate(f"◂ {row['si_sdr']['value']:.0f} dB", (left, place), fontsize=7, va="center")
            axes.grid(axis="x", color="#e4e6ea", linewidth=0.6)
            axes.set_axisbelow(True)
            axes.tick_params(axis="x", labelsize=8)
            axes.set_xlabel("SI-SDR (dB); dashed: mean bound", fontsize=8.5)
            axes.set_title(f"{shutter} shutter", loc="left", fontsize=10)
        out = io.BytesIO()
        figure.savefig(out, format="png", dpi=120, metadata={"Software": None})
    return out.getvalue()


def _ordered(content: dict[str, Any], shutter: str) -> list[dict[str, Any]]:
    order = list(_SLOTS)

    def key(row: dict[str, Any]) -> tuple[int, float, str]:
        place = order.index(row["slot"]) if row["slot"] in order else len(order)
        value = row["si_sdr"]["value"]
        return place, -value if value is not None else float("inf"), row["method"]

    return sorted((row for row in content["methods"] if row["shutter"] == shutter), key=key)


def _cell(found: dict[str, float | None], digits: int) -> str:
    if found["value"] is None:
        return "-"
    if found["low"] is None:
        return f"{found['value']:.{digits}f}"
    return f"{found['value']:.{digits}f} ({found['low']:.{digits}f} to {found['high']:.{digits}f})"
