"""Which plugins a command loads: the options that commands share, and the registry that they make."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vmforensics.errors import CaseError, UnknownPlugin

if TYPE_CHECKING:
    from vmforensics.plugins import Registry

PluginOption = Annotated[
    list[str] | None,
    typer.Option("--plugin", "-p", help="no:NAME leaves a plugin out; may be given again.", metavar="no:NAME"),
]
PluginDirOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin-dir",
        help="Load the plugins in a folder, too: its Python modules and packages.",
        metavar="DIR",
        readable=False,
    ),
]


def registry_of(
    plugin: list[str] | None, plugin_dir: list[Path] | None = None, *, allowed: Iterable[str] | None = None
) -> Registry:
    """The registry that a command's options ask for.

    Parameters
    ----------
    plugin
        Options of the form no:NAME, each naming a plugin to leave out.
    plugin_dir
        Folders with plugins that aren't installed.
    allowed
        Names of the only plugins to load; all if None.

    Raises
    ------
    CaseError
        An option isn't of the form no:NAME.
    UnknownPlugin
        It names no plugin.
    PluginError
        A folder can't be read, or holds no plugin.
    """
    from vmforensics.plugins import Registry

    for option in plugin or ():
        if not option.startswith("no:"):
            raise CaseError(f"--plugin {option!r}: only no:NAME is known", hint="as in -p no:denoise")
    blocked = [option.removeprefix("no:") for option in plugin or ()]
    registry = Registry(blocked, allowed=allowed, folders=plugin_dir or ())
    for name in blocked:
        if name not in registry.left_out:
            known = {p.plugin for p in registry.providers} | {b.plugin for b in registry.broken} | {*registry.left_out}
            raise UnknownPlugin(f"--plugin 'no:{name}': no such plugin; installed: {', '.join(sorted(known))}")
    return registry
