"""From what channels carry of a signal to that signal, in px along one axis."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Motion

_ALIKE = 0.02  # of a length; others that differ by less agree with it, whatever their errors
_ERRORS = 2.0  # so many standard errors apart they still agree
_ROUNDS = 10


def mixed(grid: Motion, gains: NDArray[np.float64], errors: NDArray[np.float64]) -> tuple[Motion, tuple[float, float]]:
    """The motion with responses such that `along` gives the signal whose share in each channel is given.

    Each place's channels give the vector by which it moves. The axis is the direction of most motion, by information;
    the level is the largest length that many of them agree on: a tile that only half moves, at the edge of what
    does, doesn't lower it.

    Parameters
    ----------
    grid
        As measured.
    gains : ndarray [shape=(channels,), float64]
        What each channel reads of the signal, up to one common factor; 0 for one that doesn't carry it.
    errors : ndarray [shape=(channels,), float64]
        Their relative standard errors.

    Returns
    -------
    Motion
    (float, float)
        The axis, a unit vector (x, y), x not negative.
    """
    precision = grid.precision.mean(axis=(0, 1), dtype=np.float64)
    places: dict[object, list[int]] = {}
    for number, channel in enumerate(grid.channels):
        places.setdefault(channel.place, []).append(number)
    vectors, known, vague = [], [], []
    for own in places.values():
        if not gains[own].any():
            continue
        response = grid.response[own]
        weight = response.T @ precision[np.ix_(own, own)]
        information = weight @ response
        vector = np.linalg.pinv(information, rcond=1e-3, hermitian=True) @ weight @ gains[own]
        vectors.append(vector)
        vague.append(float(errors[own].max(initial=0.0, where=gains[own] != 0)))
        known.append(max(float(vector @ information @ vector), 0.0))
    lengths = np.linalg.norm(vectors, axis=1)
    weights = np.array(known)
    turned = np.array(vectors) / np.where(lengths > 0, lengths, 1.0)[:, None]
    x, y = np.linalg.eigh((turned.T * weights) @ turned)[1][:, -1].tolist()
    axis = (-x, -y) if x < 0 or (x == 0 and y < 0) else (x, y)
    level = _common(lengths, weights, np.array(vague) * lengths)
    sign = 1.0 if float(weights @ (turned @ np.asarray(axis))) >= 0 else -1.0
    own_gains = sign * gains / level
    channels = tuple(
        replace(channel, response=(float(g * axis[0]), float(g * axis[1])))
        for channel, g in zip(grid.channels, own_gains, strict=True)
    )
    return replace(grid, channels=channels), axis


def _common(lengths: NDArray[np.float64], weights: NDArray[np.float64], errors: NDArray[np.float64]) -> float:
    """The largest length that many agree with: as many, by weight, as a third of those that the most agree with."""
    apart = np.abs(lengths[:, None] - lengths[None, :])
    alike = apart <= _ERRORS * np.hypot(errors[:, None], errors[None, :]) + _ALIKE * lengths[:, None]
    agreeing = alike @ weights
    level = float(np.max(lengths[agreeing >= agreeing.max() / 3]))
    for _ in range(_ROUNDS):  # to the middle of those around it (mean shift: Fukunaga & Hostetler 1975)
        own = weights * (np.abs(lengths - level) <= _ERRORS * errors + _ALIKE * level)
        level = float(own @ lengths / own.sum()) if own.any() else level
    return level
