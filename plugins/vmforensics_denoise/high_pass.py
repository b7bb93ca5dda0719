"""Takes out what is too slow to be sound."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from vmforensics.data import Signal
from vmforensics.errors import ParameterError
from vmforensics.stages import Denoiser, StageParams
from vmforensics.units import Hertz
from vmforensics_denoise.butterworth import zero_phase


class HighPassParams(StageParams):
    """Parameters of `high-pass`."""

    cutoff: Hertz = Field(default=20.0, gt=0, le=100_000, description="frequency at which 6 dB are lost, Hz")
    order: int = Field(default=4, ge=1, le=16, description="order of the Butterworth filter, applied forth and back")


class HighPass(Denoiser):
    """Butterworth high-pass, applied forth and back: no phase shift, twice the attenuation.

    σ is left as it is: an upper bound, as the filter only takes noise away.
    """

    name: ClassVar[str] = "high-pass"
    summary: ClassVar[str] = "zero-phase Butterworth high-pass against camera sway and drift"
    reference: ClassVar[str] = "Butterworth 1930, On the theory of filter amplifiers"
    Params: ClassVar[type[StageParams]] = HighPassParams

    def denoise(self, signal: Signal) -> Signal:
        """Filter.

        Raises
        ------
        ParameterError
            The cutoff isn't below half the signal's rate.
        """
        from scipy.signal import butter

        cutoff = self.params.cutoff
        if cutoff >= signal.rate / 2:
            raise ParameterError(
                f"high-pass: cutoff {cutoff:g} Hz isn't below half the signal's rate of {signal.rate:g} Hz",
                hint=f"choose a cutoff below {signal.rate / 2:g} Hz, or leave the high-pass out",
            )
        return zero_phase(signal, butter(self.params.order, cutoff, "highpass", fs=signal.rate, output="sos"), cutoff)
