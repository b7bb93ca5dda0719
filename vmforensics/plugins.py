"""The registry: finds plugins, isolates broken ones, and finds stages by name.

The only module that calls pluggy. A plugin is a module that implements hooks of `vmforensics.hookspecs`;
shipped and third-party plugins are found alike, by entry points in the group `vmforensics`.
"""

from __future__ import annotations

import difflib
import importlib.metadata
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pluggy
from pydantic import ValidationError

from vmforensics import hookspecs
from vmforensics.errors import ParameterError, PluginError, UnknownPlugin
from vmforensics.stages import KINDS, Stage, StageParams

_HOOKS = {kind.kind: f"vmforensics_{kind.kind}s" for kind in KINDS}


@dataclass(frozen=True, slots=True)
class Provider:
    """Who provides a stage.

    Parameters
    ----------
    plugin : str
        Name of the plugin, as its entry point states it.
    distribution : str
        Installed distribution it came with, "" for one registered by hand.
    version : str
        That distribution's version.
    editable : bool
        Whether the distribution is an editable install, whose source may change between runs.
    source : Path or None
        The plugin's package folder, or its single module file.
    """

    plugin: str
    distribution: str
    version: str
    editable: bool
    source: Path | None


@dataclass(frozen=True, slots=True)
class RegisteredStage:
    """A stage class with its provider."""

    stage: type[Stage]
    provider: Provider


@dataclass(frozen=True, slots=True)
class BrokenPlugin:
    """A plugin that could not be loaded, and why; the others go on without it."""

    plugin: str
    distribution: str
    version: str
    reason: str


