"""A voice-like sound, and spoilt copies of it."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vmforensics.evaluation import Recording
from vmforensics.testing.sound import speech

RATE = 8000.0


@functools.cache
def voice(seconds: float = 3.0, seed: int = 0, rate: float = RATE) -> NDArray[np.float64]:
    wave = speech().waveform(seconds, np.random.default_rng(seed))
    samples = np.asarray(0.02 * wave(np.arange(round(seconds * rate)) / rate))
    samples.setflags(write=False)  # it is kept
    return samples


def noisy(samples: NDArray[np.float64], snr: float, seed: int = 1) -> NDArray[np.float64]:
    noise = np.random.default_rng(seed).standard_normal(len(samples))
    noise -= noise @ samples / (samples @ samples) * samples  # so that the gain of least squares is 1 exactly
    return samples + noise * np.sqrt(np.sum(samples**2) / np.sum(noise**2) * 10 ** (-snr / 10))


def recording(samples: NDArray[np.float64], rate: float = RATE, **more: NDArray[np.generic]) -> Recording:
    return Recording(samples, rate, Path("sound.wav"), **more)
