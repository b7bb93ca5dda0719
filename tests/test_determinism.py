"""The same case gives the same bytes, wherever, whenever and by whom it is run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vmforensics import run_case
from vmforensics.data import Shutter
from vmforensics.testing import Camera, simulate, write_clip

TIMED = {"ledger.jsonl", "manifest-sha256.txt"}
"""What holds times of day, or the digest of what does."""

CASES = {
    "global": (
        Camera(width=80, height=64, fps=2200, frames=300),
        "{shutter: global, capture_fps: 2200}",
    ),
    "rolling": (
        Camera(width=64, height=360, fps=60, frames=40, shutter=Shutter(line_delay=38e-6, line_delay_source="known")),
        "{shutter: rolling, row_time: 38us, exposure: 1/8000}",
    ),
}


@pytest.fixture(scope="module", params=CASES)
def case(request, tmp_path_factory):
    """A case file beside its exhibit."""
    folder = tmp_path_factory.mktemp(request.param)
    camera, told = CASES[request.param]
    write_clip(simulate(camera, sound="speech"), folder / "clip.mkv", container_fps=60)
    path = folder / "case.yaml"
    path.write_text(f"version: 1\ncase: {{id: A, title: Größe}}\nevidence: [{{path: clip.mkv}}]\ncamera: {told}\n")
    return path


@pytest.fixture(scope="module")
def first(case):
    return run_case(case, case.parent / "first")[0].folder


@pytest.fixture(scope="module")
def second(case, first, tmp_path_factory):
    return run_case(case, tmp_path_factory.mktemp("elsewhere") / "another name" / "much" / "deeper")[0].folder


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in TIMED}


def check_same(one: Path, other: Path) -> None:
    before, after = content(one), content(other)
    assert before.keys() == after.keys()
    assert len(before) == 12
    assert [name for name in before if before[name] != after[name]] == []


def test_run_again_in_the_same_process(first, second):
    check_same(first, second)


def test_moved_and_run_again_by_another_process(case, first, tmp_path):
    """In another folder, order of hashes, language, time zone and number of threads."""
    moved = tmp_path / "archive" / "case"
    shutil.copytree(case.parent, moved, ignore=lambda *_: ["first"])
    program = Path(sys.executable).with_name("vmforensics")
    circumstances = {"PYTHONHASHSEED": "7", "LC_ALL": "C", "TZ": "Asia/Tokyo", "OMP_NUM_THREADS": "1", "COLUMNS": "40"}
    subprocess.run(
        [program, "run", "archive/case/case.yaml", "--out", "third", "--quiet"],
        cwd=tmp_path,
        env=os.environ | circumstances,
        check=True,
        timeout=120,
    )
    check_same(first, tmp_path / "third")


def test_ledgers_of_two_runs_differ_in_times_only(first, second):
    def timeless(folder: Path) -> list[dict[str, object]]:
        entries = [json.loads(line) for line in (folder / "ledger.jsonl").read_text("utf-8").splitlines()]
        for entry in entries:
            for name in ("time", "prev", "duration_s"):
                entry.pop(name, None)
            for exhibit in entry.get("materials", []):
                exhibit.pop("relative_path")
        return entries

    assert timeless(first) == timeless(second)


def test_no_artefact_names_a_place_or_a_day(case, first):
    for name, text in content(first).items():
        assert str(case.parent).encode() not in text, name
    year = json.loads((first / "ledger.jsonl").read_text("utf-8").splitlines()[0])["time"][:10].encode()
    assert [name for name, text in content(first).items() if year in text] == []