class Registry:
    """All stages that are installed.

    Parameters
    ----------
    blocked
        Names of plugins that are not to be loaded.
    entry_points
        Where to look; all installed ones of the group `vmforensics` if None.
    """

    def __init__(
        self,
        blocked: Iterable[str] = (),
        *,
        entry_points: Iterable[importlib.metadata.EntryPoint] | None = None,
    ) -> None:
        self._manager = pluggy.PluginManager("vmforensics")
        self._manager.add_hookspecs(hookspecs)
        self._blocked = frozenset(blocked)
        self._stages: dict[str, dict[str, RegisteredStage]] = {kind: {} for kind in _HOOKS}
        self.providers: list[Provider] = []
        self.broken: list[BrokenPlugin] = []
        found = (
            importlib.metadata.entry_points(group=hookspecs.ENTRY_POINT_GROUP) if entry_points is None else entry_points
        )
        for entry_point in sorted(found, key=lambda e: e.name):
            self._load(entry_point)

    def _load(self, entry_point: importlib.metadata.EntryPoint) -> None:
        if entry_point.name in self._blocked:
            return
        distribution = entry_point.dist
        name = distribution.name if distribution else ""
        version = distribution.version if distribution else ""
        try:
            module = entry_point.load()
            self.register(module, entry_point.name, name, version, editable=_is_editable(distribution))
        except (Exception, SystemExit) as error:  # a stranger's code may do anything; it must not stop the rest
            if self._manager.has_plugin(entry_point.name):
                self._manager.unregister(name=entry_point.name)
            reason = error.message if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
            self.broken.append(BrokenPlugin(entry_point.name, name, version, reason))

    def register(
        self,
        plugin: ModuleType | object,
        name: str,
        distribution: str = "",
        version: str = "",
        *,
        editable: bool = False,
    ) -> None:
        """Add one plugin and the stages it provides: all of them or, where one is wrong, none.

        Raises
        ------
        PluginError
            It implements no hook or an unknown one, provides something that isn't a stage, or a name that's taken.
        """
        provider = Provider(name, distribution, version, editable, _source_of(plugin))
        self._manager.register(plugin, name)
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise PluginError(f"plugin {name!r}: {error}") from error
        callers = self._manager.get_hookcallers(plugin) or []
        if not callers:
            raise PluginError(
                f"plugin {name!r} implements no hook",
                hint="mark functions with @hookimpl from vmforensics.hookspecs: " + ", ".join(_HOOKS.values()),
            )
        mine: list[RegisteredStage] = []
        for kind, hook in _HOOKS.items():
            for implementation in getattr(self._manager.hook, hook).get_hookimpls():
                if implementation.plugin is plugin:
                    mine += self._checked(kind, hook, implementation.function(), provider)
        for registered in mine:
            self._stages[registered.stage.kind][registered.stage.name] = registered
        self.providers.append(provider)

    def _checked(self, kind: str, hook: str, provided: Any, provider: Provider) -> list[RegisteredStage]:
        interface = next(s for s in KINDS if s.kind == kind)
        checked: list[RegisteredStage] = []
        for stage in provided:
            culprit = f"plugin {provider.plugin!r}, {hook}: {stage!r}"
            if not (inspect.isclass(stage) and issubclass(stage, interface)):
                raise PluginError(f"{culprit} is no {interface.__name__} class")
            if inspect.isabstract(stage):
                missing = ", ".join(sorted(cast(Any, stage).__abstractmethods__))
                raise PluginError(f"{culprit} doesn't implement {missing}")
            if not stage.name or stage.name != stage.name.lower() or " " in stage.name:
                raise PluginError(f"{culprit} has the name {stage.name!r}; it must be lower case, words joined by -")
            if not issubclass(stage.Params, StageParams):
                raise PluginError(f"{culprit} has Params that don't derive from StageParams")
            taken = self._stages[kind].get(stage.name) or next((c for c in checked if c.stage.name == stage.name), None)
            if taken is not None:
                raise PluginError(
                    f"{kind} {stage.name!r} is provided by both {taken.provider.plugin!r} "
                    f"({taken.provider.distribution or 'local'}) and {provider.plugin!r} "
                    f"({provider.distribution or 'local'})",
                    hint="leave one of them out",
                )
            checked.append(RegisteredStage(stage, provider))
        return checked

    def stages(self, kind: str | None = None) -> list[RegisteredStage]:
        """Every registered stage, or those of one kind, in journey order and by name."""
        kinds = [kind] if kind else list(_HOOKS)
        return [self._stages[k][name] for k in kinds for name in sorted(self._stages[k])]

    def find(self, kind: str, name: str) -> RegisteredStage:
        """Look a stage up.

        Raises
        ------
        UnknownPlugin
            There is none of that name; the message lists the choices and the nearest name.
        """
        known = self._stages[kind]
        if name in known:
            return known[name]
        near = difflib.get_close_matches(name, known, n=1)
        broken = "; not loaded: " + ", ".join(f"{b.plugin} ({b.reason})" for b in self.broken) if self.broken else ""
        raise UnknownPlugin(
            f"unknown {kind.replace('_', ' ')} {name!r}; installed: {', '.join(sorted(known)) or 'none'}{broken}",
            hint=f"did you mean {near[0]!r}?" if near else "see: vmforensics plugins list",
        )

    def create(self, kind: str, name: str, params: dict[str, Any] | None = None) -> Stage:
        """Make a stage with its parameters.

        Raises
        ------
        UnknownPlugin
            There is none of that name.
        ParameterError
            A parameter is unknown, of the wrong type or out of range.
        """
        stage = self.find(kind, name).stage
        try:
            return stage(stage.Params.model_validate(params or {}))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            near = difflib.get_close_matches(str(first["loc"][-1]) if first["loc"] else "", stage.Params.model_fields)
            unknown = first["type"] == "extra_forbidden"
            choices = ", ".join(stage.Params.model_fields) or "none"
            message = f"unknown; allowed: {choices}" if unknown else f"{first['msg']} (it is {first['input']!r})"
            raise ParameterError(
                f"{kind} {name!r}: parameter {where}: {message}",
                hint=f"did you mean {near[0]!r}?" if unknown and near else f"see: vmforensics plugins show {name}",
                key=first["loc"],
            ) from error


def _is_editable(distribution: importlib.metadata.Distribution | None) -> bool:
    """Whether pip recorded the distribution as an editable install (PEP 610)."""
    import json

    text = distribution.read_text("direct_url.json") if distribution else None
    return bool(text and json.loads(text).get("dir_info", {}).get("editable", False))


def _source_of(plugin: ModuleType | object) -> Path | None:
    file = getattr(plugin, "__file__", None)
    if file is None:
        return None
    path = Path(file)
    return path.parent if path.name == "__init__.py" else path
