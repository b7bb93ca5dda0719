"""The report's pictures: signals, spectra, the frame, curves."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from vmforensics.report.catalogue import Catalogue
from vmforensics.report.drawing import Axis, Drawing, coloured, logarithmic_ticks
from vmforensics.report.quantities import number
from vmforensics.report.spectra import Spectrogram, averaged, common_range, spectrogram
from vmforensics.report.traces import Trace

_LEFT, _RIGHT = 66.0, 584.0  # edges of a plot in a drawing 640 wide; what is right of it tells of the bands
_POINTS = 526  # of a waveform's envelope
_MAINS = (50.0, 60.0)
_MOST_NOTCHES = 40
_MAINS_MULTIPLES = 12


def _unit(unit: str) -> str:
    return "px" if unit == "px" else "1"


def signal_pair(traces: tuple[Trace, ...], result: Mapping[str, Any], t: Catalogue) -> tuple[Markup, Markup]:
    """Waveform, what was seen, and spectrogram of the raw and of the recovered signal, all on the same scales."""
    both = [spectrogram(trace) for trace in traces]
    decibels = common_range(both)
    span = (min(trace.start for trace in traces), max(trace.stop for trace in traces))
    peak = max(float(np.abs(trace.samples).max()) for trace in traces) or 1.0
    top = max(each.top for each in both)
    drawn = [
        _signal(trace, shown, kind, span, 1.05 * peak, top, decibels, result, t)
        for trace, shown, kind in zip(traces, both, ("raw", "recovered"), strict=True)
    ]
    return drawn[0], drawn[1]


def _signal(
    trace: Trace,
    shown: Spectrogram,
    kind: str,
    span: tuple[float, float],
    peak: float,
    top: float,
    decibels: tuple[float, float],
    result: Mapping[str, Any],
    t: Catalogue,
) -> Markup:
    unit, quantity = _unit(trace.unit), result["signal"]["quantity"]
    drawing = Drawing(
        640, 440,
        t(
            f"picture.alt.{kind}", quantity=quantity, start=f"{span[0]:.3g}", stop=f"{span[1]:.4g}",
            top=f"{top:g}", low=f"{decibels[0]:g}", high=f"{decibels[1]:g}", unit=unit,
        ),
    )  # fmt: skip
    time, level = Axis(*span, _LEFT, _RIGHT), Axis(-peak, peak, 96, 22)
    drawing.text(_LEFT, 14, t(f"picture.{kind}"), "title")
    share = 1 - float(trace.observed.mean())
    if share:
        told = t("picture.calculated" if trace.filled else "picture.unseen", share=f"{100 * share:.3g}")
        drawing.text(_RIGHT, 14, told, "unseen", anchor="end")
    drawing.line(_LEFT, level(0), _RIGHT, level(0), "grid")
    drawing.path(_envelope(trace, time, level), kind, closed=True)
    exponent = int(np.clip(3 * np.floor(np.log10(peak) / 3), -9, 0))
    written = unit if exponent == 0 else f"{10.0**exponent:.0e} {unit}".replace("e-0", "e−").replace("1e", "10^")
    drawing.vertical(level, _LEFT, _powers(written), 3, 10.0**exponent)
    _seen(drawing, trace, time, 102)

    kilo = top >= 2000
    frequency = Axis(0, top, 400, 118)
    drawing.rect(_LEFT, 118, _RIGHT - _LEFT, 282, "frame")
    edges = time(shown.start), time(shown.stop)
    left, right = max(edges[0], _LEFT), min(edges[1], _RIGHT)
    columns = shown.level.shape[1]
    first, last = (round(columns * (x - edges[0]) / (edges[1] - edges[0])) for x in (left, right))
    uri = coloured(shown.level[:, first : max(last, first + 1)], *decibels)
    drawing.image(left, frequency(shown.top), right - left, frequency(0) - frequency(shown.top), uri)
    _bands(drawing, frequency, top, result)
    drawing.vertical(frequency, _LEFT, t("picture.kilohertz") if kilo else t("picture.hertz"), 8, 1000 if kilo else 1)
    drawing.horizontal(time, 400, t("picture.time"))
    drawing.rect(_LEFT, 22, 0, 378, "section")
    drawing.line(_LEFT, 22, _LEFT, 400, "cursor")
    return drawing.finished(start=span[0], stop=span[1], left=_LEFT / 640, right=_RIGHT / 640)


def _powers(text: str) -> str:
    """Ten to a power, as people write it."""
    head, mark, tail = text.partition("^")
    if not mark:
        return text
    power, _, rest = tail.partition(" ")
    raised = power.removeprefix("e").translate(str.maketrans("−-0123456789", "⁻⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{head}{raised} {rest}"


def _envelope(trace: Trace, time: Axis, level: Axis) -> list[tuple[float, float]]:
    """The outline of a waveform: upper edge forth, lower edge back."""
    size = -(-len(trace.samples) // _POINTS)
    starts = np.arange(0, len(trace.samples), size)
    high = np.maximum.reduceat(trace.samples, starts)
    low = np.minimum.reduceat(trace.samples, starts)
    times = trace.start + (starts + size / 2) / trace.rate
    above = [(time(x), level(y)) for x, y in zip(times, high, strict=True)]
    return above + [(time(x), level(y)) for x, y in zip(times[::-1], low[::-1], strict=True)]


def _seen(drawing: Drawing, trace: Trace, time: Axis, y: float) -> None:
    """A strip that shows what the camera saw; of each piece, the share that it didn't see is filled from below."""
    drawing.rect(time(trace.start), y, time(trace.stop) - time(trace.start), 10, "seen")
    size = max(1, -(-len(trace.samples) // (_POINTS // 2)))
    starts = np.arange(0, len(trace.samples), size)
    counts = np.diff(np.append(starts, len(trace.samples)))
    missing = np.round(1 - np.add.reduceat(trace.observed.astype(float), starts) / counts, 2)
    edges = np.flatnonzero(np.diff(np.concatenate([[0.0], missing, [0.0]])))
    for begin, end in itertools.pairwise(edges):
        if missing[begin] > 0:
            x, stop = (min(time(trace.start + k * size / trace.rate), time(trace.stop)) for k in (begin, end))
            height = 10 * float(missing[begin])
            drawing.rect(x, y + 10 - height, stop - x, height, "invented")


def _bands(drawing: Drawing, frequency: Axis, top: float, result: Mapping[str, Any]) -> None:
    """What may be trusted, where the signal was found, and the lines that cameras and mains leave."""
    band, found = result["band"], result["detection"]["band_hz"]
    limit = band["trusted_up_to_hz"]
    if limit is not None or result["shutter"]["kind"] == "global":
        trusted = min(limit if limit is not None else top, top)
        drawing.rect(_LEFT - 4, frequency(trusted), 4, frequency(0) - frequency(trusted), "trusted")
        if trusted < top:
            drawing.rect(_LEFT, frequency(top), _RIGHT - _LEFT, frequency(trusted) - frequency(top), "untrusted")
    notches = [f for f in band["notches_hz"] if f < top]
    length = _RIGHT - _LEFT if len(notches) <= _MOST_NOTCHES else 14
    for f in notches:
        drawing.line(_LEFT, frequency(f), _LEFT + length, frequency(f), "notch")
    for mains, shift in zip(_MAINS, (0, 27), strict=True):
        for k in range(1, _MAINS_MULTIPLES + 1):
            if mains * k < top:
                y, x = frequency(mains * k), _RIGHT + 4 + shift
                drawing.line(x, y, x + 9, y, f"mains{mains:g}")
        highest = frequency(min(mains * _MAINS_MULTIPLES, top))
        drawing.text(_RIGHT + 2 + shift, highest - 6, f"{mains:g}·k", f"mains{mains:g}-label")
    if found:
        low, high = frequency(min(found[1], top)), frequency(max(found[0], 0))
        drawing.path([(_RIGHT - 9, low), (_RIGHT - 3, low), (_RIGHT - 3, high), (_RIGHT - 9, high)], "found")


def colour_scale(result: Mapping[str, Any], traces: tuple[Trace, ...], t: Catalogue) -> Markup:
    """The colours of the spectrograms with their levels."""
    low, high = common_range([spectrogram(trace) for trace in traces])
    unit = _unit(traces[0].unit)
    name = t("picture.levels", quantity=result["signal"]["quantity"], unit=unit)
    drawing = Drawing(640, 58, name)
    drawing.image(_LEFT, 4, _RIGHT - _LEFT, 10, coloured(np.linspace(low, high, 256)[None], low, high), smooth=True)
    drawing.horizontal(Axis(low, high, _LEFT, _RIGHT), 14, name)
    return drawing.finished()


def frame_picture(uri: str, picture: Mapping[str, Any], regions: Sequence[Mapping[str, Any]], t: Catalogue) -> Markup:
    """A frame with the regions that were examined, and its axes in pixels of the stored picture."""
    width, height = float(picture["width"]), float(picture["height"])
    scale = min(500 / width, 400 / height)
    wide, tall = width * scale, height * scale
    drawing = Drawing(wide + 76, tall + 58, t("picture.alt.frame", width=int(width), height=int(height)))
    x, y = Axis(0, width, 62, 62 + wide), Axis(0, height, 8, 8 + tall)
    drawing.image(62, 8, wide, tall, uri, smooth=True)
    for region in regions:
        left, top = region["x"], region["y"]
        right, bottom = left + region["width"], top + region["height"]
        corners = region.get("polygon") or [(left, top), (right, top), (right, bottom), (left, bottom)]
        for kind in ("region-edge", "region"):
            drawing.path([(x(a), y(b)) for a, b in corners], kind, closed=True)
    drawing.horizontal(x, 8 + tall, t("picture.columns"), max(2, int(wide / 80)))
    drawing.vertical(y, 62, t("picture.rows"), max(2, int(tall / 60)))
    return drawing.finished()


def curve(
    x: Sequence[float],
    y: Sequence[float],
    name: str,
    titles: tuple[str, str],
    *,
    threshold: float | None = None,
    marks: Sequence[float] = (),
    logarithmic: bool = False,
) -> Markup:
    """A curve, with a threshold across and marks upright; over a logarithmic axis where that is asked for."""
    drawing = Drawing(640, 250, name)
    values = [*y, *([threshold] if threshold is not None else []), 0.0]
    span = max(values) - min(values) or 1.0
    low, high = min(x), max(x) if max(x) > min(x) else min(x) + 1
    scale = np.log10 if logarithmic else float
    across = Axis(float(scale(low)), float(scale(high)), _LEFT, _RIGHT)
    up = Axis(min(values), max(values) + 0.06 * span, 205, 14)
    for mark in marks:
        if low <= mark <= high:
            drawing.line(across(scale(mark)), 14, across(scale(mark)), 205, "threshold")
    if threshold is not None:
        drawing.line(_LEFT, up(threshold), _RIGHT, up(threshold), "threshold")
    drawing.path([(across(float(scale(a))), up(b)) for a, b in zip(x, y, strict=True)], "curve")
    if logarithmic:
        drawing.line(_LEFT, 205, _RIGHT, 205, "axis")
        for value in x:
            drawing.line(across(scale(value)), 205, across(scale(value)), 209, "axis")
            drawing.text(across(scale(value)), 222, number(value, 2), anchor="middle")
        drawing.text((_LEFT + _RIGHT) / 2, 240, titles[0], anchor="middle")
    else:
        drawing.horizontal(across, 205, titles[0])
    drawing.vertical(up, _LEFT, titles[1])
    return drawing.finished()


def small_multiples(traces: Sequence[tuple[str, tuple[Trace, ...] | None]], t: Catalogue) -> list[tuple[str, Markup]]:
    """The averaged spectrum of each run's recovered signal, all of one unit on the same scales."""
    spectra = [(name, averaged(pair[1]), pair[1].unit) for name, pair in traces if pair is not None]
    drawn: list[tuple[str, Markup]] = []
    for name, found, unit in spectra:
        if found is None:
            continue
        like = [each for _, each, other in spectra if each is not None and other == unit]
        top = max(float(each[0][-1]) for each in like)
        everything = np.concatenate([each[1][each[1] > 0] for each in like])
        drawn.append((name, _spectrum(name, *found, top, everything, _unit(unit), t)))
    return drawn


def _spectrum(
    name: str,
    frequency: NDArray[np.float64],
    amplitude: NDArray[np.float64],
    top: float,
    everything: NDArray[np.float64],
    unit: str,
    t: Catalogue,
) -> Markup:
    drawing = Drawing(400, 210, t("picture.alt.spectrum", name=name, unit=unit, top=f"{top:g}"))
    high = float(everything.max()) * 1.5
    low = max(float(everything.min()) / 1.5, high * 1e-6)
    across, up = Axis(0, top, _LEFT, 390), Axis(np.log10(low), np.log10(high), 165, 8)
    for value in logarithmic_ticks(low, high):
        place = up(np.log10(value))
        drawing.line(_LEFT, place, 390, place, "grid")
        drawing.text(_LEFT - 7, place + 4, _powers(f"10^{round(np.log10(value))}").strip(), anchor="end")
    drawing.line(_LEFT, 165, _LEFT, 8, "axis")
    drawing.text(16, 88, f"{unit}/√Hz", anchor="middle", turn=-90)
    step = max(1, len(frequency) // _POINTS)
    shown = np.maximum.reduceat(amplitude, np.arange(0, len(amplitude), step))
    points = zip(frequency[::step], np.log10(np.maximum(shown, low)), strict=True)
    drawing.path([(across(f), up(a)) for f, a in points], "curve")
    drawing.horizontal(across, 165, t("picture.hertz"), 5)
    return drawing.finished()
