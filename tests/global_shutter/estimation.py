"""Clips and measures that the tests of several estimators share."""

from __future__ import annotations

import numpy as np

from vmforensics.data import Motion
from vmforensics.stages import MotionEstimator
from vmforensics.testing import Camera, Simulation, StoredFrames, simulate


def clip(
    sound: str = "chirp:100-900",
    *,
    size: tuple[int, int] = (88, 64),
    frames: int = 200,
    noise: float = 1.0,
    rms_px: float = 0.02,
    direction: float = 0.0,
    scene: str = "natural",
    seed: int = 1,
    **more: object,
) -> Simulation:
    camera = Camera(width=size[0], height=size[1], fps=2200, frames=frames, noise=(noise, 0.0))
    return simulate(
        camera,
        scene=scene,
        sound=sound,
        rms_px=rms_px,
        direction=direction,
        seed=seed,
        **more,  # type: ignore[arg-type]
    )


def measure(estimator: MotionEstimator, simulation: Simulation) -> Motion:
    return estimator.estimate(StoredFrames(simulation.frames, rate=simulation.camera.fps).sensor_frames())


def gain_and_correlation(motion: Motion, simulation: Simulation) -> tuple[float, float]:
    found = motion.along(simulation.truth.axis)[0].ravel()
    truth = simulation.displacement(motion.instants).ravel()
    found, truth = found - found.mean(), truth - truth.mean()
    return float(found @ truth / (truth @ truth)), float(np.corrcoef(found, truth)[0, 1])


def spread(motion: Motion, axis: tuple[float, float]) -> float:
    """RMS of what a still clip reads, in stated standard uncertainties."""
    found, information = motion.along(axis)
    return float(np.sqrt(np.mean(found**2 * information)))
