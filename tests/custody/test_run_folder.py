import errno
import hashlib
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vmforensics.custody import run_folder as run_folder_module
from vmforensics.custody.entries import read_ledger
from vmforensics.custody.ledger import LEDGER_NAME
from vmforensics.custody.manifest import MANIFEST_NAME, read_manifest
from vmforensics.custody.run_folder import PARTIAL_PREFIX, RunFolder, next_run_folder
from vmforensics.errors import OutputError, StageError


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", evidence=[])


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    clip = tmp_path / "footage" / "clip.avi"
    clip.parent.mkdir()
    clip.write_bytes(b"frames")
    return clip


def names(folder: RunFolder) -> list[str]:
    return sorted(item.name for item in folder.path.iterdir())


def fail_with(code: int) -> OSError:
    return OSError(code, os.strerror(code))


def test_it_is_made_with_its_parents_or_taken_if_empty(tmp_path: Path, clip: Path) -> None:
    path = tmp_path / "a" / "b"
    assert RunFolder.create(path, evidence=[clip]).path == path
    assert RunFolder.create(path, evidence=[clip]).path.is_dir()


def test_it_is_its_owners_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = [RunFolder.create(tmp_path / "a" / "b", evidence=[]).path, next_run_folder(tmp_path / "runs")]
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in made] == [0o700, 0o700]


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run" / "x").mkdir(parents=True)
    with pytest.raises(OutputError, match="isn't empty"):
        RunFolder.create(tmp_path / "run", evidence=[])
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(OutputError, match="a file"):
            RunFolder.create(path, evidence=[])
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputError):
        RunFolder.create(tmp_path / "dangling", evidence=[])


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(OutputError, match="isn't writable"):
        RunFolder.create(tmp_path / "run", evidence=[])
    with pytest.raises(OutputError, match="can't be made"):
        RunFolder.create(Path("/proc/run"), evidence=[])


def test_nothing_is_made_beside_evidence(tmp_path: Path, clip: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    kept = tmp_path / "case" / "Evidence" / "camera 1" / "clip.avi"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"")
    linked = tmp_path / "links" / "clip.avi"
    linked.parent.mkdir()
    linked.symlink_to(clip)
    (tmp_path / "alias").symlink_to(pictures)
    refused = [
        (clip, clip.parent),
        (pictures, pictures),
        (pictures, pictures / "runs" / "001"),
        (pictures, tmp_path / "alias" / "001"),
        (pictures, pictures / ".." / "pictures" / "001"),
        (tmp_path / "alias", pictures / "001"),
        (pictures, tmp_path),
        (clip, tmp_path),
        (kept, tmp_path / "case" / "Evidence" / "runs" / "001"),
        (kept, tmp_path / "case" / "Evidence"),
        (linked, linked.parent),
        (linked, clip.parent),
    ]
    before = sorted(tmp_path.rglob("*"))
    for evidence, out in refused:
        with pytest.raises(OutputError, match=r"evidence.*folder elsewhere"):
            RunFolder.create(out, evidence=[evidence])
    with pytest.raises(OutputError, match="evidence"):
        next_run_folder(pictures, evidence=[clip, pictures])
    assert sorted(tmp_path.rglob("*")) == before
    for evidence, out in (
        (clip, clip.parent / "runs" / "001"),
        (kept, tmp_path / "case" / "runs"),
        (pictures, tmp_path / "p2"),
    ):
        assert RunFolder.create(out, evidence=[evidence]).path.is_dir()


def test_runs_are_numbered_and_numbers_are_not_used_again(tmp_path: Path) -> None:
    runs = tmp_path / "case" / "runs"
    assert [next_run_folder(runs).name for _ in range(3)] == ["001", "002", "003"]
    (runs / "001").rmdir()
    (runs / "notes").mkdir()
    (runs / "0999").write_text("")
    assert next_run_folder(runs).name == "1000"
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="no run folder"):
        next_run_folder(tmp_path / "file")


