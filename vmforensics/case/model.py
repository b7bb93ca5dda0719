"""What a case says: whose it is, what was handed in, how the camera exposes, which runs are wanted.

The model holds what the case file states, checked but not completed: `defaults.resolve` fills in the rest.
A stage's parameters stay plain data here, for only the stage itself knows what they mean.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from vmforensics.case.fields import (
    LARGEST_INTEGER,
    Line,
    Name,
    PlainData,
    Problems,
    Text,
    as_written,
    choices,
    show,
)
from vmforensics.data import ReadoutDirection, Region, Shutter
from vmforensics.units import Hertz, Seconds

VERSION = 1
"""The version of the case format that this program reads and writes."""

_SHA256 = re.compile(r"^[0-9A-Fa-f]{64}$")
_T = TypeVar("_T")
_Origin = Annotated[int, Field(strict=True, ge=0, le=LARGEST_INTEGER)]
_Size = Annotated[int, Field(strict=True, ge=1, le=LARGEST_INTEGER)]


class _Section(BaseModel):
    """Base of a case's parts: frozen, no unknown keys, no infinities."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


class ShutterKind(StrEnum):
    """How the sensor exposes its rows."""

    ROLLING = "rolling"  # one after another
    GLOBAL = "global"  # all at once


class Identity(_Section):
    """Whose case it is; printed in the report, never interpreted."""

    id: Line = Field(description="The case's reference, as the laboratory or the court knows it.")
    title: Text = Field(default="", description="What the case is about, in one line.")
    examiner: Text = Field(default="", description="Who carries out the examination.")
    organisation: Text = Field(default="", description="For which laboratory or body.")
    authority: Text = Field(default="", description="On what legal authority (warrant, order, consent).")
    notes: Text = Field(default="", description="Anything else: the question asked, the condition of the material.")


class Exhibit(_Section):
    """One piece of evidence: a video file, or a folder holding an image sequence."""

    id: Line = Field(
        default="", validate_default=False, description="The exhibit's mark; E1, E2 ... by position if left out."
    )
    path: Line = Field(description="The file or folder, relative to the case file's folder, or absolute.")
    sha256: Text | None = Field(
        default=None,
        description="The SHA-256 it is expected to have, as 64 hexadecimal digits; the run stops if it differs.",
        json_schema_extra={"pattern": _SHA256.pattern},
    )
    notes: Text = Field(default="", description="Where it came from, and in what condition.")

    @field_validator("sha256")
    @classmethod
    def _hexadecimal(cls, value: str | None) -> str | None:
        if value is not None and not _SHA256.fullmatch(value):
            raise ValueError(f"{show(value)} is no SHA-256; allowed: 64 hexadecimal digits")
        return value and value.lower()


