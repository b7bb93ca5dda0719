"""Lamps on the mains: 10 % of flicker in the light costs the recovered sound less than 1 dB."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from vmforensics.data import Shutter
from vmforensics.testing import Camera, Flicker, simulate
from vmforensics_rolling_shutter.gap.autoregressive import Autoregressive
from vmforensics_rolling_shutter.motion.row_motion import RowMotion

ROWS, READOUT = 120, 13.6e-3


@functools.cache
def recovered(scene: str, direction: float, fps: float, exposure: float, light: float | None) -> float:
    """SNR (dB) of the recovered sound against the true one, averaged over the exposure as the camera sees it."""
    shutter = Shutter(line_delay=READOUT / ROWS, exposure=exposure)
    camera = Camera(width=160, height=ROWS, fps=fps, frames=36, noise=(2.0, 0.0), shutter=shutter)
    flicker = Flicker(light, 0.1) if light else None
    simulation = simulate(
        camera, scene=scene, sound="tone:155", rms_px=0.03, direction=direction, seed=5, flicker=flicker
    )
    signal = Autoregressive().combine(RowMotion().estimate(simulation.sensor_frames()))
    seen = (
        simulation.displacement(signal.times)
        * np.sinc(155 * exposure)
        * np.sign(np.dot(signal.axis, simulation.truth.axis))
    )
    gain = float(signal.samples @ seen / (seen @ seen))  # whether the combiner gives back what the exposure took
    error = signal.samples / gain - seen
    return float(10 * np.log10(np.sum(seen**2) / np.sum(error**2)))


@pytest.mark.parametrize(("light", "fps"), [(100.0, 60.0), (120.0, 60000 / 1001)])
@pytest.mark.parametrize(
    ("scene", "direction", "exposure"),
    [("print", 0.0, 1 / 2000), ("natural", 50.0, 1 / 240), ("camera", 0.0, 1 / 2000), ("camera", 50.0, 1 / 240)],
)
def test_flicker_costs_less_than_a_decibel(
    scene: str, direction: float, exposure: float, fps: float, light: float
) -> None:
    steady = recovered(scene, direction, fps, exposure, None)
    assert steady > 10
    assert recovered(scene, direction, fps, exposure, light) > steady - 1
