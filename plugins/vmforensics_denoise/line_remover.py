"""Takes steady lines out: the mains' hum in the light, and what a camera repeats from frame to frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vmforensics.data import Signal
from vmforensics.stages import Denoiser, StageParams
from vmforensics.units import Hertz

_MAINS_RANGE = 0.2  # Hz to both sides of the nominal frequency, that a public grid stays within
_MAINS_STEP = 0.02  # Hz
_MAINS_SPREAD = 0.02  # Hz RMS; how a public grid wanders about it
_TRACKED = (1, 2)  # multiples that the mains frequency is found by: higher ones sweep over more of the sound
_NOTCH = 1.86  # window length times the notch's width at half the power, for a Hann window applied twice
_LEAST_PERIODS = 4  # of the lines' spacing in a signal: in fewer a line can't be told from its neighbours
_RIDGE = 1e-4  # of a line's information; keeps small what empty gaps leave undetermined


class LineRemoverParams(StageParams):
    """Parameters of `line-remover`."""

    frame_rate: Hertz | None = Field(
        default=None, ge=1, le=100_000, description="frame rate whose multiples are lines, Hz; null: none"
    )
    mains: Literal[50, 60] | None = Field(
        default=None, description="mains frequency, multiples of twice which are lines, Hz; null: none"
    )
    harmonics: int = Field(default=20, ge=1, le=100, description="multiples taken out, of each of the two")
    width: Hertz = Field(default=1.0, ge=0.25, le=10, description="width of a notch where half the power is lost, Hz")


class LineRemover(Denoiser):
    """Fits sines of slowly varying amplitude at the lines' frequencies, and subtracts them.

    In windows of 1.86 / width, a quarter of that apart, x(t) ≈ c + Σ_k a_k cos 2πf_k t + b_k sin 2πf_k t is solved by
    least squares, and the windows' fits, faded into one another, are taken out of all samples but empty gaps: no shift
    in time, and nothing that rings. Frame-rate lines lie at k · frame_rate, mains lines at 2k · f, with f found in each
    window by the lines at 2f and 4f, within 0.2 Hz of the nominal frequency.

    To the lines everything else is noise, the sound too: a sample's weight is 1 / (σ² + s²), with s the signal's own
    RMS, times the window. Synthesised samples count by their σ; were they left out, a sound would look, through the
    regular gaps, as if it had another one a multiple of the frame rate away. Empty gaps hold nothing to fit and do so.

    Half the power is lost half a `width` from a line, and less than 0.1 dB beyond one `width`; within half a window of
    the signal's ends, notches have wider flanks. σ takes up the fit's uncertainty; what sound went with the lines can't
    be known.
    """

    name: ClassVar[str] = "line-remover"
    summary: ClassVar[str] = "subtracts lines at multiples of the frame rate and of twice the mains frequency"
    reference: ClassVar[str] = (
        "Thomson 1982, doi:10.1109/PROC.1982.12433 (lines by regression); Harris 1978, doi:10.1109/PROC.1978.10837"
    )
    Params: ClassVar[type[StageParams]] = LineRemoverParams

    def denoise(self, signal: Signal) -> Signal:
        """Subtract; a signal that no line can be told apart in comes back as it is, with a warning."""
        spacing = [rate for rate in (self.params.frame_rate, 2 * (self.params.mains or 0)) if rate]
        if not spacing:
            return _warned(signal, "took nothing out: its parameters name neither a frame rate nor a mains frequency")
        if signal.duration * min(spacing) < _LEAST_PERIODS:
            return _warned(signal, f"took nothing out: the signal of {signal.duration:.2g} s is too short for lines")
        length = round(_NOTCH / self.params.width * signal.rate)
        size = len(signal.samples)
        if size < length:
            width = 1.2 / signal.duration  # of an even window, applied once
            signal = _warned(signal, f"took out notches {width:.2g} Hz wide: the signal is too short for narrower ones")
        held = signal.observed | (signal.samples != 0) | (signal.sigma > 0)  # the rest are empty gaps
        disturbance = signal.sigma**2 + float(np.mean(signal.samples[held] ** 2)) if held.any() else 0.0
        if not np.any(disturbance):
            return signal
        weight = held / np.where(held, disturbance, 1.0)

        lines, variance, total = np.zeros(size), np.zeros(size), np.zeros(size)
        for part, fade in _windows(size, length):
            time = (np.arange(part.start, part.stop) - (part.start + part.stop) / 2) / signal.rate
            fitted, spread = self._fit(time, signal.samples[part], fade * weight[part], fade, signal.rate)
            lines[part] += fade * fitted
            variance[part] += fade * spread
            total[part] += fade
        return replace(
            signal,
            samples=np.where(held, signal.samples - lines / total, 0.0),
            sigma=np.where(held, np.sqrt(signal.sigma**2 + variance / total), 0.0),
        )

    def _fit(
        self,
        time: NDArray[np.float64],
        samples: NDArray[np.float64],
        weight: NDArray[np.float64],
        fade: NDArray[np.float64],
        rate: float,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The lines in one window, and the variance they are known to [shape=(n,), float64, `unit` and its square]."""
        angle = 2 * np.pi * np.outer(time, self._frequencies(time, samples, weight, rate))
        design = np.concatenate([np.ones((len(time), 1)), np.cos(angle), np.sin(angle)], axis=1)
        weighted = weight[:, None] * design
        normal = weighted.T @ design
        normal += np.diag(np.full(len(normal), _RIDGE * normal[0, 0] + np.finfo(float).tiny))
        inverse = np.linalg.inv(normal)
        solution = inverse @ (weighted.T @ samples)
        solution[0] = 0.0  # a constant is no line; it is fitted lest it look like one
        covariance = inverse @ (weighted.T @ (fade[:, None] * design)) @ inverse
        covariance[0], covariance[:, 0] = 0.0, 0.0
        return design @ solution, np.einsum("nk,nk->n", design @ covariance, design)

    def _frequencies(
        self, time: NDArray[np.float64], samples: NDArray[np.float64], weight: NDArray[np.float64], rate: float
    ) -> NDArray[np.float64]:
        """The lines' frequencies in one window [shape=(lines,), float64, Hz]."""
        params = self.params
        multiples = np.arange(1, params.harmonics + 1)
        frames = multiples * (params.frame_rate or np.inf)
        hum = np.zeros(0)
        if params.mains:
            hum = multiples * 2 * _mains(params.mains, time, samples, weight, rate)
            frames = frames[np.abs(frames[:, None] - hum).min(axis=1) > params.width]  # one notch serves both
        lines = np.concatenate([hum, frames])
        return np.asarray(lines[lines < rate / 2 - params.width])


