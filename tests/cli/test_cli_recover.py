"""What `recover` and `run` leave, and what they say about it."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import vmforensics
from vmforensics.data import Region
from vmforensics.recovery import recover_clip
from vmforensics.testing import Camera, simulate, write_clip

SOUNDS = {"recovered.wav", "raw.wav", "recovered_48k.wav", "raw_48k.wav"}
RECORD = {"case.yaml", "case.resolved.yaml", "ledger.jsonl", "manifest-sha256.txt", "result.json", "report.html"}
FILES = SOUNDS | RECORD | {"frame.png", "signal.npz", "spectrogram.png", "wav-scale.json"}


@pytest.fixture(scope="module")
def folder(recovered):
    return recovered[0]


@pytest.fixture(scope="module")
def result(folder):
    return json.loads((folder / "result.json").read_text("utf-8"))


def test_the_folder_holds_these_files_and_nothing_else(folder):
    assert {path.name for path in folder.iterdir()} == FILES
    assert all(path.is_file() and path.stat().st_size for path in folder.iterdir())


def test_result_says_what_was_found_and_how(result, clip):
    assert result["format"] == "vmforensics-result/1"
    assert result["program"] == {"name": "vmforensics", "version": vmforensics.__version__}
    assert result["verdict"] == "signal"
    assert result["detection"]["p_value"] <= result["detection"]["false_alarm_rate"]
    low, high = result["detection"]["band_hz"]
    assert low < 310 < high
    assert [(stage["kind"], stage["name"]) for stage in result["method"]] == [
        ("frame_source", "video"),
        ("motion_estimator", "adaptive"),
        ("signal_combiner", "shared-signal"),
        ("denoiser", "high-pass"),
        ("denoiser", "spectral-subtraction"),
        ("exporter", "wav"),
        ("exporter", "spectrogram"),
        ("exporter", "arrays"),
    ]
    chose = {stage["kind"]: stage["chose"] for stage in result["method"] if "chose" in stage}
    assert re.fullmatch(r"the sum of all \d+ parts, which may move as one", chose["signal_combiner"])
    assert all(stage["version"] and stage["source_sha256"] for stage in result["method"])
    assert result["method"][1]["chose"] == "gradient: no part of the picture moves far by itself"
    assert result["evidence"]["sha256"] == hashlib.sha256(clip.read_bytes()).hexdigest()
    assert result["evidence"]["size_bytes"] == clip.stat().st_size
    assert (result["evidence"]["name"], result["evidence"]["decoded_frames"]) == ("chips.mkv", 330)
    assert (result["clock"]["verdict"], result["clock"]["frame_rate_hz"]) == ("rounded", 2200)
    assert result["shutter"]["kind"] == "global"
    assert result["signal"]["rate_hz"] == result["raw"]["rate_hz"] == 2200
    assert result["signal"]["samples"] == result["raw"]["samples"] == 330
    assert result["signal"]["synthesised_share"] == 0
    assert 0 < result["signal"]["median_sigma_px"] < result["signal"]["rms_px"]
    assert result["band"]["upper_limit_hz"] == 1100


def test_result_lists_every_file_that_was_there_with_its_digest(result, folder):
    assert set(result["files"]) == FILES - {"ledger.jsonl", "manifest-sha256.txt", "result.json", "report.html"}
    for name, sha256 in result["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha256, name


def test_the_manifest_can_be_checked_with_a_stock_tool(folder):
    command = ["sha256sum", "--check", "--strict", "manifest-sha256.txt"]
    checked = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert {line.removesuffix(": OK") for line in checked.stdout.splitlines()} == FILES - {"manifest-sha256.txt"}


def test_raw_and_recovered_sound_are_of_the_same_parts(tmp_path):
    """A part that vibrates alone is as loud before denoising as after it."""
    camera = Camera(width=192, height=120, fps=2200, frames=600, noise=(1.0, 0.0))
    moved = simulate(camera, scene="natural", sound="tone:310", rms_px=0.02, moving=Region(64, 20, 112, 96), seed=7)
    clip = write_clip(moved, tmp_path / "clip.mkv")
    recover_clip(clip, tmp_path / "run", shutter="global")
    with np.load(tmp_path / "run" / "signal.npz") as arrays:
        assert np.std(arrays["raw_px"]) == pytest.approx(np.std(arrays["samples_px"]), rel=0.1)
        assert np.std(arrays["raw_px"]) == pytest.approx(0.02, rel=0.1)


def test_sounds_have_one_time_line_and_keep_their_scale(folder, result):
    with np.load(folder / "signal.npz") as archive:
        arrays = dict(archive)
    for stem, key in (("recovered", "samples_px"), ("raw", "raw_px")):
        facts = soundfile.info(folder / f"{stem}.wav")
        assert (facts.samplerate, facts.frames, facts.subtype) == (2200, 330, "FLOAT")
        facts = soundfile.info(folder / f"{stem}_48k.wav")
        assert (facts.samplerate, facts.frames, facts.subtype) == (48000, 7200, "PCM_24")
        samples, _ = soundfile.read(folder / f"{stem}.wav")
        scale = result["audio"][f"{stem}.wav"]["px_per_unit"]
        np.testing.assert_allclose(samples * scale, arrays[key], atol=2e-7 * scale)
        assert np.abs(samples).max() == pytest.approx(10 ** (-1 / 20), rel=1e-6)
    np.testing.assert_array_equal(arrays["times_s"], arrays["raw_times_s"])
    np.testing.assert_allclose(np.diff(arrays["times_s"]), 1 / 2200)
    assert arrays["observed"].all()
    assert (arrays["sigma_px"] > 0).all()


def test_the_words_printed_are_true(recovered):
    folder, answer = recovered
    assert answer.code == 0
    assert answer.out.startswith("verdict:     SIGNAL: ")
    lines = dict(line.split(":", 1) for line in answer.out.splitlines())
    for label in ("listen", "look", "report"):
        assert Path(lines[label].strip()).is_file()
    assert lines["check"].strip() == f"vmforensics verify {folder}"
    assert (
        lines["ledger head"].strip()
        == hashlib.sha256((folder / "ledger.jsonl").read_bytes().splitlines(keepends=True)[-1]).hexdigest()
    )


def test_json_alone_is_printed_and_says_what_result_json_says(vmf, case_file, tmp_path):
    out = tmp_path / "run"
    answer = vmf("run", case_file("runs: [{exporter: arrays}]"), "--out", out, "--json")
    assert (answer.code, answer.err) == (0, "")
    written = json.loads((out / "result.json").read_text("utf-8"))
    assert answer.json == written | {"run_dir": str(out), "ledger_head_sha256": answer.json["ledger_head_sha256"]}
    assert written["audio"] is None
    assert "recovered.wav" not in written["files"]


def test_quiet_prints_nothing(vmf, case_file, tmp_path):
    answer = vmf("run", case_file("runs: [{exporter: arrays}]"), "--out", tmp_path / "run", "--quiet")
    assert (answer.code, answer.out, answer.err) == (0, "", "")
    answer = vmf("verify", tmp_path / "run", "--quiet")
    assert (answer.code, answer.out, answer.err) == (0, "", "")


def test_nothing_but_lines_of_text_goes_into_a_pipe(recovered):
    _, answer = recovered
    assert "clock: rounded, 2200 frames/s" in answer.err
    assert all(line.isprintable() for line in (answer.out + answer.err).splitlines())
    assert "%|" not in answer.err
    assert "━" not in answer.err


def test_a_terminal_sees_a_progress_bar(clip, tmp_path):
    ours, theirs = pty.openpty()
    command = [Path(sys.executable).with_name("vmforensics"), "recover", clip, "--capture-fps", "2200"]
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "100"}
    environment = {name: value for name, value in environment.items() if name not in ("NO_COLOR", "CI")}
    with subprocess.Popen(
        [*command, "--out", tmp_path / "run"], stdout=subprocess.PIPE, stderr=theirs, env=environment, text=True
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # how Linux tells that the other end is closed
                break
            shown += piece
        out = process.stdout.read()
    os.close(ours)
    assert process.returncode == 0
    assert b"measuring motion" in shown
    assert b"frames/s" in shown
    assert out.startswith("verdict:")
    assert "\x1b" not in out


def test_the_written_case_runs_again_to_the_same_sound(vmf, folder, tmp_path):
    answer = vmf("run", folder / "case.yaml", "--out", tmp_path / "again", "--quiet")
    assert answer.code == 0
    for name in FILES - {"ledger.jsonl", "manifest-sha256.txt"}:
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes(), name


def test_the_resolved_case_runs_again_to_the_same_sound(vmf, folder, tmp_path):
    assert vmf("run", folder / "case.resolved.yaml", "--out", tmp_path / "again", "--quiet").code == 0
    for name in FILES - {"ledger.jsonl", "manifest-sha256.txt", "case.yaml", "result.json", "report.html"}:
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes(), name


def test_run_folders_are_numbered_and_never_overwritten(vmf, case_file, tmp_path):
    case = case_file("runs: [{exporter: arrays}]")
    for _ in range(2):
        assert vmf("run", case, "--quiet").code == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["001", "002"]
    before = {path.name: path.read_bytes() for path in (tmp_path / "runs" / "001").iterdir()}
    answer = vmf("run", case, "--out", tmp_path / "runs" / "001")
    assert answer.code == 30
    assert "the folder isn't empty; a run never overwrites another one" in answer.err
    assert {path.name: path.read_bytes() for path in (tmp_path / "runs" / "001").iterdir()} == before


def test_recover_numbers_its_folders_in_the_working_folder(vmf, clip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answers = [vmf("recover", clip, "--capture-fps", 2200, "--json").json for _ in range(2)]
    assert [answer["run_dir"] for answer in answers] == [f"casefiles/chips/runs/00{n}" for n in (1, 2)]
    assert answers[0]["files"] == answers[1]["files"]


def test_two_runs_of_a_case_stand_side_by_side(vmf, tmp_path):
    vmf("simulate", tmp_path / "wall.mkv", "--size", "48x96", "--seconds", "1", "--row-time", "150us", "--quiet")
    case = tmp_path / "case.yaml"
    case.write_text(
        "version: 1\ncase: {id: A-1}\nevidence: [{path: wall.mkv}]\ncamera: {shutter: rolling, row_time: 150us}\n"
        "runs:\n  - {name: smoothed, exporter: arrays}\n"
        "  - {name: averaged, signal_combiner: row-average, exporter: arrays}\n"
    )
    answer = vmf("run", case, "--json")
    assert answer.code == 0
    assert [result["run"] for result in answer.json] == ["smoothed", "averaged"]
    assert [Path(result["run_dir"]).name for result in answer.json] == ["smoothed", "averaged"]
    combiners = [next(s["name"] for s in r["method"] if s["kind"] == "signal_combiner") for r in answer.json]
    assert combiners == ["autoregressive", "row-average"]
    assert len({result["evidence"]["decoded_luma_sha256"] for result in answer.json}) == 1
    for result in answer.json:
        assert vmf("verify", result["run_dir"]).code == 0
    folder = tmp_path / "runs" / "001"
    assert sorted(path.name for path in folder.iterdir()) == ["_comparison", "averaged", "smoothed"]
    assert vmf("verify", folder / "_comparison").code == 0


def test_two_exhibits_in_one_case(vmf, tmp_path):
    for name, rate in (("film", 1000), ("tape", 800)):
        answer = vmf("simulate", tmp_path / f"{name}.mkv", "--fps", rate, "--size", "64x48", "--seconds", 0.2, "-q")
        assert (answer.code, answer.out, answer.err) == (0, "", "")
    case = tmp_path / "case.yaml"
    case.write_text(
        "version: 1\ncase: {id: A-1}\nevidence:\n  - {id: film, path: film.mkv}\n  - {id: tape, path: tape.mkv}\n"
        "camera: {shutter: global}\nruns:\n"
        "  - {name: one, evidence: tape, exporter: arrays}\n  - {name: two, evidence: film, exporter: arrays}\n"
    )
    answer = vmf("run", case, "--json", "--out", tmp_path / "both")
    assert answer.code == 0, answer.err
    assert [result["evidence"]["name"] for result in answer.json] == ["tape.mkv", "film.mkv"]
    assert [result["clock"]["frame_rate_hz"] for result in answer.json] == [800, 1000]


def test_region_and_readout_direction_reach_the_result(vmf, clip, tmp_path):
    answer = vmf(
        "recover", clip, "--row-time", "20us", "--row-time-uncertainty", "0.1us", "--row-time-source", "LED, 2026-03",
        "--readout-direction", "right-to-left", "--roi", "8,4,64,48", "--exposure", "1/4000",
        "--out", tmp_path / "run", "--capture-fps", "300", "--json",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    assert answer.json["region"] == {"x": 8, "y": 4, "width": 64, "height": 48}
    shutter = answer.json["shutter"]
    assert (shutter["row_time_s"], shutter["row_time_uncertainty_s"]) == (2e-5, 1e-7)
    assert (shutter["row_time_source"], shutter["readout_direction"]) == ("LED, 2026-03", "right-to-left")
    assert shutter["exposure_s"] == 1 / 4000
    assert shutter["duty"] == pytest.approx(64 * 20e-6 * 300)
    assert answer.json["band"]["trusted_up_to_hz"] == pytest.approx(0.05 / (1e-7 * 63 / 2))
    assert answer.json["band"]["exposure_null_hz"] == pytest.approx(4000)
    assert answer.json["band"]["exposure_undone_db"] == pytest.approx(12.04, abs=0.01)
    assert answer.json["band"]["notches_hz"][:2] == [300, 600]
    resolved = (tmp_path / "run" / "case.resolved.yaml").read_text("utf-8")
    assert "readout_direction: right-to-left" in resolved


def test_python_does_the_same(clip, recovered, tmp_path):
    outcome = vmforensics.recover_clip(clip, tmp_path / "run", shutter="global", capture_fps=2200)
    assert outcome.folder == tmp_path / "run"
    for name in ("recovered.wav", "signal.npz", "result.json"):
        assert (outcome.folder / name).read_bytes() == (recovered[0] / name).read_bytes()
    assert vmforensics.verify(outcome.folder).head == outcome.head
