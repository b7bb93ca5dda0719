"""`vmforensics run`: carry out a case."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vmforensics.cli.console import Console, JsonOption, QuietOption
from vmforensics.cli.recover import NoPluginOption, OutOption, registry_without, report_outcomes


def run(
    case: Annotated[Path, typer.Argument(help="The case file (YAML).", metavar="CASE.yaml", readable=False)],
    *,
    out: OutOption = None,
    plugin: NoPluginOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Carry out every run of a case file.

    Without --out, the run folder is the next number under runs/ beside the case file. A case with several runs makes
    one folder a run inside it.

    \b
    Examples:
      vmforensics run casefiles/example-rolling-shutter/case.yaml
      vmforensics run case.yaml --out /cases/2026-001/first --json
    """
    from vmforensics.recovery import run_case

    registry = registry_without(plugin)
    with Console(quiet=quiet or as_json) as console:
        outcomes = run_case(case, out, registry=registry, watcher=console)
    report_outcomes(outcomes, as_json=as_json, quiet=quiet)