def test_two_runs_never_get_the_same_number(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: next_run_folder(tmp_path), range(40)))
    assert sorted(path.name for path in made) == [f"{k:03d}" for k in range(1, 41)]


def test_files_are_published_whole_under_their_names(folder: RunFolder) -> None:
    with folder.staging() as staging:
        assert staging.name.startswith(PARTIAL_PREFIX)
        for name in ("b.wav", "a.npz", "scratch"):
            (staging / name).write_text(name)
        published = folder.publish([staging / "b.wav", staging / "a.npz", staging / "b.wav"])
    assert published == {name: hashlib.sha256(name.encode()).hexdigest() for name in ("a.npz", "b.wav")}
    assert names(folder) == ["a.npz", "b.wav"]
    assert (folder.path / "a.npz").stat().st_nlink == 1


def test_an_exception_leaves_nothing_half_made(folder: RunFolder) -> None:
    def write_half() -> None:
        with folder.staging() as staging:
            (staging / "raw.wav").write_text("half")
            (staging / "sub").mkdir()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert names(folder) == []


def test_nothing_is_overwritten(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write("case.yaml", b"first")
    with pytest.raises(OutputError, match=r"'case\.yaml' is there already"):
        folder.write("case.yaml", b"second")
    with folder.staging() as staging:
        for name in ("a.wav", "case.yaml"):
            (staging / name).write_bytes(b"second")
        with pytest.raises(OutputError, match="already"):
            folder.publish([staging / "a.wav", staging / "case.yaml"])
    assert names(folder) == ["case.yaml"]
    monkeypatch.setattr(os.path, "lexists", lambda path: False)  # somebody else makes the file just now
    with pytest.raises(OutputError, match="File exists"):
        folder.write("case.yaml", b"third")
    assert (folder.path / "case.yaml").read_bytes() == b"first"
    assert names(folder) == ["case.yaml"]


def test_file_systems_without_hard_links_do_too(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*paths: Path, follow_symlinks: bool) -> None:
        raise fail_with(errno.EPERM)

    monkeypatch.setattr(os, "link", no_links)
    folder.write("case.yaml", b"first")
    with pytest.raises(OutputError, match="already"):
        folder.write("case.yaml", b"second")
    assert (folder.path / "case.yaml").read_bytes() == b"first"
    assert names(folder) == ["case.yaml"]


@pytest.mark.parametrize(
    "name", ["", ".hidden", "a/b", "../up", "a\\b", "new\nline", "\x1b[2J", "x" * 201, os.fsdecode(b"\xff")]
)
def test_odd_names_are_refused(folder: RunFolder, name: str) -> None:
    with pytest.raises(OutputError, match="file name"):
        folder.write(name, b"")
    assert names(folder) == []


def test_what_an_exporter_returns_is_checked(folder: RunFolder, clip: Path) -> None:
    with folder.staging() as staging:
        for name in ("good.wav", ".hidden", "new\nline", LEDGER_NAME, MANIFEST_NAME):
            (staging / name).write_text("")
        (staging / "folder").mkdir()
        (staging / "folder" / "deep.wav").write_text("")
        (staging / "link.wav").symlink_to(clip)
        (staging / "hard.wav").hardlink_to(clip)
        (staging / "alias").symlink_to(clip.parent)
        (folder.path / "stray.wav").write_text("")
        unfit = [
            ".hidden",
            "new\nline",
            LEDGER_NAME,
            MANIFEST_NAME,
            "folder",
            "folder/deep.wav",
            "link.wav",
            "hard.wav",
        ]
        unfit += ["alias/clip.avi", "none.wav", "../stray.wav", str(clip)]
        for name in unfit:
            with pytest.raises(StageError, match="artefact"):
                folder.publish([staging / "good.wav", staging / name])
        (folder.path / "stray.wav").unlink()
        assert names(folder) == [staging.name]
        assert list(folder.publish([staging / "good.wav"])) == ["good.wav"]


def test_a_full_disk_is_told_and_leaves_nothing(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def export_until_full() -> None:
        with folder.staging() as staging:
            (staging / "raw.wav").write_text("half")
            raise fail_with(errno.ENOSPC)

    def full(*_: object) -> None:
        raise fail_with(errno.ENOSPC)

    with pytest.raises(OutputError, match="No space left"):
        export_until_full()
    for function in ("fsync", "mkdir"):
        with monkeypatch.context() as patch:
            patch.setattr(os, function, full)
            with pytest.raises(OutputError, match="No space left"):
                folder.write("case.yaml", b"x")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OutputError, match=r"case\.yaml: can't be written: No space left"):
            folder.write("case.yaml", b"x")
    assert names(folder) == []


def test_other_errors_of_the_body_are_left_as_they_are(folder: RunFolder) -> None:
    def fail() -> None:
        with folder.staging():
            raise fail_with(errno.ENOENT)

    with pytest.raises(FileNotFoundError):
        fail()


def test_a_recorded_run_ends_with_a_manifest_of_everything(folder: RunFolder) -> None:
    with folder.record(case="C-1") as ledger:
        ledger.published(folder.write("case.yaml", b"x"))
    assert list(read_manifest(folder.path / MANIFEST_NAME)) == ["case.yaml", LEDGER_NAME]
    entries = read_ledger(folder.path / LEDGER_NAME)
    assert [entry.event for entry in entries] == ["run-started", "artefacts-published", "run-finished"]
    assert entries[0].fields == {"case": "C-1"}
    with pytest.raises(OutputError, match="already"), folder.record():
        pass


@pytest.mark.parametrize(
    ("error", "event"), [(StageError("no"), "run-failed"), (KeyboardInterrupt(), "run-interrupted")]
)
def test_a_run_that_ends_badly_has_its_manifest_too(folder: RunFolder, error: BaseException, event: str) -> None:
    def run() -> None:
        with folder.record() as ledger, folder.staging() as staging:
            (staging / "raw.wav").write_text("half")
            ledger.published(folder.write("case.yaml", b"x"))
            raise error

    with pytest.raises(type(error)):
        run()
    assert read_ledger(folder.path / LEDGER_NAME)[-1].event == event
    assert list(read_manifest(folder.path / MANIFEST_NAME)) == ["case.yaml", LEDGER_NAME]


def test_the_first_error_is_told_when_the_manifest_fails(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: RunFolder) -> None:
        raise OutputError("disk full")

    def run() -> None:
        with folder.record():
            raise StageError("the first")

    monkeypatch.setattr(run_folder_module, "write_manifest", full)
    with pytest.raises(StageError, match="the first") as caught:
        run()
    assert "disk full" in caught.value.__notes__[0]


def test_another_runs_folder_is_left_alone(folder: RunFolder) -> None:
    with folder.record():
        with pytest.raises(OutputError, match="already"), folder.record():
            pass
        assert names(folder) == [LEDGER_NAME]
    assert [entry.event for entry in read_ledger(folder.path / LEDGER_NAME)] == ["run-started", "run-finished"]


def test_a_terminated_process_leaves_a_whole_record(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from vmforensics.custody.run_folder import RunFolder\n"
        "folder = RunFolder.create(Path(sys.argv[1]), evidence=[])\n"
        "with folder.record() as ledger, ledger.step('slow'), folder.staging() as staging:\n"
        "    (staging / 'raw.wav').write_text('half')\n"
        "    print('go', flush=True)\n"
        "    time.sleep(60)\n"
    )
    run = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-c", script, run], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
    assert process.returncode != 0
    assert sorted(item.name for item in run.iterdir()) == [LEDGER_NAME, MANIFEST_NAME]
    assert [entry.event for entry in read_ledger(run / LEDGER_NAME)] == [
        "run-started",
        "step-started",
        "step-interrupted",
        "run-interrupted",
    ]
