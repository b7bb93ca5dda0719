"""The noise's power in each frequency, guessed from the signal itself: blind, for there is seldom silence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vmforensics_denoise.short_time import ShortTime

_WIDTH = 800.0  # Hz; over which a recovery's noise hardly changes, and in which steady tones are a minority


def quantile_floor(frames: ShortTime, quantile: float) -> NDArray[np.float64]:
    """Noise power by a low quantile over time of each frequency [shape=(frequencies,), float64, `unit`²].

    Sound leaves each frequency alone for a part of the time (Stahl, Fischer and Bippus 2000,
    doi:10.1109/ICASSP.2000.862122). The power of Gaussian noise is distributed exponentially: its q-quantile is
    -ln(1 - q) of its mean. A steady tone would still pass for noise, hence the median over 800 Hz about each frequency.

    Parameters
    ----------
    frames
        The signal's spectra.
    quantile
        Between 0 and 1.
    """
    low = np.quantile(frames.power[:, frames.whole], quantile, axis=1) / -np.log1p(-quantile)
    return smooth_over_frequency(low, frames.frequencies[1])


def smooth_over_frequency(level: NDArray[np.float64], spacing: float) -> NDArray[np.float64]:
    """The median over 800 Hz about each frequency: what lines there are fall out.

    Parameters
    ----------
    level : ndarray [shape=(frequencies,)]
    spacing : float, Hz
        Distance of the frequencies.
    """
    from scipy.ndimage import median_filter

    size = min(2 * round(_WIDTH / spacing / 2) + 1, len(level))
    return np.asarray(median_filter(level, size, mode="reflect"))
