"""Trusted time: an authority's RFC 3161 time stamp over a signature. Needs the optional extra `timestamp`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from vmforensics.custody.opening import read_bounded
from vmforensics.errors import ExtraMissing, KeyFileError, TimeStampError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

LARGEST_STAMP = 2**20  # bytes
_PATIENCE = 30  # seconds for the authority to answer
_SHA256_OID = "2.16.840.1.101.3.4.2.1"
_LARGEST_CERTIFICATES = 2**24  # bytes


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time stamp.

    Parameters
    ----------
    time : str
        When the authority says that it saw the signature, UTC.
    vouched : bool
        Whether the authority's signature was checked and leads to a certificate that is trusted.
    """

    time: str
    vouched: bool


def check_address(address: str) -> None:
    """Refuse what is no address of an authority.

    Raises
    ------
    TimeStampError
        It isn't http or https, or holds a password, which would end up in records and lists of processes.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise TimeStampError(
            f"{address!r} is no address of a time-stamping authority", hint="it begins with http:// or https://"
        )
    if parts.username is not None or parts.password is not None:
        raise TimeStampError(
            "the address of the time-stamping authority holds a user name or a password", hint="leave it out"
        )


def request_stamp(address: str, signature: bytes) -> bytes:
    """Have an authority stamp a signature.

    Parameters
    ----------
    address
        The authority's address, http or https.
    signature
        What is stamped; only its SHA-256 is sent.

    Returns
    -------
    bytes
        The authority's response, as `openssl ts -verify -in` reads it.

    Raises
    ------
    TimeStampError
        It can't be reached, refuses, or answers with something else than a stamp of this signature.
    ExtraMissing
        The optional extra `timestamp` isn't installed.
    """
    import urllib.error
    import urllib.request

    check_address(address)
    client = _client()
    asked = client.TimestampRequestBuilder().data(signature).hash_algorithm(client.HashAlgorithm.SHA256).build()
    request = urllib.request.Request(  # noqa: S310 the scheme was checked
        address, asked.as_bytes(), {"Content-Type": "application/timestamp-query"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:  # noqa: S310 as above
            data: bytes = answer.read(LARGEST_STAMP + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise TimeStampError(
            f"{address}: the time-stamping authority can't be reached: {reason}",
            hint="nothing was sealed; seal without a time stamp, or try again",
        ) from error
    try:
        _check_imprint(_parsed(client, data, nonce=asked.nonce), signature)
    except ValueError as error:
        raise TimeStampError(f"{address}: the answer is no time stamp of this seal: it {error}") from error
    return data


def read_stamp(data: bytes, signature: bytes, authorities: Sequence[Certificate]) -> Stamp:
    """Check a stamp that may be anything.

    Parameters
    ----------
    data
        The authority's response.
    signature
        What it has to be over.
    authorities
        Certificates that are trusted: root certificates. Without any, who stamped isn't checked.

    Raises
    ------
    ValueError
        It is none, of something else, or not of an authority that is trusted; the message goes on after "the stamp".
    ExtraMissing
        The optional extra `timestamp` isn't installed.
    """
    client = _client()
    response = _parsed(client, data)
    if response.as_bytes() != data:
        raise ValueError("isn't in its one form (DER)")
    _check_imprint(response, signature)
    if authorities:
        try:
            builder = client.VerifierBuilder(roots=list(authorities))
            builder.build().verify(response, hashlib.sha256(signature).digest())
        except (client.VerificationError, ValueError) as error:
            raise ValueError(f"isn't of an authority that is trusted: {error}") from error
    moment: datetime = response.tst_info.gen_time
    return Stamp(moment.astimezone(UTC).isoformat().replace("+00:00", "Z"), vouched=bool(authorities))


def read_authorities(path: Path) -> tuple[Certificate, ...]:
    """Read a file of one or more certificates in PEM: the roots of time-stamping authorities.

    Raises
    ------
    KeyFileError
        It can't be read, or holds none.
    """
    from cryptography.x509 import load_pem_x509_certificates

    try:
        return tuple(load_pem_x509_certificates(read_bounded(Path(os.path.realpath(path)), _LARGEST_CERTIFICATES)))
    except OSError as error:
        raise KeyFileError(f"{path}: the certificates can't be read: {error.strerror}") from error
    except ValueError as error:
        raise KeyFileError(f"{path}: holds no certificate in PEM, or one that can't be read") from error


def _parsed(client: Any, data: bytes, *, nonce: int | None = None) -> Any:
    """A response that holds a stamp; with the nonce of a request, the response to that one."""
    try:
        response = client.decode_timestamp_response(data)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError("can't be read as one") from error
    if response.status != client.PKIStatus.GRANTED:
        raise ValueError(f"says that the authority refused ({'; '.join(response.status_string) or response.status})")
    try:
        answered = response.tst_info.nonce
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError("holds no time") from error
    if nonce is not None and answered != nonce:
        raise ValueError("is of another request")
    return response


def _check_imprint(response: Any, signature: bytes) -> None:
    imprint = response.tst_info.message_imprint
    if imprint.hash_algorithm.dotted_string != _SHA256_OID or imprint.message != hashlib.sha256(signature).digest():
        raise ValueError("is of something else than this signature")


def _client() -> Any:
    try:
        import rfc3161_client
    except ImportError as error:
        raise ExtraMissing(
            "time stamps need the optional extra 'timestamp'", hint="pip install 'vmforensics[timestamp]'"
        ) from error
    return rfc3161_client
