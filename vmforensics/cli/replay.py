"""`vmforensics replay` and `vmforensics validate`: does a finished run come out the same again?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vmforensics.cli.console import Console, JsonOption, QuietOption, print_json, printable
from vmforensics.cli.plugin_options import PluginDirOption, PluginOption, registry_of
from vmforensics.cli.recover import OutOption, report_outcomes
from vmforensics.errors import CustodyError, ReplayDiffers

if TYPE_CHECKING:
    from vmforensics.replay import Replay, Validation

_MOST_DIFFERENCES = 12  # printed; --json has them all


def replay(
    run_dir: Annotated[Path, typer.Argument(help="A finished run's folder.", metavar="RUN_DIR", readable=False)],
    *,
    change: Annotated[
        list[str] | None,
        typer.Option("--with", help="Make a new run with this varied; may be given again.", metavar="WHAT=VALUE"),
    ] = None,
    out: OutOption = None,
    plugin: PluginOption = None,
    plugin_dir: PluginDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Carry out a finished run again from its record, and compare every artefact with it.

    On the same machine with the same program every artefact has the same digest. Where program, libraries or processor
    differ, they are named, and the numbers must agree within tolerance: a sample within a hundredth of its stated
    standard uncertainty, an uncertainty within 1 %, other figures within 0.1 %. The repeated run is kept only with
    --out.

    With --with, a new run is made beside the old one instead, which says what was varied: another stage
    (motion_estimator=gradient), other denoisers (denoiser=high-pass,line-remover), a parameter of one of the run's
    stages (high-pass.cutoff=80Hz).

    \b
    Examples:
      vmforensics replay casefiles/street/runs/001
      vmforensics replay casefiles/street/runs/001 --with motion_estimator=gradient
    """
    from dataclasses import asdict

    from vmforensics.replay import replay_run, vary_run

    registry = registry_of(plugin, plugin_dir)
    with Console(quiet=quiet or as_json, talkative=bool(change)) as console:
        if change:
            outcome, variations = vary_run(run_dir, change, out, registry=registry, watcher=console)
        else:
            found = replay_run(run_dir, keep=out, registry=registry, watcher=console)
    if change:
        for each in [] if quiet or as_json else variations:
            typer.echo(
                f"{'varied:':<13}{printable(each.what)}: {printable(each.now)} instead of {printable(each.then)}"
            )
        report_outcomes([outcome], as_json=as_json, quiet=quiet)
        return
    if as_json:
        print_json({"ok": found.ok, **asdict(found)})
    elif not quiet:
        _print(found)
    if not found.ok:
        if as_json or quiet:
            raise typer.Exit(ReplayDiffers.exit_code)
        raise ReplayDiffers(f"{run_dir}: doesn't come out as recorded: {found.reason}")


def validate(
    folders: Annotated[
        list[Path], typer.Argument(help="Folders with runs in them, at any depth.", metavar="DIR...", readable=False)
    ],
    *,
    plugin: PluginOption = None,
    plugin_dir: PluginDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Replay every finished run in some folders, and print a table: for a new version, a new computer, an audit.

    Runs that can't be repeated (failed ones, missing evidence) are listed with the reason; they don't count as
    different.

    \b
    Examples:
      vmforensics validate casefiles
      vmforensics validate casefiles/street casefiles/chips --json
    """
    from dataclasses import asdict

    from vmforensics.replay import runs_below
    from vmforensics.replay import validate as repeat

    runs = [run for folder in folders for run in runs_below(folder)]
    if not runs:
        raise CustodyError(
            f"{', '.join(map(str, folders))}: no run is there", hint="a run's folder holds ledger.jsonl and case.yaml"
        )
    done: list[Validation] = []
    with Console(quiet=quiet or as_json, talkative=False) as console:
        for each in repeat(runs, registry=registry_of(plugin, plugin_dir), watcher=console):
            done.append(each)
            if not quiet and not as_json:
                _print_row(each)
    differing = [each for each in done if each.replay is not None and not each.replay.ok]
    repeated = sum(each.replay is not None for each in done)
    if as_json:
        rows = [asdict(each) | {"ok": each.replay.ok if each.replay else None} for each in done]
        print_json({"ok": not differing, "repeated": repeated, "runs": rows})
    elif not quiet:
        same = sum(each.replay is not None and each.replay.verdict == "identical" for each in done)
        typer.echo(
            f"{len(done)} runs: {same} identical, {repeated - same - len(differing)} within tolerance, "
            f"{len(differing)} otherwise, {len(done) - repeated} not repeated"
        )
    if differing:
        if as_json or quiet:
            raise typer.Exit(ReplayDiffers.exit_code)
        raise ReplayDiffers(f"{len(differing)} of {repeated} runs don't come out as recorded")


def _print(found: Replay) -> None:
    for artefact in found.artefacts:
        detail = f": {artefact.detail}" if artefact.detail else ""
        typer.echo(f"  {artefact.likeness.value:<17}{printable(artefact.name)}{printable(detail)}")
    if found.first_step:
        typer.echo(f"first step whose output isn't the same to the bit: {printable(found.first_step)}")
    for difference in found.differences[:_MOST_DIFFERENCES]:
        typer.echo(f"  differs: {printable(difference)}")
    if (more := len(found.differences) - _MOST_DIFFERENCES) > 0:
        typer.echo(f"  and {more} more; --json lists them")
    typer.echo(f"{'verdict:':<13}{found.verdict.value.upper()}: {printable(found.reason)}")
    typer.echo(f"{'of the run:':<13}ledger head {found.head}")


def _print_row(each: Any) -> None:
    if each.replay is None:
        verdict, detail = "not repeated", each.problem
    else:
        verdict, detail = each.replay.verdict.value, each.replay.reason
        if each.replay.differences:
            kinds = dict.fromkeys(difference.what for difference in each.replay.differences)
            detail += f" (differs: {', '.join(kinds)})"
    typer.echo(f"{verdict:<18}{printable(each.run)}: {printable(detail)}")
