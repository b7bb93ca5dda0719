"""What a method has to offer to the engine: its functionals for one view of the still picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Channel, Region
from vmforensics_global_shutter.functionals import Functionals
from vmforensics_global_shutter.still import View


@dataclass(frozen=True, slots=True, eq=False)
class Linearisation:
    """How displacement is read off frames that stand near one place.

    Parameters
    ----------
    functionals : Functionals
    channels : tuple of Channel
        What each of them reads.
    precision : ndarray [shape=(channels, channels), float64, 1/px²]
        Inverse covariance of the readings' noise; zero for what carries no information.
    """

    functionals: Functionals
    channels: tuple[Channel, ...]
    precision: NDArray[np.float64]

    def place(self, readings: NDArray[np.float64], half: int | None = None) -> NDArray[np.float64]:
        """The displacement common to the channels, or to those of one half, by weighted least squares.

        Parameters
        ----------
        readings : ndarray [shape=(frames, channels), float64, px]
        half
            0 or 1; all channels if None.

        Returns
        -------
        ndarray [shape=(frames, 2), float64, px]
            0 along what the channels don't show.
        """
        own = [i for i, c in enumerate(self.channels) if half is None or c.half == half]
        return np.asarray(readings[:, own] @ self.locator(own).T)

    def locator(self, own: Sequence[int]) -> NDArray[np.float64]:
        """What the readings of some channels contribute to their common displacement [shape=(2, channels), float64]."""
        response = np.array([self.channels[i].response for i in own]).reshape(-1, 2)
        gain = response.T @ self.precision[np.ix_(own, own)]
        return np.asarray(np.linalg.pinv(gain @ response, rcond=1e-3, hermitian=True) @ gain)

    def certain_places(self, sigma: float) -> list[list[int]]:
        """The channels of each place (`Channel.place`) whose displacement is known to some px in both directions."""
        places: dict[Region, list[int]] = {}
        for i, channel in enumerate(self.channels):
            if channel.place is not None:
                places.setdefault(channel.place, []).append(i)
        certain = []
        for own in places.values():
            response = np.array([self.channels[i].response for i in own])
            information = response.T @ self.precision[np.ix_(own, own)] @ response
            if np.linalg.eigvalsh(information)[0] > 1 / sigma**2:
                certain.append(own)
        return certain


class Lineariser(Protocol):
    """A method that reads displacement by linear functionals."""

    def linearise(self, view: View) -> Linearisation:
        """Its functionals for frames that look like a view; the channels are the same for every view."""
