"""The registry: finds plugins, isolates broken ones, and finds stages by name.

The only module that calls pluggy. A plugin is a module that implements hooks of `vmforensics.hookspecs`;
shipped and third-party plugins are found alike, by entry points in the group `vmforensics`.
"""

from __future__ import annotations

import contextlib
import copy
import difflib
import importlib.metadata
import inspect
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pluggy
from pydantic import ValidationError

from vmforensics import hookspecs
from vmforensics.errors import ParameterError, PluginError, StageError, UnknownPlugin, VmforensicsError
from vmforensics.plugins.api import FIRST, STATEMENT, check_api
from vmforensics.plugins.folder import load_file, plugins_in
from vmforensics.plugins.provider import BrokenPlugin, Origin, Provider, origin_of, source_of
from vmforensics.stages import KINDS, Stage, StageParams

_HOOKS = {kind.kind: f"vmforensics_{kind.kind}s" for kind in KINDS}
_OWN = "vmforensics"  # the distribution of the program itself


@dataclass(frozen=True, slots=True)
class RegisteredStage:
    """A stage class with its provider."""

    stage: type[Stage]
    provider: Provider


class Registry:
    """All stages that are installed.

    Plugins are loaded in the order of their names, those of the program itself first and those of folders last; of
    two stages with one name the second is refused.

    Parameters
    ----------
    blocked
        Names of plugins that are not to be loaded.
    allowed
        Names of the only plugins to load; all if None.
    folders
        Folders with plugins that aren't installed.
    entry_points
        Where to look; all installed ones of the group `vmforensics` if None.

    Attributes
    ----------
    providers : list of Provider
        The plugins that were loaded.
    broken : list of BrokenPlugin
        Those that couldn't be, each with the reason.
    left_out : dict
        Those that weren't to be loaded: the reason by name.

    Raises
    ------
    PluginError
        A folder can't be read, or holds no plugin.
    """

    def __init__(
        self,
        blocked: Iterable[str] = (),
        *,
        allowed: Iterable[str] | None = None,
        folders: Iterable[Path] = (),
        entry_points: Iterable[importlib.metadata.EntryPoint] | None = None,
    ) -> None:
        self._manager = pluggy.PluginManager("vmforensics")
        self._manager.add_hookspecs(hookspecs)
        self._blocked = frozenset(blocked)
        self._allowed = None if allowed is None else frozenset(allowed)
        self._stages: dict[str, dict[str, RegisteredStage]] = {kind: {} for kind in _HOOKS}
        self.providers: list[Provider] = []
        self.broken: list[BrokenPlugin] = []
        self.left_out: dict[str, str] = {}
        found = (
            importlib.metadata.entry_points(group=hookspecs.ENTRY_POINT_GROUP) if entry_points is None else entry_points
        )
        for entry_point in sorted(found, key=lambda e: (e.dist is None or e.dist.name != _OWN, e.name)):
            self._load(entry_point.name, entry_point.load, entry_point.dist, origin_of(entry_point.dist))
        for folder in folders:
            for name, file in plugins_in(folder):
                self._load(name, partial(load_file, file), None, Origin.FOLDER)

    def _load(
        self,
        plugin: str,
        load: Callable[[], ModuleType | object],
        distribution: importlib.metadata.Distribution | None,
        origin: Origin,
    ) -> None:
        if reason := self._unwanted(plugin):
            self.left_out[plugin] = reason
            return
        name = distribution.name if distribution else ""
        version = distribution.version if distribution else ""
        try:
            with _silent():
                module = load()
            self.register(module, plugin, name, version, origin=origin)
        except (Exception, SystemExit) as error:  # a stranger's code may do anything; it must not stop the rest
            reason = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
            self.broken.append(BrokenPlugin(plugin, name, version, reason, origin))

    def _unwanted(self, plugin: str) -> str:
        if plugin in self._blocked:
            return "left out by request"
        if self._allowed is not None and plugin not in self._allowed:
            return "not on the case's list of plugins"
        return ""

    def register(
        self,
        plugin: ModuleType | object,
        name: str,
        distribution: str = "",
        version: str = "",
        *,
        origin: Origin = Origin.MEMORY,
    ) -> None:
        """Add one plugin and the stages it provides: all of them or, where one is wrong, none.

        Raises
        ------
        PluginError
            It is written for another API, implements no hook or an unknown one, provides something that isn't a
            stage, or a name that's taken.
        """
        if (other := next((p for p in self.providers if p.plugin == name), None)) is not None:
            raise PluginError(
                f"two plugins are called {name!r}: one of {other}, one of {distribution or 'local'} {version}".rstrip(),
                hint="uninstall one of them",
            )
        api = check_api(getattr(plugin, STATEMENT, FIRST))
        provider = Provider(name, distribution, version, origin, source_of(plugin), api)
        self._manager.register(plugin, name)
        try:
            with _silent():
                mine = self._provided(plugin, provider)
        except BaseException:
            self._manager.unregister(plugin)
            raise
        for registered in mine:
            self._stages[registered.stage.kind][registered.stage.name] = registered
        self.providers.append(provider)

    def _provided(self, plugin: ModuleType | object, provider: Provider) -> list[RegisteredStage]:
        """The stages of a plugin that has just been registered with pluggy."""
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise PluginError(f"plugin {provider.plugin!r}: {error}") from error
        if not self._manager.get_hookcallers(plugin):
            raise PluginError(
                f"plugin {provider.plugin!r} implements no hook",
                hint="mark functions with @hookimpl from vmforensics.hookspecs: " + ", ".join(_HOOKS.values()),
            )
        mine: list[RegisteredStage] = []
        for kind, hook in _HOOKS.items():
            for implementation in getattr(self._manager.hook, hook).get_hookimpls():
                if implementation.plugin is plugin:
                    mine += self._checked(kind, hook, implementation.function(), provider)
        return mine

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
                    f"{kind} {stage.name!r} is provided by both {taken.provider.plugin!r} ({taken.provider}) "
                    f"and {provider.plugin!r} ({provider})",
                    hint="leave one of them out",
                )
            checked.append(RegisteredStage(stage, provider))
        return checked

    def allowing(self, names: Iterable[str]) -> Registry:
        """The same registry with the stages of some plugins only.

        Raises
        ------
        UnknownPlugin
            One of the names is no plugin that was found.
        """
        allowed = frozenset(names)
        known = {p.plugin for p in self.providers} | {b.plugin for b in self.broken} | self.left_out.keys()
        for name in sorted(allowed - known):
            near = difflib.get_close_matches(name, known, n=1)
            raise UnknownPlugin(
                f"no plugin {name!r}; installed: {', '.join(sorted(known)) or 'none'}",
                hint=f"did you mean {near[0]!r}?" if near else "see: vmforensics plugins list",
            )
        restricted = copy.copy(self)
        restricted._allowed = allowed if self._allowed is None else self._allowed & allowed
        restricted._stages = {
            kind: {name: stage for name, stage in stages.items() if stage.provider.plugin in allowed}
            for kind, stages in self._stages.items()
        }
        restricted.providers = [provider for provider in self.providers if provider.plugin in allowed]
        out = [p.plugin for p in self.providers if p.plugin not in allowed]
        restricted.left_out = self.left_out | {name: restricted._unwanted(name) for name in out}
        return restricted

    def stages(self, kind: str | None = None) -> list[RegisteredStage]:
        """Every registered stage, or those of one kind, in journey order and by name."""
        kinds = [kind] if kind else list(_HOOKS)
        return [self._stages[k][name] for k in kinds for name in sorted(self._stages[k])]

    def libraries(self) -> dict[str, Any]:
        """What each plugin says it rests on beside Python packages; for one that fails to say it, the reason."""
        told: dict[str, Any] = {}
        for implementation in self._manager.hook.vmforensics_libraries.get_hookimpls():
            try:
                with _silent():
                    told[implementation.plugin_name] = implementation.function()
            except (Exception, SystemExit) as error:  # a stranger's code may raise anything; a run needn't end for it
                told[implementation.plugin_name] = {"problem": f"{type(error).__name__}: {error}"}
        return dict(sorted(told.items()))

    def choices(self, kind: str) -> str:
        """Names of the stages of a kind, and the plugins that aren't loaded, with the reasons: for error messages."""
        absent = [str(broken) for broken in self.broken]
        absent += [f"{plugin} ({reason})" for plugin, reason in self.left_out.items()]
        told = f"; not loaded: {', '.join(absent)}" if absent else ""
        return (", ".join(sorted(self._stages[kind])) or "none") + told

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
        raise UnknownPlugin(
            f"unknown {kind.replace('_', ' ')} {name!r}; installed: {self.choices(kind)}",
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
        StageError
            The stage raised something else.
        """
        found = self.find(kind, name)
        stage = found.stage
        try:
            with _silent():
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
        except (Exception, SystemExit) as error:
            if isinstance(error, VmforensicsError) and not isinstance(error, PluginError):
                raise
            reason = error.message if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
            raise StageError(
                f"{kind.replace('_', ' ')} {name!r} ({found.provider}) can't be made: {reason}",
                hint=f"this is a fault of the plugin; -p no:{found.provider.plugin} leaves it out",
            ) from error


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep what a plugin prints from standard output, which belongs to the program; raise `PluginError` for it."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        yield
    if text := said.getvalue():
        raise PluginError(f"it wrote {text[:80]!r} to standard output", hint="a plugin prints nothing")
