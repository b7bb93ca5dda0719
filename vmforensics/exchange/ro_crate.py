"""A record as an RO-Crate 1.1, by the profile Process Run Crate 0.5: the files, and who made them of what by what.

https://w3id.org/ro/crate/1.1, https://w3id.org/ro/wfrun/process/0.5
"""

from __future__ import annotations

import base64
import json
import mimetypes
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from vmforensics.custody import RunStatus
from vmforensics.exchange.subject import Subject, ToldRun

METADATA_NAME = "ro-crate-metadata.json"
_CRATE = "https://w3id.org/ro/crate/1.1"
_PROCESS = "https://w3id.org/ro/wfrun/process/0.5"
_KNOWN_TYPES = {".npz": "application/x-npz", ".jsonl": "application/jsonl", ".yaml": "application/yaml"}
_STATES = {RunStatus.FINISHED: "http://schema.org/CompletedActionStatus"}
_FAILED = "http://schema.org/FailedActionStatus"

Entity = dict[str, Any]


def to_ro_crate(subject: Subject, files: Mapping[str, tuple[str, int]]) -> bytes:
    """Write the crate's metadata; the same record gives the same bytes.

    Parameters
    ----------
    subject
        What the crate holds.
    files
        SHA-256 and size in bytes of each file in the crate, by path.
    """
    identity = subject.identity
    name = str(identity.get("title") or identity.get("id") or subject.name)
    entities: dict[str, Entity] = {}

    def add(identifier: str, /, **content: Any) -> Entity:
        entities.setdefault(identifier, {"@id": identifier, **content})
        return {"@id": identifier}

    actions = [_action(run, subject, files, add) for run in subject.runs]
    add(
        METADATA_NAME,
        **{"@type": "CreativeWork", "conformsTo": {"@id": _CRATE}, "about": {"@id": "./"}},
    )
    add(
        "./",
        **{
            "@type": "Dataset",
            "name": name,
            "description": f"Record of {name}: sound recovered from silent video, with its ledger and digests",
            "identifier": str(identity.get("id") or subject.name),
            "datePublished": subject.last.time,
            "license": add(
                "#no-licence",
                **{
                    "@type": "CreativeWork",
                    "name": "No licence",
                    "description": "Material of an examination; whoever ordered it decides who may have it.",
                },
            ),
            "conformsTo": {"@id": _PROCESS},
            "hasPart": [{"@id": path} for path in sorted(files)],
            "mentions": actions,
        },
    )
    add(_PROCESS, **{"@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"})
    for path, (sha256, size) in sorted(files.items()):
        add(
            path,
            **{
                "@type": "File",
                "name": PurePath(path).name,
                "contentSize": str(size),
                "sha256": sha256,
                "encodingFormat": _KNOWN_TYPES.get(PurePath(path).suffix)
                or mimetypes.types_map.get(PurePath(path).suffix, "application/octet-stream"),
            },
        )
    context = [f"{_CRATE}/context", {"sha256": "https://schema.org/sha256"}]
    document = {"@context": context, "@graph": [entities[key] for key in sorted(entities)]}
    return (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _action(run: ToldRun, subject: Subject, files: Mapping[str, Any], add: Any) -> Entity:
    """A run: what made which files of which exhibits."""
    below = f"{run.name}/" if subject.case else ""
    stages = [_stage(stage, add) for stage in run.stages]
    program = add(
        f"#vmforensics-{run.program.get('source_sha256')}",
        **{
            "@type": "SoftwareApplication",
            "name": "vmforensics",
            "softwareVersion": str(run.program.get("version")),
            "description": f"SHA-256 of its source: {run.program.get('source_sha256')}",
        },
    )
    exhibits = [_exhibit(material, add) for material in run.materials]
    params = [_params(run, stage, add) for stage in run.stages]
    content: Entity = {
        "@type": "CreateAction",
        "name": f"recovery of sound, {run.name}",
        "startTime": run.entries[0].time,
        "endTime": run.entries[-1].time,
        "instrument": _once([program, *stages]),
        "object": _once([*exhibits, *(each for some in params for each in some)]),
        "result": [{"@id": f"{below}{name}"} for name in sorted(run.products) if f"{below}{name}" in files],
        "actionStatus": {"@id": _STATES.get(run.status, _FAILED)},
        "description": f"run {run.status.value}{f'; set aside: {run.set_aside}' if run.set_aside else ''}",
    }
    if run.status is not RunStatus.FINISHED:
        content["error"] = run.error or "the ledger doesn't say how the run ended"
    examiner = str(run.identity.get("examiner") or "")
    if examiner:
        content["agent"] = add(f"#person-{_token(examiner)}", **{"@type": "Person", "name": examiner})
    reference: Entity = add(f"#run-{run.head}", **content)
    return reference


def _exhibit(material: Mapping[str, Any], add: Any) -> Any:
    """An exhibit, which isn't in the crate: named by its digest (RFC 6920)."""
    sha256 = str(material.get("sha256"))
    name = PurePath(str(material.get("path"))).name
    return add(
        f"ni:///sha-256;{_token_of_digest(sha256)}",
        **{
            "@type": "CreativeWork",
            "name": name,
            "identifier": str(material.get("id")),
            "sha256": sha256,
            "description": "the exhibit, which isn't part of this crate",
        },
    )


def _stage(stage: Mapping[str, Any], add: Any) -> Any:
    name = f"{stage.get('kind')} {stage.get('name')}"
    return add(
        f"#stage-{_token(name)}-{stage.get('source_sha256')}",
        **{
            "@type": "SoftwareApplication",
            "name": name,
            "softwareVersion": str(stage.get("version")),
            "description": f"{stage.get('summary')}; SHA-256 of its source: {stage.get('source_sha256')}",
            "citation": str(stage.get("reference") or ""),
        },
    )


def _params(run: ToldRun, stage: Mapping[str, Any], add: Any) -> list[Any]:
    params = stage.get("params")
    stated = params.items() if isinstance(params, Mapping) else ()
    return [
        add(
            f"#parameter-{run.head[:16]}-{_token(name)}",
            **{"@type": "PropertyValue", "name": name, "value": json.dumps(value)},
        )
        for name, value in ((f"{stage.get('name')}.{key}", value) for key, value in stated)
    ]


def _once(references: list[Any]) -> list[Any]:
    return list({reference["@id"]: reference for reference in references}.values())


def _token(text: str) -> str:
    """Text as part of an identifier."""
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _token_of_digest(sha256: str) -> str:
    try:
        return base64.urlsafe_b64encode(bytes.fromhex(sha256)).rstrip(b"=").decode()
    except ValueError:
        return _token(sha256)
