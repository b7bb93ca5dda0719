"""C2PA content credentials: what a recording's maker signed about it, and whether it still is what was signed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_OF_TRUST = ("signingCredential.", "timeStamp.", "cawg.")
"""How the codes of failures begin that say who vouches for signer, time or name, not that anything was changed."""

_OFFLINE = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}  # footage mustn't call anybody
_MEANINGS = {
    "none": "the file holds no content credentials; few recordings do, and their absence says nothing",
    "valid": "the file is what was signed, by a signer that the reader trusts",
    "valid-untrusted-signer": "the file is what was signed; who the signer is, nobody vouches for, which is no sign of "
    "tampering",
    "invalid": "the file isn't what was signed: it was changed since, or the credentials were",
    "unreadable": "there may be content credentials, but they can't be read",
    "unsupported": "content credentials can't be in, or read from, such a file",
}
_LONGEST = 300  # characters of a text from the file
_MOST = 20


def read_credentials(path: Path) -> dict[str, Any] | None:
    """Read a file's content credentials (C2PA Technical Specification 2.x), without asking anything of the network.

    Parameters
    ----------
    path
        The file; it is only opened for reading.

    Returns
    -------
    dict or None
        `state` ("none", "valid", "valid-untrusted-signer", "invalid", "unreadable", "unsupported"), `meaning` in plain
        words; of credentials that are there: `signer`, `certificate_issuer`, `signed_at`, `software`, `title`,
        `actions`, `failures` ("code: explanation") and, where the credentials lie elsewhere, `remote_url`, which isn't
        followed. None where the extra `c2pa` isn't installed, or the path is a folder.
    """
    try:
        import c2pa
    except ImportError:
        return None
    if not path.is_file():
        return None
    try:
        context = c2pa.Context(settings=c2pa.Settings.from_dict(_OFFLINE))
        reader = c2pa.Reader.try_create(str(path), context=context)
        if reader is None:
            return _answer("none")
        with reader:
            content = json.loads(reader.json())
            remote = None if reader.is_embedded() else reader.get_remote_url()
    except c2pa.C2paError.NotSupported:
        return _answer("unsupported")
    except (c2pa.C2paError, OSError, ValueError, RecursionError) as error:
        return _answer("unreadable", problem=_text(error))
    return _described(_mapping(content), remote)


def _described(content: Mapping[str, Any], remote: str | None) -> dict[str, Any]:
    manifest = _mapping(_mapping(content.get("manifests")).get(str(content.get("active_manifest"))))
    failures = _failures(content)
    signature = _mapping(manifest.get("signature_info"))
    broken = [each for each in failures if not each.startswith(_OF_TRUST)]
    trusted = content.get("validation_state") == "Trusted"
    state = "invalid" if broken else "valid" if trusted else "valid-untrusted-signer"
    software = [_mapping(each) for each in _list(manifest.get("claim_generator_info"))]
    more: dict[str, Any] = {
        "signer": _text(signature.get("common_name")),
        "certificate_issuer": _text(signature.get("issuer")),
        "signed_at": _text(signature.get("time")),
        "software": [_text(f"{each.get('name', '')} {each.get('version', '')}".strip()) for each in software],
        "title": _text(manifest.get("title")),
        "actions": _actions(manifest),
        "failures": failures,
    }
    return _answer(state, **more, **({"remote_url": _text(remote)} if remote else {}))


def _failures(content: Mapping[str, Any]) -> list[str]:
    """What doesn't hold, of the file itself and of what it was made from."""
    results = _mapping(content.get("validation_results"))
    found = _list(_mapping(results.get("activeManifest")).get("failure"))
    for ingredient in _list(results.get("ingredientDeltas")):
        found = [*found, *_list(_mapping(_mapping(ingredient).get("validationDeltas")).get("failure"))]
    each = [_mapping(failure) for failure in found[:_MOST]]
    return [_text(f"{one.get('code')}: {one.get('explanation')}") for one in each]


def _actions(manifest: Mapping[str, Any]) -> list[str]:
    """What the credentials say was done: "c2pa.created", "c2pa.edited" ..."""
    actions: list[str] = []
    for assertion in _list(manifest.get("assertions")):
        data = _mapping(_mapping(assertion).get("data"))
        if str(_mapping(assertion).get("label")).startswith("c2pa.actions"):
            actions += [_text(_mapping(action).get("action")) for action in _list(data.get("actions"))]
    return actions[:_MOST]


def _answer(state: str, **more: Any) -> dict[str, Any]:
    return {"state": state, "meaning": _MEANINGS[state], **more}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return "" if value is None else str(value)[:_LONGEST]
