"""The strongest common pattern of all channels, with the noise's own covariance taken out."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from vmforensics.data import Motion, Signal
from vmforensics.stages import SignalCombiner
from vmforensics_global_shutter.frame_grid import as_signal, on_frame_grid
from vmforensics_global_shutter.mixing import mixed
from vmforensics_global_shutter.whitened import Whitened


class PrincipalComponent(SignalCombiner):
    """The leading principal component of the channels' fast motion, in units of their noise.

    What stands out most of the noise, be it of one channel alone: the leading eigenvector of the whitened covariance
    less the noise's (which changes no eigenvector, for it is the identity). Channels count with what they carry, of
    either sign; delays aren't undone.
    """

    name: ClassVar[str] = "principal-component"
    summary: ClassVar[str] = "Leading principal component of the channels, noise covariance taken out"
    reference: ClassVar[str] = "Green, Berman, Switzer & Craig 1988, doi:10.1109/36.3001 (noise-whitened components)"
    selects: ClassVar[bool] = True

    def combine(self, motion: Motion) -> Signal:
        """Combine channels into one signal at the frame rate.

        Raises
        ------
        StageError
            The rows have different instants (a rolling shutter), or nothing was observed.
        """
        grid = on_frame_grid(motion, self.name)
        whitened = Whitened.of(grid)
        components = whitened.components.astype(np.float64)
        if not components.shape[1]:
            return as_signal(grid, (1.0, 0.0), self.name)
        values, vectors = np.linalg.eigh(components.T @ components / len(components))
        loads = vectors[:, -1] * np.sqrt(max(float(values[-1]) - 1, 0.0) or 1.0)
        errors = np.full(len(grid.channels), 1 / np.sqrt(len(components)))
        mixture, axis = mixed(grid, whitened.gains(loads), errors)
        return as_signal(mixture, axis, self.name)
