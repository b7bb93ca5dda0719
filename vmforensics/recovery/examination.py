"""Evidence digested before its first use and after its last, on record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vmforensics.custody import EvidenceDigest, Ledger, check_unchanged, digest_evidence
from vmforensics.data import Evidence
from vmforensics.errors import DigestMismatch
from vmforensics.recovery.watch import Watcher


@dataclass(frozen=True, slots=True)
class Examination:
    """The two digests of one piece of evidence, each a step in the ledger.

    Parameters
    ----------
    evidence
        What is examined.
    ledger
        Where it goes on record.
    watcher
        Told of the progress.
    """

    evidence: Evidence
    ledger: Ledger
    watcher: Watcher

    def before(self, expected_sha256: str | None = None) -> EvidenceDigest:
        """Digest the evidence before anything else reads it.

        Raises
        ------
        DigestMismatch
            It isn't the evidence that was expected.
        """
        with self.ledger.step("digest evidence before"):
            digest = digest_evidence(self.evidence, progress=self._progress("hashing evidence"))
            self.ledger.digested(self.evidence, digest)
            if expected_sha256 not in (None, digest.sha256):
                raise DigestMismatch(
                    f"{self.evidence.path}: SHA-256 is {digest.sha256}, the case expects {expected_sha256}",
                    hint="this isn't the file that the case was made for, or it has changed since",
                )
        return digest

    def after(self, before: EvidenceDigest) -> None:
        """Digest the evidence after its last use; it must be what it was."""
        with self.ledger.step("digest evidence after"):
            after = check_unchanged(self.evidence, before, progress=self._progress("hashing evidence again"))
            self.ledger.digested(self.evidence, after)

    def _progress(self, what: str) -> Callable[[int], None]:
        total = sum(file.stat().st_size for file in self.evidence.files())
        done = 0

        def count(size: int) -> None:
            nonlocal done
            done += size
            self.watcher.progress(what, done, total, "bytes")

        return count
