"""A copy for handing over, in the form that archives know: a BagIt bag, version 1.0 (RFC 8493).

The folder of a run or a case keeps its files where they are useful; a bag wants them below `data/`. So a bag is a copy:
`data/` holds the folder as it is, its seals included, and around it lie BagIt's own files. `sha256sum -c` checks either
manifest, and `vmforensics verify BAG/data` what the folder itself holds.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import vmforensics
from vmforensics.custody.digest import sha256sum_line
from vmforensics.custody.ledger import sync_folder
from vmforensics.custody.listing import Listing, list_folder
from vmforensics.custody.manifest import MANIFEST_NAME
from vmforensics.custody.opening import open_regular
from vmforensics.custody.run_folder import PARTIAL_PREFIX
from vmforensics.errors import CustodyError, OutputError

_DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
_CHUNK = 2**20  # bytes


def write_bag(folder: Path, out: Path, *, progress: Callable[[int], None] | None = None) -> str:
    """Copy a folder into a new bag.

    Parameters
    ----------
    folder
        The folder of a run or a case; it is only read.
    out
        Where the bag goes; nothing may be there yet.
    progress
        Called with the number of bytes copied since the last call.

    Returns
    -------
    str
        SHA-256 of the bag's tag manifest, which stands for the whole bag.

    Raises
    ------
    CustodyError
        The folder holds something that is neither a file nor a folder, or a name that tools read differently.
    OutputError
        `out` is there already, lies in the folder, or can't be written.
    """
    if os.path.lexists(out):
        raise OutputError(f"{out}: is there already; a bag is a new folder", hint="name another")
    if Path(os.path.realpath(out)).is_relative_to(os.path.realpath(folder)):
        raise OutputError(f"{out}: lies in the folder that it is to hold a copy of", hint="name a folder elsewhere")
    listing = list_folder(folder)
    _check(folder, listing)
    staging: Path | None = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=PARTIAL_PREFIX, dir=out.parent))
        manifest = b"".join(
            sha256sum_line(_copy(folder / name, staging / "data" / name, progress), f"data/{name}")
            for name in listing.files
        )
        (staging / "data").mkdir(exist_ok=True)
        tags = {
            "bag-info.txt": _information(listing),
            "bagit.txt": _DECLARATION,
            MANIFEST_NAME: manifest,
        }
        tag_manifest = b"".join(
            sha256sum_line(hashlib.sha256(data).hexdigest(), name) for name, data in sorted(tags.items())
        )
        for name, data in (*tags.items(), (f"tag{MANIFEST_NAME}", tag_manifest)):
            with (staging / name).open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        sync_folder(staging)
        staging.rename(out)
        sync_folder(out.parent)
    except OSError as error:
        raise OutputError(f"{out}: the bag can't be written: {error.strerror}") from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
    return hashlib.sha256(tag_manifest).hexdigest()


def _check(folder: Path, listing: Listing) -> None:
    listing.check_whole(folder, "lie in a bag")
    for name in listing.files:
        if "%" in name or "\\" in name or not name.isprintable():
            raise CustodyError(
                f"{folder}: {name!r}: BagIt writes this name otherwise than sha256sum, so that tools would disagree",
                hint="names in a bag hold no per cent sign, no backslash and nothing that can't be printed",
            )


def _information(listing: Listing) -> bytes:
    """The bag's description. Payload-Oxum is the number of bytes and of files."""
    fields = {
        "Bag-Software-Agent": f"vmforensics {vmforensics.__version__}",
        "Bagging-Date": datetime.now(UTC).date().isoformat(),
        "Payload-Oxum": f"{sum(listing.files.values())}.{len(listing.files)}",
    }
    return "".join(f"{name}: {value}\n" for name, value in fields.items()).encode()


def _copy(source: Path, target: Path, progress: Callable[[int], None] | None) -> str:
    """Copy a file with its times and permissions, and give its SHA-256."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with open_regular(source) as old, target.open("xb") as new:
        while chunk := old.read(_CHUNK):
            digest.update(chunk)
            new.write(chunk)
            if progress is not None:
                progress(len(chunk))
        new.flush()
        os.fsync(new.fileno())
        shutil.copystat(source, target, follow_symlinks=False)
    return digest.hexdigest()
