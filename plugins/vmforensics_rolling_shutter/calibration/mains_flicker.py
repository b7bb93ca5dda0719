"""The row time from the flicker of lamps on the mains, in the footage itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vmforensics.data import Evidence, RowTime, RowTimeFit, SensorFrames
from vmforensics.stages import RowTimeCalibrator, StageParams
from vmforensics_rolling_shutter.calibration.flicker_fit import FlickerFit, fit_flicker
from vmforensics_rolling_shutter.calibration.readout import travelling
from vmforensics_rolling_shutter.calibration.row_intensity import RowIntensity

_GROUPS = 64  # rows are averaged to so many, each less than a fiftieth of a flash
_LONGEST = 60.0  # s of a clip that are used
_LEAST_FRAMES = 12
_DEVIATION = 0.4  # Hz that the light may be off twice the nominal mains frequency, at most
_WANDER = 0.1  # Hz; standard deviation of the same, as mains wander
_NEIGHBOURS = (1.0, 6.0)  # Hz from the light's frequency, between which the noise is measured
_STARTS = 2
_PARTED = 0.03  # cycles by which a flicker must part from its mirror image over the clip; with less, errors of 10 %
_FALSE_ALARM = 1e-3
_CLEARER = 20.0  # difference of twice the log-likelihood beyond which one explanation is told from another
_GLOBAL = 4.0  # standard uncertainties by which a row time must differ from that of a global shutter
_USELESS = 0.05  # relative uncertainty beyond which a faint beat may be anything
_EVEN = 0.5  # least evenness of the rows' amplitudes; a lamp that lights half of the rows has so much
_CURVED = 4.0  # standard uncertainties by which phases must bend to count as bent
_LEAST = 5e-5
"""Relative uncertainty that always remains: rows of a scene don't share the light quite alike. Errors of 7e-5 were seen
at 60 frames/s where the residuals promised 2e-5."""
_COMPRESSED = 2.5e-3
"""Relative uncertainty that prediction between frames adds: the codec carries a flicker's rows over from other frames
and quantises what changed, which shifts the phases of all frames alike, so that the residuals don't show it. Errors of
0.08 to 0.35 % were seen under H.264 (crf 23) where the residuals promised 0.01 %."""


class MainsFlickerParams(StageParams):
    """Parameters of `mains-flicker`."""

    mains: Literal[50, 60] | None = Field(
        default=None,
        description="frequency of the mains, Hz; lamps flicker at twice that; without it, both are tried",
    )


class MainsFlicker(RowTimeCalibrator):
    """Fits row time and lamp frequency to the brightness of all rows in all frames.

    A lamp on the mains of frequency f flickers at 2f. At row y of frame n its phase is φ(t_n + y·τ), so that the phase
    runs along the rows at 2f·τ cycles a row. τ, the wandering φ and the lamp's second harmonic are fitted jointly.
    """

    name: ClassVar[str] = "mains-flicker"
    summary: ClassVar[str] = "row time from the flicker of lamps on the mains, frequency fitted jointly"
    reference: ClassVar[str] = (
        "Su, Hajj-Ahmad, Garg & Wu 2014 , Exploiting rolling shutter for ENF signal extraction from video, ICIP"
    )
    Params: ClassVar[type[StageParams]] = MainsFlickerParams

    def calibrate(self, frames: SensorFrames, evidence: Evidence) -> RowTime:  # noqa: ARG002 the frames say it all
        """Measure the rows' brightness in one pass, and fit."""
        if frames.frame_count < _LEAST_FRAMES:
            return RowTime(
                self.name, f"{frames.frame_count} frame(s) are too few to see a flicker; {_LEAST_FRAMES} are needed"
            )
        return self.from_rows(RowIntensity.of(frames), frames)

    def from_rows(self, intensity: RowIntensity, frames: SensorFrames) -> RowTime:
        """The same from the rows' brightness.

        Parameters
        ----------
        intensity
            Row means of the clip.
        frames
            The clip, for its geometry and shutter.
        """
        data, problem = _Rows.of(intensity)
        if data is None:
            return RowTime(self.name, problem)
        found: dict[int, _Found] = {}
        reasons = []
        for mains in (self.params.mains,) if self.params.mains else (50, 60):
            outcome = _examine(data, mains)
            if isinstance(outcome, str):
                reasons.append(outcome)
            else:
                found[mains] = outcome
        if not found:
            return RowTime(self.name, "; ".join(dict.fromkeys(reasons)))
        best, *others = sorted(found, key=lambda mains: found[mains].score)
        if others and found[others[0]].score - found[best].score < _CLEARER:
            told = " or ".join(f"{1e6 * abs(found[m].fit.row_time):.4g} us under {m} Hz mains" for m in (best, *others))
            return RowTime(self.name, f"the flicker fits both mains frequencies: {told}; give the mains frequency")
        return self._answer(found[best], data, best, frames)

    def _answer(self, found: _Found, data: _Rows, mains: int, frames: SensorFrames) -> RowTime:
        fit = found.fit
        value, bent = abs(fit.row_time), _bend(fit, data)
        compressed = frames.stream.facts.get("inter_coded") is True
        shifted = (_COMPRESSED if compressed else _LEAST) * value
        uncertainty = float(np.linalg.norm([fit.uncertainty, bent, found.apart, shifted]))
        plot = RowTimeFit(
            rows=data.rows, measured=fit.phase, fitted=fit.frequency * fit.row_time * (data.rows - data.rows.mean()),
            quantity=f"phase of the {2 * mains} Hz light (cycles)",
        )  # fmt: skip
        depth = float(np.median(np.abs(fit.amplitude)))
        seen = f"light of {fit.frequency:.4f} Hz, {100 * depth:.2g} % deep"
        if value < _GLOBAL * uncertainty:
            return RowTime(
                self.name,
                f"{seen}, flickers in all rows at once: the row time is 0 within {1e6 * uncertainty:.2g} us; a global "
                "shutter, rows that were resampled in time (stabilised, slowed down), or changes of the whole picture "
                "that no lamp makes",
                fit=plot,
            )
        if uncertainty > _USELESS * value:
            return RowTime(
                self.name,
                f"{seen}, gives (row time {1e6 * value:.3g} ± {1e6 * uncertainty:.2g}) us: too faint to measure by, if "
                "it is the lamps at all",
                fit=plot,
            )
        way = travelling(frames.shutter.direction, backwards=fit.row_time < 0)
        said = f"fitted to {len(data.times)} frames: {seen}"
        if found.either_way:
            said += "; the way of the readout can't be told at this frame rate"
        elif fit.row_time < 0:
            said += f"; the readout runs against the assumed direction: {way.value}"
        if bent:
            said += (
                "; the phase doesn't run straight along the rows (several lamps, or a moving scene), "
                "which the uncertainty includes"
            )
        if compressed:
            said += f"; compression shifts rows alike, so no better than {100 * _COMPRESSED:g} %"
        if data.saturated > 0.02:
            said += f"; {100 * data.saturated:.2g} % of the pixels are saturated"
        return RowTime(
            self.name,
            said,
            value=value,
            uncertainty=uncertainty,
            direction=None if found.either_way else way,
            light_frequency=fit.frequency,
            light_frequency_uncertainty=fit.frequency_uncertainty,
            fit=plot,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """The part of a clip that is used, rows in groups and relative to their means."""

    relative: NDArray[np.float64]
    times: NDArray[np.float64]
    rows: NDArray[np.float64]
    frame_rate: float
    last_row: float
    saturated: float

    @classmethod
    def of(cls, intensity: RowIntensity) -> tuple[_Rows | None, str]:
        times = intensity.times
        use = times - times[0] <= _LONGEST
        if int(use.sum()) < _LEAST_FRAMES:
            return None, f"{int(use.sum())} frames could be decoded; {_LEAST_FRAMES} are needed to see a flicker"
        values, rows = intensity.binned(_GROUPS)
        values = values[use]
        mean = values.mean(axis=0)
        lit = mean > max(0.02 * float(mean.max()), 1e-6)
        if int(lit.sum()) < 8:
            return None, "the picture is dark: fewer than 8 groups of rows are lit"
        relative = values[:, lit] / mean[lit] - 1
        if not np.any(relative):
            return None, "the rows' brightness never changes: there is no flicker to measure"
        last = intensity.first_row + intensity.values.shape[1]
        return cls(relative, times[use], rows[lit], intensity.frame_rate, last, intensity.saturated), ""


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """A flicker at one mains frequency.

    Parameters
    ----------
    fit : FlickerFit
        The best fit.
    score : float
        Lower is better.
    either_way : bool
        Whether a readout in the other direction fits as well: a lamp of m·fps - f Hz with the rows read the other way
        looks in every frame like one of f Hz. Which it is, only the nominal frequency tells.
    apart : float, s
        Standard deviation of the row time for not knowing which.
    """

    fit: FlickerFit
    score: float
    either_way: bool
    apart: float


def _examine(data: _Rows, mains: int) -> _Found | str:
    """Look for the flicker of one mains frequency; words where it is out of reach or not there."""
    light, rate = 2.0 * mains, data.frame_rate
    span = float(np.ptp(data.times))
    beat = light - rate * round(light / rate)
    if abs(beat) * span < 1:
        return (
            f"under {mains} Hz mains it can't be told: {light:g} Hz is {light / rate:.4g} times the frame rate of "
            f"{rate:.6g} Hz, so near a whole number that every frame shows the flicker alike, as if it were painted "
            "on the scene"
        )
    spectrum = _Spectrum.of(data, light)
    if spectrum.chance > _FALSE_ALARM:
        return (
            f"no flicker of {light:g} Hz found (test set to one false alarm in {1 / _FALSE_ALARM:g} clips): lamps "
            f"without flicker, daylight, or an exposure that is a multiple of 1/{light:g} s, as anti-banding "
            "chooses it"
        )
    fits = []
    for frequency, row_time in spectrum.starts:
        fit = fit_flicker(data.relative, data.times, data.rows, frequency=frequency, row_time=row_time)
        within = abs(fit.frequency - light) <= _DEVIATION
        if within and abs(fit.row_time) * data.last_row * rate <= 1.02 and np.isfinite(fit.cost):
            fits.append(fit)
    if not fits:
        return (
            f"something varies near {light:g} Hz, but fits no readout that is over within a frame: if it is "
            "the flicker of lamps, no row time can be told from it"
        )
    best = min(fits, key=lambda fit: fit.cost)
    image = rate * round(2 * best.frequency / rate) - best.frequency
    if abs(image - best.frequency) * span < _PARTED:  # all rows swing as one, and only the unknown amplitudes differ
        return (
            f"under {mains} Hz mains it can't be told: {best.frequency:.6g} Hz is {best.frequency / rate:.4g} times "
            f"the frame rate of {rate:.6g} Hz, so near a half that the rows' phases can't be told from their amplitudes"
        )
    if _evenness(best) < _EVEN:
        return (
            f"something varies near {light:g} Hz, but in some rows against the others, as a moving scene does: if "
            "it is the flicker of lamps, no row time can be told from it"
        )
    strain, image_strain = (((f - light) / _WANDER) ** 2 for f in (best.frequency, image))
    if image_strain < strain:  # alike in every frame: the likelier frequency counts
        image, best = best.frequency, best.mirrored(image)
    clearer = abs(image_strain - strain)
    apart = 0.0
    if clearer < _CLEARER:
        chance = 1 / (1 + np.exp(clearer / 2))  # that it is the other
        apart = float(np.sqrt(chance)) * abs(best.row_time) * abs(1 - best.frequency / image)
    score = best.cost / best.design_effect + min(strain, image_strain)
    return _Found(best, score, bool(clearer < _CLEARER), apart)


@dataclass(frozen=True, slots=True, eq=False)
class _Spectrum:
    """Power of the rows' brightness over frequency and cycles a row.

    Parameters
    ----------
    starts : list of (float, float)
        Frequency (Hz) and row time (s) of the strongest cells.
    chance : float
        Probability that noise alone makes a cell stand out of the neighbouring frequencies as one does.
    """

    starts: list[tuple[float, float]]
    chance: float

    @classmethod
    def of(cls, data: _Rows, light: float) -> _Spectrum:
        """Look at the light's frequency, and test what is there against the noise at neighbouring frequencies.

        Noise at a frequency is taken to fall off like the inverse square of its distance from a multiple of the frame
        rate (slow changes of the scene), and a cell's power to be exponentially distributed: with m cells that
        estimate the mean, P(ratio > x) = (1 + x/m)^-m.
        """
        span, rate = float(np.ptp(data.times)), data.frame_rate
        steepest = 1 / (rate * data.last_row)  # s, a readout as long as a frame
        y = data.rows - data.rows.mean()
        length = float(np.ptp(y))
        slopes = np.arange(-steepest, steepest * 1.0001, 1 / (6 * light * length))  # s, row times
        taper = np.hanning(len(data.times) + 2)[1:-1, None]

        def power(frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
            turn = np.exp(-2j * np.pi * frequencies[:, None] * data.times)
            along = np.exp(-2j * np.pi * light * y[:, None] * slopes)
            beat = np.abs(frequencies - rate * np.rint(frequencies / rate))
            cells = np.abs(turn @ (taper * data.relative) @ along) ** 2
            return np.asarray(cells * np.maximum(beat, 0.5 / span)[:, None] ** 2)

        near = np.arange(light - _DEVIATION, light + _DEVIATION, 1 / (4 * span))
        cells = power(near)
        low, high = _NEIGHBOURS
        offsets = np.arange(low + 2 / span, high, 2 / span)
        around = np.concatenate([light - offsets, light + offsets])
        image = np.abs((around + light) / rate - np.rint((around + light) / rate)) * rate  # from the mirror image
        still = np.abs(around / rate - np.rint(around / rate)) * rate
        around = around[(image > _DEVIATION + 2 / span) & (still > 1 / span)]
        if len(around) < 4:
            return cls([], 1.0)
        ratio = cells / power(around).mean(axis=0)
        order = np.argsort(cells, axis=None)[::-1]  # by ratio, a flicker's own leakage would hide its slope
        count = max(1, round(2 * _DEVIATION * span)) * max(1, round(2 * steepest * light * length))
        strongest = float(ratio.max())
        chance = min(1.0, count * (1 + strongest / len(around)) ** -len(around))
        starts: list[tuple[float, float]] = []
        for place in order:
            i, j = np.unravel_index(int(place), cells.shape)
            start = float(near[i]), float(slopes[j])
            if all(abs(start[0] - f) * span > 1 or abs(start[1] - s) * light * length > 0.3 for f, s in starts):
                starts.append(start)
            if len(starts) == _STARTS:
                break
        return cls(starts, chance)


def _evenness(fit: FlickerFit) -> float:
    """Squared mean of the rows' amplitudes over their mean square without noise: 1 for a lamp, near 0 for a motion."""
    variance = np.square(2 * np.pi * fit.phase_uncertainty * fit.amplitude)
    noise = float(np.mean(variance[np.isfinite(variance)])) * fit.design_effect
    square = max(float(np.mean(fit.amplitude**2)) - noise, 1e-300)
    return max(float(np.mean(fit.amplitude)) ** 2 - noise / len(fit.amplitude), 0.0) / square


def _bend(fit: FlickerFit, data: _Rows) -> float:
    """How much of a slope the rows' phases may hide, judged by how much they bend (s); 0 where they run straight.

    Several lamps of different phase that light different rows shift phases by an unknown course over the rows. What of
    it is straight passes for row time; what is curved can be seen, and is taken as a measure of the other.
    """
    y = data.rows - data.rows.mean()
    known = np.isfinite(fit.phase_uncertainty)
    if int(known.sum()) < 8:
        return 0.0
    half = float(np.ptp(data.rows)) / 2
    design = np.polynomial.legendre.legvander(y / half, 3)[known]
    weight = 1 / fit.phase_uncertainty[known]
    beyond = (fit.phase - fit.frequency * fit.row_time * y)[known]
    covariance = np.linalg.inv((design * weight[:, None]).T @ (design * weight[:, None]))
    solution = covariance @ ((design * weight[:, None]).T @ (beyond * weight))
    spread = np.sqrt(np.diag(covariance) * fit.design_effect)
    curved = [c for c, s in zip(solution[2:], spread[2:], strict=True) if abs(c) > _CURVED * s]
    return float(np.sqrt(np.sum(np.square(curved)))) / (fit.frequency * half)
