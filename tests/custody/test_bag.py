import os
import subprocess
from pathlib import Path
from typing import Any

import bagit
import pytest

from vmforensics.custody.bag import write_bag
from vmforensics.custody.verify import verify
from vmforensics.errors import CustodyError, OutputError


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_bag_is_accepted_by_bagit_and_sha256sum_and_verifies(case: Any, tmp_path: Path) -> None:
    read: list[int] = []
    sha256 = write_bag(case.root, tmp_path / "out" / "bag", progress=read.append)
    bag = tmp_path / "out" / "bag"
    assert contents(bag / "data") == contents(case.root)
    assert sum(read) == sum(map(len, contents(case.root).values()))
    for manifest in ("manifest-sha256.txt", "tagmanifest-sha256.txt"):
        subprocess.run(["sha256sum", "--check", "--strict", "--quiet", manifest], cwd=bag, check=True)
    told = subprocess.run(["sha256sum", "tagmanifest-sha256.txt"], cwd=bag, check=True, capture_output=True, text=True)
    assert told.stdout.split()[0] == sha256
    opened = bagit.Bag(str(bag))
    assert opened.is_valid()
    assert opened.version_info == (1, 0)
    assert opened.info["Payload-Oxum"] == f"{sum(read)}.{len(contents(case.root))}"
    assert verify(bag / "data", expected=[case.noted]).anchored
    assert [item.name for item in (tmp_path / "out").iterdir()] == ["bag"]


def test_a_changed_bag_is_refused_by_bagit(case: Any, tmp_path: Path) -> None:
    write_bag(case.root, tmp_path / "bag")
    (tmp_path / "bag" / "data" / "case.yaml").write_bytes(b"version: 2\n")
    with pytest.raises(bagit.BagValidationError):
        bagit.Bag(str(tmp_path / "bag")).validate()


def test_what_a_bag_cannot_hold_is_refused_and_nothing_is_left(case: Any, tmp_path: Path) -> None:
    place = tmp_path / "out"
    place.mkdir()
    odd = case.root / "evidence" / "odd"
    odd.symlink_to("/etc/passwd")
    with pytest.raises(CustodyError, match="symbolic link"):
        write_bag(case.root, place / "bag")
    odd.unlink()
    for name in ("100%.avi", "new\nline", "back\\slash", os.fsdecode(b"\xff")):
        (case.root / "evidence" / name).write_bytes(b"")
        with pytest.raises(CustodyError, match="BagIt writes this name otherwise"):
            write_bag(case.root, place / "bag")
        (case.root / "evidence" / name).unlink()
    with pytest.raises(OutputError, match="there already"):
        write_bag(case.root, place)
    with pytest.raises(OutputError, match="lies in the folder"):
        write_bag(case.root, case.root / "notes" / "bag")
    with pytest.raises(CustodyError, match="can't be read"):
        write_bag(tmp_path / "none", place / "bag")
    assert list(place.iterdir()) == []
