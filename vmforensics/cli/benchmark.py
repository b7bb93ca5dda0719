"""`vmforensics benchmark`: every method on clips whose truth is known."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from vmforensics.cli.compare import JobsOption
from vmforensics.cli.console import Console, JsonOption, QuietOption, print_json, printable
from vmforensics.cli.plugin_options import PluginDirOption, PluginOption, registry_of
from vmforensics.errors import OutputError


def benchmark(
    clips: Annotated[
        Path,
        typer.Argument(
            help="A folder of clips: each a folder with case.yaml and truth.wav.", metavar="DIR", readable=False
        ),
    ],
    *,
    out: Annotated[Path | None, typer.Option(help="Folder to make; DIR-benchmark by default.", metavar="OUT")] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Carry on an interrupted benchmark in this folder.", metavar="OUT")
    ] = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="First write the standard clips to DIR, which must not exist.")
    ] = False,
    jobs: JobsOption = None,
    plugin: PluginOption = None,
    plugin_dir: PluginDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure methods on clips whose truth is known, against the bound that the clips' noise sets.

    Each sub-folder of DIR is a clip: a case.yaml that names it, and truth.wav, the sound that moved the scene. Where a
    case has a section `compare`, those methods are compared; else all that are installed, one exchanged at a time in
    the usual recovery. The table is in _benchmark/benchmark.md.

    \b
    Examples:
      vmforensics benchmark clips --simulate
      vmforensics benchmark my-clips --out accuracy --jobs 4
      vmforensics benchmark my-clips --resume accuracy
    """
    from vmforensics.benchmark.benchmark import SUMMARY
    from vmforensics.benchmark.benchmark import benchmark as benchmarked
    from vmforensics.benchmark.clips import write_standard_clips

    if out is not None and resume is not None:
        raise OutputError("--out and --resume name two folders", hint="give one of them")
    base = resume or out or clips.with_name(f"{clips.absolute().name}-benchmark")
    with Console(quiet=quiet or as_json) as console:
        if simulate:
            console.say("simulating the standard clips")
            write_standard_clips(clips)
        done = benchmarked(
            clips,
            base,
            resume=resume is not None,
            jobs=jobs or os.cpu_count() or 1,
            make_registry=partial(registry_of, plugin, plugin_dir),
            watcher=console,
        )
    if as_json:
        print_json({**done.content, "out": str(done.folder)})
    elif not quiet:
        typer.echo((done.folder / SUMMARY / "benchmark.md").read_text(encoding="utf-8"))
        typer.echo(f"picture:   {printable(done.folder / SUMMARY / 'benchmark.png')}")
        typer.echo(f"check:     vmforensics verify {printable(done.folder / SUMMARY)}")
