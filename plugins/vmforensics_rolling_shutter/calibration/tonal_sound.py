"""The row time at which the rows' motion is best explained by a few steady tones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vmforensics.data import Evidence, Motion, RowTime, RowTimeFit, SensorFrames
from vmforensics.errors import RegionError, TooFewFrames, Unsuitable
from vmforensics.stages import RowTimeCalibrator, StageParams
from vmforensics.units import Hertz
from vmforensics_rolling_shutter.calibration.readout import travelling

_GROUPS = 128
_LONGEST = 30.0  # s of a clip that are used
_LEAST_FRAMES = 60
_FALSE_ALARM = 1e-3
_CLEARER = 16.0  # chi-square by which one row time must fit better than any other
_OUTLIER = 9.0  # chi-square beyond which a line belongs to something else
_AGREEING = 0.7  # share of the lines that must agree
_WINDOW = 0.5  # s over which a tone counts as steady
_WEAKEST = 0.15  # amplitude of a line relative to the strongest in its window
_SHORTEST = 0.1  # of a frame's time: readouts below are not searched
_UNEVEN = 1e-3  # relative standard uncertainty of a slope: rows don't show one motion in quite the same way
_STILL = 0.5  # Hz from a multiple of the frame rate, within which slow motion reigns


class TonalSoundParams(StageParams):
    """Parameters of `tonal-sound`."""

    highest: Hertz = Field(default=1500.0, gt=50, le=8000, description="highest tone that is looked for, Hz")
    lines: int = Field(default=5, ge=1, le=16, description="most tones that are used at a time")


class TonalSound(RowTimeCalibrator):
    """Compares the slopes of several tones' phases over the rows.

    A tone of f Hz appears from frame to frame at its alias a = f - k·fps, and runs along the rows at F = f·τ cycles a
    row. Of each tone F and a are measured, k is unknown; one tone fits several row times, two or more in common few.
    The row time is the one for which Σ((F_i - (a_i + k_i·fps)·τ)/u_i)² with the best k_i is least, summed over half
    seconds of the clip and bounded for each line. It is indeterminate unless most lines agree, and all other row times
    fit worse by far. Tones must last some tenths of a second; tunes and speech seldom suffice.
    """

    name: ClassVar[str] = "tonal-sound"
    summary: ClassVar[str] = "row time from steady tones in the rows' own motion: self-consistency"
    reference: ClassVar[str] = "Davis et al. 2014, doi:10.1145/2601097.2601119, section 6 (row time from the footage)"
    Params: ClassVar[type[StageParams]] = TonalSoundParams

    def calibrate(self, frames: SensorFrames, evidence: Evidence) -> RowTime:  # noqa: ARG002 the frames say it all
        """Measure the motion of every row, find its lines, and search."""
        from vmforensics_rolling_shutter.motion.row_motion import RowMotion

        if frames.frame_count < _LEAST_FRAMES:
            return RowTime(
                self.name, f"{frames.frame_count} frame(s) are too few to tell tones; {_LEAST_FRAMES} are needed"
            )
        try:
            motion = RowMotion().estimate(frames)
        except (RegionError, TooFewFrames, Unsuitable) as error:
            return RowTime(self.name, f"the rows' motion can't be measured: {error.message}")
        return self.from_motion(motion, frames)

    def from_motion(self, motion: Motion, frames: SensorFrames) -> RowTime:
        """The same from the rows' motion.

        Parameters
        ----------
        motion
            Motion of every row; the instants of its rows aren't used.
        frames
            The clip, for its geometry and shutter.
        """
        rate, last = motion.frame_rate, frames.first_row + frames.rows
        field, times, rows = _rigid(motion)
        size = max(round(_WINDOW * rate), 16)
        lines = [
            line
            for first in range(0, len(times) - size + 1, size)
            for line in _lines(
                field[first : first + size],
                times[first : first + size],
                rows,
                rate,
                highest=self.params.highest,
                last_row=last,
                most=self.params.lines,
            )
        ]
        one = len({round(line.alias) for line in lines}) < 2
        if len(lines) < 4 or one:
            found = "one steady tone only, which fits several row times," if lines and one else "too few steady tones"
            return RowTime(self.name, f"{found} in the rows' motion (one false alarm in {1 / _FALSE_ALARM:g} clips)")
        return self._answer(lines, frames, rate, last)

    def _answer(self, lines: list[_Line], frames: SensorFrames, rate: float, last: int) -> RowTime:
        slope, doubt, alias = (
            np.array([getattr(line, name) for line in lines]) for name in ("slope", "doubt", "alias")
        )
        limit = 1.02 / (rate * last)
        finest = float(np.min(doubt / np.maximum(np.abs(slope), 1e-12)))
        count = int(np.clip(np.log(1 / _SHORTEST) / (0.5 * finest), 1000, 20_000))
        trial = np.geomspace(_SHORTEST * limit, limit, count)
        candidates = np.concatenate([-trial[::-1], trial])
        cost = np.minimum(self._misfit(candidates, slope, doubt, alias, rate), _OUTLIER).sum(axis=0)
        start = float(candidates[np.argmin(cost)])
        tone = alias + np.rint((slope / start - alias) / rate) * rate
        fits = self._misfit(np.array([start]), slope, doubt, alias, rate)[:, 0] < _OUTLIER
        if np.mean(fits) < _AGREEING or np.unique(np.rint(tone[fits] / 10)).size < 2:
            return RowTime(
                self.name, f"{len(lines)} lines in the rows' motion, but no row time makes them steady tones in common"
            )
        weight, tone = 1 / doubt[fits] ** 2, tone[fits]
        value = float((weight * tone) @ slope[fits] / ((weight * tone) @ tone))
        scatter = float(np.sum(weight * (slope[fits] - tone * value) ** 2)) / max(int(fits.sum()) - 1, 1)
        uncertainty = float(np.sqrt(max(1.0, scatter) / ((weight * tone) @ tone)))
        far = np.abs(candidates - value) > 6 * uncertainty + 0.01 * abs(value)
        rival = int(np.argmin(np.where(far, cost, np.inf)))
        if cost[rival] - cost.min() < _CLEARER * max(1.0, scatter):
            told = f"{1e6 * abs(value):.4g} us and {1e6 * abs(candidates[rival]):.4g} us"
            return RowTime(
                self.name, f"{len(lines)} lines in the rows' motion; {told} fit them, and can't be told apart"
            )
        order = np.argsort(tone)
        return RowTime(
            self.name,
            f"{int(fits.sum())} of {len(lines)} lines of {tone.min():.0f} to {tone.max():.0f} Hz run along the rows as "
            "one row time would have it" + ("; the readout runs against the assumed direction" if value < 0 else ""),
            value=abs(value),
            uncertainty=uncertainty,
            direction=travelling(frames.shutter.direction, backwards=value < 0),
            fit=RowTimeFit(
                rows=tone[order],
                measured=slope[fits][order],
                fitted=(tone * value)[order],
                quantity="cycles a row, over the tone's frequency (Hz)",
            ),
        )

    def _misfit(
        self,
        candidates: NDArray[np.float64],
        slope: NDArray[np.float64],
        doubt: NDArray[np.float64],
        alias: NDArray[np.float64],
        rate: float,
    ) -> NDArray[np.float64]:
        """Chi-square of each line under each row time, with the order k that suits it best."""
        tone = alias[:, None] + np.rint((slope[:, None] / candidates - alias[:, None]) / rate) * rate
        misfit = ((slope[:, None] - tone * candidates) / doubt[:, None]) ** 2
        return np.where((tone > 0) & (tone <= self.params.highest), misfit, np.inf)


@dataclass(frozen=True, slots=True)
class _Line:
    """A tone: cycles a row with standard uncertainty, and alias (Hz, within half the frame rate about 0)."""

    slope: float
    doubt: float
    alias: float


def _rigid(motion: Motion) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.float64]]:
    """Motion along its axis, in groups of rows weighted by information; still and slow motion taken out.

    Returns
    -------
    field : ndarray [shape=(frames, groups), float64, standard uncertainties]
    times : ndarray [shape=(frames,), float64, s]
    rows : ndarray [shape=(groups,), float64]
    """
    steady, _ = motion.steadied()
    displacement, information = steady.along(steady.principal_axis())
    used = steady.observed.any(axis=1) & (steady.frame_times - steady.frame_times[0] <= _LONGEST)
    displacement, information = displacement[used], information[used]
    size = -(-displacement.shape[1] // _GROUPS)
    groups = displacement.shape[1] // size
    shape = (len(displacement), groups, size)
    weight = information[:, : groups * size].reshape(shape)
    total = weight.sum(axis=2)
    safe = np.where(total > 0, total, 1.0)
    field = (weight * displacement[:, : groups * size].reshape(shape)).sum(axis=2) / safe
    places = np.arange(groups * size).reshape(groups, size)
    mean_weight = weight.mean(axis=0)
    rows = (mean_weight * places).sum(axis=1) / np.maximum(mean_weight.sum(axis=1), 1e-300)
    keep = mean_weight.sum(axis=1) > 0
    field = np.where(total > 0, field, 0.0)[:, keep]
    field = field - field.mean(axis=0)
    scale = np.sqrt(total.mean(axis=0)[keep])
    return field * scale, steady.frame_times[used], rows[keep]


def _lines(
    field: NDArray[np.float64],
    times: NDArray[np.float64],
    rows: NDArray[np.float64],
    rate: float,
    *,
    highest: float,
    last_row: int,
    most: int,
) -> list[_Line]:
    """The strongest tones, one after another, each taken out before the next is looked for."""
    span, y = float(np.ptp(times)), rows - rows.mean()
    length = float(np.ptp(y))
    steepest = highest / (rate * last_row)  # cycles a row
    slopes = np.arange(-steepest, steepest * 1.0001, 1 / (4 * length))
    spread = np.zeros(0)
    aliases = np.arange(_STILL, rate / 2 - 1 / span, 1 / (3 * span))
    taper = np.hanning(len(times) + 2)[1:-1, None] * np.sin(np.pi * (rows - rows[0] + 1) / (np.ptp(rows) + 2))
    inside = np.abs(slopes) >= 1 / length  # slower than that, sway and tone look alike
    turn, along = np.exp(-2j * np.pi * aliases[:, None] * times), np.exp(-2j * np.pi * y[:, None] * slopes)
    waves = np.zeros((0, 2))  # alias and slope of each tone
    rest = field
    amplitudes = np.zeros(0, complex)
    cells = len(aliases) * len(slopes) / 12
    for _ in range(most):
        power = np.where(inside, np.abs(turn @ (taper * rest) @ along) ** 2, 0.0)
        floor = np.median(power[:, inside]) / np.log(2)  # of exponentially distributed powers
        i, j = np.unravel_index(int(np.argmax(power)), power.shape)
        if cells * np.exp(-power[i, j] / max(floor, 1e-300)) > _FALSE_ALARM:
            break
        waves, amplitudes, spread, rest = _refine(
            field, taper, times, y, np.concatenate([waves, [[aliases[i], slopes[j]]]])
        )
    found = []
    for (alias, slope), amplitude, doubt in zip(waves, amplitudes, spread, strict=True):
        if np.abs(amplitude) >= _WEAKEST * np.abs(amplitudes).max() and np.abs(slope) >= 0.5 / length:
            sign = 1.0 if slope > 0 else -1.0  # a real wave is also its own mirror image
            found.append(_Line(float(slope) * sign, float(np.hypot(doubt, _UNEVEN * slope)), float(alias) * sign))
    return found


def _refine(
    field: NDArray[np.float64],
    taper: NDArray[np.float64],
    times: NDArray[np.float64],
    y: NDArray[np.float64],
    waves: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.complex128], NDArray[np.float64], NDArray[np.float64]]:
    """Weighted least squares for plane waves Re(c·exp(2πi(a·t + F·y))), all at once, from starts near them.

    Returns
    -------
    waves : ndarray [shape=(waves, 2), float64, Hz and cycles a row]
        Their a and F.
    amplitudes : ndarray [shape=(waves,), complex128]
    spread : ndarray [shape=(waves,), float64, cycles a row]
        Standard uncertainty of each F.
    rest : ndarray [shape=(frames, rows), float64]
        The field without them.
    """
    t = times - times.mean()
    weight, data = taper.ravel(), field.ravel()
    steps = (0.5 / np.ptp(t), 0.5 / np.ptp(y))
    count = len(waves)
    for _ in range(15):
        phasors = [np.exp(2j * np.pi * (a * t[:, None] + f * y)).ravel() for a, f in waves]
        linear = np.stack([part for p in phasors for part in (p.real, -p.imag)])
        weighted = linear * weight
        solution = np.linalg.lstsq(weighted.T, weight * data, rcond=None)[0]
        amplitudes = solution[::2] + 1j * solution[1::2]
        turned = [(2j * np.pi * c * p).real.reshape(field.shape) for c, p in zip(amplitudes, phasors, strict=True)]
        slopes = np.stack([part.ravel() for q in turned for part in (q * t[:, None], q * y)]) * weight
        design = np.concatenate([weighted, slopes])
        rest = data - linear.T @ solution
        normal = design @ design.T
        change = np.linalg.lstsq(normal, design @ (weight * rest), rcond=None)[0][2 * count :].reshape(count, 2)
        waves = waves + np.clip(change, -np.array(steps), steps)
    bread = np.linalg.pinv(normal)
    meat = (design * weight) @ (design * weight).T * float(np.average(rest**2, weights=weight**2))
    spread = np.sqrt(np.diag(bread @ meat @ bread)[2 * count + 1 :: 2])
    return waves, amplitudes, spread, rest.reshape(field.shape)
