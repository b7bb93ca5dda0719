"""The normal equations of motion on a picture's gradient, with brightness gain and offset as nuisances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics_global_shutter.spectral import NOISE_GAIN
from vmforensics_global_shutter.still import View

_SUREST = 4.0  # times what the template's noise alone feigns; a direction with less information isn't measured
_VAGUE = 2.0  # px; a direction known no better than that isn't either


@dataclass(frozen=True, slots=True, eq=False)
class Equations:
    """What every pixel contributes to the normal equations.

    Parameters
    ----------
    picture : ndarray [shape=(rows, cols), float32, DN]
    gradient : ndarray [shape=(2, rows, cols), float32, DN/px]
        Its derivatives along and across the rows.
    weight : ndarray [shape=(rows, cols), float32, 1/DN²]
        One over the variance of a pixel's noise; 0 for one that doesn't count.
    frames : int
        How many frames the picture is the mean of.
    instrument : ndarray [shape=(2, rows, cols), float32] or None
        What the pixels are weighed by in its place (the method of instrumental variables); the gradient if None.
    """

    picture: NDArray[np.float32]
    gradient: NDArray[np.float32]
    weight: NDArray[np.float32]
    frames: int
    instrument: NDArray[np.float32] | None = None

    @classmethod
    def of(cls, view: View) -> Equations:
        """Those of a view."""
        return cls(view.picture.astype(np.float32), view.gradient, view.weight, view.frames)

    def sampled(self, step: int) -> Equations:
        """Those of every so-manieth pixel of every so-manieth row."""
        some = np.s_[..., ::step, ::step]
        return Equations(self.picture[some], self.gradient[some], self.weight[some], self.frames)

    def _projected(
        self, place: tuple[slice, slice]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float32]]:
        """What tells (dx, dy) in a tile; gain and offset are projected out.

        Returns
        -------
        information : ndarray [shape=(2, 2), float64]
            What a motion changes in the moments.
        noise : ndarray [shape=(2, 2), float64]
            Covariance of the moments' noise; with the gradient for instrument, the same as the information.
        moments : ndarray [shape=(2, pixels), float32]
            The pixels' shares in them.
        """
        picture = self.picture[place]
        design = np.ones((4, picture.size), np.float32)
        np.subtract(picture, picture.mean() if picture.size else 0, out=design[0].reshape(picture.shape))
        np.negative(self.gradient[:, *place], out=design[2:].reshape(2, *picture.shape))
        used = design
        if self.instrument is not None:
            used = design.copy()
            np.negative(self.instrument[:, *place], out=used[2:].reshape(2, *picture.shape))
        weighted = used * self.weight[place].ravel()
        normal = (weighted @ design.T).astype(np.float64)
        ridge = (1e-9 * np.trace(normal[:2, :2]) + 1e-12) * np.eye(2)
        share = np.linalg.solve(normal[:2, :2] + ridge, normal[2:, :2].T).T
        projection = np.concatenate([-share, np.eye(2)], axis=1)
        information = projection @ normal[:, 2:]
        noise = information
        if self.instrument is not None:
            noise = projection @ (weighted @ used.T).astype(np.float64) @ projection.T
        return information, noise, projection.astype(np.float32) @ weighted

    def _feigned(self, place: tuple[slice, slice]) -> float:
        """Information that the picture's own noise feigns, as its derivative sees it: an eigenvalue too much."""
        return float(NOISE_GAIN / self.frames * np.count_nonzero(self.weight[place]))

    def information(self, place: tuple[slice, slice]) -> NDArray[np.float64]:
        """On (dx, dy) in a tile [shape=(2, 2), float64, 1/px²]."""
        return self._projected(place)[0] - self._feigned(place) * np.eye(2)

    def solved(self, place: tuple[slice, slice]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Functionals for (dx, dy) of a tile, and the inverse covariance of what they read.

        Returns
        -------
        functionals : ndarray [shape=(2, pixels), float32, px/DN]
        precision : ndarray [shape=(2, 2), float64, 1/px²]
        """
        information, noise, moments = self._projected(place)
        feigned = self._feigned(place)
        if self.instrument is None:
            information = information - feigned * np.eye(2)
        values, vectors = np.linalg.eigh((information + information.T) / 2)
        keep = values > max(_SUREST * feigned, 1 / _VAGUE**2, 1e-6 * values[-1])
        if not keep.any():
            return np.zeros_like(moments), np.zeros((2, 2))
        shown = vectors[:, keep]
        inverse = shown @ np.linalg.inv(shown.T @ information @ shown) @ shown.T
        covariance = inverse @ noise @ inverse.T * (1 + 1 / self.frames)
        return inverse.astype(np.float32) @ moments, np.linalg.pinv(covariance, rcond=1e-6, hermitian=True)
