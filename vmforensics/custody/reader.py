"""Reading for a verification: each file and each exhibit once, however many records speak of it."""

from __future__ import annotations

import errno
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from vmforensics.custody.digest import EvidenceDigest, digest_evidence, sha256_file
from vmforensics.data import Evidence


class Reader:
    """Digests files, and remembers them; looks out for digests that were noted elsewhere.

    Parameters
    ----------
    progress
        Called with the number of bytes read since the last call.
    expected
        SHA-256 digests that something in the folder must have: of a ledger's line, a manifest, or a seal's envelope.
    """

    def __init__(self, progress: Callable[[int], None] | None, expected: Iterable[str] = ()) -> None:
        self._progress = progress
        self._files: dict[Path, str] = {}
        self._exhibits: dict[Path, EvidenceDigest] = {}
        self.unmet = set(expected)

    def saw(self, sha256: str) -> None:
        """Note that something has this digest."""
        self.unmet.discard(sha256)

    def sha256(self, path: Path) -> str:
        """SHA-256 of a regular file.

        Raises
        ------
        OSError
            It can't be read, or is something else: a pipe would wait for a writer, a link leads elsewhere.
        """
        if path not in self._files:
            if not stat.S_ISREG(path.lstat().st_mode):
                raise OSError(errno.EINVAL, "is no regular file", str(path))
            self._files[path] = sha256_file(path, progress=self._progress)
        return self._files[path]

    def exhibit(self, path: Path) -> EvidenceDigest:
        """Digest of an exhibit.

        Raises
        ------
        EvidenceMissing, EvidenceUnreadable
            It can't be read.
        """
        if path not in self._exhibits:
            self._exhibits[path] = digest_evidence(Evidence(path), progress=self._progress)
        return self._exhibits[path]
