"""Takes the noise out of the signal's short-time spectrum by subtraction."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vmforensics.data import Signal
from vmforensics.stages import Denoiser, StageParams
from vmforensics.units import Seconds
from vmforensics_denoise.short_time import ShortTime

_EXPONENT = {"power": 2.0, "magnitude": 1.0}
_MEAN = {"power": 1.0, "magnitude": np.sqrt(np.pi) / 2}  # of |N|^exponent over N^(exponent/2), N = E|N|² (Rayleigh)


class SpectralSubtractionParams(StageParams):
    """Parameters of `spectral-subtraction`."""

    oversubtraction: float = Field(default=1.5, ge=0, le=20, description="multiple of the noise power subtracted")
    floor: float = Field(default=0.02, ge=0, le=1, description="share of the noise power that is always left")
    window: Seconds = Field(default=0.032, ge=0.002, le=1, description="length of the analysis window, s")
    rule: Literal["power", "magnitude"] = Field(
        default="power",
        description="subtract powers (Berouti) or magnitudes (Boll); oversubtraction and floor then count on these",
    )


class SpectralSubtraction(Denoiser):
    """Spectral subtraction, its noise power known from the recovery's own σ instead of guessed from pauses.

    With P = |Y|² and N the power that white noise of the signal's σ has in the same window, the amplitude is scaled by
    √(max(P - αN, βN) / P), phase unchanged; with `rule: magnitude`, by max(|Y| - αM, βM) / |Y|, with M = √(πN)/2 the
    mean of the noise's magnitude. Steady tones, which a blind noise estimate would take for noise, stay. Nothing is
    made louder. σ grows where more than noise was taken out.
    """

    name: ClassVar[str] = "spectral-subtraction"
    summary: ClassVar[str] = "subtracts the noise power that the recovery's own σ predicts"
    reference: ClassVar[str] = (
        "Boll 1979, doi:10.1109/TASSP.1979.1163209; Berouti, Schwartz & Makhoul 1979, doi:10.1109/ICASSP.1979.1170788"
    )
    Params: ClassVar[type[StageParams]] = SpectralSubtractionParams

    def denoise(self, signal: Signal) -> Signal:
        """Subtract; a signal that holds not a single window comes back as it is."""
        params = self.params
        frames = ShortTime.of(signal, params.window)
        if frames is None:
            return signal
        return frames.scaled(
            subtraction_gain(frames.power, frames.stated_noise(), params.oversubtraction, params.floor, params.rule)
        )


def subtraction_gain(
    power: NDArray[np.float64], noise: NDArray[np.float64], oversubtraction: float, floor: float, rule: str
) -> NDArray[np.float64]:
    """Factor on the amplitude, at most 1; see `SpectralSubtraction`.

    Parameters
    ----------
    power, noise : ndarray [shapes that broadcast, float64]
        |Y|² and E|N|².
    oversubtraction, floor
        α and β.
    rule
        "power" or "magnitude".
    """
    exponent = _EXPONENT[rule]
    seen, expected = power ** (exponent / 2), _MEAN[rule] * noise ** (exponent / 2)
    left = np.maximum(seen - oversubtraction * expected, floor * expected)
    return np.asarray(np.minimum(left / np.where(seen > 0, seen, 1.0), 1.0) ** (1 / exponent))
