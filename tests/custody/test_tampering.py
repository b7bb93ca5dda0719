"""Whatever is done to a sealed case is found, told for what it is, and told of nothing else."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from vmforensics.custody.digest import digest_evidence, sha256_file
from vmforensics.custody.entries import read_ledger
from vmforensics.custody.findings import Finding, FindingKind
from vmforensics.custody.ledger import LEDGER_NAME, Ledger, material
from vmforensics.custody.manifest import MANIFEST_NAME, write_manifest
from vmforensics.custody.run_folder import RunFolder
from vmforensics.custody.seal import ENVELOPE_NAME, PUBLIC_KEY_NAME, SEALS_NAME
from vmforensics.custody.verification import Verification
from vmforensics.custody.verify import verify
from vmforensics.data import Evidence

Kind = FindingKind


@pytest.fixture(scope="module")
def shared(genuine: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A copy that tests change and put back."""
    return genuine.at(tmp_path_factory.mktemp("shared") / "case")


@contextmanager
def put_back(path: Path) -> Iterator[bytes]:
    """Let a file be changed, and undo it."""
    whole = path.read_bytes()
    try:
        yield whole
    finally:
        if path.is_symlink() or path.is_dir():
            path.unlink()
        path.write_bytes(whole)


def found(result: Verification) -> list[Finding]:
    findings = list(result.all_findings())
    assert all(each.where.isprintable() and each.message.isprintable() for each in findings)
    return findings


def blamed(result: Verification) -> set[tuple[FindingKind, str]]:
    """Kinds and places, without line numbers."""
    return {(each.kind, each.where.split(":")[0]) for each in found(result)}


def test_a_truthful_case_never_fails(genuine: Any, tmp_path: Path, lab: Any) -> None:
    result = genuine.check(evidence=True)
    assert found(result) == []
    assert result.anchored
    assert [seal.trusted for seal in result.seals] == [True, True]
    assert "2 added" not in result.seals[1].amends
    assert "runs/002" in result.seals[1].amends
    moved = genuine.at(tmp_path / "moved")
    assert moved.check(evidence=True).anchored
    for name in ("001", "002"):
        assert verify(moved.root / "runs" / name).ok
    lab.add_note(moved.root, 3)
    amended = moved.check(evidence=True)
    assert amended.ok
    assert amended.anchor is not None
    assert amended.anchor.unanchored == (f"{LEDGER_NAME} from line 7 on", "notes/0003.json")
    lab.add_run(moved.root, "003", b"x")
    amended = moved.check(evidence=True)
    assert amended.ok
    assert not amended.anchored
    lab.seal_it(moved.root, moved.key)
    assert moved.check(evidence=True).anchored
    lab.add_run(moved.root, "004", b"x")
    assert moved.check(evidence=True).ok


