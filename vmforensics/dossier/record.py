"""What a finished run's ledger tells the report: when, on what, step by step. Nothing that names a place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vmforensics.custody import LEDGER_NAME, Entry, RunStatus, Verification, read_ledger, verify
from vmforensics.errors import VerificationFailed

_SETTING = ("environment", "plugins", "plugins_not_loaded")
_SUBJECTS = ("products", "files", "error", "text", "output_sha256", "duration_s", "step")


def read_record(folder: Path, name: str) -> dict[str, Any]:
    """Read a run's ledger, after checking that the folder is as the run left it.

    Parameters
    ----------
    folder
        The run folder; its evidence isn't looked at.
    name
        The run's name in the report.

    Returns
    -------
    dict
        How the run ended, its ledger head, its seals, and its events.

    Raises
    ------
    VerificationFailed
        A finished run isn't as it was left.
    CustodyError
        The ledger can't be read.
    """
    found = verify(folder, evidence=False)
    if not found.ok and found.status is RunStatus.FINISHED:
        first, *others = found.all_findings()
        raise VerificationFailed(
            f"{folder}: no report is made of a run that has changed since: {first.where}: {first.message}"
            + (f" (and {len(others)} more)" if others else ""),
            hint=f"vmforensics verify {folder}",
        )
    entries = read_ledger(folder / LEDGER_NAME)
    places = _places(folder, entries)
    return {
        "name": name,
        "status": (found.status or RunStatus.UNFINISHED).value,
        "deviations": [f"{finding.where}: {finding.message}" for finding in found.all_findings()],
        "entries": len(entries),
        "ledger_head_sha256": entries[-1].digest if entries else None,
        "manifest_sha256": found.manifest_sha256,
        "started": entries[0].time if entries else None,
        "finished": entries[-1].time if entries else None,
        "error": _plain(_error(entries), places),
        "seals": _seals(found),
        **({key: entries[0].fields.get(key) for key in _SETTING} if entries else {}),
        "events": [_event(entry, places) for entry in entries],
    }


def _seals(found: Verification) -> list[dict[str, Any]]:
    """The seals of a run: by whose key, when, and whether they hold."""
    return [
        {
            "where": seal.where,
            "holds": seal.holds,
            "key": seal.key,
            "sealed": seal.sealed,
            "actor": seal.actor,
            "purpose": seal.purpose,
            "stamped": seal.stamped,
        }
        for seal in found.seals
    ]


def _places(folder: Path, entries: list[Entry]) -> list[str]:
    """The folders on the computer that a ledger's texts may name: the exhibits' and the run's own, longest first."""
    paths = [str(material.get("path", "")) for e in entries for material in e.fields.get("materials", ())]
    folders = {f"{Path(path).parent}/" for path in paths if path} | {f"{folder.absolute().parent}/"}
    return sorted(folders - {"/", "./"}, key=len, reverse=True)


def _plain(value: Any, places: list[str]) -> Any:
    """A value of the ledger without the places of files on the computer."""
    if isinstance(value, str):
        for place in places:
            value = value.replace(place, "")
        return value
    if isinstance(value, Mapping):
        return {key: _plain(item, places) for key, item in value.items()}
    return [_plain(item, places) for item in value] if isinstance(value, list | tuple) else value


def _event(entry: Entry, places: list[str]) -> dict[str, Any]:
    """One line of the ledger without settings, places on the computer, and what the result says better."""
    told = {key: _plain(entry.fields[key], places) for key in _SUBJECTS if key in entry.fields}
    if "materials" in entry.fields:
        told["materials"] = [{"id": m.get("id"), "sha256": m.get("sha256")} for m in entry.fields["materials"]]
    stage = entry.fields.get("implementation")
    if isinstance(stage, Mapping):
        told["stage"] = stage.get("name")
    return {"seq": entry.seq, "time": entry.time, "event": entry.event, "sha256": entry.digest, **told}


def _error(entries: list[Entry]) -> str | None:
    """The reason that a ledger gives for a run's end before its time."""
    for entry in reversed(entries):
        error = entry.fields.get("error")
        if isinstance(error, Mapping):
            return str(error.get("message") or error.get("type") or "")
        if error:
            return str(error)
    return None
