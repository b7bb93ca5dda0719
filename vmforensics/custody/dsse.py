"""DSSE envelopes: a payload with an Ed25519 signature over it and its type.

The form is that of the Dead Simple Signing Envelope, version 1 (https://github.com/secure-systems-lab/dsse), with one
signature, written as canonical JSON (RFC 8785) and a newline, so that an envelope has one form only.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

import rfc8785

from vmforensics.custody.keys import PrivateKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"


@dataclass(frozen=True, slots=True)
class Envelope:
    """A signed payload.

    Parameters
    ----------
    payload : bytes
        What is signed, an in-toto Statement.
    keyid : str
        Fingerprint of the key that signed, as the envelope says; a hint, not a proof.
    signature : bytes
    """

    payload: bytes
    keyid: str
    signature: bytes

    @property
    def signed(self) -> bytes:
        """The bytes that the signature is over: DSSE's pre-authentication encoding of type and payload."""
        return pre_authentication(PAYLOAD_TYPE, self.payload)

    def to_bytes(self) -> bytes:
        """The envelope as a file holds it."""
        fields: dict[str, Any] = {
            "payload": base64.b64encode(self.payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"keyid": self.keyid, "sig": base64.b64encode(self.signature).decode()}],
        }
        return rfc8785.dumps(fields) + b"\n"


def pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding.

    Examples
    --------
    >>> pre_authentication("http://example.com/HelloWorld", b"hello world")
    b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
    """
    return b"DSSEv1 %d %s %d %s" % (len(payload_type.encode()), payload_type.encode(), len(payload), payload)


def signed(payload: bytes, key: PrivateKey) -> Envelope:
    """An envelope around a payload, signed."""
    signature = key.sign(pre_authentication(PAYLOAD_TYPE, payload))
    return Envelope(payload, key.public.fingerprint, signature)


def parse_envelope(data: bytes) -> Envelope:
    """Read an envelope that may hold anything; the signature isn't looked at.

    Raises
    ------
    ValueError
        It isn't one, or not in its one form.
    """
    try:
        fields = json.loads(data)
        (one,) = fields["signatures"]
        envelope = Envelope(
            base64.b64decode(fields["payload"], validate=True),
            str(one["keyid"]),
            base64.b64decode(one["sig"], validate=True),
        )
        same = envelope.to_bytes() == data
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError("isn't a DSSE envelope with one signature") from error
    if not same:
        raise ValueError("isn't written as a seal's envelope is (canonical JSON and a newline)")
    return envelope
