"""`vmforensics compare`: each method with each, refusals told, interruptions made good, scores where there is truth."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from vmforensics.benchmark import compare_case
from vmforensics.benchmark.parallel import free_memory
from vmforensics.case import parse_case, read_case
from vmforensics.cli import app
from vmforensics.custody.verify import verify
from vmforensics.errors import CaseError, NotEnoughMemory, OutputError, ParameterError
from vmforensics.recovery.watch import Unwatched
from vmforensics.testing import Camera, simulate, write_clip, write_truth

CASE = """
version: 1
case: {id: M1}
evidence: [{path: clip.mkv}]
camera: {shutter: global, capture_fps: 2200}
compare:
  motion_estimator: gradient
  denoiser: [[], [high-pass, wiener-known-noise]]
  exporter: arrays
"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    camera = Camera(width=64, height=48, fps=2200.0, frames=500)
    simulation = simulate(camera, scene="print", sound="melody", rms_px=0.01, seed=3)
    write_clip(simulation, folder / "clip.mkv")
    write_truth(simulation, folder / "truth", rate=16_000)
    return folder


@pytest.fixture
def case(clip: Path, tmp_path: Path) -> Path:
    for name in ("clip.mkv", "truth"):
        (tmp_path / name).symlink_to(clip / name)
    path = tmp_path / "case.yaml"
    path.write_text(CASE.replace("clip.mkv", str(clip / "clip.mkv")))
    return path


def compared(case: Path, out: Path, **more: Any) -> dict[str, Any]:
    return compare_case(read_case(case), out, **more).content


def test_each_method_is_tried_with_each_and_scored(case: Path, tmp_path: Path) -> None:
    case.write_text(case.read_text().replace("estimator: gradient", "estimator: [gradient, local-phase-linear]"))
    out, truth = tmp_path / "m", tmp_path / "truth" / "truth.wav"
    command = ["compare", str(case), "--out", str(out), "--reference", str(truth), "--jobs", "1"]
    said = CliRunner().invoke(app, command, catch_exceptions=False)
    assert said.exit_code == 0
    content = json.loads((out / "_comparison" / "comparison.json").read_text())
    rows = content["runs"]
    assert [(row["motion_estimator"], row["denoisers"]) for row in rows] == [
        ("gradient", []),
        ("gradient", ["high-pass", "wiener-known-noise"]),
        ("local-phase-linear", []),
        ("local-phase-linear", ["high-pass", "wiener-known-noise"]),
    ]
    assert [row["run"][:2] for row in rows] == ["01", "02", "03", "04"]
    scores = [row["scores"]["si_sdr"]["value"] for row in rows]
    assert scores[1] > scores[0] > 5
    assert rows[0]["scores"]["reference_rms"] == pytest.approx(0.01, rel=0.15)
    assert verify(out / rows[1]["run"]).ok
    assert verify(out / "_comparison").ok
    assert "refused" not in content
    lines = [line.split() for line in said.stdout.splitlines() if line[:2] in ("ru", "01", "02", "03", "04")]
    assert lines[0][:3] == ["run", "estimator", "combiner"]
    assert "SI-SDR" in lines[0]
    assert [line[1] for line in lines[1:]] == [row["motion_estimator"] for row in rows]


