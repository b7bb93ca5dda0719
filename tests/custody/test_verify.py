import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import rfc8785

from vmforensics.custody.digest import check_unchanged, digest_evidence, sha256_file, sha256sum_line
from vmforensics.custody.entries import read_ledger
from vmforensics.custody.findings import FindingKind, shown
from vmforensics.custody.ledger import LEDGER_NAME, Ledger
from vmforensics.custody.manifest import MANIFEST_NAME, write_manifest
from vmforensics.custody.run_folder import RunFolder
from vmforensics.custody.verification import RunStatus, Verification
from vmforensics.custody.verify import verify
from vmforensics.data import Evidence
from vmforensics.errors import CustodyError, StageError

Kind = FindingKind
ARTEFACTS = {"case.yaml": b"version: 1\n", "raw.wav": bytes(range(60)), "result.json": b'{"verdict":"signal"}\n'}


@dataclass(frozen=True)
class Case:
    """A run folder and its two exhibits, a clip and a folder of pictures, below one root."""

    root: Path

    @property
    def run(self) -> Path:
        return self.root / "runs" / "001"

    @property
    def ledger(self) -> Path:
        return self.run / LEDGER_NAME

    @property
    def manifest(self) -> Path:
        return self.run / MANIFEST_NAME

    @property
    def clip(self) -> Path:
        return self.root / "exhibits" / "clip.avi"

    @property
    def pictures(self) -> Path:
        return self.root / "exhibits" / "pictures"


def make(root: Path, *, fail: bool = False, artefacts: dict[str, bytes] = ARTEFACTS) -> Case:
    case = Case(root)
    case.pictures.mkdir(parents=True, exist_ok=True)
    case.clip.write_bytes(bytes(range(100)))
    for k in range(3):
        (case.pictures / f"{k}.png").write_bytes(bytes([k] * 20))
    exhibits = [Evidence(case.clip, "E1"), Evidence(case.pictures, "E2")]
    folder = RunFolder.create(case.run, evidence=[exhibit.path for exhibit in exhibits])
    with folder.record(case={"id": "C-17"}) as ledger:
        digests = [digest_evidence(exhibit) for exhibit in exhibits]
        for exhibit, digest in zip(exhibits, digests, strict=True):
            ledger.digested(exhibit, digest)
        with ledger.step("export", stage="wav"), folder.staging() as staging:
            for name, data in artefacts.items():
                (staging / name).write_bytes(data)
            if fail:
                raise StageError("no")
            ledger.published(folder.publish([staging / name for name in artefacts]))
        for exhibit, digest in zip(exhibits, digests, strict=True):
            check_unchanged(exhibit, digest)
    return case


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make(tmp_path_factory.mktemp("genuine"))


@pytest.fixture
def case(genuine: Case, tmp_path: Path) -> Case:
    """A copy of the genuine case; the original's absolute paths no longer count, as the copies come first."""
    return Case(Path(shutil.copytree(genuine.root, tmp_path / "copy", symlinks=True)))


def kinds(result: Verification) -> list[tuple[FindingKind, str]]:
    return [(finding.kind, finding.where) for finding in result.findings]


def rewrite_manifest(case: Case) -> None:
    case.manifest.unlink()
    write_manifest(RunFolder(case.run))


def rewrite_ledger(case: Case, change: Callable[[list[dict[str, object]]], None]) -> None:
    """Change entries as somebody would who rebuilds the chain and the manifest, but not all else."""
    entries = [json.loads(line) for line in case.ledger.read_bytes().splitlines()]
    change(entries)
    case.ledger.unlink()
    with Ledger.create(case.ledger) as ledger:
        for entry in entries:
            own = {name: entry.pop(name) for name in ("format", "seq", "time", "prev", "event")}
            ledger.append(str(own["event"]), **entry)
    rewrite_manifest(case)


def test_an_untouched_run_is_in_order(genuine: Case) -> None:
    result = verify(genuine.run)
    assert result.findings == ()
    assert result.ok
    assert result.status is RunStatus.FINISHED
    assert result.head == read_ledger(genuine.ledger)[-1].digest
    assert result.manifest_sha256 == sha256_file(genuine.manifest)
    assert (result.entries, result.files, result.exhibits) == (7, 4, 2)


