"""Where a run's record goes, how it begins, and how an error tells where it lies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vmforensics.custody import Ledger, RunFolder, environment, next_run_folder, source_digest
from vmforensics.data import Evidence
from vmforensics.plugins import Registry


def folder_for(evidence: Evidence, out: str | Path | None, kind: str) -> RunFolder:
    """Make the folder of an examination of one clip.

    Parameters
    ----------
    evidence
        The clip.
    out
        The run folder; by default the next number under `casefiles/CLIP/KIND/` in the working folder.
    kind
        "assessments" or "calibrations".

    Raises
    ------
    OutputError
        It is there already, lies in the evidence, or can't be made.
    """
    if out is None:
        parent = Path("casefiles") / evidence.path.absolute().stem / kind
        out = next_run_folder(parent, evidence=[evidence.path])
    return RunFolder.create(Path(out), evidence=[evidence.path])


def setting(registry: Registry) -> dict[str, Any]:
    """What the run's first ledger entry says of programs and plugins."""
    return {
        "environment": environment({"libraries": registry.libraries()}),
        "plugins": [
            {
                "name": p.plugin,
                "distribution": p.distribution,
                "version": p.version,
                "editable": p.editable,
                "origin": p.origin.value,
                "api": p.api,
                "source_sha256": source_digest(p.source) if p.source else None,
            }
            for p in registry.providers
        ],
        "plugins_not_loaded": [
            {"name": b.plugin, "distribution": b.distribution, "version": b.version, "reason": b.reason}
            for b in registry.broken
        ],
        "plugins_left_out": [{"name": name, "reason": reason} for name, reason in sorted(registry.left_out.items())],
    }


@contextmanager
def saying_where(ledger: Ledger) -> Iterator[None]:
    """Add to an error where the record lies that tells how far the run came."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"what was done up to here is on record in {ledger.path}")
        raise
