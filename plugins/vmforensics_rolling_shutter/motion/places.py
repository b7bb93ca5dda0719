"""Where the picture stood at each row, as well as the rows themselves know it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics_rolling_shutter.motion.halves import CHANNELS
from vmforensics_rolling_shutter.motion.row_solver import pseudo_inverse

FIRST_ORDER = 0.05
"""px of motion up to which the linearisation about the template is exact enough."""

_WIDEST = 15  # rows that a row's place is averaged over,
_SPAN = 0.3e-3  # s; and the time: sound hardly moves on in so short a one
_FRAMES_AT_ONCE = 64


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """The frames' motion, and what a few rows about each row read beyond it.

    Iterating yields, for some frames after others, their slice and [shape=(frames, rows, 2), float64, px]. Where the
    rows together know their place to no better than the first order's reach, only the frame's motion counts.

    Parameters
    ----------
    readings : ndarray [shape=(frames, rows, channels), float32, px]
        What the rows read, to first order.
    gain : ndarray [shape=(rows, 2, channels), float64, 1/px²]
        Gᵀ P of each row, with the channels' responses G and precision P.
    sway : ndarray [shape=(frames, 2), float64, px]
        Motion of each whole frame along x and y, by weighted least squares over its rows and halves.
    span
        How many rows are few.
    """

    readings: NDArray[np.float32]
    gain: NDArray[np.float64]
    sway: NDArray[np.float64]
    span: int

    @classmethod
    def of(cls, readings: NDArray[np.float32], precision: NDArray[np.float32], line_delay: float) -> Places:
        """Measure the frames' motion.

        Parameters
        ----------
        readings : ndarray [shape=(frames, rows, channels), float32, px]
        precision : ndarray [shape=(rows, channels, channels), float32, 1/px²]
        line_delay : float, s
            Time between rows; 0 for a global shutter.
        """
        span = int(np.clip(_SPAN / line_delay, 1, _WIDEST)) if line_delay else _WIDEST
        gain = np.einsum("ca,rcd->rad", _RESPONSE, precision, dtype=np.float64)
        normal = np.einsum("rad,db->ab", gain, _RESPONSE)
        moments = [np.einsum("rad,frd->fa", gain, readings[part], optimize=True) for part in _parts(len(readings))]
        return cls(readings, gain, np.concatenate(moments) @ pseudo_inverse(normal, 0.0), span)

    def __iter__(self) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        from scipy.ndimage import uniform_filter1d

        normal = uniform_filter1d(self.gain @ _RESPONSE, self.span, axis=0, mode="constant") * self.span
        known = pseudo_inverse(normal, 1 / FIRST_ORDER**2) * self.span
        for part in _parts(len(self.readings)):
            sway = self.sway[part, None]
            beyond = self.readings[part] - sway @ _RESPONSE.T
            moment = (self.gain @ beyond[..., None])[..., 0]
            moment = uniform_filter1d(moment, self.span, axis=1, mode="constant")
            yield part, sway + (known @ moment[..., None])[..., 0]


_RESPONSE = np.array([channel.response for channel in CHANNELS])


def _parts(frames: int) -> Iterator[slice]:
    for first in range(0, frames, _FRAMES_AT_ONCE):
        yield slice(first, min(first + _FRAMES_AT_ONCE, frames))
