"""`vmforensics plugins`: what is installed, and what its parameters are."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from vmforensics.cli.console import JsonOption, QuietOption, print_json, printable

plugins = typer.Typer(help="List and show the installed stages.", no_args_is_help=True, rich_markup_mode=None)


@plugins.command("list")
def list_stages(*, as_json: JsonOption = False, quiet: QuietOption = False) -> None:
    """List every installed stage, and the plugins that couldn't be loaded.

    \b
    Example:
      vmforensics plugins list
    """
    from dataclasses import asdict

    from vmforensics.plugins import Registry

    registry = Registry()
    if as_json:
        print_json(
            {
                "stages": [_facts(registered) for registered in registry.stages()],
                "not_loaded": [asdict(broken) for broken in registry.broken],
            }
        )
    elif not quiet:
        kind = ""
        for registered in registry.stages():
            if registered.stage.kind != kind:
                kind = registered.stage.kind
                typer.echo(kind.replace("_", " "))
            provider = registered.provider
            where = f"{provider.distribution} {provider.version}{' (editable)' if provider.editable else ''}"
            typer.echo(f"  {registered.stage.name:<22}{printable(registered.stage.summary)}  [{printable(where)}]")
        for broken in registry.broken:
            typer.echo(f"not loaded: {broken.plugin} ({broken.distribution} {broken.version}): {broken.reason}")


@plugins.command("show")
def show_stage(
    name: Annotated[str, typer.Argument(help="The stage's name.", metavar="NAME")],
    *,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show a stage: what it does, where it is described, its parameters.

    \b
    Example:
      vmforensics plugins show row-motion
    """
    import difflib

    from vmforensics.errors import UnknownPlugin
    from vmforensics.plugins import Registry

    stages = Registry().stages()
    found = [registered for registered in stages if registered.stage.name == name]
    if not found:
        names = [registered.stage.name for registered in stages]
        near = difflib.get_close_matches(name, names, n=1)
        raise UnknownPlugin(
            f"unknown stage {name!r}; installed: {', '.join(names)}",
            hint=f"did you mean {near[0]!r}?" if near else "see: vmforensics plugins list",
        )
    if as_json:
        print_json([_facts(registered) for registered in found] if len(found) > 1 else _facts(found[0]))
        return
    if quiet:
        return
    for registered in found:
        facts = _facts(registered)
        typer.echo(f"{facts['name']} ({facts['kind'].replace('_', ' ')}): {printable(facts['summary'])}")
        typer.echo(f"  from: {printable(facts['distribution'])} {facts['version']}, plugin {facts['plugin']!r}")
        if facts["reference"]:
            typer.echo(f"  reference: {printable(facts['reference'])}")
        typer.echo("  parameters:" if facts["params"] else "  no parameters")
        for parameter, field in facts["params"].items():
            default = "(required)" if field["required"] else json.dumps(field["default"], default=str)
            typer.echo(f"    {parameter} = {printable(default)}: {printable(field['description'])}")


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
        "params": {
            name: {
                "default": None if field.is_required() else field.get_default(call_default_factory=True),
                "required": field.is_required(),
                "description": field.description or "",
            }
            for name, field in stage.Params.model_fields.items()
        },
    }
