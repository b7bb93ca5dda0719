"""Lists of frames in few words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MOST = 30


def in_ranges(numbers: NDArray[np.int64]) -> str:
    """Increasing whole numbers as ranges; after 30 of them, how many numbers are left out.

    >>> in_ranges(np.array([2, 3, 4, 7, 9, 10]))
    '2-4, 7, 9-10'
    """
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    shown = [f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs[:_MOST]]
    left = sum(len(run) for run in runs[_MOST:])
    return ", ".join(shown) + (f" and {left} more" if left else "")
