"""The row time from a table of one's own measurements."""

from __future__ import annotations

from types import MappingProxyType
from typing import ClassVar

from pydantic import Field

from vmforensics.data import Evidence, RowTime, SensorFrames
from vmforensics.stages import RowTimeCalibrator, StageParams

READOUTS = MappingProxyType({"bench camera 1, 1080p60": (15.73e-3, 0.01e-3)})
"""Readout of the whole picture and its standard uncertainty, both in s, by camera and mode."""


class MyStageParams(StageParams):
    """Parameters of `my-stage`."""

    camera: str = Field(default="", max_length=200, description="camera and mode, as the table calls them")


class MyStage(RowTimeCalibrator):
    """Looks the camera up; what it finds is a prior, for nothing in the clip itself was measured."""

    name: ClassVar[str] = "my-stage"
    summary: ClassVar[str] = "row time from a table of measured cameras, a prior"
    Params: ClassVar[type[StageParams]] = MyStageParams

    def calibrate(self, frames: SensorFrames, evidence: Evidence) -> RowTime:  # noqa: ARG002 - a table needs no file
        """Look the row time up."""
        camera = self.params.camera
        if camera not in READOUTS:
            known = ", ".join(repr(name) for name in READOUTS)
            return RowTime(self.name, f"no camera {camera!r} in the table; it holds {known}")
        readout, uncertainty = READOUTS[camera]
        columns = frames.shutter.direction.along_columns
        rows = frames.stream.width if columns else frames.stream.height
        return RowTime(
            self.name,
            f"measured for {camera!r}: {readout * 1e3:g} ms over {rows} rows",
            value=readout / rows,
            uncertainty=uncertainty / rows,
            prior=True,
        )
