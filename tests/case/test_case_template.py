"""Cases that the program writes itself."""

import os
import re

import pytest

from vmforensics.case import USUAL_STAGES, case_for_clip, dump_case, new_case, parse_case, read_case, resolve
from vmforensics.case.model import Camera, Case, Exhibit, Identity, Run
from vmforensics.errors import CaseError, OutputError

FILLED = {"id": "2024-001", "path": "evidence/clip.mkv"}


@pytest.fixture
def template(tmp_path):
    new_case(tmp_path / "case")
    return (tmp_path / "case" / "case.yaml").read_text("utf-8")


def fill(text, shutter):
    for key, value in (FILLED | {"shutter": shutter}).items():
        text, count = re.subn(rf"^((?:  |    ){key}:)( +#.*)$", rf"\1 {value}\2", text, count=1, flags=re.MULTILINE)
        assert count == 1
    return text


def uncomment(text, *keys):
    for key in keys:
        text, count = re.subn(rf"^( *)# ({key}:)", r"\1\2", text, count=1, flags=re.MULTILINE)
        assert count == 1, key
    return text


def test_new_case_lays_out_a_folder(tmp_path):
    folder = tmp_path / "a" / "b"
    made = new_case(folder)
    assert made == [folder / name for name in ("case.yaml", "README.txt", "evidence", "runs")]
    assert sorted(path.name for path in folder.iterdir()) == ["README.txt", "case.yaml", "evidence", "runs"]


def test_new_case_leaves_alone_what_is_there(tmp_path):
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "clip.mkv").write_bytes(b"x")
    (tmp_path / "README.txt").write_text("mine")
    assert [path.name for path in new_case(tmp_path)] == ["case.yaml", "runs"]
    assert (tmp_path / "README.txt").read_text() == "mine"
    assert (tmp_path / "evidence" / "clip.mkv").read_bytes() == b"x"


def test_new_case_overwrites_nothing(tmp_path):
    (tmp_path / "case.yaml").write_text("mine")
    with pytest.raises(OutputError, match="is there already"):
        new_case(tmp_path)
    assert (tmp_path / "case.yaml").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1


def test_new_case_where_none_can_be(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / ("x" * 300), tmp_path / "a\0b"):
        with pytest.raises(OutputError):
            new_case(folder)


def test_unfilled_template_names_what_to_fill_in(template):
    with pytest.raises(CaseError) as caught:
        parse_case(template)
    assert [re.sub(r"^case.yaml:\d+:\d+: ", "", line) for line in str(caught.value).split("\n")] == [
        f"{key}: has no value; write one, or leave the whole line out"
        for key in ("case.id", "evidence[0].path", "camera.shutter")
    ]


def test_filled_template_parses(template):
    case = parse_case(fill(template, "global")).case
    assert (case.case.id, case.evidence[0].path) == (FILLED["id"], FILLED["path"])
    assert not case.camera.to_shutter(720, 1280).is_rolling
    with pytest.raises(CaseError, match=r"camera\.row_time: required for a rolling shutter"):
        parse_case(fill(template, "rolling"))


def test_fully_used_template_parses(template):
    text = uncomment(fill(template, "rolling"), "row_time", "row_time_uncertainty", "row_time_source", "exposure")
    text = uncomment(text, "readout_direction", "capture_fps", "region")
    before, runs = text.split("# runs:\n")
    case = parse_case(before + "runs:\n" + re.sub(r"^# ", "", runs, flags=re.MULTILINE)).case
    assert case.camera.row_time == 1.9e-5
    assert case.region is not None
    assert [run.name for run in case.runs] == ["usual", "without-denoising", "higher-cutoff"]
    assert case.runs[2].denoiser[0].params == {"cutoff": "80 Hz"}
    assert {"row_time_source", "readout_direction", "exposure", "capture_fps"} <= case.camera.model_fields_set


@pytest.mark.parametrize("section", [Case, Identity, Exhibit, Camera, Run])
def test_template_shows_every_field(template, section):
    for name in section.model_fields:
        assert re.search(rf"\b{name}\b", template), name


def test_template_shows_the_usual_stages(template):
    for name in {name for slots in USUAL_STAGES.values() for names in slots.values() for name in names}:
        assert name in template


def test_case_for_clip_global():
    case = case_for_clip("some/chips.avi", shutter="global", capture_fps="2200", region=(1, 2, 3, 4))
    assert case.case.id == "chips"
    assert case.evidence[0].path == "some/chips.avi"
    assert case.camera.capture_fps == 2200
    assert case.region.width == 3
    assert parse_case(dump_case(case, leave_out_defaults=True)).case == case
    assert resolve(case).runs[0].motion_estimator.name == "adaptive"


def test_case_for_clip_rolling():
    case = case_for_clip(
        "clip.mkv", shutter="rolling", row_time="19us", exposure="1/4000", readout_direction="right-to-left"
    )
    shutter = case.camera.to_shutter(720, 1280)
    assert (shutter.line_delay, shutter.exposure, shutter.direction) == (1.9e-5, 1 / 4000, "right-to-left")


def test_case_for_clip_counts_from_the_cases_folder(tmp_path, monkeypatch):
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "clip.mkv").write_bytes(b"x")
    (tmp_path / "far" / "runs").mkdir(parents=True)
    (tmp_path / "near").symlink_to(tmp_path / "far" / "runs")
    monkeypatch.chdir(tmp_path)
    case = case_for_clip(os.path.join("evidence", "clip.mkv"), shutter="global", folder="near")  # noqa: PTH118
    assert case.evidence[0].path == "../../evidence/clip.mkv"
    path = tmp_path / "near" / "case.yaml"
    path.write_text(dump_case(case))
    file = read_case(path)
    assert file.evidence_path(file.case.evidence[0]).read_bytes() == b"x"


def test_case_for_clip_refuses():
    with pytest.raises(CaseError, match=r"camera\.row_time: '19' isn't allowed; it must be less than 1"):
        case_for_clip("clip.mkv", shutter="rolling", row_time="19")
    with pytest.raises(CaseError, match="required for a rolling shutter"):
        case_for_clip("clip.mkv", shutter="rolling")
    with pytest.raises(CaseError, match="control character"):
        case_for_clip("cl\x1bip.mkv", shutter="global")
