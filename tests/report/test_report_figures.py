"""The pictures: what is drawn lies where its numbers say."""

from __future__ import annotations

import base64
import io
import re
import struct

import numpy as np
import pytest
from PIL import Image

from vmforensics.report.catalogue import catalogue
from vmforensics.report.drawing import Drawing, coloured
from vmforensics.report.figures import curve, frame_picture, signal_pair, small_multiples
from vmforensics.report.loudness import gains, loudness
from vmforensics.report.spectra import averaged, common_range, spectrogram
from vmforensics.report.traces import Trace

RATE, TONE, AMPLITUDE = 8000.0, 500.0, 0.01


@pytest.fixture
def traces() -> tuple[Trace, Trace]:
    """A second of a tone with a gap of 100 ms: left empty in the raw signal, filled in the recovered one."""
    time = np.arange(8000) / RATE
    tone = AMPLITUDE * np.sin(2 * np.pi * TONE * time)
    observed = (time < 0.4) | (time >= 0.5)
    raw = Trace(tone * observed, observed, RATE, 0.0, "px", filled=False)
    return raw, Trace(tone, observed, RATE, 0.0, "px", filled=True)


def marks(svg: str, kind: str) -> list[dict[str, float]]:
    """Places of all marks of a kind."""
    found = re.findall(rf'<\w+ class="mark-{kind}" ([^>]*)/>', svg)
    return [{k: float(v) for k, v in re.findall(r'(\w+)="(-?[\d.]+)"', each)} for each in found]


def test_a_tone_stands_at_its_frequency_and_level(traces):
    shown = spectrogram(traces[1])
    column = shown.level[:, shown.level.shape[1] // 4]
    frequencies = np.linspace(0, shown.top, len(column))
    assert frequencies[np.argmax(column)] == pytest.approx(TONE, abs=RATE / 320)
    assert column.max() == pytest.approx(20 * np.log10(AMPLITUDE / np.sqrt(2)), abs=0.2)
    assert (shown.start, shown.stop) == (pytest.approx(0, abs=0.01), pytest.approx(1, abs=0.01))


@pytest.mark.parametrize("size", [1, 5, 70, 300_000])
def test_any_length_has_a_bounded_spectrogram(size):
    rng = np.random.default_rng(1)
    trace = Trace(rng.normal(size=size), np.ones(size, bool), RATE, 0.0, "px", filled=False)
    assert spectrogram(trace).level.size < 600_000
    low, high = common_range([spectrogram(trace)])
    assert low < high


def test_silence_can_be_drawn(result):
    silent = Trace(np.zeros(800), np.ones(800, bool), RATE, 0.0, "px", filled=False)
    signal_pair((silent, silent), result, catalogue())
    assert averaged(silent) is None
    assert small_multiples([("silent", (silent, silent)), ("none", None)], catalogue()) == []


def test_gap_bands_and_lines_are_drawn_where_they_are(traces, result):
    raw, recovered = (str(each) for each in signal_pair(traces, result, catalogue()))
    for svg in (raw, recovered):
        (seen,) = marks(svg, "seen")
        gap = marks(svg, "invented")
        assert sum(each["width"] for each in gap if each["height"] == 10) == pytest.approx(0.1 * seen["width"], rel=0.1)
        assert min(each["x"] for each in gap) == pytest.approx(seen["x"] + 0.4 * seen["width"], abs=3)
        (frame,) = marks(svg, "frame")
        (trusted,) = marks(svg, "trusted")
        share = result["band"]["trusted_up_to_hz"] / 4000
        assert trusted["height"] == pytest.approx(share * frame["height"], abs=0.1)
        heights = [(frame["y"] + frame["height"] - each["y1"]) / frame["height"] * 4000 for each in marks(svg, "notch")]
        assert heights == pytest.approx(result["band"]["notches_hz"], abs=1)
        mains = [(frame["y"] + frame["height"] - each["y1"]) / frame["height"] * 4000 for each in marks(svg, "mains50")]
        assert mains == pytest.approx([50 * k for k in range(1, 13)], abs=1)
    assert "10 % not seen" in raw
    assert "10 % calculated" in recovered


def test_pictures_are_the_same_every_time_and_hold_no_style(traces, result):
    first = signal_pair(traces, result, catalogue())
    assert first == signal_pair(traces, result, catalogue())
    assert all("style=" not in each for each in first)


@pytest.mark.parametrize(
    ("region", "corners"),
    [
        ({}, [(50, 25), (150, 25), (150, 75), (50, 75)]),
        ({"name": "cup", "polygon": [[50, 25], [150, 25], [100, 75]]}, [(50, 25), (150, 25), (100, 75)]),
    ],
)
def test_region_is_drawn_over_the_frame(region, corners):
    picture = {"width": 200, "height": 100}
    region |= {"x": 50, "y": 25, "width": 100, "height": 50}
    svg = str(frame_picture("data:,", picture, [region], catalogue()))
    drawn = re.search(r'class="mark-region"[^>]* d="M([^"]*)Z"', svg)
    assert drawn is not None
    places = [tuple(map(float, each.split())) for each in drawn[1].split("L")]
    assert places == [pytest.approx((62 + 2.5 * x, 8 + 2.5 * y)) for x, y in corners]


def test_colours_run_from_dark_to_light():
    uri = coloured(np.linspace(0, 1, 64)[None], 0, 1)
    picture = Image.open(io.BytesIO(base64.b64decode(uri.partition("base64,")[2]))).convert("L")
    grey = np.asarray(picture)[0].astype(int)
    assert np.all(np.diff(grey) >= -1)
    assert grey[0] < 5
    assert grey[-1] > 230


def test_text_in_a_drawing_is_escaped():
    drawing = Drawing(10, 10, '"><script>')
    drawing.text(0, 0, "</svg><script>")
    assert "<script>" not in str(drawing.finished())


def test_threshold_of_a_curve_is_drawn_at_its_value():
    svg = str(curve([0, 1, 2], [0, 1, 4], "name", ("x", "y"), threshold=2.0))
    (line,) = marks(svg, "threshold")
    points = re.search(r'class="mark-curve"[^>]* d="M([^"]*)"', svg)
    assert points is not None
    heights = [float(each.split()[1]) for each in points[1].split("L")]
    assert line["y1"] == pytest.approx((heights[0] + heights[2]) / 2, abs=0.2)


def wav(samples: np.ndarray, width: int = 3, rate: int = 48000) -> bytes:
    whole = np.rint(samples * (2 ** (8 * width - 1) - 1)).astype("<i4")
    body = whole.view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
    head = struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * width, width, 8 * width)
    return (
        b"RIFF" + struct.pack("<I", 36 + len(body)) + b"WAVEfmt " + head + b"data" + struct.pack("<I", len(body)) + body
    )


@pytest.mark.parametrize("width", [2, 3])
def test_loudness_of_the_reference_tone(width):
    # BS.1770-5, annex 1: a sine of 997 Hz at 0 dB full scale in one channel reads -3.01 LKFS.
    time = np.arange(48000) / 48000
    assert loudness(wav(np.sin(2 * np.pi * 997 * time), width)) == pytest.approx(-3.01, abs=0.01)


def test_loudness_is_not_made_up():
    assert loudness(wav(np.zeros(4800))) is None
    assert loudness(wav(np.ones(800), rate=8000)) is None
    assert loudness(b"not a wav") is None
    assert gains(None, -20.0) == (1.0, 1.0)