def test_it_states_its_limits_and_does_not_promise_more(genuine: Case) -> None:
    limits = " ".join(verify(genuine.run).limits)
    assert "tamper-evident" in limits
    assert "elsewhere" in limits or "somewhere else" in limits
    assert "proof" not in limits
    assert "wasn't looked at" not in limits


def test_a_moved_case_stays_valid(case: Case, tmp_path: Path) -> None:
    moved = Case(case.root.rename(tmp_path / "elsewhere"))
    assert verify(moved.run).ok


def test_evidence_left_in_its_place_is_found_when_the_run_moves(tmp_path: Path) -> None:
    case = make(tmp_path / "case")
    moved = tmp_path / "far" / "away" / "run"
    moved.parent.mkdir(parents=True)
    case.run.rename(moved)
    assert verify(moved).ok
    case.clip.write_bytes(b"other")
    assert kinds(verify(moved)) == [(Kind.EVIDENCE_CHANGED, "E1")]


def test_the_run_may_be_reached_by_a_link(case: Case, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(case.run)
    assert verify(tmp_path / "link").ok


def test_a_failed_run_can_be_verified(tmp_path: Path) -> None:
    with pytest.raises(StageError):
        make(tmp_path, fail=True)
    result = verify(Case(tmp_path).run)
    assert (result.ok, result.status) == (True, RunStatus.FAILED)


def test_a_killed_run_says_that_it_did_not_finish(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from vmforensics.custody.run_folder import RunFolder\n"
        "folder = RunFolder.create(Path(sys.argv[1]), evidence=[])\n"
        "with folder.record() as ledger, ledger.step('slow'), folder.staging() as staging:\n"
        "    ledger.published(folder.write('case.yaml', b'x'))\n"
        "    (staging / 'raw.wav').write_text('half')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "run"], check=False)
    result = verify(tmp_path / "run")
    assert result.status is RunStatus.UNFINISHED
    assert [kind for kind, _ in kinds(result)] == [Kind.ADDED, Kind.UNFINISHED, Kind.MISSING]
    assert result.findings[0].where.startswith(".partial-")
    assert "ended abruptly" in result.findings[0].message
    assert "'artefacts-published'" in result.findings[1].message
    assert "ended before it was written" in result.findings[2].message


def test_every_changed_byte_is_found(case: Case) -> None:
    """A byte flipped, put in or taken out, all over the ledger and the manifest, and everywhere else."""
    choose = random.Random(5)  # noqa: S311 a repeatable choice, not a secret
    for path in sorted(file for file in case.root.rglob("*") if file.is_file()):
        whole = path.read_bytes()
        inside = path.parent == case.run
        for position in range(0, len(whole), 1 if len(whole) < 150 else 7):
            flipped = whole[position] ^ (1 << choose.randrange(8))
            mutants = [
                whole[:position] + bytes([flipped]) + whole[position + 1 :],
                whole[:position] + bytes([choose.randrange(256)]) + whole[position:],
                whole[:position] + whole[position + 1 :],
                whole[:position],
            ]
            path.write_bytes(mutants[position % 4])
            result = verify(case.run, evidence=not inside)
            wanted = Kind.CHANGED if inside else Kind.EVIDENCE_CHANGED
            found = {kind for kind, _ in kinds(result)}
            assert not result.ok, (path, position)
            if path != case.manifest:
                assert wanted in found, (path, position)
            if not inside:
                assert found == {wanted}
        path.write_bytes(whole)
    assert verify(case.run).ok


def test_a_file_put_in_is_found(case: Case) -> None:
    (case.run / "more.wav").write_text("x")
    (case.run / ".hidden").write_text("x")
    result = verify(case.run)
    assert kinds(result) == [(Kind.ADDED, ".hidden"), (Kind.ADDED, "more.wav")]
    assert result.findings[1].message == "doesn't stand in the manifest nor in the ledger"
    rewrite_manifest(case)
    result = verify(case.run)
    assert kinds(result) == [(Kind.ADDED, ".hidden"), (Kind.ADDED, "more.wav")]
    assert result.findings[1].message == "doesn't stand in the ledger"


@pytest.mark.parametrize("name", [*ARTEFACTS, LEDGER_NAME, MANIFEST_NAME])
def test_a_file_taken_out_is_found(case: Case, name: str) -> None:
    (case.run / name).unlink()
    assert (Kind.MISSING, name) in kinds(verify(case.run))
    if name in ARTEFACTS:
        assert kinds(verify(case.run)) == [(Kind.MISSING, name)]
        rewrite_manifest(case)
        assert kinds(verify(case.run)) == [(Kind.MISSING, name)]


def test_a_renamed_file_is_found(case: Case) -> None:
    (case.run / "raw.wav").rename(case.run / "Raw.wav")
    assert kinds(verify(case.run)) == [(Kind.ADDED, "Raw.wav"), (Kind.MISSING, "raw.wav")]


def test_two_swapped_files_are_found(case: Case) -> None:
    one, other = case.run / "raw.wav", case.run / "case.yaml"
    contents = one.read_bytes(), other.read_bytes()
    other.write_bytes(contents[0])
    one.write_bytes(contents[1])
    for _ in range(2):
        assert kinds(verify(case.run)) == [(Kind.CHANGED, "case.yaml"), (Kind.CHANGED, "raw.wav")]
        rewrite_manifest(case)
    assert "ledger recorded" in verify(case.run).findings[0].message


def test_files_of_another_run_are_found(case: Case, tmp_path: Path) -> None:
    other = make(tmp_path / "other", artefacts={**ARTEFACTS, "raw.wav": b"another"})
    for name in (*ARTEFACTS, LEDGER_NAME, MANIFEST_NAME):
        genuine = (case.run / name).read_bytes()
        (case.run / name).write_bytes((other.run / name).read_bytes())
        same = name in ARTEFACTS and name != "raw.wav"
        assert verify(case.run).ok == same, name
        (case.run / name).write_bytes(genuine)


@pytest.mark.parametrize("rewritten", [False, True])
def test_ledger_lines_moved_doubled_or_taken_out_are_found(case: Case, rewritten: bool) -> None:
    whole = case.ledger.read_bytes()
    lines = whole.splitlines(keepends=True)
    last = len(lines) - 1

    def check(changed: list[bytes], *, at_end: bool = False) -> None:
        case.ledger.write_bytes(b"".join(changed))
        if rewritten:
            rewrite_manifest(case)
        found = [kind for kind, _ in kinds(verify(case.run))]
        assert (Kind.UNFINISHED if at_end else Kind.BROKEN_CHAIN) in found
        assert (Kind.CHANGED in found) is not rewritten

    for k in range(len(lines)):
        check(lines[:k] + lines[k + 1 :], at_end=k == last)
        check([*lines[: k + 1], *lines[k:]])
        if k < last:
            check([*lines[:k], lines[k + 1], lines[k], *lines[k + 2 :]])
            check(lines[: k + 1], at_end=True)
    check(lines[::-1])


def test_one_missing_line_is_one_break(case: Case) -> None:
    lines = case.ledger.read_bytes().splitlines(keepends=True)
    case.ledger.write_bytes(b"".join(lines[:2] + lines[3:]))
    rewrite_manifest(case)
    result = verify(case.run)
    assert {where for kind, where in kinds(result) if kind is Kind.BROKEN_CHAIN} == {f"{LEDGER_NAME}:3"}


def test_a_forged_line_is_told_with_its_place(case: Case) -> None:
    lines = case.ledger.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b'"wav"', b'"mp3"')
    case.ledger.write_bytes(b"".join(lines))
    result = verify(case.run)
    assert kinds(result) == [(Kind.BROKEN_CHAIN, f"{LEDGER_NAME}:5"), (Kind.CHANGED, LEDGER_NAME)]


def test_every_bad_line_is_told(case: Case) -> None:
    lines = case.ledger.read_bytes().splitlines(keepends=True)
    lines[1] = b"\xff\n"
    lines[4] = b"[" * 100_000 + b"\n"
    case.ledger.write_bytes(b"".join(lines) + b'{"torn')
    found = kinds(verify(case.run, evidence=False))
    for line in (2, 5):
        assert (Kind.MALFORMED, f"{LEDGER_NAME}:{line}") in found
        assert (Kind.BROKEN_CHAIN, f"{LEDGER_NAME}:{line + 1}") in found
    assert (Kind.TORN, f"{LEDGER_NAME}:8") in found
    assert (Kind.CHANGED, LEDGER_NAME) in found


def test_a_rewritten_manifest_does_not_hide_a_changed_artefact(case: Case) -> None:
    (case.run / "raw.wav").write_bytes(b"another sound")
    rewrite_manifest(case)
    result = verify(case.run)
    assert kinds(result) == [(Kind.CHANGED, "raw.wav")]
    assert "the ledger recorded" in result.findings[0].message


def test_whoever_rewrites_everything_changes_the_head_hash(case: Case) -> None:
    before = verify(case.run)
    (case.run / "raw.wav").write_bytes(b"another sound")

    def forge(entries: list[dict[str, object]]) -> None:
        products = entries[4]["products"]
        assert isinstance(products, dict)
        products["raw.wav"] = sha256_file(case.run / "raw.wav")

    rewrite_ledger(case, forge)
    after = verify(case.run)
    assert after.ok  # which is why limits say what they say
    assert after.head != before.head
    assert after.manifest_sha256 != before.manifest_sha256


def test_contradicting_entries_are_found(case: Case) -> None:
    rewrite_ledger(case, lambda entries: entries[5].update(products={"raw.wav": "0" * 64}))
    assert kinds(verify(case.run)) == [(Kind.CHANGED, "raw.wav")]


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [*lines, lines[-1]],
        lambda lines: lines[::-1],
        lambda lines: [line.replace(b"\n", b"\r\n") for line in lines],
        lambda lines: [line.replace(b"  ", b" *") for line in lines],
        lambda lines: [line.upper() for line in lines],
        lambda lines: [*lines, b"\n"],
        lambda lines: [*lines, b"# note\n"],
        lambda lines: [b"".join(lines)[:-1]],
        lambda lines: [b"\xef\xbb\xbf", *lines],
        lambda lines: [],
        lambda lines: [b"\0" * 100_000],
        lambda lines: [*lines, sha256sum_line("0" * 64, "zz/../../../../etc/passwd")],
        lambda lines: [*lines, sha256sum_line("0" * 64, MANIFEST_NAME)],
    ],
)
def test_a_changed_manifest_is_found(case: Case, change: Callable[[list[bytes]], list[bytes]]) -> None:
    case.manifest.write_bytes(b"".join(change(case.manifest.read_bytes().splitlines(keepends=True))))
    result = verify(case.run)
    assert not result.ok
    assert {kind for kind, _ in kinds(result)} <= {Kind.MALFORMED, Kind.MISSING, Kind.ADDED}


