"""A picture of the raw and the recovered motion, on the same axes and the same scale."""

from __future__ import annotations

import io
import textwrap
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vmforensics.data import DISPLACEMENT, Recovery, Signal, Verdict
from vmforensics.stages import Exporter, StageParams
from vmforensics.units import Seconds

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 1500  # spectra along the time axis: about one a pixel
_FEWEST = 64  # samples under the analysis window
_RANGE_DB = (40.0, 80.0)  # span of the colour scale, at least and at most
_SILENT_DB = (-120.0, -60.0)  # colour scale where there is nothing to show
_MOST_NOTCHES = 40
_INK, _RAW, _RECOVERED, _GAP = "#1b1b1f", "#5b6577", "#0b6e8f", "#d98c2b"
_VERDICTS = {
    Verdict.SIGNAL: "signal found",
    Verdict.NO_SIGNAL: "no signal found: what is shown as recovered is noise",
    Verdict.UNDETERMINED: "undetermined",
}


class Spectrogram(Exporter):
    """Draws waveform and spectrogram of raw and recovered motion, one above the other.

    Colour is the root-mean-square displacement of a sine, in dB relative to one pixel, under a Hann window.
    """

    name = "spectrogram"
    summary = "raw above recovered: waveforms and spectrograms as a PNG picture"

    class Params(StageParams):
        """Parameters of `Spectrogram`."""

        window: Seconds = Field(
            0.04,
            gt=0,
            description="length of the analysis window (s); slow and long signals take a longer one",
        )
        dpi: int = Field(130, ge=50, le=600, description="resolution of the picture (dots per inch)")

    def export(self, recovery: Recovery, into: Path) -> list[Path]:
        """Draw `spectrogram.png`."""
        path = into / "spectrogram.png"
        path.write_bytes(_drawn(recovery, self.params.window, self.params.dpi))
        return [path]


@dataclass(frozen=True, slots=True, eq=False)
class Spectra:
    """Spectra along time.

    Parameters
    ----------
    level : ndarray [shape=(frequencies, columns), float64, dB re 1 px]
        Root-mean-square displacement; -inf where there is none.
    start, stop : float, s
        Edges of the first and of the last column.
    top : float, Hz
        Highest frequency, half the signal's rate.
    """

    level: NDArray[np.float64]
    start: float
    stop: float
    top: float


