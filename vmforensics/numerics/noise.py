"""The sensor's noise, as the clip itself shows it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

QUANTISATION = 1 / 12
"""DN²; variance that rounding to whole digital numbers adds, and the least that is ever assumed."""

_SAMPLES = 50_000  # pixels that the model is fitted to: enough for two coefficients


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """Variance a + b·I of a pixel of mean level I: read noise and photon noise.

    Foi et al. 2008, doi:10.1109/TIP.2008.2001399.

    Parameters
    ----------
    a : float, DN²
        Variance at level 0.
    b : float, DN
        Growth of the variance with the level.
    """

    a: float
    b: float

    def variance(self, level: NDArray[np.float64]) -> NDArray[np.float64]:
        """Variance at some levels (DN), never below that of rounding [shape=level.shape, float64, DN²]."""
        return np.asarray(np.maximum(self.a + self.b * level, QUANTISATION))

    @classmethod
    def fitted(
        cls, mean: NDArray[np.float64], slopes: tuple[NDArray[np.float64], ...], temporal: NDArray[np.float64]
    ) -> NoiseModel:
        """Fit the model to the temporal variance of every pixel, with the motion's share told apart.

        The variance is regressed on 1, I, I_x², I_y², I_x·I_y and (I − mean)²; the last four take up motion and
        flicker.

        Parameters
        ----------
        mean : ndarray [shape=(rows, cols), float64, DN]
            Temporal mean.
        slopes : two ndarrays [shape=(rows, cols), float64, DN/px]
            Its derivatives along and across the rows.
        temporal : ndarray [shape=(rows, cols), float64, DN²]
            Temporal variance, for instance half the mean square of the differences of successive frames.
        """
        along, down = slopes
        step = max(1, mean.size // _SAMPLES)
        level, x, y, target = (array.ravel()[::step] for array in (mean, along, down, temporal))
        centre = float(level.mean())
        apart = level - centre
        design = np.stack([np.ones_like(level), apart, x**2, y**2, x * y, apart**2], axis=1)
        scale = np.abs(design).max(axis=0)
        scale[scale == 0] = 1.0
        weight = np.ones(len(design))
        solution = np.zeros(design.shape[1])
        for _ in range(3):  # the variance of a variance grows with its square: weigh by the fit so far
            solution = np.linalg.lstsq(design / scale * weight[:, None], target * weight, rcond=None)[0] / scale
            weight = 1 / np.maximum(design @ solution, 0.05 * max(float(target.mean()), 1e-6))
        return cls(a=float(solution[0] - solution[1] * centre), b=float(solution[1]))
