"""Takes the power of the noise out of the signal's short-time spectrum."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
from pydantic import Field

from vmforensics.data import Signal
from vmforensics.stages import Denoiser, StageParams
from vmforensics.units import Seconds


class SpectralSubtractionParams(StageParams):
    """Parameters of `spectral-subtraction`."""

    oversubtraction: float = Field(default=1.5, ge=0, le=20, description="multiple of the noise power subtracted")
    floor: float = Field(default=0.02, ge=0, le=1, description="share of the noise power that is always left")
    window: Seconds = Field(default=0.032, ge=0.002, le=1, description="length of the analysis window, s")


class SpectralSubtraction(Denoiser):
    """Power-spectral subtraction, its noise power known from the recovery's own σ instead of guessed from pauses.

    With P = |Y|² and N the power that white noise of the signal's σ has in the same window, the amplitude is scaled by
    √(max(P - αN, βN) / P), phase unchanged. Steady tones, which a blind noise estimate would take for noise, stay.
    Afterwards σ is the same: an upper bound.
    """

    name: ClassVar[str] = "spectral-subtraction"
    summary: ClassVar[str] = "subtracts the noise power that the recovery's own σ predicts"
    reference: ClassVar[str] = "Boll 1979, doi:10.1109/TASSP.1979.1163209; Berouti, Schwartz & Makhoul 1979"
    Params: ClassVar[type[StageParams]] = SpectralSubtractionParams

    def denoise(self, signal: Signal) -> Signal:
        """Subtract; see the class."""
        from scipy.signal import ShortTimeFFT

        size = len(signal.samples)
        length = max(4, 4 * round(self.params.window * signal.rate / 4))
        if size < length:  # too short to hold one window: nothing can be told apart
            return signal
        window = np.sin(np.pi * (np.arange(length) + 0.5) / length)
        transform = ShortTimeFFT(window, hop=length // 4, fs=signal.rate, fft_mode="onesided")
        spectrum = transform.stft(signal.samples)
        power = np.abs(spectrum) ** 2
        variance = ShortTimeFFT(window**2, hop=length // 4, fs=signal.rate, fft_mode="onesided")
        noise = np.abs(variance.stft(signal.sigma**2)[0])  # Σ w²σ² in each window, the bin at 0 Hz
        left = np.maximum(power - self.params.oversubtraction * noise, self.params.floor * noise)
        gain = np.sqrt(np.minimum(left / np.where(power > 0, power, 1.0), 1.0))
        return replace(signal, samples=np.asarray(transform.istft(gain * spectrum, k1=size), dtype=np.float64))
