"""`vmforensics bag`: a copy for handing over, as a BagIt bag."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vmforensics.cli.console import Console, JsonOption, QuietOption, print_json, printable


def bag(
    folder: Annotated[
        Path, typer.Argument(help="The folder of a run, or of a case.", metavar="RUN_OR_CASE", readable=False)
    ],
    out: Annotated[Path, typer.Argument(help="Where the bag goes: a new folder.", metavar="BAG", readable=False)],
    *,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Copy the folder of a run or a case into a BagIt 1.0 bag, for handing over or for an archive.

    The copy is in BAG/data, its seals included. Check it with `sha256sum -c` and each of the two manifests, with any
    BagIt tool, and with `vmforensics verify BAG/data`.

    \b
    Examples:
      vmforensics bag casefiles/2026-0042 handed-over
    """
    from vmforensics.custody.bag import write_bag

    with Console(quiet=quiet or as_json) as console:
        console.say("copying")
        sha256 = write_bag(folder, out)
    if as_json:
        print_json({"bag": out, "tag_manifest_sha256": sha256})
    elif not quiet:
        typer.echo(f"bag: {printable(out)}")
        typer.echo(f"tag manifest: {sha256}")
