"""What an assessment found: assessment.json, and a case that is ready to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import vmforensics
from vmforensics.assessment.budget import Method
from vmforensics.assessment.candidates import Candidate
from vmforensics.assessment.listening import Heard
from vmforensics.assessment.texture import Texture
from vmforensics.assessment.verdict import Judgement
from vmforensics.case import Case, case_for_clip
from vmforensics.custody import EvidenceDigest, WatchedStream
from vmforensics.data import Clock, Evidence, RowTime
from vmforensics.recovery.summary import describe_clock, notches

if TYPE_CHECKING:
    from vmforensics.assessment.run import Knowledge

ASSESSMENT_FORMAT = "vmforensics-assessment/1"
_LISTED_NOTCHES = 64


def suggested_case(
    evidence: Evidence,
    known: Knowledge,
    method: Method,
    row_time: RowTime | None,
    best: Candidate | None,
    *,
    folder: Path,
) -> Case | None:
    """A case that recovers the clip in the way, and on the region, that promises most.

    None for a rolling shutter whose row time isn't known: it is never guessed.
    """
    rolling = method.shutter == "rolling"
    if rolling and (row_time is None or row_time.value is None or row_time.prior):
        return None
    region = best.region if best is not None else known.region
    return case_for_clip(
        evidence.path,
        shutter=method.shutter,
        row_time=row_time.value if rolling and row_time else None,
        row_time_uncertainty=row_time.uncertainty if rolling and row_time else None,
        row_time_source=f"{row_time.method}: {row_time.reason}" if rolling and row_time else "",
        exposure=known.exposure,
        capture_fps=known.capture_fps,
        region=(region.x, region.y, region.width, region.height) if region else None,
        folder=folder,
    )


def describe_candidate(candidate: Candidate, frame_rate: float) -> dict[str, Any]:
    """A rectangle for assessment.json, in px of the stored picture."""
    r = candidate.region
    return {
        "region": [r.x, r.y, r.width, r.height],
        "uncertainty_per_frame_px": candidate.uncertainty,
        "noise_density_px_per_rthz": candidate.uncertainty * (2 / frame_rate) ** 0.5,
        "direction_deg": candidate.direction,
        "share_of_information": candidate.share,
        "moves_by_itself": candidate.alive,
    }


def describe_heard(heard: Heard) -> dict[str, Any]:
    """What was heard in it."""
    return {
        "shared_motion": {
            "verdict": heard.verdict,
            "p_value": heard.p_value,
            "band_hz": heard.band,
            "reason": heard.reason,
        }
    }


def summarise(
    judgement: Judgement,
    methods: Sequence[Method],
    evidence: Evidence,
    digest: EvidenceDigest,
    stream: WatchedStream,
    clock: Clock,
    texture: Texture,
    row_time: RowTime | None,
    *,
    whole_duration: float,
    best: Candidate | None,
    ranked: Sequence[Candidate],
    heard: Sequence[Heard],
    files: Mapping[str, str],
) -> dict[str, Any]:
    """The content of assessment.json."""
    chosen = judgement.method
    return {
        "format": ASSESSMENT_FORMAT,
        "program": {"name": "vmforensics", "version": vmforensics.__version__},
        "verdict": judgement.word.value,
        "reasons": list(judgement.reasons),
        "evidence": {
            "name": evidence.path.name,
            "sha256": digest.sha256,
            "size_bytes": sum(file.size for file in digest.files),
            "files": len(digest.files),
            "unchanged_after_run": True,
            "facts": dict(stream.facts),
        },
        "duration_s": whole_duration,
        "looked_at": {
            "frames": stream.frame_count,
            "of_frames": len(cast(Any, stream).whole),
            "seconds": stream.frame_count / clock.rate,
            "from": "the beginning",
        },
        "clock": describe_clock(clock),
        "row_time": None
        if row_time is None
        else {
            "method": row_time.method,
            "row_time_s": row_time.value,
            "row_time_uncertainty_s": row_time.uncertainty,
            "reason": row_time.reason,
        },
        "picture": {
            "noise_variance_at_black_dn2": texture.noise.a,
            "noise_variance_per_level_dn": texture.noise.b,
            "clipped_share": texture.clipped,
            "moves_as_a_whole": texture.moved,
            "tiles_that_move_share": float(texture.alive.mean()),
        },
        "method": chosen.shutter if chosen else None,
        "methods": [method.described() for method in methods],
        "notches_hz": list(notches(clock.rate, 2 * chosen.upper)[:_LISTED_NOTCHES])
        if chosen and chosen.shutter == "rolling"
        else [],
        "best_region": describe_candidate(best, clock.rate) if best else None,
        "candidates": [
            describe_candidate(candidate, clock.rate) | (describe_heard(heard[k]) if heard else {})
            for k, candidate in enumerate(ranked)
        ],
        "map": {
            "row_edges_px": texture.tiles.rows.tolist(),
            "column_edges_px": texture.tiles.cols.tolist(),
            "uncertainty_per_frame_px": [
                [value if value < 1e6 else None for value in row] for row in texture.uncertainty.tolist()
            ],
        },
        "files": dict(files),
    }