@pytest.mark.parametrize("name", ["raw.wav", LEDGER_NAME, MANIFEST_NAME])
def test_a_link_in_a_files_place_is_found_and_not_followed(case: Case, name: str) -> None:
    original = (case.run / name).rename(case.root / "original")
    (case.run / name).symlink_to(original)
    assert kinds(verify(case.run))[0] == (Kind.ADDED, name)
    assert "symbolic link" in verify(case.run).findings[0].message


def test_folders_links_and_pipes_are_found(case: Case) -> None:
    (case.run / "folder").mkdir()
    (case.run / "loop").symlink_to("loop")
    os.mkfifo(case.run / "pipe")
    (case.run / "up").symlink_to("..")
    found = kinds(verify(case.run))
    assert found == [(Kind.ADDED, name) for name in ("folder", "loop", "pipe", "up")]


def test_a_pipe_in_a_files_place_does_not_hang(case: Case) -> None:
    for name in (LEDGER_NAME, MANIFEST_NAME, "raw.wav"):
        (case.run / name).unlink()
        os.mkfifo(case.run / name)
    found = kinds(verify(case.run, evidence=False))
    assert {(Kind.ADDED, LEDGER_NAME), (Kind.ADDED, MANIFEST_NAME), (Kind.ADDED, "raw.wav")} <= set(found)
    assert {(Kind.MISSING, LEDGER_NAME), (Kind.MISSING, MANIFEST_NAME)} <= set(found)


