"""Custody: digests, the ledger, the run folder and its manifest, the environment, and their verification."""

from vmforensics.custody.digest import (
    EvidenceDigest,
    FileDigest,
    WatchedStream,
    array_digest,
    check_unchanged,
    digest_evidence,
    sha256_file,
    source_digest,
)
from vmforensics.custody.environment import environment
from vmforensics.custody.ledger import LEDGER_NAME, Entry, Ledger, Terminated, material, read_ledger
from vmforensics.custody.manifest import MANIFEST_NAME, read_manifest, write_manifest
from vmforensics.custody.run_folder import RunFolder, next_run_folder
from vmforensics.custody.verify import Finding, FindingKind, RunStatus, Verification, verify

__all__ = [
    "LEDGER_NAME",
    "MANIFEST_NAME",
    "Entry",
    "EvidenceDigest",
    "FileDigest",
    "Finding",
    "FindingKind",
    "Ledger",
    "RunFolder",
    "RunStatus",
    "Terminated",
    "Verification",
    "WatchedStream",
    "array_digest",
    "check_unchanged",
    "digest_evidence",
    "environment",
    "material",
    "next_run_folder",
    "read_ledger",
    "read_manifest",
    "sha256_file",
    "source_digest",
    "verify",
    "write_manifest",
]
