"""The campaign is a script with modules of its own, no test."""

from __future__ import annotations

collect_ignore = ["campaign.py", "harm.py", "specimens.py"]
