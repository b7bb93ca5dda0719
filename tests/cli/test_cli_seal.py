"""Keys, seals and bags from the command line, on a real run."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def laboratory(vmf, clip, tmp_path_factory) -> Path:
    """A folder with a key, and a case with one run."""
    root = tmp_path_factory.mktemp("laboratory")
    case = root / "case"
    (case / "evidence").mkdir(parents=True)
    shutil.copy(clip, case / "evidence" / "chips.mkv")
    (case / "case.yaml").write_text(
        "version: 1\ncase: {id: A-1}\nevidence: [{path: evidence/chips.mkv}]\n"
        "camera: {shutter: global, capture_fps: 2200}\nruns: [{exporter: [arrays]}]\n"
    )
    assert vmf("run", case / "case.yaml", "--quiet").code == 0
    assert vmf("key", "new", root / "examiner.key", "--quiet").code == 0
    return root


@pytest.fixture
def folder(laboratory, tmp_path) -> Path:
    """A copy of it, to seal and to change."""
    return Path(shutil.copytree(laboratory, tmp_path / "copy"))


def sealed(vmf, folder, *more):
    return vmf(
        "seal", folder / "case", "--key", folder / "examiner.key", "--actor", "J. Doe", "--purpose", "court", *more
    )


def test_a_case_is_sealed_verified_and_amended(vmf, folder):
    key, case = folder / "examiner.key", folder / "case"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    fingerprint = vmf("key", "show", key, "--json").json[0]["fingerprint"]
    assert vmf("key", "show", f"{key}.pub").out.startswith(f"Ed25519 {fingerprint}\n-----BEGIN PUBLIC KEY-----\n")
    before = vmf("verify", case)
    assert before.code == 0
    assert "anchored by a seal: nothing" in before.out
    assert vmf("verify", case, "--sealed").code == 51
    assert vmf("verify", case, "--trust", f"{key}.pub").code == 51
    made = sealed(vmf, folder, "--json")
    assert (made.code, made.json["key"]) == (0, fingerprint)
    options = ("--trust", f"{key}.pub", "--sealed", "--expect", made.json["sha256"])
    told = vmf("verify", case, *options)
    assert told.code == 0, told.err
    assert "not anchored: nothing" in told.out
    assert f"key {fingerprint} (trusted)" in told.out
    (case / "evidence" / "more.avi").write_bytes(b"x")
    assert vmf("verify", case, *options).code == 51
    amended = vmf("verify", case, "--trust", f"{key}.pub")
    assert amended.code == 0
    assert "added since the seal: evidence/more.avi" in amended.out
    assert "deviations" in json.dumps(vmf("verify", case, "--json").json["seals"])
    (case / "case.yaml").write_text("version: 1\n")
    found = vmf("verify", case, *options, "--json")
    assert found.code == 51
    assert ("changed", "case.yaml") in {(each["kind"], each["where"]) for each in found.json["all_findings"]}
    again = sealed(vmf, folder)
    assert "stated in the seal: case.yaml: has other content" in again.out


def test_a_run_inside_a_sealed_case_is_told_of_once(vmf, folder):
    assert sealed(vmf, folder, "--quiet").code == 0
    (folder / "case" / "runs" / "001" / "signal.npz").write_bytes(b"x")
    found = vmf("verify", folder / "case", "--json").json
    assert [each["where"] for each in found["all_findings"]] == ["runs/001/signal.npz"]
    assert found["findings"] == []
    assert "case's seal 001" in found["all_findings"][0]["message"]


def test_a_handed_over_bag_verifies(vmf, folder):
    noted = sealed(vmf, folder, "--json").json["sha256"]
    bag = folder / "bag"
    assert vmf("bag", folder / "case", bag).code == 0
    assert vmf("verify", bag / "data", "--sealed", "--expect", noted).code == 0
    assert vmf("bag", folder / "case", bag).code == 30


def test_a_passphrase_is_never_printed(vmf, folder):
    (folder / "passphrase").write_text("open sesame\n")
    key = folder / "second.key"
    made = vmf("key", "new", key, "--passphrase-file", folder / "passphrase", "--json")
    assert (made.code, made.json["encrypted"]) == (0, True)
    options = ("seal", folder / "case", "--key", key, "--actor", "J. Doe", "--purpose", "court")
    (folder / "wrong").write_text("guess\n")
    answers = [
        vmf(*options, "--passphrase-file", folder / "wrong"),
        vmf(*options, "--passphrase-file", folder / "none"),
        vmf("key", "show", key, "--passphrase-file", folder / "wrong"),
    ]
    assert [answer.code for answer in answers] == [53, 53, 53]
    answers.append(vmf(*options, "--passphrase-file", folder / "passphrase"))
    assert answers[-1].code == 0, answers[-1].err
    assert not any(secret in a.out + a.err for a in [made, *answers] for secret in ("open sesame", "guess"))
    record = b"".join(path.read_bytes() for path in (folder / "case").rglob("*") if path.is_file())
    assert b"open sesame" not in record
    assert str(key).encode() not in record


def test_mistakes_have_their_own_answers(vmf, folder):
    key, case = folder / "examiner.key", folder / "case"
    assert vmf("key", "new", key).code == 30
    assert vmf("key", "show", folder / "none").code == 53
    assert vmf("verify", case, "--trust", key).code == 53
    assert vmf("verify", case, "--tsa-root", key).code == 53
    assert vmf("verify", case, "--expect", "abc").code == 50
    assert vmf("seal", folder / "none", "--key", key, "--actor", "a", "--purpose", "b").code == 50
    assert sealed(vmf, folder, "--tsa", "ftp://example.com").code == 54
    refused = sealed(vmf, folder, "--tsa", "http://127.0.0.1:1")
    assert refused.code in (42, 54)
    assert not list((case / "seals").glob("*")) if (case / "seals").exists() else True
    shutil.rmtree(case / "runs")
    assert vmf("verify", case).code in (0, 51)
