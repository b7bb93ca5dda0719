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
from vmforensics.custody.entries import Entry, read_ledger, scan_ledger
from vmforensics.custody.environment import environment
from vmforensics.custody.findings import Finding, FindingKind, shown
from vmforensics.custody.keys import PrivateKey, PublicKey, new_key, read_private_key, read_public_keys
from vmforensics.custody.ledger import LEDGER_NAME, Head, Ledger, material
from vmforensics.custody.manifest import MANIFEST_NAME, read_manifest, write_manifest
from vmforensics.custody.run_folder import RunFolder, next_run_folder
from vmforensics.custody.seal import Seal, seal
from vmforensics.custody.seal_check import Trust
from vmforensics.custody.signals import Terminated
from vmforensics.custody.timestamp import read_authorities
from vmforensics.custody.verification import Anchor, RunStatus, SealVerdict, Verification
from vmforensics.custody.verify import verify

__all__ = [
    "LEDGER_NAME",
    "MANIFEST_NAME",
    "Anchor",
    "Entry",
    "EvidenceDigest",
    "FileDigest",
    "Finding",
    "FindingKind",
    "Head",
    "Ledger",
    "PrivateKey",
    "PublicKey",
    "RunFolder",
    "RunStatus",
    "Seal",
    "SealVerdict",
    "Terminated",
    "Trust",
    "Verification",
    "WatchedStream",
    "array_digest",
    "check_unchanged",
    "digest_evidence",
    "environment",
    "material",
    "new_key",
    "next_run_folder",
    "read_authorities",
    "read_ledger",
    "read_manifest",
    "read_private_key",
    "read_public_keys",
    "scan_ledger",
    "seal",
    "sha256_file",
    "shown",
    "source_digest",
    "verify",
    "write_manifest",
]
