"""Brightness of whole frames: the light's frequency, its depth, and darkness."""

from __future__ import annotations

import numpy as np
import pytest

from vmforensics.data import BRIGHTNESS, Verdict
from vmforensics.detection import detect
from vmforensics.errors import RegionError, TooFewFrames
from vmforensics.testing import Flicker, StoredFrames
from vmforensics_global_shutter.aligned_sum import AlignedSum
from vmforensics_global_shutter.mean_intensity import MeanIntensity

from .estimation import clip, measure, spread


def test_a_lamp_is_read_as_it_flickers() -> None:
    lit = clip("silence", rms_px=0.0, flicker=Flicker(120, 0.02), scene="soft")
    motion = measure(MeanIntensity(), lit)
    assert motion.quantity == BRIGHTNESS
    assert lit.flicker is not None
    light = lit.flicker.light(motion.instants, lit.camera.exposure).ravel() - 1
    for channel in range(2):
        found = motion.displacement[:, 0, channel]
        assert np.std(found) == pytest.approx(np.std(light), rel=0.02)
        assert np.corrcoef(found, light)[0, 1] > 0.999
    verdict = detect(motion, AlignedSum().combine(motion))
    assert verdict.verdict is Verdict.SIGNAL
    assert "not sound" in verdict.reason


@pytest.mark.parametrize("scene", ["print", "soft", "grey"])
def test_a_steady_light_reads_noise_of_the_stated_size(scene: str) -> None:
    motion = measure(MeanIntensity(), clip("silence", rms_px=0.0, scene=scene, noise=2.0, frames=400))
    assert spread(motion, (1.0, 0.0)) == pytest.approx(1, abs=0.12)
    assert detect(motion, AlignedSum().combine(motion)).verdict is Verdict.NO_SIGNAL


def test_a_codec_s_pulse_is_no_light() -> None:
    """What both halves share of a soundless H.264 clip gets no verdict; a lamp that is brighter than it does."""

    def verdict(depth: float) -> Verdict:
        flicker = Flicker(120, depth) if depth else None
        stored = StoredFrames(clip("silence", rms_px=0.0, flicker=flicker, scene="soft").frames, rate=2200.0)
        stored.facts = {"inter_coded": True}
        motion = MeanIntensity().estimate(stored.sensor_frames())
        return detect(motion, AlignedSum().combine(motion)).verdict

    assert verdict(0.0) is Verdict.UNDETERMINED
    assert verdict(0.02) is Verdict.SIGNAL


def test_darkness_and_too_little_are_refused() -> None:
    with pytest.raises(RegionError, match="black"):
        MeanIntensity().estimate(StoredFrames(np.zeros((9, 16, 16), np.uint8), rate=100.0).sensor_frames())
    with pytest.raises(RegionError, match="needs 8 each way"):
        MeanIntensity().estimate(StoredFrames(np.ones((9, 7, 16), np.uint8), rate=100.0).sensor_frames())
    with pytest.raises(TooFewFrames, match="2 frame"):
        MeanIntensity().estimate(StoredFrames(np.ones((2, 16, 16), np.uint8), rate=100.0).sensor_frames())