class Camera(_Section):
    """When the camera's rows saw the scene."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"shutter": {"const": "rolling"}}},
            "then": {"oneOf": [{"required": [key]} for key in ("row_time", "readout", "line_time")]},
        }
    )

    shutter: ShutterKind = Field(description="Whether the rows are exposed one after another, or all at once.")
    readout: Seconds | None = Field(
        default=None,
        gt=0,
        lt=10,
        description="Time in which the whole stored picture is read out, instead of the row time: the row time is this "
        "divided by the stored rows (columns, where the readout runs along them).",
    )
    line_time: Seconds | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Time between the exposures of consecutive rows of the sensor, instead of the row time: the row "
        "time is this times sensor_rows_per_row.",
    )
    row_time: Seconds | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="Time between the exposures of consecutive rows of the stored picture. Required for a rolling "
        "shutter (or readout, or line_time), for it is never guessed; left out for a global one.",
    )
    row_time_uncertainty: Seconds | None = Field(
        default=None, gt=0, lt=1, description="Standard uncertainty of the row time."
    )
    row_time_source: Text = Field(
        default="", description="Who says so: a measurement and its date, metadata, a publication."
    )
    exposure: Seconds | None = Field(
        default=None, gt=0, lt=1, description="Exposure time of a row; unknown if left out."
    )
    readout_direction: ReadoutDirection = Field(
        default=ReadoutDirection.TOP_TO_BOTTOM,
        description="The way the readout travels over the stored picture, un-rotated.",
    )
    sensor_rows_per_row: float = Field(
        default=1.0,
        ge=1,
        le=64,
        description="Sensor rows averaged into one row of the stored picture, where it was binned or scaled in height.",
    )
    rows_at_once: int = Field(
        default=1, strict=True, ge=1, le=4096, description="Sensor rows that are exposed and read together."
    )
    first_sensor_row: int = Field(
        default=0,
        strict=True,
        ge=0,
        le=LARGEST_INTEGER,
        description="Sensor rows read before the stored picture's first one, where it is a crop; it says which rows "
        "are read together.",
    )
    capture_fps: Hertz | None = Field(
        default=None, gt=0, le=1e8, description="Frames per second as filmed, where the container's rate isn't true."
    )

    @field_validator("readout", "line_time")
    @classmethod
    def _instead_of_the_row_time(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value and info.data.get("shutter") is ShutterKind.GLOBAL:
            raise ValueError(f"{value} s contradicts 'shutter: global', whose rows are exposed at once; leave it out")
        if value and info.data.get("readout"):
            raise ValueError("row_time, readout and line_time say the same thing; give one of them")
        return value

    @field_validator("row_time")
    @classmethod
    def _row_time_fits_shutter(cls, value: float | None, info: ValidationInfo) -> float | None:
        shutter = info.data.get("shutter")
        if not {"readout", "line_time"} <= info.data.keys():  # one of them is itself wrong, and reported as such
            return value or None
        stated = info.data["readout"] or info.data["line_time"]
        if value and stated:
            raise ValueError("row_time, readout and line_time say the same thing; give one of them")
        if shutter is ShutterKind.ROLLING and not (value or stated):
            raise ValueError("required for a rolling shutter, and greater than 0; write a duration such as 19us")
        if shutter is ShutterKind.GLOBAL and value:
            raise ValueError(f"{value} s contradicts 'shutter: global', whose rows are exposed at once; leave it out")
        return value or None

    @field_validator("row_time_uncertainty", "row_time_source", "sensor_rows_per_row", "rows_at_once")
    @classmethod
    def _only_of_a_row_time(cls, value: _T, info: ValidationInfo) -> _T:
        if value and value != 1 and info.data.get("shutter") is ShutterKind.GLOBAL:
            raise ValueError("a global shutter has no row time; leave it out")
        return value

    def to_shutter(self, height: int, width: int) -> Shutter:
        """The exposure timing in the program's terms, for a stored picture of that size in px."""
        rows = width if self.readout_direction.along_columns else height
        row_time = self.row_time or 0.0
        if self.readout is not None:
            row_time = self.readout / rows
        elif self.line_time is not None:
            row_time = self.line_time * self.sensor_rows_per_row
        return Shutter(
            line_delay=row_time,
            line_delay_uncertainty=self.row_time_uncertainty,
            line_delay_source=self.row_time_source,
            exposure=self.exposure,
            direction=self.readout_direction,
            sensor_rows_per_row=self.sensor_rows_per_row,
            rows_at_once=self.rows_at_once,
            first_sensor_row=self.first_sensor_row,
        )


class RegionOfInterest(_Section):
    """A rectangle of the stored picture; also written [x, y, width, height]."""

    x: _Origin = Field(description="Column of its left edge, in px.")
    y: _Origin = Field(description="Row of its top edge, in px.")
    width: _Size = Field(description="Its width, in px.")
    height: _Size = Field(description="Its height, in px.")

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: object) -> object:
        if isinstance(value, list | tuple):
            if len(value) != 4:
                raise ValueError(f"has {len(value)} numbers; allowed: [x, y, width, height]")
            return dict(zip(("x", "y", "width", "height"), value, strict=True))
        return value

    def to_region(self) -> Region:
        """The rectangle in the program's terms."""
        return Region(self.x, self.y, self.width, self.height)


_Corner = tuple[
    Annotated[float, Field(ge=0, le=LARGEST_INTEGER, allow_inf_nan=False)],
    Annotated[float, Field(ge=0, le=LARGEST_INTEGER, allow_inf_nan=False)],
]


class NamedRegion(_Section):
    """One of several places to look at, each with its own result: a rectangle, or a polygon."""

    name: Name = Field(description="The region's name; it becomes part of the folder's name of each run on it.")
    box: RegionOfInterest | None = Field(default=None, description="A rectangle: x, y, width, height in px.")
    polygon: tuple[_Corner, ...] | None = Field(
        default=None,
        description="Corners [x, y] in px of the stored picture, in order; what lies outside doesn't count.",
        json_schema_extra={"minItems": 3},
    )

    @field_validator("polygon")
    @classmethod
    def _three_corners(cls, polygon: tuple[_Corner, ...] | None) -> tuple[_Corner, ...] | None:
        if polygon is not None and len(set(polygon)) < 3:
            raise ValueError(f"has {len(set(polygon))} different corners; a polygon needs at least 3")
        return polygon

    @model_validator(mode="after")
    def _one_shape(self) -> NamedRegion:
        if (self.box is None) == (self.polygon is None):
            raise ValueError("needs either a box or a polygon, and not both")
        return self

    def to_region(self) -> Region:
        """The rectangle, or the smallest one of whole pixels around the polygon."""
        if self.box is not None:
            return self.box.to_region()
        columns, rows = zip(*(self.polygon or ()), strict=True)
        x, y = math.floor(min(columns)), math.floor(min(rows))
        return Region(x, y, max(1, math.ceil(max(columns)) - x), max(1, math.ceil(max(rows)) - y))


