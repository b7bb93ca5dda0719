"""What is published about a camera's readout: an expectation, never a measurement of the clip at hand."""

from __future__ import annotations

import csv
import difflib
import functools
import importlib.resources
import re
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from vmforensics.data import Evidence, RowTime, SensorFrames
from vmforensics.stages import RowTimeCalibrator, StageParams

_SAME_MODE, _OTHER_MODE = 0.10, 0.20
"""Relative standard uncertainty where picture height and frame rate are the published ones, and where they aren't."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One published readout.

    Parameters
    ----------
    camera : str
        Maker and model.
    rows : int
        Rows of the stored picture.
    frame_rate : float, Hz
    readout : float, s
        Time in which all the rows are read.
    source : str
        Who published it, and how it was measured.
    """

    camera: str
    rows: int
    frame_rate: float
    readout: float
    source: str


@functools.cache
def published_profiles() -> tuple[Profile, ...]:
    """The table that is shipped (profiles.csv), in its order.

    Examples
    --------
    >>> profile = published_profiles()[0]
    >>> bool(profile.source) and 1e-3 < profile.readout < 0.04
    True
    """
    text = importlib.resources.files(__package__).joinpath("profiles.csv").read_text("utf-8")
    return tuple(
        Profile(
            row["camera"],
            int(row["rows"]),
            float(row["frame_rate_hz"]),
            float(row["readout_ms"]) / 1000,
            row["source"],
        )
        for row in csv.DictReader(text.splitlines())
    )


class CameraProfileParams(StageParams):
    """Parameters of `camera-profile`."""

    camera: str = Field(default="", max_length=200, description="maker and model of the camera, as Sony A7 III")


class CameraProfile(RowTimeCalibrator):
    """Looks the camera up in a table of published readouts.

    The readout depends on mode, crop, lens correction, stabiliser and firmware, which nobody knows of this clip; so the
    value is a prior of 10 to 20 %, to set other methods their search range, and never good enough to recover with.
    """

    name: ClassVar[str] = "camera-profile"
    summary: ClassVar[str] = "published readout of the camera model: a wide prior, never a measurement"
    reference: ClassVar[str] = "a source for each camera in profiles.csv"
    Params: ClassVar[type[StageParams]] = CameraProfileParams

    def calibrate(self, frames: SensorFrames, evidence: Evidence) -> RowTime:  # noqa: ARG002 nothing in it counts
        """Look up; the frames are not read."""
        if not self.params.camera.strip():
            return RowTime(self.name, "no camera is named")
        asked = _normal(self.params.camera)
        table = published_profiles()
        found = [profile for profile in table if _normal(profile.camera) == asked]
        if not found:
            found = [profile for profile in table if asked and _normal(profile.camera).endswith(asked)]
        models = sorted({profile.camera for profile in found})
        if len(models) != 1:
            names = {_normal(profile.camera): profile.camera for profile in table}
            near = models or [names[name] for name in difflib.get_close_matches(asked, names, n=3)]
            told = f"; nearest: {', '.join(near)}" if near else ""
            return RowTime(self.name, f"no published readout of the camera {self.params.camera!r} is known{told}")
        total = frames.stream.width if frames.shutter.direction.along_columns else frames.stream.height
        rate = frames.clock.rate
        profile = min(found, key=lambda p: (abs(p.rows - total), abs(p.frame_rate - rate)))
        same = profile.rows == total and abs(profile.frame_rate / rate - 1) < 0.1
        share = _SAME_MODE if same else _OTHER_MODE
        value = profile.readout / total
        mode = f"{profile.rows} rows at {profile.frame_rate:g} frames/s"
        return RowTime(
            self.name,
            f"A PRIOR, NOT A MEASUREMENT: {profile.camera} is published to read {mode} in "
            f"{1000 * profile.readout:.4g} ms ({profile.source})"
            + ("" if same else f"; this clip has {total} rows at {rate:.4g} frames/s")
            + f". {100 * share:.0f} % are allowed for mode, crop and firmware; measure before relying on it",
            value=value,
            uncertainty=share * value,
            prior=True,
        )


def _normal(name: str) -> str:
    """A camera's name without case, spaces and signs.

    >>> _normal("Sony A7-III") == _normal("sony a7 iii")
    True
    """
    return re.sub(r"[^a-z0-9]", "", name.lower())
