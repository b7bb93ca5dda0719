"""Keeps a band of frequencies."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from vmforensics.data import Signal
from vmforensics.errors import ParameterError
from vmforensics.stages import Denoiser, StageParams
from vmforensics.units import Hertz
from vmforensics_denoise.butterworth import zero_phase


class BandPassParams(StageParams):
    """Parameters of `band-pass`."""

    low: Hertz = Field(default=100.0, gt=0, le=100_000, description="lower frequency at which 6 dB are lost, Hz")
    high: Hertz = Field(default=1000.0, gt=0, le=100_000, description="upper frequency at which 6 dB are lost, Hz")
    order: int = Field(default=4, ge=1, le=16, description="order of each flank, applied forth and back")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low, {self.low:g} Hz, must be below high, {self.high:g} Hz")
        return self


class BandPass(Denoiser):
    """Butterworth band-pass, applied forth and back: no phase shift, twice the attenuation.

    The usual band, 100 to 1000 Hz, is where things that a voice sets in motion move most. σ is left as it is: an upper
    bound of the noise in the band; what the filter takes of the sound outside it isn't counted.
    """

    name: ClassVar[str] = "band-pass"
    summary: ClassVar[str] = "zero-phase Butterworth band-pass"
    reference: ClassVar[str] = "Butterworth 1930, On the theory of filter amplifiers"
    Params: ClassVar[type[StageParams]] = BandPassParams

    def denoise(self, signal: Signal) -> Signal:
        """Filter.

        Raises
        ------
        ParameterError
            The upper cutoff isn't below half the signal's rate.
        """
        from scipy.signal import butter

        low, high = self.params.low, self.params.high
        if high >= signal.rate / 2:
            raise ParameterError(
                f"band-pass: high, {high:g} Hz, isn't below half the signal's rate of {signal.rate:g} Hz",
                hint=f"choose a lower one; without an upper cutoff, take high-pass with cutoff {low:g} Hz",
            )
        sections = butter(self.params.order, (low, high), "bandpass", fs=signal.rate, output="sos")
        return zero_phase(signal, sections, low)
