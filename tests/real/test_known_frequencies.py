"""Real clips whose frequencies are known independently: tuning forks, and guitar strings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vmforensics.data import Evidence, FrameBlock, FrameStream, Region, SensorFrames, Signal, TimingVerdict, Verdict
from vmforensics.detection import detect
from vmforensics.plugins import Registry
from vmforensics.timing import judge_clock

FORK = Region(280, 60, 64, 96)


class FirstFrames(FrameStream):
    """The beginning of a clip: the later frames of the long ones add time, not insight."""

    def __init__(self, stream: FrameStream, count: int) -> None:
        self._stream = stream
        self.height, self.width, self.full_scale = stream.height, stream.width, stream.full_scale
        self.stamps, self.stamp_resolution = stream.stamps[:count], stream.stamp_resolution
        self.declared_rate, self.facts, self.complaints = stream.declared_rate, stream.facts, stream.complaints

    def blocks(self) -> Iterator[FrameBlock]:
        for block in self._stream.blocks():
            inside = block.index < len(self.stamps)
            yield FrameBlock(block.index[inside], block.luma[inside])
            if not inside.all():
                return


def recovered(
    clip: Path, *, capture_fps: float, region: Region | None = None, estimator: str = "adaptive", frames: int = 1800
) -> tuple[Signal, Verdict]:
    """The signal of a high-speed clip by the shipped stages, and the verdict on it."""
    registry = Registry()
    stream = FirstFrames(registry.create("frame_source", "video").open(Evidence(clip)), frames)  # type: ignore[attr-defined]
    clock = judge_clock(
        stream.stamps,
        resolution=stream.stamp_resolution,
        declared_rate=stream.declared_rate,
        capture_fps=capture_fps,
    )
    assert (clock.verdict, clock.rate, clock.missing) == (TimingVerdict.EXACT, capture_fps, 0)
    sensor = SensorFrames(stream, clock, region=region)
    motion = registry.create("motion_estimator", estimator).estimate(sensor)  # type: ignore[attr-defined]
    signal = registry.create("signal_combiner", "shared-signal").combine(motion)  # type: ignore[attr-defined]
    return signal, detect(motion, signal).verdict


def spectrum(signal: Signal) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies above 20 Hz, and power over its median in dB; one bin is the rate over the number of samples."""
    window = np.hanning(len(signal.samples))
    power = np.abs(np.fft.rfft((signal.samples - signal.samples.mean()) * window)) ** 2
    frequency = np.fft.rfftfreq(len(signal.samples), 1 / signal.rate)
    keep = frequency > 20
    return frequency[keep], 10 * np.log10(power[keep] / np.median(power[keep]))


@pytest.mark.parametrize(
    ("name", "capture_fps", "low", "high", "level"),
    [
        ("tuning_hz32_fps250", 250.0, 32.1, 32.1, 48),
        ("tuning_hz32_fps500", 500.0, 32.1, 32.1, 54),
        ("tuning_hz32_fps1000", 1000.0, 32.1, 32.1, 54),
        ("tuning_hz128_fps250", 250.0, 122.2, 122.2, 36),  # its alias
        ("tuning_hz128_fps500", 500.0, 127.9, 128.0, 28),
        ("tuning_hz128_fps1000", 1000.0, 127.9, 128.0, 44),
    ],
)
def test_a_tuning_fork(footage: Path, name: str, capture_fps: float, low: float, high: float, level: float) -> None:
    """The peak is the fork's, within one bin, and stands as many dB over the median."""
    (clip,) = (footage / "forks").glob(f"{name}_*.mp4")
    signal, verdict = recovered(clip, capture_fps=capture_fps, region=FORK)
    frequency, decibels = spectrum(signal)
    one_bin = signal.rate / len(signal.samples)
    assert low - one_bin <= frequency[np.argmax(decibels)] <= high + one_bin
    assert decibels.max() > level
    assert verdict is Verdict.SIGNAL


@pytest.mark.parametrize(
    ("region", "string"), [(None, 82.4), (Region(0, 60, 432, 40), 110.0)], ids=["low E, all in view", "A, its strip"]
)
def test_a_guitar_string(footage: Path, region: Region | None, string: float) -> None:
    """Half a second of several strings: each is among the strongest peaks, within one bin of 2 Hz."""
    signal, verdict = recovered(footage / "strings" / "guitar_600fps.mp4", capture_fps=600.0, region=region)
    frequency, decibels = spectrum(signal)
    peaks = np.flatnonzero((decibels[1:-1] > decibels[:-2]) & (decibels[1:-1] > decibels[2:])) + 1
    strongest = frequency[peaks[np.argsort(decibels[peaks])[-3:]]]
    assert np.abs(strongest - string).min() <= signal.rate / len(signal.samples)
    assert np.interp(string, frequency, decibels) > 18
    assert verdict is Verdict.SIGNAL


@pytest.mark.parametrize("estimator", ["riesz-phase", "phase-correlation", "image-svd", "optical-flow"])
def test_the_other_estimators_hear_the_same_fork(footage: Path, estimator: str) -> None:
    """128 Hz at 500 frames/s, on half a second of it: within one bin."""
    (clip,) = (footage / "forks").glob("tuning_hz128_fps500_*.mp4")
    signal, verdict = recovered(clip, capture_fps=500.0, region=FORK, estimator=estimator, frames=300)
    frequency, decibels = spectrum(signal)
    one_bin = signal.rate / len(signal.samples)
    assert 127.9 - one_bin <= frequency[np.argmax(decibels)] <= 128.0 + one_bin
    assert decibels.max() > 20
    assert verdict is Verdict.SIGNAL


def test_a_lamp_over_a_bag_of_chips(footage: Path) -> None:
    """The light flickers at twice the mains' 60 Hz, within one bin of 8 Hz."""
    clip = footage / "chips" / "chips_2200fps.avi"
    signal, _ = recovered(clip, capture_fps=2200.0, estimator="mean-intensity")
    frequency, decibels = spectrum(signal)
    assert abs(frequency[np.argmax(decibels)] - 120) <= signal.rate / len(signal.samples)
    assert signal.unit == "1"
