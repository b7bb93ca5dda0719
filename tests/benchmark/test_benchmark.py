"""`vmforensics benchmark`: methods on clips with truth, against the bound that their noise sets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from vmforensics.benchmark.benchmark import each_in_turn
from vmforensics.benchmark.bound import information_rate
from vmforensics.benchmark.clips import STANDARD, write_standard_clips
from vmforensics.case import parse_case, read_case, resolve
from vmforensics.cli import app
from vmforensics.custody.verify import verify
from vmforensics.errors import EvidenceMissing, OutputError
from vmforensics.plugins import Registry
from vmforensics.recovery import plan_case
from vmforensics.testing import Camera, simulate, write_clip, write_truth

MATRIX = """compare:
  motion_estimator: [adaptive, gradient]
  denoiser: [[high-pass, spectral-subtraction]]
  exporter: arrays
"""


def add_clip(folder: Path, name: str, *, noise: float = 1.0, seed: int = 0, matrix: str = MATRIX) -> float:
    """Write one clip with its truth; the information it holds on a horizontal shift, by its own noiseless picture."""
    own = folder / name
    own.mkdir(parents=True)
    camera = Camera(width=64, height=48, fps=2200.0, frames=500, noise=(noise, 0.0))
    simulation = simulate(camera, scene="print", sound="melody", rms_px=0.01, seed=seed)
    write_clip(simulation, own / "clip.mkv")
    write_truth(simulation, own / "truth", rate=16_000)
    (own / "truth" / "truth.wav").rename(own / "truth.wav")
    text = f"version: 1\ncase: {{id: {name}}}\nevidence: [{{path: clip.mkv}}]\n"
    (own / "case.yaml").write_text(text + "camera: {shutter: global, capture_fps: 2200}\n" + matrix)
    still = simulate(
        replace(camera, frames=2, noise=(0.0, 0.0), bits=16),
        scene="print",
        sound="silence",
        drift=(0.04, 0.0),
        seed=seed,
    )
    pictures = still.frames.astype(float) / 65535 * 255
    slope = (pictures[1] - pictures[0]) / 0.02
    return float(np.sum(slope**2) / (noise + 1 / 12) * 2200)


def test_the_bound_is_that_of_the_picture_and_its_noise(tmp_path: Path) -> None:
    """By two pictures without noise, a fiftieth of a pixel apart."""
    for noise in (1.0, 9.0):
        known = add_clip(tmp_path, f"noise-{noise:g}", noise=noise, seed=5)
        plan = plan_case(read_case(tmp_path / f"noise-{noise:g}" / "case.yaml"), Registry())[0]
        found = information_rate(plan, (1.0, 0.0))
        assert found == pytest.approx(known, rel=0.1)


def test_no_method_is_far_better_than_the_bound_and_the_best_is_near(tmp_path: Path) -> None:
    for seed in (1, 2):
        add_clip(tmp_path / "clips", f"clip-{seed}", noise=4.0, seed=seed)
    said = CliRunner().invoke(
        app, ["benchmark", str(tmp_path / "clips"), "--out", str(tmp_path / "out"), "--jobs", "1", "--json"]
    )
    assert said.exit_code == 0, said.output
    content = json.loads(said.stdout)
    assert [clip["name"] for clip in content["clips"]] == ["clip-1", "clip-2"]
    methods = {row["method"]: row for row in content["methods"]}
    assert set(methods) == {"the usual", "gradient"}
    for row in methods.values():
        assert row["clips"] == 2
        assert row["si_sdr"]["low"] <= row["si_sdr"]["value"] <= row["si_sdr"]["high"]
        assert -6 < row["behind_bound_db"]["value"] < 6  # spectral subtraction knows something of sound
    folder = tmp_path / "out" / "_benchmark"
    assert verify(folder).ok
    table = (folder / "benchmark.md").read_text()
    assert "| estimator | gradient |" in table
    assert (folder / "benchmark.png").read_bytes().startswith(b"\x89PNG")
    first = (folder / "benchmark.json").read_bytes()
    folder.rename(tmp_path / "put aside")  # as if interrupted just before
    command = ["benchmark", str(tmp_path / "clips"), "--resume", str(tmp_path / "out"), "--jobs", "1", "--quiet"]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert (folder / "benchmark.json").read_bytes() == first


@pytest.mark.parametrize("shutter", ["global", "rolling"])
def test_every_installed_method_has_its_turn(shutter: str) -> None:
    row_time = "" if shutter == "global" else ", row_time: 19us"
    case = parse_case(
        f"{{version: 1, case: {{id: A}}, evidence: [{{path: a}}], camera: {{shutter: {shutter}{row_time}}}}}"
    ).case
    registry = Registry()
    runs = each_in_turn(case, registry)
    kinds = ("motion_estimator", "signal_combiner", "denoiser")
    named = {spec.name for run in runs for kind in kinds for spec in run.stages(kind)}
    light = {"mean-intensity", "row-intensity"}
    usual = {spec.name for kind in kinds for spec in resolve(case).runs[0].stages(kind)} - {"high-pass"}
    installed = {r.stage.name for kind in kinds for r in registry.stages(kind)}
    assert installed - light - usual == named


def test_a_folder_without_clips_or_truth_is_refused(tmp_path: Path) -> None:
    from vmforensics.benchmark.benchmark import benchmark

    (tmp_path / "empty").mkdir()
    with pytest.raises(EvidenceMissing, match=r"no folder with a case\.yaml"):
        benchmark(tmp_path / "empty", tmp_path / "out")
    add_clip(tmp_path / "clips", "clip-1")
    (tmp_path / "clips" / "clip-1" / "truth.wav").unlink()
    with pytest.raises(EvidenceMissing, match=r"neither truth\.wav nor"):
        benchmark(tmp_path / "clips", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_standard_clips_are_cases_with_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    from vmforensics.benchmark import clips

    few = tuple(replace(clip, camera=replace(clip.camera, frames=3)) for clip in (STANDARD[0], STANDARD[2]))
    monkeypatch.setattr(clips, "STANDARD", few)
    folders = write_standard_clips(tmp_path / "clips")
    assert [folder.name for folder in folders] == ["global-melody", "rolling-melody"]
    for folder in folders:
        assert plan_case(read_case(folder / "case.yaml"), Registry())
        assert (folder / "truth.wav").is_file()
    with pytest.raises(OutputError, match="can't be made"):
        write_standard_clips(tmp_path / "clips")
