"""Exposure and lamps: when they leave a row no instant of its own.

A row's light is gathered over its exposure. Where the lamp flickers meanwhile, the light's centroid isn't the middle of
the exposure, and where the lamp strobes it decides alone when a row is seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_BAND = 100.0
"""Hz; where exposure or lamp leave less than this, no sound is left to recover."""

_DARK, _LIT = 0.2, 0.5  # of a row's brightest light
_STROBED = 0.4  # share of the rows without light from which the lamp decides when rows are seen
_SPARE = 0.05  # share that costs next to nothing
_MAINS = (100.0, 120.0)  # Hz, of lamps on 50 and 60 Hz
_WANDER = 0.3  # Hz about them: mains, and a camera's clock
_LEAST_DEPTH = 0.03
_PROMINENT = 4.0  # times the depth at other frequencies
_GAMMA = 1 / 0.45  # light over stored brightness, relative changes (ITU-R BT.709)
_PHASE_ERROR = 0.05  # cycles that a wrong instant may shift a tone by
_LEAST_FRAMES, _HARMONICS, _MOST_LINES = 32, 4, 3
_LEAST_LINE = 5e-4  # depth of a flicker that matters to a codec
_LOWEST_LINE = 15.0  # Hz
_ALIKE = 3.0  # times what the bands' flickers differ by; a thing that moves changes each band in its own way
_SHORT = 500.0  # Hz; an exposure whose first null is lower is worth a word


@dataclass(frozen=True, slots=True)
class Light:
    """What lamp and exposure do to the rows' instants.

    Parameters
    ----------
    refusal : str
        Why rows have no instants of their own; "" where they have.
    warnings : tuple of str
        What is lost or doubtful.
    """

    refusal: str = ""
    warnings: tuple[str, ...] = ()


def judge_exposure(exposure: float | None) -> Light:
    """Judge a row's exposure (s) by its nulls: tones at multiples of 1/exposure leave no trace."""
    if not exposure:
        return Light()
    null = 1 / exposure
    if null < LEAST_BAND:
        return Light(
            f"each row is exposed for {exposure * 1e3:.3g} ms: tones of {null:.3g} Hz and its multiples leave no "
            "trace, and what lies above keeps at most a fifth of its size"
        )
    if null < _SHORT:
        return Light(
            warnings=(
                f"each row is exposed for {exposure * 1e3:.3g} ms: tones of {null:.3g} Hz and its multiples leave no "
                "trace, and what lies above keeps at most a fifth of its size",
            )
        )
    return Light()


def judge_lamp(rows: NDArray[np.float64], instants: NDArray[np.float64], exposure: float | None) -> Light:
    """Judge the lamp by the rows' brightness over the clip.

    Parameters
    ----------
    rows : ndarray [shape=(frames, bands), float64, digital numbers]
        Mean brightness above black of bands of rows, in readout order.
    instants : ndarray [shape=(frames, bands), float64, s]
        Middle of their exposures.
    exposure : float or None, s
        Of a row.

    Notes
    -----
    Under a light 1 + m·cos(2πft) the centroid of what an exposure T gathers is off its middle by up to
    m·|2·sin(ωT/2)/(ω²T) - cos(ωT/2)/ω| / √(1 - (m·sinc fT)²), with ω = 2πf; the rows show the depth m·|sinc fT|.
    """
    bright = np.quantile(rows, 0.95, axis=0)
    lit = bright > 0.05 * bright.max(initial=0.0)
    if len(rows) < 8 or not lit.any():
        return Light()
    rows, instants, bright = rows[:, lit], instants[:, lit], bright[lit]
    relative = rows / bright
    dark = relative < _DARK
    strobed = float(np.mean(dark & np.any(relative > _LIT, axis=1, keepdims=True)))
    unlit = f"{100 * strobed:.0f} % of the rows get next to no light while others are lit: the lamp strobes"
    if strobed >= _STROBED:
        return Light(f"{unlit}, and decides when a row is seen")
    if strobed >= _SPARE:
        return Light(warnings=(f"{unlit}, and they show hardly anything",))
    frequency, depth = _flicker(rows / np.maximum(rows.mean(axis=0), 1e-9) - 1, instants)
    if not depth:
        return Light()
    seen = f"the light flickers by {100 * depth:.2g} % at {frequency:.4g} Hz in the rows"
    if not exposure:
        return Light(
            warnings=(f"{seen}; how far that shifts the rows' instants depends on the exposure, which isn't known",)
        )
    shift = centroid_shift(depth * _GAMMA, frequency, exposure)
    limit = _PHASE_ERROR / shift
    told = f"{seen}, which shifts the instants of an exposure of {exposure * 1e3:.3g} ms by up to {shift * 1e6:.3g} us"
    if limit < LEAST_BAND:
        return Light(f"{told}: beyond {limit:.3g} Hz no waveform can be trusted")
    if limit < min(1 / exposure, 1 / np.median(np.diff(instants, axis=1))):
        return Light(warnings=(f"{told}: beyond {limit:.3g} Hz the waveform can't be trusted",))
    return Light()


