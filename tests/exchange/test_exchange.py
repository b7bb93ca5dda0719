"""What goes to others is what they expect: checked by stock ffmpeg, the CASE validator, the RO-Crate reader."""

import hashlib
import json
import shutil
import subprocess
import warnings
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmforensics.casefolder import CaseFolder, add_exhibit, add_note, set_aside, transfer
from vmforensics.custody import verify
from vmforensics.custody.entries import Entry
from vmforensics.errors import CustodyError, OutputError, VerificationFailed
from vmforensics.exchange import FORMS, Subject, ToldRun, export, read_subject
from vmforensics.exchange.case_uco import to_case_uco
from vmforensics.exchange.ro_crate import to_ro_crate

WHO = {"actor": "J. Roe", "purpose": "request 5"}


@pytest.fixture
def kept_case(case_folder) -> Path:
    """A case with a ledger of its own."""
    case = CaseFolder(case_folder)
    add_exhibit(case, case_folder / "evidence" / "chips.mkv", received_from="PC 12", received_at="2026-03-01", **WHO)
    add_note(case, "The lamp flickers.", about="E1", **WHO)
    transfer(case, "E1", to="Lab B", **WHO)
    set_aside(case, "001", reason="a first try", **WHO)
    return case_folder


def test_stock_ffmpeg_prints_the_same_lines(finished_case, tmp_path):
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        pytest.skip("ffmpeg isn't installed")
    made = export(finished_case / "runs" / "001", "framehash", tmp_path / "hashes")
    clip = finished_case / "evidence" / "chips.mkv"
    command = [ffmpeg, "-v", "error", "-noautorotate", "-i", clip, "-map", "0:0", "-fps_mode", "passthrough"]
    command += ["-vf", "extractplanes=y", "-f", "framehash", "-hash", "sha256", "-"]
    stock = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    ours = made.path.read_text("utf-8").splitlines()
    frames = [line for line in ours if not line.startswith("#")]
    assert len(frames) == 200
    assert frames == [line for line in stock if not line.startswith("#")]
    headers = {"#format: frame checksums", "#version: 2", "#hash: SHA256", "#tb 0: 1/30", "#dimensions 0: 64x48"}
    assert headers <= set(ours) & set(stock)
    digest = hashlib.sha256("".join(line.split()[-1] + "\n" for line in frames).encode()).hexdigest()
    result = json.loads((finished_case / "runs" / "001" / "result.json").read_text("utf-8"))
    assert result["evidence"]["decoded_luma_sha256"] == digest


def test_case_uco_is_valid_with_every_concept_known(kept_case, tmp_path):
    validate = pytest.importorskip("case_utils.case_validate").validate
    made = export(kept_case, "case-uco", tmp_path / "case.jsonld", **WHO)
    with warnings.catch_warnings():  # one of a concept that isn't known stays an error
        warnings.simplefilter("ignore", DeprecationWarning)
        found = validate(str(made.path))
    assert found.conforms, found.text
    assert found.undefined_concepts == set()
    graph = json.loads(made.path.read_text("utf-8"))["@graph"]
    kinds = [node["@type"] for node in graph]
    assert {"case-investigation:Investigation", "case-investigation:InvestigativeAction"} <= set(kinds)
    result = json.loads((kept_case / "runs" / "001" / "result.json").read_text("utf-8"))
    text = json.dumps(graph)
    for told in (result["evidence"]["sha256"], result["files"]["recovered.wav"], "set aside: a first try", "Lab B"):
        assert told in text


def test_ro_crate_is_read_by_the_package(kept_case, tmp_path):
    rocrate = pytest.importorskip("rocrate.rocrate")
    made = export(kept_case, "ro-crate", **WHO)
    with zipfile.ZipFile(made.path) as archive:
        archive.extractall(tmp_path / "crate")
    crate = rocrate.ROCrate(tmp_path / "crate")
    root = crate.root_dataset
    assert root["conformsTo"].id == "https://w3id.org/ro/wfrun/process/0.5"
    (action,) = root["mentions"]
    assert action.type == "CreateAction"
    assert action["agent"]["name"] == "J. Roe"
    assert action["instrument"][0].type == "SoftwareApplication"
    run = kept_case / "runs" / "001"
    sound = next(each for each in action["result"] if each.id == "runs/001/recovered.wav")
    assert sound["sha256"] == hashlib.sha256((run / "recovered.wav").read_bytes()).hexdigest()
    listed = {each.id for each in crate.data_entities}
    there = {str(p.relative_to(tmp_path / "crate")) for p in (tmp_path / "crate").rglob("*") if p.is_file()}
    assert listed == there - {"ro-crate-metadata.json"}
    assert not any(name.startswith(("evidence/", "exports/")) for name in there)
    assert verify(kept_case).ok


