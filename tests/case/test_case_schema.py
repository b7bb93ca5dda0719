"""The JSON Schema says what the reader says."""

import json

import pytest
import yaml
from pydantic import Field

from vmforensics.case import dumps_schema, json_schema
from vmforensics.stages import Denoiser, Exporter, FrameSource, MotionEstimator, StageParams
from vmforensics.units import Hertz


class Inner(StageParams):
    taps: int = Field(default=7, ge=3, description="taps")


class Cutoff(StageParams):
    cutoff: Hertz = Field(default=80, gt=0, description="cutoff frequency, Hz")
    title: str = Field(default="", description="a field called title")
    kernel: Inner = Inner()


class Depth(StageParams):
    depth: int = Field(description="knowingly required")


def stage(interface, stage_name, params=StageParams, about="does something"):
    members = {"name": stage_name, "summary": about, "Params": params}
    return type(stage_name, (interface,), members)


STAGES = [
    stage(Denoiser, "high-pass", Cutoff, "cuts what is slow"),
    stage(Denoiser, "deep", Depth),
    stage(FrameSource, "video"),
    stage(MotionEstimator, "local-phase"),
    stage(Exporter, "wav"),
]
BASE = "version: 1\ncase: {id: A}\nevidence: [{path: a}]\ncamera: {shutter: global}\n"


@pytest.fixture(scope="module")
def validator():
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(dumps_schema(STAGES))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_completes_stages_and_params():
    definitions = json_schema(STAGES)["$defs"]
    assert {"const": "high-pass", "description": "cuts what is slow"} in definitions["denoiser"]["anyOf"]
    cutoff = definitions["denoiser.high-pass"]["properties"]["cutoff"]
    assert cutoff["description"] == "cutoff frequency, Hz"
    assert cutoff["exclusiveMinimum"] == 0
    assert cutoff["default"] == 80
    assert "title" in definitions["denoiser.high-pass"]["properties"]
    assert definitions["denoiser.high-pass"]["properties"]["kernel"]["$ref"] == "#/$defs/denoiser.high-pass.Inner"
    assert definitions["denoiser.high-pass.Inner"]["properties"]["taps"]["minimum"] == 3
    assert definitions["ReadoutDirection"]["enum"][0] == "top-to-bottom"


def test_every_field_is_described():
    schema = json_schema(STAGES)
    ours = ("Identity", "Exhibit", "Camera", "Run")
    for name, section in [("Case", schema), *((name, schema["$defs"][name]) for name in ours)]:
        for key, field in section["properties"].items():
            assert field.get("description") or "$ref" in field, f"{name}.{key}"


def test_every_reference_leads_somewhere():
    text = dumps_schema(STAGES)
    definitions = json_schema(STAGES)["$defs"]
    for part in text.split('"$ref": "#/$defs/')[1:]:
        assert part[: part.index('"')] in definitions


def test_text_is_deterministic():
    assert dumps_schema(STAGES) == dumps_schema(STAGES[::-1])
    assert json.loads(dumps_schema(STAGES)) == json_schema(STAGES)
    assert dumps_schema(STAGES).endswith("}\n")


@pytest.mark.parametrize(
    "more",
    [
        "",
        "region: [1, 2, 3, 4]",
        "region: {x: 1, y: 2, width: 3, height: 4}",
        "region: null",
        "runs: [{name: a, denoiser: high-pass}, {denoiser: []}]",
        "runs: [{denoiser: [high-pass, {name: high-pass, params: {cutoff: 80 Hz, kernel: {taps: 9}}}]}]",
        "runs: [{denoiser: {name: deep, params: {depth: 3}}}]",
        "runs: [{frame_source: auto, motion_estimator: {name: local-phase}, exporter: [wav]}]",
    ],
)
def test_accepts(validator, more):
    validator.validate(yaml.safe_load(BASE + more))


@pytest.mark.parametrize(
    "text",
    [
        BASE.replace("version: 1", "version: 2"),
        BASE.replace("{id: A}", "{}"),
        BASE.replace("[{path: a}]", "[]"),
        BASE.replace("[{path: a}]", "[{path: a, sha256: ab}]"),
        BASE.replace("global", "rolling"),
        BASE.replace("global", "globel"),
        BASE.replace("global", "global, exposure: -1"),
        BASE + "region: [1, 2, 3]",
        BASE + "region: [1, 2, 0, 4]",
        BASE + "region: [1, 2, 3, 4, 5]",
        BASE + "runs: []",
        BASE + "runs: [{name: ..}]",
        BASE + "runs: [{denoiser: low-pass}]",
        BASE + "runs: [{denoiser: deep}]",
        BASE + "runs: [{denoiser: {name: deep}}]",
        BASE + "runs: [{denoiser: {name: high-pass, params: {cutof: 80}}}]",
        BASE + "runs: [{denoiser: {name: high-pass, params: {cutoff: 0}}}]",
        BASE + "runs: [{motion_estimator: [local-phase]}]",
        BASE + "runs: [{signal_combiner: anything}]",
        BASE + "extra: 1",
    ],
)
def test_refuses(validator, text):
    assert not validator.is_valid(yaml.safe_load(text))