def lamp_lines(rows: NDArray[np.float64], instants: NDArray[np.float64]) -> tuple[float, ...]:
    """Frequencies (Hz) at which the light in the picture flickers, where all of it does so alike, and their harmonics.

    What a codec or a sensor makes of changing light has these frequencies too, and a common motion at them can't be
    told from it.

    Parameters
    ----------
    rows : ndarray [shape=(frames, bands), float64, digital numbers]
        Mean brightness above black of bands of rows, in readout order.
    instants : ndarray [shape=(frames, bands), float64, s]
        Middle of their exposures; the same for all bands of a global shutter.
    """
    bright = np.quantile(rows, 0.95, axis=0)
    lit = bright > 0.05 * bright.max(initial=0.0)
    if len(rows) < _LEAST_FRAMES or not lit.any():
        return ()
    change = rows[:, lit] / np.maximum(rows[:, lit].mean(axis=0), 1e-9) - 1
    if np.ptp(instants, axis=1).max() > 0:
        frequency, depth = _flicker(change, instants[:, lit])
        return tuple(frequency * k for k in range(1, _HARMONICS + 1)) if depth else ()
    rate = 1 / float(np.median(np.diff(instants[:, 0])))
    window = np.sin(np.pi * (np.arange(len(rows)) + 0.5) / len(rows)) ** 2
    each = 2 * np.fft.rfft((change - change.mean(axis=0)) * window[:, None], axis=0) / window.sum()
    common = np.abs(each.mean(axis=1))
    spread = np.sqrt(np.mean(np.abs(each - each.mean(axis=1, keepdims=True)) ** 2, axis=1))
    frequencies = np.fft.rfftfreq(len(rows), 1 / rate)
    line = (common > _LEAST_LINE) & (common > _ALIKE * spread) & (frequencies > _LOWEST_LINE)
    line &= common > _PROMINENT * np.median(common)
    peaks = np.flatnonzero(line)
    peaks = peaks[np.argsort(-common[peaks])]
    found: list[float] = []
    for k in peaks:
        if all(abs(frequencies[k] - f) > 2.5 * rate / len(rows) for f in found):
            found.append(float(frequencies[k]))
    every = [_folded(k * f, rate) for f in found[:_MOST_LINES] for k in range(1, _HARMONICS + 1)]
    return tuple(dict.fromkeys(round(f, 6) for f in every if f > 0))


def _folded(frequency: float, rate: float) -> float:
    """Where a frequency (Hz) shows up that is sampled at a rate (Hz)."""
    rest = frequency % rate
    return min(rest, rate - rest)


def centroid_shift(depth: float, frequency: float, exposure: float) -> float:
    """Largest distance (s) of the light's centroid from the middle of an exposure (s); see `judge_lamp`.

    Parameters
    ----------
    depth
        Modulation depth that the exposures show; the light's own is larger, at most 1.
    frequency : float, Hz
        Of the light.
    exposure : float, s
    """
    omega, loss = 2 * math.pi * frequency, abs(float(np.sinc(frequency * exposure)))
    own = min(1.0, depth / loss) if loss > depth else 1.0
    half = omega * exposure / 2
    lever = abs(2 * math.sin(half) / (omega**2 * exposure) - math.cos(half) / omega)
    return min(own * lever / math.sqrt(max(1 - (own * loss) ** 2, 1e-12)), exposure / 2)


def _flicker(change: NDArray[np.float64], instants: NDArray[np.float64]) -> tuple[float, float]:
    """The mains' flicker: frequency in Hz and depth, (0, 0) where there is none; a multiple of the frame rate hides."""
    step = 0.5 / max(float(np.ptp(instants)), 0.1)
    near = np.arange(-_WANDER, _WANDER + step, step)
    elsewhere = np.array([-17.3, -11.1, -7.7, 7.7, 11.1, 17.3])
    best = (0.0, 0.0)
    for mains in _MAINS:
        depths, others = (
            np.array([2 * abs(np.mean(change * np.exp(-2j * np.pi * f * instants))) for f in mains + offsets])
            for offsets in (near, elsewhere)
        )
        k = int(np.argmax(depths))
        if depths[k] > max(best[1], _LEAST_DEPTH, _PROMINENT * float(np.median(others))):
            best = (float(mains + near[k]), float(depths[k]))
    return best
