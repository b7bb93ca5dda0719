"""Butterworth filters applied forth and back: no phase shift, twice the attenuation, no step at the ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Signal

_SETTLING = 2.0  # periods of the lowest cutoff, until the filter has settled


def zero_phase(signal: Signal, sections: Any, lowest: float) -> Signal:
    """Filter a signal forth and back.

    σ is left as it is: an upper bound, as the filter only takes noise away.

    Parameters
    ----------
    signal
        What to filter; one of a single sample comes back as 0.
    sections : ndarray [shape=(sections, 6), float64]
        The filter, as `scipy.signal.butter` designs it.
    lowest : float, Hz
        Lowest cutoff, which tells how long the filter takes to settle.
    """
    from scipy.signal import sosfiltfilt

    if len(signal.samples) < 2:
        return replace(signal, samples=signal.samples * 0.0)
    lead = min(int(_SETTLING * signal.rate / lowest), len(signal.samples) - 1)
    before, after = _beyond(signal.samples, lead), _beyond(signal.samples[::-1], lead)[::-1]
    extended = np.concatenate([before, signal.samples, after])
    return replace(signal, samples=sosfiltfilt(sections, extended, padtype=None)[lead : lead + len(signal.samples)])


def _beyond(samples: NDArray[np.float64], lead: int) -> NDArray[np.float64]:
    """What may have come before some samples [shape=(lead,)]: the line through the first, and its company mirrored.

    So neither a drift nor a sound that is under way makes a step.
    """
    time = np.arange(lead + 1)
    slope, level = np.polyfit(time, samples[: lead + 1], 1) if lead > 1 else (0.0, float(samples[0]))
    company = samples[1 : lead + 1] - (level + slope * time[1:])
    return np.asarray((level - slope * time[1:] + company)[::-1])
