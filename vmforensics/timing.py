"""Judges a container's time stamps, and makes the clock that the recovery runs on.

A recorder means constant rates and stores rounded stamps: Matroska keeps whole milliseconds, MP4 whole ticks of its
time base. Half a millisecond of error is half a cycle at 1 kHz, so a constant rate is fitted and used wherever the
stamps are consistent with one; only a rate that truly varies is taken from the stamps themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Clock, TimingVerdict
from vmforensics.errors import TimingError

_NEGLIGIBLE = 1e-3
"""Residual, as a share of the frame period, below which stamps count as exact."""

_TIGHT = 0.55
"""Largest residual of a rounding by one unit: half of it, and a tenth more as least squares isn't minimax."""

_MILLISECOND = 1e-3
"""Rounding that stamps keep when a Matroska or RTMP recording is rewrapped with a finer time base."""

_SLOWEST = 1.0
"""Mean frame rate, Hz, below which frames show no sound, and the time between them is mostly unobserved."""

_STANDARD_RATES = tuple(
    Fraction(base * 1000, divisor)
    for base in (12, 15, 24, 25, 30, 48, 50, 60, 90, 100, 120, 240)
    for divisor in (1000, 1001)
)


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """A constant rate laid through the stamps.

    Parameters
    ----------
    slots : ndarray [shape=(known,), int64]
        Place of each stamped frame on the grid, the first is 0; a number left out is a dropped frame.
    period : float, s
        Grid spacing.
    residual : float, s
        Largest distance of a stamp from the grid, for the best offset.
    """

    slots: NDArray[np.int64]
    period: float
    residual: float


def judge_clock(
    stamps: NDArray[np.float64],
    *,
    resolution: float,
    declared_rate: float | None = None,
    capture_fps: float | None = None,
) -> Clock:
    """Judge a clip's time stamps and decide which clock it runs on.

    Stamps that lie within one `resolution` of a constant rate are rounded ones, and the fitted rate replaces them;
    it is taken to be the declared rate, or a standard one (30000/1001), where the stamps can't tell them apart.
    Frames missing from the grid leave holes. Stamps that fit no constant rate are used as they are.

    Parameters
    ----------
    stamps : ndarray [shape=(frames,), float64, s]
        Time stamps in presentation order; NaN where the container states none.
    resolution : float, s
        Stamps are multiples of it; 0 if they aren't rounded.
    declared_rate : float or None, Hz
        Rate that the container claims.
    capture_fps : float or None, Hz
        Rate at which the camera took the frames, on the user's word: it replaces the container's time scale (which is
        a playback rate, for high-speed clips), while dropped frames are still found on the container's own grid.

    Returns
    -------
    Clock
        One time a frame, the first is 0.

    Raises
    ------
    TimingError
        There is neither a usable stamp nor a rate to go by, a rate isn't a positive number, or there is less than one
        frame a second.

    Examples
    --------
    >>> stamps = np.array([0.0, 0.033, 0.067, 0.1, 0.167])  # 30 fps in milliseconds, one frame dropped
    >>> clock = judge_clock(stamps, resolution=1e-3, declared_rate=30)
    >>> clock.verdict.value, clock.rate, clock.missing, round(30 * float(clock.times[-1]), 6)
    ('rounded', 30.0, 1, 5.0)
    """
    stamps = np.asarray(stamps, dtype=np.float64)
    if capture_fps is not None and not (math.isfinite(capture_fps) and capture_fps > 0):
        raise TimingError(f"the capture rate is {capture_fps} Hz; it must be a positive number")
    clock = _judged(stamps, resolution, declared_rate, capture_fps)
    if clock.rate < _SLOWEST and len(stamps) > 1:
        raise _too_slow(clock)
    return clock


def _too_slow(clock: Clock) -> TimingError:
    """The error for a clip with less than one frame a second: a pause in it, or a recording in steps."""
    steps = np.diff(clock.times)
    longest, usual = int(np.argmax(steps)), float(np.median(steps))
    told = f"{clock.rate:.3g} frames/s on average ({clock.basis})"
    if usual * _SLOWEST < 1:
        return TimingError(
            f"{told}: after frame {longest} (counted from 0) the time stamps pause for {steps[longest]:.6g} s, while "
            f"frames usually follow one another in {usual:.3g} s",
            hint="cut a copy at the pause, and analyse each part; where the stamps are wrong, give --capture-fps",
        )
    hint = "high-speed footage: give --capture-fps; a recording in steps (time-lapse) holds no sound"
    return TimingError(f"{told} show no sound", hint=hint)


