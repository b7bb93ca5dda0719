"""The checks as tests of pytest, one a check."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vmforensics.stages import Stage
from vmforensics.testing.checks.run import NONE_EXPECTED, check_expected, named, stage_checks
from vmforensics.testing.checks.subject import CheckFailed, ClipWriter

if TYPE_CHECKING:
    import pytest


def parametrize_with_checks(
    *stages: Stage | type[Stage],
    evidence: str | Path | ClipWriter | None = None,
    expected_failed_checks: Mapping[str, str] = NONE_EXPECTED,
) -> pytest.MarkDecorator:
    """Parametrize a pytest test with every check of some stages.

    Parameters
    ----------
    stages
        Classes, checked with their default parameters, or stages with parameters.
    evidence
        As for `check_stage`.
    expected_failed_checks
        As for `check_stage`; the tests are marked as strict expected failures.

    Returns
    -------
    MarkDecorator
        For a test function with one argument, `check`, which it calls.

    Raises
    ------
    ParameterError
        An expected check doesn't apply to any of the stages, or has no reason.

    Examples
    --------
    >>> from vmforensics.stages import Denoiser
    >>> class Idle(Denoiser):
    ...     name = "idle"
    ...     summary = "does nothing"
    ...     def denoise(self, signal):
    ...         return signal
    >>> @parametrize_with_checks(Idle)
    ... def test_idle(check):
    ...     check()
    """
    import pytest

    params, known = [], set()
    for stage in stages:
        for name, run in stage_checks(stage, evidence=evidence):
            known.add(name)
            reason = expected_failed_checks.get(name)
            marks = [] if reason is None else [pytest.mark.xfail(reason=reason, raises=CheckFailed, strict=True)]
            params.append(pytest.param(run, id=f"{named(stage)}: {name}", marks=marks))
    check_expected(expected_failed_checks, known)
    return pytest.mark.parametrize("check", params)
