"""Whether all of the picture moves as one, as far as its parts tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from vmforensics.data import Motion
from vmforensics_global_shutter.delays import advanced, found_delays
from vmforensics_global_shutter.frame_grid import on_frame_grid
from vmforensics_global_shutter.misfit import misfits
from vmforensics_global_shutter.shares import share_a_signal
from vmforensics_global_shutter.whitened import Whitened

_LEAST_P = 0.01  # of the differences; likelier ones are noise's
_NEARLY_ALL = 0.99  # of the power; to take parts as one then costs 0.04 dB, whatever the differences tell
_REACH = 5e-3  # s, of delays between parts


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike the parts of a picture move.

    Parameters
    ----------
    as_one : bool
        Whether all agree with one motion, or nearly so.
    share : float
        Of the power that the parts show of the signal, how much one motion of all would give: what is lost by taking
        them as one. 0 to 1.
    """

    as_one: bool
    share: float


def likeness(
    whitened: Whitened, grid: Motion, loads: NDArray[np.float64], misfit: NDArray[np.float64]
) -> Likeness | None:
    """Compare what each group carries of the signal that the others know with what one motion of all would give it.

    The differences' χ² tells whether they are noise's. The others' noise lessens what all carry alike.

    Parameters
    ----------
    whitened
        With delays undone.
    grid
        The motion whose channels the components are made of.
    loads : ndarray [shape=(components,), float64]
        What each component carries of the signal, up to a factor.
    misfit : ndarray [shape=(groups,), float64]
        Variance of what a group has besides the signal.

    Returns
    -------
    Likeness or None
        None where a group's signal isn't known by the others.
    """
    from scipy.stats import chi2

    groups = whitened.groups
    weight = 1 / misfit[whitened.group]
    readings = np.stack([whitened.components[:, g] @ (weight[g] * loads[g]) for g in groups], axis=1)
    known = np.array([float(weight[g] @ loads[g] ** 2) for g in groups])
    carried, errors = np.zeros(len(loads)), np.zeros(len(loads))
    for number, group in enumerate(groups):
        rest = max(known.sum() - known[number], 1e-300)
        others = (readings.sum(axis=1) - readings[:, number]) / rest
        energy = float(others @ others)
        signal = energy - len(others) / rest
        if signal <= 0:
            return None
        carried[group] = whitened.components[:, group].T @ others / signal
        errors[group] = np.sqrt(whitened.unevenness * misfit[number] * energy) / signal
    as_one = whitened.turn.T @ grid.response
    fitted = np.linalg.lstsq(as_one / errors[:, None], carried / errors, rcond=None)[0]
    apart = float(np.sum(((carried - as_one @ fitted) / errors) ** 2))
    plain = as_one @ np.linalg.lstsq(as_one, carried, rcond=None)[0]
    power = float(carried @ carried - errors @ errors)
    share = float(plain @ plain) / power if power > 0 else 1.0
    agree = chi2.sf(apart, len(loads) - 2) >= _LEAST_P
    return Likeness(bool(agree) or share > _NEARLY_ALL, min(share, 1.0))


def share_as_one(motion: Motion) -> float:
    """Of the power that parts of the picture show of a signal they share, how much one motion of all would give.

    Parameters
    ----------
    motion
        Measured part by part, with a global shutter.

    Returns
    -------
    float
        1 where they share no more than they would by chance.
    """
    grid = on_frame_grid(motion, "shared-signal")
    with threadpool_limits(limits=1, user_api="blas"):
        whitened, reach = Whitened.of(grid), _REACH * grid.frame_rate
        if len(whitened.groups) < 2 or not share_a_signal(whitened, reach):
            return 1.0
        shares, lags = found_delays(whitened, reach)
        whitened = advanced(whitened, lags)
        found = likeness(whitened, grid, shares.loads, misfits(whitened, shares.loads))
    return 1.0 if found is None or found.as_one else found.share
