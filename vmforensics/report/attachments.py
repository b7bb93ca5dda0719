"""Files of the run folder inside the page, as data: URIs, checked against the run's own digests."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from vmforensics.errors import CustodyError

EMBEDDED_BYTES = 20_000_000
"""Size of a file up to which it becomes part of the page; a larger one is linked by its name."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file that the page shows or plays.

    Parameters
    ----------
    name : str
        Its name in the run folder.
    size : int, bytes
    sha256 : str
    uri : str or None
        The file as a data: URI; None where it is too large.
    """

    name: str
    size: int
    sha256: str
    uri: Markup | None


def attach(folder: Path, name: str, digests: Mapping[str, str], media_type: str) -> Attachment | None:
    """Take a file into the page.

    Parameters
    ----------
    folder
        The run folder.
    name
        The file's name in it.
    digests
        SHA-256 of the run's files by name.
    media_type
        Such as "image/png".

    Returns
    -------
    Attachment or None
        None where the run has no such file.

    Raises
    ------
    CustodyError
        The file isn't the one that the run wrote, or is gone.
    """
    if name not in digests or name != Path(name).name:
        return None
    path = folder / name
    try:
        size = path.stat().st_size
        if size > EMBEDDED_BYTES:
            return Attachment(name, size, digests[name], None)
        content = path.read_bytes()
    except OSError as error:
        raise CustodyError(
            f"{path}: the run lists this file, but it can't be read: {error.strerror}",
            hint="see: vmforensics verify",
        ) from error
    if hashlib.sha256(content).hexdigest() != digests[name]:
        raise CustodyError(f"{path}: isn't the file that the run wrote", hint="see: vmforensics verify")
    # Base64 has no character that HTML would read as markup.
    uri = Markup(f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}")  # noqa: S704
    return Attachment(name, size, digests[name], uri)
