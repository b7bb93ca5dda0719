"""Folders made by somebody who wants the verification to crash, hang, lie, or reach out of them."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vmforensics.custody import case_check, listing
from vmforensics.custody.dsse import signed
from vmforensics.custody.findings import FindingKind, lookalike
from vmforensics.custody.ledger import LEDGER_NAME, Ledger
from vmforensics.custody.manifest import MANIFEST_NAME
from vmforensics.custody.seal import ENVELOPE_NAME, PUBLIC_KEY_NAME, SEALS_NAME, STAMP_NAME
from vmforensics.custody.statement import Statement
from vmforensics.custody.verify import verify
from vmforensics.errors import CustodyError

NAMES = st.sampled_from(
    ["runs", "001", "002", SEALS_NAME, "evidence", "notes", "0001.json", LEDGER_NAME, MANIFEST_NAME, ENVELOPE_NAME,
     PUBLIC_KEY_NAME, STAMP_NAME, "case.yaml", "raw.wav", ".partial-x", "\u202ex", "\x1b[2J", os.fsdecode(b"\xff")]
)  # fmt: skip
ENTRY = {"format": "vmforensics-ledger/1", "seq": 1, "time": "", "prev": "0" * 64, "event": "run-started"}
KEYS = st.sampled_from(["path", "sha256", "id", "x"])
TEXTS = st.text(max_size=3) | st.sampled_from(["0" * 64, "/etc/passwd", "../..", "\0"])
VALUES = st.recursive(
    st.none() | st.integers(-1, 2**60) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from(
    ["event", "products", "materials", "seal", "run", "run_head_sha256", "implementation", "seq", "prev", "time"]
)


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """A ledger of one line that is sound but for what it says."""
    fields = {**ENTRY, **draw(st.dictionaries(FIELDS, VALUES, max_size=4))}
    try:
        return rfc8785.dumps(fields) + b"\n"  # type: ignore[arg-type]
    except (ValueError, rfc8785.CanonicalizationError):
        return b"{}\n"


CONTENT = st.binary(max_size=40) | lines() | st.just(b"0" * 64 + b"  ../../../etc/passwd\n")
TREES = st.lists(st.tuples(st.lists(NAMES, min_size=1, max_size=4), CONTENT | st.none()), max_size=8)


Tree = list[tuple[list[str], bytes | None]]


def plant(root: Path, tree: Tree) -> None:
    """Make files, folders and, for None, links; what is in the way of another is left out."""
    root.mkdir()
    for parts, content in tree:
        path = root.joinpath(*parts)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.symlink_to("/etc/passwd")
            else:
                path.write_bytes(content)
        except OSError:
            continue


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tree=TREES)
def test_no_folder_crashes_it(
    tmp_path_factory: pytest.TempPathFactory, tree: list[tuple[list[str], bytes | None]]
) -> None:
    root = tmp_path_factory.mktemp("hostile") / "case"
    plant(root, tree)
    result = verify(root, expected=["0" * 64])
    for found in result.all_findings():
        assert found.where.isprintable()
        assert found.message.isprintable()
    assert all(note.isprintable() for note in result.notes)
    assert not result.anchored
    shutil.rmtree(root)


def test_nothing_outside_the_folder_is_opened(case: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever names records hold: only the evidence may lie elsewhere."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"secret")
    names = ["../../outside", str(outside), "runs/../../outside", "runs/001/../../../outside", "\0", "x" * 5000, ""]
    with Ledger.open(case.root / LEDGER_NAME) as ledger:
        ledger.act("note-added", actor="a", purpose="b", products=dict.fromkeys(names, "0" * 64))
        for name in names:
            ledger.act("run-recorded", actor="a", purpose="b", run=name, run_head_sha256="0" * 64)
    (case.root / "link").symlink_to(outside)
    opened: list[str] = []
    for module, name in ((os, "open"), (Path, "open")):
        original = getattr(module, name)

        def watch(path: Any, *rest: Any, original: Any = original, **more: Any) -> Any:
            opened.append(os.fspath(path))
            return original(path, *rest, **more)

        monkeypatch.setattr(module, name, watch)
    assert not verify(case.root, evidence=False).ok
    assert opened
    assert all(Path(os.path.normpath(path)).is_relative_to(case.root) for path in opened)


def test_deep_and_wide_folders_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / "case"
    deep.mkdir()
    here = os.getcwd()  # noqa: PTH109 a path of this length can't be named at once
    try:
        os.chdir(deep)
        for _ in range(1500):
            os.mkdir("runs")  # noqa: PTH102 as above
            os.chdir("runs")
        os.chdir(here)
        (finding,) = verify(deep).findings
    finally:
        os.chdir(here)
        subprocess.run(["rm", "-rf", deep], check=True)  # too deep for Python's own
    assert (finding.kind, finding.message) == (
        FindingKind.UNREADABLE,
        "can't be read as a folder: File name too long",
    )
    wide = tmp_path / "wide"
    (wide / "notes").mkdir(parents=True)
    for k in range(20):
        (wide / "notes" / str(k)).touch()
    monkeypatch.setattr(listing, "_MOST_FILES", 10)
    with pytest.raises(CustodyError, match="more than 10 files"):
        verify(wide)


def test_absurd_numbers_of_runs_and_seals_do_not_hang_it(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (case.root / "runs" / "999999999").mkdir()
    shutil.copytree(case.root / SEALS_NAME / "001", case.root / SEALS_NAME / "999999999")
    result = verify(case.root)
    assert (FindingKind.MISSING, f"{SEALS_NAME}/999999998") not in {(f.kind, f.where) for f in result.findings}
    assert any(f.kind is FindingKind.BROKEN_CHAIN and "999999999" in f.where for f in result.findings)
    monkeypatch.setattr(case_check, "_MOST_NUMBERS", 0)
    assert verify(case.root).findings


def test_a_seal_by_a_rogue_key_may_state_anything_and_breaks_nothing(case: Any, lab: Any, tmp_path: Path) -> None:
    from vmforensics.custody.statement import SealedLedger

    place = case.root / SEALS_NAME / "003"
    key = lab.a_key(tmp_path / "rogue")
    odd = {
        "../../outside": SealedLedger(1, "0" * 64, 2**53 - 1, "0" * 64, grows=True),
        "\x1b[2J": SealedLedger(0, "0" * 64, 0, "0" * 64, grows=True),
        LEDGER_NAME: SealedLedger(1, "0" * 64, 2**53 - 1, "0" * 64, grows=True),
    }
    manifest = b"0" * 64 + b"  ../../../etc/passwd\n" + b"0" * 64 + b"  \xff\xfe\n" + b"junk\n"
    place.mkdir()
    (place / MANIFEST_NAME).write_bytes(manifest)
    (place / PUBLIC_KEY_NAME).write_bytes(key.public.pem)
    for deviations in ((), ("\x1b[2J\u202e",) * 10):
        statement = Statement(
            3, "\x1b[31m", "\u202eeoD", "\x07", "x", hashlib.sha256(manifest).hexdigest(), 1, odd, case.noted,
            deviations, time_stamped=False,
        )  # fmt: skip
        (place / ENVELOPE_NAME).write_bytes(signed(statement.to_bytes(), key).to_bytes())
        result = verify(case.root)
        assert not result.ok
        assert all(f.where.isprintable() and f.message.isprintable() for f in result.all_findings())


def test_the_terminal_is_not_driven_by_a_seal_or_a_name(case: Any, lab: Any, capsys: Any, monkeypatch: Any) -> None:
    import sys

    from vmforensics.cli import main
    from vmforensics.custody.seal import seal

    (case.root / "evidence" / "x\x1b[2J\u202e\x9b.avi").write_bytes(b"x")
    (case.root / "evidence" / os.fsdecode(b"\xff.avi")).write_bytes(b"x")
    seal(case.root, case.key, actor="J. Doe", purpose="review", deviations=["\x1b[2J\x9b31m\u202e"])
    (case.root / "evidence" / "y\x1b[2J\u202e\x9b.avi").write_bytes(b"x")
    for options in ([], ["--json"]):
        monkeypatch.setattr(sys, "argv", ["vmforensics", "verify", str(case.root), *options])
        with pytest.raises(SystemExit):
            main()
        told = capsys.readouterr()
        assert all(c.isprintable() or c == "\n" for c in told.out + told.err)
        if options:
            assert json.loads(told.out)["seals"][-1]["deviations"] == ["\x1b[2J\x9b31m\u202e"]


@settings(max_examples=200, deadline=None)
@given(name=st.text(max_size=12), other=st.text(max_size=12))
def test_any_names_can_be_compared(name: str, other: str) -> None:
    assert lookalike(name, [name]) is None
    assert lookalike(name, [other]) in (None, other)