class StageSpec(_Section):
    """Which stage, with which parameters; also written as the name alone."""

    name: Line = Field(description="The stage's name; `vmforensics plugins list` shows those installed.")
    params: PlainData = Field(
        default={},
        description="Its parameters; what is left out has the stage's default. See `vmforensics plugins show`.",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: object) -> object:
        value = as_written(value)
        return {"name": value} if isinstance(value, str) else value


def _specs(value: object) -> object:
    """One stage stands for a list of one."""
    return [value] if isinstance(as_written(value), str | dict | StageSpec) else value


StageSpecs = Annotated[tuple[StageSpec, ...], BeforeValidator(_specs)]
Alternatives = Annotated[tuple[StageSpec, ...], BeforeValidator(_specs)]
ChainAlternatives = Annotated[tuple[StageSpecs, ...], BeforeValidator(_specs)]


class Run(_Section):
    """One way of recovering the sound; a stage left out is the usual one for the shutter."""

    name: Name = Field(default="recovery", description="The run's name and the name of its folder; unique in the case.")
    evidence: Line | None = Field(default=None, description="The exhibit's id; the first exhibit if left out.")
    region: Name | None = Field(
        default=None, description="One of the case's `regions`; each of them in turn if left out."
    )
    frame_source: StageSpec | None = Field(default=None, description="What opens the evidence as frames.")
    motion_estimator: StageSpec | None = Field(default=None, description="What measures how the scene moves.")
    signal_combiner: StageSpec | None = Field(default=None, description="What turns that motion into one signal.")
    denoiser: StageSpecs | None = Field(
        default=None, description="What takes noise out: one stage, or several in order."
    )
    exporter: StageSpecs | None = Field(default=None, description="What writes the results: one stage, or several.")

    def stages(self, kind: str) -> tuple[StageSpec, ...]:
        """What the run names for a slot ("denoiser"), in order; empty where it leaves it out."""
        specs: StageSpec | tuple[StageSpec, ...] | None = getattr(self, kind)
        if specs is None:
            return ()
        return (specs,) if isinstance(specs, StageSpec) else specs


class Matrix(_Section):
    """Methods to compare, each with each: estimators, combiners and denoisers; a slot left out has the usual ones."""

    evidence: Line | None = Field(default=None, description="The exhibit's id; the first exhibit if left out.")
    motion_estimator: Alternatives | None = Field(default=None, description="Motion estimators, in turn.")
    signal_combiner: Alternatives | None = Field(default=None, description="Signal combiners, in turn.")
    denoiser: ChainAlternatives | None = Field(
        default=None, description="Denoisers, in turn: each a stage, or a list of several in order; [] for none."
    )
    exporter: StageSpecs | None = Field(default=None, description="What writes the results of every run.")

    @field_validator("motion_estimator", "signal_combiner", "denoiser")
    @classmethod
    def _some(cls, alternatives: tuple[_T, ...] | None) -> tuple[_T, ...] | None:
        if alternatives is not None and not alternatives:
            raise ValueError("is an empty list; it needs at least one item, or is left out")
        return alternatives


