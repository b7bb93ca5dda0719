"""`vmforensics report`: what an analyst signs, a court reads and an opponent checks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vmforensics.cli.console import Console, JsonOption, QuietOption, print_json, printable


def report(
    case_or_run: Annotated[
        Path,
        typer.Argument(help="A case folder, its case file, or a run folder.", metavar="CASE_OR_RUN", readable=False),
    ],
    *,
    pdf: Annotated[bool, typer.Option("--pdf", help="Make a PDF too (needs the extra `pdf`).")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder to make for the report; it must not hold anything yet."),
    ] = None,
    language: Annotated[str, typer.Option(help="Language of the texts.", metavar="TAG")] = "en",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make the report of a case or a run: one page, every number as JSON, and a PDF on request.

    Every run is checked first; a run that has changed since isn't reported on. Without --out, the report goes to the
    next number under reports/ in the case's folder. report.html needs nothing but itself: it works from a USB stick.

    \b
    Examples:
      vmforensics report casefiles/street
      vmforensics report casefiles/street/runs/001 --pdf
    """
    from vmforensics.dossier import make_report
    from vmforensics.report.quantities import quantity

    with Console(quiet=quiet or as_json) as console:
        made = make_report(case_or_run, out, pdf=pdf, language=language, say=console.say)
    if as_json:
        print_json({**made.content, "report_dir": str(made.folder), "ledger_head_sha256": made.head})
        return
    if quiet:
        return
    runs = [f"{run['name']} {run['result']['verdict']}" for run in made.content["runs"]]
    failed = len(made.content["runs_without_result"])
    lines = [
        ("runs", ", ".join(runs) + (f"; {failed} without a result" if failed else "")),
        *((label, f"{made.folder / name}, {quantity(made.files[name], 'bytes')}") for label, name in _FILES
          if name in made.files),
        ("check", f"vmforensics verify {made.folder}"),
        ("ledger head", made.head),
    ]  # fmt: skip
    for label, text in lines:
        typer.echo(f"{label + ':':<13}{printable(text)}")


_FILES = (("page", "report.html"), ("pdf", "report.pdf"), ("numbers", "report.json"))
