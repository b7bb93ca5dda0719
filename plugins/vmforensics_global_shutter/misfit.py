"""How much more than noise is left in each group of channels when what it carries of a shared signal is taken out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vmforensics_global_shutter.whitened import Whitened

_ROUNDS = 8
_NOTHING = 1e-9  # of what all know of the signal; a group can't be compared with less


def misfits(whitened: Whitened, loads: NDArray[np.float64]) -> NDArray[np.float64]:
    """Variance of what each group has besides the shared signal, in units of its noise; 1 where that is noise alone.

    A tile that moves by itself as well, or lies across two parts that move unlike, knows the signal less well than its
    noise has it. The signal that a group is compared with is that of the others, weighed by their own misfit in turn
    (iteratively reweighted least squares: Holland & Welsch 1977, doi:10.1080/03610927708827533).

    Parameters
    ----------
    whitened
        With delays undone.
    loads : ndarray [shape=(components,), float64]
        What each component carries of the signal.

    Returns
    -------
    ndarray [shape=(groups,), float64]
    """
    groups = whitened.groups
    readings = np.stack([whitened.components[:, g] @ loads[g] for g in groups], axis=1)
    power = np.array([np.mean(whitened.components[:, g].astype(np.float64) ** 2) for g in groups])
    size = np.array([float(loads[g] @ loads[g]) for g in groups])
    width = np.array([len(g) for g in groups])
    result = np.where(size > 0, 1.0, np.maximum(power, 1.0))
    for _ in range(_ROUNDS):
        known = size / result
        total = readings @ (1 / result)
        for number in np.flatnonzero(size):
            rest_known = known.sum() - known[number]
            if rest_known <= _NOTHING * known.sum():
                continue
            others = (total - readings[:, number] / result[number]) / rest_known
            # |z - l s|² = |z|² - 2 s l·z + |l|² s²
            rest = power[number] * width[number] - 2 * np.mean(others * readings[:, number])
            rest += size[number] * (np.mean(others**2) - 1 / rest_known)  # less the others' own noise
            result[number] = max(1.0, rest / width[number])
    return result
