"""The row time from a light of known frequency: an LED or laser in front of the camera, one picture or a clip."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vmforensics.data import Evidence, RowTime, RowTimeFit, SensorFrames
from vmforensics.stages import RowTimeCalibrator, StageParams
from vmforensics.units import Hertz
from vmforensics_rolling_shutter.calibration.band_fit import BandFit, fit_bands
from vmforensics_rolling_shutter.calibration.readout import travelling
from vmforensics_rolling_shutter.calibration.row_intensity import RowIntensity

_MOST_PICTURES = 24
_LEAST_ROWS = 64
_BETWEEN_PICTURES = 1e-3
"""Relative scatter between pictures of one camera and light: 0.09 % and 0.11 % on the two public sets with more."""

_EXPLAINED = 0.5  # share of the variance along the rows that bands must explain to be taken for bands
_FAINTEST = 0.02  # RMS of the bands relative to the mean brightness, below which rounding may pass for bands
_LEAST_CYCLES = 2.5  # periods in the picture
_SATURATED = 0.02
_FASTEST = 5e-7  # s a row; sensors that read rows in turn take longer, the stacked ones too
_ALIGNED, _CROSSED = (
    0.8,
    0.4,
)  # mean cosine of the frames' phase steps for the way that fits, and for the one that doesn't


class KnownLightParams(StageParams):
    """Parameters of `known-light`."""

    frequency: Hertz | None = Field(
        default=None, gt=0, le=1e7, description="frequency at which the light flashes, Hz; needed"
    )
    frequency_uncertainty: Hertz | None = Field(
        default=None, gt=0, description="its standard uncertainty, Hz; without it the frequency is taken as exact"
    )


class KnownLight(RowTimeCalibrator):
    """Fits the bands that a flashing light leaves across a picture.

    A light of frequency f makes bands of f·τ cycles a row, whatever its wave form. The exposure only changes their
    contrast. In a clip whose bands move from frame to frame, the scene is divided out first.
    """

    name: ClassVar[str] = "known-light"
    summary: ClassVar[str] = "row time from the bands under a light of known frequency; one picture will do"
    reference: ClassVar[str] = (
        "Oth, Furgale, Kneip & Siegwart 2013 (line delay of rolling shutters; LED as reference), "
        "doi:10.1109/CVPR.2013.179"
    )
    Params: ClassVar[type[StageParams]] = KnownLightParams

    def calibrate(self, frames: SensorFrames, evidence: Evidence) -> RowTime:  # noqa: ARG002 the frames say it all
        """Measure the rows' brightness in one pass, and fit the bands of some of the pictures."""
        if self.params.frequency is None:
            return RowTime(self.name, "the light's frequency isn't given")
        if frames.rows < _LEAST_ROWS:
            return RowTime(self.name, f"the region has {frames.rows} rows; at least {_LEAST_ROWS} are needed")
        intensity = RowIntensity.of(frames)
        pictures = intensity.values[:: max(1, -(-len(intensity.values) // _MOST_PICTURES))]
        candidates = [pictures]
        if len(intensity.values) >= 8:
            scene = intensity.values.mean(axis=0)
            if scene.min() > 0.02 * scene.max():
                candidates.append(pictures / scene)
        first = [fit_bands(each[0]) for each in candidates]
        explained = [0.0 if fit is None else fit.explained for fit in first]
        best = candidates[int(np.argmax(explained))]
        return self._answer(best, [fit_bands(picture) for picture in best], intensity, frames)

    def _answer(
        self, pictures: NDArray[np.float64], fits: list[BandFit | None], intensity: RowIntensity, frames: SensorFrames
    ) -> RowTime:
        light = float(self.params.frequency)
        rows = np.arange(pictures.shape[1], dtype=np.float64)
        good = [
            (k, fit)
            for k, fit in enumerate(fits)
            if fit is not None and fit.explained >= _EXPLAINED and fit.contrast >= _FAINTEST
        ]
        if not good or 2 * len(good) < len(fits):
            share = max((fit.explained for fit in fits if fit is not None), default=0.0)
            return RowTime(
                self.name,
                f"no regular bands: the clearest explain {100 * max(share, 0.0):.0f} % of what varies along the rows "
                f"({100 * _EXPLAINED:.0f} % are asked for, and a contrast of {100 * _FAINTEST:g} %). Fill the picture "
                "with the light, choose a short exposure, and a region of even brightness",
                light_frequency=light,
            )
        number, shown = max(good, key=lambda item: item[1].explained)
        measured = pictures[number]
        plot = RowTimeFit(rows, measured, shown.fitted, "mean brightness of the rows")
        cycles = np.array([fit.cycles_per_row for _, fit in good])
        if float(np.median(cycles)) * len(rows) < _LEAST_CYCLES:
            return RowTime(
                self.name,
                f"only {float(np.median(cycles)) * len(rows):.2g} periods of the light in the picture; at least "
                f"{_LEAST_CYCLES} are needed: take a faster light",
                light_frequency=light,
                fit=plot,
            )
        weight = (
            1 / np.array([np.hypot(fit.uncertainty, _BETWEEN_PICTURES * fit.cycles_per_row) for _, fit in good]) ** 2
        )
        mean = float(weight @ cycles / weight.sum())
        scatter = float(weight @ (cycles - mean) ** 2 / weight.sum()) / max(len(good) - 1, 1)
        relative = np.sqrt(max(1 / float(weight.sum()), scatter)) / mean
        given = self.params.frequency_uncertainty
        value = mean / light
        if value < _FASTEST:
            return RowTime(
                self.name,
                f"a row time of {1e9 * value:.3g} ns is faster than any sensor reads; is the light's frequency right?",
                light_frequency=light,
                fit=plot,
            )
        uncertainty = value * float(np.hypot(relative, (given or 0.0) / light))
        backwards = _backwards(intensity, mean, light)
        said = (
            f"bands of {1 / mean:.6g} rows in {len(good)} picture(s) under a light of {light:g} Hz, "
            + ("taken as exact" if given is None else f"± {given:g} Hz")
            + f", explain {100 * shown.explained:.1f} % of what varies along the rows"
        )
        if len(good) == 1:
            said += f"; a single picture is trusted to {100 * _BETWEEN_PICTURES:g} % at best"
        if backwards is None:
            said += "; which way the readout runs can't be told from it"
        if intensity.saturated > _SATURATED:
            said += f"; {100 * intensity.saturated:.2g} % of the pixels are saturated"
        return RowTime(
            self.name,
            said,
            value=value,
            uncertainty=uncertainty,
            direction=None if backwards is None else travelling(frames.shutter.direction, backwards=backwards),
            light_frequency=light,
            light_frequency_uncertainty=given,
            fit=plot,
        )


def _backwards(intensity: RowIntensity, cycles_per_row: float, light: float) -> bool | None:
    """Whether the bands travel against the rows' order from frame to frame; None where the frames don't tell."""
    values, times = intensity.values, intensity.times
    if len(values) < 8:
        return None
    rows = np.arange(values.shape[1])
    wave = np.exp(-2j * np.pi * cycles_per_row * rows) * np.hanning(len(rows) + 2)[1:-1]
    phasor = (values - values.mean(axis=0)) @ wave
    step = phasor[1:] * phasor[:-1].conj()
    if not np.any(np.abs(step)):
        return None
    step = step / np.maximum(np.abs(step), 1e-300)
    turn = np.exp(2j * np.pi * light * np.diff(times))
    forwards, backwards = (float(np.mean((step * t).real)) for t in (turn.conj(), turn))
    if max(forwards, backwards) < _ALIGNED or min(forwards, backwards) > _CROSSED:
        return None
    return backwards > forwards
