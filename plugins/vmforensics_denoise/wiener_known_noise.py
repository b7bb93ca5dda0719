"""The Wiener filter with the noise that the recovery itself states."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from vmforensics.data import Signal
from vmforensics.stages import Denoiser, StageParams
from vmforensics.units import Seconds
from vmforensics_denoise.decision_directed import suppressed_both_ways
from vmforensics_denoise.short_time import ShortTime
from vmforensics_denoise.wiener import Wiener


class WienerKnownNoiseParams(StageParams):
    """Parameters of `wiener-known-noise`."""

    window: Seconds = Field(default=0.04, ge=0.002, le=1, description="length of the analysis window, s")
    smoothing: float = Field(
        default=0.94, ge=0, lt=1, description="weight of the neighbouring frames in the a-priori SNR"
    )
    least_snr: float = Field(default=-25.0, ge=-60, le=0, description="lowest a-priori SNR, dB; limits the suppression")


class WienerKnownNoise(Denoiser):
    """Wiener filter on short-time spectra whose noise isn't guessed: it is the recovery's own σ, sample by sample.

    A window's noise power is Σ w²σ² over its samples: it follows what changes over the clip, and the larger σ of
    samples that were synthesised. Steady tones, which a blind estimate would take for noise, stay. Empty gaps are no
    noise and stay empty. The a-priori signal-to-noise ratio looks ahead as well as back. Nothing is made louder. σ
    grows where more than noise was taken out.
    """

    name: ClassVar[str] = "wiener-known-noise"
    summary: ClassVar[str] = "Wiener filter, its noise the recovery's own σ, its a-priori SNR looking both ways"
    reference: ClassVar[str] = (
        "Scalart & Vieira Filho 1996, doi:10.1109/ICASSP.1996.543199; Cohen 2004, IEEE Signal Process. Lett. 11, 725"
    )
    Params: ClassVar[type[StageParams]] = WienerKnownNoiseParams

    def denoise(self, signal: Signal) -> Signal:
        """Suppress; a signal that holds not a single window comes back as it is."""
        params = self.params
        frames = ShortTime.of(signal, params.window)
        if frames is None:
            return signal
        least = 10 ** (params.least_snr / 10)
        noise = frames.stated_noise()
        return frames.scaled(
            suppressed_both_ways(frames.power, noise, Wiener.rule, smoothing=params.smoothing, least=least)
        )
