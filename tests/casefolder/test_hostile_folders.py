"""Case folders are hostile input: nothing in them breaks the reader, and nothing leads out of them."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vmforensics.casefolder import CaseFolder, CaseIndex, ExhibitRecord, NoteRecord, add_exhibit, add_note, find_cases
from vmforensics.casefolder.json_files import LARGEST_JSON, read_json
from vmforensics.casefolder.records import read_record
from vmforensics.errors import CustodyError, VmforensicsError
from vmforensics.exchange.subject import read_subject

WHO = {"actor": "J. Roe", "purpose": "a test"}
OUTSIDE = "what lies outside"
NAMES = st.sampled_from(
    [
        "case.yaml",
        "ledger.jsonl",
        "exhibits/E1.json",
        "exhibits/..json",
        "notes/0001.json",
        "notes/a\udcff.json",
        "runs/001/ledger.jsonl",
        "runs/001/result.json",
        "runs/001/case.yaml",
        "runs/002/x/ledger.jsonl",
        "runs/9/x",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("vmforensics-note/1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
RECORDS = st.fixed_dictionaries(
    {"format": st.sampled_from(["vmforensics-note/1", "vmforensics-exhibit/1", "vmforensics-ledger/1"])},
    optional=dict.fromkeys(
        ["number", "time", "author", "text", "id", "name", "path", "sha256", "files", "event", "seq", "prev"], VALUES
    ),
)
CONTENTS = (
    st.binary(max_size=40)
    | RECORDS.map(lambda record: json.dumps(record).encode())
    | st.sampled_from(
        [b"[" * 100_000, b'{"a":' * 5000, b"1" * 5000, b'"\\ud800"', b"NaN", b"1e999", b"case: {id: x}\n"]
    )
)


def read_everything(folder: Path) -> str:
    """All that the readers say of a folder; they may refuse, but not fail."""
    told = []
    case = CaseFolder(folder)
    for read in (case.identity, case.entries, case.exhibits, case.notes, case.runs, lambda: read_subject(folder)):
        try:
            told.append(str(read()))
        except VmforensicsError as error:
            told.append(str(error))
    return " ".join(told)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(NAMES, CONTENTS, max_size=5))
def test_whatever_a_folder_holds_it_is_read_or_refused(tmp_path_factory, files):
    root = tmp_path_factory.mktemp("hostile")
    folder = root / "case"
    folder.mkdir()
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    read_everything(folder)
    for case in find_cases(root):
        assert case.path.is_relative_to(root)
    with CaseIndex(root, root / "index.sqlite3") as index:
        index.refresh()
        index.search("a")


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30))
def test_any_query_is_a_query(query):
    with CaseIndex(Path("nowhere"), QUERIED) as index:
        index.search(query)


@pytest.fixture(autouse=True, scope="module")
def _queried(tmp_path_factory):
    global QUERIED  # noqa: PLW0603 hypothesis takes no fixtures of a function's scope
    QUERIED = tmp_path_factory.mktemp("index") / "index.sqlite3"


QUERIED = Path("index.sqlite3")


@pytest.mark.parametrize(
    "name", ["case.yaml", "ledger.jsonl", "exhibits/E1.json", "notes/0001.json", "exhibits", "runs"]
)
def test_no_link_is_followed_out(case_folder, tmp_path_factory, name):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "001").mkdir()
    secret = outside / "secret.json"
    secret.write_text(json.dumps({"format": "vmforensics-note/1", "text": OUTSIDE}) + "\n", "utf-8")
    (outside / "case.yaml").write_text(f"version: 1\ncase: {{id: {OUTSIDE}}}\n", "utf-8")
    (outside / "001" / "result.json").write_text(json.dumps({"verdict": OUTSIDE}), "utf-8")
    (outside / "001" / "ledger.jsonl").write_text("{}\n", "utf-8")
    (outside / "E1.json").write_text(secret.read_text("utf-8"), "utf-8")
    target = case_folder / name
    target.parent.mkdir(exist_ok=True)
    if target.is_dir():
        target.rename(outside / "aside")
    target.unlink(missing_ok=True)
    inside = {"case.yaml": outside / "case.yaml"}.get(name, secret if "." in name else outside)
    target.symlink_to(inside)
    assert OUTSIDE not in read_everything(case_folder)
    with CaseIndex(case_folder.parent, outside / "index.sqlite3") as index:
        index.refresh()
        assert index.search("what lies outside") == []


@pytest.mark.parametrize("name", ["exhibits", "notes"])
def test_nothing_is_written_through_a_link(case_folder, tmp_path, name):
    (tmp_path / "outside").mkdir()
    (case_folder / name).symlink_to(tmp_path / "outside")
    case = CaseFolder(case_folder)
    act = (lambda: add_note(case, "x", **WHO)) if name == "notes" else None
    act = act or (lambda: add_exhibit(case, case_folder / "evidence" / "chips.mkv", **WHO))
    with pytest.raises(CustodyError, match="link"):
        act()
    assert list((tmp_path / "outside").iterdir()) == []


def test_pipes_and_large_files_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(CustodyError):
        read_json(tmp_path / "pipe.json")
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(LARGEST_JSON + 1)
    with pytest.raises(CustodyError, match="larger"):
        read_json(tmp_path / "large.json")


@settings(max_examples=60, deadline=None)
@given(RECORDS)
def test_a_record_is_one_or_is_refused(record):
    RECORD.write_text(json.dumps(record), "utf-8")
    for kind in (ExhibitRecord, NoteRecord):
        try:
            found = read_record(kind, RECORD)
        except CustodyError:
            continue
        assert found.format == record["format"]


@pytest.fixture(autouse=True, scope="module")
def _record(tmp_path_factory):
    global RECORD  # noqa: PLW0603 as above
    RECORD = tmp_path_factory.mktemp("record") / "record.json"


RECORD = Path("record.json")
