"""What tests share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vmforensics.recovery import run_case
from vmforensics.testing import Camera, simulate, write_clip


@pytest.fixture(scope="session")
def footage() -> Path:
    """The folder of real footage beside the checkout; tests that need it are skipped, visibly, where it is missing."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "footage"
    if not folder.is_dir():
        pytest.skip(f"real footage isn't here ({folder.parent.name}/{folder.name})")
    return folder


@pytest.fixture(scope="session")
def finished_case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case folder with its clip and one finished run, not to be written to."""
    folder = tmp_path_factory.mktemp("cases") / "A-1"
    (folder / "evidence").mkdir(parents=True)
    simulation = simulate(Camera(width=64, height=48, fps=2200, frames=200), sound="tone:310", rms_px=0.03)
    write_clip(simulation, folder / "evidence" / "chips.mkv", container_fps=30)
    (folder / "case.yaml").write_text(
        "version: 1\n"
        "case: {id: A-1, title: Chips bag, examiner: J. Roe, organisation: Lab}\n"
        "evidence: [{path: evidence/chips.mkv}]\n"
        "camera: {shutter: global, capture_fps: 2200}\n"
        "runs: [{motion_estimator: gradient}]\n",
        encoding="utf-8",
    )
    run_case(folder / "case.yaml")
    return folder


@pytest.fixture
def case_folder(finished_case: Path, tmp_path: Path) -> Path:
    """A copy of a case folder with one finished run, to be written to."""
    return Path(shutil.copytree(finished_case, tmp_path / "A-1"))
