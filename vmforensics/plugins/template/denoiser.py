"""Takes out what is too high to be voice."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from vmforensics.data import Signal
from vmforensics.stages import Denoiser, StageParams
from vmforensics.units import Hertz


class MyStageParams(StageParams):
    """Parameters of `my-stage`."""

    cutoff: Hertz = Field(default=3000.0, gt=0, le=100_000, description="frequency at which 6 dB are lost, Hz")
    order: int = Field(default=4, ge=1, le=16, description="order of the Butterworth filter, applied forth and back")


class MyStage(Denoiser):
    """Butterworth low-pass, applied forth and back: no phase shift, twice the attenuation.

    σ is left as it is: an upper bound, as the filter only takes noise away.
    """

    name: ClassVar[str] = "my-stage"
    summary: ClassVar[str] = "zero-phase Butterworth low-pass"
    reference: ClassVar[str] = "Butterworth 1930, On the theory of filter amplifiers"
    Params: ClassVar[type[StageParams]] = MyStageParams

    def denoise(self, signal: Signal) -> Signal:
        """Filter; a signal that ends below the cutoff stays as it is."""
        from scipy.signal import butter, sosfiltfilt

        if self.params.cutoff >= signal.rate / 2:
            return signal
        sections = butter(self.params.order, self.params.cutoff, fs=signal.rate, output="sos")
        pad = min(6 * len(sections), len(signal.samples) - 1)
        return replace(signal, samples=sosfiltfilt(sections, signal.samples, padlen=pad))
