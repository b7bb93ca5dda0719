"""What two sounds have in common, as a picture."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np

from vmforensics.evaluation.alignment import Aligned
from vmforensics.evaluation.likeness import BAND, coherence_spectrum, spectrogram
from vmforensics.evaluation.scores import METRICS

_INK, _REFERENCE, _RECOVERED, _GAP = "#1b1b1f", "#8a8f99", "#0b6e8f", "#d98c2b"
_SPAN = 60.0  # dB of the colour scale
_DETAIL = 0.05  # s of waveform
_COLUMNS = 1500


def drawn(aligned: Aligned, content: dict[str, Any]) -> bytes:
    """Spectrograms one above the other, the loudest moment's waveforms, and coherence, as PNG bytes.

    Parameters
    ----------
    aligned
        The sounds.
    content
        What `evaluate` returned of them.
    """
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with style.context("default", after_reset=True), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        figure = Figure(figsize=(11, 9.2), facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(4, 2, height_ratios=(3, 3, 2, 0.01))
        last = len(aligned.reference) / aligned.rate
        for row, (name, samples) in enumerate(
            (
                (f"reference: {content['reference']['name']}", aligned.reference),
                (f"recovered: {content['recovered']['name']}", aligned.recovered),
            )
        ):
            level, _ = spectrogram(samples, aligned.rate)
            level = level[:: max(1, len(level) // _COLUMNS)]
            high = float(level.max(initial=-200.0))
            axes = figure.add_subplot(grid[row, :])
            axes.imshow(
                np.maximum(level.T, high - _SPAN), origin="lower", aspect="auto", cmap="magma", vmin=high - _SPAN,
                vmax=high, extent=(0, last, 0, aligned.rate / 2), interpolation="nearest",
            )  # fmt: skip
            axes.set_title(name, loc="left", fontsize=9, color=_INK, parse_math=False)
            axes.set_ylabel("frequency (Hz)", fontsize=9)
            axes.tick_params(labelsize=8)
        axes.set_xlabel("time (s)", fontsize=9)
        _waveforms(figure.add_subplot(grid[2, 0]), aligned)
        axes = figure.add_subplot(grid[2, 1])
        frequency, coherent = coherence_spectrum(aligned.reference, aligned.recovered, aligned.rate)
        axes.axvspan(*BAND, color="#eef3f6")
        axes.plot(frequency, coherent, color=_RECOVERED, linewidth=1.0)
        axes.set(xlim=(0, min(aligned.rate / 2, 4 * BAND[1])), ylim=(0, 1))
        axes.set_title("coherence (shaded: the band that counts)", loc="left", fontsize=9, color=_INK)
        axes.set_xlabel("frequency (Hz)", fontsize=9)
        axes.tick_params(labelsize=8)
        figure.suptitle(_heading(content), fontsize=9.5, parse_math=False)
        out = io.BytesIO()
        figure.savefig(out, format="png", dpi=120, metadata={"Software": None})
    return out.getvalue()


def _waveforms(axes: Any, aligned: Aligned) -> None:
    """Both sounds around the reference's loudest moment, what was synthesised shaded."""
    size = min(max(round(_DETAIL * aligned.rate), 16), len(aligned.reference))
    energy = np.convolve(aligned.reference**2, np.ones(size), mode="valid")
    part = slice(int(np.argmax(energy)), int(np.argmax(energy)) + size)
    time = 1000 * np.arange(part.start, part.stop) / aligned.rate
    axes.plot(time, aligned.reference[part], color=_REFERENCE, linewidth=1.6, label="reference")
    axes.plot(time, aligned.recovered[part], color=_RECOVERED, linewidth=0.9, label="recovered")
    if aligned.observed is not None and not aligned.observed[part].all():
        axes.fill_between(
            time, 0, 1, where=~aligned.observed[part], transform=axes.get_xaxis_transform(), color=_GAP, alpha=0.25,
            linewidth=0, label="synthesised", step="mid",
        )  # fmt: skip
    axes.legend(loc="upper right", fontsize=7, frameon=False, ncols=3)
    axes.set_ylim(None, axes.get_ylim()[1] * 1.25)
    axes.set_title("the loudest moment, lag, polarity and gain aligned", loc="left", fontsize=9, color=_INK)
    axes.set_xlabel("time (ms)", fontsize=9)
    axes.tick_params(labelsize=8)


def _heading(content: dict[str, Any]) -> str:
    told = []
    for name, found in content["metrics"].items():
        if found["value"] is not None:
            unit = f" {found['unit']}" if found["unit"] else ""
            told.append(f"{METRICS[name].title} {found['value']:.3g}{unit}")
    half = -(-len(told) // 2)
    return "   ".join(told[:half]) + "\n" + "   ".join(told[half:])
