"""Cohen's optimally modified log-spectral amplitude estimator, which knows that sound isn't always there."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vmforensics.data import Signal
from vmforensics.stages import Denoiser, StageParams
from vmforensics.units import Seconds
from vmforensics_denoise.decision_directed import TINY
from vmforensics_denoise.minima_controlled import MinimaControlled
from vmforensics_denoise.mmse_lsa import log_spectral_gain
from vmforensics_denoise.noise_floor import quantile_floor
from vmforensics_denoise.short_time import ShortTime

_MOST_ABSENT = 0.95  # a-priori probability of absence, at most
_LEAST_SNR = 10**-2.5  # lowest a-priori SNR, -25 dB


class OmLsaParams(StageParams):
    """Parameters of `om-lsa`."""

    window: Seconds = Field(default=0.032, ge=0.002, le=1, description="length of the analysis window, s")
    smoothing: float = Field(
        default=0.92, ge=0, lt=1, description="weight of the frame before in the decision-directed a-priori SNR"
    )
    least_gain: float = Field(default=-25.0, ge=-60, le=0, description="gain where there is no sound, dB")
    quantile: float = Field(
        default=0.3, gt=0, lt=1, description="quantile over time that the first noise estimate is taken from"
    )


class OmLsa(Denoiser):
    """Log-spectral amplitude estimation under uncertain presence of sound, with a noise floor that follows.

    G = G_LSA^p · G_min^(1-p), where p = 1/(1 + q/(1 - q) · (1 + ξ) exp(-v)) is the probability that a window holds
    sound at a frequency, v = ξγ/(1 + ξ), and q its a-priori complement, from minima of the power over time. Nothing is
    made louder. σ grows where more than noise was taken out.
    """

    name: ClassVar[str] = "om-lsa"
    summary: ClassVar[str] = "optimally modified LSA estimator with minima-controlled noise, OM-LSA and IMCRA (blind)"
    reference: ClassVar[str] = (
        "Cohen & Berdugo 2001, doi:10.1016/S0165-1684(01)00128-1; Cohen 2003, doi:10.1109/TSA.2003.811544"
    )
    Params: ClassVar[type[StageParams]] = OmLsaParams

    def denoise(self, signal: Signal) -> Signal:
        """Suppress; a signal that holds not a single window comes back as it is."""
        params = self.params
        frames = ShortTime.of(signal, params.window)
        if frames is None:
            return signal
        tracker = MinimaControlled(quantile_floor(frames, params.quantile), frames.frequencies[1])
        least = 10 ** (params.least_gain / 20)
        gain = np.empty_like(frames.power)
        before = np.zeros(len(gain))  # |X|² of the frame before, were sound present
        for k, power in enumerate(frames.power.T):
            absence = np.minimum(tracker.absence(power), _MOST_ABSENT)
            posterior = np.maximum(power / tracker.noise, TINY)
            fresh = np.maximum(posterior - 1, 0.0)
            prior = params.smoothing * before / tracker.noise + (1 - params.smoothing) * fresh if k else fresh
            prior = np.maximum(prior, _LEAST_SNR)
            present = presence(prior, posterior, absence)
            loud = np.minimum(log_spectral_gain(prior, posterior), 1.0)
            gain[:, k] = loud**present * least ** (1 - present)
            before = loud**2 * power
            tracker.learn(power, present)
        return frames.scaled(gain)


def presence(
    prior: NDArray[np.float64], posterior: NDArray[np.float64], absence: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Probability that sound is present: 1/(1 + q/(1 - q) · (1 + ξ) exp(-v)) (Cohen & Berdugo 2001).

    Parameters
    ----------
    prior, posterior, absence : ndarray
        ξ and γ, and the a-priori probability q of absence, below 1.
    """
    v = prior / (1 + prior) * posterior
    return np.asarray(1 / (1 + absence / (1 - absence) * (1 + prior) * np.exp(-v)))
