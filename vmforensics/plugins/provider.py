"""Who provides a stage: a plugin, its distribution, and how that was installed."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import ModuleType


class Origin(StrEnum):
    """How a plugin came to be where it was found."""

    INDEX = "package index"
    LOCAL = "local"  # installed from a folder or file of this computer
    EDITABLE = "editable"  # installed so that its source may change between runs
    REMOTE = "address"  # installed from a repository or an archive on the network
    FOLDER = "plugin folder"  # not installed; found by --plugin-dir
    MEMORY = "memory"  # registered by a program

    @property
    def settled(self) -> bool:
        """Whether a distribution's name and version say which source it is."""
        return self in (Origin.INDEX, Origin.REMOTE)


@dataclass(frozen=True, slots=True)
class Provider:
    """Who provides a stage.

    Parameters
    ----------
    plugin : str
        Name of the plugin, as its entry point states it.
    distribution : str
        Installed distribution it came with, "" for one that isn't installed.
    version : str
        That distribution's version.
    origin : Origin
        How it came to be where it was found.
    source : Path or None
        The plugin's package folder, or its single module file.
    api : str
        The version of the interface that it is written for.
    """

    plugin: str
    distribution: str
    version: str
    origin: Origin
    source: Path | None
    api: str

    @property
    def editable(self) -> bool:
        """Whether the distribution is an editable install, whose source may change between runs."""
        return self.origin is Origin.EDITABLE

    def __str__(self) -> str:
        """Distribution, version and what is special about its origin, for people."""
        return describe(self.distribution, self.version, self.origin)


@dataclass(frozen=True, slots=True)
class BrokenPlugin:
    """A plugin that could not be loaded, and why; the others go on without it."""

    plugin: str
    distribution: str
    version: str
    reason: str
    origin: Origin

    def __str__(self) -> str:
        """Its name, where it is from, and the reason."""
        return f"{self.plugin} ({describe(self.distribution, self.version, self.origin)}): {self.reason}"


def describe(distribution: str, version: str, origin: Origin) -> str:
    """A distribution, its version, and its origin unless that is a package index.

    Examples
    --------
    >>> describe("gates", "1.4", Origin.EDITABLE)
    'gates 1.4, editable'
    >>> describe("", "", Origin.FOLDER)
    'plugin folder'
    """
    known = f"{distribution} {version}".strip()
    return ", ".join(part for part in (known, "" if origin is Origin.INDEX else origin.value) if part)


def origin_of(distribution: importlib.metadata.Distribution | None) -> Origin:
    """How a distribution was installed, by its installer's record (PEP 610)."""
    if distribution is None:
        return Origin.MEMORY
    text = distribution.read_text("direct_url.json")
    if text is None:
        return Origin.INDEX
    try:
        record = json.loads(text)
        if record.get("dir_info", {}).get("editable", False):
            return Origin.EDITABLE
        return Origin.LOCAL if str(record["url"]).startswith("file:") else Origin.REMOTE
    except (ValueError, KeyError, AttributeError, TypeError):  # a record that can't be read: take it for the loosest
        return Origin.LOCAL


def source_of(plugin: ModuleType | object) -> Path | None:
    """The folder of the top-level package that a plugin's module belongs to, or its single module file."""
    top = sys.modules.get(getattr(plugin, "__name__", "").partition(".")[0])
    file = getattr(top, "__file__", None) or getattr(plugin, "__file__", None)
    if file is None:
        return None
    path = Path(file)
    return path.parent if path.name == "__init__.py" else path
