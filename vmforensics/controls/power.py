"""How small a tone the detector would find in this very footage."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vmforensics.controls.injection import Tone
from vmforensics.data import Motion, Signal
from vmforensics.detection import agreement, compared, fresh_share

_ORDERS = 10  # trials
_FIRST, _STEP = 7, 3  # frames by which the noise is shifted against itself
_LEVELS = (1.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)  # times a tone's own uncertainty
_SURE = 0.95
_SEED = 20140727


@dataclass(frozen=True, slots=True)
class PowerCurve:
    """The detector's power on this footage.

    Parameters
    ----------
    displacement : tuple of float, px
        RMS displacement of the tone.
    probability : tuple of float
        Share of the trials in which it was found.
    limit : float or None, px
        Displacement found in 95 % of the trials, by interpolation; None where none of them was large enough.
    trials : int
        At each displacement.
    """

    displacement: tuple[float, ...]
    probability: tuple[float, ...]
    limit: float | None
    trials: int


def power_of(
    motion: Motion,
    signal: Signal,
    tone: Tone,
    gain: float,
    *,
    false_alarm_rate: float,
    key_interval: float = 0.0,
    dead_zone: float = 0.0,
) -> PowerCurve | None:
    """Add a tone of growing size to the footage's own noise, and test.

    What the halves differ by is noise, whatever the scene does; it is compared with itself some frames later. A codec
    that predicts frames repeats its errors for longer than that: of one of the two, each frame's sign is drawn at
    random, which leaves the noise as strong and makes it agree with the other by chance alone.

    Parameters
    ----------
    motion
        As measured, with two halves; None is returned of one without.
    signal
        What was recovered: its axis and time line.
    tone
        Its frequency and direction count.
    gain : float
        How much of a tone the estimator measures.
    false_alarm_rate
        That the test is set to.
    key_interval : float, s
        As for `detect`: repetitions count once in the test here, too.
    dead_zone : float, px
        Likewise: a tone that reads as less is never found.
    """
    steady = motion.steadied()[0]
    along = replace(signal, axis=tone.axis)
    wave = replace(tone, rms=1.0).at(steady.instants)
    response = (steady.response @ np.asarray(tone.axis)).astype(np.float32)
    toned = np.where(steady.observed, gain * wave, 0).astype(np.float32)[..., None] * response
    added, measured = compared(replace(steady, displacement=toned), along), compared(steady, along)
    information = float(steady.along(tone.axis)[1].sum())
    if added is None or measured is None or not information > 0:
        return None
    seen = measured[0].observed & measured[1].observed
    sigmas = [np.where(seen, half.sigma, np.inf) for half in measured]
    noise = np.where(seen, measured[0].samples - measured[1].samples, 0.0) / np.hypot(*sigmas)
    tones = [half.samples / sigma for half, sigma in zip(added, sigmas, strict=True)]
    scale = 1 / float(np.sqrt(information))  # uncertainty of a tone over the whole clip
    fresh = fresh_share(steady, tone.axis) if key_interval else 1.0
    frame = np.floor(np.arange(len(noise)) * motion.frame_rate / signal.rate).astype(np.int64)
    generator = np.random.Generator(np.random.PCG64(_SEED))
    found = np.zeros(len(_LEVELS))
    for order in range(_ORDERS):
        later = round((_FIRST + _STEP * order) * signal.rate / motion.frame_rate)
        both = seen & np.roll(seen, later)
        other = np.roll(noise, later) * generator.choice([-1.0, 1.0], frame[-1] + 1)[frame]
        for k, level in enumerate(_LEVELS):
            first = np.where(both, noise + level * scale * tones[0], 0.0)
            second = np.where(both, other + level * scale * tones[1], 0.0)
            p_value = agreement(np.asarray(first), np.asarray(second), both, signal.rate, fresh=fresh)
            found[k] += float(p_value is not None and p_value <= false_alarm_rate)
    probability = np.maximum.accumulate(found / _ORDERS)
    levels = np.asarray(_LEVELS) * scale
    probability[gain * levels < dead_zone] = 0
    limit = None
    if probability[-1] >= _SURE:
        least = int(np.argmax(probability >= _SURE))
        limit = float(levels[least])
        if least and probability[least] > probability[least - 1]:
            share = (_SURE - probability[least - 1]) / (probability[least] - probability[least - 1])
            limit = float(levels[least - 1] * (levels[least] / levels[least - 1]) ** share)
        limit = max(limit, dead_zone / gain) if gain > 0 else limit
    return PowerCurve(tuple(levels.tolist()), tuple(probability.tolist()), limit, _ORDERS)
