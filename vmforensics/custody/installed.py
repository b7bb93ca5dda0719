"""Whether the plugins that a run used are those that are installed here; nothing of a plugin is run to find out."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from vmforensics.custody.digest import source_digest
from vmforensics.errors import CustodyError

ENTRY_POINTS = "vmforensics"


def otherwise_installed(implementations: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Tell, in a sentence each, the plugins that were used in another version, or from other source, than is here.

    For information: a run is no worse for it, but running it again may come out otherwise.

    Parameters
    ----------
    implementations
        The stages that took part, as a ledger records them: whatever they hold.
    """
    used: dict[str, tuple[str, str, str]] = {}
    for each in implementations:
        plugin, version, source = each.get("plugin"), each.get("version"), each.get("source_sha256")
        if isinstance(plugin, str) and isinstance(source, str):
            used[plugin] = (str(each.get("distribution")), str(version), source)
    for plugin, (distribution, version, source) in sorted(used.items()):
        here = _here(plugin)
        if here is None:
            yield f"plugin {plugin!r} of {distribution} {version} isn't installed here"
        elif here[1] != source:
            yield (
                f"plugin {plugin!r} was of {distribution} {version}, source {source[:16]}; "
                f"installed here is {here[0]}, source {here[1][:16]}"
            )


def _here(plugin: str) -> tuple[str, str] | None:
    """The distribution, with its version, and the source digest of an installed plugin."""
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS, name=plugin):
        try:
            spec = importlib.util.find_spec(point.module.partition(".")[0])
        except (ImportError, ValueError):
            continue
        if spec is None or spec.origin is None:
            continue
        path = Path(spec.origin)
        try:
            digest = source_digest(path.parent if spec.submodule_search_locations is not None else path)
        except CustodyError:
            continue
        return (f"{point.dist.name} {point.dist.version}" if point.dist else "of no distribution"), digest
    return None
