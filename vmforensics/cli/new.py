"""`vmforensics new` and `vmforensics schema`: a case to fill in, and what may stand in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vmforensics.cli.console import JsonOption, QuietOption, print_json
from vmforensics.cli.plugin_options import PluginDirOption, PluginOption, registry_of


def new(
    case_dir: Annotated[Path, typer.Argument(help="Folder for the case.", metavar="CASE_DIR", readable=False)],
    *,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make a case folder with a commented case.yaml to fill in.

    \b
    Example:
      vmforensics new casefiles/2026-001
    """
    from vmforensics.case import new_case

    made = new_case(case_dir)
    if as_json:
        print_json({"made": [str(path) for path in made]})
    elif not quiet:
        for path in made:
            typer.echo(f"made {path}")
        typer.echo(f"fill in {made[0]}, put the clip into {case_dir / 'evidence'}, then: vmforensics run {made[0]}")


def schema(
    what: Annotated[str, typer.Argument(help="case, exhibit or note.", metavar="WHAT")] = "case",
    *,
    shipped: Annotated[bool, typer.Option("--shipped", help="Leave out the stages of other distributions.")] = False,
    plugin: PluginOption = None,
    plugin_dir: PluginDirOption = None,
) -> None:
    """Print the JSON Schema of a case file, with the parameters of every installed stage; or of a case's records.

    \b
    Examples:
      vmforensics schema > case.schema.json
      vmforensics schema exhibit > exhibit.schema.json
    """
    from vmforensics.case import dumps_schema
    from vmforensics.casefolder import ExhibitRecord, NoteRecord, record_schema
    from vmforensics.casefolder.records import Record
    from vmforensics.errors import CaseError

    records: dict[str, type[Record]] = {"exhibit": ExhibitRecord, "note": NoteRecord}
    if what in records:
        print_json(record_schema(records[what]))
        return
    if what != "case":
        raise CaseError(f"schema of {what!r}: there is none", hint="one of case, exhibit, note")
    found = registry_of(plugin, plugin_dir).stages()
    kept = [f.stage for f in found if not shipped or f.provider.distribution == "vmforensics"]
    typer.echo(dumps_schema(kept), nl=False)
