"""Ephraim and Malah's estimator of the spectral amplitude."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vmforensics_denoise.suppression import Suppression


class MmseStsa(Suppression):
    """Least mean square error of the short-time spectral amplitude; otherwise see `Suppression`.

    With v = ξγ/(1 + ξ): G = (√(πv)/2γ) · exp(-v/2) · [(1 + v) I₀(v/2) + v I₁(v/2)].
    """

    name: ClassVar[str] = "mmse-stsa"
    summary: ClassVar[str] = "MMSE estimator of the spectral amplitude (Ephraim-Malah), noise by quantile (blind)"
    reference: ClassVar[str] = "Ephraim & Malah 1984, doi:10.1109/TASSP.1984.1164453"

    @staticmethod
    def rule(prior: NDArray[np.float64], posterior: NDArray[np.float64]) -> NDArray[np.float64]:
        """The factor; see the class."""
        from scipy.special import i0e, i1e

        v = prior / (1 + prior) * posterior
        return np.asarray(np.sqrt(np.pi * v) / (2 * posterior) * ((1 + v) * i0e(v / 2) + v * i1e(v / 2)))
