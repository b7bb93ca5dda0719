"""A stage under examination, and the words in which a check asks and finds fault."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vmforensics.data import Luma
from vmforensics.errors import VmforensicsError
from vmforensics.stages import Stage, StageParams

ClipWriter = Callable[[Luma, Path], Path]
"""Writes frames [shape=(frames, rows, cols), uint8] into a folder, in a format of its own; returns the clip's path."""

_LEAST_WORDS = 3
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class CheckFailed(AssertionError):
    """A stage doesn't do what its interface asks; the message names the stage and every check that failed."""


class Wrong(Exception):
    """What is wrong, in words."""


@dataclass(eq=False)
class Subject:
    """A stage under examination, with what it has returned so far."""

    stage_class: type[Stage]
    params: StageParams | None
    evidence: Path | ClipWriter | None
    results: dict[object, Any] = field(default_factory=dict)

    def make(self) -> Any:
        """A new instance."""
        return self.stage_class(self.params)

    def remembered(self, key: object, work: Callable[[], Any]) -> Any:
        """What some work returned when it was first asked for."""
        if key not in self.results:
            self.results[key] = work()
        return self.results[key]


Check = Callable[[Subject], None]

CHECKS: list[tuple[type[Stage], str, Check]] = []
"""Every check, with the interface that it applies to."""

USES: dict[type[Stage], Callable[[Subject], object]] = {}
"""One use of a stage of each kind."""


def check(kind: type[Stage], name: str) -> Callable[[Check], Check]:
    """Register a check of every stage of a kind."""

    def add(function: Check) -> Check:
        CHECKS.append((kind, name, function))
        return function

    return add


def use(kind: type[Stage]) -> Callable[[Check], Check]:
    """Register what it means to use a stage of a kind once."""

    def add(function: Check) -> Check:
        USES[kind] = function
        return function

    return add


def require(condition: object, otherwise: str) -> None:
    """Raise `Wrong` unless something holds."""
    if not condition:
        raise Wrong(otherwise)


def same(first: Any, second: Any) -> bool:
    """Whether two results agree to the last bit."""
    if isinstance(first, np.ndarray):
        return (
            isinstance(second, np.ndarray)
            and (first.shape, first.dtype) == (second.shape, second.dtype)
            and first.tobytes() == second.tobytes()
        )
    if dataclasses.is_dataclass(first):
        return type(first) is type(second) and all(
            same(getattr(first, f.name), getattr(second, f.name)) for f in dataclasses.fields(first)
        )
    if isinstance(first, tuple | list):
        return type(first) is type(second) and len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)


def refusal(work: Callable[[], Any]) -> str | None:
    """What some work is refused with, if it is refused with an error made for users; None if it goes through.

    Raises
    ------
    Wrong
        The message says nothing, or shows an object's address.
    """
    try:
        work()
    except VmforensicsError as error:
        said = error.message
        require(len(said.split()) >= _LEAST_WORDS, f"its error says {said!r}; it must name culprit, value and limit")
        require(not _ADDRESS.search(said), f"its error shows an object's address: {said!r}")
        return said
    return None


def read_only(result: Any) -> Any:
    """The same dataclass with arrays that can't be written to, as a run hands it on."""
    for f in dataclasses.fields(result):
        value = getattr(result, f.name)
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
        elif dataclasses.is_dataclass(value):
            read_only(value)
    return result


def check_arrays(result: Any, dtypes: dict[str, type[np.generic]]) -> None:
    """Raise `Wrong` where a result's arrays have another dtype, or hold what its class doesn't allow."""
    for name, dtype in dtypes.items():
        array = getattr(result, name)
        require(isinstance(array, np.ndarray), f"{name} is a {type(array).__name__}; an array is asked")
        require(array.dtype == dtype, f"{name} is {array.dtype}; {np.dtype(dtype)} is asked")
    try:
        result.__post_init__()  # an array may have been written to after the result was made
    except ValueError as error:
        raise Wrong(f"it returned a {type(result).__name__} that isn't allowed: {error}") from error
