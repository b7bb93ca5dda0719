"""The runs that a comparison of methods consists of."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from vmforensics.case.defaults import resolve
from vmforensics.case.model import Case, Run
from vmforensics.errors import CaseError

_LONGEST_NAME = 64


def expanded(case: Case) -> Case:
    """The case with one run for each combination of the methods that its `compare` section names, in its order.

    Runs are named by number and methods. What the case's own `runs` say doesn't count.

    Raises
    ------
    CaseError
        The case has no such section.

    Examples
    --------
    >>> from vmforensics.case import parse_case
    >>> text = "{version: 1, case: {id: A}, evidence: [{path: a.mkv}], camera: {shutter: global}, "
    >>> text += "compare: {motion_estimator: [gradient, local-phase], denoiser: [[], high-pass]}}"
    >>> [run.name for run in expanded(parse_case(text).case).runs][:2]
    ['01-gradient-shared-signal', '02-gradient-shared-signal-high-pass']
    """
    if case.compare is None:
        raise CaseError(
            "the case has no section 'compare', which names the methods to compare",
            hint="add one, such as\ncompare:\n  denoiser: [[], high-pass, [high-pass, wiener-known-noise]]",
        )
    matrix = case.compare
    choices = itertools.product(
        matrix.motion_estimator or (None,), matrix.signal_combiner or (None,), matrix.denoiser or (None,)
    )
    return of_runs(
        case,
        [
            Run(
                evidence=matrix.evidence,
                motion_estimator=estimator,
                signal_combiner=combiner,
                denoiser=denoisers,
                exporter=matrix.exporter,
            )
            for estimator, combiner, denoisers in choices
        ],
    )


def of_runs(case: Case, runs: Sequence[Run]) -> Case:
    """The case with other runs, completed, each on every named region, and named by number, region and methods.

    Parameters
    ----------
    case
        The case; its own runs and its `compare` section go.
    runs
        What to do; their names don't count.
    """
    complete = resolve(case.model_copy(update={"runs": tuple(runs), "compare": None}))
    digits = max(2, len(str(len(complete.runs))))
    named = []
    for number, run in enumerate(complete.runs, 1):
        kinds = ("motion_estimator", "signal_combiner", "denoiser")
        parts = [*([run.region] if run.region else []), *(spec.name for kind in kinds for spec in run.stages(kind))]
        name = f"{number:0{digits}}-{'-'.join(parts)}"[:_LONGEST_NAME].rstrip("-")
        named.append(run.model_copy(update={"name": name}))
    return complete.model_copy(update={"runs": tuple(named)})
