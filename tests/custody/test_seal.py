import contextlib
import fcntl
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmforensics.custody.dsse import parse_envelope
from vmforensics.custody.entries import read_ledger
from vmforensics.custody.ledger import LEDGER_NAME, Ledger
from vmforensics.custody.manifest import MANIFEST_NAME, read_manifest
from vmforensics.custody.seal import ENVELOPE_NAME, SEALS_NAME, seal
from vmforensics.custody.statement import PREDICATE_TYPE, Statement, parse_statement
from vmforensics.custody.verify import verify
from vmforensics.errors import CustodyError, KeyFileError, OutputError

WHY = {"actor": "J. Doe", "purpose": "end of examination"}


def shell(command: str, folder: Path) -> str:
    done = subprocess.run(["bash", "-ec", command], cwd=folder, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def documented() -> list[str]:
    """The commands of docs/custody.md, by which somebody checks a seal without this program."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "custody.md").read_text("utf-8")
    _, _, section = page.partition("## Checking without this program")
    return [line.strip() for line in section.splitlines() if line.startswith("    ")]


def test_a_seal_is_checked_with_stock_tools_alone(case: Any) -> None:
    manifest, *envelope, stamp = documented()
    assert (len(envelope), stamp.split()[:2]) == (6, ["openssl", "ts"])  # the stamp is checked in test_timestamp.py
    shell(manifest.replace("001", "002"), case.root)
    told = shell("\n".join(envelope), case.root / SEALS_NAME / "002")
    assert "Signature Verified Successfully" in told
    assert case.key.public.fingerprint in told
    statement = json.loads((case.root / SEALS_NAME / "002" / "statement.json").read_bytes())
    assert statement["subject"][0]["digest"]["sha256"] in told
    head = shell(f"sed -n {statement['predicate']['ledgers'][0]['entries']}p {LEDGER_NAME} | sha256sum", case.root)
    assert statement["predicate"]["ledgers"][0]["head"] == head.split()[0]


def test_a_seal_states_what_was_sealed(case: Any) -> None:
    place = case.root / SEALS_NAME / "002"
    statement = parse_statement(parse_envelope((place / ENVELOPE_NAME).read_bytes()).payload)
    assert (statement.number, statement.actor, statement.purpose) == (2, "J. Doe", "end of examination")
    assert set(statement.ledgers) == {LEDGER_NAME, f"runs/001/{LEDGER_NAME}", f"runs/002/{LEDGER_NAME}"}
    assert [at.grows for at in statement.ledgers.values()] == [True, False, False]
    assert statement.ledgers[LEDGER_NAME].head == read_ledger(case.root / LEDGER_NAME)[-1].digest
    listed = read_manifest(place / MANIFEST_NAME)
    present = {case.name(p) for p in case.root.rglob("*") if p.is_file()}
    assert listed.keys() == {name for name in present if not name.startswith(f"{SEALS_NAME}/002")}
    assert statement.files == len(listed)
    assert read_ledger(case.root / LEDGER_NAME)[-1].event == "sealing"
    for path in (place, *place.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_the_statement_is_as_its_schema_says(case: Any) -> None:
    schema = json.loads((Path(__file__).resolve().parents[2] / "casefiles/schema/seal.schema.json").read_text("utf-8"))
    assert schema["title"] == PREDICATE_TYPE
    checker = jsonschema.Draft202012Validator(schema)
    checker.check_schema(schema)
    for number in ("001", "002"):
        payload = parse_envelope((case.root / SEALS_NAME / number / ENVELOPE_NAME).read_bytes()).payload
        checker.validate(json.loads(payload))
        for name in ("number", "ledgers", "previous", "time_stamped"):
            less = json.loads(payload)
            del less["predicate"][name]
            assert not checker.is_valid(less)


def test_a_run_alone_can_be_sealed_and_sealed_again(case: Any, lab: Any) -> None:
    run = case.root / "runs" / "001"
    before = {path: path.read_bytes() for path in run.iterdir()}
    first = lab.seal_it(run, case.key)
    second = lab.seal_it(run, case.key)
    assert {path: path.read_bytes() for path in run.iterdir() if path.is_file()} == before
    assert (first.folder.name, second.folder.name) == ("001", "002")
    result = verify(run, expected=[first.sha256, second.sha256])
    assert result.ok
    assert result.anchored
    whole = verify(case.root)  # the case's seal doesn't cover them, and says so
    assert whole.ok
    assert whole.anchor is not None
    assert all(name.startswith("runs/001/seals/") for name in whole.anchor.unanchored)


def test_what_was_found_before_is_stated_in_the_seal(case: Any) -> None:
    (case.root / "runs" / "001" / "raw.wav").write_bytes(b"another")
    found = [each.message for each in verify(case.root, evidence=False).findings]
    made = seal(case.root, case.key, **WHY, deviations=["x" * 5000, *found, *["y"] * 200])
    assert len(made.statement.deviations) == 101
    assert made.statement.deviations[-1] == f"and {101 + len(found)} more"
    result = verify(case.root)
    assert result.seals[-1].deviations == made.statement.deviations
    assert "changed (runs/001/raw.wav" in result.seals[-1].amends


@pytest.mark.parametrize("what", ["link", "pipe"])
def test_what_cannot_be_sealed_is_refused_and_named(case: Any, what: str) -> None:
    odd = case.root / "evidence" / "odd"
    odd.symlink_to("/etc/passwd") if what == "link" else os.mkfifo(odd)
    before = (case.root / LEDGER_NAME).read_bytes()
    with pytest.raises(CustodyError, match=r"evidence/odd: is .*only regular files"):
        seal(case.root, case.key, **WHY)
    assert sorted(p.name for p in (case.root / SEALS_NAME).iterdir()) == ["001", "002"]
    assert (case.root / LEDGER_NAME).read_bytes() == before


@pytest.mark.parametrize("name", ["new\nline", os.fsdecode(b"\xff"), "\u202e"])
def test_names_that_are_no_text_are_sealed_but_for_those_of_ledgers(case: Any, name: str) -> None:
    (case.root / "evidence" / name).write_bytes(b"x")
    made = seal(case.root, case.key, **WHY, deviations=["\udcff" * 2000])
    assert verify(case.root, expected=[made.sha256]).anchored
    shell(f"sha256sum --check --strict --quiet {SEALS_NAME}/003/{MANIFEST_NAME}", case.root)
    shutil.copytree(case.root / "runs" / "001", case.root / "runs" / name)
    with pytest.raises(CustodyError, match="text that can be printed"):
        seal(case.root, case.key, **WHY)


def test_the_key_may_not_lie_in_what_it_seals(case: Any, lab: Any) -> None:
    key = lab.a_key(case.root / "notes" / "key")
    with pytest.raises(KeyFileError, match="lies in the folder"):
        seal(case.root, key, **WHY)


def test_a_folder_without_a_record_is_no_case(tmp_path: Path, case: Any) -> None:
    (tmp_path / "empty").mkdir()
    for name, why in (("empty", "no ledger"), ("none", "no folder")):
        with pytest.raises(CustodyError, match=why):
            seal(tmp_path / name, case.key, **WHY)
        assert not (tmp_path / name / SEALS_NAME).exists()
    with pytest.raises(CustodyError, match="purpose"):
        seal(case.root, case.key, actor="J. Doe", purpose="")
    shutil.rmtree(case.root / SEALS_NAME)
    (case.root / SEALS_NAME).symlink_to(tmp_path)
    with pytest.raises(OutputError, match="no seal can be put there"):
        seal(case.root, case.key, **WHY)


def test_only_one_process_seals_at_a_time(case: Any) -> None:
    shutil.rmtree(case.root / SEALS_NAME)
    (case.root / SEALS_NAME).mkdir()
    descriptor = os.open(case.root / SEALS_NAME, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)  # another one has just begun
    with pytest.raises(OutputError, match="another process is sealing"):
        seal(case.root, case.key, **WHY)
    assert (case.root / SEALS_NAME).is_dir()
    os.close(descriptor)
    assert seal(case.root, case.key, **WHY).statement.number == 1


def test_a_run_that_is_going_on_is_not_sealed(case: Any) -> None:
    (case.root / "runs" / "003").mkdir()
    with Ledger.create(case.root / "runs" / "003" / LEDGER_NAME), pytest.raises(OutputError, match="being written to"):
        seal(case.root, case.key, **WHY)
    with Ledger.open(case.root / LEDGER_NAME):
        result = verify(case.root)
    assert result.status is None


@pytest.mark.parametrize("left", [b"", b'{"torn'])
def test_a_case_ledger_that_was_never_begun_may_still_grow(case: Any, lab: Any, left: bytes) -> None:
    shutil.rmtree(case.root / SEALS_NAME)
    shutil.rmtree(case.root / "notes")
    (case.root / LEDGER_NAME).write_bytes(left)  # the first act was killed
    lab.seal_it(case.root, case.key)
    lab.add_note(case.root, 1)
    result = verify(case.root)
    assert result.ok
    assert result.anchor is not None
    assert result.anchor.unanchored[0].startswith(f"{LEDGER_NAME} from line ")


def test_a_damaged_case_ledger_is_not_sealed_over(case: Any) -> None:
    ledger = case.root / LEDGER_NAME
    ledger.write_bytes(ledger.read_bytes().replace(b"J. Doe", b"J. Roe", 1))
    with pytest.raises(CustodyError, match="damaged ledger"):
        seal(case.root, case.key, **WHY)


def test_sealing_survives_being_killed_at_every_step(genuine: Any, tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from vmforensics.custody.keys import read_private_key\n"
        "from vmforensics.custody.seal import seal\n"
        "from vmforensics.custody.verify import verify\n"
        "root, key, case = (Path(each) for each in sys.argv[1:])\n"
        "import shutil\n"
        "struck = 0\n"
        "private = read_private_key(key, bytes)\n"
        "for call in ('write', 'fsync', 'rename', 'mkdir'):\n"
        "    for nth in range(12):\n"
        "        for after in (False, True):\n"
        "            copy = root / f'{call}-{nth}-{after}'\n"
        "            shutil.copytree(case, copy)\n"
        "            child = os.fork()\n"
        "            if child == 0:\n"
        "                original, count = getattr(os, call), iter(range(1000))\n"
        "                def strike(*args, **options):\n"
        "                    last = next(count) == nth\n"
        "                    done = original(*args, **options) if after or not last else None\n"
        "                    if last: os.kill(os.getpid(), signal.SIGKILL)\n"
        "                    return done\n"
        "                setattr(os, call, strike)\n"
        "                seal(copy, private, actor='a', purpose='p')\n"
        "                os._exit(0)\n"
        "            was_struck = os.WIFSIGNALED(os.waitpid(child, 0)[1])\n"
        "            struck += was_struck\n"
        "            found = verify(copy)\n"
        "            assert found.ok, (call, nth, after, list(found.all_findings()))\n"
        "            seal(copy, private, actor='a', purpose='p')\n"
        "            found = verify(copy)\n"
        "            assert found.anchored, (call, nth, after, found.anchor, list(found.all_findings()))\n"
        "            assert not [each for each in (copy / 'seals').iterdir() if each.name.startswith('.')]\n"
        "            shutil.rmtree(copy)\n"
        "        if not was_struck: break\n"
        "print(struck)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path, genuine.key.path, genuine.root],
        check=False, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # Before and after: one write, seven synchronisations (ledger, folder, three files, theirs, the seals), one rename.
    assert int(done.stdout) >= 2 * (1 + 7 + 1) + 1


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=300) | st.text().map(str.encode))
def test_no_bytes_break_the_statements_reader(data: bytes) -> None:
    with pytest.raises(ValueError):
        parse_statement(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_statement_with_anything_in_it_is_refused_or_reads_back(data: st.DataObject) -> None:
    good = Statement(1, "t", "a", "p", "v", "0" * 64, 1, {}, None, (), time_stamped=False)
    fields = json.loads(good.to_bytes())
    place = data.draw(st.sampled_from([fields, fields["predicate"], fields["subject"][0]]))
    place[data.draw(st.sampled_from([*place, "more"]))] = data.draw(JSON)
    try:
        text = json.dumps(fields, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    with contextlib.suppress(ValueError):
        assert parse_statement(text).to_bytes() == text
