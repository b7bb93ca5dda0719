"""What a run found, as result.json says it: numbers with units in their names, no times of day."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import vmforensics
from vmforensics.custody import EvidenceDigest, WatchedStream, sha256_file
from vmforensics.data import DISPLACEMENT, Clock, Recovery, SensorFrames, Shutter, Signal
from vmforensics.recovery.plan import Plan

RESULT_FORMAT = "vmforensics-result/1"
_PHASE_ERROR = 0.05  # cycles; a row-time error may shift a component by this much before its waveform is distrusted
_LISTED_NOTCHES = 64
_LEAST_DUTY = 0.3  # share of the time that rows are read out, below which little more than tones survives
_WORST_ROW_TIME = 0.003  # relative uncertainty beyond which the row time spoils the sound


def _named(plan: Plan) -> dict[str, Any]:
    """Name and corners of the region, where the case has several."""
    if plan.place is None:
        return {}
    corners = plan.place.polygon
    return {"name": plan.place.name, "polygon": [list(corner) for corner in corners] if corners else None}


def to_json(content: dict[str, Any]) -> bytes:
    """Readable JSON, the same bytes for the same content."""
    return (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def describe_clock(clock: Clock) -> dict[str, Any]:
    """A clock as ledger and result state it."""
    return {
        "verdict": clock.verdict.value,
        "basis": clock.basis,
        "frame_rate_hz": clock.rate,
        "largest_stamp_residual_s": clock.residual,
        "frame_times_doubtful_by_s": clock.doubtful_by,
        "frames_missing_from_container": clock.missing,
    }


def describe_signal(signal: Signal) -> dict[str, Any]:
    """A signal's figures as ledger and result state them."""
    seen, unit = signal.sigma[signal.observed], signal.quantity.suffix
    return {
        "quantity": signal.quantity.name,
        "rate_hz": signal.rate,
        "start_s": signal.start,
        "samples": len(signal.samples),
        "duration_s": signal.duration,
        f"rms_{unit}": float(np.sqrt(np.mean(signal.samples**2))),
        f"peak_{unit}": float(np.abs(signal.samples).max()),
        f"median_sigma_{unit}": float(np.median(seen)) if len(seen) else None,
        "synthesised_share": signal.synthesised_share,
        "axis_along_row": signal.axis[0],
        "axis_across_rows": signal.axis[1],
    }


def _subject(signal: Signal) -> str:
    return "motion" if signal.quantity == DISPLACEMENT else signal.quantity.name


def notches(frame_rate: float, rate: float) -> tuple[float, ...]:
    """Multiples of the frame rate up to half the signal's rate: identical in every frame, they go with the template."""
    return tuple(frame_rate * k for k in range(1, int(rate / 2 / frame_rate) + 1))


def shutter_warnings(frames: SensorFrames) -> list[str]:
    """What is doubtful about a rolling shutter's timing, or costs much of the sound."""
    shutter, rate = frames.shutter, frames.clock.rate
    if not shutter.is_rolling:
        return []
    warnings = []
    if frames.clock.doubtful_by:
        off = frames.clock.doubtful_by
        warnings.append(
            f"the time stamps stray from the constant rate by up to {off * 1e3:.2g} ms, more than their rounding "
            f"explains; if frames were taken as unevenly, nothing beyond {_PHASE_ERROR / off:.3g} Hz can be trusted"
        )
    duty = shutter.line_delay * frames.rows * rate
    if duty < _LEAST_DUTY:
        warnings.append(
            f"the region's rows are read out in {100 * duty:.2g} % of the time; the rest of the sound isn't observed "
            "and can hardly be filled in: take a region with more sensor rows, and check the row time"
        )
    uncertainty = shutter.line_delay_uncertainty or 0.0
    if uncertainty > _WORST_ROW_TIME * shutter.line_delay:
        warnings.append(
            f"the row time is known to {100 * uncertainty / shutter.line_delay:.2g} % only; beyond "
            f"{trusted_up_to(shutter, frames.rows) or 0:.3g} Hz the waveform can't be trusted"
        )
    return warnings


