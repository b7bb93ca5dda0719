"""Several runs of one case: their table, their picture, and the record that ties them together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from vmforensics import run_case, verify
from vmforensics.cli import app
from vmforensics.custody import FindingKind
from vmforensics.testing import Camera, simulate
from vmforensics.testing.encode import write_clip

CASE = """
version: 1
case: {id: A}
evidence: [{path: ../evidence/clip.mkv}]
camera: {shutter: global, capture_fps: 1000}
runs:
  - {name: phase, motion_estimator: local-phase, denoiser: []}
  - {name: svd, motion_estimator: image-svd, denoiser: []}
  - {name: light, motion_estimator: mean-intensity, denoiser: [], exporter: [wav, arrays]}
  - {name: bare, motion_estimator: image-svd, denoiser: [], exporter: [wav]}
"""


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("case")
    (folder / "evidence").mkdir()
    (folder / "work").mkdir()
    clip = simulate(Camera(width=64, height=48, fps=1000, frames=260), scene="print", sound="tone:210", rms_px=0.05)
    write_clip(clip, folder / "evidence" / "clip.mkv")
    path = folder / "work" / "case.yaml"
    path.write_text(CASE)
    return path


@pytest.fixture(scope="module")
def folder(case: Path) -> Path:
    return run_case(case, case.parent / "first")[0].folder.parent


def table(folder: Path) -> dict[str, Any]:
    rows = json.loads((folder / "_comparison" / "comparison.json").read_text())["runs"]
    return {row["run"]: row for row in rows}


def test_the_table_says_what_each_run_found(folder: Path) -> None:
    rows = table(folder)
    assert list(rows) == ["phase", "svd", "light", "bare"]
    for name in ("phase", "svd"):
        row, result = rows[name], json.loads((folder / name / "result.json").read_text())
        assert (row["verdict"], row["p_value"]) == ("signal", result["detection"]["p_value"])
        assert row["raw_rms"] == result["raw"]["rms_px"] == pytest.approx(0.05, rel=0.1)
        assert row["raw_median_sigma"] == result["raw"]["median_sigma_px"] < 0.01
        assert abs(row["strongest_hz"] - 210) <= 4  # a bin of 0.25 s
        assert row["strongest_over_median_db"] > 25
        assert row["spectrum_of"] == "raw"
    assert (rows["light"]["unit"], rows["light"]["verdict"]) == ("relative", "no-signal")
    assert rows["bare"]["strongest_hz"] is None  # it exported no arrays
    assert rows["bare"]["motion_estimator"] == "image-svd"
    assert (folder / "_comparison" / "comparison.png").read_bytes().startswith(b"\x89PNG")


def test_a_change_to_a_run_s_ledger_is_found_from_the_comparison(folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(folder, tmp_path / "copy")
    assert verify(folder / "_comparison").ok
    first = json.loads((folder / "_comparison" / "ledger.jsonl").read_text().splitlines()[0])
    assert [each["run"] for each in first["compared"]] == ["phase", "svd", "light", "bare"]
    with (folder / "svd" / "ledger.jsonl").open("a") as ledger:
        ledger.write("{}\n")
    found = verify(folder / "_comparison")
    assert [finding.kind for finding in found.findings] == [FindingKind.EVIDENCE_CHANGED]


def test_one_run_alone_is_compared_with_nothing(case: Path) -> None:
    single = case.with_name("single.yaml")
    single.write_text("\n".join(line for line in CASE.splitlines() if "name: " not in line or "phase" in line))
    (outcome,) = run_case(single, case.parent / "single")
    assert not (outcome.folder / "_comparison").exists()
    assert not (outcome.folder.parent / "_comparison").exists()


def test_the_command_line_prints_the_table_and_writes_the_same_again(case: Path, folder: Path) -> None:
    said = CliRunner().invoke(app, ["run", str(case), "--out", str(case.parent / "printed")])
    assert said.exit_code == 0
    lines = [line for line in said.output.splitlines() if line.strip()]
    header = next(k for k, line in enumerate(lines) if line.startswith("run "))
    assert lines[header].split() == ["run", "estimator", "combiner", "verdict", "p", "raw", "RMS", "sigma", "strongest"]
    assert [line.split()[0] for line in lines[header + 1 : header + 5]] == ["phase", "svd", "light", "bare"]
    assert "210" in lines[header + 2] or "208" in lines[header + 2] or "212" in lines[header + 2]
    assert lines[header + 5].startswith("compare:")
    for name in ("comparison.json", "comparison.png"):
        first, second = ((each / "_comparison" / name).read_bytes() for each in (folder, case.parent / "printed"))
        assert first == second
