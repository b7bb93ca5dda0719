"""Channels made comparable: fast motion only, in units of the noise, sorted into groups that share no noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Channel, Motion

_LOWEST = 20.0  # Hz; slower motion (a sway, a hand) tells nothing of who vibrates
_ORDER = 4
_APART = 0.01  # correlation of two channels' noise, up to which they count as independent
_UNKNOWN = 1e-4  # of a channel's mean information in a frame: what a direction that it doesn't show counts as
_NOTHING = 1e-6  # of the largest information in a group: as good as none


@dataclass(frozen=True, slots=True, eq=False)
class Whitened:
    """The fast motion in every channel, as components with independent noise of variance 1.

    Parameters
    ----------
    components : ndarray [shape=(frames, components), float32, 1]
        Motion above 20 Hz; 0 where nothing was observed.
    fast : ndarray [shape=(frames, channels), float32, px]
        The same in every channel.
    group : ndarray [shape=(components,), int64]
        Which group of channels a component belongs to. Channels that share noise or a place are in one.
    turn : ndarray [shape=(channels, components), float64, 1/px]
        components = displacement @ turn.
    covariance : ndarray [shape=(channels, channels), float64, px²]
        Of the channels' noise.
    seen : float
        Share of the frames that were observed.
    unevenness : float
        Mean fourth power of how they fade in and out, and are 0 in gaps, over the squared mean second: the variance of
        a sum of products is so many times that of samples which are all alike.
    """

    components: NDArray[np.float32]
    fast: NDArray[np.float32]
    group: NDArray[np.int64]
    turn: NDArray[np.float64]
    covariance: NDArray[np.float64]
    seen: float = 1.0
    unevenness: float = 1.0

    @classmethod
    def of(cls, grid: Motion) -> Whitened:
        """The components of a motion on the frames' grid."""
        precision = _usual(grid.precision)
        labels = _groups(precision, grid.channels)
        turns, group = [], []
        for label in range(labels.max(initial=-1) + 1):
            own = np.flatnonzero(labels == label)
            values, vectors = np.linalg.eigh(precision[np.ix_(own, own)])
            known = values > _NOTHING * values[-1]
            turn = np.zeros((len(labels), int(known.sum())))
            turn[own] = vectors[:, known] * np.sqrt(values[known])
            turns.append(turn)
            group += [label] * turn.shape[1]
        turn = np.concatenate(turns, axis=1) if turns else np.zeros((len(labels), 0))
        fast, share, unevenness = _fast(grid)
        covariance = np.asarray(np.linalg.pinv(precision, rcond=_NOTHING, hermitian=True), dtype=np.float64)
        components = fast @ (turn / np.sqrt(share)).astype(np.float32)
        return cls(
            components, fast, np.array(group, np.int64), turn, covariance, float(grid.observed.mean()), unevenness
        )

    @property
    def groups(self) -> list[NDArray[np.int64]]:
        """The components of each group."""
        return [np.flatnonzero(self.group == g) for g in range(self.group.max(initial=-1) + 1)]

    def gains(self, loads: NDArray[np.float64]) -> NDArray[np.float64]:
        """What channels read of a signal that components carry with the given loads [shape=(channels,), float64]."""
        return np.asarray(self.covariance @ self.turn @ loads)


def _usual(precision: NDArray[np.float32]) -> NDArray[np.float64]:
    """Inverse of the mean covariance of the frames [shape=(channels, channels), float64, 1/px²].

    Where it differs from frame to frame, their mean precision would make the noise of most larger than 1. A direction
    that a frame doesn't show is unknown in it, not free of noise.
    """
    if len(precision) == 1:
        return np.asarray(precision.mean(axis=(0, 1), dtype=np.float64))
    telling = np.trace(precision[:, 0], axis1=1, axis2=2) > 0
    if not telling.any():
        return np.zeros(precision.shape[2:])
    each = precision[telling, 0].astype(np.float64)
    scale = np.trace(each, axis1=1, axis2=2)[:, None, None] / each.shape[1]
    covariance = np.linalg.inv(each + _UNKNOWN * scale * np.eye(each.shape[1]))
    return np.asarray(np.linalg.inv(covariance.mean(axis=0)))


def _groups(precision: NDArray[np.float64], channels: tuple[Channel, ...]) -> NDArray[np.int64]:
    """Which group each channel belongs to [shape=(channels,), int64]; -1 for one without information."""
    from scipy.sparse.csgraph import connected_components

    strength = np.sqrt(np.diag(precision))
    known = strength > 0
    scale = np.where(known, strength, 1.0)
    joined = np.abs(precision) > _APART * np.outer(scale, scale)
    joined |= np.array([[a.place is not None and a.place == b.place for b in channels] for a in channels])
    _, labels = connected_components(joined[np.ix_(known, known)], directed=False)
    result = np.full(len(precision), -1, np.int64)
    result[known] = labels
    return result


def _fast(grid: Motion) -> tuple[NDArray[np.float32], float, float]:
    """Motion above 20 Hz [shape=(frames, channels), float32, px], the share of white noise that it keeps, unevenness.

    It is 0 in gaps, and fades in and out: at its ends a filter rings in all channels alike, which would look as if they
    shared something.
    """
    from scipy.signal import butter, sosfiltfilt
    from scipy.signal.windows import tukey

    seen = grid.observed[:, 0]
    where, size, top = np.arange(len(seen)), len(seen), grid.frame_rate / 2
    period = int(np.ceil(3 * grid.frame_rate / _LOWEST))
    slow = top <= 2 * _LOWEST or size < 8
    grid = grid.steadied()[0] if slow else grid
    filtering = None if slow else butter(_ORDER, _LOWEST / top, "highpass", output="sos")
    faded = np.ones(size) if slow else tukey(size, min(1.0, 2 * grid.frame_rate / _LOWEST / size)) ** 2 * seen
    fast = np.empty((size, len(grid.channels)), np.float32)
    for channel in range(len(grid.channels)):  # one by one: of a long clip all together would take gigabytes
        values = grid.displacement[:, 0, channel].astype(np.float64)
        if not seen.all():
            values = np.interp(where, where[seen], values[seen])
        values -= values.mean()
        if filtering is not None:
            values = sosfiltfilt(filtering, values, padlen=min(period, size - 2))
        fast[:, channel] = values * np.sqrt(faded)
    if slow:
        return fast, 1.0, 1.0
    share = (1 - _LOWEST / top) * float(np.mean(faded))
    return fast, share, float(np.mean(faded**2) / np.mean(faded) ** 2)
