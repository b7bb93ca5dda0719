"""What is done with a case is on its record: exhibits, notes, transfers, runs set aside, and runs as they come."""

import json
import shutil
import stat
from pathlib import Path

import jsonschema
import pytest

from vmforensics.casefolder import (
    CaseFolder,
    ExhibitRecord,
    NoteRecord,
    add_exhibit,
    add_note,
    record_schema,
    reinstate,
    set_aside,
    transfer,
)
from vmforensics.casefolder.acts import holders, locate
from vmforensics.casefolder.forms import with_forms
from vmforensics.custody import FindingKind, RunStatus, verify
from vmforensics.errors import CustodyError, DigestMismatch, EvidenceChanged, VmforensicsError
from vmforensics.recovery import run_case

WHO = {"actor": "J. Roe", "purpose": "a test"}
SCHEMAS = Path(__file__).resolve().parents[2] / "casefiles" / "schema"


def schema(name: str) -> dict:
    content = json.loads((SCHEMAS / f"{name}.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(content)
    return content


@pytest.fixture
def case(case_folder) -> CaseFolder:
    return CaseFolder.open(case_folder)


@pytest.fixture
def clip(case) -> Path:
    return case.path / "evidence" / "chips.mkv"


def events(case: CaseFolder) -> list[str]:
    return [entry.event for entry in case.entries()]


def test_a_folder_with_runs_alone_is_a_case(case):
    assert case.entries() == []
    assert case.identity().id == "A-1"
    (run,) = case.runs()
    assert (run.name, run.status, run.verdict, run.what) == ("runs/001", RunStatus.FINISHED, "signal", "recovery")


def test_every_act_is_on_record_with_actor_and_purpose(case, clip):
    add_exhibit(case, clip, **WHO, received_from="PC 12", received_at="2026-03-01T10:00+01:00")
    add_note(case, "The lamp flickers.", about="E1", **WHO)
    add_note(case, "Listened to.", about="001", **WHO)
    transfer(case, "E1", to="Lab B", **WHO)
    set_aside(case, "001", reason="wrong row time", **WHO)
    assert case.run("001").set_aside == "wrong row time"
    reinstate(case, "runs/001", **WHO)
    assert case.run("001").set_aside == ""
    told = events(case)
    assert told == [
        "case-opened",
        "exhibit-added",
        "note-added",
        "note-added",
        "exhibit-transferred",
        "run-set-aside",
        "run-reinstated",
    ]
    assert all(entry.fields["actor"] == "J. Roe" and entry.fields["purpose"] == "a test" for entry in case.entries())
    assert case.entries()[0].fields["identity"]["id"] == "A-1"
    assert [note.about for note in case.notes()] == ["E1", "runs/001"]
    assert verify(case.path).ok


@pytest.mark.parametrize("wrong", [{"actor": ""}, {"purpose": " "}, {"actor": "a\nb"}])
def test_nothing_happens_without_actor_and_purpose(case, clip, wrong):
    for act in (lambda **who: add_exhibit(case, clip, copy=True, **who), lambda **who: add_note(case, "x", **who)):
        with pytest.raises(CustodyError, match=r"actor|purpose"):
            act(**(WHO | wrong))
    assert not case.ledger.exists()
    add_note(case, "one", **WHO)
    with pytest.raises(CustodyError):
        add_exhibit(case, clip, copy=True, **(WHO | wrong))
    assert case.exhibits() == []
    assert not (case.path / "evidence" / "E1").exists()
    assert verify(case.path).ok


def test_an_exhibit_is_known_by_its_digest_and_found_after_a_move(case, clip):
    record, _ = add_exhibit(case, clip, **WHO)
    assert record.policy == "refer"
    assert record.path == "evidence/chips.mkv"
    moved = CaseFolder(Path(case.path.rename(case.path.parent / "moved")))
    assert locate(moved, moved.exhibit("E1")) == moved.path.resolve() / "evidence" / "chips.mkv"
    assert verify(moved.path).ok


def test_a_working_copy_is_compared_and_read_only(case, tmp_path, clip):
    handed_in = Path(shutil.copy(clip, tmp_path / "usb.mkv"))
    record, _ = add_exhibit(case, handed_in, copy=True, mark="X.1", **WHO)
    copy = case.path / record.path
    assert record.path == "evidence/X.1/usb.mkv"
    assert copy.read_bytes() == handed_in.read_bytes()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o400
    handed_in.unlink()
    assert locate(case, record) == case.path.resolve() / record.path
    assert verify(case.path).ok


def test_a_folder_of_pictures_is_one_exhibit(case, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in ("1.png", "2.png"):
        (pictures / name).write_bytes(name.encode())
    record, _ = add_exhibit(case, pictures, copy=True, **WHO)
    assert record.path == "evidence/E1"
    assert [file.name for file in record.files] == ["1.png", "2.png"]
    assert verify(case.path).ok


def test_marks_are_given_in_order_and_once(case, clip):
    assert [add_exhibit(case, clip, **WHO)[0].id for _ in range(2)] == ["E1", "E2"]
    with pytest.raises(CustodyError, match="'e1' is taken"):
        add_exhibit(case, clip, mark="e1", **WHO)


@pytest.mark.parametrize("mark", ["../E1", "a/b", "", ".", "..", "E 1", "x" * 65, "a\x1b"])
def test_a_mark_is_a_plain_name(case, clip, mark):
    if mark == "":
        return  # stands for none given
    with pytest.raises(VmforensicsError):
        add_exhibit(case, clip, mark=mark, copy=True, **WHO)
    assert sorted(path.name for path in (case.path / "evidence").iterdir()) == ["chips.mkv"]


def test_an_exhibit_that_is_not_the_expected_one_is_refused(case, clip):
    with pytest.raises(DigestMismatch):
        add_exhibit(case, clip, expected_sha256="0" * 64, **WHO)
    assert not case.ledger.exists()


@pytest.mark.parametrize("when", ["yesterday", "2026-03-01T10:00", "2026-13-01", "x" * 400])
def test_a_time_is_a_date_or_has_its_offset(case, clip, when):
    with pytest.raises(CustodyError):
        add_exhibit(case, clip, received_at=when, **WHO)


def test_an_altered_exhibit_is_not_handed_over(case, clip):
    add_exhibit(case, clip, **WHO)
    clip.write_bytes(b"something else")
    with pytest.raises(EvidenceChanged):
        transfer(case, "E1", to="Lab B", **WHO)
    assert "exhibit-transferred" not in events(case)


def test_hands_are_followed_and_a_gap_is_kept(case, clip):
    add_exhibit(case, clip, **WHO)
    transfer(case, "E1", to="Lab B", **WHO)
    act = transfer(case, "E1", from_="Lab D", to="Lab C", at="2026-03-02", **WHO)
    assert holders(case) == {"E1": "Lab C"}
    assert (act.entry.fields["last_known_holder"], act.entry.fields["handed_over_by"]) == ("Lab B", "Lab D")


def test_runs_are_recorded_as_they_come_once_the_case_has_a_ledger(case):
    add_note(case, "before", **WHO)
    run_case(case.path / "case.yaml")
    entry = case.entries()[-1]
    assert entry.event == "run-recorded"
    assert entry.fields["run"] == "runs/002"
    assert entry.fields["run_head_sha256"] == case.run("002").head
    text = (case.path / "case.yaml").read_text("utf-8")
    (case.path / "case.yaml").write_text(text.replace("2200}", "2200}\nregion: [0, 0, 9999, 1]"), "utf-8")
    with pytest.raises(VmforensicsError):
        run_case(case.path / "case.yaml")
    assert (case.entries()[-1].fields["run"], case.entries()[-1].fields["status"]) == ("runs/003", "failed")
    assert verify(case.path).ok


def test_a_changed_identity_is_stated_with_the_next_act(case):
    add_note(case, "one", **WHO)
    text = (case.path / "case.yaml").read_text("utf-8")
    (case.path / "case.yaml").write_text(text.replace("id: A-1", "id: B-2"), "utf-8")
    add_note(case, "two", **WHO)
    assert events(case)[-2:] == ["identity-stated", "note-added"]
    assert case.entries()[-2].fields["identity"]["id"] == "B-2"


def test_a_record_that_was_altered_or_put_in_is_found(case):
    add_note(case, "one", **WHO)
    note = case.path / "notes" / "0001.json"
    note.write_text(note.read_text("utf-8").replace("one", "two"), "utf-8")
    shutil.copy(note, case.path / "notes" / "0002.json")
    found = " ".join(f"{each.where} {each.message}" for each in verify(case.path).all_findings())
    assert "notes/0001.json" in found
    assert "notes/0002.json" in found


@pytest.mark.parametrize(("name", "kind"), [("exhibit", ExhibitRecord), ("note", NoteRecord)])
def test_committed_schemas_are_those_of_the_records(name, kind):
    assert schema(name) == record_schema(kind), "out of date; run: make schema"


def test_what_is_written_is_what_the_schemas_say(case, clip):
    add_exhibit(case, clip, container={"fps": float("inf"), "name": "a\udc80"}, **WHO)
    add_note(case, "one", **WHO)
    set_aside(case, "001", reason="x", **WHO)
    for folder, name in (("exhibits", "exhibit"), ("notes", "note")):
        for path in (case.path / folder).iterdir():
            jsonschema.validate(json.loads(path.read_text("utf-8")), schema(name))
    ledgers = [case.ledger, case.path / "runs" / "001" / "ledger.jsonl"]
    for line in [line for ledger in ledgers for line in ledger.read_text("utf-8").splitlines()]:
        jsonschema.validate(json.loads(line), schema("ledger-entry"))
    jsonschema.validate(json.loads((case.path / "runs" / "001" / "result.json").read_text("utf-8")), schema("result"))


def test_verify_tells_a_record_that_isn_t_of_its_form(case):
    add_note(case, "The lamp flickers.", **WHO)
    assert with_forms(verify(case.path), case.path).ok
    note = case.path / "notes" / "0001.json"
    note.chmod(0o600)
    note.write_text('{"format": "vmforensics-note/1", "number": 0}', encoding="utf-8")
    found = with_forms(verify(case.path), case.path)
    told = [each for each in found.findings if each.kind is FindingKind.MALFORMED]
    assert [each.where for each in told] == ["notes/0001.json"]
    assert "isn't a record as its schema asks for" in told[0].message
