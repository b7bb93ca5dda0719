"""Checking seals: whether each is whole and signed, whose it is, and what it covers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vmforensics.custody.dsse import Envelope, parse_envelope
from vmforensics.custody.findings import FindingKind, shown
from vmforensics.custody.keys import PublicKey, parse_public_key
from vmforensics.custody.ledger_check import Found
from vmforensics.custody.listing import what_is_odd
from vmforensics.custody.manifest import MANIFEST_NAME, scan_manifest
from vmforensics.custody.opening import read_bounded
from vmforensics.custody.reader import Reader
from vmforensics.custody.run_folder import PARTIAL_PREFIX
from vmforensics.custody.seal import (
    ENVELOPE_NAME,
    PUBLIC_KEY_NAME,
    SEALS_NAME,
    STAMP_NAME,
    is_seal_name,
    sha256_of_beginning,
)
from vmforensics.custody.statement import Statement, parse_statement
from vmforensics.custody.timestamp import LARGEST_STAMP, Stamp, read_stamp
from vmforensics.custody.verification import Anchor, SealVerdict
from vmforensics.errors import ExtraMissing

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_LARGEST_ENVELOPE = 2**26  # bytes
_LARGEST_KEY = 2**14  # bytes


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom a verification may rely on, and what it has to find.

    Parameters
    ----------
    keys : tuple of PublicKey
        Who may seal; if any is given, the folder must be sealed by one of them.
    authorities : tuple of Certificate
        Root certificates of time-stamping authorities.
    """

    keys: tuple[PublicKey, ...] = ()
    authorities: tuple[Certificate, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckedSeal:
    """A seal that holds, and what it covers.

    Parameters
    ----------
    where : str
        Its folder, from that which it seals.
    statement : Statement
    listed : mapping
        SHA-256 by path.
    """

    where: str
    statement: Statement
    listed: Mapping[str, str]

    @property
    def name(self) -> str:
        """What messages call it: "seal 001"."""
        return f"seal {self.statement.number:03d}"


class SealCheck:
    """One look at the seals of a folder.

    Parameters
    ----------
    folder
        The folder that they seal.
    reader
        Reads files.
    found, note
        Told of every deviation; told what is worth knowing.
    trust
        Whom to rely on.

    Attributes
    ----------
    verdicts : list of SealVerdict
        All of them, in order.
    standing : list of CheckedSeal
        Those that hold and, if keys were given as trusted, are of one of these; the last is the one that counts.
    """

    def __init__(self, folder: Path, reader: Reader, found: Found, note: Callable[[str], None], trust: Trust) -> None:
        self._folder = folder
        self._reader = reader
        self._found = found
        self._note = note
        self._trust = trust
        self.verdicts: list[SealVerdict] = []
        self.standing: list[CheckedSeal] = []
        previous: tuple[int, str] | None = None
        for number in self._numbers():
            envelope = self._check(number, previous)
            previous = (number, envelope)

    def _numbers(self) -> list[int]:
        """Numbers of the folders that may be seals; anything else beside them is a finding."""
        numbers = []
        try:
            items = sorted(os.scandir(self._folder / SEALS_NAME), key=lambda item: os.fsencode(item.name))
        except FileNotFoundError:
            return []
        except OSError as error:
            self._found(FindingKind.UNREADABLE, SEALS_NAME, f"can't be read as a folder of seals: {error.strerror}")
            return []
        for item in items:
            where = f"{SEALS_NAME}/{item.name}"
            is_folder = item.is_dir(follow_symlinks=False)
            if is_folder and is_seal_name(item.name):
                numbers.append(int(item.name))
            elif is_folder and item.name.startswith(PARTIAL_PREFIX):
                self._note(f"{shown(where)} was left by a sealing that ended abruptly; it counts for nothing")
            else:
                what = what_is_odd(item) or ("a folder" if is_folder else "a file")
                self._found(FindingKind.ADDED, where, f"is {what}; only numbered seals belong here, 001 and so on")
        return sorted(numbers)

    def _check(self, number: int, previous: tuple[int, str] | None) -> str:
        """Look at one seal, and give the SHA-256 of its envelope, "" where that can't be read."""
        place, where = self._folder / SEALS_NAME / f"{number:03d}", f"{SEALS_NAME}/{number:03d}"
        content = self._content(place, where)
        if not {MANIFEST_NAME, ENVELOPE_NAME, PUBLIC_KEY_NAME} <= content:
            return ""
        try:
            data = read_bounded(place / ENVELOPE_NAME, _LARGEST_ENVELOPE)
            envelope_sha256 = self._reader.sha256(place / ENVELOPE_NAME)
            pem = read_bounded(place / PUBLIC_KEY_NAME, _LARGEST_KEY)
        except OSError as error:
            self._found(FindingKind.UNREADABLE, where, f"the seal can't be read: {error.strerror}")
            return ""
        self._reader.saw(envelope_sha256)
        verdict = SealVerdict(
            where, envelope_sha256, holds=False, key="", trusted=None, sealed="", actor="", purpose=""
        )
        before = len(self.verdicts)
        self.verdicts.append(verdict)
        try:
            envelope = parse_envelope(data)
        except ValueError as error:
            self._found(FindingKind.MALFORMED, f"{where}/{ENVELOPE_NAME}", f"{error}: the seal was changed")
            return envelope_sha256
        key = self._signer(envelope, pem, where)
        if key is None:  # nothing that it says can be held against anything
            return envelope_sha256
        try:
            statement = parse_statement(envelope.payload)
        except ValueError as error:
            self._found(FindingKind.MALFORMED, f"{where}/{ENVELOPE_NAME}", f"the seal's statement {error}")
            return envelope_sha256
        listed = self._listed(place, where, statement)
        stamp = self._stamp(place, where, statement, envelope, content)
        trusted = key in self._trust.keys if self._trust.keys else None
        in_place = self._in_its_place(statement, number, previous, where)
        amends = ""
        if in_place and listed is not None:
            checked = CheckedSeal(where, statement, listed)
            amends = _difference(self.standing[-1], checked) if self.standing else ""
            if before and self.verdicts[before - 1].key not in ("", key.fingerprint):
                self._note(f"{where} is signed with another key than the seal before it")
            if trusted is not False:
                self.standing.append(checked)
        self.verdicts[before] = replace(
            verdict,
            holds=in_place and listed is not None,
            key=key.fingerprint,
            trusted=trusted,
            sealed=statement.sealed,
            actor=statement.actor,
            purpose=statement.purpose,
            deviations=statement.deviations,
            amends=amends,
            stamped=stamp.time if stamp else None,
            stamp_vouched=bool(stamp and stamp.vouched),
        )
        return envelope_sha256

    def _content(self, place: Path, where: str) -> set[str]:
        """The files of a seal that are there; what misses, and what doesn't belong, is a finding."""
        names: set[str] = set()
        known = {MANIFEST_NAME, ENVELOPE_NAME, PUBLIC_KEY_NAME, STAMP_NAME}
        try:
            items = sorted(os.scandir(place), key=lambda item: os.fsencode(item.name))
        except OSError as error:
            self._found(FindingKind.UNREADABLE, where, f"the seal can't be read: {error.strerror}")
            return names
        for item in items:
            what = "a folder" if item.is_dir(follow_symlinks=False) else what_is_odd(item)
            if what:
                self._found(FindingKind.ADDED, f"{where}/{item.name}", f"is {what}; a seal holds files only")
            elif item.name not in known:
                self._found(FindingKind.ADDED, f"{where}/{item.name}", "is no part of a seal")
            else:
                names.add(item.name)
        for name in sorted(known - {STAMP_NAME} - names):
            self._found(FindingKind.MISSING, f"{where}/{name}", "isn't there; without it, the seal proves nothing")
        return names

    def _signer(self, envelope: Envelope, pem: bytes, where: str) -> PublicKey | None:
        """The key that signed, if the signature is right and the key is the one that is named."""
        try:
            key = parse_public_key(pem)
        except ValueError as error:
            self._found(FindingKind.MALFORMED, f"{where}/{PUBLIC_KEY_NAME}", f"{error}; it is a public key no more")
            return None
        if key.pem != pem:
            self._found(FindingKind.MALFORMED, f"{where}/{PUBLIC_KEY_NAME}", "holds more than the public key")
        verifies = key.verifies(envelope.signature, envelope.signed)
        named = key.fingerprint == envelope.keyid
        if verifies and named:
            self._hold_against_trusted(key, where)
            return key
        if verifies:
            message = "names another key than the one that signed: the name was changed"
            self._found(FindingKind.SIGNATURE, f"{where}/{ENVELOPE_NAME}", message)
        elif named:
            message = (
                "the signature isn't one over this statement by this seal's key: either was changed since, or somebody "
                "without the private key made it"
            )
            self._found(FindingKind.SIGNATURE, f"{where}/{ENVELOPE_NAME}", message)
        else:
            message = f"isn't the key that the seal says it was signed with ({shown(envelope.keyid)}): it was replaced"
            self._found(FindingKind.SIGNATURE, f"{where}/{PUBLIC_KEY_NAME}", message)
        return None

    def _hold_against_trusted(self, key: PublicKey, where: str) -> None:
        if self._trust.keys and key not in self._trust.keys:
            message = f"is signed with the key {key.fingerprint}, which isn't one of those given as trusted"
            self._found(FindingKind.SIGNER, where, message)

    def _in_its_place(self, statement: Statement, number: int, previous: tuple[int, str] | None, where: str) -> bool:
        """Whether a seal has its own number; that it doesn't follow the one before is a finding, but voids nothing."""
        if statement.number != number:
            message = f"was made as seal {statement.number:03d}: it was moved, or the folder renamed"
            self._found(FindingKind.BROKEN_CHAIN, where, message)
            return False
        if number > 1 and (previous is None or previous[0] != number - 1):
            message = f"isn't there, but seal {number:03d} follows it"
            self._found(FindingKind.MISSING, f"{SEALS_NAME}/{number - 1:03d}", message)
        elif statement.previous != (previous[1] if previous else None):
            message = "doesn't follow the seal before it: that one was replaced, or this one is of another folder"
            self._found(FindingKind.BROKEN_CHAIN, where, message)
        return True

    def _listed(self, place: Path, where: str, statement: Statement) -> Mapping[str, str] | None:
        """What a seal's manifest lists, if it is the one that was signed."""
        path = f"{where}/{MANIFEST_NAME}"
        try:
            sha256 = self._reader.sha256(place / MANIFEST_NAME)
            self._reader.saw(sha256)
            if sha256 != statement.manifest_sha256:
                message = "has other content than the seal signed; nothing can be held against it"
                self._found(FindingKind.CHANGED, path, message)
                return None
            return {line.name: line.sha256 for line in scan_manifest(place / MANIFEST_NAME) if line.name}
        except OSError as error:
            self._found(FindingKind.UNREADABLE, path, f"can't be read: {error.strerror}")
            return None

    def _stamp(
        self, place: Path, where: str, statement: Statement, envelope: Envelope, content: set[str]
    ) -> Stamp | None:
        path = f"{where}/{STAMP_NAME}"
        if STAMP_NAME not in content:
            if statement.time_stamped:
                self._found(FindingKind.MISSING, path, "isn't there, but the seal was made with a time stamp")
            return None
        if not statement.time_stamped:
            self._found(FindingKind.ADDED, path, "is there, but the seal was made without a time stamp")
            return None
        try:
            data = read_bounded(place / STAMP_NAME, LARGEST_STAMP)
            return read_stamp(data, envelope.signature, self._trust.authorities)
        except OSError as error:
            self._found(FindingKind.UNREADABLE, path, f"can't be read: {error.strerror}")
        except ValueError as error:
            self._found(FindingKind.TIME_STAMP, path, f"the time stamp {shown(str(error))}")
        except ExtraMissing as error:
            self._note(f"{path} wasn't looked at: {error}")
        return None


def ledger_beginnings(folder: Path, standing: Sequence[CheckedSeal], present: Mapping[str, int], found: Found) -> None:
    """Hold the ledgers that may grow against every seal: each must still begin as it was sealed.

    Parameters
    ----------
    folder
        The folder that the seals are of.
    standing
        The seals that hold.
    present
        Size in bytes of each file that is there, by its path.
    found
        Told of every deviation.
    """
    for seal in standing:
        for path, at in seal.statement.ledgers.items():
            if not at.grows or path not in present:
                continue
            try:
                same = present[path] >= at.size and sha256_of_beginning(folder / path, at.size) == at.sha256
            except OSError as error:
                found(FindingKind.UNREADABLE, path, f"can't be read: {error.strerror}")
                continue
            if not same:
                message = (
                    f"no longer begins with the {at.entries} lines that {seal.name} covers: they were changed, "
                    "rewritten, or taken out"
                )
                found(FindingKind.CHANGED, path, message)


def anchor_of(seal: CheckedSeal, folder: Path, present: Mapping[str, int], reader: Reader) -> Anchor:
    """What a seal covers of the files that are there, and what came later.

    Parameters
    ----------
    seal
        The seal.
    folder
        The folder that it seals.
    present
        The folder's files, with their sizes.
    reader
        Has read them.
    """
    unanchored = []
    files = 0
    for name, size in present.items():
        if name.startswith((f"{seal.where}/", f"{SEALS_NAME}/{PARTIAL_PREFIX}")):
            continue
        at = seal.statement.ledgers.get(name)
        if name not in seal.listed:
            unanchored.append(shown(name))
        elif at is not None and at.grows and size > at.size:
            unanchored.append(f"{shown(name)} from line {at.entries + 1} on")
            files += 1
        else:
            with contextlib.suppress(OSError):  # a file that changed, or can't be read, is a finding, and not anchored
                files += reader.sha256(folder / name) == seal.listed[name]
    return Anchor(seal.where, files, tuple(unanchored))


def _difference(before: CheckedSeal, now: CheckedSeal) -> str:
    """What a seal covers otherwise than the one before it, in words."""
    own = f"{before.where}/"
    added = [name for name in now.listed if name not in before.listed and not name.startswith(own)]
    removed = [name for name in before.listed if name not in now.listed]
    growing = [name for name, at in now.statement.ledgers.items() if at.grows]
    changed = [
        name for name, sha256 in now.listed.items() if before.listed.get(name, sha256) != sha256 and name not in growing
    ]
    said = []
    for verb, names in (("added", added), ("changed", changed), ("removed", removed)):
        if names:
            some = ", ".join(shown(name) for name in names[:3]) + (" ..." if len(names) > 3 else "")
            said.append(f"{len(names)} {verb} ({some})")
    nothing = "nothing but lines of the ledger" if growing else "nothing"
    return f"against {before.name}: " + ("; ".join(said) or nothing)