def _judged(
    stamps: NDArray[np.float64], resolution: float, declared_rate: float | None, capture_fps: float | None
) -> Clock:
    """The clock, however slow; see `judge_clock`."""
    usable = declared_rate is not None and math.isfinite(declared_rate) and declared_rate > 0
    declared_rate = float(declared_rate) if declared_rate is not None and usable else None
    known = np.flatnonzero(~np.isnan(stamps))
    if len(known) < 2:
        told = "the container states no time stamps" if len(stamps) > 1 else "a single frame has no rate"
        verdict = TimingVerdict.BROKEN if len(stamps) > 1 else TimingVerdict.EXACT
        return _by_counting(len(stamps), verdict, told, declared_rate, capture_fps)
    values = stamps[known]
    if not np.all(np.isfinite(values)) or np.any(np.diff(values) < 0):
        told = "the time stamps run backwards"
        return _by_counting(len(stamps), TimingVerdict.BROKEN, told, declared_rate, capture_fps)
    found = _constant_rate(known, values, resolution, declared_rate)
    if found is not None:
        grid, rounding = found
        exact = grid.residual <= _NEGLIGIBLE * grid.period
        verdict = TimingVerdict.EXACT if exact else TimingVerdict.ROUNDED
        container_rate, source = _snapped(grid, values, rounding, declared_rate)
        rate = capture_fps or container_rate
        slots = _fill(known, grid.slots, len(stamps))
        missing = int(slots[-1]) + 1 - len(slots)
        if capture_fps is not None:
            source = f"capture rate given by the user, in place of the container's {container_rate:.6g} Hz"
        doubtful = grid.residual if not exact and grid.residual > _TIGHT * rounding else 0.0
        return Clock(slots / rate, rate, verdict, source, grid.residual, missing, doubtful)
    residual = _line_residual(known, values)
    if np.any(np.diff(values) <= 0):
        told = "several frames share a time stamp, and rounding doesn't explain it"
        return _by_counting(len(stamps), TimingVerdict.BROKEN, told, declared_rate, capture_fps, residual=residual)
    if capture_fps is not None:
        basis = "capture rate given by the user; the container's stamps vary, so that drops can't be told"
        return Clock(np.arange(len(stamps)) / capture_fps, capture_fps, TimingVerdict.VARIABLE, basis, residual)
    times = _interpolate(known, values, len(stamps))
    times -= times[0]
    basis = "the container's time stamps, whose rate varies"
    if len(known) < len(stamps):
        basis += f"; {len(stamps) - len(known)} missing ones interpolated"
    return Clock(times, (len(times) - 1) / float(times[-1]), TimingVerdict.VARIABLE, basis, residual)


def _by_counting(
    frames: int,
    verdict: TimingVerdict,
    told: str,
    declared_rate: float | None,
    capture_fps: float | None,
    *,
    residual: float = 0.0,
) -> Clock:
    """A clock that only counts frames, for want of usable stamps."""
    rate = capture_fps or declared_rate
    if rate is None:
        raise TimingError(f"{told}, and the container declares no frame rate", hint="give --capture-fps")
    source = "capture rate given by the user" if capture_fps else "the container's declared rate"
    return Clock(np.arange(frames) / rate, rate, verdict, f"{source}, frames counted: {told}", residual)


def _constant_rate(
    known: NDArray[np.int64], values: NDArray[np.float64], resolution: float, declared_rate: float | None
) -> tuple[_Grid, float] | None:
    """The constant rate behind the stamps and the rounding that hides it, or None if there is none."""
    slack = 1e-12 * max(1.0, float(np.abs(values).max()))  # what a float leaves of a long time
    roundings = [resolution + slack]
    elapsed = values - values[0]
    whole = np.abs(elapsed - np.rint(elapsed / _MILLISECOND) * _MILLISECOND).max() <= resolution + slack
    if whole and resolution < _MILLISECOND / 4:
        roundings.append(_MILLISECOND + resolution + slack)
    steps = np.diff(values) / np.diff(known)
    single = float(steps[steps <= 1.5 * np.median(steps)].mean())  # steps without a dropped frame in between
    mean = float(elapsed[-1]) / float(known[-1] - known[0])
    periods = [1 / declared_rate] if declared_rate else []
    periods += [period for period in (single, mean) if period > 0]
    for rounding in roundings:
        for tolerance in (_TIGHT * rounding, rounding):
            for period in periods:
                grid = _lay(known, values, period, rounding, tolerance)
                if grid is not None:
                    return grid, rounding
    return None


