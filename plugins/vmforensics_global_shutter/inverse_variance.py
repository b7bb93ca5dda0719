"""Channels weighed by what each knows, as if none shared its noise with another."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from vmforensics.data import Motion, Signal
from vmforensics.stages import SignalCombiner
from vmforensics_global_shutter.frame_grid import as_signal, on_frame_grid


class InverseVariance(SignalCombiner):
    """The mean of the channels' readings along the axis of strongest vibration, weighed by gain² over variance.

    The simplest sum: no lags, no choice of channels, and no use made of noise that channels share, of which only the
    variances have to be right. The stated uncertainty does reckon with it.
    """

    name: ClassVar[str] = "inverse-variance"
    summary: ClassVar[str] = "Channels weighed by gain² over variance along the strongest axis; no lags"
    reference: ClassVar[str] = "Cochran 1937, doi:10.2307/2984123"

    def combine(self, motion: Motion) -> Signal:
        """Combine channels into one signal at the frame rate.

        Raises
        ------
        StageError
            The rows have different instants (a rolling shutter), or nothing was observed.
        """
        grid = on_frame_grid(motion, self.name)
        axis = grid.steadied()[0].principal_axis()
        covariance = np.linalg.pinv(grid.precision.astype(np.float64), rcond=1e-9, hermitian=True)
        variance = np.diagonal(covariance, axis1=-2, axis2=-1)
        known = variance > 0
        gain = grid.response @ np.asarray(axis)
        weight = np.where(known, gain / np.where(known, variance, 1.0), 0.0)
        total = weight @ gain
        informed = total > 0
        weight /= np.where(informed, total, 1.0)[..., None]
        noise = np.einsum("frc,frcd,frd->fr", weight, covariance, weight)
        information = np.where(informed, 1 / np.where(informed, noise, 1.0), 0.0)
        summed = np.einsum("frc,frc->fr", weight, grid.displacement, dtype=np.float64)
        one = replace(
            grid,
            displacement=np.where(grid.observed, summed, 0.0)[..., None].astype(np.float32),
            precision=information[..., None, None].astype(np.float32),
            channels=(replace(grid.channels[0], label="mean", response=axis),),
        )
        return as_signal(one, axis, self.name)
