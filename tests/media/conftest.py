"""Small clips for the media tests, written through PyAV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from vmforensics.data import Detection, Recovery, Signal, Verdict

Frames = Sequence[NDArray[Any]]


@pytest.fixture
def moving() -> list[NDArray[np.uint8]]:
    """Forty frames, 64x48, of a texture that moves a pixel a frame."""
    rng = np.random.default_rng(1)
    texture = np.kron(rng.integers(16, 236, (12, 16)), np.ones((4, 4))).astype(np.uint8)
    return [np.roll(texture, i, axis=1) for i in range(40)]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write frames to a file; `pts` are in units of 1/rate."""

    def write(
        name: str,
        frames: Frames,
        codec: str,
        pixel_format: str,
        *,
        source_format: str = "gray",
        rate: int = 30,
        pts: Sequence[int] | None = None,
        codec_options: dict[str, str] | None = None,
        container_options: dict[str, str] | None = None,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w", options=container_options or {}) as container:
            stream = container.add_stream(codec, rate=rate, options=codec_options or {})
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt = pixel_format
            for i, frame in enumerate(frames):
                picture = av.VideoFrame.from_ndarray(frame, format=source_format)
                picture.pts, picture.time_base = (pts[i] if pts else i), Fraction(1, rate)
                container.mux(stream.encode(picture))
            container.mux(stream.encode())
        return path

    return write


@pytest.fixture
def recovery() -> Callable[..., Recovery]:
    """A recovery of a tone in noise."""

    def recovery(
        *, rate: float = 2200.0, size: int = 1100, verdict: Verdict = Verdict.SIGNAL, silent: bool = False
    ) -> Recovery:
        times = np.arange(size) / rate
        tone = np.zeros(size) if silent else 0.02 * np.sin(2 * np.pi * 440 * times)
        noise = np.zeros(size) if silent else np.random.default_rng(2).normal(0, 0.004, size)
        observed = np.ones(size, dtype=bool)
        observed[size // 3 : size // 2] = False
        sigma = np.where(observed, 0.004, 0.0)
        raw = Signal(np.where(observed, tone + noise, 0.0), rate, 0.0, observed, sigma)
        clean = Signal(tone, rate, 0.0, observed, np.full(size, 0.002), axis=(0.6, 0.8))
        detection = Detection(verdict, 1e-6, 1e-3, (100.0, 900.0), "for the test")
        return Recovery(raw, clean, detection, title="Case 1 · run $a · E1_$b", notches=(60.0, 120.0))

    return recovery
