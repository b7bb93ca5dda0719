"""The JSON Schema of a case file, from which editors complete and check as people type."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from vmforensics.case.defaults import AUTO
from vmforensics.case.model import Case
from vmforensics.stages import STAGES, Stage

Schema = dict[str, Any]

_LIMITS = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}
_NAMED_SCHEMAS = ("properties", "$defs", "patternProperties", "dependentSchemas")
_VALUES = ("default", "const", "enum", "examples")


def json_schema(stages: Sequence[type[Stage]]) -> Schema:
    """Describe case files that may use the given stages.

    Parameters
    ----------
    stages
        The stages that a run can name, each with the schema of its parameters.

    Returns
    -------
    dict
        A JSON Schema (draft 2020-12) with the short forms: a stage by its name alone, one stage for a list of one,
        a region as a list.
    """
    schema = _tidied(Case.model_json_schema())
    definitions = schema["$defs"]
    del definitions["StageSpec"]
    for kind in (interface.kind for interface in STAGES):
        candidates = sorted((s for s in stages if s.kind == kind), key=lambda s: s.name)
        for stage in candidates:
            definitions |= _params(stage)
        definitions[kind] = _slot(kind, candidates)
    for slot, field in definitions["Run"]["properties"].items():
        if slot in definitions:
            one = {"$ref": f"#/$defs/{slot}"}
            several = "array" in json.dumps(field)
            forms = [one, {"type": "array", "items": one}] if several else [one]
            field["anyOf"] = [*forms, {"type": "null"}]
    for slot, field in definitions["Matrix"]["properties"].items():
        if slot in definitions:
            one = {"$ref": f"#/$defs/{slot}"}
            chain = {"type": "array", "items": one}
            item = {"anyOf": [one, chain]} if slot == "denoiser" else one
            choice = chain if slot == "exporter" else {"type": "array", "items": item, "minItems": 1}
            field["anyOf"] = [one, choice, {"type": "null"}]
    corner, size = {"type": "integer", "minimum": 0}, {"type": "integer", "minimum": 1}
    as_list = {"type": "array", "prefixItems": [corner, corner, size, size], "minItems": 4, "maxItems": 4}
    as_mapping = definitions["RegionOfInterest"]
    description = as_mapping.pop("description")
    definitions["RegionOfInterest"] = {"description": description, "anyOf": [as_list, as_mapping]}
    schema["$defs"] = dict(sorted(definitions.items()))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "vmforensics case", **schema}


def dumps_schema(stages: Sequence[type[Stage]]) -> str:
    """The JSON Schema as text; the same stages, in any order, give the same text."""
    return json.dumps(json_schema(stages), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _slot(kind: str, stages: Sequence[type[Stage]]) -> Schema:
    """What may stand for one stage of a kind: its name, or a mapping with parameters."""
    names: list[Schema] = []
    specs: list[Schema] = []
    for stage in stages:
        about = {"description": stage.summary}
        properties = {"name": {"const": stage.name}, "params": {"$ref": f"#/$defs/{_definition(stage)}"}}
        needs_params = any(field.is_required() for field in stage.Params.model_fields.values())
        required = ["name", "params"] if needs_params else ["name"]
        if not needs_params:
            names.append({"const": stage.name, **about})
        specs.append(
            {"type": "object", **about, "properties": properties, "required": required, "additionalProperties": False}
        )
    if kind == "frame_source":
        names.insert(0, {"const": AUTO, "description": "the first source that accepts the evidence"})
    return {"anyOf": names + specs} if names or specs else {"not": {}}


def _definition(stage: type[Stage]) -> str:
    return f"{stage.kind}.{stage.name}"


def _params(stage: type[Stage]) -> Schema:
    """A stage's parameters, and what they refer to, under names of their own."""
    prefix = _definition(stage)
    schema = _tidied(stage.Params.model_json_schema(ref_template=f"#/$defs/{prefix}.{{model}}"))
    for name, field in stage.Params.model_fields.items():  # a quantity's type hides its limits from pydantic
        for limit, keyword in _LIMITS.items():
            for constraint in field.metadata:
                if (value := getattr(constraint, limit, None)) is not None:
                    schema["properties"][name].setdefault(keyword, value)
    inner = schema.pop("$defs", {})
    return {prefix: schema} | {f"{prefix}.{name}": definition for name, definition in inner.items()}


def _tidied(schema: Schema) -> Schema:
    """Pydantic's schema with the limits of quantities in JSON Schema's words, and without its generated titles."""
    tidy: Schema = {}
    for key, value in schema.items():
        if key == "title":
            continue
        if key in _VALUES:
            tidy[key] = value
        elif key in _NAMED_SCHEMAS:
            tidy[key] = {name: _tidied(inner) for name, inner in value.items()}
        elif isinstance(value, dict):
            tidy[key] = _tidied(value)
        elif isinstance(value, list):
            tidy[key] = [_tidied(item) if isinstance(item, dict) else item for item in value]
        else:
            tidy[_LIMITS.get(key, key)] = value
    return tidy
