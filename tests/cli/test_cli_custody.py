"""What an opposing expert would try: changing a run folder, ending a run in the middle, filling the disk."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vmforensics import verify

RECORD = {"case.yaml", "case.resolved.yaml", "ledger.jsonl", "manifest-sha256.txt"}


@pytest.fixture
def case_folder(vmf, clip, tmp_path):
    """A case folder as a laboratory keeps one: the exhibit beside a finished run."""
    folder = tmp_path / "case"
    (folder / "evidence").mkdir(parents=True)
    shutil.copy(clip, folder / "evidence" / "chips.mkv")
    (folder / "case.yaml").write_text(
        "version: 1\ncase: {id: A-1}\nevidence: [{path: evidence/chips.mkv}]\n"
        "camera: {shutter: global, capture_fps: 2200}\nruns: [{exporter: [wav, arrays]}]\n"
    )
    assert vmf("run", folder / "case.yaml", "--quiet").code == 0
    return folder


def deviations(answer):
    """What `verify --json` found: pairs of kind and place, without line numbers."""
    assert answer.err == ""
    return {(found["kind"], found["where"].split(":")[0]) for found in answer.json["findings"]}


def test_one_changed_byte_in_any_file_is_found(vmf, recovered):
    folder, _ = recovered
    for path in sorted(folder.iterdir()):
        content = bytearray(path.read_bytes())
        for position in (0, len(content) // 2, len(content) - 1):
            changed = content.copy()
            changed[position] ^= 1
            path.write_bytes(changed)
            try:
                answer = vmf("verify", folder, "--no-evidence", "--json")
            finally:
                path.write_bytes(content)
            assert answer.code == 51, (path.name, position)
            assert answer.json["ok"] is False
            places = {place for _, place in deviations(answer)}
            assert path.name in places or path.name == "manifest-sha256.txt", (path.name, position)
    assert vmf("verify", folder).code == 0


def test_missing_added_and_renamed_files_are_found(vmf, case_folder):
    run = case_folder / "runs" / "001"
    (run / "raw.wav").unlink()
    (run / "signal.npz").rename(run / "noise.npz")
    (run / "extra").mkdir()
    (run / "link.wav").symlink_to("recovered.wav")
    answer = vmf("verify", run, "--json")
    assert answer.code == 51
    assert deviations(answer) == {
        ("missing", "raw.wav"),
        ("missing", "signal.npz"),
        ("added", "noise.npz"),
        ("added", "extra"),
        ("added", "link.wav"),
    }


def test_ledger_lines_taken_out_swapped_or_cut_off_are_found(vmf, case_folder):
    run = case_folder / "runs" / "001"
    ledger = run / "ledger.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    for tampered in (lines[:5] + lines[6:], [*lines[:5], lines[6], lines[5], *lines[7:]], lines[1:], lines[:-1]):
        ledger.write_bytes(b"".join(tampered))
        answer = vmf("verify", run, "--json")
        assert answer.code == 51
        assert ("changed", "ledger.jsonl") in deviations(answer)
        kinds = {kind for kind, _ in deviations(answer)}
        assert kinds & {"broken-chain", "unfinished"}, "the ledger by itself tells, even with a rebuilt manifest"


def test_a_forged_result_with_a_rebuilt_manifest_is_found_by_the_ledger(vmf, case_folder):
    run = case_folder / "runs" / "001"
    result = json.loads((run / "result.json").read_text("utf-8"))
    (run / "result.json").write_text(json.dumps(result | {"verdict": "no-signal"}))
    names = sorted(path.name for path in run.iterdir() if path.name != "manifest-sha256.txt")
    listing = subprocess.run(["sha256sum", *names], cwd=run, capture_output=True, check=True).stdout
    (run / "manifest-sha256.txt").write_bytes(listing)
    answer = vmf("verify", run, "--json")
    assert answer.code == 51
    assert deviations(answer) == {("changed", "result.json")}


def test_changed_and_missing_evidence_is_found(vmf, case_folder):
    run, exhibit = case_folder / "runs" / "001", case_folder / "evidence" / "chips.mkv"
    content = bytearray(exhibit.read_bytes())
    content[-1] ^= 1
    exhibit.write_bytes(content)
    answer = vmf("verify", run)
    assert answer.code == 51
    assert "evidence-changed: E1: " in answer.out
    assert "isn't what the run read" in answer.out
    exhibit.unlink()
    assert deviations(vmf("verify", run, "--json")) == {("evidence-missing", "E1")}
    assert vmf("verify", run, "--no-evidence").code == 0


def test_a_case_may_be_moved_with_its_evidence(vmf, case_folder, tmp_path):
    moved = tmp_path / "archive" / "2026" / "A-1"
    moved.parent.mkdir(parents=True)
    case_folder.rename(moved)
    answer = vmf("verify", moved / "runs" / "001", "--json")
    assert (answer.code, answer.json["exhibits"], answer.json["findings"]) == (0, 1, [])


def test_the_evidence_is_left_as_it_was(vmf, clip, tmp_path):
    exhibit = tmp_path / "handed in" / "chips.mkv"
    exhibit.parent.mkdir()
    shutil.copy2(clip, exhibit)
    exhibit.chmod(0o400)
    before = exhibit.stat()
    assert vmf("recover", exhibit, "--capture-fps", 2200, "--out", tmp_path / "run", "-q").code == 0
    after = exhibit.stat()
    assert [path.name for path in exhibit.parent.iterdir()] == ["chips.mkv"]
    for name in ("st_ino", "st_mode", "st_size", "st_mtime_ns", "st_ctime_ns"):
        assert getattr(after, name) == getattr(before, name), name


def test_the_ledger_tells_the_whole_journey(recovered, ledger):
    entries = ledger(recovered[0])
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    steps = [entry["step"] for entry in entries if entry["event"] == "step-finished"]
    assert steps == [
        "digest evidence before", "frame_source", "judge clock", "place sensor rows in time", "motion_estimator",
        "examine row times", "signal_combiner", "denoiser", "denoiser", "detect", "controls",
        "exporter", "exporter", "exporter", "digest evidence after", "summarise",
    ]  # fmt: skip
    assert [entry["step"] for entry in entries if entry["event"] == "step-started"] == steps
    assert entries[0]["environment"]
    published = {name for entry in entries for name in entry.get("products", {})}
    assert published == {path.name for path in recovered[0].iterdir()} - {"ledger.jsonl", "manifest-sha256.txt"}
    digests = [entry["materials"][0]["sha256"] for entry in entries if entry["event"] == "evidence-digested"]
    assert len(digests) == 2
    assert digests[0] == digests[1]
    for entry in entries:
        if entry["event"] == "step-started" and "implementation" in entry:
            assert {"name", "version", "source_sha256", "params", "editable"} <= entry["implementation"].keys()


# Ends in the middle


@pytest.fixture
def stranger(tmp_path):
    """A folder for PYTHONPATH with an installed distribution of somebody else's, whose estimator takes its time."""
    site = tmp_path / "site"
    (site / "patient-2.0.dist-info").mkdir(parents=True)
    (site / "patient-2.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: patient\nVersion: 2.0\n")
    (site / "patient-2.0.dist-info" / "entry_points.txt").write_text("[vmforensics]\npatient = patient\n")
    (site / "patient.py").write_text(
        "import time\n"
        "from vmforensics.hookspecs import hookimpl\n"
        "from vmforensics.stages import MotionEstimator\n\n\n"
        "class Patient(MotionEstimator):\n"
        "    name = 'patient'\n"
        "    summary = 'waits'\n\n"
        "    def estimate(self, frames):\n"
        "        time.sleep(60)\n\n\n"
        "@hookimpl\n"
        "def vmforensics_motion_estimators():\n"
        "    return [Patient]\n"
    )
    return site


