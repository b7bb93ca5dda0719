"""`vmforensics export`: the record in forms that other programs, archives and courts read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vmforensics.cli.console import Console, JsonOption, QuietOption, print_json, printable
from vmforensics.cli.plugin_options import PluginDirOption, PluginOption, registry_of


def export(
    folder: Annotated[
        Path, typer.Argument(help="The folder of a run or a case.", metavar="RUN_OR_CASE", readable=False)
    ],
    *,
    form: Annotated[str, typer.Option("--as", help="disclosure, case-uco, ro-crate or framehash.", metavar="FORM")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="What to make; in the case's exports/ if left out.", readable=False),
    ] = None,
    actor: Annotated[
        str, typer.Option(help="Who exports it, for the case's record.", envvar="VMFORENSICS_ACTOR", metavar="NAME")
    ] = "",
    purpose: Annotated[str, typer.Option(help="Why, for the case's record.", metavar="TEXT")] = "",
    plugin: PluginOption = None,
    plugin_dir: PluginDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Export a run, or a case with all its runs, for somebody else.

    disclosure: one zip with the whole record, digests, a program of one file that checks them with nothing but Python,
    and instructions. case-uco: CASE/UCO JSON-LD. ro-crate: a zip with RO-Crate metadata, by the profile Process Run
    Crate. framehash: the SHA-256 of every decoded picture, as stock ffmpeg prints them. The evidence itself is in none
    of them; it is known by its digest. Where a case keeps a record of acts, --actor and --purpose are required.

    \b
    Examples:
      vmforensics export casefiles/street/runs/001 --as disclosure
      vmforensics export casefiles/street --as case-uco --actor "J. Roe" --purpose "request 5/26"
    """
    from vmforensics.exchange import export as make

    with Console(quiet=quiet or as_json) as console:
        registry = registry_of(plugin, plugin_dir) if form == "framehash" else None
        made = make(folder, form, out, actor=actor, purpose=purpose, registry=registry, watcher=console)
    if as_json:
        print_json({"form": made.form, "path": str(made.path), "sha256": made.sha256, "ledger_head_sha256": made.head})
    elif not quiet:
        typer.echo(f"{'made:':<13}{printable(made.path)}")
        typer.echo(f"{'SHA-256:':<13}{made.sha256}")
        if made.head:
            typer.echo(f"{'ledger head:':<13}{made.head}")
