"""The Wiener filter on short-time spectra."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vmforensics_denoise.suppression import Suppression


class Wiener(Suppression):
    """Least mean square error of the spectrum: G = ξ/(1 + ξ); otherwise see `Suppression`."""

    name: ClassVar[str] = "wiener"
    summary: ClassVar[str] = "Wiener filter, a-priori SNR decision-directed, noise floor by quantile (blind)"
    reference: ClassVar[str] = "Scalart & Vieira Filho 1996, doi:10.1109/ICASSP.1996.543199"

    @staticmethod
    def rule(prior: NDArray[np.float64], posterior: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: ARG004
        """G = ξ/(1 + ξ)."""
        return prior / (1 + prior)