def _mains(
    nominal: float, time: NDArray[np.float64], samples: NDArray[np.float64], weight: NDArray[np.float64], rate: float
) -> float:
    """The likeliest mains frequency (Hz): by its light's first lines, and by how far a public grid wanders."""
    steps = round(_MAINS_RANGE / _MAINS_STEP)
    offset = np.arange(-steps, steps + 1) * _MAINS_STEP
    likelihood = -0.5 * (offset / _MAINS_SPREAD) ** 2
    strength = float(weight.sum())
    if strength > 0:
        centred = weight * (samples - float(weight @ samples) / strength)
        for k in _TRACKED:
            if 2 * k * (nominal + _MAINS_RANGE) < rate / 2:
                shifted = centred * np.exp(-4j * np.pi * k * nominal * time)
                likelihood += np.abs(np.exp(-4j * np.pi * k * np.outer(offset, time)) @ shifted) ** 2 / strength
    peak = int(np.clip(np.argmax(likelihood), 1, len(offset) - 2))
    before, top, after = likelihood[peak - 1 : peak + 2]
    curvature = before - 2 * top + after
    between = float(np.clip(0.5 * (before - after) / curvature, -1, 1)) if curvature < 0 else 0.0
    return nominal + float(offset[peak]) + between * _MAINS_STEP


def _windows(size: int, length: int) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Overlapping parts of a signal, with the weights that fade each into the next."""
    if size <= length:
        yield slice(0, size), np.ones(size)
        return
    count = int(np.ceil(4 * (size - length) / length)) + 1
    hann = np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2
    for number, start in enumerate(np.rint(np.linspace(0, size - length, count)).astype(int)):
        fade = hann.copy()
        if number == 0:
            fade[: length // 2] = 1.0
        if number == count - 1:
            fade[length // 2 :] = 1.0
        yield slice(start, start + length), fade


def _warned(signal: Signal, told: str) -> Signal:
    return replace(signal, warnings=(*signal.warnings, f"line-remover {told}"))