def test_an_unreadable_file_is_told_apart(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Path.open

    def refuse(self: Path, *args: object, **options: object) -> object:
        if self.name in ("raw.wav", "clip.avi"):
            raise PermissionError(13, "Permission denied")
        return opened(self, *args, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", refuse)
    assert kinds(verify(case.run)) == [(Kind.UNREADABLE, "raw.wav"), (Kind.UNREADABLE, "E1")]


def test_changed_evidence_is_told_by_file(case: Case) -> None:
    (case.pictures / "0.png").write_bytes(b"other")
    (case.pictures / "1.png").unlink()
    (case.pictures / "3.png").write_bytes(b"more")
    result = verify(case.run)
    assert kinds(result) == [(Kind.EVIDENCE_CHANGED, "E2")]
    for part in ("'0.png' has other content", "'1.png' is gone", "'3.png' was added"):
        assert part in result.findings[0].message
    assert verify(case.run, evidence=False).ok
    assert "wasn't looked at" in " ".join(verify(case.run, evidence=False).limits)


def test_replaced_evidence_is_told(case: Case) -> None:
    case.clip.unlink()
    case.clip.mkdir()
    (case.clip / "clip.avi").write_bytes(bytes(range(100)))
    assert kinds(verify(case.run)) == [(Kind.EVIDENCE_CHANGED, "E1")]


def test_missing_evidence_is_told_apart_from_changed(tmp_path: Path) -> None:
    case = make(tmp_path)
    shutil.rmtree(case.clip.parent)
    assert kinds(verify(case.run)) == [(Kind.EVIDENCE_MISSING, "E1"), (Kind.EVIDENCE_MISSING, "E2")]
    os.mkfifo(case.clip.parent.with_name("pipe"))
    case.clip.parent.mkdir()
    case.clip.symlink_to(case.clip.parent.with_name("pipe"))
    assert (Kind.EVIDENCE_MISSING, "E1") in kinds(verify(case.run))


def test_evidence_whose_name_is_no_text_is_found_again(tmp_path: Path) -> None:
    clip = tmp_path / os.fsdecode(b"clip-\xff.avi")
    clip.write_bytes(b"frames")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / os.fsdecode(b"\xfe.png")).write_bytes(b"picture")
    folder = RunFolder.create(tmp_path / "run", evidence=[clip, pictures])
    with folder.record() as ledger:
        for exhibit in (Evidence(clip, "E1"), Evidence(pictures, "E2")):
            ledger.digested(exhibit, digest_evidence(exhibit))
    result = verify(folder.path)
    assert (result.ok, result.exhibits) == (True, 2)
    (pictures / "more.png").write_bytes(b"")
    (finding,) = verify(folder.path).findings
    assert finding.message.endswith("'more.png' was added")
    assert finding.message.isprintable()


def test_a_finished_run_without_evidence_is_told(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", evidence=[])
    with folder.record():
        pass
    assert kinds(verify(folder.path)) == [(Kind.EVIDENCE_MISSING, LEDGER_NAME)]


@pytest.mark.parametrize(
    "fields",
    [
        {"products": 3},
        {"products": ["raw.wav"]},
        {"products": {"raw.wav": None}},
        {"products": {"raw.wav": "0" * 63}},
        {"materials": 3},
        {"materials": {"id": "E1"}},
        {"materials": [None, []]},
        {"materials": [{"path": 3, "sha256": "0" * 64}]},
        {"materials": [{"path": "/x", "sha256": "y"}]},
        {"materials": [{"path": "\0", "sha256": "0" * 64, "relative_path": "\0"}]},
        {"materials": [{"path": "/" + "x" * 5000, "sha256": "0" * 64, "id": {"a": 1}, "relative_path": 3}]},
        {"materials": [{"path": "/dev/zero", "sha256": "0" * 64}]},
        {
            "materials": [
                {"path": "exhibits/clip.avi", "relative_path": ".", "sha256": "0" * 64, "files": [3, {"name": 1}]}
            ]
        },
        {"materials": [{"path": "", "relative_path": "", "sha256": "0" * 64, "files": {"a": 1}}]},
    ],
)
def test_hostile_entries_are_findings(case: Case, fields: dict[str, object]) -> None:
    rewrite_ledger(case, lambda entries: entries[5].update(fields))
    result = verify(case.run)
    assert not result.ok
    allowed = {Kind.MALFORMED, Kind.EVIDENCE_MISSING, Kind.EVIDENCE_CHANGED}
    assert {kind for kind, _ in kinds(result)} <= allowed


def test_names_cannot_reach_the_terminal_or_another_folder(case: Case) -> None:
    products = {"../../exhibits/clip.avi": sha256_file(case.clip), "\x1b[2J": "0" * 64, MANIFEST_NAME: "0" * 64}
    rewrite_ledger(case, lambda entries: entries[5].update(products=products))
    result = verify(case.run)
    assert (Kind.MISSING, "../../exhibits/clip.avi") in kinds(result)
    assert (Kind.MISSING, "\\x1b[2J") in kinds(result)
    assert (Kind.MALFORMED, LEDGER_NAME) in kinds(result)
    assert all(finding.where.isprintable() and finding.message.isprintable() for finding in result.findings)
    assert shown("\u202egnp.exe") == "\\u202egnp.exe"


def test_an_ending_that_is_not_the_last_entry_is_no_ending(case: Case) -> None:
    rewrite_ledger(case, lambda entries: entries.append(dict(entries[3])))
    result = verify(case.run)
    assert (kinds(result), result.status) == ([(Kind.UNFINISHED, LEDGER_NAME)], RunStatus.UNFINISHED)


def test_unknown_fields_and_events_are_fine(case: Case) -> None:
    rewrite_ledger(case, lambda entries: entries.insert(2, dict(entries[0]) | {"event": "weather", "rain": [True]}))
    assert verify(case.run).ok


@pytest.mark.parametrize("content", [b"", b"\n", b"\0" * 1000, b"{}", b"{}\n" * 3, b"null\n", bytes(range(256)) * 9])
def test_a_ledger_of_anything_is_survived(case: Case, content: bytes) -> None:
    case.ledger.write_bytes(content)
    case.manifest.write_bytes(content)
    result = verify(case.run)
    assert (result.status, result.entries) == (RunStatus.UNFINISHED, 0)
    assert (Kind.UNFINISHED, LEDGER_NAME) in kinds(result)


def test_what_is_no_run_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "none", tmp_path / "file"):
        with pytest.raises(CustodyError, match="run folder"):
            verify(path)
    (tmp_path / "empty").mkdir()
    result = verify(tmp_path / "empty")
    assert kinds(result) == [(Kind.MISSING, LEDGER_NAME), (Kind.MISSING, MANIFEST_NAME)]
    assert (result.head, result.manifest_sha256) == (None, None)


def test_progress_tells_the_bytes_read(case: Case) -> None:
    read: list[int] = []
    verify(case.run, progress=read.append)
    total = sum(file.stat().st_size for file in case.root.rglob("*") if file.is_file())
    assert sum(read) == total


def test_two_runs_differ_in_nothing_but_the_ledger(tmp_path: Path) -> None:
    one, other = make(tmp_path / "1"), make(tmp_path / "2")
    for name in ARTEFACTS:
        assert (one.run / name).read_bytes() == (other.run / name).read_bytes()
    listed = [case.manifest.read_text().splitlines() for case in (one, other)]
    differing = [a.split("  ")[1] for a, b in zip(*listed, strict=True) if a != b]
    assert differing == [LEDGER_NAME]


def test_the_chain_holds_for_stock_tools(case: Case) -> None:
    lines = case.ledger.read_bytes().splitlines()
    for n in range(2, len(lines) + 1):
        command = f"sed -n {n - 1}p {LEDGER_NAME} | sha256sum"
        by_hand = subprocess.run(["bash", "-c", command], cwd=case.run, check=True, capture_output=True, text=True)
        assert by_hand.stdout.split()[0] == json.loads(lines[n - 1])["prev"]
        assert rfc8785.dumps(json.loads(lines[n - 1])) == lines[n - 1]
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", MANIFEST_NAME], cwd=case.run, check=True)
