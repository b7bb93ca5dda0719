"""The slow motion of the whole picture: a hand, a pole in the wind. It is far larger than any sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from vmforensics.data.motion import Motion

FASTEST = 12.0
"""Hz; motion of whole frames below it counts as sway, and so does what is below a fifth of the frame rate."""


@dataclass(frozen=True, slots=True, eq=False)
class Sway:
    """A smooth path of the picture.

    Parameters
    ----------
    path
        A spline from seconds to (x, y) in px.
    first, last : float, s
        Middle of the first and of the last frame; the path is held outside.
    """

    path: Any
    first: float
    last: float

    @classmethod
    def of(cls, motion: Motion) -> Sway:
        """Smooth the frames' mean motion (Whittaker 1923, doi:10.1017/S0013091500077853: penalised second differences).

        A frame without any observation is bridged.
        """
        from scipy.interpolate import make_interp_spline
        from scipy.linalg import solveh_banded

        mean, weight = _frame_means(motion)
        frames = len(weight)
        middle = motion.frame_times + float(motion.row_offsets.mean())
        relative = weight / (weight.max(initial=0.0) or 1.0)
        if frames < 4:
            mean = np.broadcast_to((relative @ mean) / (relative.sum() or 1.0), (frames + 1, 2))
            ends = np.append(middle, middle[-1] + 1.0)
            return cls(make_interp_spline(ends, mean, k=1), float(middle[0]), float(middle[-1]))
        cutoff = min(FASTEST, motion.frame_rate / 5)
        stiffness = float(np.median(relative)) / (2 * np.sin(np.pi * cutoff / motion.frame_rate)) ** 4
        band = np.zeros((3, frames))  # DᵀD of the second difference D, upper diagonals
        taps = (1.0, -2.0, 1.0)
        for a in range(3):
            for b in range(a, 3):
                band[2 - (b - a), b : b + frames - 2] += stiffness * taps[a] * taps[b]
        band[2] += relative + 1e-9
        smooth = solveh_banded(band, relative[:, None] * mean)
        return cls(make_interp_spline(middle, smooth, k=3), float(middle[0]), float(middle[-1]))

    def at(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """The path at some times (s) [shape=(*times.shape, 2), float64, px along x and y]."""
        return np.asarray(self.path(np.clip(times, self.first, self.last)))

    def along(self, axis: tuple[float, float], times: NDArray[np.float64]) -> NDArray[np.float64]:
        """The path's component along an axis (unit vector) [shape=times.shape, float64, px]."""
        return np.asarray(self.at(times) @ np.asarray(axis))


def _frame_means(motion: Motion) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Each frame's (x, y) by weighted least squares over its rows and channels, and the information in it."""
    frames, rows = motion.observed.shape
    response = motion.response
    gain = np.einsum("ca,frcd->frad", response, motion.precision, dtype=np.float64)
    normal = gain @ response
    moment = np.zeros((frames, 2))
    total = np.zeros((frames, 2, 2))
    for row in range(rows):
        seen = motion.observed[:, row]
        own = min(row, gain.shape[1] - 1)
        moment += np.where(seen[:, None], np.einsum("fad,fd->fa", gain[:, own], motion.displacement[:, row]), 0.0)
        total += np.where(seen[:, None, None], normal[:, own], 0.0)
    strength = np.trace(total, axis1=1, axis2=2)
    ridge = 1e-6 * (strength.max(initial=0.0) or 1.0) * np.eye(2)
    return np.asarray(np.linalg.solve(total + ridge, moment[..., None])[..., 0]), strength
