"""`vmforensics view`: the review page of a case."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vmforensics.cli.console import QuietOption, printable
from vmforensics.errors import OutputError


def view(
    case: Annotated[Path, typer.Argument(help="A case folder, or its case file.", metavar="CASE", readable=False)],
    *,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 for any free one.", min=0, max=65535)] = 0,
    language: Annotated[str, typer.Option(help="Language of the texts.", metavar="TAG")] = "en",
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Review a case in the browser: step through pictures, draw a region, listen, compare runs, start another one.

    The page is served to this computer only, and only with the token in the address that is printed. Runs started there
    are those of `vmforensics run`, with the same ledgers. Ctrl-C ends it; a run that is going on is stopped, and says
    so in its ledger.

    \b
    Example:
      vmforensics view casefiles/street
    """
    from vmforensics.custody import Terminated
    from vmforensics.custody.signals import signals_raised
    from vmforensics.report.catalogue import catalogue
    from vmforensics.view import Review, ReviewServer

    catalogue(language)
    review = Review(case)
    try:
        server = ReviewServer(review, port, language)
    except OSError as error:
        raise OutputError(f"port {port} can't be listened on: {error.strerror}", hint="leave --port out") from error
    with server:
        typer.echo(server.url)
        if not quiet:
            typer.echo(f"reviewing {printable(review.folder.path)}; Ctrl-C ends it", err=True)
        if open_browser:
            typer.launch(server.url)
        try:
            with signals_raised():
                server.serve_forever(poll_interval=0.2)
        except Terminated:
            raise
        except KeyboardInterrupt:  # how a person ends it
            pass
        finally:
            review.close()
