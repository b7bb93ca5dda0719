"""Takes out what is too slow to be sound."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from vmforensics.data import Signal
from vmforensics.errors import ParameterError
from vmforensics.stages import Denoiser, StageParams
from vmforensics.units import Hertz


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
    reference: ClassVar[str] = "Butterworth 1930; Gustafsson 1996, doi:10.1109/78.492552 (filtering forth and back)"
    Params: ClassVar[type[StageParams]] = HighPassParams

    def denoise(self, signal: Signal) -> Signal:
        """Filter.

        Raises
        ------
        ParameterError
            The cutoff isn't below half the signal's rate.
        """
        from scipy.signal import butter, sosfiltfilt

        cutoff, order = self.params.cutoff, self.params.order
        if cutoff >= signal.rate / 2:
            raise ParameterError(
                f"high-pass: cutoff {cutoff:g} Hz isn't below half the signal's rate of {signal.rate:g} Hz",
                hint=f"choose a cutoff below {signal.rate / 2:g} Hz, or leave the high-pass out",
            )
        if len(signal.samples) < 2:
            return replace(signal, samples=signal.samples * 0.0)
        sections = butter(order, cutoff, "highpass", fs=signal.rate, output="sos")
        settling = int(signal.rate / cutoff)
        samples = sosfiltfilt(sections, signal.samples, padlen=min(settling, len(signal.samples) - 1))
        return replace(signal, samples=samples)
