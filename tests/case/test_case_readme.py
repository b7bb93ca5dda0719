"""casefiles/README.md describes the format that the program reads."""

import re
from pathlib import Path

import pytest

from vmforensics.case import (
    AUTO,
    USUAL_STAGES,
    Camera,
    Case,
    Exhibit,
    Identity,
    RegionOfInterest,
    Run,
    new_case,
    parse_case,
    resolve,
)
from vmforensics.plugins import Registry
from vmforensics.stages import STAGES

README = (Path(__file__).resolve().parents[2] / "casefiles" / "README.md").read_text("utf-8")


@pytest.mark.parametrize("section", [Case, Identity, Exhibit, Camera, Run, RegionOfInterest])
def test_every_field_is_described(section):
    for name in section.model_fields:
        assert re.search(rf"\b{name}\b", README), name


def test_usual_stages_are_listed():
    rows = [re.findall(r"`([a-z_-]+)`", row) for row in README.splitlines() if row.startswith("| `")]
    for slot in USUAL_STAGES["global"]:
        expected = [slot, *USUAL_STAGES["global"][slot], *USUAL_STAGES["rolling"][slot]]
        assert expected in rows


def test_example_is_a_case():
    (example,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    case = resolve(parse_case(example).case)
    assert case.case.id == "2026-0042"
    assert [run.name for run in case.runs] == ["usual", "other-denoising"]
    check_stages(case)


def test_template_names_shipped_stages_and_parameters(tmp_path):
    text = new_case(tmp_path)[0].read_text("utf-8").replace("# runs:", "runs:")
    runs = text.split("\nruns:\n")[1]
    runs = re.sub(r"^# ", "", runs, flags=re.MULTILINE)
    for shutter in ("global", "rolling, row_time: 19us"):
        head = f"version: 1\ncase: {{id: A}}\nevidence: [{{path: a}}]\ncamera: {{shutter: {shutter}}}"
        check_stages(resolve(parse_case(f"{head}\nruns:\n{runs}").case))


def check_stages(case):
    registry = Registry()
    for run in case.runs:
        for kind in (stage.kind for stage in STAGES):
            for spec in run.stages(kind):
                if spec.name != AUTO:
                    assert registry.create(kind, spec.name, spec.params).name == spec.name
