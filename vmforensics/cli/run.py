"""`vmforensics run`: carry out a case."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from vmforensics.cli.console import Console, JsonOption, QuietOption, printable
from vmforensics.cli.plugin_options import PluginDirOption, PluginOption, registry_of
from vmforensics.cli.recover import OutOption, report_outcomes


def run(
    case: Annotated[Path, typer.Argument(help="The case file (YAML).", metavar="CASE.yaml", readable=False)],
    *,
    out: OutOption = None,
    plugin: PluginOption = None,
    plugin_dir: PluginDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Carry out every run of a case file.

    Without --out, the run folder is the next number under runs/ beside the case file. A case with several runs makes
    one folder a run inside it, and a folder that compares them, _comparison. Where the case lists the plugins that it
    allows, no other is loaded.

    \b
    Examples:
      vmforensics run casefiles/example-rolling-shutter/case.yaml
      vmforensics run case.yaml --out /cases/2026-001/first --json
    """
    from vmforensics.case import read_case
    from vmforensics.recovery import COMPARISON, run_case

    case_file = read_case(case)
    plugins = case_file.case.plugins
    registry = registry_of(plugin, plugin_dir, allowed=plugins.allow if plugins else None)
    with Console(quiet=quiet or as_json) as console:
        outcomes = run_case(case_file, out, registry=registry, watcher=console)
    report_outcomes(outcomes, as_json=as_json, quiet=quiet)
    if len(outcomes) > 1 and not as_json and not quiet:
        _print_comparison(outcomes[0].folder.parent / COMPARISON)


def _print_comparison(folder: Path) -> None:
    """The table of comparison.json, a line a run."""
    from vmforensics.detection import LEAST_P

    rows = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))["runs"]
    table = [("run", "estimator", "combiner", "verdict", "p", "raw RMS", "sigma", "strongest")]
    for row in rows:
        unit = row["unit"]
        measured = [_figure(row[name], ".2g", f" {unit}") for name in ("raw_rms", "raw_median_sigma")]
        methods = (row["run"], row["motion_estimator"], row["signal_combiner"], row["verdict"])
        p_value = f"<{LEAST_P:.0e}" if row["p_value"] == LEAST_P else _figure(row["p_value"], ".1g")
        table.append((*methods, p_value, *measured, _figure(row["strongest_hz"], ".5g", " Hz")))
    widths = [max(len(printable(line[k])) for line in table) for k in range(len(table[0]))]
    typer.echo("")
    for line in table:
        typer.echo("  ".join(printable(cell).ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    typer.echo(f"compare:     {printable(folder / 'comparison.png')}")


def _figure(value: float | None, digits: str, unit: str = "") -> str:
    return "-" if value is None else f"{value:{digits}}{unit}"
