"""What tests share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def footage() -> Path:
    """The folder of real footage beside the checkout; tests that need it are skipped, visibly, where it is missing."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "footage"
    if not folder.is_dir():
        pytest.skip(f"real footage isn't here ({folder.parent.name}/{folder.name})")
    return folder
