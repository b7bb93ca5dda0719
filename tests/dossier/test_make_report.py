"""A report's own folder: what is in it, what it rests on, and what it refuses."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from vmforensics import verify
from vmforensics.casefolder import CaseFolder, set_aside
from vmforensics.cli import app
from vmforensics.dossier import make_report
from vmforensics.errors import CustodyError, ExtraMissing, OutputError, ParameterError, VerificationFailed
from vmforensics.report import pdf


def test_every_number_is_in_the_json(case, made):
    told = json.loads((made.folder / "report.json").read_text("utf-8"))
    assert told == made.content
    assert [run["name"] for run in told["runs"]] == ["002/phase", "002/svd"]
    for run in told["runs"]:
        assert run["result"] == json.loads((case / "runs" / run["name"] / "result.json").read_text("utf-8"))
        assert run["record"]["ledger_head_sha256"] == verify(case / "runs" / run["name"]).head
        assert run["playback"]["gain_raw"] <= 1
    (failed,) = told["runs_without_result"]
    assert (failed["name"], failed["status"]) == ("001/phase", "failed")
    assert "SHA-256" in failed["error"]


def test_nothing_names_a_place_on_the_computer(case, made):
    for path in made.folder.iterdir():
        if path.suffix in (".html", ".json"):
            assert str(case).encode() not in path.read_bytes()


def test_the_report_rests_on_the_runs_ledgers(case, made, tmp_path):
    assert verify(made.folder).ok
    copy = Path(shutil.copytree(case, tmp_path / "A-7"))
    report = make_report(copy)
    assert report.folder == copy / "reports" / "001"
    assert verify(report.folder).ok
    with (copy / "runs" / "002" / "svd" / "ledger.jsonl").open("ab") as ledger:
        ledger.write(b"\n")
    assert not verify(report.folder).ok


def test_same_runs_same_bytes(case, made, tmp_path):
    again = make_report(case, tmp_path / "again", pdf=True)
    for name in ("report.html", "report.json", "report.pdf"):
        assert (again.folder / name).read_bytes() == (made.folder / name).read_bytes(), name


def test_one_run_is_reported_by_its_folder(case, tmp_path):
    made = make_report(case / "runs" / "002" / "svd", tmp_path / "one")
    assert [run["name"] for run in made.content["runs"]] == ["svd"]
    assert "report of one run" in (made.folder / "report.html").read_text("utf-8")


def test_a_run_that_has_changed_is_not_reported(case, tmp_path):
    copy = Path(shutil.copytree(case, tmp_path / "A-7"))
    (copy / "runs" / "002" / "svd" / "raw.wav").write_bytes(b"other")
    with pytest.raises(VerificationFailed, match=r"has changed since: raw\.wav"):
        make_report(copy, tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_a_run_set_aside_is_reported_with_the_reason(case, tmp_path):
    copy = Path(shutil.copytree(case, tmp_path / "A-7"))
    set_aside(CaseFolder.open(copy), "002/svd", reason="the wrong region", actor="A. Examiner", purpose="test")
    made = make_report(copy)
    assert "Set aside: the wrong region" in (made.folder / "report.html").read_text("utf-8")
    assert [each["event"] for each in made.content["case_ledger"]][-1] == "run-set-aside"
    assert CaseFolder.open(copy).entries()[-1].fields["form"] == "report"


def test_what_cannot_be_reported_is_said(case, tmp_path):
    with pytest.raises(CustodyError, match="no such case or run"):
        make_report(tmp_path / "nowhere")
    with pytest.raises(CustodyError, match="holds no finished run"):
        make_report(tmp_path)
    with pytest.raises(CustodyError, match="holds no finished run"):
        make_report(case / "runs" / "001" / "phase")
    with pytest.raises(ParameterError, match="no report in the language"):
        make_report(case, language="xx")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(OutputError, match="isn't empty"):
        make_report(case, tmp_path / "full")


def test_without_weasyprint_the_hint_says_what_to_install(case, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(ExtraMissing) as caught:
        make_report(case, tmp_path / "report", pdf=True)
    assert "vmforensics[pdf]" in (caught.value.hint or "")
    assert not (tmp_path / "report").exists()
    with pytest.raises(ExtraMissing):
        pdf.to_pdf(b"", b"")


def test_the_command_says_where_it_is(case, tmp_path, capsys):
    app(["report", str(case), "--out", str(tmp_path / "report")], standalone_mode=False)
    out = capsys.readouterr().out
    assert "002/phase signal, 002/svd signal; 1 without a result" in out
    assert f"{tmp_path / 'report' / 'report.html'}, " in out.replace("\n", " ")
    app(["report", str(case), "--out", str(tmp_path / "json"), "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["report_dir"] == str(tmp_path / "json")