def spectra(signal: Signal, window: float) -> Spectra:
    """Short-time spectra of a signal, of any length from one sample on.

    Parameters
    ----------
    signal
        The signal.
    window : float, s
        Length of the Hann window.
    """
    size = int(np.clip(round(window * signal.rate), 4, max(4, len(signal.samples))))
    hop = max(1, min(size // 8, len(signal.samples)), len(signal.samples) // _COLUMNS)
    taper = np.hanning(size + 2)[1:-1]
    padded = np.pad(signal.samples, (size // 2, size))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[: len(signal.samples) : hop]
    points = max(size, 256)
    amplitude = np.abs(np.fft.rfft(frames * taper, points, axis=1)) * np.sqrt(2) / taper.sum()
    with np.errstate(divide="ignore"):
        level = 20 * np.log10(amplitude.T)
    start = signal.start - hop / 2 / signal.rate
    return Spectra(level, start, start + len(frames) * hop / signal.rate, signal.rate / 2)


def _drawn(recovery: Recovery, window: float, dpi: int) -> bytes:
    """The picture as PNG bytes."""
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    raw, recovered = recovery.raw, recovery.recovered
    window = min(max(window, _FEWEST / recovered.rate, 2 * recovered.duration / _COLUMNS), recovered.duration)
    with style.context("default", after_reset=True), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a title in a script that the bundled font lacks
        figure = Figure(figsize=(11, 8.6), facecolor="white")
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(
            5, 2, height_ratios=(1, 3, 0.32, 1, 3), width_ratios=(60, 1), hspace=0.08, wspace=0.025,
            left=0.075, right=0.925, bottom=0.065, top=0.852,
        )  # fmt: skip
        both = (spectra(raw, window), spectra(recovered, window))
        low, high = _colour_range([s.level for s in both])
        top = max(s.top for s in both)
        limits = (min(s.start for s in both), max(s.stop for s in both))
        for row, name, signal, shown, colour in (
            (0, "raw motion" if raw.quantity == DISPLACEMENT else f"raw {raw.quantity.name}", raw, both[0], _RAW),
            (3, "recovered", recovered, both[1], _RECOVERED),
        ):
            strip, axes = figure.add_subplot(grid[row, 0]), figure.add_subplot(grid[row + 1, 0])
            _waveform(strip, signal, name, colour)
            image = axes.imshow(
                np.maximum(shown.level, low), origin="lower", aspect="auto", cmap="magma", vmin=low, vmax=high,
                extent=(shown.start, shown.stop, 0, shown.top), interpolation="nearest",
            )  # fmt: skip
            _gaps(strip, signal)
            _frequency_axis(axes, top)
            _notches(axes, recovery.notches, top)
            axes.set_facecolor("black")
            for each in (strip, axes):
                each.set_xlim(*limits)
            strip.tick_params(labelbottom=False)
            axes.tick_params(labelbottom=row > 0)
            bar = figure.colorbar(image, cax=figure.add_subplot(grid[row + 1, 1]))
            bar.set_label(f"RMS {recovered.quantity.name} (dB re {_reference(recovered)})", fontsize=8)
            bar.ax.tick_params(labelsize=8)
        axes.set_xlabel("time (s)")
        _headings(figure, recovery, window)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def _reference(signal: Signal) -> str:
    """What 0 dB stands for."""
    return f"1 {signal.unit}" if signal.unit != "1" else "1"


def _written_unit(signal: Signal) -> str:
    """The unit after a number; a ratio has none."""
    return signal.unit if signal.unit != "1" else ""


def _headings(figure: Figure, recovery: Recovery, window: float) -> None:
    """Title, verdict, and how the picture was made."""
    detection, recovered = recovery.detection, recovery.recovered
    verdict = f"{_VERDICTS[detection.verdict]}: {detection.reason}"
    details = (
        f"{recovered.rate:.6g} samples/s, {recovered.duration:.4g} s; "
        f"{100 * recovered.synthesised_share:.3g} % of the recovered samples synthesised; "
        f"Hann window {1000 * window:.4g} ms"
    )
    if recovery.notches:
        details += "; dashed: frequencies that the camera can't see"
    x = 0.075
    title = textwrap.shorten(recovery.title or "Recovered motion", 110, placeholder=" …")
    for y, text, size, weight in (
        (0.958, title, 13, "bold"),
        (0.908, textwrap.fill(textwrap.shorten(verdict, 280, placeholder=" …"), 140), 9, "normal"),
        (0.887, details, 8.5, "normal"),
    ):
        figure.text(x, y, text, fontsize=size, fontweight=weight, color=_INK, va="bottom", parse_math=False)


def _waveform(axes: Axes, signal: Signal, name: str, colour: str) -> None:
    """The waveform, as an envelope where there are more samples than pixels, with its uncertainty in figures."""
    peak = float(np.abs(signal.samples).max())
    exponent = int(np.clip(3 * np.floor(np.log10(peak) / 3), -9, 0)) if peak > 0 else 0
    scale = 10.0**-exponent
    values = signal.samples * scale
    unit = _written_unit(signal) if exponent == 0 else f"$10^{{{exponent}}}$ {_written_unit(signal)}"
    bins = len(values) // (2 * _COLUMNS)
    if bins > 1:
        whole = values[: len(values) // bins * bins].reshape(-1, bins)
        times = signal.times[: len(whole) * bins : bins] + bins / 2 / signal.rate
        axes.fill_between(times, whole.min(axis=1), whole.max(axis=1), color=colour, linewidth=0.4)
    else:
        axes.plot(signal.times, values, color=colour, linewidth=0.7, marker="." if len(values) < 60 else None)
    limit = 1.12 * float(np.abs(values).max()) or 1.0
    axes.set_ylim(-limit, limit)
    axes.set_ylabel(unit, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(axis="x", color="#e4e6ea", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    seen = signal.sigma[signal.observed]
    noise = f"   median standard uncertainty {np.median(seen):.2g} {_written_unit(signal)}" if len(seen) else ""
    axes.set_title(f"{name}{noise}", loc="left", fontsize=9, color=_INK, pad=3, parse_math=False)


def _gaps(axes: Axes, signal: Signal) -> None:
    """Shade unobserved spans, where they are long enough to be seen."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], ~signal.observed, [False]]).astype(np.int8)))
    starts, stops = edges[::2], edges[1::2]
    visible = (stops - starts) > len(signal.samples) / 400
    if not visible.any() or visible.sum() > 100:
        return
    for start, stop in zip(starts[visible], stops[visible], strict=True):
        begin, end = signal.start + (np.array([start, stop]) - 0.5) / signal.rate
        axes.axvspan(begin, end, color=_GAP, alpha=0.3, linewidth=0)
    axes.set_title("shaded: not observed", loc="right", fontsize=8, color="#8a5310", pad=3)


def _frequency_axis(axes: Axes, top: float) -> None:
    from matplotlib.ticker import FuncFormatter

    thousands = top >= 2000
    axes.set_ylim(0, top)
    axes.set_ylabel("frequency (kHz)" if thousands else "frequency (Hz)", fontsize=9)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda f, _: f"{f / (1000 if thousands else 1):g}"))
    axes.tick_params(labelsize=8)


def _notches(axes: Axes, notches: tuple[float, ...], top: float) -> None:
    """Frequencies the camera can't see, as thin lines, or as ticks at the edge where there are many."""
    inside = [f for f in notches if 0 < f < top]
    length = 1.0 if len(inside) <= _MOST_NOTCHES else 0.012
    for frequency in inside:
        axes.axhline(frequency, xmin=1 - length, color="white", linewidth=0.5, alpha=0.35, linestyle=(0, (4, 4)))


def _colour_range(levels: list[NDArray[np.float64]]) -> tuple[float, float]:
    """Lowest and highest level of the common colour scale: from the noise floor to the loudest spot."""
    finite = np.concatenate([level[np.isfinite(level)] for level in levels])
    if not len(finite):
        return _SILENT_DB
    high = 5 * np.ceil(finite.max() / 5)
    low = 5 * np.floor(np.percentile(finite, 20) / 5)
    return float(high - np.clip(high - low, *_RANGE_DB)), float(high)
