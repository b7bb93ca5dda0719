"""`case`, `replay`, `validate`, `environment` and `export` as a shell calls them."""

import json
import shutil

import pytest

from vmforensics.errors import CustodyError, OutputError, ReplayDiffers, VerificationFailed

WHO = ("--actor", "J. Roe", "--purpose", "a test")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("VMFORENSICS_ACTOR", raising=False)


def test_a_case_from_its_exhibit_to_its_disclosure(vmf, case_folder, tmp_path):
    added = vmf("case", "add-exhibit", case_folder, case_folder / "evidence" / "chips.mkv", *WHO, "--json").json
    assert added["id"] == "E1"
    assert added["container"]["codec"] == "ffv1"
    assert added["container_problem"] == ""
    told = vmf("case", "add-exhibit", case_folder, case_folder / "case.yaml", "--copy", *WHO).out
    assert "its container can't be read" in told
    assert "    path: 'evidence/E2/case.yaml'" in told
    assert vmf("case", "add-note", case_folder, "The lamp flickers.", "--about", "E1", *WHO).code == 0
    assert vmf("case", "transfer", case_folder, "E1", "--to", "Lab C", "--from", "Lab D", *WHO).code == 0
    assert vmf("case", "set-aside", case_folder, "001", "--reason", "first try", *WHO).code == 0
    shown = vmf("case", "show", case_folder).out
    for line in ("with Lab C", "SET ASIDE: first try", "The lamp flickers.", "GAP:", "A-1"):
        assert line in shown
    facts = vmf("case", "show", case_folder, "--json").json
    assert facts["runs"][0]["set_aside"] == "first try"
    assert [act["event"] for act in facts["acts"]][-1] == "run-set-aside"
    assert vmf("case", "reinstate", case_folder, "001", *WHO).code == 0
    (row,) = vmf("case", "list", case_folder.parent, "--json").json
    assert (row["id"], row["exhibits"], row["runs"], row["verdicts"]) == ("A-1", 2, 1, {"signal": 1})
    hits = vmf("case", "search", "lamp", "--in", case_folder.parent, "--json").json["hits"]
    assert [hit["what"] for hit in hits] == ["note 1"]
    assert "nothing found" in vmf("case", "search", "unheard-of", "--in", case_folder.parent).out
    made = vmf("export", case_folder, "--as", "disclosure", *WHO)
    assert made.code == 0
    assert (case_folder / "exports" / "A-1-001.zip").is_file()
    assert vmf("verify", case_folder).code == 0


def test_a_verdict_that_was_altered_is_not_told(vmf, case_folder):
    result = case_folder / "runs" / "001" / "result.json"
    result.write_text(result.read_text().replace('"signal"', '"no-signal"', 1))
    assert "runs/001:     recovery finished: altered since the run" in vmf("case", "show", case_folder).out
    (row,) = vmf("case", "list", case_folder.parent, "--json").json
    assert row["verdicts"] == {"altered since the run": 1}


@pytest.mark.parametrize(
    "act", [("add-note", "x"), ("transfer", "E1", "--to", "y"), ("set-aside", "1", "--reason", "z")]
)
def test_an_act_needs_actor_and_purpose(vmf, case_folder, monkeypatch, act):
    command, *rest = act
    assert vmf("case", command, case_folder, *rest, "--purpose", "a test").code == 2
    assert vmf("case", command, case_folder, *rest, "--actor", "J. Roe").code == 2
    monkeypatch.setenv("VMFORENSICS_ACTOR", "J. Roe")
    assert vmf("case", "add-note", case_folder, "x", "--purpose", "a test").code == 0


def test_mistakes_have_their_message(vmf, case_folder, tmp_path):
    for arguments in (
        ("case", "show", tmp_path / "nowhere"),
        ("case", "list", tmp_path / "nowhere"),
        ("case", "set-aside", case_folder, "009", "--reason", "x", *WHO),
        ("case", "transfer", case_folder, "E9", "--to", "x", *WHO),
        ("case", "add-note", case_folder, "a\x1b[2Jb", *WHO),
        ("export", case_folder, "--as", "pdf"),
        ("environment", "show", tmp_path),
    ):
        found = vmf(*arguments)
        assert found.code == CustodyError.exit_code, arguments
        assert found.err.startswith("error: ")
        assert "\x1b" not in found.err
        assert found.out == ""


def test_no_secret_of_the_environment_is_recorded(vmf, case_folder, monkeypatch):
    monkeypatch.setenv("API_TOKEN", "s3cr3t-t0ken")
    assert vmf("case", "add-note", case_folder, "x", *WHO).code == 0
    assert "s3cr3t" not in (case_folder / "ledger.jsonl").read_text("utf-8")
    assert "s3cr3t" not in vmf("environment", "show").out


def test_replay_and_validate_say_how_a_run_came_out(vmf, case_folder):
    run = case_folder / "runs" / "001"
    found = vmf("replay", run)
    assert found.code == 0
    assert "IDENTICAL" in found.out
    broken = shutil.copytree(run, case_folder / "runs" / "002")
    (broken / "raw.wav").write_bytes(b"another")
    assert vmf("replay", broken).code == VerificationFailed.exit_code
    table = vmf("validate", case_folder)
    assert table.code == 0
    assert [line.split()[0] for line in table.out.splitlines()] == ["identical", "not", "2"]
    assert vmf("validate", case_folder / "evidence").code == 50


def test_a_run_that_comes_out_otherwise_has_its_exit_code(vmf, case_folder, monkeypatch):
    from vmforensics.replay import ReplayVerdict

    monkeypatch.setattr("vmforensics.replay.replay.judge", lambda *_: (ReplayVerdict.DIFFERENT, "raw.wav: other"))
    assert vmf("replay", case_folder / "runs" / "001").code == ReplayDiffers.exit_code
    answer = vmf("validate", case_folder, "--json")
    assert answer.code == ReplayDiffers.exit_code
    assert answer.json["runs"][0]["replay"]["verdict"] == "different"


def test_replay_with_makes_a_run(vmf, case_folder):
    found = vmf("replay", case_folder / "runs" / "001", "--with", "denoiser=")
    assert found.code == 0
    assert "denoiser: [] instead of ['high-pass', 'spectral-subtraction']" in found.out
    assert json.loads((case_folder / "runs" / "002" / "result.json").read_text("utf-8"))["case"]["id"] == "A-1"


def test_the_environment_is_shown_and_locked(vmf, case_folder, tmp_path):
    run = case_folder / "runs" / "001"
    assert vmf("environment", "show", run, "--json").json["environment"]["packages"]["numpy"]
    assert "numpy" in vmf("environment").out
    lock = tmp_path / "lock.txt"
    assert vmf("environment", "lock", run, "--out", lock).code == 0
    assert "numpy==" in lock.read_text("utf-8")
    assert vmf("environment", "lock", run, "--out", lock).code == OutputError.exit_code
    assert vmf("environment", "lock").out.startswith("# ")
