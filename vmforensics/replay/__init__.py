"""Finished runs carried out again from their record, and compared with it; or with something varied."""

from vmforensics.replay.artefacts import Artefact, Likeness, compare_artefacts
from vmforensics.replay.differences import Difference, differences
from vmforensics.replay.record import RunRecord, read_record
from vmforensics.replay.replay import Replay, ReplayVerdict, Validation, judge, replay_run, runs_below, validate
from vmforensics.replay.vary import Variation, vary_run

__all__ = [
    "Artefact",
    "Difference",
    "Likeness",
    "Replay",
    "ReplayVerdict",
    "RunRecord",
    "Validation",
    "Variation",
    "compare_artefacts",
    "differences",
    "judge",
    "read_record",
    "replay_run",
    "runs_below",
    "validate",
    "vary_run",
]