def test_a_run_that_was_killed_is_vouched_for_by_a_seal_and_by_nothing_else(case: Any, lab: Any) -> None:
    script = (
        "import os, sys; from pathlib import Path; from vmforensics.custody.run_folder import RunFolder\n"
        "folder = RunFolder.create(Path(sys.argv[1]), evidence=[])\n"
        "with folder.record() as ledger, ledger.step('slow'), folder.staging() as staging:\n"
        "    ledger.published(folder.write('case.yaml', b'x')); folder.write('raw.wav', b'x')\n"
        "    (staging / 'half.wav').write_text('half'); (folder.path / '.partial-empty').mkdir()\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    run = case.root / "runs" / "003"
    subprocess.run([sys.executable, "-c", script, run], check=False)
    (run / LEDGER_NAME).write_bytes((run / LEDGER_NAME).read_bytes() + b'{"torn')
    killed = {(Kind.UNFINISHED, LEDGER_NAME), (Kind.TORN, LEDGER_NAME), (Kind.MISSING, MANIFEST_NAME)}
    found_before = {(kind, where.removeprefix("runs/003/")) for kind, where in blamed(case.check())}
    assert killed < found_before
    lab.seal_it(case.root, case.key)
    sealed = case.check()
    assert found(sealed) == []
    assert sealed.anchored
    assert sum("it was so when it was sealed" in note for note in sealed.parts["runs/003"].notes) == len(found_before)
    whole = (run / LEDGER_NAME).read_bytes()
    (run / LEDGER_NAME).write_bytes(whole[: whole.index(b"\n") + 1])  # cut off further
    assert (Kind.CHANGED, f"runs/003/{LEDGER_NAME}") in blamed(case.check())
    (run / LEDGER_NAME).write_bytes(whole)
    (partial,) = (each for each in run.glob(".partial-*") if any(each.iterdir()))
    (partial / "half.wav").unlink()
    assert blamed(case.check()) == {(Kind.MISSING, f"runs/003/{partial.name}/half.wav")}
    (partial / "half.wav").write_text("another")
    assert blamed(case.check()) == {(Kind.CHANGED, f"runs/003/{partial.name}/half.wav")}


def mutants(whole: bytes, position: int, choose: random.Random) -> Iterator[bytes]:
    """A byte flipped, put in, taken out, doubled; all from there on cut off."""
    before, after = whole[:position], whole[position + 1 :]
    yield before + bytes([whole[position] ^ (1 << choose.randrange(8))]) + after
    yield before + bytes([choose.randrange(256)]) + whole[position:]
    yield before + after
    yield before


def test_thousands_of_changed_bytes_are_found_and_blamed_on_their_file(shared: Any) -> None:
    choose = random.Random(7)  # noqa: S311 a repeatable choice, not a secret
    tried = 0
    for path in shared.files():
        name = shared.name(path)
        part = name.rpartition("/")[0]
        with put_back(path) as whole:
            positions = sorted({0, len(whole) - 1, *choose.choices(range(len(whole)), k=40)})
            for position in positions:
                for mutant in mutants(whole, position, choose):
                    if mutant == whole:
                        continue
                    path.write_bytes(mutant)
                    result = shared.check()
                    tried += 1
                    places = {where for _, where in blamed(result)}
                    allowed = {name}
                    # What hangs on a changed record is told, too: a seal on its parts, a run on its ledger.
                    if name.startswith(SEALS_NAME):
                        assert any(where.startswith(part) for where in places), (name, position, places)
                        allowed |= {SEALS_NAME, f"{SEALS_NAME}/001", f"{SEALS_NAME}/002", shared.noted}
                        allowed |= {f"{part}/{ENVELOPE_NAME}"} if name.endswith(PUBLIC_KEY_NAME) else set()
                    elif name.endswith((LEDGER_NAME, MANIFEST_NAME)):
                        prefix = f"{part}/" if part else ""
                        allowed |= {each for each in places if each.startswith(prefix)} | {part}
                    assert places <= allowed, (name, position, places)
                    if not name.startswith(SEALS_NAME):
                        assert (Kind.CHANGED, name) in blamed(result)
    assert tried > 2000, tried
    assert shared.check().anchored


def test_a_missing_file_is_named(shared: Any) -> None:
    for path in shared.files():
        with put_back(path):
            path.unlink()
            assert (Kind.MISSING, shared.name(path)) in blamed(shared.check())


def odd_names(name: str) -> list[str]:
    foreign = name.replace("a", "\u0430").replace("0", "\u0660").replace(".", "\uff0e")
    hidden = name[0] + "\u200b" + name[1:]
    before = ["x", ".", "-", "\u202e", "\x1b[2J", os.fsdecode(b"\xff")]
    after = [" ", "\u0301", "\n"]
    return [name.swapcase(), foreign, hidden, *(each + name for each in before), *(name + each for each in after)]


def test_a_renamed_file_is_missing_under_its_name_and_new_under_the_other(shared: Any) -> None:
    for path in shared.files():
        for odd in odd_names(path.name):
            other = path.with_name(odd)
            assert not os.path.lexists(other)
            path.rename(other)
            result = shared.check()
            other.rename(path)
            assert (Kind.MISSING, shared.name(path)) in blamed(result), odd
            assert not result.anchored
            told = " ".join(each.message for each in found(result) if each.kind is Kind.ADDED)
            if path.parent.parent.name == "runs" and path.name == "raw.wav":
                assert "was renamed" in told
    assert shared.check().anchored


def test_a_file_that_only_looks_like_the_missing_one_is_told(case: Any) -> None:
    path = case.root / "runs" / "001" / "raw.wav"
    path.unlink()
    path.with_name("r\u0430w.wav").write_bytes(b"another sound")
    (told,) = (each.message for each in found(case.check()) if each.kind is Kind.ADDED)
    assert "looks like that of the missing 'raw.wav'" in told
    assert "\\u0430" in told


def test_files_put_in_each_others_place_are_found(shared: Any) -> None:
    files = shared.files()
    choose = random.Random(3)  # noqa: S311 repeatable
    for one in files:
        for other in choose.sample(files, 6):
            contents = one.read_bytes(), other.read_bytes()
            if contents[0] == contents[1]:
                continue
            with put_back(one), put_back(other):
                one.write_bytes(contents[1])
                other.write_bytes(contents[0])
                places = {where for _, where in blamed(shared.check())}
                # Where a seal is broken, a run's own record tells of it: what its false manifest lists, isn't there.
                sealed = not any(SEALS_NAME in path.parts for path in (one, other))
                for path in (one, other):
                    near = shared.name(path if sealed else path.parent)
                    assert any(where.startswith(near) for where in places) or path.parent == shared.root


def test_links_are_found_and_not_followed(shared: Any, tmp_path: Path) -> None:
    for path in shared.files():
        with put_back(path) as whole:
            same = tmp_path / "same"
            same.write_bytes(whole)
            for target in (same, Path("/dev/zero"), Path("/etc/passwd"), path, Path("nowhere")):
                path.unlink()
                path.symlink_to(target)
                result = shared.check()
                assert (Kind.ADDED, shared.name(path)) in blamed(result), target
                assert any("link" in each.message for each in found(result))
            path.unlink()
            os.mkfifo(path)
            assert not shared.check().ok
            path.unlink()
            path.mkdir()
            assert not shared.check().ok
            path.rmdir()
            path.touch()


def test_a_folder_replaced_by_a_link_is_found(case: Any, tmp_path: Path) -> None:
    for name in ("runs/001", "runs", "notes", SEALS_NAME, f"{SEALS_NAME}/001"):
        folder = case.root / name
        away = tmp_path / "away"
        folder.rename(away)
        folder.symlink_to(away)
        result = case.check()
        assert not result.ok, name
        assert any(each.where.startswith(name) and "link" in each.message for each in found(result)), name
        folder.unlink()
        away.rename(folder)
    assert case.check().anchored


def test_what_is_put_in_is_found(case: Any) -> None:
    for folder in sorted({path.parent for path in case.files()}):
        for odd in ("more.wav", ".hidden", "ledger.json", "Manifest-sha256.txt"):
            (folder / odd).write_bytes(b"x")
            result = case.check()
            assert not (result.ok and result.anchored), (folder, odd)
            told = {*(result.anchor.unanchored if result.anchor else ()), *(where for _, where in blamed(result))}
            assert case.name(folder / odd) in told
            (folder / odd).unlink()
    shutil.copytree(case.root / "runs" / "001", case.root / "runs" / "003")
    result = case.check()
    assert result.ok  # a run on record, as far as it goes; it isn't covered by a seal, and that is said
    assert result.anchor is not None
    assert f"runs/003/{LEDGER_NAME}" in result.anchor.unanchored


def rechained(case: Any, ledger: Path, change: Callable[[list[dict[str, object]]], None]) -> None:
    """Change a ledger as somebody does who rebuilds the chain and the run's manifest, but hasn't the key."""
    entries = [json.loads(line) for line in ledger.read_bytes().splitlines()]
    change(entries)
    ledger.unlink()
    with Ledger.create(ledger) as again:
        for entry in entries:
            own = {name: entry.pop(name) for name in ("format", "seq", "time", "prev", "event")}
            again.append(str(own["event"]), **entry)
    manifest = ledger.with_name(MANIFEST_NAME)
    if manifest.exists():
        manifest.unlink()
        seals = ledger.with_name(SEALS_NAME)
        assert not seals.exists()
        write_manifest(RunFolder(ledger.parent))


def test_a_chain_rebuilt_without_the_key_is_found(genuine: Any, tmp_path: Path) -> None:
    tried = 0
    for path in [p for p in genuine.files() if p.name == LEDGER_NAME]:
        count = len(read_ledger(path))

        def retime(entries: list[dict[str, object]], k: int) -> None:
            entries[k]["note"] = "changed"

        for k in range(count):
            for change in (
                lambda entries, k=k: entries.pop(k),
                lambda entries, k=k: entries.insert(k, dict(entries[k])),
                lambda entries, k=k: entries.insert(0, entries.pop(k)),
                lambda entries, k=k: retime(entries, k),
                lambda entries, k=k: entries.__delitem__(slice(k, None)),
            ):
                case = genuine.at(tmp_path / f"{tried}")
                tried += 1
                target = case.root / path.relative_to(genuine.root)
                rechained(case, target, change)
                result = case.check()
                assert (Kind.CHANGED, case.name(target)) in blamed(result), (path, k)
                assert not result.ok
    assert tried > 60


def test_a_sound_forged_with_all_its_records_is_found(case: Any) -> None:
    run = case.root / "runs" / "001"
    (run / "raw.wav").write_bytes(b"another sound")

    def forge(entries: list[dict[str, object]]) -> None:
        for entry in entries:
            if isinstance(products := entry.get("products"), dict):
                products["raw.wav"] = sha256_file(run / "raw.wav")

    rechained(case, run / LEDGER_NAME, forge)
    assert verify(run).ok  # the run alone can't tell
    result = case.check()
    expected = {f"runs/001/{name}" for name in ("raw.wav", LEDGER_NAME, MANIFEST_NAME)}
    assert {where for kind, where in blamed(result) if kind is Kind.CHANGED} == expected
    assert all("case's seal 002" in each.message for each in found(result))


def test_a_case_sealed_again_with_another_key_is_found(case: Any, tmp_path: Path, lab: Any) -> None:
    (case.root / "case.yaml").write_bytes(b"version: 1\n# forged\n")
    forger = lab.a_key(tmp_path / "forger.key")
    for gone in (False, True):
        if gone:
            shutil.rmtree(case.root / SEALS_NAME)
        lab.seal_it(case.root, forger)
        alone = verify(case.root)  # without the right key, nobody can tell
        assert alone.ok
        assert any("another key" in note for note in alone.notes) is not gone
        result = case.check(noted=False)
        assert Kind.SIGNER in {kind for kind, _ in blamed(result)}
        assert forger.public.fingerprint in " ".join(each.message for each in found(result))
        assert (Kind.UNSEALED, "seals") in blamed(result) or not gone


def test_seals_taken_out_are_found(genuine: Any, tmp_path: Path) -> None:
    def check(name: str, change: Callable[[Path], object]) -> Any:
        case = genuine.at(tmp_path / name)
        change(case.root / SEALS_NAME)
        assert not case.check().ok, name
        return case

    def swap(seals: Path) -> None:
        for old, new in (("001", "x"), ("002", "001"), ("x", "002")):
            (seals / old).rename(seals / new)

    check("all", shutil.rmtree)
    first = check("first", lambda seals: shutil.rmtree(seals / "001"))
    assert (Kind.MISSING, f"{SEALS_NAME}/001") in blamed(first.check(noted=False))
    last = check("last", lambda seals: shutil.rmtree(seals / "002"))
    result = last.check(noted=False)  # nobody noted the last seal: what it covered is shown as not covered
    assert result.ok
    assert result.anchor is not None
    assert "runs/002/raw.wav" in result.anchor.unanchored
    assert any("seal 002 was to be made" in note for note in result.notes)
    empty = check("empty", lambda seals: [shutil.rmtree(seals), seals.mkdir()])
    assert (Kind.UNSEALED, "seals") in blamed(empty.check(noted=False))
    swapped = check("swapped", swap)
    assert Kind.BROKEN_CHAIN in {kind for kind, _ in blamed(swapped.check(noted=False))}
    doubled = check("doubled", lambda seals: shutil.copytree(seals / "002", seals / "003"))
    assert (Kind.BROKEN_CHAIN, f"{SEALS_NAME}/003") in blamed(doubled.check(noted=False))
    check("zero", lambda seals: shutil.copytree(seals / "001", seals / "000"))
    check("four digits", lambda seals: shutil.copytree(seals / "001", seals / "0001"))


def test_a_case_rolled_back_to_an_earlier_seal_is_found_by_what_was_noted(tmp_path: Path, lab: Any) -> None:
    case = lab.make(tmp_path)
    early = case.at(tmp_path / "early")
    lab.add_note(case.root, 3)
    last = lab.seal_it(case.root, case.key)
    assert verify(case.root, expected=[case.noted, last.sha256]).ok
    shutil.rmtree(case.root)
    early.root.rename(case.root)  # the whole folder as it was at seal 002
    assert case.check().anchored
    (finding,) = verify(case.root, expected=[last.sha256]).findings
    assert (finding.kind, finding.where) == (Kind.UNKNOWN_STATE, last.sha256)
    assert "rolled back" in finding.message


def test_seals_of_another_case_are_found(case: Any, tmp_path: Path, lab: Any) -> None:
    other = lab.make(tmp_path / "other")
    shutil.rmtree(case.root / SEALS_NAME)
    shutil.copytree(other.root / SEALS_NAME, case.root / SEALS_NAME)
    result = case.seen_by(other.key, other.noted).check()
    places = {where for kind, where in blamed(result) if kind is Kind.CHANGED}
    assert {LEDGER_NAME, f"runs/001/{LEDGER_NAME}", f"runs/002/{LEDGER_NAME}"} <= places


def test_one_runs_files_in_anothers_place_are_found(genuine: Any, tmp_path: Path) -> None:
    for k, names in enumerate([["raw.wav"], [LEDGER_NAME], [MANIFEST_NAME], ["raw.wav", LEDGER_NAME, MANIFEST_NAME]]):
        case = genuine.at(tmp_path / str(k))
        for name in names:
            shutil.copy(case.root / "runs" / "002" / name, case.root / "runs" / "001" / name)
        places = {where for kind, where in blamed(case.check()) if kind is Kind.CHANGED}
        assert {f"runs/001/{name}" for name in names} <= places
        assert all(where.startswith("runs/001/") for where in places)


def test_runs_that_change_places_or_go_are_found(genuine: Any, tmp_path: Path) -> None:
    swapped = genuine.at(tmp_path / "swapped")
    runs = swapped.root / "runs"
    (runs / "001").rename(runs / "x")
    (runs / "002").rename(runs / "001")
    (runs / "x").rename(runs / "002")
    assert (Kind.CHANGED, "runs/001/raw.wav") in blamed(swapped.check())
    gone = genuine.at(tmp_path / "gone")
    shutil.rmtree(gone.root / "runs" / "001")
    assert (Kind.MISSING, "runs/001/raw.wav") in blamed(gone.check())
    shutil.rmtree(gone.root / SEALS_NAME)
    (gone.root / LEDGER_NAME).unlink()
    alone = verify(gone.root)  # no record of the run is left; only its number tells
    assert alone.ok
    assert any(note.startswith("runs/001 isn't there") for note in alone.notes)
    emptied = genuine.at(tmp_path / "emptied")
    for path in (emptied.root / "runs" / "002").iterdir():
        path.unlink()
    assert (Kind.MISSING, "runs/002/raw.wav") in blamed(emptied.check())


def test_altered_evidence_is_found_in_every_record_of_it(case: Any) -> None:
    clip = case.root / "evidence" / "clip.avi"
    clip.write_bytes(bytes(range(49)) + b"x")
    result = case.check(evidence=True)
    assert blamed(result) == {
        (Kind.CHANGED, "evidence/clip.avi"),
        (Kind.EVIDENCE_CHANGED, "E1"),
        (Kind.EVIDENCE_CHANGED, "runs/001/E1"),
        (Kind.EVIDENCE_CHANGED, "runs/002/E1"),
    }


@pytest.mark.parametrize("folder", [False, True])
def test_a_working_copy_stands_for_the_exhibit_that_went_back(
    case: Any, lab: Any, tmp_path: Path, folder: bool
) -> None:
    original = tmp_path / "received" / "clip.avi"
    content = original / "0.png" if folder else original
    content.parent.mkdir(parents=True)
    content.write_bytes(b"frames")
    copy = case.root / "evidence" / "E7"
    copy.mkdir()
    (copy / content.name).write_bytes(b"frames")
    with Ledger.open(case.root / LEDGER_NAME) as ledger:
        taken = material(Evidence(original, "E7"), digest_evidence(Evidence(original)), case.root)
        ledger.act("exhibit-added", **lab.act, materials=[taken])
    assert case.check(evidence=True).ok
    content.write_bytes(b"other")  # what lies elsewhere is of no account any more
    assert case.check(evidence=True).ok
    shutil.rmtree(tmp_path / "received")
    assert case.check(evidence=True).ok
    (copy / content.name).write_bytes(b"other")
    assert blamed(case.check(evidence=True)) == {(Kind.EVIDENCE_CHANGED, "E7")}
    shutil.rmtree(copy)
    assert blamed(case.check(evidence=True)) == {(Kind.EVIDENCE_MISSING, "E7")}


def test_a_statement_changed_and_wrapped_again_is_found(case: Any, tmp_path: Path, lab: Any) -> None:
    from vmforensics.custody.dsse import Envelope, parse_envelope, signed

    place = case.root / SEALS_NAME / "002"
    envelope = parse_envelope((place / ENVELOPE_NAME).read_bytes())
    forged = envelope.payload.replace(b"J. Doe", b"J. Roe")
    (place / ENVELOPE_NAME).write_bytes(Envelope(forged, envelope.keyid, envelope.signature).to_bytes())
    assert (Kind.SIGNATURE, f"{SEALS_NAME}/002/{ENVELOPE_NAME}") in blamed(case.check(noted=False))
    forger = lab.a_key(tmp_path / "forger.key")
    again = signed(forged, forger)
    (place / ENVELOPE_NAME).write_bytes(Envelope(forged, envelope.keyid, again.signature).to_bytes())
    assert (Kind.SIGNATURE, f"{SEALS_NAME}/002/{ENVELOPE_NAME}") in blamed(case.check(noted=False))
    (place / PUBLIC_KEY_NAME).write_bytes(forger.public.pem)
    assert (Kind.SIGNATURE, f"{SEALS_NAME}/002/{ENVELOPE_NAME}") in blamed(case.check(noted=False))
    (place / ENVELOPE_NAME).write_bytes(again.to_bytes())
    assert (Kind.SIGNER, f"{SEALS_NAME}/002") in blamed(case.check(noted=False))


def test_acts_that_contradict_the_record_are_found(case: Any, lab: Any) -> None:
    with Ledger.open(case.root / LEDGER_NAME) as ledger:
        ledger.act("run-recorded", **lab.act, run="runs/001", run_head_sha256="0" * 64)
        ledger.act("run-recorded", **lab.act, run="runs/009", run_head_sha256="0" * 64)
        ledger.act("note-added", **lab.act, products={"notes/0001.json": "0" * 64, "notes/0009.json": "0" * 64})
    assert blamed(case.check()) == {
        (Kind.CHANGED, "runs/001"),
        (Kind.MISSING, "runs/009"),
        (Kind.CHANGED, "notes/0001.json"),
        (Kind.MISSING, "notes/0009.json"),
    }