class Plugins(_Section):
    """Whose methods the case may use."""

    allow: tuple[Line, ...] = Field(
        description="Names of the only plugins whose stages may be used, as `vmforensics plugins list` shows them."
    )

    @field_validator("allow")
    @classmethod
    def _some(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not names:
            raise ValueError("is an empty list, which would allow no stage at all; leave it out to allow all")
        return names


class Case(_Section):
    """A case: everything a recovery needs to know beside the evidence itself."""

    version: int = Field(description="Version of this format.", json_schema_extra={"const": VERSION})
    case: Identity = Field(description="Whose case it is.")
    evidence: tuple[Exhibit, ...] = Field(
        description="What was handed in: one exhibit or more.", json_schema_extra={"minItems": 1}
    )
    camera: Camera = Field(description="When the camera's rows saw the scene.")
    region: RegionOfInterest | None = Field(default=None, description="Where to look; the whole frame if left out.")
    regions: tuple[NamedRegion, ...] = Field(
        default=(), description="Instead of it, several places to look at; every run is carried out on each."
    )
    plugins: Plugins | None = Field(
        default=None, description="Which plugins the case may use; all that are installed if left out."
    )
    runs: tuple[Run, ...] = Field(
        default_factory=lambda: (Run(),),
        description="What to do, compared side by side; one usual run if left out.",
        json_schema_extra={"minItems": 1},
    )
    compare: Matrix | None = Field(
        default=None, description="Methods that `vmforensics compare` tries, each with each; `run` heeds the runs only."
    )

    @field_validator("version", mode="before")
    @classmethod
    def _known_version(cls, value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, int) or value != VERSION:
            raise ValueError(f"{show(value)} isn't a known version of the case format; allowed: {VERSION}")
        return value

    @field_validator("evidence", "runs")
    @classmethod
    def _at_least_one(cls, items: tuple[_T, ...]) -> tuple[_T, ...]:
        if not items:
            raise ValueError("is an empty list; it needs at least one item")
        return items

    @field_validator("evidence")
    @classmethod
    def _exhibit_ids(cls, exhibits: tuple[Exhibit, ...]) -> tuple[Exhibit, ...]:
        named = tuple(e if e.id else e.model_copy(update={"id": f"E{n}"}) for n, e in enumerate(exhibits, 1))
        _check_unique("id", [e.id for e in named])
        return named

    @field_validator("regions")
    @classmethod
    def _region_names(cls, regions: tuple[NamedRegion, ...], info: ValidationInfo) -> tuple[NamedRegion, ...]:
        if regions and info.data.get("region") is not None:
            raise ValueError("region and regions say where to look twice; give one of them")
        _check_unique("name", [region.name for region in regions])
        return regions

    @field_validator("runs")
    @classmethod
    def _known_regions(cls, runs: tuple[Run, ...], info: ValidationInfo) -> tuple[Run, ...]:
        if "regions" not in info.data:  # itself wrong, and reported as such
            return runs
        known = [region.name for region in info.data["regions"]]
        problems = Problems()
        for n, run in enumerate(runs):
            if run.region is not None and run.region not in known:
                problems.add(f"no region {show(run.region)}; {choices(run.region, known)}", n, "region")
        problems.check()
        return runs

    @field_validator("runs")
    @classmethod
    def _run_names(cls, runs: tuple[Run, ...]) -> tuple[Run, ...]:
        _check_unique("name", [run.name for run in runs])
        return runs

    @field_validator("compare")
    @classmethod
    def _known_exhibit(cls, compare: Matrix | None, info: ValidationInfo) -> Matrix | None:
        if compare is not None and compare.evidence is not None and "evidence" in info.data:
            known = [exhibit.id for exhibit in info.data["evidence"]]
            problems = Problems()
            if compare.evidence not in known:
                problems.add(f"no exhibit {show(compare.evidence)}; {choices(compare.evidence, known)}", "evidence")
            problems.check()
        return compare

    @field_validator("runs")
    @classmethod
    def _known_exhibits(cls, runs: tuple[Run, ...], info: ValidationInfo) -> tuple[Run, ...]:
        if "evidence" not in info.data:  # itself wrong, and reported as such
            return runs
        known = [exhibit.id for exhibit in info.data["evidence"]]
        problems = Problems()
        for n, run in enumerate(runs):
            if run.evidence is not None and run.evidence not in known:
                problems.add(f"no exhibit {show(run.evidence)}; {choices(run.evidence, known)}", n, "evidence")
        problems.check()
        return runs

    def place(self, run: Run) -> NamedRegion | None:
        """The named region that a run looks at; None where it looks at `region`, or the whole frame."""
        return next((region for region in self.regions if region.name == run.region), None)

    def exhibit(self, run: Run) -> Exhibit:
        """The exhibit that a run works on."""
        return next(e for e in self.evidence if run.evidence in (None, e.id))


def _check_unique(key: str, names: Sequence[str]) -> None:
    """Refuse names that are the same, or would be on a file system that ignores case."""
    problems = Problems()
    seen: set[str] = set()
    for n, name in enumerate(names):
        if name.casefold() in seen:
            problems.add(
                f"{show(name)} is taken by an earlier one; it must be unique, upper or lower case alike", n, key
            )
        seen.add(name.casefold())
    problems.check()
