"""Ed25519 keys in files: made, read, and named by their fingerprints.

A private key is PKCS#8 in PEM, a public one SubjectPublicKeyInfo in PEM (RFC 8410), as `openssl pkey` reads and writes
them. A fingerprint is the SHA-256 of the public key's DER form:
`openssl pkey -pubin -in examiner.key.pub -outform DER | sha256sum`.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from vmforensics.custody.opening import read_bounded
from vmforensics.errors import KeyFileError, OutputError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PUBLIC_SUFFIX = ".pub"

_LARGEST_FILE = 2**20  # bytes
_PUBLIC_BLOCK = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Whom a signature is from.

    Parameters
    ----------
    pem : bytes
        SubjectPublicKeyInfo in PEM, ending in a newline.
    fingerprint : str
        SHA-256 of its DER form, 64 hexadecimal digits.
    """

    pem: bytes
    fingerprint: str
    _key: Ed25519PublicKey = field(repr=False, compare=False)

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether a signature over a message was made with the private key that belongs to this one."""
        from cryptography.exceptions import InvalidSignature

        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """What signs; nothing of it is ever shown.

    Parameters
    ----------
    public : PublicKey
        The public key that belongs to it.
    path : Path
        Its file.
    """

    public: PublicKey
    path: Path
    _key: Ed25519PrivateKey = field(repr=False, compare=False)

    def sign(self, message: bytes) -> bytes:
        """Ed25519 signature (RFC 8032) over a message, 64 bytes, the same each time."""
        return self._key.sign(message)


def new_key(path: Path, passphrase: bytes | None = None) -> PublicKey:
    """Make a private key in a new file that its owner only can read, and its public key beside it (`.pub`).

    Parameters
    ----------
    path
        Where the private key goes.
    passphrase
        Encrypts it (PKCS#8); without one, whoever reads the file can sign.

    Raises
    ------
    OutputError
        One of the files is there already, or can't be written; neither is left then.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    public = _public(key.public_key())
    beside = path.with_name(path.name + PUBLIC_SUFFIX)
    _write_new(path, private, 0o600)
    try:
        _write_new(beside, public.pem, 0o644)
    except OutputError:
        path.unlink()
        raise
    return public


def read_private_key(path: Path, ask: Callable[[], bytes]) -> PrivateKey:
    """Read a private key.

    Parameters
    ----------
    path
        Its file, which nobody but its owner may be able to read.
    ask
        Gives the passphrase; called only for a key that is encrypted.

    Raises
    ------
    KeyFileError
        It isn't there, is no Ed25519 key, others can read it, or the passphrase is wrong.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = _read(path)
    mode = path.stat().st_mode
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyFileError(
            f"{path}: others than its owner may use this private key (mode {stat.S_IMODE(mode):04o}; 0600 is allowed)",
            hint="take the permission away (`chmod 600`), and think of who may have read it until now",
        )
    try:
        try:
            key = load_pem_private_key(data, password=None)
        except TypeError:  # it is encrypted
            key = load_pem_private_key(data, password=ask())
    except (ValueError, TypeError) as error:
        encrypted = b"ENCRYPTED" in data
        why = "the passphrase is wrong, or the file damaged" if encrypted else "is no private key in PEM"
        raise KeyFileError(f"{path}: {why}", hint="`vmforensics key new` makes a key") from error
    except _unsupported() as error:
        raise KeyFileError(f"{path}: is of a kind that isn't supported; only Ed25519 is") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path}: is a private key of another kind than Ed25519, the only one allowed")
    return PrivateKey(_public(key.public_key()), path, key)


def holds_private_key(path: Path) -> bool:
    """Whether a file holds a private key in PEM.

    Raises
    ------
    KeyFileError
        It can't be read.
    """
    return b"PRIVATE KEY" in _read(path)


def read_public_keys(path: Path) -> tuple[PublicKey, ...]:
    """Read a file of one or more public keys, in PEM, one after another; anything between them is a comment.

    Raises
    ------
    KeyFileError
        It isn't there, holds none, or one that isn't Ed25519.
    """
    data = _read(path)
    if b"PRIVATE KEY" in data:  # so that none is passed on by mistake
        raise KeyFileError(
            f"{path}: holds a private key where public keys are wanted",
            hint=f"the public key lies in the file of the same name with {PUBLIC_SUFFIX} at its end",
        )
    try:
        keys = tuple(parse_public_key(block) for block in _PUBLIC_BLOCK.findall(data))
    except ValueError as error:
        raise KeyFileError(f"{path}: a public key in it {error}") from error
    if not keys:
        raise KeyFileError(f"{path}: holds no public key in PEM", hint="`vmforensics key new` makes one")
    return keys


def parse_public_key(pem: bytes) -> PublicKey:
    """A public key from its PEM form.

    Raises
    ------
    ValueError
        It is none, or none of Ed25519; the message goes on after "it".
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem)
    except (ValueError, _unsupported()) as error:
        raise ValueError("can't be read") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("is of another kind than Ed25519, the only one allowed")
    return _public(key)


def _public(key: Ed25519PublicKey) -> PublicKey:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(pem, hashlib.sha256(der).hexdigest(), key)


def _unsupported() -> type[Exception]:
    from cryptography.exceptions import UnsupportedAlgorithm

    return UnsupportedAlgorithm


def _read(path: Path) -> bytes:
    try:
        return read_bounded(Path(os.path.realpath(path)), _LARGEST_FILE)  # a key may be reached by a link
    except OSError as error:
        raise KeyFileError(f"{path}: the key can't be read: {error.strerror}") from error


def _write_new(path: Path, data: bytes, mode: int) -> None:
    """Write a file that isn't there yet, with its final permissions from the beginning."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    except FileExistsError as error:
        raise OutputError(f"{path}: is there already; a key is never overwritten", hint="name another file") from error
    except OSError as error:
        raise OutputError(f"{path}: the key can't be written: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        path.unlink()
        raise OutputError(f"{path}: the key can't be written: {error.strerror}") from error
