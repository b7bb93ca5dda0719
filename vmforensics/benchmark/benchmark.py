"""Every method on the same clips, whose truth is known, against the bound that their noise sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

import vmforensics
from vmforensics.benchmark.bound import information_rate
from vmforensics.benchmark.matrix import compare_case
from vmforensics.case import CASE_FILE, USUAL_STAGES, Case, CaseFile, Run, StageSpec, of_runs, read_case
from vmforensics.custody import RunFolder, digest_evidence, environment
from vmforensics.data import DISPLACEMENT, Evidence
from vmforensics.errors import EvidenceMissing, OutputError, VmforensicsError
from vmforensics.plugins import Registry
from vmforensics.recovery import COMPARISON, Watcher, plan_case
from vmforensics.recovery.summary import to_json
from vmforensics.recovery.watch import Unwatched
from vmforensics.stages import MotionEstimator

BENCHMARK_FORMAT = "vmforensics-benchmark/1"
TRUTH = ("truth.wav", "truth.flac")
SUMMARY = "_benchmark"

_SCORES = ("si_sdr", "segmental_snr", "stoi", "estoi", "llr", "coherence", "spectrogram_correlation")
_DRAWS = 2000
_REPLACEABLE = ("motion_estimator", "signal_combiner", "denoiser")


@dataclass(frozen=True, slots=True)
class Benchmarked:
    """A finished benchmark.

    Parameters
    ----------
    folder : Path
        The folder that holds each clip's comparison, and `_benchmark`.
    content : dict
        What benchmark.json says.
    """

    folder: Path
    content: dict[str, Any]


def benchmark(
    clips: Path,
    out: Path,
    *,
    resume: bool = False,
    jobs: int = 1,
    make_registry: Callable[[], Registry] = Registry,
    watcher: Watcher | None = None,
) -> Benchmarked:
    """Compare methods on a folder of clips with truth.

    Each sub-folder is a clip: a case (case.yaml) whose exhibit it holds, and truth.wav (or .flac), the sound that moved
    the scene. Where its case has a section `compare`, those methods are compared; else all that are installed, one
    exchanged at a time in the usual recovery.

    Parameters
    ----------
    clips
        The folder.
    out
        The folder to make, with a comparison for each clip, and `_benchmark` with benchmark.json, benchmark.md and
        benchmark.png.
    resume
        Whether `out` holds an interrupted benchmark that is to be carried on.
    jobs, make_registry, watcher
        As for `compare_case`.

    Raises
    ------
    EvidenceMissing
        The folder holds no clip, or one without truth.
    VmforensicsError
        What `compare_case` raises.
    """
    from vmforensics.benchmark.table import drawn, written

    watcher = watcher or Unwatched()
    folders = sorted(path.parent for path in clips.glob(f"*/{CASE_FILE}"))
    if not folders:
        raise EvidenceMissing(
            f"{clips} holds no folder with a {CASE_FILE}", hint="each clip has a folder: case.yaml, truth.wav, the clip"
        )
    truths = {folder.name: _truth(folder) for folder in folders}
    registry = make_registry()
    cases = {folder.name: _case(read_case(folder / CASE_FILE), registry) for folder in folders}
    evidence = [plan.evidence.path for case in cases.values() for plan in plan_case(case, registry)[:1]]
    if not resume:
        RunFolder.create(out, evidence=evidence)
    elif not out.is_dir():
        raise OutputError(f"{out}: there is no such benchmark to carry on", hint="name the folder it was written to")
    found = []
    for name, case_file in cases.items():
        watcher.say(f"clip {name}")
        own = out / name
        if not (own / COMPARISON).exists():
            compare_case(
                case_file,
                own,
                resume=own.is_dir(),
                reference=truths[name],
                scores=_SCORES,
                jobs=jobs,
                make_registry=make_registry,
                watcher=watcher,
            )
        found.append(_clip(name, own, case_file, registry))
    content = {
        "format": BENCHMARK_FORMAT,
        "program": {"name": "vmforensics", "version": vmforensics.__version__},
        "clips": [
            {key: clip[key] for key in ("name", "shutter", "bound_db", "information_per_px2_s")} for clip in found
        ],
        "methods": _summarised(found),
    }
    folder = RunFolder.create(out / SUMMARY, evidence=evidence)
    with folder.record(environment=environment()) as ledger, ledger.step("benchmark"):
        for name in cases:  # what `verify` finds changed, if a comparison does
            comparison = Evidence(out / name / COMPARISON / "comparison.json", f"comparison on {name}")
            ledger.digested(comparison, digest_evidence(comparison))
        ledger.published(folder.write("benchmark.json", to_json(content)))
        ledger.published(folder.write("benchmark.md", written(content).encode()))
        ledger.published(folder.write("benchmark.png", drawn(content)))
    return Benchmarked(out, content)


def each_in_turn(case: Case, registry: Registry) -> list[Run]:
    """The usual recovery, then for each other method installed the usual one with that method in its slot.

    Estimators of light are left out, for their signal is none of displacement. Denoisers come after the usual
    high-pass; that alone, and none at all, are tried too.
    """
    usual = {kind: tuple(StageSpec(name=n) for n in names) for kind, names in USUAL_STAGES[case.camera.shutter].items()}
    exporter = (StageSpec(name="arrays"),)
    runs = [Run(exporter=exporter)]
    for kind in ("motion_estimator", "signal_combiner"):
        for registered in registry.stages(kind):
            stage = registered.stage
            light = kind == "motion_estimator" and cast(type[MotionEstimator], stage).quantity != DISPLACEMENT
            if not light and stage.name != usual[kind][0].name:
                runs.append(Run(exporter=exporter).model_copy(update={kind: StageSpec(name=stage.name)}))
    high_pass = StageSpec(name="high-pass")
    others = [StageSpec(name=r.stage.name) for r in registry.stages("denoiser") if r.stage.name != high_pass.name]
    chains: list[tuple[StageSpec, ...]] = [(), (high_pass,), *((high_pass, other) for other in others)]
    runs += [Run(denoiser=chain, exporter=exporter) for chain in chains if chain != usual["denoiser"]]
    return runs


def _truth(folder: Path) -> Path:
    for name in TRUTH:
        if (folder / name).is_file():
            return folder / name
    raise EvidenceMissing(f"{folder} holds neither {' nor '.join(TRUTH)}", hint="the sound that moved the scene")


def _case(case_file: CaseFile, registry: Registry) -> CaseFile:
    """The case with the methods to compare as its runs, where it doesn't name them itself."""
    if case_file.case.compare is not None:
        return case_file
    return replace(case_file, case=of_runs(case_file.case, each_in_turn(case_file.case, registry)))


