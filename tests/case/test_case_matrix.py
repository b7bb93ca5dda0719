"""The section `compare`: what it may say, and the runs that it stands for."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
import yaml

from vmforensics.case import Case, dump_case, expanded, json_schema, parse_case
from vmforensics.errors import CaseError
from vmforensics.plugins import Registry

HEAD = "version: 1\ncase: {id: A}\nevidence: [{path: a.mkv}, {id: B, path: b.mkv}]\ncamera: {shutter: global}\n"


def case(compare: str) -> Case:
    return parse_case(f"{HEAD}compare: {compare}\n").case


def methods(compare: str) -> list[tuple[str, str, tuple[str, ...]]]:
    found = []
    for run in expanded(case(compare)).runs:
        (estimator,), (combiner,) = run.stages("motion_estimator"), run.stages("signal_combiner")
        found.append((estimator.name, combiner.name, tuple(spec.name for spec in run.stages("denoiser"))))
    return found


USUAL = ("high-pass", "spectral-subtraction")


@pytest.mark.parametrize(
    ("compare", "wanted"),
    [
        ("{motion_estimator: gradient}", [("gradient", "shared-signal", USUAL)]),
        ("{motion_estimator: [a, b]}", [("a", "shared-signal", USUAL), ("b", "shared-signal", USUAL)]),
        (
            "{signal_combiner: [c, d], denoiser: [[], w]}",
            [("adaptive", c, d) for c in ("c", "d") for d in ((), ("w",))],
        ),
        (
            "{denoiser: [w, [high-pass, {name: w, params: {window: 20ms}}]]}",
            [("adaptive", "shared-signal", d) for d in (("w",), ("high-pass", "w"))],
        ),
    ],
)
def test_each_alternative_meets_each(compare: str, wanted: list[Any]) -> None:
    assert methods(compare) == wanted


def test_runs_are_named_by_number_and_method_and_work_on_the_exhibit_named() -> None:
    runs = expanded(case("{evidence: B, denoiser: [[], [high-pass, spectral-subtraction, wiener-known-noise]]}")).runs
    assert [run.name for run in runs] == [
        "01-adaptive-shared-signal",
        "02-adaptive-shared-signal-high-pass-spectral-subtraction-wiener",
    ]
    assert {run.evidence for run in runs} == {"B"}
    names = [run.name for run in expanded(case(f"{{motion_estimator: [{', '.join('a' * 101)}]}}")).runs]
    assert (names[0], names[-1][:4]) == ("001-a-shared-signal-high-pass-spectral-subtraction", "101-")


def test_what_was_expanded_is_a_case_that_can_be_written_and_read() -> None:
    full = expanded(case("{motion_estimator: [gradient, local-phase], exporter: arrays}"))
    assert full.compare is None
    assert parse_case(dump_case(full)).case == full
    assert parse_case(dump_case(case("{denoiser: [[], w]}"))).case == case("{denoiser: [[], w]}")


@pytest.mark.parametrize(
    ("compare", "told"),
    [
        ("{denoiser: []}", "compare.denoiser: is an empty list"),
        ("{evidence: C}", "compare.evidence: no exhibit 'C'; allowed: E1, B"),
        ("{estimator: [a]}", "compare.estimator: unknown key"),
        ("{motion_estimator: [[a, b]]}", "compare.motion_estimator"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(compare: str, told: str) -> None:
    with pytest.raises(CaseError) as error:
        case(compare)
    assert told in str(error.value)
    assert "case.yaml:5" in str(error.value)


def test_a_case_without_the_section_is_told_how_to_write_one() -> None:
    with pytest.raises(CaseError, match="no section 'compare'") as error:
        expanded(parse_case(HEAD).case)
    assert error.value.hint is not None
    hint = error.value.hint.split("\n", 1)[1]
    assert len(expanded(parse_case(HEAD + hint).case).runs) == 3


@pytest.mark.parametrize(
    ("compare", "valid"),
    [
        ("{motion_estimator: [gradient, {name: local-phase}], denoiser: [[], high-pass, [high-pass, wiener]]}", True),
        ("{motion_estimator: gradient, exporter: [wav, arrays]}", True),
        ("{motion_estimator: [nonsense]}", False),
        ("{denoiser: []}", False),
        ("{denoisers: [wiener]}", False),
    ],
)
def test_the_schema_says_the_same(compare: str, valid: bool) -> None:
    schema = json_schema([registered.stage for registered in Registry().stages()])
    content = yaml.safe_load(f"{HEAD}compare: {compare}\n")
    assert jsonschema.Draft202012Validator(schema).is_valid(content) is valid
