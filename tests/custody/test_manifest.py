import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from vmforensics.custody.digest import sha256_file, sha256sum_line
from vmforensics.custody.manifest import MANIFEST_NAME, read_manifest, scan_manifest, write_manifest
from vmforensics.custody.run_folder import RunFolder
from vmforensics.errors import CustodyError, OutputError

ODD_NAMES = [
    "plain.wav",
    "two words",
    "back\\slash",
    "line\nfeed",
    "carriage\rreturn",
    "ü",
    os.fsdecode(b"\xff\xfe"),
    "\\",
]
DIGEST = "0123456789abcdef" * 4


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", evidence=[])


def test_sha256sum_accepts_the_manifest_whatever_the_names(folder: RunFolder) -> None:
    for name in ODD_NAMES:
        (folder.path / name).write_bytes(name.encode("utf-8", "surrogateescape"))
    whole = write_manifest(folder)
    command = ["sha256sum", "--check", "--strict", "--quiet", MANIFEST_NAME]
    checked = subprocess.run(command, cwd=folder.path, check=False, capture_output=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
    assert whole == sha256_file(folder.path / MANIFEST_NAME)
    (folder.path / "two words").write_text("other")
    assert subprocess.run(command, cwd=folder.path, check=False, capture_output=True).returncode == 1


def test_it_lists_every_file_in_order_and_reads_back(folder: RunFolder) -> None:
    for name in ODD_NAMES:
        (folder.path / name).write_bytes(name.encode("utf-8", "surrogateescape"))
    write_manifest(folder)
    read = read_manifest(folder.path / MANIFEST_NAME)
    assert list(read) == sorted(ODD_NAMES, key=os.fsencode)
    assert read["ü"] == hashlib.sha256("ü".encode()).hexdigest()
    assert not any(line.problem for line in scan_manifest(folder.path / MANIFEST_NAME))


def test_it_is_written_once(folder: RunFolder) -> None:
    write_manifest(folder)
    with pytest.raises(OutputError, match="already"):
        write_manifest(folder)


@pytest.mark.parametrize("kind", ["folder", "link", "pipe"])
def test_only_regular_files_may_be_listed(folder: RunFolder, kind: str) -> None:
    odd = folder.path / "odd"
    {"folder": odd.mkdir, "link": lambda: odd.symlink_to("/etc/hostname"), "pipe": lambda: os.mkfifo(odd)}[kind]()
    with pytest.raises(CustodyError, match="odd"):
        write_manifest(folder)
    assert not (folder.path / MANIFEST_NAME).exists()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"", "isn't '<64"),
        (b"\0\xff", "isn't '<64"),
        (f"{DIGEST.upper()}  b".encode(), "isn't '<64"),
        (f"{DIGEST} *b".encode(), "isn't '<64"),
        (f"{DIGEST}  ".encode(), "isn't '<64"),
        (f"{DIGEST}  b\r".encode(), "as sha256sum writes it"),
        (f"{DIGEST}  b\\".encode(), "as sha256sum writes it"),
        (f"\\{DIGEST}  b".encode(), "as sha256sum writes it"),
        (f"\\{DIGEST}  b\\x".encode(), "as sha256sum writes it"),
        (f"{DIGEST}  a".encode(), "second time"),
        (f"{DIGEST}  A".encode(), "out of order"),
        (b"x" * 100_000, "longer than 16384"),
    ],
)
def test_a_bad_line_is_told(tmp_path: Path, line: bytes, problem: str) -> None:
    manifest = tmp_path / MANIFEST_NAME
    manifest.write_bytes(sha256sum_line(DIGEST, "a") + line + b"\n" + sha256sum_line(DIGEST, "z"))
    lines = list(scan_manifest(manifest))
    assert (lines[0].name, lines[0].problem, lines[-1].name, lines[-1].problem) == ("a", "", "z", "")
    assert problem in lines[1].problem
    with pytest.raises(CustodyError, match=":2: "):
        read_manifest(manifest)


def test_a_line_without_its_end_is_told(tmp_path: Path) -> None:
    manifest = tmp_path / MANIFEST_NAME
    manifest.write_bytes(sha256sum_line(DIGEST, "a")[:-1])
    with pytest.raises(CustodyError, match="line feed at its end"):
        read_manifest(manifest)
    with pytest.raises(CustodyError, match="can't be read"):
        read_manifest(tmp_path)
