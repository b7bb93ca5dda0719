"""Files of a run folder inside the page, as data: URIs, checked against the run's own digests."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from vmforensics.errors import CustodyError

FILE_BYTES = 20_000_000
"""Size of a file up to which it becomes part of the page; a larger one is linked by its name."""

PAGE_BYTES = 30_000_000
"""Size of all files together that become part of one page; those beyond it are linked."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file that the page shows or plays.

    Parameters
    ----------
    name : str
        Its name in the run folder.
    size : int, bytes
    sha256 : str
    content : bytes or None
        The file; None where the page has no room for it.
    uri : str or None
        The file as a data: URI; None likewise.
    link : str
        Where it lies, seen from the page.
    """

    name: str
    size: int
    sha256: str
    content: bytes | None
    uri: Markup | None
    link: str


@dataclass(slots=True)
class Attachments:
    """The files that a page takes in.

    Parameters
    ----------
    room : int, bytes
        How much more goes into the page.
    taken : dict
        Bytes taken in by kind of file, such as "audio".
    """

    room: int = PAGE_BYTES
    taken: dict[str, int] = field(default_factory=dict)

    def take(
        self, folder: Path, name: str, digests: Mapping[str, str], media_type: str, place: str = "."
    ) -> Attachment | None:
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
        place
            The run folder, seen from the page.

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
        path, link = folder / name, quote(f"{place}/{name}")
        try:
            size = path.stat().st_size
            if size > min(FILE_BYTES, self.room):
                return Attachment(name, size, digests[name], None, None, link)
            content = path.read_bytes()
        except OSError as error:
            raise CustodyError(
                f"{path}: the run lists this file, but it can't be read: {error.strerror}",
                hint="see: vmforensics verify",
            ) from error
        if hashlib.sha256(content).hexdigest() != digests[name]:
            raise CustodyError(f"{path}: isn't the file that the run wrote", hint="see: vmforensics verify")
        self.room -= size
        kind = media_type.partition("/")[0]
        self.taken[kind] = self.taken.get(kind, 0) + size
        # Base64 has no character that HTML would read as markup.
        uri = Markup(f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}")  # noqa: S704
        return Attachment(name, size, digests[name], content, uri, link)
