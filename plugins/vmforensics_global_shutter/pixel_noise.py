"""The noise of each pixel, measured on the clip itself with brightness changes and motion taken out."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

_TILE = 64  # px; what moves within a tile is taken to move as one


class PixelNoise:
    """Temporal variance of every pixel about what the template explains.

    In each tile of each frame, the difference from the template is fitted by least squares with the tile's offset,
    gain and displacement (Lucas & Kanade 1981, first order); the remainder is noise. No model of the camera is
    assumed: the variance may depend on brightness and place.

    Parameters
    ----------
    template : ndarray [shape=(rows, cols), float64, DN]
        Temporal mean of the frames.
    gradient : ndarray [shape=(2, rows, cols), float64, DN/px]
        Its derivatives along x and y.
    """

    def __init__(self, template: NDArray[np.float64], gradient: NDArray[np.float64]) -> None:
        rows, cols = template.shape
        self._total = np.zeros(template.shape)
        self._count = 0
        self._tiles = [
            ((slice(*y), slice(*x)), _explained(template[slice(*y), slice(*x)], gradient[:, slice(*y), slice(*x)]))
            for y, x in product(pairwise(_edges(rows)), pairwise(_edges(cols)))
        ]

    def add(self, difference: NDArray[np.float32]) -> None:
        """Take in frames.

        Parameters
        ----------
        difference : ndarray [shape=(frames, rows, cols), float32, DN]
            Frames minus template.
        """
        for place, basis in self._tiles:
            pixels = difference[:, *place].reshape(len(difference), -1)
            remainder = pixels - (pixels @ basis) @ basis.T
            energy = np.einsum("fp,fp->p", remainder, remainder) * (len(basis) / (len(basis) - basis.shape[1]))
            self._total[place] += energy.reshape(self._total[place].shape)
        self._count += len(difference)

    def variance(self) -> NDArray[np.float64]:
        """Variance of each pixel [shape=(rows, cols), float64, DN²]; the template's mean has cost one frame."""
        return self._total / (self._count - 1)


def _edges(size: int) -> list[int]:
    """Edges of nearly equal tiles."""
    return [round(i) for i in np.linspace(0, size, max(1, round(size / _TILE)) + 1)]


def _explained(template: NDArray[np.float64], gradient: NDArray[np.float64]) -> NDArray[np.float32]:
    """Orthonormal basis of what offset, gain and motion can change in a tile [shape=(pixels, at most 4), float32]."""
    columns = np.stack([np.ones(template.size), template.ravel() - template.mean(), *gradient.reshape(2, -1)], axis=1)
    scale = np.sqrt(np.mean(columns**2, axis=0))
    columns = columns[:, scale > 1e-6 * max(scale.max(), 1.0)]
    u, s, _ = np.linalg.svd(columns / np.sqrt(np.mean(columns**2, axis=0)), full_matrices=False)
    return np.asarray(u[:, s > 1e-3 * s[0]], dtype=np.float32)
