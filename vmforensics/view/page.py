"""The review page, and a run's part of it, from the report's own templates."""

from __future__ import annotations

import functools
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, FileSystemLoader

from vmforensics.report.catalogue import catalogue
from vmforensics.report.page import TEMPLATES as REPORT_TEMPLATES
from vmforensics.report.page import environment, page_style
from vmforensics.view.review import Review

_TEMPLATES = Path(__file__).parent / "templates"
_STATIC = {
    "desk.js": REPORT_TEMPLATES,
    "view.css": _TEMPLATES,
    "view.js": _TEMPLATES,
}


def page(review: Review, token: str, language: str) -> bytes:
    """The page itself."""
    text = (
        _environment(language)
        .get_template("view.html.j2")
        .render(
            t=catalogue(language),
            case=review.case_file().case.case,
            token=token,
            exhibits=review.exhibits(),
            estimators=review.estimators(),
        )
    )
    return text.encode("utf-8")


def fragment(review: Review, key: str, language: str) -> bytes:
    """One run, to be put into the page.

    Raises
    ------
    CustodyError
        There is no such run, or it came to no result.
    VerificationFailed
        It isn't as it was left.
    """
    t = catalogue(language)
    text = _environment(language).get_template("run.html.j2").render(t=t, run=review.shown(key, t))
    return text.encode("utf-8")


def static(name: str, language: str) -> bytes | None:
    """A style sheet or script of the page; None for any other name."""
    if name == "report.css":
        return page_style(catalogue(language)).encode("utf-8")
    folder = _STATIC.get(name)
    return (folder / name).read_bytes() if folder is not None else None


@functools.cache
def _environment(language: str) -> Environment:
    folders = [FileSystemLoader(_TEMPLATES), FileSystemLoader(REPORT_TEMPLATES)]
    return environment(language).overlay(loader=ChoiceLoader(folders))
