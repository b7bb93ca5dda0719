"""The motion with one half's frames in another order: nothing is common to the halves any more but what feigns it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Motion

_SEED = 20140727


def shuffled(motion: Motion, seed: int = 0) -> Motion:
    """Put the frames of the second half of the pixels into another order.

    Each half keeps its own noise, its rows' patterns and whatever a codec did to it; a motion that both saw loses its
    place in time. A test that still finds something common has found what every frame repeats.

    Parameters
    ----------
    motion
        With its sway taken out (`Motion.steadied`), or that would be what is found.
    seed
        Different orders for different seeds.
    """
    second = [k for k, channel in enumerate(motion.channels) if channel.half == 1]
    displacement = motion.displacement.copy()
    order = _order(motion.observed, seed)
    for k in second:
        displacement[:, :, k] = np.where(motion.observed, motion.displacement[order, :, k], 0)
    return replace(motion, displacement=displacement)


def _order(observed: NDArray[np.bool_], seed: int) -> NDArray[np.int64]:
    """A random order of the frames that keeps none in its place, among those whose same rows were observed."""
    generator = np.random.Generator(np.random.PCG64([_SEED, seed]))
    order = np.arange(len(observed))
    _, kind = np.unique(np.packbits(observed, axis=1), axis=0, return_inverse=True)
    for each in range(int(kind.max(initial=-1)) + 1):
        frames = np.flatnonzero(kind.ravel() == each)
        mixed = generator.permutation(frames)
        order[mixed] = np.roll(mixed, 1)  # one cycle through all of them
    return order
