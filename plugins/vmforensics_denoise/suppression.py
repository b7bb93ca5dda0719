"""What the blind suppression rules share: everything but the rule."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vmforensics.data import Signal
from vmforensics.stages import Denoiser, StageParams
from vmforensics.units import Seconds
from vmforensics_denoise.decision_directed import suppressed
from vmforensics_denoise.noise_floor import quantile_floor
from vmforensics_denoise.short_time import ShortTime


class SuppressionParams(StageParams):
    """Parameters of a blind suppression rule."""

    window: Seconds = Field(default=0.032, ge=0.002, le=1, description="length of the analysis window, s")
    smoothing: float = Field(
        default=0.98, ge=0, lt=1, description="weight of the frame before in the decision-directed a-priori SNR"
    )
    least_snr: float = Field(default=-25.0, ge=-60, le=0, description="lowest a-priori SNR, dB; limits the suppression")
    quantile: float = Field(
        default=0.3, gt=0, lt=1, description="quantile over time that the noise's power is taken from"
    )


class Suppression(Denoiser):
    """A factor G(ξ, γ) on each short-time spectral amplitude, phase unchanged.

    ξ is the decision-directed a-priori, γ the a-posteriori signal-to-noise ratio; the noise's power is guessed from
    the signal itself, by a quantile over time. Nothing is made louder. σ grows where more than noise was taken out.
    """

    Params: ClassVar[type[StageParams]] = SuppressionParams

    @staticmethod
    @abstractmethod
    def rule(prior: NDArray[np.float64], posterior: NDArray[np.float64]) -> NDArray[np.float64]:
        """The factor on the amplitude, for a-priori and a-posteriori signal-to-noise ratios above 0."""

    def denoise(self, signal: Signal) -> Signal:
        """Suppress; a signal that holds not a single window comes back as it is."""
        params = self.params
        frames = ShortTime.of(signal, params.window)
        if frames is None:
            return signal
        noise = quantile_floor(frames, params.quantile)[:, None]
        least = 10 ** (params.least_snr / 10)
        return frames.scaled(suppressed(frames.power, noise, self.rule, smoothing=params.smoothing, least=least))
