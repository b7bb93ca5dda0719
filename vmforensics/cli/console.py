"""How commands talk: progress on standard error while somebody looks, facts on standard output, JSON on request."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

# Paths are `readable=False` for typer: whether one can be read is the program's to find out, with its own exit code.
ClipArgument = Annotated[
    Path, typer.Argument(help="A video file, or a folder of pictures.", metavar="CLIP", readable=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the facts as JSON.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]


def print_json(content: Any) -> None:
    """Print facts as JSON on standard output; what can't be printed, or isn't text, stands there as JSON escapes."""
    text = json.dumps(content, indent=2, ensure_ascii=False, default=str)
    typer.echo("".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text))


_SPACES = "\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}"  # of quantities: what a terminal may break


def printable(text: object) -> str:
    """Text from a file, its control characters made visible: a file name must not drive the terminal."""
    return "".join(c if c.isprintable() else " " if c in _SPACES else repr(c)[1:-1] for c in str(text))


class Console:
    """Watches a run: a progress bar with rate and time left on a terminal, nothing when piped or asked to be quiet.

    Parameters
    ----------
    quiet
        Whether to say nothing at all.
    talkative
        Whether messages (not bars) go to standard error also where it is no terminal.
    """

    def __init__(self, *, quiet: bool, talkative: bool = True) -> None:
        self._bars = sys.stderr.isatty() and not quiet
        self._talk = talkative and not quiet
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        if self._bars:
            from rich.console import Console as RichConsole
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._progress = Progress(
                TextColumn("{task.description:<24}"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f} %"),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(compact=True),
                console=RichConsole(stderr=True),
                transient=True,
            )
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def progress(self, what: str, done: int, total: int, unit: str) -> None:
        """Move a bar."""
        if self._progress is None:
            return
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=max(total, 1), rate="")
        task = self._tasks[what]
        self._progress.update(task, completed=done, total=max(total, done, 1))
        speed = self._progress.tasks[self._progress.task_ids.index(task)].speed
        if speed:
            shown = f"{speed / 2**20:.0f} MiB/s" if unit == "bytes" else f"{speed:.0f} {unit}/s"
            self._progress.update(task, rate=shown)

    def say(self, text: str) -> None:
        """Tell a person something, on standard error."""
        if not self._talk:
            return
        if self._progress is not None:
            self._progress.console.print(printable(text), markup=False, highlight=False)
        else:
            typer.echo(printable(text), err=True)
