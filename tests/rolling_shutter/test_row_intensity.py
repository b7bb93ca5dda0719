"""Brightness of the rows: a lamp's flicker in its own unit, honest σ, and words that don't call it sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vmforensics.data import BRIGHTNESS, Motion, Recovery, Shutter, Signal, Verdict
from vmforensics.detection import detect
from vmforensics.errors import RegionError
from vmforensics.recovery.summary import describe_signal
from vmforensics.testing import Camera, Flicker, Simulation, simulate
from vmforensics_media.arrays import Arrays
from vmforensics_media.wav import Wav
from vmforensics_rolling_shutter.gap.autoregressive import Autoregressive
from vmforensics_rolling_shutter.gap.band_limited import BandLimited
from vmforensics_rolling_shutter.gap.janssen import Janssen
from vmforensics_rolling_shutter.gap.row_average import RowAverage
from vmforensics_rolling_shutter.motion.row_intensity import RowIntensity

COMBINERS = (Autoregressive, BandLimited, Janssen, RowAverage)


def clip(flicker: Flicker | None = None, **more: Any) -> Simulation:
    shutter = Shutter(line_delay=2e-4, exposure=1e-3)
    camera = Camera(width=96, height=64, fps=60, frames=48, noise=(1.0, 0.02), shutter=shutter)
    settings = {"scene": "natural", "sound": "silence", "rms_px": 0.0, "seed": 2} | more
    return simulate(camera, flicker=flicker, **settings)


def measured(simulation: Simulation) -> Motion:
    return RowIntensity().estimate(simulation.sensor_frames())


@pytest.mark.parametrize(("frequency", "depth"), [(100.0, 0.1), (100.0, 0.001), (443.0, 0.02)])
def test_flicker_is_read_as_relative_brightness_with_its_sigma(frequency: float, depth: float) -> None:
    flicker = Flicker(frequency, depth)
    simulation = clip(flicker)
    motion = measured(simulation)
    found, information = motion.along((1.0, 0.0))
    light = flicker.light(motion.instants, 1e-3)
    truth = light / light.mean(axis=0) - 1
    error = (found - truth) * np.sqrt(information)
    assert 0.9 < np.sqrt(np.mean(error**2)) < 1.15
    gain = np.sum(found * truth) / np.sum(truth**2)
    assert gain == pytest.approx(1, abs=1e-3 + 4 / np.sqrt(np.sum(truth**2 * information)))


def test_it_is_named_for_what_it_is() -> None:
    motion = measured(clip(Flicker(100.0, 0.05)))
    assert motion.quantity == BRIGHTNESS
    signals = [combiner().combine(motion) for combiner in COMBINERS]
    assert {(signal.quantity.name, signal.unit) for signal in signals} == {("relative brightness", "1")}
    found = detect(motion, signals[-1])
    assert found.verdict is Verdict.SIGNAL
    assert "signal in relative brightness" in found.reason
    assert "not sound" in found.reason
    assert "motion" not in found.reason


def test_a_steady_light_holds_no_signal() -> None:
    motion = measured(clip())
    found = detect(motion, RowAverage().combine(motion))
    assert found.verdict is Verdict.NO_SIGNAL
    assert "motion" not in found.reason


def test_figures_and_files_carry_no_px(tmp_path: Path) -> None:
    motion = measured(clip(Flicker(100.0, 0.05)))
    signal: Signal = RowAverage().combine(motion)
    figures = describe_signal(signal)
    assert figures["quantity"] == "relative brightness"
    assert figures["rms_relative"] == pytest.approx(0.05 / np.sqrt(2) * np.sqrt(signal.observed.mean()), rel=0.05)
    recovery = Recovery(signal, signal, detect(motion, signal))
    Arrays().export(recovery, tmp_path)
    Wav().export(recovery, tmp_path)
    with np.load(tmp_path / "signal.npz") as arrays:
        np.testing.assert_array_equal(arrays["samples_relative"], signal.samples)
        assert not any("px" in name for name in (*arrays.files, *figures))
    assert "px" not in (tmp_path / "wav-scale.json").read_text()


def test_a_region_without_room_or_light_is_refused() -> None:
    with pytest.raises(RegionError, match="at least 8 px"):
        RowIntensity().estimate(simulate(Camera(width=6, height=8, frames=5), sound="silence").sensor_frames())
    dark = Camera(width=32, height=8, frames=5, brightness=0.0, contrast=0.0, noise=(0.0, 0.0))
    with pytest.raises(RegionError, match="black"):
        RowIntensity().estimate(simulate(dark, scene="grey", sound="silence").sensor_frames())
