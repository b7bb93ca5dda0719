"""What a case leaves unsaid: the usual stages for its shutter."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from vmforensics.case.model import Case, Run, ShutterKind, StageSpec
from vmforensics.stages import STAGES

AUTO = "auto"
"""The frame source of this name stands for the first one that accepts the evidence."""

_LONGEST_NAME = 64
_SEVERAL = frozenset({"denoiser", "exporter"})  # slots that take a list of stages

_BOTH: dict[str, tuple[str, ...]] = {
    "frame_source": (AUTO,),
    "exporter": ("wav", "spectrogram", "arrays"),
}

USUAL_STAGES: Mapping[ShutterKind, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        ShutterKind.GLOBAL: {
            **_BOTH,
            "motion_estimator": ("adaptive",),
            "signal_combiner": ("shared-signal",),
            "denoiser": ("high-pass", "spectral-subtraction"),
        },
        ShutterKind.ROLLING: {
            **_BOTH,
            "motion_estimator": ("row-motion",),
            "signal_combiner": ("autoregressive",),
            "denoiser": ("high-pass",),
        },
    }
)
"""The stages that fill a run's empty slots, by shutter and slot."""


def resolve(case: Case) -> Case:
    """Complete a case: every run then names its exhibit, its region if there are several, and all its stages.

    The stages' own parameters aren't touched; `with_stage` takes them in once the stages are known.

    Examples
    --------
    >>> from vmforensics.case import parse_case
    >>> text = "{version: 1, case: {id: A}, evidence: [{path: a.mkv}], camera: {shutter: global}}"
    >>> run = resolve(parse_case(text).case).runs[0]
    >>> run.evidence, run.motion_estimator.name, [stage.name for stage in run.denoiser]
    ('E1', 'adaptive', ['high-pass', 'spectral-subtraction'])
    """
    usual = USUAL_STAGES[case.camera.shutter]
    runs = []
    for run, _ in on_each_region(case):
        missing: dict[str, Any] = {} if run.evidence is not None else {"evidence": case.evidence[0].id}
        for slot in (stage.kind for stage in STAGES):
            if getattr(run, slot) is None:
                missing[slot] = _filling(slot, tuple(StageSpec(name=name) for name in usual[slot]))
        runs.append(run.model_copy(update=missing))
    return case.model_copy(update={"runs": tuple(runs)})


def on_each_region(case: Case) -> list[tuple[Run, int]]:
    """The runs with one for each named region where they name none, and the position of the run that each came from.

    Examples
    --------
    >>> from vmforensics.case import parse_case
    >>> text = "{version: 1, case: {id: A}, evidence: [{path: a.mkv}], camera: {shutter: global}, regions: "
    >>> text += "[{name: cup, box: [0, 0, 64, 64]}, {name: plant, polygon: [[70, 0], [99, 0], [85, 60]]}]}"
    >>> [run.name for run, _ in on_each_region(parse_case(text).case)]
    ['cup', 'plant']
    """
    found: list[tuple[Run, int]] = []
    taken = {run.name.casefold() for run in case.runs if run.region is not None or not case.regions}
    lone = len(case.runs) == 1 and "name" not in case.runs[0].model_fields_set
    for position, run in enumerate(case.runs):
        if run.region is not None or not case.regions:
            found.append((run, position))
            continue
        for region in case.regions:
            name = region.name if lone else f"{run.name}-{region.name}"[:_LONGEST_NAME].rstrip("-._")
            base, number = name, 2
            while name.casefold() in taken:
                name, number = f"{base[: _LONGEST_NAME - 4]}-{number}", number + 1
            taken.add(name.casefold())
            found.append((run.model_copy(update={"name": name, "region": region.name}), position))
    return found


def with_stage(case: Case, run: int, kind: str, spec: StageSpec, position: int = 0) -> Case:
    """The case with one stage of one run exchanged, as for the parameters that it turned out to run with.

    Parameters
    ----------
    case
        A resolved case.
    run
        Position of the run, from 0.
    kind
        The slot: "frame_source" ... "exporter".
    spec
        What goes there.
    position
        Position of the stage in the slot, from 0.

    Raises
    ------
    IndexError
        There is no such run, or no stage in that position.
    """
    specs = list(case.runs[run].stages(kind))
    specs[position] = spec
    runs: list[Run] = list(case.runs)
    runs[run] = runs[run].model_copy(update={kind: _filling(kind, tuple(specs))})
    return case.model_copy(update={"runs": tuple(runs)})


def _filling(kind: str, specs: tuple[StageSpec, ...]) -> StageSpec | tuple[StageSpec, ...]:
    return specs if kind in _SEVERAL else specs[0]
