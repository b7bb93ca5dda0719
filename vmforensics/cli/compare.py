"""`vmforensics compare`: methods side by side on a case."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from vmforensics.cli.console import Console, JsonOption, QuietOption, print_json, printable
from vmforensics.cli.plugin_options import PluginDirOption, PluginOption, registry_of
from vmforensics.errors import OutputError

JobsOption = Annotated[
    int | None, typer.Option(min=1, help="Most runs at a time; as many as there are processors.", metavar="N")
]


def compare(
    case: Annotated[Path, typer.Argument(help="The case file (YAML).", metavar="CASE.yaml", readable=False)],
    *,
    out: Annotated[
        Path | None, typer.Option(help="Folder to make; the next under runs/ beside the case.", metavar="DIR")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Carry on an interrupted comparison in this folder.", metavar="DIR")
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(help="What was really heard, a WAV or FLAC file, to score the runs by.", readable=False),
    ] = None,
    jobs: JobsOption = None,
    plugin: PluginOption = None,
    plugin_dir: PluginDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Carry out a case's matrix of methods: estimators, combiners and denoisers, each with each.

    The case file's section `compare` names them. Every combination is a run of its own, with its own record; several
    run at a time where memory allows. What refuses a run is told; the others go on. An interrupted comparison is
    carried on with --resume: finished runs are kept if nothing has changed.

    \b
    Examples:
      vmforensics compare casefiles/2026-0042/case.yaml
      vmforensics compare case.yaml --out runs/methods --reference played.wav --jobs 4
      vmforensics compare case.yaml --resume runs/methods
    """
    from vmforensics.benchmark import compare_case
    from vmforensics.case import read_case

    if out is not None and resume is not None:
        raise OutputError("--out and --resume name two folders", hint="give one of them")
    case_file = read_case(case)
    plugins = case_file.case.plugins
    with Console(quiet=quiet or as_json) as console:
        compared = compare_case(
            case_file,
            resume if resume is not None else out,
            resume=resume is not None,
            reference=reference,
            jobs=jobs or os.cpu_count() or 1,
            make_registry=partial(registry_of, plugin, plugin_dir, allowed=plugins.allow if plugins else None),
            watcher=console,
        )
    if as_json:
        print_json({**compared.content, "out": str(compared.folder), "resumed": compared.resumed})
    elif not quiet:
        print_comparison(compared.content)
        typer.echo(f"\npicture:   {printable(compared.folder / '_comparison' / 'comparison.png')}")
        typer.echo(f"check:     vmforensics verify {printable(compared.folder / '_comparison')}")


def print_comparison(content: dict[str, Any]) -> None:
    """A line a run, and a line for each that was refused."""
    from vmforensics.evaluation import METRICS

    rows = content["runs"]
    scores = [name for name in METRICS if any((row.get("scores") or {}).get(name) for row in rows)]
    table = [
        ["run", "estimator", "combiner", "denoisers", "verdict", "over median", *(METRICS[n].title for n in scores)]
    ]
    for row in rows:
        over = row["strongest_over_median_db"]
        found = row.get("scores") or {}
        table.append(
            [
                row["run"].split("-")[0],
                row["motion_estimator"],
                row["signal_combiner"],
                ", ".join(row["denoisers"]) or "-",
                row["verdict"],
                "-" if over is None else f"{over:.1f} dB",
                *(_score(found.get(name)) for name in scores),
            ]
        )
    widths = [max(len(printable(line[k])) for line in table) for k in range(len(table[0]))]
    for line in table:
        typer.echo("  ".join(printable(cell).ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    for each in content.get("refused", ()):
        typer.echo(f"{printable(each['run'])}: refused: {printable(each['error'])}")


def _score(found: dict[str, Any] | None) -> str:
    if found is None or found["value"] is None:
        return "-"
    digits = 1 if found["unit"] == "dB" else 2
    unit = f" {found['unit']}" if found["unit"] else ""
    if found["low"] is None:
        return f"{found['value']:.{digits}f}{unit}"
    return f"{found['value']:.{digits}f}{unit} ({found['low']:.{digits}f} to {found['high']:.{digits}f})"