def test_an_interrupted_comparison_is_carried_on(case: Path, tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    class Impatient(Unwatched):
        def say(self, text: str) -> None:
            if text.startswith("run 02"):
                raise Stopped

    out = tmp_path / "m"
    with pytest.raises(Stopped):
        compare_case(read_case(case), out, watcher=Impatient())
    (first,) = out.iterdir()
    before = (first / "ledger.jsonl").read_bytes()
    done = compare_case(read_case(case), out, resume=True)
    assert done.resumed == 1
    assert (first / "ledger.jsonl").read_bytes() == before
    assert {path.name for path in out.iterdir()} == {"_comparison", *(row["run"] for row in done.content["runs"])}
    assert len(done.content["runs"]) == 2
    with pytest.raises(OutputError, match="finished"):
        compare_case(read_case(case), out, resume=True)


def test_only_an_intact_and_equal_run_counts_as_done_and_processes_dont_matter(case: Path, tmp_path: Path) -> None:
    out = tmp_path / "m"
    first = compared(case, out)
    shutil.rmtree(out / "_comparison")
    with (out / first["runs"][0]["run"] / "report.html").open("a") as file:
        file.write(" ")  # it isn't what it was any more
    text = case.read_text()
    case.write_text(text.replace("wiener-known-noise]", "{name: wiener-known-noise, params: {window: 20ms}}]"))
    again = compare_case(read_case(case), out, resume=True, jobs=2)
    assert again.resumed == 0
    assert sum(path.name.endswith(".2") for path in out.iterdir()) == 2
    assert again.content["runs"][0] == first["runs"][0]
    assert again.content["runs"][1] != first["runs"][1]


def test_what_a_run_is_refused_for_is_told_and_the_others_go_on(case: Path, tmp_path: Path) -> None:
    denoisers = "denoiser: [[], {name: high-pass, params: {cutoff: 5 kHz}}]"
    case.write_text(case.read_text().replace("denoiser: [[], [high-pass, wiener-known-noise]]", denoisers))
    content = compared(case, tmp_path / "m")
    assert [row["run"][:2] for row in content["runs"]] == ["01"]
    (refused,) = content["refused"]
    assert (refused["run"][:2], refused["denoisers"]) == ("02", ["high-pass"])
    assert "cutoff 5000 Hz" in refused["error"]


@pytest.mark.parametrize(
    ("old", "new", "error", "told"),
    [
        ("compare:", "x-compare:", CaseError, "unknown key"),
        ("estimator: gradient", "estimator: []", CaseError, "compare.motion_estimator: is an empty list"),
        ("wiener-known-noise]", "{name: wiener, params: {window: 3}}]", ParameterError, "window"),
    ],
)
def test_a_wrong_matrix_is_told_before_anything_is_made(
    case: Path, tmp_path: Path, old: str, new: str, error: type[Exception], told: str
) -> None:
    case.write_text(case.read_text().replace(old, new))
    with pytest.raises(error, match=told):
        compared(case, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_without_a_matrix_several_runs_are_the_matrix_and_one_is_none(case: Path, tmp_path: Path) -> None:
    text = case.read_text().split("compare:")[0]
    with pytest.raises(CaseError, match="no section 'compare'"):
        compare_case(parse_case(text, case), tmp_path / "m")
    runs = "runs: [{name: one, motion_estimator: gradient, exporter: arrays}, {name: two, motion_estimator: gradient}]"
    content = compare_case(parse_case(text + runs, case), tmp_path / "n").content
    assert [row["run"] for row in content["runs"]] == ["one", "two"]


def test_there_is_nothing_to_carry_on(case: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no such comparison"):
        compare_case(read_case(case), tmp_path / "nothing", resume=True)


def test_a_process_that_was_ended_is_told_so(case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(*_: object, **__: object) -> None:
        raise BrokenProcessPool

    monkeypatch.setattr("concurrent.futures.ProcessPoolExecutor.submit", ended)
    with pytest.raises(NotEnoughMemory, match="ended from outside"):
        compared(case, tmp_path / "m", jobs=2)


def test_memory_is_known() -> None:
    assert 2**26 < free_memory() < 2**50


def test_run_heeds_the_runs_only(case: Path) -> None:
    from vmforensics.plugins import Registry
    from vmforensics.recovery import plan_case

    assert [plan.name for plan in plan_case(read_case(case), Registry())] == ["recovery"]


def test_ctrl_c_ends_the_workers_and_what_is_left_can_be_resumed(case, tmp_path):
    out = tmp_path / "m"
    program = (  # a suite that was started in the background ignores Ctrl-C, and so would what it starts
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from vmforensics.cli import main; sys.argv[0] = 'vmforensics'; main()"
    )
    command = [sys.executable, "-c", program, "compare", str(case), "--out", str(out), "--jobs", "2"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    begun = time.monotonic() + 120
    while not list(out.glob("0*/ledger.jsonl")) and process.poll() is None and time.monotonic() < begun:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)  # to the parent alone, as a job control does
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "Traceback" not in told
    deadline = time.monotonic() + 30
    while _anybody_left(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _anybody_left(process.pid)
    table = compare_case(read_case(case), out, resume=True, jobs=1)
    assert table is not None
    assert (out / "_comparison" / "comparison.png").is_file()


def _anybody_left(session: int) -> bool:
    try:
        os.killpg(session, 0)
    except ProcessLookupError:
        return False
    return True