def _clip(name: str, folder: Path, case_file: CaseFile, registry: Registry) -> dict[str, Any]:
    """What was found on one clip: its bound, and each method's scores."""
    import json

    content = json.loads((folder / COMPARISON / "comparison.json").read_bytes())
    plan = plan_case(case_file if case_file.case.compare is None else _expanded(case_file), registry)[0]
    shutter = plan.case.camera.shutter.value
    usual = USUAL_STAGES[plan.case.camera.shutter]
    rows = {_changed(row, usual): row.get("scores") for row in content["runs"]}
    rows |= {_changed(each, usual): None for each in content.get("refused", ())}
    clip: dict[str, Any] = {"name": name, "shutter": shutter, "bound_db": None, "information_per_px2_s": None}
    scored = next((row for row in content["runs"] if row.get("scores")), None)
    if scored is not None:
        angle = np.radians(scored["axis_degrees"])
        try:
            information = information_rate(plan, (float(np.cos(angle)), float(np.sin(angle))))
        except VmforensicsError:  # the clip is too short to tell
            information = 0.0
        if information > 0:
            scores = scored["scores"]
            clip["information_per_px2_s"] = information
            clip["bound_db"] = float(10 * np.log10(scores["reference_rms"] ** 2 * information / scores["rate_hz"]))
    return clip | {"rows": rows, "refused": {_changed(e, usual): e["error"] for e in content.get("refused", ())}}


def _expanded(case_file: CaseFile) -> CaseFile:
    from vmforensics.case import expanded

    return replace(case_file, case=expanded(case_file.case))


def _changed(row: dict[str, Any], usual: Any) -> tuple[str, str]:
    """Slot and name of what differs from the usual recovery in a run; ("", "the usual") where nothing does."""
    chosen = {
        "motion_estimator": (row["motion_estimator"],),
        "signal_combiner": (row["signal_combiner"],),
        "denoiser": tuple(row["denoisers"]),
    }
    different = [kind for kind in _REPLACEABLE if chosen[kind] != tuple(usual[kind])]
    if not different:
        return "", "the usual"
    return ", ".join(different), "; ".join(" + ".join(chosen[kind]) or "none" for kind in different)


def _summarised(clips: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each method's mean scores over the clips of a shutter, with intervals from drawing the clips anew."""
    methods: list[dict[str, Any]] = []
    for shutter in sorted({clip["shutter"] for clip in clips}):
        of_kind = [clip for clip in clips if clip["shutter"] == shutter]
        for key in dict.fromkeys(key for clip in of_kind for key in clip["rows"]):
            rows = [(clip, clip["rows"].get(key)) for clip in of_kind]
            entry: dict[str, Any] = {"shutter": shutter, "slot": key[0], "method": key[1]}
            entry["clips"] = sum(scores is not None for _, scores in rows)
            entry["refused"] = sorted({c["refused"][key] for c in of_kind if key in c["refused"]})
            for name in _SCORES:
                values = [s[name]["value"] for _, s in rows if s and s[name]["value"] is not None]
                entry[name] = _mean(values)
            behind = [
                clip["bound_db"] - scores["si_sdr"]["value"]
                for clip, scores in rows
                if scores and clip["bound_db"] is not None and scores["si_sdr"]["value"] is not None
            ]
            entry["behind_bound_db"] = _mean(behind)
            methods.append(entry)
    return methods


def _mean(values: Sequence[float]) -> dict[str, float | None]:
    """Mean over clips, and its 95 % interval by the bootstrap; none from a single clip."""
    if not values:
        return {"value": None, "low": None, "high": None}
    found = np.asarray(values)
    low = high = None
    if len(found) > 1:
        draws = found[np.random.default_rng(0).integers(0, len(found), (_DRAWS, len(found)))].mean(axis=1)
        low, high = (float(q) for q in np.quantile(draws, [0.025, 0.975]))
    return {"value": float(found.mean()), "low": low, "high": high}
