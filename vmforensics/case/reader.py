"""Case files in: YAML to a checked case, with every error named by file, line and column."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError, WithJsonSchema

from vmforensics.case.document import LARGEST_FILE, Document, Mark, Problem, parse
from vmforensics.case.fields import Loc, choices, show
from vmforensics.case.model import Case, Exhibit
from vmforensics.errors import CaseError

_MOST_ERRORS = 30  # more than anybody reads at once


@dataclass(frozen=True, slots=True, eq=False)
class CaseFile:
    """A case with the text it was read from.

    Parameters
    ----------
    path : Path
        The file, as the user named it.
    text : bytes
        Its content, byte for byte.
    case : Case
        What it says.
    """

    path: Path
    text: bytes
    case: Case
    _document: Document = field(repr=False)

    def position(self, loc: Loc) -> str:
        """Where a part of the case stands, as "case.yaml:7:5"; of a part left out, the nearest part above it.

        Parameters
        ----------
        loc
            Keys and list positions from the case's root: ("runs", 0, "denoiser", 1, "params", "cutoff").
        """
        return f"{self.path}:{_mark(self._document, loc)}"

    def describe(self, loc: Loc) -> str:
        """Position and name of a part of the case, as "case.yaml:7:5: runs[0].denoiser[1].params.cutoff"."""
        return f"{self.position(loc)}: {dotted(loc)}"

    def evidence_path(self, exhibit: Exhibit) -> Path:
        """Where an exhibit lies; a relative path counts from the case file's folder."""
        return self.path.parent / exhibit.path


def read_case(path: Path) -> CaseFile:
    """Read a case file.

    Raises
    ------
    CaseError
        It can't be read, is no YAML, or isn't a valid case; the message lists all that is wrong, a line each.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise CaseError(f"{path} is a folder, no case file", hint=f"perhaps {path / 'case.yaml'} is meant")
        if path.exists() and not path.is_file():  # a pipe would block, a device never end
            raise CaseError(f"{path} is no regular file")
        with path.open("rb") as file:
            text = file.read(LARGEST_FILE + 1)
    except FileNotFoundError as error:
        raise CaseError(
            f"{path}: no such case file", hint="check the path; `vmforensics new FOLDER` makes one to fill in"
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = error.strerror if isinstance(error, OSError) else error
        raise CaseError(f"{path}: can't be read: {reason}", hint="check path and permissions") from error
    return parse_case(text, path)


def parse_case(text: str | bytes, name: str | Path = "case.yaml") -> CaseFile:
    """Read a case from memory.

    Parameters
    ----------
    text
        The YAML.
    name
        What errors call it; relative paths in it count from this name's folder.

    Raises
    ------
    CaseError
        It is no YAML, or isn't a valid case; the message lists all that is wrong, a line each.
    """
    path = Path(name)
    try:
        data = text.encode() if isinstance(text, str) else bytes(text)
    except UnicodeEncodeError as error:
        raise CaseError(f"{path}: the text holds half a surrogate pair (character {error.start + 1})") from error
    document = parse(data)
    problems = list(document.problems)
    value = document.root.value if document.root else None
    case = None
    if isinstance(value, dict):
        try:
            case = Case.model_validate(value)
        except ValidationError as error:
            found = {problem.mark for problem in problems}  # what fails as YAML fails as a case as well: say it once
            problems += [p for p in _explained(error, document) if p.mark not in found]
    elif not problems:
        keys = ", ".join(Case.model_fields)
        problems.append(
            Problem(Mark(1, 1), (), "is empty" if value is None else f"is no mapping; allowed keys: {keys}")
        )
    if case is None or problems:
        raise CaseError("\n".join(_lines(problems, path)))
    return CaseFile(path, data, case, document)


def build_case(content: Mapping[str, Any]) -> Case:
    """Make a case from plain values instead of a file, as the command line does.

    Raises
    ------
    CaseError
        It isn't a valid case; the message lists all that is wrong, a line each.
    """
    try:
        return Case.model_validate(content)
    except ValidationError as error:
        lines = [f"{dotted(e['loc'])}: {_explain(dict(e))}" for e in error.errors(include_url=False)]
        raise CaseError("\n".join(lines[:_MOST_ERRORS])) from error


def dotted(loc: Loc) -> str:
    """A place in a case as people write it.

    Examples
    --------
    >>> dotted(("runs", 0, "motion_estimator", "params", "cutof"))
    'runs[0].motion_estimator.params.cutof'
    """
    text = ""
    for step in loc:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step.isidentifier() and len(step) <= 60:
            text += f".{step}"
        else:
            text += f"[{show(step)}]"
    return text.removeprefix(".")


def _mark(document: Document, loc: Loc) -> Mark:
    return document.root.find(loc).mark if document.root else Mark(1, 1)


def _lines(problems: list[Problem], path: Path) -> list[str]:
    problems = sorted(problems, key=lambda p: (p.mark.line, p.mark.column))
    lines = [f"{path}:{p.mark}: {dotted(p.loc)}{': ' if p.loc else ''}{p.message}" for p in problems[:_MOST_ERRORS]]
    more = len(problems) - len(lines)
    return [*lines, f"{path}: and {more} more"] if more else lines


def _explained(error: ValidationError, document: Document) -> list[Problem]:
    return [Problem(_mark(document, e["loc"]), e["loc"], _explain(dict(e))) for e in error.errors(include_url=False)]


def _explain(error: dict[str, Any]) -> str:
    """What pydantic found, in this program's words."""
    loc, kind, context = error["loc"], error["type"], error.get("ctx", {})
    given = show(error["input"])
    if kind == "extra_forbidden":
        return f"unknown key; {choices(loc[-1], _section_at(loc[:-1]).model_fields)}"
    if kind == "missing":
        return f"is missing. {_section_at(loc[:-1]).model_fields[str(loc[-1])].description}"
    if kind == "value_error":
        return str(context["error"]).replace(repr(error["input"]), given)
    if kind == "enum":
        allowed = [choice.strip(" '") for choice in context["expected"].replace(" or ", ",").split(",")]
        return f"{given} isn't allowed; {choices(error['input'], allowed)}"
    if kind == "model_type":
        return f"{given} isn't allowed; it must be a mapping of {', '.join(_section_at(loc).model_fields)}"
    if kind == "tuple_type":
        return f"{given} isn't allowed; it must be a list, each item on a line with '- ' before it"
    if kind == "case":
        return str(error["msg"])
    note = _note_on(_section_at(loc[:-1]).model_fields[str(loc[-1])].annotation) if loc else ""
    return f"{given} isn't allowed; {error['msg'].replace('Input should', 'it must')}{note}"


def _section_at(loc: Loc) -> type[BaseModel]:
    """The part of the case that a place belongs to."""
    section: type[BaseModel] = Case
    for step in loc:
        if isinstance(step, str):
            section = _section_in(section.model_fields[step].annotation) or section
    return section


def _section_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_section_in(argument) for argument in typing.get_args(annotation))
    return next((section for section in inner if section), None)


def _note_on(annotation: object) -> str:
    """What a quantity's type says of its unit."""
    if isinstance(annotation, WithJsonSchema):
        return f" ({(annotation.json_schema or {}).get('description', '')})"
    return next((note for argument in typing.get_args(annotation) if (note := _note_on(argument))), "")
