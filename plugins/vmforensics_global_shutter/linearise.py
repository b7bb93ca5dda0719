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

    def levers(self, view: View) -> NDArray[np.float64]:
        """What each channel reads as the view turns about where its middle stands [shape=(channels,), px/radian].

        0 for a channel that looks at no place of its own.
        """
        rows, cols = view.picture.shape
        along = (np.arange(cols) - (cols - 1) / 2 - view.place[0]).astype(np.float32)
        down = (np.arange(rows) - (rows - 1) / 2 - view.place[1]).astype(np.float32)[:, None]
        read = self.functionals.on(down * view.gradient[0] - along * view.gradient[1])
        return np.where([c.place is not None for c in self.channels], read, 0.0)

    def centres(self, levers: NDArray[np.float64]) -> NDArray[np.float64]:
        """The point whose motion each channel reads as the picture turns [shape=(channels, 2), px from its middle].

        It isn't the middle of the channel's place: what has more detail counts more.
        """
        centres = np.zeros((len(self.channels), 2))
        for place in {c.place for c in self.channels if c.place is not None}:
            own = [i for i, c in enumerate(self.channels) if c.place == place]
            turned = np.array([(c.response[1], -c.response[0]) for c in (self.channels[i] for i in own)])
            centres[own] = np.linalg.lstsq(turned, levers[own], rcond=None)[0]
        return centres

    def rigid(self, own: Sequence[int], levers: NDArray[np.float64], sure: float) -> NDArray[np.float64]:
        """What the readings of some channels contribute to their common displacement and turn.

        Parameters
        ----------
        own : sequence of int
            The channels.
        levers : ndarray [shape=(channels,), float64, px/radian]
            Of all channels.
        sure : float, radians
            Standard uncertainty up to which a turn is believed; else it is taken for 0.

        Returns
        -------
        ndarray [shape=(3, channels), float64]
        """
        response = np.array([self.channels[i].response for i in own]).reshape(-1, 2)
        known = self.precision[np.ix_(own, own)]
        unit = max(float(np.abs(levers).max(initial=0.0)), 1.0)
        design = np.column_stack([response, levers[list(own)] / unit])
        gain = design.T @ known
        inverse = np.linalg.pinv(gain @ design, rcond=1e-3, hermitian=True)
        if not 0 < inverse[2, 2] < (sure * unit) ** 2:
            return np.vstack([self.locator(own), np.zeros(len(own))])
        return np.asarray(inverse @ gain / np.array([[1], [1], [unit]]))

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
