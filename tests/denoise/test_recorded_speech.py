"""What denoisers are worth on recorded speech: the best gains 3 dB, and the one that knows the noise is the best."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest

from . import recorded_speech
from .recorded_speech import Recovered, clips, denoised, global_shutter, interval, rolling_shutter, scores

BLIND = ("wiener", "mmse-stsa", "mmse-lsa", "weighted-euclidean", "om-lsa")
KNOWN = "wiener-known-noise"


@functools.cache
def voices(footage: Path) -> list[np.ndarray]:
    return clips(footage, 4)


def gains(recovered: list[Recovered], name: str) -> np.ndarray:
    """Change of segmental SNR (dB) and STOI [shape=(clips, 2)]."""
    return np.array([scores(denoised(each, name)) - scores(each) for each in recovered])


@pytest.mark.parametrize("snr", [0.0, 5.0, 10.0])
def test_the_best_gains_three_decibels_and_the_one_that_knows_the_noise_is_the_best(footage: Path, snr: float) -> None:
    recovered = [global_shutter(voice, snr, seed=k) for k, voice in enumerate(voices(footage))]
    known = gains(recovered, KNOWN)
    _, low, _ = interval(known[:, 0])
    assert low > 3.0
    assert interval(known[:, 1])[1] > 0.03
    for name in BLIND:
        blind = gains(recovered, name).mean(axis=0)
        assert blind[0] < known[:, 0].mean(), name
        assert blind[1] < known[:, 1].mean(), name


def test_where_the_noise_grows_the_blind_fall_behind(footage: Path) -> None:
    recovered = [global_shutter(voice, 5, growth=4, seed=k) for k, voice in enumerate(voices(footage))]
    known = gains(recovered, KNOWN)[:, 0].mean()
    assert known > 1 + max(gains(recovered, name)[:, 0].mean() for name in BLIND)


def test_after_a_combiner_that_knows_the_noise_there_is_less_to_gain_and_nothing_lost(footage: Path) -> None:
    """Over the raw motion, where nothing was filled in, the two together gain more than three."""
    voice = voices(footage)[1]
    combined = rolling_shutter(voice, "autoregressive", sigma=0.1)
    assert not combined.signal.observed.all()
    assert combined.signal.sigma[~combined.signal.observed].mean() > combined.signal.sigma.mean()
    gain = gains([combined], KNOWN)[0]
    assert gain[0] > 0.5
    assert gain[1] > 0
    raw = rolling_shutter(voice, "row-average", sigma=0.1)
    assert scores(denoised(combined, KNOWN))[0] > scores(raw)[0] + 3


def test_every_shipped_denoiser_is_in_the_table() -> None:
    from vmforensics.plugins import Registry

    shipped = {r.stage.name for r in Registry().stages("denoiser") if r.provider.distribution == "vmforensics"}
    assert shipped == set(recorded_speech.DENOISERS)
