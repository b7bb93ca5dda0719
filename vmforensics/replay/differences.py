"""What differs between the program and the machine of then and those of now."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that was another.

    Parameters
    ----------
    what : str
        The kind of thing: "stage", "package", "BLAS kernel" ...
    name : str
        Which one.
    then, now : str
        What the record says, and what is the case now; "" for nothing.
    """

    what: str
    name: str
    then: str
    now: str

    def __str__(self) -> str:
        then, now = (value[:16] if _is_digest(value) else value for value in (self.then, self.now))
        return f"{self.what} {self.name}: {then or 'none'} then, {now or 'none'} now"


def differences(
    then: Mapping[str, Any], now: Mapping[str, Any], then_stages: list[dict[str, Any]], now_stages: list[dict[str, Any]]
) -> list[Difference]:
    """Name all that differs and can bear on numbers: what could explain that a repeated run comes out otherwise.

    Of packages those count that the program, or a distribution that provides a stage, requires; locale and time zone
    are recorded, but no number depends on them.

    Parameters
    ----------
    then, now
        Fields of the two ledgers' first entries.
    then_stages, now_stages
        The implementations that their steps name.
    """
    return [
        Difference(what, name, before, after)
        for what, name, before, after in _pairs(then, now, then_stages, now_stages)
        if before != after
    ]


def _pairs(
    then: Mapping[str, Any], now: Mapping[str, Any], then_stages: list[dict[str, Any]], now_stages: list[dict[str, Any]]
) -> Iterator[tuple[str, str, str, str]]:
    before, after = _mapping(then.get("environment")), _mapping(now.get("environment"))
    for key, label in (("version", "version"), ("source_sha256", "source")):
        yield "program", label, *_both(before, after, "vmforensics", key)
    old, new = ({f"{s.get('kind')} {s.get('name')}": s for s in stages} for stages in (then_stages, now_stages))
    for name in sorted(old.keys() | new.keys()):
        for key, label in (("version", "version"), ("source_sha256", "source"), ("distribution", "distribution")):
            yield "stage", f"{name} {label}", *_both(old, new, name, key)
    for key in ("version", "implementation", "compiler"):
        yield "Python", key, *_both(before, after, "python", key)
    providers = {"vmforensics", *(str(stage.get("distribution")) for stage in (*then_stages, *now_stages))}
    required = _required(providers)
    packages = [
        {name: version for name, version in _mapping(each.get("packages")).items() if _normal(name) in required}
        for each in (before, after)
    ]
    for name in sorted(packages[0].keys() | packages[1].keys(), key=str.lower):
        yield "package", name, _text(packages[0].get(name)), _text(packages[1].get(name))
    digests = [_mapping(each.get("package_digests")) for each in (before, after)]
    editable = before.get("editable")
    editable = editable if isinstance(editable, list) else []
    for name in sorted(digests[0].keys() & digests[1].keys()):  # older records hold none
        if packages[0].get(name) == packages[1].get(name) and name not in editable:
            yield "package", f"{name} files", _text(digests[0][name]), _text(digests[1][name])
    kernels = [_kernels(each.get("numerics")) for each in (before, after)]
    for name in sorted(kernels[0].keys() & kernels[1].keys()):  # what was loaded on one side only did nothing
        yield "BLAS kernel", name, kernels[0][name], kernels[1][name]
    if "libraries" in before:
        libraries = [_flat(each.get("libraries")) for each in (before, after)]
        for name in sorted(libraries[0].keys() | libraries[1].keys()):
            yield "library", name, _text(libraries[0].get(name)), _text(libraries[1].get(name))
    for key in ("machine", "model"):
        yield "processor", key, *_both(before, after, "cpu", key)
    for key in ("system", "c_library"):
        yield "system", key, *_both(before, after, "platform", key)
    variables = [_mapping(each.get("variables")) for each in (before, after)]
    for name in sorted(variables[0].keys() | variables[1].keys()):
        if name not in _OF_THE_LANGUAGE:
            yield "variable", name, _text(variables[0].get(name)), _text(variables[1].get(name))


def _required(distributions: Iterable[str]) -> set[str]:
    """Distributions, and what they require, and what that requires, without extras; names in their normal form."""
    found: set[str] = set()
    rest = list(distributions)
    while rest:
        name = _normal(rest.pop())
        if name in found:
            continue
        found.add(name)
        rest += _requirements_of(name)
    return found


@cache
def _requirements_of(name: str) -> tuple[str, ...]:
    """What an installed distribution requires; nothing where it isn't installed."""
    try:
        lines = importlib.metadata.requires(name) or []
    except (importlib.metadata.PackageNotFoundError, ValueError):  # ValueError: no name
        return ()
    names = (_NAME.match(line) for line in lines if "extra ==" not in line)
    return tuple(match[0] for match in names if match)


def _normal(name: str) -> str:
    """A distribution's name as names are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_OF_THE_LANGUAGE = frozenset({"LANG", "LC_ALL", "LC_CTYPE", "LC_NUMERIC", "TZ"})  # recorded; no number depends on them


def _both(before: Mapping[str, Any], after: Mapping[str, Any], section: str, key: str) -> tuple[str, str]:
    return _text(_mapping(before.get(section)).get(key)), _text(_mapping(after.get(section)).get(key))


def _kernels(numerics: object) -> dict[str, str]:
    """Kernel and number of threads of each numerical library."""
    found: dict[str, str] = {}
    for each in numerics if isinstance(numerics, list) else []:
        library = _mapping(each)
        name = f"{library.get('internal_api')} {library.get('version') or ''} ({library.get('prefix')})"
        found[name] = f"{library.get('architecture') or 'one for all'}, {library.get('num_threads')} threads"
    return found


def _flat(value: object, prefix: str = "") -> dict[str, object]:
    if isinstance(value, Mapping):
        return {name: leaf for key, item in value.items() for name, leaf in _flat(item, f"{prefix} {key}").items()}
    return {prefix.strip(): value}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _is_digest(text: str) -> bool:
    return len(text) == 64 and text.isalnum()
