"""A disclosure checks itself with plain Python, and says what was done to it."""

import os
import random
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from vmforensics.casefolder import CaseFolder, add_note
from vmforensics.exchange import export

WHO = {"actor": "J. Roe", "purpose": "request 5"}


@pytest.fixture(scope="module")
def unpacked(finished_case, tmp_path_factory) -> Path:
    """A disclosure of a case, unpacked; not to be written to."""
    folder = tmp_path_factory.mktemp("disclosed")
    case = Path(shutil.copytree(finished_case, folder / "A-1"))
    add_note(CaseFolder(case), "The lamp flickers.", **WHO)
    shutil.copy(case / "evidence" / "chips.mkv", case / "clip.mkv")
    made = export(case, "disclosure", folder / "a.zip", **WHO)
    with zipfile.ZipFile(made.path) as archive:
        archive.extractall(folder)
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.external_attr >> 16 for info in archive.infolist()} == {0o100644}
    return folder / "disclosure-A-1"


@pytest.fixture
def disclosed(unpacked, tmp_path) -> Path:
    """The same, to be written to."""
    return Path(shutil.copytree(unpacked, tmp_path / "disclosed", symlinks=True))


def checked(folder: Path, *options: object, code: int) -> str:
    """What the verifier in a disclosure says, run by Python without anything else."""
    command = [sys.executable, "-I", folder / "verify.py", *map(str, options)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]})
    assert answer.stderr == ""
    assert answer.returncode == code, answer.stdout
    return answer.stdout


def test_it_holds_what_it_takes(unpacked):
    there = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    run = {f"record/runs/001/{name}" for name in ("report.html", "ledger.jsonl", "case.resolved.yaml", "recovered.wav")}
    assert run | {"verify.py", "READ ME FIRST.txt", "bundle-sha256.txt", "record/ledger.jsonl"} <= there
    assert not any(name.endswith(".mkv") for name in there)  # wherever it lies, the evidence doesn't go out
    text = (unpacked / "READ ME FIRST.txt").read_text("utf-8")
    assert "python3 -I verify.py" in text
    assert "chips.mkv" in text


def test_plain_python_finds_it_in_order(unpacked, finished_case):
    told = checked(unpacked, "--evidence", finished_case / "evidence" / "chips.mkv", code=0)
    assert "EVERYTHING IS AS IT WAS RECORDED" in told
    assert "is the recording that was examined (exhibit E1)" in told


def test_stock_tools_find_it_in_order(unpacked):
    if shutil.which("sha256sum") is None:
        pytest.skip("sha256sum isn't installed")
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "bundle-sha256.txt"], cwd=unpacked, check=True)


def test_another_recording_is_told(unpacked, tmp_path):
    (tmp_path / "other.mkv").write_bytes(b"another clip")
    assert "isn't a recording that was examined" in checked(unpacked, "--evidence", tmp_path / "other.mkv", code=1)


def test_a_digest_noted_elsewhere_is_looked_for(unpacked, finished_case):
    head = CaseFolder(finished_case).run("001").head
    checked(unpacked, "--expect", head.upper(), code=0)
    assert "another state" in checked(unpacked, "--expect", "0" * 64, code=1)


def relisted(folder: Path) -> None:
    """Make the list of all files anew, as somebody would who changed one and knows how it works."""
    names = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    names.remove("bundle-sha256.txt")
    listing = subprocess.run(["sha256sum", *names], cwd=folder, check=True, capture_output=True).stdout
    (folder / "bundle-sha256.txt").write_bytes(listing)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("record/runs/001/recovered.wav", "has other content than the ledger recorded"),
        ("record/notes/0001.json", "has other content than the ledger recorded"),
        ("record/runs/001/ledger.jsonl", "has other content than manifest-sha256.txt recorded"),
    ],
)
def test_a_changed_file_is_found_behind_a_new_list(disclosed, name, message):
    if shutil.which("sha256sum") is None:
        pytest.skip("sha256sum isn't installed")
    path = disclosed / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    relisted(disclosed)
    assert message in checked(disclosed, code=1)


@pytest.mark.parametrize("line", [0, 5, -1])
def test_a_line_taken_out_of_a_ledger_is_found(disclosed, line):
    path = disclosed / "record" / "runs" / "001" / "ledger.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    del lines[line]
    path.write_bytes(b"".join(lines))
    told = checked(disclosed, code=1)
    assert "WRONG" in told
    assert "Traceback" not in told


def test_links_and_additions_are_found(disclosed):
    (disclosed / "record" / "more.txt").write_text("x", "utf-8")
    (disclosed / "record" / "runs" / "001" / "raw.wav").unlink()
    (disclosed / "record" / "runs" / "001" / "raw.wav").symlink_to("/dev/zero")
    told = checked(disclosed, code=1)
    assert "was added" in told
    assert "is no regular file" in told


def test_what_a_list_names_outside_is_not_opened(disclosed, tmp_path):
    (tmp_path / "outside").write_text("x", "utf-8")
    line = f"{'0' * 64}  ../outside\n"
    with (disclosed / "bundle-sha256.txt").open("a", encoding="utf-8") as file:
        file.write(line)
    told = checked(disclosed, code=1)
    assert "names a file outside of its folder" in told
    assert "outside: has other content" not in told


@pytest.mark.parametrize("seed", range(12))
def test_random_damage_is_found_and_never_breaks_it(disclosed, seed):
    rng = random.Random(seed)  # noqa: S311 damage, no secret
    files = sorted(path for path in disclosed.rglob("*") if path.is_file() and path.name != "verify.py")
    path = rng.choice([each for each in files if each.suffix in (".jsonl", ".txt", ".json", ".yaml")])
    data = bytearray(path.read_bytes())
    place = rng.randrange(len(data))
    if seed % 3 == 0:
        del data[place:]
    elif seed % 3 == 1:
        data[place] ^= 1 << rng.randrange(8)
    else:
        data[place:place] = rng.randbytes(7)
    path.write_bytes(data)
    assert "WRONG" in checked(disclosed, code=1)


def test_a_record_that_deviates_is_disclosed_as_it_is_and_says_so(case_folder, tmp_path):
    (case_folder / "runs" / "001" / "raw.wav").write_bytes(b"another sound")
    made = export(case_folder / "runs" / "001", "disclosure", tmp_path / "a.zip")
    with zipfile.ZipFile(made.path) as archive:
        archive.extractall(tmp_path)
    folder = tmp_path / "disclosure-001"
    assert "NOT AS IT WAS LEFT" in (folder / "READ ME FIRST.txt").read_text("utf-8")
    assert "raw.wav" in checked(folder, code=1)
