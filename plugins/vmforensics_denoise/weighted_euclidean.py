"""Loizou's estimator, which weighs errors as the ear does."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vmforensics_denoise.suppression import Suppression


class WeightedEuclidean(Suppression):
    """Least mean of the amplitude's square error over the amplitude itself; otherwise see `Suppression`.

    Errors in spectral valleys weigh more than those under peaks, which mask them: the weighted Euclidean distance with
    p = -1. With v = ξγ/(1 + ξ): G = √v/(γ√π) · exp(v/2)/I₀(v/2). What the visual
    microphone's authors chose where intelligibility mattered.
    """

    name: ClassVar[str] = "weighted-euclidean"
    summary: ClassVar[str] = "perceptually weighted Euclidean estimator, p = -1 (Loizou), noise by quantile (blind)"
    reference: ClassVar[str] = "Loizou 2005, doi:10.1109/TSA.2005.851929"

    @staticmethod
    def rule(prior: NDArray[np.float64], posterior: NDArray[np.float64]) -> NDArray[np.float64]:
        """The factor; see the class."""
        from scipy.special import i0e

        v = prior / (1 + prior) * posterior
        return np.asarray(np.sqrt(v / np.pi) / (posterior * i0e(v / 2)))
