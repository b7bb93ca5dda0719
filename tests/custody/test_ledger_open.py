"""Going on with a ledger: locks, damage, and lines that a crash cut short."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmforensics.custody.entries import read_ledger, scan_ledger
from vmforensics.custody.ledger import LEDGER_RECOVERED, Ledger
from vmforensics.errors import CustodyError, OutputError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.jsonl"
    with Ledger.create(path) as ledger:
        ledger.act("case-opened", actor="J. Doe", purpose="examination")
        ledger.append("note", text="ü" * 50)
    return path


def holds(path: Path) -> bool:
    """Whether the lines form a chain, by other code than the program's."""
    lines = path.read_bytes().splitlines(keepends=True)
    prevs = ["0" * 64, *(hashlib.sha256(line).hexdigest() for line in lines)]
    entries = read_ledger(path)
    return [(e.seq, e.prev) for e in entries] == list(zip(range(1, len(lines) + 1), prevs, strict=False))


def test_a_ledger_is_gone_on_with(path: Path) -> None:
    for k in range(3):
        with Ledger.open(path) as ledger:
            assert ledger.end.seq == 2 + k
            entry = ledger.act("note-added", actor="J. Doe", purpose="review", number=k)
            assert ledger.head == entry.digest
    assert holds(path)
    last = read_ledger(path)[-1]
    assert last.fields == {"actor": "J. Doe", "purpose": "review", "number": 2}


@pytest.mark.parametrize("text", ["", "  ", "two\nlines", "\x1b[2J", "x" * 1001])
def test_an_act_has_an_actor_and_a_purpose(path: Path, text: str) -> None:
    before = path.read_bytes()
    with Ledger.open(path) as ledger:
        with pytest.raises(CustodyError, match="actor"):
            ledger.act("x", actor=text, purpose="review")
        with pytest.raises(CustodyError, match="purpose"):
            ledger.act("x", actor="J. Doe", purpose=text)
    assert path.read_bytes() == before


def test_what_is_no_ledger_is_refused(path: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(path)
    os.mkfifo(tmp_path / "pipe")
    for name, why in (("none", "there is no ledger"), ("link", "can't be opened"), ("pipe", "no regular file")):
        with pytest.raises(CustodyError, match=why):
            Ledger.open(tmp_path / name)
    with pytest.raises(CustodyError):
        Ledger.open(tmp_path)


def test_nothing_is_added_to_a_damaged_ledger(path: Path) -> None:
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    damaged = [
        whole.replace(b"J. Doe", b"J. Roe"),
        lines[1],
        lines[1] + lines[0],
        whole + lines[1],
        lines[0] + b"\n" + lines[1],
        whole + b"{}\n",
        whole + b"{}\n" + b'{"torn',
    ]
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(CustodyError, match=r"ledger\.jsonl:\d: this line of the ledger"):
            Ledger.open(path)
        assert path.read_bytes() == content


def test_a_torn_line_is_replaced_by_an_entry_about_it(path: Path) -> None:
    whole = path.read_bytes()
    cut = whole[:-30]
    torn = cut.splitlines(keepends=True)[-1]
    path.write_bytes(cut)
    with Ledger.open(path) as ledger:
        ledger.append("after")
    first, recovered, after = read_ledger(path)
    assert (first.event, recovered.event, after.event) == ("case-opened", LEDGER_RECOVERED, "after")
    assert recovered.fields == {
        "torn_bytes": len(torn),
        "torn_sha256": hashlib.sha256(torn).hexdigest(),
        "torn_begins": torn.decode("utf-8", "backslashreplace"),
    }
    assert holds(path)


@settings(max_examples=60, deadline=None)
@given(tail=st.binary(min_size=1, max_size=600).filter(lambda tail: b"\n" not in tail))
def test_whatever_a_crash_leaves_is_recovered(tmp_path_factory: pytest.TempPathFactory, tail: bytes) -> None:
    path = tmp_path_factory.mktemp("torn") / "ledger.jsonl"
    with Ledger.create(path) as ledger:
        ledger.append("first")
    with path.open("ab") as file:
        file.write(tail)
    with Ledger.open(path) as ledger:
        ledger.append("last")
    assert [entry.event for entry in read_ledger(path)] == ["first", LEDGER_RECOVERED, "last"]
    assert holds(path)


def test_an_empty_or_torn_first_line_is_recovered(path: Path) -> None:
    path.write_bytes(b"")
    with Ledger.open(path) as ledger:
        ledger.append("a")
    path.write_bytes(b"\0" * 9000)
    with Ledger.open(path) as ledger:
        ledger.append("a")
    assert [entry.event for entry in read_ledger(path)] == [LEDGER_RECOVERED, "a"]
    assert holds(path)


def test_a_recovery_that_fails_is_told_and_can_be_repeated(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with path.open("ab") as file:
        file.write(b'{"torn')

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(OutputError, match="No space left"):
            Ledger.open(path)
    with Ledger.open(path) as ledger:
        assert ledger.end.seq == 3
    assert holds(path)


def test_only_one_process_writes_at_a_time(path: Path) -> None:
    with Ledger.open(path), pytest.raises(OutputError, match="another process"):
        Ledger.open(path, wait_s=0)
    Ledger.open(path, wait_s=0).close()


def test_a_forked_process_may_not_write(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger.open(path) as ledger:
        own = os.getpid()
        monkeypatch.setattr(os, "getpid", lambda: own + 1)
        with pytest.raises(CustodyError, match="only the process"):
            ledger.append("x")


def test_a_ledger_that_was_replaced_meanwhile_is_noticed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = path.with_name("other.jsonl")
    other.write_bytes(path.read_bytes())
    opened = os.open

    def swap(name: object, flags: int, *mode: int) -> int:
        descriptor = opened(name, flags, *mode)  # type: ignore[arg-type]
        if other.exists():
            other.replace(path)
        return descriptor

    monkeypatch.setattr(os, "open", swap)
    with pytest.raises(CustodyError, match="replaced"):
        Ledger.open(path)


def test_processes_that_write_at_once_do_not_interleave(path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from vmforensics.custody.ledger import Ledger\n"
        "for k in range(25):\n"
        "    with Ledger.open(Path(sys.argv[1]), wait_s=60) as ledger:\n"
        "        ledger.append('first', who=sys.argv[2], k=k); ledger.append('second', who=sys.argv[2], k=k)\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", script, path, str(k)]) for k in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert holds(path)
    entries = read_ledger(path)[2:]
    assert len(entries) == 150
    for one, other in zip(entries[::2], entries[1::2], strict=True):
        assert (one.event, other.event, one.fields) == ("first", "second", other.fields)


def test_sizes_of_lines_add_up(path: Path) -> None:
    assert sum(line.size for line in scan_ledger(path)) == path.stat().st_size
