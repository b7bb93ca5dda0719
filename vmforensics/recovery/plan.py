"""A case made ready to run: every stage found, every parameter checked, before anything is written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from vmforensics.case import AUTO, Case, CaseFile, NamedRegion, StageSpec, on_each_region, resolve, with_stage
from vmforensics.custody import source_digest
from vmforensics.data import Evidence, FrameStream
from vmforensics.errors import ParameterError, UnknownPlugin, VmforensicsError
from vmforensics.plugins import RegisteredStage, Registry
from vmforensics.recovery import guard
from vmforensics.stages import STAGES, Denoiser, Exporter, FrameSource, MotionEstimator, SignalCombiner, Stage


@dataclass(frozen=True, slots=True)
class Plan:
    """One run, ready to be carried out.

    Parameters
    ----------
    name : str
        The run's name.
    case : Case
        The whole case with every default of every stage.
    case_text : bytes
        The case file as written.
    evidence : Evidence
        What it works on.
    expected_sha256 : str or None
        What the evidence must have, if the case says so.
    place : NamedRegion or None
        Which of several regions it looks at; None where the case has one at most.
    source, estimator, combiner, denoisers, exporters
        The stages.
    implementations : dict
        For each stage object's id, what implements it, as the ledger and the report name it.
    """

    name: str
    case: Case
    case_text: bytes
    evidence: Evidence
    expected_sha256: str | None
    place: NamedRegion | None
    source: FrameSource
    estimator: MotionEstimator
    combiner: SignalCombiner
    denoisers: tuple[Denoiser, ...]
    exporters: tuple[Exporter, ...]
    implementations: dict[int, dict[str, Any]]

    def implementation(self, stage: Stage) -> dict[str, Any]:
        """Kind, name, distribution, version, source digest and parameters of a stage."""
        return self.implementations[id(stage)]


def plan_case(case_file: CaseFile, registry: Registry) -> list[Plan]:
    """Find and create the stages of all runs of a case.

    Raises
    ------
    EvidenceMissing
        An exhibit isn't there.
    UnknownPlugin, ParameterError
        A stage isn't installed, or isn't of a plugin that the case allows, or a parameter isn't allowed; the message
        says where in the case file.
    """
    case = resolve(case_file.case)
    written = [position for _, position in on_each_region(case_file.case)]
    registry = _allowed(case_file, registry)
    stages: list[dict[str, list[Stage]]] = []
    implementations: dict[int, dict[str, Any]] = {}
    for number, run in enumerate(case.runs):
        exhibit = case.exhibit(run)
        evidence = Evidence(case_file.evidence_path(exhibit), exhibit.id)
        evidence.files()  # a missing exhibit is told before anything is made
        created: dict[str, list[Stage]] = {}
        for kind in (stage.kind for stage in STAGES):
            created[kind] = []
            for position, spec in enumerate(run.stages(kind)):
                name = _source_for(evidence, registry) if spec.name == AUTO and kind == "frame_source" else spec.name
                try:
                    stage = registry.create(kind, name, spec.params)
                except (UnknownPlugin, ParameterError) as error:
                    raise _located(error, case_file, written[number], kind, position) from error
                created[kind].append(stage)
                implementations[id(stage)] = describe_implementation(stage, registry.find(kind, name))
                complete = StageSpec(name=name, params=stage.params.model_dump(mode="json"))
                case = with_stage(case, number, kind, complete, position)
        stages.append(created)
    plans = []
    for run, made in zip(case.runs, stages, strict=True):
        exhibit = case.exhibit(run)
        plans.append(
            Plan(
                name=run.name,
                case=case,
                case_text=case_file.text,
                evidence=Evidence(case_file.evidence_path(exhibit), exhibit.id),
                expected_sha256=exhibit.sha256,
                place=case.place(run),
                source=cast(FrameSource, made["frame_source"][0]),
                estimator=cast(MotionEstimator, made["motion_estimator"][0]),
                combiner=cast(SignalCombiner, made["signal_combiner"][0]),
                denoisers=tuple(cast(list[Denoiser], made["denoiser"])),
                exporters=tuple(cast(list[Exporter], made["exporter"])),
                implementations=implementations,
            )
        )
    for plan in plans:
        if plan.place is not None and plan.place.polygon is not None and not plan.estimator.masks:
            raise UnknownPlugin(
                f"region {plan.place.name!r} is a polygon, and motion_estimator {plan.estimator.name!r} takes "
                "rectangles only",
                hint="give the region as a box, or take an estimator that leaves pixels out: row-motion, gradient",
            )
    return plans


def source_for(path: Path, registry: Registry) -> FrameSource:
    """The frame source for a file or folder, with its default parameters.

    Raises
    ------
    EvidenceMissing
        It isn't there.
    UnknownPlugin
        No installed source takes it.
    """
    evidence = Evidence(path)
    evidence.files()
    return cast(FrameSource, registry.create("frame_source", _source_for(evidence, registry)))


def opened(source: FrameSource, evidence: Evidence, registry: Registry) -> FrameStream:
    """Evidence as frames; what goes wrong in the source, now or while frames are read, is named as its own.

    Raises
    ------
    EvidenceMissing, EvidenceUnreadable, NoVideo, TooFewFrames
        It can't be read as frames.
    StageError
        The source raised something else, or returned no frames.
    """
    implementation = describe_implementation(source, registry.find(source.kind, source.name))
    stream = guard.call(implementation, partial(source.open, evidence), FrameStream)
    guard.check_stream(implementation, stream)
    return stream


def _allowed(case_file: CaseFile, registry: Registry) -> Registry:
    """The stages of the plugins that the case allows."""
    if case_file.case.plugins is None:
        return registry
    try:
        return registry.allowing(case_file.case.plugins.allow)
    except UnknownPlugin as error:
        raise UnknownPlugin(f"{case_file.describe(('plugins', 'allow'))}: {error.message}", hint=error.hint) from error


def _source_for(evidence: Evidence, registry: Registry) -> str:
    for registered in registry.stages("frame_source"):
        source, provider = cast(type[FrameSource], registered.stage), registered.provider
        who = {"kind": source.kind, "name": source.name, "distribution": provider.distribution}
        who |= {"version": provider.version, "origin": provider.origin.value}
        if guard.contained(who, partial(source.accepts, evidence)):
            return source.name
    raise UnknownPlugin(
        f"{evidence.path}: no installed frame source takes it; installed: {registry.choices('frame_source')}",
        hint="name a frame_source in the case, or install a plugin for this format",
    )


def _located(
    error: UnknownPlugin | ParameterError, case_file: CaseFile, run: int, kind: str, position: int
) -> VmforensicsError:
    """The same error with its place in the case file."""
    slot: tuple[str | int, ...] = ("runs", run, kind)
    loc: tuple[str | int, ...] = (*slot, position) if kind in ("denoiser", "exporter") else slot
    if isinstance(error, ParameterError):
        loc = (*loc, "params", *error.key)
    return type(error)(f"{case_file.describe(loc)}: {error.message}", hint=error.hint)


def describe_implementation(stage: Stage, registered: RegisteredStage) -> dict[str, Any]:
    """Kind, name, distribution, version, source digest and parameters of a stage, as the ledger names it."""
    provider = registered.provider
    return {
        "kind": stage.kind,
        "name": stage.name,
        "summary": stage.summary,
        "reference": stage.reference,
        "plugin": provider.plugin,
        "distribution": provider.distribution,
        "version": provider.version,
        "editable": provider.editable,
        "origin": provider.origin.value,
        "source_sha256": source_digest(provider.source) if provider.source else None,
        "params": stage.params.model_dump(mode="json"),
        "params_meaning": {name: field.description or "" for name, field in stage.Params.model_fields.items()},
    }
