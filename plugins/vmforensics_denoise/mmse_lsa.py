"""Ephraim and Malah's estimator of the logarithm of the spectral amplitude."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vmforensics_denoise.suppression import Suppression


def log_spectral_gain(prior: NDArray[np.float64], posterior: NDArray[np.float64]) -> NDArray[np.float64]:
    """G = ξ/(1 + ξ) · exp(½ E₁(v)) with v = ξγ/(1 + ξ)."""
    from scipy.special import exp1

    wiener = prior / (1 + prior)
    return np.asarray(wiener * np.exp(0.5 * exp1(wiener * posterior)))


class MmseLsa(Suppression):
    """Least mean square error of the logarithm of the spectral amplitude; otherwise see `Suppression`.

    With v = ξγ/(1 + ξ): G = ξ/(1 + ξ) · exp(½ E₁(v)).
    """

    name: ClassVar[str] = "mmse-lsa"
    summary: ClassVar[str] = "MMSE estimator of the log-spectral amplitude (Ephraim-Malah), noise by quantile (blind)"
    reference: ClassVar[str] = "Ephraim & Malah 1985, doi:10.1109/TASSP.1985.1164550"

    rule = staticmethod(log_spectral_gain)
