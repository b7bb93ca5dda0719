"""Plugins from a folder: modules and packages that aren't installed."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from vmforensics.errors import PluginError


def plugins_in(folder: Path) -> Iterator[tuple[str, Path]]:
    """Name and file of every plugin in a folder: its modules and packages but for those that begin with _ or a dot.

    Raises
    ------
    PluginError
        It is no folder, can't be read, or holds no module.
    """
    try:
        items = sorted(folder.iterdir())
    except OSError as error:
        raise PluginError(f"plugin folder {folder}: {error.strerror}", hint="check the path") from error
    found = False
    for item in items:
        file = item if item.suffix == ".py" else item / "__init__.py"
        if item.name.startswith(("_", ".")) or not item.stem.isidentifier() or not file.is_file():
            continue
        found = True
        yield item.stem.replace("_", "-"), file
    if not found:
        raise PluginError(
            f"plugin folder {folder}: it holds no Python module or package",
            hint="name the folder that the plugin's module lies in",
        )


def load_file(file: Path) -> ModuleType:
    """Import a module or package from its file, under its own name.

    Raises
    ------
    PluginError
        Its name is that of another module.
    """
    file = file.resolve()
    package = file.name == "__init__.py"
    name = file.parent.name if package else file.stem
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__file__", None) == str(file):
        return loaded
    if loaded is not None or importlib.util.find_spec(name) is not None:
        raise PluginError(f"its name is that of the module {name!r}, which is there already", hint="rename it")
    spec = importlib.util.spec_from_file_location(
        name, file, submodule_search_locations=[str(file.parent)] if package else None
    )
    if spec is None or spec.loader is None:
        raise PluginError(f"{file.name} is no Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
