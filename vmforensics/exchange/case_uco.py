"""A record as CASE, the Cyber-investigation Analysis Standard Expression, version 1.x, in JSON-LD.

https://caseontology.org; objects, actions and identities are those of UCO, the Unified Cyber Ontology.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

from vmforensics.exchange.subject import Subject, ToldRun

_UCO = "https://ontology.unifiedcyberontology.org/uco/"
_CONTEXT = {
    "kb": "urn:vmforensics:",
    "case-investigation": "https://ontology.caseontology.org/case/investigation/",
    **{f"uco-{part}": f"{_UCO}{part}/" for part in ("action", "configuration", "core", "identity", "observable")},
    **{f"uco-{part}": f"{_UCO}{part}/" for part in ("tool", "types")},
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:vmforensics:case-uco")

Node = dict[str, Any]


def to_case_uco(subject: Subject) -> bytes:
    """Write a run or a case as CASE/UCO JSON-LD; the same record gives the same bytes.

    Exhibits and artefacts are files with their SHA-256, runs and acts are investigative actions, with who did them, by
    which configured tools, on what, and what came of it.
    """
    graph = _Graph(subject)
    for run in subject.runs:
        graph.add_run(run)
    graph.add_acts()
    graph.add_investigation()
    document = {"@context": _CONTEXT, "@graph": sorted(graph.nodes.values(), key=lambda node: node["@id"])}
    return (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


class _Graph:
    """The nodes of the document, each once."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.nodes: dict[str, Node] = {}

    def add_run(self, run: ToldRun) -> None:
        """A run: an action on the exhibits, by the program and its stages, with the artefacts as its result."""
        exhibits = [
            self._file("exhibit", str(each.get("sha256")), PurePath(str(each.get("path"))).name, _size(each), each)
            for each in run.materials
        ]
        results = [self._file("artefact", sha256, name, None, run.head) for name, sha256 in run.products.items()]
        record = self._node(
            "provenance-record",
            (run.head,),
            "case-investigation:ProvenanceRecord",
            {
                "uco-core:description": f"ledger of {run.name}, whose last line has the SHA-256 {run.head}",
                "uco-core:object": _refs(results or exhibits),
            },
        )
        state = f"run {run.status.value}"
        state += f": {run.error}" if run.error else ""
        state += f"; set aside: {run.set_aside}" if run.set_aside else ""
        content: Node = {
            "uco-core:name": f"recovery of sound, {run.name}",
            "uco-core:description": state,
            "uco-action:startTime": _time(run.entries[0].time),
            "uco-action:endTime": _time(run.entries[-1].time),
            "uco-action:instrument": _refs([self._program(run), *(self._stage(run, stage) for stage in run.stages)]),
            "uco-action:result": _refs([record, *results]),
        }
        if exhibits:
            content["uco-action:object"] = _refs(exhibits)
        examiner = str(run.identity.get("examiner") or "")
        if examiner:
            content["uco-action:performer"] = _ref(self._person(examiner))
        self._node("action", (run.head,), "case-investigation:InvestigativeAction", content)

    def add_acts(self) -> None:
        """The acts in the case's own ledger, and its exhibits as they were taken in."""
        for exhibit in self._subject.exhibits:
            file = self._file("exhibit", exhibit.sha256, exhibit.name, exhibit.size_bytes, exhibit.id)
            received = " ".join(filter(None, (exhibit.received.from_, exhibit.received.at)))
            self._node(
                "provenance-record",
                ("exhibit", exhibit.id, exhibit.sha256),
                "case-investigation:ProvenanceRecord",
                {
                    "uco-core:description": f"exhibit {exhibit.id}{f', received {received}' if received else ''}",
                    "case-investigation:exhibitNumber": exhibit.id,
                    "uco-core:object": _refs([file]),
                },
            )
        marks = {exhibit.id: exhibit for exhibit in self._subject.exhibits}
        for entry in self._subject.acts:
            actor, mark = entry.fields.get("actor"), entry.fields.get("exhibit")
            told = [f"{key}: {entry.fields[key]}" for key in _TOLD if entry.fields.get(key)]
            content: Node = {
                "uco-core:name": entry.event,
                "uco-core:description": "; ".join([*told, f"line {entry.seq} of the case's ledger, {entry.digest}"]),
                "uco-action:startTime": _time(entry.time),
                "uco-action:endTime": _time(entry.time),
            }
            if isinstance(actor, str):
                content["uco-action:performer"] = _ref(self._person(actor))
            if isinstance(mark, str) and mark in marks:
                exhibit = marks[mark]
                file = self._file("exhibit", exhibit.sha256, exhibit.name, exhibit.size_bytes, exhibit.id)
                content["uco-action:object"] = _refs([file])
            self._node("action", (entry.digest,), "case-investigation:InvestigativeAction", content)

    def add_investigation(self) -> None:
        """The case that everything belongs to."""
        identity = self._subject.identity
        organisation = str(identity.get("organisation") or "")
        if organisation:
            named = {"uco-core:name": organisation}
            self._node("organization", (organisation,), "uco-identity:Organization", named)
        content: Node = {
            "uco-core:name": str(identity.get("id") or self._subject.name),
            "uco-core:object": _refs(sorted(self.nodes)),
        }
        for key, prefix in (("title", ""), ("authority", "authority: "), ("notes", "")):
            if identity.get(key):
                content.setdefault("uco-core:description", [])
                content["uco-core:description"].append(f"{prefix}{identity[key]}")
        self._node("investigation", (self._subject.last.digest,), "case-investigation:Investigation", content)

    def _node(self, kind: str, key: Iterable[str], type_: str, content: Node) -> str:
        """Add a node, unless it is there; gives its identifier."""
        name = f"kb:{kind}-{uuid.uuid5(_NAMESPACE, json.dumps([kind, *key]))}"
        self.nodes.setdefault(name, {"@id": name, "@type": type_, **content})
        return name

    def _inner(self, kind: str, key: Iterable[str], type_: str, content: Node) -> Node:
        """A node that lies within another."""
        return {"@id": f"kb:{kind}-{uuid.uuid5(_NAMESPACE, json.dumps([kind, *key]))}", "@type": type_, **content}

    def _file(self, kind: str, sha256: str, name: str, size: int | None, of: object) -> str:
        key = (kind, sha256, name, str(of) if kind == "artefact" else "")
        sized = {} if size is None else {"uco-observable:sizeInBytes": _integer(size)}
        digest = {"uco-types:hashMethod": "SHA256", "uco-types:hashValue": {"@type": "xsd:hexBinary", "@value": sha256}}
        facets = [
            self._inner("file-facet", key, "uco-observable:FileFacet", {"uco-observable:fileName": name, **sized}),
            self._inner(
                "content-facet",
                key,
                "uco-observable:ContentDataFacet",
                {"uco-observable:hash": [self._inner("hash", key, "uco-types:Hash", digest)], **sized},
            ),
        ]
        return self._node("file", key, "uco-observable:File", {"uco-core:name": name, "uco-core:hasFacet": facets})

    def _program(self, run: ToldRun) -> str:
        version, source = (str(run.program.get(key)) for key in ("version", "source_sha256"))
        return self._node(
            "tool",
            ("vmforensics", version, source),
            "uco-tool:Tool",
            {
                "uco-core:name": "vmforensics",
                "uco-core:description": f"SHA-256 of its source: {source}",
                "uco-tool:version": version,
            },
        )

    def _stage(self, run: ToldRun, stage: Mapping[str, Any]) -> str:
        key = (run.head, str(stage.get("kind")), str(stage.get("name")))
        params = stage.get("params")
        entries = [
            self._inner(
                "configuration-entry",
                (*key, str(name)),
                "uco-configuration:ConfigurationEntry",
                {"uco-configuration:itemName": str(name), "uco-configuration:itemValue": json.dumps(value)},
            )
            for name, value in (params.items() if isinstance(params, Mapping) else ())
        ]
        content: Node = {
            "uco-core:name": f"{stage.get('kind')} {stage.get('name')}",
            "uco-core:description": f"{stage.get('summary')}; SHA-256 of its source: {stage.get('source_sha256')}",
            "uco-tool:version": str(stage.get("version")),
        }
        if not entries:
            return self._node("tool", key, "uco-tool:Tool", content)
        configuration = self._node(
            "configuration",
            key,
            "uco-configuration:Configuration",
            {"uco-configuration:configurationEntry": entries},
        )
        content["uco-configuration:usesConfiguration"] = _ref(configuration)
        return self._node("tool", key, "uco-tool:ConfiguredTool", content)

    def _person(self, name: str) -> str:
        return self._node("identity", (name,), "uco-identity:Identity", {"uco-core:name": name})


_TOLD = ("purpose", "reason", "run", "status", "verdict", "handed_over_by", "handed_to", "at", "of", "form")


def _ref(name: str) -> Node:
    return {"@id": name}


def _refs(names: Iterable[str]) -> list[Node]:
    return [_ref(name) for name in dict.fromkeys(names)]


def _time(text: str) -> Node:
    return {"@type": "xsd:dateTime", "@value": text}


def _integer(value: int) -> Node:
    return {"@type": "xsd:integer", "@value": str(value)}


def _size(material: Mapping[str, Any]) -> int | None:
    files = material.get("files")
    sizes = [each.get("size") for each in files if isinstance(each, Mapping)] if isinstance(files, list) else []
    return sum(size for size in sizes if isinstance(size, int)) if sizes else None
