"""How clearly two ways of reading the same motion show it, as the motion itself tells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SLOWEST = 20.0  # Hz; what is slower tells of a hand and of template errors, not of sound
_LEAST_REST = 1e-9  # of the power; noise whose estimate came out negative
_SURE = 5.0  # standard errors that the power common to the halves must have


@dataclass(frozen=True, slots=True)
class Clarity:
    """Signal-to-noise ratios of the motion, both halves taken together.

    Parameters
    ----------
    inferred, plain : float
        Of what was inferred from the codec's decisions, and of what plain least squares reads.
    """

    inferred: float
    plain: float


def clarity(inferred: NDArray[np.floating], plain: NDArray[np.floating], rate: float) -> Clarity | None:
    """Compare both along the axis on which the inferred halves agree most.

    The power X of the motion is the mean product s0·s1 of its two inferred halves, whose errors are independent. Plain
    halves may share the codec's errors; so their gain g isn't told by p0·p1, but by g·X = p0·s1, of pixels that have no
    part in one another. The ratio of either is then the power that it has of the motion over what else it holds: X over
    Var(s) - X, and g²X over Var(p) - g²X.

    Parameters
    ----------
    inferred, plain : ndarray [shape=(frames, 4), px]
        x and y of half 0, and of half 1, of the same pixels.
    rate : float, Hz
        Frames per second.

    Returns
    -------
    Clarity or None
        None where the motion doesn't stand out of the noise by five standard errors, so that nothing can be compared.
    """
    s, p = (_fast(values.astype(np.float64), rate).reshape(-1, 2, 2) for values in (inferred, plain))
    crossed = s[:, 0].T @ s[:, 1]
    axis = np.linalg.eigh(crossed + crossed.T)[1][:, -1]
    s, p = s @ axis, p @ axis
    power = float(np.mean(s[:, 0] * s[:, 1]))
    error = float(np.sqrt(np.prod(np.mean(s**2, axis=0)) / len(s)))
    if power < _SURE * error:
        return None
    gain = float(np.mean(p[:, 0] * s[:, 1] + p[:, 1] * s[:, 0])) / 2 / power
    return Clarity(_ratio(power, s), _ratio(gain**2 * power, p))


def _ratio(power: float, halves: NDArray[np.float64]) -> float:
    """The power that the halves' mean has of a motion, over what else it holds."""
    whole = float(np.mean(np.mean(halves, axis=1) ** 2))
    return power / max(whole - power, _LEAST_REST * power)


def _fast(values: NDArray[np.float64], rate: float) -> NDArray[np.float64]:
    """Without each channel's running mean."""
    from scipy.ndimage import uniform_filter1d

    return np.asarray(values - uniform_filter1d(values, max(round(rate / _SLOWEST), 3), axis=0, mode="nearest"))
