"""`vmforensics plugins`: what is installed, what its parameters are, whether it keeps its contract; and a new one."""

from __future__ import annotations

import difflib
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vmforensics.cli.console import JsonOption, QuietOption, print_json, printable
from vmforensics.cli.plugin_options import PluginDirOption, PluginOption, registry_of
from vmforensics.errors import ParameterError, StageError, UnknownPlugin

if TYPE_CHECKING:
    from vmforensics.plugins import RegisteredStage, Registry

plugins = typer.Typer(
    help="List, show and check the installed stages, and begin a plugin of one's own.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@plugins.command("list")
def list_stages(
    *,
    plugin: PluginOption = None,
    plugin_dir: PluginDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """List every installed stage, and the plugins that couldn't be loaded.

    \b
    Example:
      vmforensics plugins list
    """
    from dataclasses import asdict

    registry = registry_of(plugin, plugin_dir)
    if as_json:
        print_json(
            {
                "stages": [_facts(registered) for registered in registry.stages()],
                "not_loaded": [asdict(broken) for broken in registry.broken],
                "left_out": registry.left_out,
            }
        )
    elif not quiet:
        kind = ""
        for registered in registry.stages():
            if registered.stage.kind != kind:
                kind = registered.stage.kind
                typer.echo(kind.replace("_", " "))
            provider = registered.provider
            where = str(provider) if provider.plugin == provider.distribution else f"{provider.plugin}: {provider}"
            typer.echo(f"  {registered.stage.name:<22}{printable(registered.stage.summary)}  [{printable(where)}]")
        for broken in registry.broken:
            typer.echo(f"not loaded: {printable(broken)}")


@plugins.command("show")
def show_stage(
    name: Annotated[str, typer.Argument(help="The stage's name.", metavar="NAME")],
    *,
    plugin: PluginOption = None,
    plugin_dir: PluginDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show a stage: what it does, where it is described, its parameters.

    \b
    Example:
      vmforensics plugins show row-motion
    """
    found = _named(registry_of(plugin, plugin_dir), name)
    if as_json:
        print_json([_facts(registered) for registered in found] if len(found) > 1 else _facts(found[0]))
        return
    if quiet:
        return
    for registered in found:
        facts = _facts(registered)
        typer.echo(f"{facts['name']} ({facts['kind'].replace('_', ' ')}): {printable(facts['summary'])}")
        typer.echo(f"  from: {printable(registered.provider)}, plugin {facts['plugin']!r}, API {facts['api']}")
        if facts["reference"]:
            typer.echo(f"  reference: {printable(facts['reference'])}")
        typer.echo("  parameters:" if facts["params"] else "  no parameters")
        for parameter, field in facts["params"].items():
            default = "(required)" if field["required"] else json.dumps(field["default"], default=str)
            typer.echo(f"    {parameter} = {printable(default)}: {printable(field['description'])}")


@plugins.command("check")
def check_stages(
    name: Annotated[str, typer.Argument(help="A stage's name, or a plugin's for all its stages.", metavar="NAME")],
    *,
    params: Annotated[
        str | None, typer.Option(help="The stage's parameters as JSON; its defaults without it.", metavar="JSON")
    ] = None,
    evidence: Annotated[
        Path | None,
        typer.Option(help="For a frame source of a format of its own: a clip that it reads.", readable=False),
    ] = None,
    plugin: PluginOption = None,
    plugin_dir: PluginDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Check that a stage keeps its contract: what it returns, its uncertainty, silence, repeatability, manners.

    The same checks as `vmforensics.testing.check_stage` makes for authors of plugins. One that fails makes the exit
    code 41.

    \b
    Examples:
      vmforensics plugins check high-pass
      vmforensics plugins check high-pass --params '{"cutoff": "80 Hz"}'
      vmforensics plugins check my-plugin --plugin-dir plugins
    """
    from vmforensics.data import Evidence
    from vmforensics.testing import CheckFailed, stage_checks

    registry = registry_of(plugin, plugin_dir)
    found = _named(registry, name)
    if evidence is not None:
        Evidence(evidence).files()  # a missing one is told before anything is checked
    told, failed, count = [], 0, 0
    for registered in found:
        kind, stage = registered.stage.kind, registered.stage.name
        made = registry.create(kind, stage, _parameters(params))
        results = []
        if not as_json and not quiet:
            typer.echo(f"{stage} ({kind.replace('_', ' ')}, {printable(registered.provider)})")
        for check, run in stage_checks(made, evidence=evidence):
            fault = ""
            try:
                run()
            except CheckFailed as failure:
                fault = str(failure).partition(f"check {check!r}: ")[2] or str(failure)
                failed += 1
            count += 1
            results.append({"check": check, "passed": not fault, "fault": fault})
            if not as_json and not quiet:
                typer.echo(f"  {'FAILED' if fault else 'ok':<8}{check}")
                if fault:
                    typer.echo(f"          {printable(fault)}")
        told.append({"kind": kind, "name": stage, "plugin": registered.provider.plugin, "checks": results})
    if as_json:
        print_json(told)
    if failed:
        raise StageError(
            f"{name}: {failed} of {count} checks failed",
            hint="the documentation says what is asked of a stage: reference, checks",
        )


@plugins.command("new")
def new(
    folder: Annotated[Path, typer.Argument(help="Folder for the project.", metavar="DIR", readable=False)],
    *,
    kind: Annotated[
        str,
        typer.Option(
            help="frame-source, motion-estimator, signal-combiner, denoiser, exporter or row-time-calibrator.",
            metavar="KIND",
        ),
    ],
    name: Annotated[
        str | None, typer.Option(help="Name of project, plugin and stage; the folder's without it.", metavar="NAME")
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Begin a plugin: an installable, typed, tested package with one stage that works.

    \b
    Example:
      vmforensics plugins new my-gate --kind denoiser
    """
    from vmforensics.plugins.new import new_plugin

    made = new_plugin(folder, kind, name=name)
    if as_json:
        print_json({"made": [str(path) for path in made]})
    elif not quiet:
        for path in made:
            typer.echo(f"made {printable(path)}")
        begun = made[0].parent
        package = next(path.parent.name for path in made if path.name == "__init__.py")
        typer.echo(f"install it: pip install -e {printable(shlex.quote(str(begun)))}")
        typer.echo(f"then:       vmforensics plugins check {package.replace('_', '-')}")


def _named(registry: Registry, name: str) -> list[RegisteredStage]:
    """The stages of a name, or of a plugin of that name."""
    stages = registry.stages()
    found = [registered for registered in stages if registered.stage.name == name]
    found = found or [registered for registered in stages if registered.provider.plugin == name]
    if not found:
        names = [registered.stage.name for registered in stages]
        near = difflib.get_close_matches(name, names, n=1)
        broken = [printable(broken) for broken in registry.broken]
        told = f"; not loaded: {', '.join(broken)}" if broken else ""
        raise UnknownPlugin(
            f"unknown stage {name!r}; installed: {', '.join(names)}{told}",
            hint=f"did you mean {near[0]!r}?" if near else "see: vmforensics plugins list",
        )
    return found


def _parameters(text: str | None) -> dict[str, Any]:
    """Parameters as --params writes them."""
    if text is None:
        return {}
    try:
        params = json.loads(text)
    except ValueError as error:
        raise ParameterError(f"--params {text!r} is no JSON: {error}") from error
    if not isinstance(params, dict):
        raise ParameterError(f"--params {text!r} is no JSON object", hint="as in --params '{\"cutoff\": 80}'")
    return params


def _facts(registered: Any) -> dict[str, Any]:
    stage, provider = registered.stage, registered.provider
    return {
        "kind": stage.kind,
        "name": stage.name,
        "summary": stage.summary,
        "reference": stage.reference,
        "plugin": provider.plugin,
        "distribution": provider.distribution,
        "version": provider.version,
        "editable": provider.editable,
        "origin": provider.origin.value,
        "api": provider.api,
        "params": {
            name: {
                "default": None if field.is_required() else field.get_default(call_default_factory=True),
                "required": field.is_required(),
                "description": field.description or "",
            }
            for name, field in stage.Params.model_fields.items()
        },
    }
