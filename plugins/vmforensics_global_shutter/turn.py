"""What is left of the tiles' motion when the picture's slow turning is taken out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Clock
from vmforensics.data.sway import Sway

_ROUNDS = 3  # of smoothing, for each falls short of a fast sway (twicing: Tukey 1977)


def turned_back(
    displacement: NDArray[np.float32],
    observed: NDArray[np.bool_],
    turn: NDArray[np.float64],
    clock: Clock,
    response: NDArray[np.float64],
    centres: NDArray[np.float64],
) -> None:
    """Take the slow turning of the picture about its middle out of every channel, in place.

    What is too fast to be a hand's stays: a thing that rocks turns some tiles against others.

    Parameters
    ----------
    displacement : ndarray [shape=(frames, channels), float32, px]
    observed : ndarray [shape=(frames,), bool]
    turn : ndarray [shape=(frames,), float64, radians]
        By how much the picture was turned; positive turns right towards down. 0 where it wasn't observed.
    clock
        When the frames were taken.
    response : ndarray [shape=(channels, 2), float64]
        What the channels read of a motion to the right and down.
    centres : ndarray [shape=(channels, 2), float64, px]
        The points that they look at, from the picture's middle.
    """
    times, rate, weight = clock.times, clock.rate, observed.astype(np.float64)
    seen = np.stack([turn, np.zeros(len(turn))], axis=1)
    path = Sway.through(seen, weight, times, frame_rate=rate)
    for _ in range(_ROUNDS - 1):
        path = path.with_rest(Sway.through(seen - path.at(times), weight, times, frame_rate=rate))
    slow = path.at(times)[observed, 0]
    for k, centre in enumerate(centres):
        displacement[observed, k] -= (turned_by(slow, centre) @ response[k]).astype(np.float32)


def turned_by(angle: NDArray[np.float64] | float, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far points [shape=(..., 2), from the middle] go when they are turned about it [shape=(..., 2)]."""
    cos, sin = np.cos(angle) - 1, np.sin(angle)
    x, y = points[..., 0], points[..., 1]
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)
