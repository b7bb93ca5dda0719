"""How loud a sound file is, so that raw and processed can be played equally loud."""

from __future__ import annotations

import io
import wave

import numpy as np

_RATE = 48000
# K-weighting at 48 kHz: a shelf for the head, then a high-pass (Recommendation ITU-R BS.1770-5, 2023, tables 1 and 2).
_SHELF = ((1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585))
_HIGH_PASS = ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621))


def loudness(wav: bytes) -> float | None:
    """Programme loudness without gating, by Recommendation ITU-R BS.1770-5.

    Parameters
    ----------
    wav
        A mono file of whole-number samples at 48 kHz.

    Returns
    -------
    float or None, LKFS
        None for silence, and for a file of another kind.
    """
    from scipy.signal import lfilter

    try:
        with wave.open(io.BytesIO(wav)) as file:
            if file.getframerate() != _RATE or file.getnchannels() != 1 or file.getsampwidth() not in (2, 3):
                return None
            width, content = file.getsampwidth(), file.readframes(file.getnframes())
    except (wave.Error, EOFError):
        return None
    parts = np.frombuffer(content, np.uint8).reshape(-1, width)
    whole = np.zeros((len(parts), 4), np.uint8)
    whole[:, 4 - width :] = parts
    samples = whole.view("<i4")[:, 0] / 2**31
    weighted = lfilter(*_HIGH_PASS, lfilter(*_SHELF, samples))
    power = float(np.mean(weighted**2)) if len(weighted) else 0.0
    return -0.691 + 10 * float(np.log10(power)) if power > 0 else None


def gains(first: float | None, second: float | None) -> tuple[float, float]:
    """Factors, none above 1, that make two sounds equally loud; 1 for both where a loudness isn't known.

    Examples
    --------
    >>> gains(-20.0, -26.0206)
    (0.5, 1.0)
    """
    if first is None or second is None:
        return 1.0, 1.0
    difference = first - second
    return round(min(1.0, 10 ** (-difference / 20)), 4), round(min(1.0, 10 ** (difference / 20)), 4)