def _lay(
    known: NDArray[np.int64], values: NDArray[np.float64], period: float, rounding: float, tolerance: float
) -> _Grid | None:
    """Lay a grid of about that period through the stamps, or None if they don't lie within `tolerance` of it."""
    ordinal = known - known[0]
    elapsed = values - values[0]
    candidates = [_fit(ordinal, values)]  # no frame dropped
    if period > 2.5 * rounding:  # every step tells by itself how many frames it spans
        steps = np.maximum(np.rint(np.diff(values) / period).astype(np.int64), np.diff(known))
        candidates.append(_fit(np.concatenate([[0], np.cumsum(steps)]), values))
    else:  # several frames may share a stamp: place each as early as the stamps allow, for several offsets
        for offset in np.linspace(0, rounding, 9):
            earliest = np.ceil((elapsed + offset - rounding) / period).astype(np.int64)
            slots = ordinal + np.maximum.accumulate(np.maximum(earliest - ordinal, 0))
            slots -= slots[0]
            candidates.append(_Grid(slots, period, float(np.ptp(elapsed - slots * period)) / 2))
    fitting = (g for g in candidates if g.period > 0 and g.residual <= tolerance and _plausible(g, known))
    return next(fitting, None)


def _plausible(grid: _Grid, known: NDArray[np.int64]) -> bool:
    """Whether at most half of the slots are empty; a clip with more holes than frames has no constant rate."""
    return int(grid.slots[-1]) <= 2 * int(known[-1] - known[0])


def _fit(slots: NDArray[np.int64], values: NDArray[np.float64]) -> _Grid:
    """Least-squares period for given slots."""
    centred = slots - slots.mean()
    period = float(centred @ (values - values.mean()) / (centred @ centred))
    return _Grid(slots, period, float(np.ptp(values - slots * period)) / 2)


def _snapped(
    grid: _Grid, values: NDArray[np.float64], rounding: float, declared_rate: float | None
) -> tuple[float, str]:
    """The grid's rate in Hz, or the declared one, or the only standard one, where that fits the stamps as well."""

    def fits(rate: float) -> bool:
        return float(np.ptp(values - grid.slots / rate)) / 2 <= max(_TIGHT * rounding, grid.residual)

    if declared_rate is not None and fits(declared_rate):
        return declared_rate, "constant rate: the container's declared one, which the stamps fit"
    standard = [rate for rate in _STANDARD_RATES if fits(float(rate))]
    if len(standard) == 1:
        return float(standard[0]), f"constant rate: {standard[0]} Hz, the standard one that the stamps fit"
    return 1 / grid.period, "constant rate fitted to the stamps"


def _fill(known: NDArray[np.int64], slots: NDArray[np.int64], frames: int) -> NDArray[np.int64]:
    """Slots of all frames: those without a stamp follow the frame before, or precede the first."""
    every = np.arange(frames)
    before = np.clip(np.searchsorted(known, every, side="right") - 1, 0, None)
    filled = slots[before] + every - known[before]
    return np.asarray(filled - filled[0])


def _interpolate(known: NDArray[np.int64], values: NDArray[np.float64], frames: int) -> NDArray[np.float64]:
    """Times of all frames: between stamps linearly, beyond them in median steps."""
    every = np.arange(frames)
    step = float(np.median(np.diff(values) / np.diff(known)))
    times = np.interp(every, known, values)
    times += step * (np.minimum(every - known[0], 0) + np.maximum(every - known[-1], 0))
    return np.asarray(times)


def _line_residual(known: NDArray[np.int64], values: NDArray[np.float64]) -> float:
    """Largest distance of the stamps from the constant rate that fits best."""
    return _fit(known, values).residual
