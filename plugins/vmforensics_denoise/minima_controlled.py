"""Improved minima controlled recursive averaging: a noise floor that follows, and how likely sound is present.

Cohen 2003, Noise spectrum estimation in adverse environments, doi:10.1109/TSA.2003.811544.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vmforensics_denoise.noise_floor import smooth_over_frequency

_ACROSS = np.array([0.25, 0.5, 0.25])  # b: Hann weights over neighbouring frequencies
_SMOOTHING = 0.9  # α_s, of the power over time
_AVERAGING = 0.85  # α_d, of the noise over time
_COMPENSATION = 1.47  # β: the averaged noise lies below the true one, for its peaks pass for sound
_MINIMUM_BIAS = 1.66  # B_min: mean noise over its minimum
_LOUD, _LOUD_ON_AVERAGE = 4.6, 1.67  # γ₀ and ζ₀: above them sound is present
_MAYBE_LOUD = 3.0  # γ₁
_LEAST_NOISE = 1e-6  # of the first estimate's peak; keeps ratios finite
_SUBWINDOWS, _SUBWINDOW = 8, 15  # U, V: the minimum is taken over U·V frames


@dataclass(eq=False)
class _Minimum:
    """Running minimum of a smoothed power over the last U windows of V frames, and the smoothed power itself."""

    smoothed: NDArray[np.float64]
    lowest: NDArray[np.float64] = field(init=False)
    _current: NDArray[np.float64] = field(init=False)
    _stored: list[NDArray[np.float64]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lowest = self._current = self.smoothed

    def update(self, power: NDArray[np.float64]) -> None:
        self.smoothed = _SMOOTHING * self.smoothed + (1 - _SMOOTHING) * power
        self.lowest = np.minimum(self.lowest, self.smoothed)
        self._current = np.minimum(self._current, self.smoothed)

    def next_window(self) -> None:
        self._stored = [*self._stored, self._current][-_SUBWINDOWS:]
        self.lowest = np.min(self._stored, axis=0)
        self._current = self.smoothed


class MinimaControlled:
    """Noise power by recursive averaging where sound is absent, controlled by minima over time.

    Two rounds of smoothing and minimum tracking: the first tells roughly where sound is, the second leaves that out.
    Different from the paper, each minimum is replaced by its median over 800 Hz, for a recovery's noise is smooth over
    frequency and a steady tone isn't; and the first estimate is a given one, not the first frame's power.

    Parameters
    ----------
    noise : ndarray [shape=(frequencies,), float64]
        First estimate of the noise's power.
    spacing : float, Hz
        Distance of the frequencies.
    """

    def __init__(self, noise: NDArray[np.float64], spacing: float) -> None:
        self._least = max(_LEAST_NOISE * float(noise.max()), float(np.finfo(np.float64).tiny))
        self.noise = np.maximum(noise, self._least)
        self._averaged = self.noise / _COMPENSATION
        self._spacing = spacing
        self._rough, self._fine = _Minimum(self.noise), _Minimum(self.noise)
        self._count = 0

    def absence(self, power: NDArray[np.float64]) -> NDArray[np.float64]:
        """Take in a frame: how likely, before looking at it closely, sound is absent [shape=(frequencies,), 0 to 1].

        Parameters
        ----------
        power : ndarray [shape=(frequencies,), float64]
            |Y|² of the frame.
        """
        self._rough.update(_across(power))
        floor = self._floor(self._rough)
        absent = (power < _LOUD * floor) & (self._rough.smoothed < _LOUD_ON_AVERAGE * floor)
        weight = _across(absent.astype(np.float64))
        quiet = np.divide(_across(absent * power), weight, out=self._fine.smoothed.copy(), where=weight > 0)
        self._fine.update(quiet)
        floor = self._floor(self._fine)
        unsure = np.clip((_MAYBE_LOUD - power / floor) / (_MAYBE_LOUD - 1), 0.0, 1.0)
        self._count += 1
        if self._count % _SUBWINDOW == 0:
            self._rough.next_window()
            self._fine.next_window()
        return np.where(self._rough.smoothed < _LOUD_ON_AVERAGE * floor, unsure, 0.0)

    def learn(self, power: NDArray[np.float64], presence: NDArray[np.float64]) -> None:
        """Average the noise on where sound is absent.

        Parameters
        ----------
        power, presence : ndarray [shape=(frequencies,), float64]
            |Y|² of the frame, and the probability that it holds sound.
        """
        keep = _AVERAGING + (1 - _AVERAGING) * presence
        self._averaged = keep * self._averaged + (1 - keep) * power
        self.noise = np.maximum(_COMPENSATION * self._averaged, self._least)

    def _floor(self, minimum: _Minimum) -> NDArray[np.float64]:
        return np.maximum(_MINIMUM_BIAS * smooth_over_frequency(minimum.lowest, self._spacing), self._least)


def _across(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted mean over neighbouring frequencies; beyond the ends they are mirrored."""
    return np.convolve(np.pad(power, 1, mode="reflect"), _ACROSS, mode="valid")
