"""What is asked of a stage of any kind."""

from __future__ import annotations

import contextlib
import gc
import io
import math
import pickle
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vmforensics.stages import KINDS, Stage, StageParams
from vmforensics.testing.checks.subject import USES, Subject, check, require


@check(Stage, "interface")
def _interface(subject: Subject) -> None:
    """It derives from one of the interfaces, and implements all of it."""
    kinds = [kind.__name__ for kind in KINDS if issubclass(subject.stage_class, kind)]
    require(len(kinds) == 1, f"it derives from {', '.join(kinds) or 'none'} of the interfaces; it must be one")
    missing = sorted(getattr(subject.stage_class, "__abstractmethods__", ()))
    require(not missing, f"it doesn't implement {', '.join(missing)}")


@check(Stage, "name")
def _name(subject: Subject) -> None:
    """Its name is lower case, words joined by hyphens: a case file writes it."""
    name = subject.stage_class.name
    require(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name), f"{name!r} must be lower case, words joined by hyphens")


@check(Stage, "summary")
def _summary(subject: Subject) -> None:
    """It says in one line what it does."""
    summary = subject.stage_class.summary
    require(summary.strip() and "\n" not in summary, f"the summary {summary!r} must be one line that says something")
    require("\n" not in subject.stage_class.reference, "the reference must be one line")


@check(Stage, "parameters are documented")
def _documented(subject: Subject) -> None:
    """Every parameter has a description, with its unit."""
    params = subject.stage_class.Params
    require(issubclass(params, StageParams), f"{params.__name__} must derive from StageParams")
    bare = [name for name, info in params.model_fields.items() if not (info.description or "").strip()]
    require(not bare, f"no description, with its unit, on: {', '.join(bare)}")


@check(Stage, "parameters are frozen and strict")
def _frozen(subject: Subject) -> None:
    """Parameters can't be changed, know no other key, and survive being written to a case file."""
    params = subject.make().params
    require(isinstance(params, subject.stage_class.Params), f"params are a {type(params).__name__}")
    config = type(params).model_config
    for key, wanted in (("frozen", True), ("extra", "forbid"), ("allow_inf_nan", False)):
        require(config.get(key) == wanted, f"{type(params).__name__} must keep {key}={wanted!r} of StageParams")
    again = type(params).model_validate(params.model_dump(mode="json"))
    require(again == params, "the parameters don't survive being written to a case file and read back")


@check(Stage, "parameters are bounded")
def _bounded(subject: Subject) -> None:
    """Numbers among the parameters are finite and have a limit on one side at least."""
    params = subject.make().params
    content = params.model_dump()
    for name, value in content.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        for wrong in (math.nan, math.inf, "a word"):
            require(_refused(params, content | {name: wrong}), f"parameter {name} may be {wrong!r}")
        huge = (content | {name: far} for far in (-(10**15), 10**15))
        require(
            any(_refused(params, given) for given in huge), f"parameter {name} has neither a lower nor an upper limit"
        )


def _refused(params: StageParams, content: dict[str, Any]) -> bool:
    try:
        type(params).model_validate(content)
    except ValidationError:
        return True
    return False


@check(Stage, "picklable")
def _picklable(subject: Subject) -> None:
    """A pickled copy is the same stage."""
    stage = subject.make()
    copy = pickle.loads(pickle.dumps(stage))  # noqa: S301 - our own bytes
    require(type(copy) is type(stage) and copy.params == stage.params, "a pickled copy isn't the same stage")


@check(Stage, "prints nothing")
def _quiet(subject: Subject) -> None:
    """It writes nothing to the terminal."""
    said = subject.remembered("at work", lambda: _at_work(subject))[0]
    require(not said, f"it wrote {said[:80]!r} to the terminal; results and errors say it all")


@check(Stage, "leaves nothing behind")
def _tidy(subject: Subject) -> None:
    """It leaves no files behind, neither in the working folder nor among temporary ones, and none open."""
    _, made, held = subject.remembered("at work", lambda: _at_work(subject))
    require(not made, f"it left {', '.join(made)}")
    require(not held, f"it left {', '.join(held)} open")


def _at_work(subject: Subject) -> tuple[str, list[str], list[str]]:
    """What a stage prints in one use, the files it leaves, and those it leaves open."""
    said = io.StringIO()
    kind = next(kind for kind in USES if issubclass(subject.stage_class, kind))
    earlier, subject.results = subject.results, {}
    try:
        with tempfile.TemporaryDirectory() as name, _in_folders(folder := Path(name)):
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                USES[kind](subject)
            subject.results.clear()
            gc.collect()  # a stream may hold its file as long as it lives
            held = _open_below(folder)
            made = sorted(f"{path.name!r}" for place in folder.iterdir() for path in place.iterdir())
    finally:
        subject.results = earlier
    return said.getvalue(), made, held


@contextlib.contextmanager
def _in_folders(folder: Path) -> Iterator[None]:
    """An empty working folder and an empty folder for temporary files."""
    work, temporary = folder / "work", folder / "temporary"
    work.mkdir()
    temporary.mkdir()
    earlier = tempfile.tempdir
    tempfile.tempdir = str(temporary)
    try:
        with contextlib.chdir(work):
            yield
    finally:
        tempfile.tempdir = earlier


def _open_below(folder: Path) -> list[str]:
    """The files in a folder, removed ones as well, that this process has open; none where the system doesn't tell."""
    found = set()
    for descriptor in Path("/proc/self/fd").glob("*"):
        with contextlib.suppress(OSError):  # it may be closed by now
            path = descriptor.readlink()
            if path.is_relative_to(folder.resolve()):
                found.add(f"{path.name!r}")
    return sorted(found)
