import errno
import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
import time
from enum import StrEnum
from pathlib import Path

import numpy as np
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from vmforensics.custody import entries as entries_module
from vmforensics.custody import ledger as ledger_module
from vmforensics.custody.digest import digest_evidence
from vmforensics.custody.entries import FIRST_PREV, read_ledger, scan_ledger
from vmforensics.custody.ledger import Ledger, material
from vmforensics.custody.signals import Terminated
from vmforensics.data import Evidence
from vmforensics.errors import CustodyError, OutputError, StageError


class Colour(StrEnum):
    RED = "red"


def events(path: Path) -> list[str]:
    return [entry.event for entry in read_ledger(path)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


def test_lines_form_a_chain_that_sed_and_sha256sum_check(path: Path) -> None:
    with Ledger.create(path) as ledger:
        written = [ledger.append("note", text=f"Zeile {k} – ü") for k in range(5)]
        assert ledger.head == written[-1].digest
    assert read_ledger(path) == written
    lines = path.read_bytes().splitlines(keepends=True)
    assert [json.loads(line)["prev"] for line in lines[:1]] == [FIRST_PREV]
    for n in range(1, 5):
        command = f"sed -n {n}p ledger.jsonl | sha256sum"
        by_hand = subprocess.run(["bash", "-c", command], cwd=path.parent, check=True, capture_output=True, text=True)
        assert json.loads(lines[n])["prev"] == by_hand.stdout.split()[0]
    for n, line in enumerate(lines, start=1):
        fields = json.loads(line)
        assert rfc8785.dumps(fields) + b"\n" == line
        assert (fields["seq"], fields["format"]) == (n, "vmforensics-ledger/1")
        assert fields["time"].endswith("Z")
        assert len(fields["time"]) == len("2026-01-01T00:00:00.000000Z")


def test_the_file_is_private_locked_and_never_overwritten(path: Path) -> None:
    with Ledger.create(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        script = "import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)"
        other = subprocess.run([sys.executable, "-c", script, path], check=False, capture_output=True, text=True)
        assert "BlockingIOError" in other.stderr
    with pytest.raises(OutputError, match="already"):
        Ledger.create(path)
    with pytest.raises(OutputError, match="can't be made"):
        Ledger.create(path / "in" / "a" / "file")


def test_every_entry_is_synced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (synced.append(descriptor), sync(descriptor)))
    with Ledger.create(path) as ledger:
        assert len(synced) == 1  # the folder
        ledger.append("a")
        ledger.append("b")
    assert len(synced) == 3


def test_values_are_written_as_json_can_hold_them(path: Path) -> None:
    odd = os.fsdecode(b"clip-\xff.avi")
    values = {
        "path": Path("/a/b"),
        "name": odd,
        "colour": Colour.RED,
        "samples": np.float32(0.5),
        "shape": (np.int64(3), np.int64(4)),
        "array": np.array([1.5, np.nan]),
        "big": 2**53,
        "small": -(2**60),
        "edge": 2**53 - 1,
        "infinite": float("-inf"),
        "nothing": None,
        "flag": np.bool_(True),
        odd: {3: "three"},
    }
    with Ledger.create(path) as ledger:
        ledger.append("values", **values)
    assert read_ledger(path)[0].fields == {
        "path": "/a/b",
        "name": "clip-\\udcff.avi",
        "colour": "red",
        "samples": 0.5,
        "shape": [3, 4],
        "array": [1.5, "nan"],
        "big": str(2**53),
        "small": str(-(2**60)),
        "edge": 2**53 - 1,
        "infinite": "-inf",
        "nothing": None,
        "flag": True,
        "clip-\\udcff.avi": {"3": "three"},
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(value=JSON)
def test_whatever_json_is_written_reads_back_as_a_sound_line(
    tmp_path_factory: pytest.TempPathFactory, value: object
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "ledger.jsonl"
    with Ledger.create(path) as ledger:
        entry = ledger.append("value", value=value)
    (line,) = scan_ledger(path)
    assert line.problem == ""
    assert line.entry is not None
    assert rfc8785.dumps(dict(line.entry.fields)) == rfc8785.dumps(dict(entry.fields))


def test_values_that_are_no_json_are_refused_by_name(path: Path) -> None:
    with Ledger.create(path) as ledger:
        with pytest.raises(CustodyError, match=r"params\.window\[1\]: set"):
            ledger.append("x", params={"window": [1, {2}]})
        with pytest.raises(CustodyError, match="prev, seq"):
            ledger.append("x", seq=3, prev="")
        ledger.append("y")
    assert events(path) == ["y"]
    with pytest.raises(CustodyError, match="closed"):
        ledger.append("z")


@pytest.mark.parametrize("written", [0, 1, 40])
def test_a_full_disk_leaves_no_torn_line(path: Path, monkeypatch: pytest.MonkeyPatch, written: int) -> None:
    write = os.write
    room = written

    def fill(descriptor: int, data: bytes) -> int:
        nonlocal room
        if room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        room, taken = 0, room
        return write(descriptor, data[:taken])

    with Ledger.create(path) as ledger:
        ledger.append("before")
        whole = path.read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", fill)
            with pytest.raises(OutputError, match="No space left"):
                ledger.append("lost")
        assert path.read_bytes() == whole
        ledger.append("after")
    entries = read_ledger(path)
    assert [entry.event for entry in entries] == ["before", "after"]
    assert entries[1].prev == entries[0].digest


def test_a_line_that_could_not_be_synced_does_not_count(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with Ledger.create(path) as ledger:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fail)
            with pytest.raises(OutputError, match="Input/output error"):
                ledger.append("lost")
        ledger.append("kept")
    assert [(entry.seq, entry.event) for entry in read_ledger(path)] == [(1, "kept")]


@pytest.mark.parametrize("written", [0, 40, 10**6])
def test_ctrl_c_in_the_middle_of_a_write_breaks_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    write = os.write

    def interrupted(descriptor: int, data: bytes) -> int:
        write(descriptor, data[:written])
        raise KeyboardInterrupt

    with Ledger.create(path) as ledger:
        ledger.append("before")
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", interrupted)
            with pytest.raises(KeyboardInterrupt):
                ledger.append("struck")
        ledger.append("after")
    entries = read_ledger(path)
    whole = ["struck"] if written > 1000 else []
    assert [entry.event for entry in entries] == ["before", *whole, "after"]
    assert [entry.prev for entry in entries] == [FIRST_PREV, *(entry.digest for entry in entries[:-1])]


def test_another_writer_is_noticed(path: Path) -> None:
    with Ledger.create(path) as ledger:
        ledger.append("a")
        with path.open("ab") as other:
            other.write(b"{}\n")
        with pytest.raises(CustodyError, match="another program"):
            ledger.append("b")


def test_a_step_is_recorded_when_it_starts_and_when_it_ends(path: Path) -> None:
    with Ledger.create(path) as ledger, ledger.step("estimate", stage="phase") as step:
        assert events(path) == ["step-started"]
        step["products"] = {"motion.npz": "0" * 64}
    started, finished = read_ledger(path)
    assert started.fields == {"step": "estimate", "stage": "phase"}
    assert finished.event == "step-finished"
    assert finished.fields.keys() == {"step", "started", "duration_s", "products"}
    assert finished.fields["started"] == started.seq
    assert 0 <= finished.fields["duration_s"] < 60


def test_a_step_that_fails_is_recorded_with_its_error(path: Path) -> None:
    def outer_and_inner(ledger: Ledger) -> None:
        with ledger.step("outer"), ledger.step("inner") as step:
            step["frames"] = 7
            try:
                _ = 1 / 0
            except ZeroDivisionError as error:
                raise StageError("phase-based raised", hint="report it") from error

    with Ledger.create(path) as ledger, pytest.raises(StageError):
        outer_and_inner(ledger)
    entries = read_ledger(path)
    assert [(entry.event, entry.fields["step"]) for entry in entries] == [
        ("step-started", "outer"),
        ("step-started", "inner"),
        ("step-failed", "inner"),
        ("step-failed", "outer"),
    ]
    assert entries[2].fields["frames"] == 7
    assert entries[2].fields["error"] == {
        "class": "StageError",
        "message": "phase-based raised (report it)",
        "cause": "ZeroDivisionError: division by zero",
    }


def test_a_step_that_is_interrupted_while_its_start_is_written_says_so(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = os.fsync

    def interrupted(descriptor: int) -> None:
        monkeypatch.setattr(os, "fsync", sync)
        raise KeyboardInterrupt

    def strike(ledger: Ledger) -> None:
        with ledger.run():
            monkeypatch.setattr(os, "fsync", interrupted)
            with ledger.step("slow"):
                raise AssertionError("it never began")

    with Ledger.create(path) as ledger, pytest.raises(KeyboardInterrupt):
        strike(ledger)
    assert events(path) == ["run-started", "step-started", "step-interrupted", "run-interrupted"]


@pytest.mark.parametrize(
    ("error", "message"),
    [(KeyboardInterrupt(), "ended by Ctrl-C"), (SystemExit(3), "3"), (Terminated("SIGTERM"), "ended by SIGTERM")],
)
def test_an_interrupted_step_and_run_say_so(path: Path, error: BaseException, message: str) -> None:
    with Ledger.create(path) as ledger, pytest.raises(type(error)), ledger.run(), ledger.step("slow"):
        raise error
    entries = read_ledger(path)
    assert [entry.event for entry in entries] == ["run-started", "step-started", "step-interrupted", "run-interrupted"]
    assert entries[-1].fields["error"]["message"] == message


def test_the_first_error_is_told_when_the_ledger_cannot_record_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fill_and_fail(ledger: Ledger) -> None:
        with ledger.run():
            monkeypatch.setattr(os, "write", full)
            raise StageError("the first")

    with Ledger.create(path) as ledger, pytest.raises(StageError, match="the first") as caught:
        fill_and_fail(ledger)
    assert "No space left" in caught.value.__notes__[0]
    assert events(path) == ["run-started"]


def test_signals_end_a_run_with_an_entry_and_are_restored(path: Path) -> None:
    def ask_to_end(ledger: Ledger) -> None:
        with ledger.run():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)

    before = signal.getsignal(signal.SIGTERM)
    with Ledger.create(path) as ledger, pytest.raises(Terminated) as caught:
        ask_to_end(ledger)
    assert caught.value.signal_name == "SIGTERM"
    assert signal.getsignal(signal.SIGTERM) is before
    assert events(path) == ["run-started", "run-interrupted"]


def test_a_crash_leaves_a_readable_ledger(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from vmforensics.custody.ledger import Ledger\n"
        "with Ledger.create(Path(sys.argv[1])) as ledger:\n"
        "    print('go', flush=True)\n"
        "    while True: ledger.append('note', text='x' * 5000)\n"
    )
    for k in range(3):
        path = tmp_path / f"{k}.jsonl"
        with subprocess.Popen([sys.executable, "-c", script, path], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.05 + 0.0137 * k)
            process.kill()
        entries = read_ledger(path)
        assert len(entries) > 1
        assert [entry.prev for entry in entries] == [FIRST_PREV, *(entry.digest for entry in entries[:-1])]


def test_a_torn_last_line_is_told_apart(path: Path) -> None:
    with Ledger.create(path) as ledger:
        ledger.append("a")
        ledger.append("b")
    whole = path.read_bytes()
    for cut in (1, 20, len(whole) // 2 - 1):
        path.write_bytes(whole[:-cut])
        lines = list(scan_ledger(path))
        assert [line.torn for line in lines] == [False, True]
        assert events(path) == ["a"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"", "isn't JSON"),
        (b"\xff\x00", "isn't JSON"),
        (b"[" * 100_000, "isn't JSON"),
        (b'{"a":' * 100_000, "isn't JSON"),
        (b"NaN", "isn't JSON"),
        (b'{"a":1e999}', "isn't JSON"),
        (b'{"a":"\\ud800"}', "isn't JSON"),
        (b'{"\\ud800":1}', "isn't JSON"),
        (b"9" * 5000, "isn't JSON"),
        (b"9007199254740993", "isn't a JSON object"),
        (b"[]", "isn't a JSON object"),
        (b"{}", "isn't of the format"),
        (b'{"a":9007199254740993}', "isn't in canonical form"),
        (b'{"a":1,"a":1}', "isn't in canonical form"),
        (b'{"a": 1}', "isn't in canonical form"),
        (b'{"a":1}\r', "isn't in canonical form"),
        (b'{"b":1,"a":1}', "isn't in canonical form"),
        (b'{"format":"vmforensics-ledger/2"}', "isn't of the format vmforensics-ledger/1"),
        (b'{"format":"vmforensics-ledger/1"}', "has no proper seq, time, prev, event"),
        (b'{"event":"x","format":"vmforensics-ledger/1","prev":"0","seq":true,"time":""}', "has no proper seq, prev"),
    ],
)
def test_a_bad_line_is_told_and_the_rest_is_read(path: Path, line: bytes, problem: str) -> None:
    with Ledger.create(path) as ledger:
        ledger.append("a")
    good = path.read_bytes()
    path.write_bytes(good + line + b"\n" + good)
    scanned = list(scan_ledger(path))
    assert [bool(each.problem) for each in scanned] == [False, True, False]
    assert problem in scanned[1].problem
    assert scanned[1].digest == hashlib.sha256(line + b"\n").hexdigest()
    with pytest.raises(CustodyError, match=r"ledger\.jsonl:2: "):
        read_ledger(path)


def test_an_endless_line_is_not_held_in_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (entries_module, ledger_module):
        monkeypatch.setattr(module, "LONGEST_LINE", 1000)
    long = b"x" * 5_000_000 + b"\n"
    path.write_bytes(long + b"{}\n")
    first, second = scan_ledger(path)
    assert first.digest == hashlib.sha256(long).hexdigest()
    assert "longer than 1000 bytes" in first.problem
    assert second.number == 2
    with Ledger.create(path.with_name("own.jsonl")) as ledger, pytest.raises(CustodyError, match="at most 1000"):
        ledger.append("x", text="x" * 1000)


def test_numbers_read_back_as_they_were_written(path: Path) -> None:
    values = [1e16, 1e20, 1e21, 1e-7, 5e-324, -0.0, 0.1, 123456789012345.6, 2**53 - 1, -(2**53) + 1]
    with Ledger.create(path) as ledger:
        ledger.append("numbers", values=values)
    assert read_ledger(path)[0].fields["values"] == values


def test_evidence_and_artefacts_are_recorded(tmp_path: Path) -> None:
    run, clip = tmp_path / "runs" / "001", tmp_path / "clip.avi"
    run.mkdir(parents=True)
    clip.write_bytes(b"frames")
    evidence = Evidence(clip, "E7")
    digest = digest_evidence(evidence)
    with Ledger.create(run / "ledger.jsonl") as ledger:
        ledger.digested(evidence, digest)
        ledger.published({"raw.wav": "ab" * 32})
    digested, published = read_ledger(run / "ledger.jsonl")
    assert digested.event == "evidence-digested"
    assert digested.fields["materials"] == [material(evidence, digest, run)]
    assert digested.fields["materials"][0] == {
        "id": "E7",
        "path": str(clip),
        "relative_path": "../../clip.avi",
        "sha256": digest.sha256,
        "files": [{"name": "clip.avi", "size": 6, "sha256": digest.sha256}],
    }
    assert (published.event, published.fields) == ("artefacts-published", {"products": {"raw.wav": "ab" * 32}})