def ended(process, folder, ending):
    """Wait until a run measures motion, send it a signal, and wait for its end."""
    ledger = folder / "ledger.jsonl"
    deadline = time.monotonic() + 60
    while not (ledger.is_file() and b'"step":"motion_estimator"' in ledger.read_bytes()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(ending)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.parametrize(
    ("ending", "code", "told"),
    [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM"), (signal.SIGHUP, 129, "SIGHUP")],
    ids=lambda value: getattr(value, "name", None),
)
def test_an_interrupted_run_says_so(shell, case_file, tmp_path, stranger, ledger, ending, code, told):
    run = tmp_path / "run"
    process = shell("run", case_file("runs: [{motion_estimator: patient}]"), "--out", run, path=stranger)
    returned, out, err = ended(process, run, ending)
    assert (returned, out) == (code, "")
    assert "interrupted\n" in err
    assert f"on record in {run / 'ledger.jsonl'}" in err
    assert "Traceback" not in err
    entries = ledger(run)
    assert [entry["event"] for entry in entries[-2:]] == ["step-interrupted", "run-interrupted"]
    assert entries[-1]["error"]["message"] == f"ended by {told}"
    assert {path.name for path in run.iterdir()} == RECORD
    found = verify(run)
    assert (found.ok, found.status.value) == (True, "interrupted")


def test_a_killed_run_is_seen_to_have_no_end(vmf, shell, case_file, tmp_path, stranger):
    run = tmp_path / "run"
    process = shell("run", case_file("runs: [{motion_estimator: patient}]"), "--out", run, path=stranger)
    assert ended(process, run, signal.SIGKILL)[0] == -signal.SIGKILL
    assert {path.name for path in run.iterdir()} == RECORD - {"manifest-sha256.txt"}
    answer = vmf("verify", run)
    assert answer.code == 51
    assert "the run didn't finish" in answer.out
    assert "the run did not finish, or the ledger's end was cut off: it ends with 'step-started'" in answer.out
    again = vmf("run", tmp_path / "case.yaml", "--out", run)
    assert again.code == 21, "the stranger's plugin isn't installed here"
    assert not (run / "recovered.wav").exists()


def test_a_stranger_s_plugin_is_listed_and_shown(shell, stranger):
    listed = shell("plugins", "list", path=stranger).communicate()[0]
    assert "patient               waits  [patient 2.0]" in listed
    shown = shell("plugins", "show", "patient", "--json", path=stranger).communicate()[0]
    assert (json.loads(shown)["distribution"], json.loads(shown)["version"]) == ("patient", "2.0")


def test_a_broken_stranger_is_named_and_takes_nobody_down(shell, stranger):
    (stranger / "patient.py").write_text("import nowhere_to_be_found\n")
    process = shell("plugins", "list", path=stranger)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert "not loaded: patient (patient 2.0): ModuleNotFoundError: No module named 'nowhere_to_be_found'" in out
    assert "local-phase" in out


@pytest.mark.parametrize("size", ["24k", "96k", "400k"])
def test_a_full_disk_leaves_no_half_an_artefact(vmf, clip, tmp_path, ledger, size):
    """Room for some lines of the ledger, for some of the sounds, and for all but the report."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk]
    if shutil.which("mount") is None or subprocess.run(mounted, capture_output=True, check=False).returncode:
        pytest.skip("whoever runs this test may not mount a small disk")
    try:
        answer = vmf("recover", clip, "--capture-fps", 2200, "--out", disk / "run")
        assert (answer.code, answer.out) == (30, "")
        assert "No space left on device" in answer.err
        assert "Traceback" not in answer.err
        entries = ledger(disk / "run")
        published = {name: sha256 for entry in entries for name, sha256 in entry.get("products", {}).items()}
        names = {path.name for path in (disk / "run").iterdir()}
        assert names - {"ledger.jsonl", "manifest-sha256.txt"} <= published.keys()
        found = verify(disk / "run")
        assert {finding.kind.value for finding in found.findings} <= {"missing"}
        assert found.status.value in ("failed", "unfinished")
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_limit_on_file_size_is_told_as_one(shell, clip, tmp_path, ledger):
    run = tmp_path / "run"
    command = [Path(sys.executable).with_name("vmforensics"), "recover", clip, "--capture-fps", "2200", "--out", run]
    limit = 40_000
    process = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        env=os.environ | {"MPLCONFIGDIR": str(tmp_path)},
    )
    assert (process.returncode, process.stdout) == (30, "")
    assert "File too large" in process.stderr
    assert "Traceback" not in process.stderr
    assert ledger(run)[-1]["event"] == "run-failed"
    assert {path.name for path in run.iterdir()} == RECORD
