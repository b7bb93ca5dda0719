"""Mean brightness of every sensor row in every frame: what a lamp's flicker shows in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import SensorFrames
from vmforensics.errors import TooFewFrames


@dataclass(frozen=True, slots=True, eq=False)
class RowIntensity:
    """Row means of a clip.

    Parameters
    ----------
    values : ndarray [shape=(frames, rows), float64, digital numbers]
        Mean over each row, in readout order.
    times : ndarray [shape=(frames,), float64, s]
        Start of each frame.
    frame_rate : float, Hz
        Nominal frame rate.
    first_row : int
        Sensor row of the first row.
    saturated : float
        Share of the pixels at the pixel format's largest code.
    """

    values: NDArray[np.float64]
    times: NDArray[np.float64]
    frame_rate: float
    first_row: int = 0
    saturated: float = 0.0

    @classmethod
    def of(cls, frames: SensorFrames) -> RowIntensity:
        """Measure in one pass; frames that can't be decoded are left out.

        Raises
        ------
        TooFewFrames
            Not a single frame could be decoded.
        """
        means, index, clipped = [], [], 0
        for block in frames.blocks():
            means.append(block.luma.sum(axis=2, dtype=np.uint64) / frames.cols)
            index.append(block.index)
            clipped += int(np.count_nonzero(block.luma >= frames.full_scale))
        if not index:
            raise TooFewFrames("no frame could be decoded")
        values = np.concatenate(means)
        return cls(
            values=values,
            times=frames.clock.times[np.concatenate(index)],
            frame_rate=frames.clock.rate,
            first_row=frames.first_row,
            saturated=clipped / (values.size * frames.cols),
        )

    def binned(self, most: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Rows averaged in groups, of which there are at most so many; rows left over at the end are left out.

        Returns
        -------
        values : ndarray [shape=(frames, groups), float64, digital numbers]
        centres : ndarray [shape=(groups,), float64]
            Where each group's light comes from, in rows from the first: a bright row counts for more than a dark one.
        """
        frames, rows = self.values.shape
        size = -(-rows // most)
        groups = rows // size
        values = self.values[:, : groups * size].reshape(frames, groups, size)
        brightness = values.mean(axis=0) + 1e-9
        places = np.arange(groups * size).reshape(groups, size)
        return values.mean(axis=2), np.asarray((brightness * places).sum(axis=1) / brightness.sum(axis=1))
