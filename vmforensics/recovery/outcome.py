"""What a finished run, assessment or calibration leaves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished run, assessment or calibration.

    Parameters
    ----------
    folder : Path
        The run folder.
    result : dict
        What its result.json, assessment.json or calibration.json says.
    head : str
        SHA-256 of the ledger's last line, to be kept elsewhere.
    """

    folder: Path
    result: dict[str, Any]
    head: str
