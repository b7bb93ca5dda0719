"""Where neighbouring rows of a picture stand that turns as well: their displacement and their angle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vmforensics_rolling_shutter.motion.row_fit import ONE_WAY, FrameFit, mean_of_groups, motion_of_groups
from vmforensics_rolling_shutter.motion.row_solver import pseudo_inverse


def placed(fit: FrameFit, places: NDArray[np.float64], cols: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where groups of neighbouring rows stand, and the information about it.

    What the left and the right side of a row move apart across the rows is an angle; it is exact where they don't, so
    that to come back with the places found leads there (Gauss-Newton with a coarse Jacobian).

    Parameters
    ----------
    fit
        Of a frame's rows.
    places : ndarray [shape=(rows, 3), float64, px, px and radians]
        Where they were looked for.
    cols
        Length of a row.

    Returns
    -------
    places : ndarray [shape=(groups, 3), float64, px, px and radians]
    information : ndarray [shape=(groups,), float64, 1/px²]
    """
    information, moment = fit.sides()
    arm = cols / 4  # px from the middle to a side's own
    normal, moments = np.zeros((len(places), 3, 3)), np.zeros((len(places), 3))
    for side, place in enumerate((-1.0, 1.0)):
        shown = np.stack([np.tile(row, (len(places), 1)) for row in ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0])], axis=1)
        shown[:, 1, 2] = place - places[:, 0] / arm
        back = np.swapaxes(shown, 1, 2)
        normal += back @ information[:, side] @ shown
        moments += (back @ moment[:, side, :, None])[..., 0]
    normal, moments = (mean_of_groups(one) for one in (normal, moments))
    floor = ONE_WAY / 4 * np.trace(normal[:, :2, :2], axis1=1, axis2=2)[:, None]
    moved = (pseudo_inverse(normal, floor) @ moments[..., None])[..., 0]
    moved[:, 2] /= arm
    _, known = motion_of_groups(information.sum(axis=1), moment.sum(axis=1))
    return mean_of_groups(places) + moved, known