def test_an_export_goes_to_the_case_and_on_its_record(kept_case):
    run = kept_case / "runs" / "001"
    with pytest.raises(CustodyError, match="actor and purpose"):
        export(run, "case-uco")
    made = export(run, "case-uco", **WHO)
    assert made.path == kept_case / "exports" / "A-1-001-001.case.jsonld"
    entry = CaseFolder(kept_case).entries()[-1]
    assert (entry.event, entry.fields["of"], entry.fields["form"]) == ("exported", "runs/001", "case-uco")
    assert list(entry.fields["exports"]) == ["exports/A-1-001-001.case.jsonld"]
    assert export(run, "case-uco", **WHO).path.name == "A-1-001-002.case.jsonld"
    assert verify(kept_case).ok


@pytest.mark.parametrize("form", ["case-uco", "ro-crate", "disclosure"])
def test_the_same_record_gives_the_same_bytes(finished_case, tmp_path, form):
    made = [export(finished_case / "runs" / "001", form, tmp_path / name / "x") for name in "ab"]
    assert made[0].sha256 == made[1].sha256


@pytest.mark.parametrize("form", [form for form in FORMS if form != "disclosure"])
def test_what_is_not_as_it_was_left_is_not_exported(case_folder, tmp_path, form):
    (case_folder / "runs" / "001" / "raw.wav").write_bytes(b"another sound")
    with pytest.raises(VerificationFailed):
        export(case_folder / "runs" / "001", form, tmp_path / "x")
    assert list(tmp_path.iterdir()) == [case_folder]


def test_wrong_uses_are_named(case_folder, tmp_path):
    with pytest.raises(CustodyError, match="one of case-uco"):
        export(case_folder, "pdf")
    with pytest.raises(CustodyError, match="one run"):
        export(case_folder, "framehash", tmp_path / "x")
    with pytest.raises(CustodyError):
        export(tmp_path / "nowhere", "disclosure")
    (tmp_path / "taken").touch()
    with pytest.raises(OutputError, match="already"):
        export(case_folder, "disclosure", tmp_path / "taken")


TEXTS = st.text(max_size=10)
JSON = st.recursive(st.none() | st.integers() | TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner))


@settings(max_examples=40, deadline=None)
@given(
    fields=st.dictionaries(st.sampled_from(["case", "environment", "error", "actor", "exhibit", "reason"]), JSON),
    products=st.dictionaries(TEXTS, st.just("ab" * 32), max_size=3),
    materials=st.lists(st.dictionaries(st.sampled_from(["id", "path", "sha256", "files"]), JSON), max_size=2),
    stages=st.lists(st.dictionaries(st.sampled_from(["kind", "name", "params", "version"]), JSON), max_size=2),
)
def test_a_hostile_record_breaks_no_export(fields, products, materials, stages):
    entry = Entry(1, "2026-03-01T10:00:00.000000Z", "0" * 64, "run-started", fields, "c" * 64)
    told = ToldRun(HERE, "runs/001", READ.runs[0].status, (entry,), products, tuple(materials), tuple(stages))
    subject = Subject(HERE, "x", None, (told,), (), (), (entry,), READ.verified)
    for made in (to_case_uco(subject), to_ro_crate(subject, {"a": ("ab" * 32, 1)})):
        assert json.loads(made)["@graph"]


@pytest.fixture(autouse=True, scope="module")
def _read(finished_case):
    global READ, HERE  # noqa: PLW0603 hypothesis takes no fixtures of a function's scope
    HERE = finished_case / "runs" / "001"
    READ = read_subject(HERE)


READ: Subject
HERE: Path
