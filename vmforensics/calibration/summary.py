"""What a calibration found: which row time to go by, and calibration.json."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import vmforensics
from vmforensics.custody import EvidenceDigest, WatchedStream
from vmforensics.data import Evidence, ReadoutDirection, RowTime, SensorFrames, Shutter
from vmforensics.recovery.summary import describe_clock, trusted_up_to

CALIBRATION_FORMAT = "vmforensics-calibration/1"
_CONTRADICTION = 4.0  # combined standard uncertainties between two measurements that can't both be right


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which row time to go by.

    Parameters
    ----------
    word : str
        "determined", or "indeterminate".
    row_time : RowTime or None
        The one to go by; None where there is none.
    reason : str
        Why, in plain words.
    """

    word: str
    row_time: RowTime | None
    reason: str


def judge(found: Sequence[RowTime]) -> Verdict:
    """Choose the measurement with the smallest relative uncertainty; none where measurements contradict each other.

    A prior is never chosen: it says what such a camera may do, not what this one did.

    Examples
    --------
    >>> judge([RowTime("a", "seen", 1e-5, 1e-9), RowTime("b", "seen", 1.001e-5, 1e-7)]).row_time.method
    'a'
    >>> judge([RowTime("a", "seen", 1e-5, 1e-9), RowTime("b", "seen", 2e-5, 1e-9)]).word
    'indeterminate'
    """
    measured = [r for r in found if r.value is not None and r.uncertainty is not None and not r.prior]
    measured.sort(key=lambda r: r.relative_uncertainty or math.inf)
    if not measured:
        if any(r.prior and r.determinate for r in found):
            return Verdict("indeterminate", None, "there is a published prior for this camera, but no measurement")
        return Verdict(
            "indeterminate", None, "; ".join(f"{r.method}: {r.reason}" for r in found) or "nothing was tried"
        )
    best, *others = measured
    for other in others:
        apart = abs((other.value or 0.0) - (best.value or 0.0))
        if apart > _CONTRADICTION * math.hypot(best.uncertainty or 0.0, other.uncertainty or 0.0):
            return Verdict(
                "indeterminate",
                None,
                f"the methods contradict each other: {_quantity(best)} by {best.method}, {_quantity(other)} by "
                f"{other.method}; one of them measures something else than this clip's row time",
            )
    return Verdict("determined", best, f"{best.method}: {best.reason}")


def _quantity(row_time: RowTime) -> str:
    value, uncertainty = microseconds(row_time)
    return f"({value} ± {uncertainty}) us"


def microseconds(row_time: RowTime) -> tuple[str, str]:
    """Value and uncertainty in µs, both to the uncertainty's second digit.

    Examples
    --------
    >>> microseconds(RowTime("a", "seen", 1.457786e-5, 1.46e-8))
    ('14.578', '0.015')
    """
    value, uncertainty = 1e6 * (row_time.value or 0.0), 1e6 * (row_time.uncertainty or 0.0)
    decimals = max(0, 1 - math.floor(math.log10(uncertainty)))
    return f"{value:.{decimals}f}", f"{uncertainty:.{decimals}f}"


def to_paste(row_time: RowTime, assumed: ReadoutDirection, source: str) -> tuple[str, str]:
    """A row time as lines of a case file, and as options of `recover`; `source` says where it comes from."""
    import yaml

    value, uncertainty = (f"{text}us" for text in microseconds(row_time))
    camera = {
        "shutter": "rolling",
        "row_time": value,
        "row_time_uncertainty": uncertainty,
        "row_time_source": source,
    }
    direction = row_time.direction or assumed
    if direction is not ReadoutDirection.TOP_TO_BOTTOM:
        camera["readout_direction"] = direction.value
    lines = yaml.safe_dump({"camera": camera}, sort_keys=False, allow_unicode=True, width=100_000)
    named = {key: text for key, text in camera.items() if key != "shutter"}
    options = " ".join(f"--{key.replace('_', '-')} {shlex.quote(text)}" for key, text in named.items())
    return lines, options


def summarise(
    verdict: Verdict,
    found: Sequence[tuple[dict[str, Any], RowTime]],
    evidence: Evidence,
    digest: EvidenceDigest,
    frames: SensorFrames,
    files: Mapping[str, str],
) -> dict[str, Any]:
    """The content of calibration.json."""
    best, region, assumed = verdict.row_time, frames.rectangle, frames.shutter.direction
    stream = frames.stream
    watched = stream if isinstance(stream, WatchedStream) else None
    total = stream.width if assumed.along_columns else stream.height
    lines = options = None
    if best is not None:
        source = f"vmforensics calibrate, {best.method}, on {evidence.path.name} (SHA-256 {digest.sha256[:16]}...)"
        lines, options = to_paste(best, assumed, source)
    trusted = None
    if best is not None:
        shutter = Shutter(line_delay=best.value or 0.0, line_delay_uncertainty=best.uncertainty)
        trusted = trusted_up_to(shutter, frames.rows)
    return {
        "format": CALIBRATION_FORMAT,
        "program": {"name": "vmforensics", "version": vmforensics.__version__},
        "verdict": verdict.word,
        "reason": verdict.reason,
        "row_time_s": best.value if best else None,
        "row_time_uncertainty_s": best.uncertainty if best else None,
        "readout_s": total * best.value if best and best.value else None,
        "method": best.method if best else None,
        "readout_direction": best.direction.value if best and best.direction else None,
        "readout_direction_assumed": assumed.value,
        "trusted_up_to_hz": trusted,
        "evidence": {
            "name": evidence.path.name,
            "sha256": digest.sha256,
            "size_bytes": sum(file.size for file in digest.files),
            "files": len(digest.files),
            "unchanged_after_run": True,
            "decoded_frames": watched.decoded_frames if watched else None,
            "decoded_luma_sha256": watched.decoded_digest if watched else None,
        },
        "clock": describe_clock(frames.clock),
        "region": {"x": region.x, "y": region.y, "width": region.width, "height": region.height},
        "methods": [_outcome(implementation, row_time) for implementation, row_time in found],
        "case_lines": lines,
        "recover_options": options,
        "files": dict(files),
    }


def _outcome(implementation: dict[str, Any], row_time: RowTime) -> dict[str, Any]:
    return {
        "name": row_time.method,
        "verdict": "indeterminate" if not row_time.determinate else "prior" if row_time.prior else "determined",
        "row_time_s": row_time.value,
        "row_time_uncertainty_s": row_time.uncertainty,
        "reason": row_time.reason,
        "readout_direction": row_time.direction.value if row_time.direction else None,
        "light_frequency_hz": row_time.light_frequency,
        "light_frequency_uncertainty_hz": row_time.light_frequency_uncertainty,
        "implementation": implementation,
    }
