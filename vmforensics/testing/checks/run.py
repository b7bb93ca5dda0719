"""Running the checks over a stage."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from vmforensics.errors import ParameterError
from vmforensics.stages import Stage, StageParams
from vmforensics.testing.checks import (  # noqa: F401 - they register their checks
    denoiser,
    every_stage,
    exporter,
    frame_source,
    motion_estimator,
    row_time_calibrator,
    signal_combiner,
)
from vmforensics.testing.checks.subject import CHECKS, Check, CheckFailed, ClipWriter, Subject, Wrong

NONE_EXPECTED: Mapping[str, str] = MappingProxyType({})
"""No check is expected to fail."""


def check_stage(
    stage: Stage | type[Stage],
    params: StageParams | None = None,
    *,
    evidence: str | Path | ClipWriter | None = None,
    expected_failed_checks: Mapping[str, str] = NONE_EXPECTED,
) -> None:
    """Run every check on a stage.

    Parameters
    ----------
    stage
        A class of one of the kinds, or a stage with the parameters to be checked with.
    params
        A class's parameters; the defaults if None.
    evidence
        For a frame source that reads neither FFV1 in Matroska, nor PNG pictures, nor a TIFF of many pages, nor a
        Photron recording: a clip that it does read, or a function that writes given frames as such a clip.
    expected_failed_checks
        Names of checks that the stage can't pass, each with the reason. One that passes nevertheless is an error.

    Raises
    ------
    CheckFailed
        A check failed that wasn't expected to, or passed that was; the message lists all of them.
    ParameterError
        An expected check isn't one that applies to the stage, or has no reason.
    """
    failures = []
    checks = list(stage_checks(stage, params, evidence=evidence))
    check_expected(expected_failed_checks, {name for name, _ in checks})
    for name, run in checks:
        expected = expected_failed_checks.get(name)
        try:
            run()
        except CheckFailed as failure:
            if expected is None:
                failures.append(str(failure))
        else:
            if expected is not None:
                failures.append(
                    f"{named(stage)}, check {name!r}: it was expected to fail ({expected}), and passes; "
                    "take it off the list"
                )
    if failures:
        raise CheckFailed("\n".join(failures))


def stage_checks(
    stage: Stage | type[Stage],
    params: StageParams | None = None,
    *,
    evidence: str | Path | ClipWriter | None = None,
) -> Iterator[tuple[str, Callable[[], None]]]:
    """The checks that apply to a stage, by name; each raises `CheckFailed`.

    Parameters
    ----------
    stage, params, evidence
        As for `check_stage`.

    Examples
    --------
    >>> from vmforensics.stages import Denoiser
    >>> class Idle(Denoiser):
    ...     name = "idle"
    ...     summary = "does nothing"
    ...     def denoise(self, signal):
    ...         return signal
    >>> [name for name, _ in stage_checks(Idle)][:3]
    ['interface', 'name', 'summary']
    """
    kind, given = (type(stage), stage.params) if isinstance(stage, Stage) else (stage, params)
    clip = Path(evidence).absolute() if isinstance(evidence, str | Path) else evidence
    subject = Subject(kind, given, clip)
    for name, check in _checks_of(kind):
        yield name, functools.partial(_run, subject, name, check)


def check_names(kind: type[Stage]) -> dict[str, str]:
    """The checks that stages of a kind must pass: what each asks, by its name."""
    return {name: " ".join((check.__doc__ or "").split()) for name, check in _checks_of(kind)}


def check_expected(expected: Mapping[str, str], known: set[str]) -> None:
    """Raise `ParameterError` unless expected failures are known checks, each with a reason."""
    for name, reason in expected.items():
        if name not in known:
            raise ParameterError(f"no check {name!r}; the checks are: {', '.join(sorted(known))}")
        if not reason.strip():
            raise ParameterError(f"check {name!r} is expected to fail without a reason", hint="say why it can't pass")


def named(stage: Stage | type[Stage]) -> str:
    """A stage as a failure names it."""
    kind = type(stage) if isinstance(stage, Stage) else stage
    return f"{kind.kind or 'stage'} {kind.name or kind.__name__!r}"


def _checks_of(kind: type[Stage]) -> list[tuple[str, Check]]:
    mine = [(interface, name, check) for interface, name, check in CHECKS if issubclass(kind, interface)]
    return [(name, check) for _, name, check in sorted(mine, key=lambda found: found[0] is not Stage)]


def _run(subject: Subject, name: str, check: Check) -> None:
    who = f"{named(subject.stage_class)}, check {name!r}"
    try:
        check(subject)
    except Wrong as wrong:
        raise CheckFailed(f"{who}: {wrong}") from None
    except (Exception, SystemExit) as error:  # a stranger's code may raise anything
        raise CheckFailed(f"{who}: raised {type(error).__name__}: {error}") from error