def trusted_up_to(shutter: Shutter, rows: int, frame_times_doubtful_by: float = 0.0) -> float | None:
    """Frequency (Hz) up to which the clock's uncertainty shifts no component by over a twentieth of a cycle.

    An error ε of the row time shifts the first and the last of the rows by ε·(rows - 1)/2 against the middle one, in
    opposite ways: f = 0.05 / (ε · (rows - 1)/2). None where the uncertainty isn't known, or there is none.
    """
    uncertainty = shutter.line_delay_uncertainty
    if not shutter.is_rolling or not uncertainty or rows < 2:
        return None
    return _PHASE_ERROR / max(uncertainty * (rows - 1) / 2, frame_times_doubtful_by)


def summarise(
    plan: Plan,
    folder: Path,
    evidence: EvidenceDigest,
    stream: WatchedStream,
    clock: Clock,
    frames: SensorFrames,
    recovery: Recovery,
    warnings: Sequence[str],
) -> dict[str, Any]:
    """The content of result.json."""
    detection, shutter, region = recovery.detection, frames.shutter, frames.rectangle
    stages = [plan.source, plan.estimator, plan.combiner, *plan.denoisers, *plan.exporters]
    files = sorted(p for p in folder.iterdir() if p.is_file() and p.name not in ("ledger.jsonl",))
    scale = folder / "wav-scale.json"
    return {
        "format": RESULT_FORMAT,
        "program": {"name": "vmforensics", "version": vmforensics.__version__},
        "case": plan.case.case.model_dump(mode="json"),
        "run": plan.name,
        "verdict": detection.verdict.value,
        "verdict_reason": detection.reason,
        "detection": {
            "p_value": detection.p_value,
            "false_alarm_rate": detection.false_alarm_rate,
            "band_hz": list(detection.band) if detection.band else None,
            "test": f"coherence of the {_subject(recovery.raw)} of two disjoint sets of pixels",
        },
        "evidence": {
            "id": plan.evidence.id,
            "name": plan.evidence.path.name,
            "sha256": evidence.sha256,
            "size_bytes": sum(file.size for file in evidence.files),
            "files": len(evidence.files),
            "unchanged_after_run": True,
            "decoded_frames": stream.decoded_frames,
            "decoded_luma_sha256": stream.decoded_digest,
            "repeated_frames": stream.repeated_frames,
            "facts": dict(stream.facts),
        },
        "clock": describe_clock(clock),
        "shutter": {
            "kind": "rolling" if shutter.is_rolling else "global",
            "row_time_s": shutter.line_delay or None,
            "row_time_uncertainty_s": shutter.line_delay_uncertainty,
            "row_time_source": shutter.line_delay_source,
            "exposure_s": shutter.exposure,
            "readout_direction": shutter.direction.value,
            "duty": min(1.0, shutter.line_delay * frames.rows * clock.rate) if shutter.is_rolling else None,
        },
        "region": {"x": region.x, "y": region.y, "width": region.width, "height": region.height} | _named(plan),
        "method": [plan.implementation(stage) for stage in stages],
        "signal": describe_signal(recovery.recovered),
        "raw": describe_signal(recovery.raw),
        "band": {
            "upper_limit_hz": recovery.recovered.rate / 2,
            "trusted_up_to_hz": trusted_up_to(shutter, frames.rows, clock.doubtful_by),
            "exposure_null_hz": 1 / shutter.exposure if shutter.exposure else None,
            "exposure_undone_db": recovery.recovered.exposure_undone,
            "notches_hz": list(recovery.notches[:_LISTED_NOTCHES]),
        },
        "audio": json.loads(scale.read_text()) if scale.is_file() else None,
        "warnings": list(warnings),
        "files": {path.name: sha256_file(path) for path in files},
    }
