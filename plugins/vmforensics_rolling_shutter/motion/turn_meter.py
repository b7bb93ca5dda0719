"""Tells by how much each frame of a picture that stays in place is turned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Luma
from vmforensics.numerics.mean_template import MeanTemplate

_STEP = 4  # every how-manieth row is looked at: enough by far
_STRIPE = 8  # such rows, which one half has by turns: two rows of a codec's blocks


@dataclass(frozen=True, slots=True, eq=False)
class TurnMeter:
    """Two fixed linear functionals of the frame that read its angle against the template, to first order.

    A turn moves the columns of a row apart across the rows, T_y·(x - x̄)·angle. Neither sound nor drift does, for a row
    is exposed at one instant; and what it moves the rows apart along themselves may be either. The two look at stripes
    of rows by turns: what they don't agree on is no turn, but noise, or what a codec made of the picture.

    Parameters
    ----------
    functionals : ndarray [shape=(2, some rows·cols), float32, radians/DN]
    still : ndarray [shape=(2,), float64, radians]
        What they read on the template.
    """

    functionals: NDArray[np.float32]
    still: NDArray[np.float64]

    @classmethod
    def build(cls, template: MeanTemplate) -> TurnMeter:
        """Least squares with each row's motion, gain and offset projected out, weighed by information."""
        some = slice(None, None, _STEP)
        mean = template.mean[some]
        weight = template.usable[some] / template.noise.variance(mean)
        along, down = (slope[some] for slope in template.slopes)
        cols = mean.shape[1]
        turned = down * (np.arange(cols) - (cols - 1) / 2)
        level = mean - mean.mean(axis=1, keepdims=True)
        nuisance = np.stack([level, np.ones_like(mean), along, down], axis=1)
        weighted = nuisance * weight[:, None]
        normal = weighted @ nuisance.transpose(0, 2, 1)
        scale = np.sqrt(np.maximum(np.diagonal(normal, axis1=1, axis2=2), 1e-12))
        normal /= scale[:, :, None] * scale[:, None]
        share = (np.linalg.pinv(normal, hermitian=True) @ (weighted @ turned[..., None] / scale[..., None]))[..., 0]
        rest = turned - np.einsum("rk,rkc->rc", share / scale, nuisance)
        half = np.arange(len(mean)) // _STRIPE % 2
        functionals = np.zeros((2, *mean.shape))
        for k in (0, 1):
            own = half == k
            information = float(np.sum((weight * rest * turned)[own]))
            functionals[k, own] = -(weight * rest)[own] / max(information, 1e-12)
        flat = functionals.reshape(2, -1)
        return cls(flat.astype(np.float32), flat @ mean.ravel())

    def read(self, luma: Luma) -> NDArray[np.float64]:
        """The angle of frames, x towards y.

        Parameters
        ----------
        luma : ndarray [shape=(frames, rows, cols), uint8 or uint16, DN]

        Returns
        -------
        ndarray [shape=(frames, 2), float64, radians]
            As either half of the rows shows it.
        """
        return np.array([self.functionals @ frame[::_STEP].astype(np.float32).ravel() for frame in luma]) - self.still
