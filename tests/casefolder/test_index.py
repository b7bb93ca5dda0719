"""The index finds what the folders hold, follows their changes, and can be thrown away."""

import shutil

import pytest

from vmforensics.casefolder import CaseFolder, CaseIndex, add_exhibit, add_note, transfer
from vmforensics.errors import OutputError

WHO = {"actor": "J. Roe", "purpose": "a test"}


@pytest.fixture
def cases(case_folder):
    shutil.copytree(case_folder, case_folder.parent / "B-2")
    text = (case_folder.parent / "B-2" / "case.yaml").read_text("utf-8")
    (case_folder.parent / "B-2" / "case.yaml").write_text(text.replace("Chips bag", "Potted plant"), "utf-8")
    return case_folder.parent


@pytest.fixture
def index(cases, tmp_path):
    with CaseIndex(cases, tmp_path / "cache" / "index.sqlite3") as found:
        yield found


def found(index, query: str) -> set[tuple[str, str]]:
    index.refresh()
    return {(hit.case.name, hit.what) for hit in index.search(query)}


def test_it_finds_identities_exhibits_notes_acts_and_runs(index, cases):
    case = CaseFolder(cases / "A-1")
    record, _ = add_exhibit(case, case.path / "evidence" / "chips.mkv", received_from="PC Müller", **WHO)
    add_note(case, "The lamp flickers,\nit does.", **WHO)
    transfer(case, "E1", to="Lab Q", **WHO)
    assert ("B-2", "case") in found(index, "potted")
    assert ("A-1", "case") not in found(index, "potted")
    assert ("A-1", "exhibit E1") in found(index, "muller")
    assert ("A-1", "exhibit E1") in found(index, record.sha256[:9])
    assert found(index, "lamp flick") == {("A-1", "note 1")}
    assert ("A-1", "act 4") in found(index, "Lab Q")
    assert {("A-1", "runs/001"), ("B-2", "runs/001")} <= found(index, "signal")
    (hit,) = index.search("flickers")
    assert "\n" not in hit.excerpt


def test_it_reads_what_changed_and_forgets_what_went(index, cases):
    assert index.refresh() == 2
    assert index.refresh() == 0
    add_note(CaseFolder(cases / "A-1"), "unheard-of", **WHO)
    assert index.refresh() == 1
    assert found(index, "unheard") == {("A-1", "note 1")}
    shutil.rmtree(cases / "A-1")
    assert found(index, "unheard") == set()
    assert index.refresh(rebuild=True) == 1


def test_a_damaged_index_is_made_anew(cases, tmp_path):
    file = tmp_path / "index.sqlite3"
    for damage in (b"no database", b"SQLite format 3\x00" + b"\xff" * 5000):
        file.write_bytes(damage)
        with CaseIndex(cases, file) as index:
            assert index.refresh() == 2
            assert index.search("potted")


def test_an_index_that_cannot_be_written_is_named(cases, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="index"):
        CaseIndex(cases, tmp_path / "file" / "index.sqlite3")
