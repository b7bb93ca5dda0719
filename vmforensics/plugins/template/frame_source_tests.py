"""MyStage keeps the contract of frame sources, and refuses what holds no pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vmforensics.data import Evidence, Luma
from vmforensics.errors import EvidenceUnreadable
from vmforensics.plugins.template.frame_source import MyStage
from vmforensics.testing import parametrize_with_checks


def written(frames: Luma, folder: Path) -> Path:
    """Frames in the format that the source reads."""
    path = folder / "clip.npy"
    np.save(path, frames)
    return path


@parametrize_with_checks(MyStage, evidence=written)
def test_contract(check: Callable[[], None]) -> None:
    """The checks of every source; list one that yours can't pass in expected_failed_checks, with the reason."""
    check()


def test_what_holds_no_pictures_is_refused(tmp_path: Path) -> None:
    """Numbers that are no pictures are told apart by their type and shape."""
    np.save(tmp_path / "numbers.npy", np.zeros((3, 4)))
    with pytest.raises(EvidenceUnreadable, match=r"float64 of shape \(3, 4\)"):
        MyStage().open(Evidence(tmp_path / "numbers.npy"))
