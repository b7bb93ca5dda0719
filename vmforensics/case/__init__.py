"""Cases: YAML in, a checked and immutable model, YAML out; nothing of what stages do with it."""

from vmforensics.case.defaults import AUTO, USUAL_STAGES, on_each_region, resolve, with_stage
from vmforensics.case.matrix import expanded, of_runs
from vmforensics.case.model import (
    Camera,
    Case,
    Exhibit,
    Identity,
    NamedRegion,
    RegionOfInterest,
    Run,
    ShutterKind,
    StageSpec,
)
from vmforensics.case.reader import CaseFile, build_case, dotted, parse_case, read_case
from vmforensics.case.schema import dumps_schema, json_schema
from vmforensics.case.template import CASE_FILE, CameraSettings, case_for_clip, new_case
from vmforensics.case.writer import dump_case

__all__ = [
    "AUTO",
    "CASE_FILE",
    "USUAL_STAGES",
    "Camera",
    "CameraSettings",
    "Case",
    "CaseFile",
    "Exhibit",
    "Identity",
    "NamedRegion",
    "RegionOfInterest",
    "Run",
    "ShutterKind",
    "StageSpec",
    "build_case",
    "case_for_clip",
    "dotted",
    "dump_case",
    "dumps_schema",
    "expanded",
    "json_schema",
    "new_case",
    "of_runs",
    "on_each_region",
    "parse_case",
    "read_case",
    "resolve",
    "with_stage",
]
