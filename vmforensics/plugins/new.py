"""A new plugin: an installable, typed, tested package with one stage that works."""

from __future__ import annotations

import importlib.util
import keyword
import re
import shutil
from importlib import resources
from pathlib import Path

import vmforensics
from vmforensics.errors import OutputError, ParameterError
from vmforensics.plugins.api import API_VERSION
from vmforensics.plugins.registry import Registry
from vmforensics.stages import KINDS, STAGES, Stage

KIND_NAMES = {kind.kind.replace("_", "-"): kind for kind in KINDS}
"""The kinds of stages as the command line writes them."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 25  # characters of a name, so that the lines that hold it stay short enough
_TEMPLATE = "vmforensics.plugins.template"

_CASE = """In a case file, under `runs`:

```yaml
  - name: with-my-stage
    SLOT: my-stage
```"""
_CALIBRATION = """On the command line:

```sh
vmforensics calibrate clip.mp4 --method my-stage
```"""


def new_plugin(folder: Path, kind: str, *, name: str | None = None, registry: Registry | None = None) -> list[Path]:
    """Write a project with one working stage of a kind.

    Parameters
    ----------
    folder
        Where to; it mustn't be there yet, or be empty.
    kind
        "frame-source", "motion-estimator", "signal-combiner", "denoiser", "exporter" or "row-time-calibrator".
    name
        Name of project, plugin and stage; the folder's if None.
    registry
        The stages whose names are taken; those installed if None.

    Returns
    -------
    list of Path
        The files, the project's own first.

    Raises
    ------
    ParameterError
        There is no such kind, or the name can't be used or is taken.
    OutputError
        The folder isn't empty, or can't be written.
    """
    if kind not in KIND_NAMES:
        raise ParameterError(f"--kind {kind!r} isn't known", hint="one of " + ", ".join(KIND_NAMES))
    interface = KIND_NAMES[kind]
    name = _checked(name or re.sub(r"[\s_.]+", "-", folder.absolute().name.lower()), interface, registry or Registry())
    contents = _project(name, interface)
    place = folder.absolute()
    partial = place.with_name(f".partial-{place.name}")
    try:
        if place.exists() and (not place.is_dir() or any(place.iterdir())):
            raise OutputError(f"{folder} is there already", hint="name a folder that isn't there yet, or an empty one")
        for path, text in contents.items():
            target = partial / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        if place.exists():
            for item in partial.iterdir():
                item.rename(place / item.name)
        else:
            partial.rename(place)
    except OSError as error:
        raise OutputError(f"{folder} can't be written: {error.strerror}", hint="check path and permissions") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return [folder / path for path in contents]


def _checked(name: str, interface: type[Stage], registry: Registry) -> str:
    """The name, if a project, a package and a stage can have it."""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise ParameterError(
            f"{name!r} can't be a plugin's name; allowed: up to {_LONGEST} lower-case letters and digits, words joined "
            "by hyphens",
            hint="give one with --name, as in --name my-method",
        )
    package = name.replace("-", "_")
    if keyword.iskeyword(package) or importlib.util.find_spec(package) is not None:
        raise ParameterError(f"{name!r}: the Python package {package!r} is there already", hint="choose another --name")
    if name in (registered.stage.name for registered in registry.stages(interface.kind)):
        raise ParameterError(
            f"a {interface.kind.replace('_', ' ')} {name!r} is installed already", hint="choose another --name"
        )
    return name


def _project(name: str, interface: type[Stage]) -> dict[str, str]:
    """The project's files, by their paths."""
    package, module = name.replace("-", "_"), interface.kind
    stage = "".join(word.capitalize() for word in name.split("-"))
    minor = ".".join(vmforensics.__version__.split(".")[:2])
    usage = (_CASE if interface in STAGES else _CALIBRATION).replace("SLOT", interface.kind)
    names = {
        f"{_TEMPLATE}.{module}": f"{package}.{module}",
        "USAGE": usage,
        "MyStage": stage,
        "my-stage": name,
        "my-plugin": name,
        "my_plugin": package,
        "MODULE": module,
        "KIND": interface.kind.replace("_", " "),
        "INTERFACE": interface.__name__,
        "HOOK": f"vmforensics_{interface.kind}s",
        '"API"': f'"{API_VERSION}"',
        "DEPENDENCY": f"vmforensics>={minor}",
    }

    def filled(template: str) -> str:
        text = resources.files(_TEMPLATE).joinpath(template).read_text(encoding="utf-8")
        for placeholder, own in names.items():
            text = text.replace(placeholder, own)
        return text

    return {
        "pyproject.toml": filled("project/pyproject.toml.in"),
        "README.md": filled("project/README.md.in"),
        "LICENSE": "",
        ".gitignore": filled("project/gitignore.in"),
        f"src/{package}/__init__.py": filled("project/plugin.py.in"),
        f"src/{package}/{module}.py": filled(f"{module}.py"),
        f"src/{package}/py.typed": "",
        f"tests/test_{module}.py": filled(f"{module}_tests.py"),
    }
