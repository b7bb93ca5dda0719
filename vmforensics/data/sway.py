"""The slow motion of the whole picture: a hand, a pole in the wind. It is far larger than any sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FASTEST = 8.0
"""Hz; motion of whole frames below it counts as sway, and so does what is below a third of the frame rate."""


@dataclass(frozen=True, slots=True, eq=False)
class Sway:
    """A smooth path of the picture.

    Parameters
    ----------
    path
        A spline from seconds to (x, y) in px.
    first, last : float, s
        Between these the path is known; it is held outside.
    """

    path: Any
    first: float
    last: float

    @classmethod
    def through(
        cls, mean: NDArray[np.float64], weight: NDArray[np.float64], middle: NDArray[np.float64], *, frame_rate: float
    ) -> Sway:
        """Smooth the frames' mean motion (Whittaker 1923, doi:10.1017/S0013091500077853: penalised second differences).

        Parameters
        ----------
        mean : ndarray [shape=(frames, 2), float64, px]
            Motion of each whole frame along x and y.
        weight : ndarray [shape=(frames,), float64, 1/px²]
            The information in it; a frame without any is bridged.
        middle : ndarray [shape=(frames,), float64, s]
            Middle of each frame.
        frame_rate : float, Hz
            Nominal frame rate.
        """
        from scipy.interpolate import make_interp_spline
        from scipy.linalg import solveh_banded

        frames = len(weight)
        relative = weight / (weight.max(initial=0.0) or 1.0)
        if frames < 4:
            mean = np.broadcast_to((relative @ mean) / (relative.sum() or 1.0), (frames + 1, 2))
            ends = np.append(middle, middle[-1] + 1.0)
            return cls(make_interp_spline(ends, mean, k=1), float(middle[0]), float(middle[-1]))
        cutoff = min(FASTEST, frame_rate / 3)
        stiffness = float(np.median(relative)) / (2 * np.sin(np.pi * cutoff / frame_rate)) ** 4
        band = np.zeros((3, frames))  # DᵀD of the second difference D, upper diagonals
        taps = (1.0, -2.0, 1.0)
        for a in range(3):
            for b in range(a, 3):
                band[2 - (b - a), b : b + frames - 2] += stiffness * taps[a] * taps[b]
        band[2] += relative + 1e-9
        smooth = solveh_banded(band, relative[:, None] * mean)
        degree = 5 if frames > 5 else 3
        beyond = 0.5 / frame_rate  # rows that were read before the first middle and after the last
        return cls(make_interp_spline(middle, smooth, k=degree), float(middle[0] - beyond), float(middle[-1] + beyond))

    def with_rest(self, rest: Sway) -> Sway:
        """The sum of two paths through the same frames; where the rest lies on the whole is left out."""
        beyond = rest.path.c - rest.path.c.mean(axis=0)
        return Sway(type(self.path)(self.path.t, self.path.c + beyond, self.path.k), self.first, self.last)

    def at(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """The path at some times (s) [shape=(*times.shape, 2), float64, px along x and y]."""
        return np.asarray(self.path(np.clip(times, self.first, self.last)))

    def along(self, axis: tuple[float, float], times: NDArray[np.float64]) -> NDArray[np.float64]:
        """The path's component along an axis (unit vector) [shape=times.shape, float64, px]."""
        return np.asarray(self.at(times) @ np.asarray(axis))
