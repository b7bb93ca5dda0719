"""Takes out what is too slow to be sound."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vmforensics.data import Signal
from vmforensics.errors import ParameterError
from vmforensics.stages import Denoiser, StageParams
from vmforensics.units import Hertz


class HighPassParams(StageParams):
    """Parameters of `high-pass`."""

    cutoff: Hertz = Field(default=20.0, gt=0, le=100_000, description="frequency at which 6 dB are lost, Hz")
    order: int = Field(default=4, ge=1, le=16, description="order of the Butterworth filter, applied forth and back")


_SETTLING = 2.0  # periods of the cutoff, until the filter has settled


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
        lead = min(int(_SETTLING * signal.rate / cutoff), len(signal.samples) - 1)
        before, after = _beyond(signal.samples, lead), _beyond(signal.samples[::-1], lead)[::-1]
        extended = np.concatenate([before, signal.samples, after])
        samples = sosfiltfilt(sections, extended, padtype=None)[lead : lead + len(signal.samples)]
        return replace(signal, samples=samples)


def _beyond(samples: NDArray[np.float64], lead: int) -> NDArray[np.float64]:
    """What may have come before some samples [shape=(lead,)]: the line through the first, and its company mirrored.

    So neither a drift nor a sound that is under way makes a step.
    """
    time = np.arange(lead + 1)
    slope, level = np.polyfit(time, samples[: lead + 1], 1) if lead > 1 else (0.0, float(samples[0]))
    company = samples[1 : lead + 1] - (level + slope * time[1:])
    return np.asarray((level - slope * time[1:] + company)[::-1])
