"""What `calibrate` leaves, prints, and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import yaml

from vmforensics.data import Shutter
from vmforensics.testing import Camera, Flicker, simulate, write_clip

FILES = {"calibration.json", "calibration.png", "ledger.jsonl", "manifest-sha256.txt"}
ROW_TIME = 60e-6


@pytest.fixture(scope="module")
def lit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds under 50 Hz lamps."""
    camera = Camera(width=64, height=360, fps=30, frames=120, shutter=Shutter(line_delay=ROW_TIME, exposure=1 / 1000))
    clip = simulate(camera, scene="soft", sound="silence", flicker=Flicker(100.03, 0.2))
    path = tmp_path_factory.mktemp("handed in") / "lit.mkv"
    return write_clip(clip, path)


@pytest.fixture(scope="module")
def calibrated(vmf, lit, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "001"
    answer = vmf("calibrate", lit, "--out", folder, "--json")
    assert answer.code == 0, answer.err
    return folder, answer.json


@pytest.fixture(scope="module")
def led(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One picture of a wall under a light of 1 kHz, 15 us a row."""
    rows = np.arange(400)
    picture = 20 + 200 * (np.sin(2 * np.pi * 1000 * 15e-6 * rows) > 0.3)
    path = tmp_path_factory.mktemp("pictures") / "led.png"
    iio.imwrite(path, np.broadcast_to(picture.astype(np.uint8)[:, None], (400, 48)))
    return path


def test_a_clip_under_lamps(calibrated) -> None:
    _, result = calibrated
    assert result["verdict"] == "determined"
    assert result["method"] == "mains-flicker"
    assert result["row_time_s"] == pytest.approx(ROW_TIME, rel=2e-3)
    assert abs(result["row_time_s"] - ROW_TIME) < 4 * result["row_time_uncertainty_s"]
    assert result["readout_direction"] == "top-to-bottom"
    assert result["readout_s"] == pytest.approx(360 * result["row_time_s"])
    trusted = 0.05 / (result["row_time_uncertainty_s"] * 359 / 2)
    assert result["trusted_up_to_hz"] == pytest.approx(trusted)
    assert [method["name"] for method in result["methods"]] == ["telemetry", "mains-flicker"]


def test_the_folder_is_a_record(calibrated, vmf, ledger) -> None:
    folder, result = calibrated
    assert {path.name for path in folder.iterdir()} == FILES
    assert vmf("verify", folder).code == 0
    written = json.loads((folder / "calibration.json").read_text("utf-8"))
    assert written == {key: value for key, value in result.items() if key not in ("run_dir", "ledger_head_sha256")}
    steps = [entry for entry in ledger(folder) if entry["event"] == "step-finished"]
    (flicker,) = [entry for entry in steps if entry.get("row_time_s")]
    assert flicker["row_time_s"] == result["row_time_s"]
    assert ledger(folder)[-1]["event"] == "run-finished"


def test_the_same_calibration_gives_the_same_bytes(calibrated, vmf, lit, tmp_path) -> None:
    folder, _ = calibrated
    assert vmf("calibrate", lit, "--out", tmp_path / "again", "--quiet").out == ""
    for name in ("calibration.json", "calibration.png"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_the_lines_to_paste_are_a_camera_and_options(calibrated, vmf, lit, tmp_path) -> None:
    _, result = calibrated
    case = f"version: 1\ncase: {{id: A}}\nevidence: [{{path: '{lit}'}}]\n{result['case_lines']}"
    from vmforensics.case import parse_case

    camera = parse_case(case.encode()).case.camera
    assert camera.row_time == pytest.approx(result["row_time_s"], rel=1e-4)
    assert camera.row_time_uncertainty == pytest.approx(result["row_time_uncertainty_s"], rel=0.06)
    assert result["evidence"]["sha256"][:16] in camera.row_time_source
    assert yaml.safe_load(result["case_lines"])["camera"]["shutter"] == "rolling"
    assert result["recover_options"].startswith("--row-time 60.")


def test_a_single_picture_of_an_led(vmf, led, tmp_path) -> None:
    answer = vmf("calibrate", led, "--light-hz", "1kHz", "--out", tmp_path / "led")
    assert answer.code == 0
    assert "row time (15.00" in answer.out
    assert "row_time: 15.00" in answer.out
    assert "--row-time 15.00" in answer.out
    assert vmf("verify", tmp_path / "led").code == 0


def test_what_a_person_reads_has_no_escapes(vmf, led, tmp_path) -> None:
    answer = vmf("calibrate", led, "--light-hz", "1000", "--out", tmp_path / "run")
    assert answer.code == 0, answer.err
    assert "verdict:     row time (" in answer.out
    assert "\\x" not in answer.out


def test_indeterminate_is_an_answer(vmf, led, tmp_path) -> None:
    answer = vmf("calibrate", led, "--out", tmp_path / "none", "--json")
    assert answer.code == 0
    assert answer.json["verdict"] == "indeterminate"
    assert answer.json["row_time_s"] is None
    assert answer.json["case_lines"] is None
    assert all(method["reason"] for method in answer.json["methods"])
    assert "INDETERMINATE" in vmf("calibrate", led, "--out", tmp_path / "told").out


def test_a_prior_is_shown_and_not_offered(vmf, led, tmp_path) -> None:
    answer = vmf("calibrate", led, "--camera", "Sony A7 III", "--method", "camera-profile", "--out", tmp_path / "prior")
    assert answer.code == 0
    assert "(prior)" in answer.out
    assert "A PRIOR, NOT A MEASUREMENT" in " ".join(answer.out.split())
    assert "row_time:" not in answer.out


def test_mains_narrows_the_search(vmf, lit, tmp_path) -> None:
    answer = vmf("calibrate", lit, "--mains", 60, "--out", tmp_path / "sixty", "--json")
    assert answer.json["row_time_s"] is None
    assert "120 Hz is 4 times the frame rate" in answer.json["methods"][1]["reason"]


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (("--mains", 55), 22, "mains"),
        (("--light-hz", "fast"), 22, "quantity"),
        (("--light-hz-uncertainty", "1"), 22, "without --light-hz"),
        (("--method", "mains-flickr"), 21, "did you mean 'mains-flicker'?"),
        (("--method", "telemetry", "--mains", 50), 22, "none of the methods telemetry takes it"),
        (("--readout-direction", "sideways"), 22, "top-to-bottom"),
        (("--roi", "0,0,9999,10"), 23, "doesn't lie in the"),
        (("--capture-fps", "many"), 22, "--capture-fps"),
    ],
)
def test_wrong_use_is_told(vmf, lit, tmp_path, options, code, told) -> None:
    answer = vmf("calibrate", lit, "--out", tmp_path / "run", *options)
    assert answer.code == code
    assert told in answer.err
    assert "Traceback" not in answer.err


def test_the_default_folder_lies_beside_the_runs(vmf, led, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert vmf("calibrate", led, "--light-hz", 1000, "--quiet").code == 0
    assert {path.name for path in (tmp_path / "casefiles" / "led" / "calibrations" / "001").iterdir()} == FILES
