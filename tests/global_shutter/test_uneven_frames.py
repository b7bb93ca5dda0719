"""Combiners where frames differ in what they tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vmforensics.data import Channel, Motion
from vmforensics_global_shutter.aligned_sum import AlignedSum
from vmforensics_global_shutter.inverse_variance import InverseVariance
from vmforensics_global_shutter.principal_component import PrincipalComponent
from vmforensics_global_shutter.shared_signal import SharedSignal
from vmforensics_global_shutter.whitened import Whitened

FRAMES, RATE = 800, 1000.0


def uneven(late: int = 0) -> tuple[Motion, np.ndarray]:
    """Two halves, one of which sees the motion later, with every third frame ten times as noisy; and the motion."""
    random = np.random.default_rng(5)
    moved = np.cumsum(random.standard_normal(FRAMES + late))
    moved = moved - np.convolve(moved, np.ones(21) / 21, "same")
    sigma = np.where(np.arange(FRAMES) % 3 == 0, 2.0, 0.2)
    shifts = (0, 0, late, late)
    sigmas = np.stack([np.roll(sigma, shift) for shift in shifts], axis=1)
    displacement = random.standard_normal((FRAMES, 4)) * sigmas
    for channel, shift in ((0, 0), (2, late)):
        displacement[:, channel] += moved[late - shift : late - shift + FRAMES] if shift else moved[late:]
    motion = Motion(
        displacement=displacement[:, None].astype(np.float32),
        precision=(np.eye(4) / sigmas[:, None, None, :] ** 2).astype(np.float32),
        observed=np.ones((FRAMES, 1), dtype=bool),
        frame_times=np.arange(FRAMES) / RATE,
        row_offsets=np.zeros(1),
        channels=tuple(
            Channel(f"{name}, half {half}", response, half)
            for half in (0, 1)
            for name, response in (("x", (1.0, 0.0)), ("y", (0.0, 1.0)))
        ),
        frame_rate=RATE,
    )
    return motion, moved[late:]


@pytest.mark.parametrize("combiner", [AlignedSum, SharedSignal, InverseVariance, PrincipalComponent])
def test_stated_uncertainties_are_true_frame_by_frame(combiner):
    motion, moved = uneven()
    signal = combiner().combine(motion)
    apart = (signal.samples - moved) / signal.sigma
    noisy = np.arange(FRAMES) % 3 == 0
    for own in (noisy, ~noisy):
        assert 0.6 < np.std(apart[own]) < 1.2  # shared-signal counts the other half's noise as well
    assert np.median(signal.sigma[noisy]) == pytest.approx(10 * np.median(signal.sigma[~noisy]), rel=0.1)


@pytest.mark.parametrize("combiner", [AlignedSum, SharedSignal])
def test_a_shifted_channel_takes_its_frames_precision_along(combiner):
    motion, moved = uneven(late=1)
    signal = combiner().combine(motion)
    assert any("shifted" in warning for warning in signal.warnings)
    seen = signal.observed
    ratios = []
    for lag in (0, 1):  # the reference may be either half
        apart = (signal.samples - np.roll(moved, lag))[seen] / signal.sigma[seen]
        ratios.append(float(np.median(np.abs(apart))))
    assert min(ratios) == pytest.approx(0.6745, abs=0.15)


def test_whitened_noise_has_unit_variance():
    motion, _ = uneven()
    random = np.random.default_rng(6)
    sigma = 1 / np.sqrt(np.diagonal(motion.precision[:, 0], axis1=1, axis2=2))
    noise = (random.standard_normal((FRAMES, 4)) * sigma)[:, None].astype(np.float32)
    components = Whitened.of(replace(motion, displacement=noise)).components
    assert np.var(components, axis=0) == pytest.approx(np.ones(4), abs=0.35)
