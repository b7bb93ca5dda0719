"""Case files: what they mean, and how what is wrong with them is told."""

import os

import pytest

from vmforensics.case import CaseFile, build_case, parse_case, read_case
from vmforensics.data import ReadoutDirection, Region
from vmforensics.errors import CaseError

MINIMAL = """\
version: 1
case: {id: A}
evidence: [{path: clip.mkv}]
camera: {shutter: global}
"""

FULL = """\
version: 1
case:
  id: 0042
  title: 1.10
  examiner: NO
  organisation: 2026-03-01
  authority: 1e3
  notes: |
    two
    lines
evidence:
  - path: a.mkv
    sha256: 0123456789012345678901234567890123456789012345678901234567890123
  - id: JD/7
    path: pictures
    notes: 007
camera:
  shutter: rolling
  row_time: 19us
  row_time_uncertainty: 0.1 us
  row_time_source: LED
  exposure: 1/4000
  readout_direction: right-to-left
  capture_fps: 60000/1001
region: [1, 2, 30, 40]
runs:
  - name: plain
    motion_estimator: row-motion
    denoiser: high-pass
  - name: tuned_2.b
    evidence: JD/7
    frame_source: {name: video, params: {on: off, a: 010, b: 1e-3, c: [1, null, {d: true}]}}
    denoiser: []
    exporter: [wav, {name: arrays}]
"""


def errors(text):
    with pytest.raises(CaseError) as caught:
        parse_case(text)
    return str(caught.value).split("\n")


def test_minimal():
    case = parse_case(MINIMAL).case
    assert case.case.id == "A"
    assert case.evidence[0].id == "E1"
    assert case.region is None
    assert [run.name for run in case.runs] == ["recovery"]
    assert not case.camera.to_shutter(720, 1280).is_rolling


def test_full():
    case = parse_case(FULL).case
    assert (case.case.id, case.case.title) == ("0042", "1.10")
    assert (case.case.examiner, case.case.organisation, case.case.authority) == ("NO", "2026-03-01", "1e3")
    assert case.case.notes == "two\nlines\n"
    assert [(e.id, e.path, e.notes) for e in case.evidence] == [("E1", "a.mkv", ""), ("JD/7", "pictures", "007")]
    assert case.evidence[0].sha256 == "0123456789" * 6 + "0123"
    shutter = case.camera.to_shutter(720, 1280)
    assert (shutter.line_delay, shutter.line_delay_uncertainty, shutter.exposure) == (1.9e-5, 1e-7, 1 / 4000)
    assert shutter.direction is ReadoutDirection.RIGHT_TO_LEFT
    assert shutter.line_delay_source == "LED"
    assert case.camera.capture_fps == 60000 / 1001
    assert case.region.to_region() == Region(1, 2, 30, 40)
    plain, tuned = case.runs
    assert plain.motion_estimator.name == "row-motion"
    assert [stage.name for stage in plain.stages("denoiser")] == ["high-pass"]
    assert plain.exporter is None
    assert tuned.denoiser == ()
    assert [stage.name for stage in tuned.stages("exporter")] == ["wav", "arrays"]
    assert case.exhibit(plain).path == "a.mkv"
    assert case.exhibit(tuned).path == "pictures"
    params = tuned.frame_source.params
    assert params == {"on": "off", "a": "010", "b": 0.001, "c": [1, None, {"d": True}]}
    assert [type(v) for v in (params["b"], params["c"][0])] == [float, int]  # plain ones, rid of their text


def test_all_errors_at_once_by_place():
    bad = FULL.replace("row_time: 19us", "row_time: 1:30").replace("id: 0042", "idd: x").replace("[1, 2,", "[-1, 2.5,")
    bad = bad.replace("examiner: NO", "examiner: true").replace("right-to-left", "right_to_left")
    bad = bad.replace("motion_estimator: row", "motion_estimater: row")
    assert errors(bad) == [
        "case.yaml:2:1: case.id: is missing. The case's reference, as the laboratory or the court knows it.",
        "case.yaml:3:3: case.idd: unknown key; allowed: id, title, examiner, organisation, authority, notes; "
        "did you mean 'id'?",
        "case.yaml:5:3: case.examiner: true is no text; put it in quotes",
        "case.yaml:19:3: camera.row_time: '1:30' is no quantity; write seconds such as 0.000019, 19us, 15.7 ms "
        "or 1/4000",
        "case.yaml:23:3: camera.readout_direction: 'right_to_left' isn't allowed; allowed: top-to-bottom, "
        "bottom-to-top, left-to-right, right-to-left; did you mean 'right-to-left'?",
        "case.yaml:25:1: region.x: -1 isn't allowed; it must be greater than or equal to 0",
        "case.yaml:25:1: region.y: 2.5 isn't allowed; it must be a valid integer",
        "case.yaml:28:5: runs[0].motion_estimater: unknown key; allowed: name, evidence, region, frame_source, "
        "motion_estimator, signal_combiner, denoiser, exporter; did you mean 'motion_estimator'?",
    ]


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("version: 1", "version: 2", "1:1: version: 2 isn't a known version of the case format; allowed: 1"),
        ("version: 1", "version: true", "1:1: version: true isn't a known version"),
        ("version: 1", "version: '1'", "1:1: version: '1' isn't a known version"),
        ("version: 1\n", "", "1:1: version: is missing. Version of this format."),
        ("{id: A}", "A", "2:1: case: 'A' isn't allowed; it must be a mapping of id, title"),
        ("{id: A}", "{id: ''}", "2:8: case.id: is empty; it needs a value"),
        ("{id: A}", '{id: "a\\nb"}', "2:8: case.id: holds a line break"),
        ("{id: A}", "{id: [A]}", "2:8: case.id: ['A'] is no text"),
        ("{id: A}", "{id: null}", "2:8: case.id: null is no text"),
        ("[{path: clip.mkv}]", "[]", "3:1: evidence: is an empty list; it needs at least one item"),
        ("[{path: clip.mkv}]", "clip.mkv", "3:1: evidence: 'clip.mkv' isn't allowed; it must be a list"),
        ("[{path: clip.mkv}]", "{path: a}", "3:1: evidence: {'path': 'a'} isn't allowed; it must be a list"),
        ("[{path: clip.mkv}]", "[a.mkv]", "3:12: evidence[0]: 'a.mkv' isn't allowed; it must be a mapping of id, path"),
        ("clip.mkv}", "a, sha256: ab}", "3:22: evidence[0].sha256: 'ab' is no SHA-256; allowed: 64 hexadecimal digits"),
        ("clip.mkv}", "a}, {path: b, id: e1}", "3:33: evidence[1].id: 'e1' is taken by an earlier one"),
        ("global", "rolling", "4:1: camera.row_time: required for a rolling shutter"),
        ("global", "rolling, row_time: 0", "4:28: camera.row_time: required for a rolling shutter, and greater than 0"),
        ("global", "rolling, row_time: 19", "4:28: camera.row_time: 19 isn't allowed; it must be less than 1 (a dura"),
        (
            "global",
            "rolling, row_time: -19us",
            "camera.row_time: '-19us' isn't allowed; it must be greater than or equ",
        ),
        ("global", "rolling, row_time: 19 px", "camera.row_time: '19 px' is no quantity; write seconds such as"),
        ("global", "rolling, row_time: null", "camera.row_time: required for a rolling shutter"),
        ("global", "global, row_time: 19us", "row_time: 1.9e-05 s contradicts 'shutter: global'"),
        ("global", "global, row_time_source: x", "row_time_source: a global shutter has no row time"),
        ("global", "global, row_time_uncertainty: 1us", "row_time_uncertainty: a global shutter has no row time"),
        ("global", "globel", "4:10: camera.shutter: 'globel' isn't allowed; allowed: rolling, global; did you mean 'g"),
        ("global", "global, exposure: 0", "camera.exposure: 0 isn't allowed; it must be greater than 0"),
        ("global", "global, exposure: .nan", "camera.exposure: '.nan' is no quantity"),
        ("global", "global, exposure: on", "camera.exposure: 'on' is no quantity"),
        ("global", "global, capture_fps: 0", "capture_fps: 0 isn't allowed; it must be greater than 0 (a frequency;"),
        ("global}", "global}\nregion: [1, 2, 3]", "5:1: region: has 3 numbers; allowed: [x, y, width, height]"),
        ("global}", "global}\nregion: [1, 2, 0, 3]", "5:1: region.width: 0 isn't allowed"),
        ("global}", "global}\nregion: {x: true}", "5:10: region.x: true isn't allowed; it must be a valid integer"),
        ("global}", "global}\nruns: []", "5:1: runs: is an empty list"),
        ("global}", "global}\nruns: [{name: ..}]", "5:9: runs[0].name: '..' is no name; allowed: up to 64 letters"),
        ("global}", "global}\nruns: [{name: a/b}]", "runs[0].name: 'a/b' is no name"),
        ("global}", "global}\nruns: [{name: é}]", "runs[0].name: 'é' is no name"),
        ("global}", f"global}}\nruns: [{{name: {'a' * 65}}}]", "is no name"),
        ("global}", "global}\nruns: [{name: a}, {name: A}]", "5:20: runs[1].name: 'A' is taken by an earlier one"),
        ("global}", "global}\nruns: [{evidence: E2}]", "runs[0].evidence: no exhibit 'E2'; allowed: E1"),
        (
            "global}",
            "global}\nruns: [{denoiser: [a, 1.5, {nam: b}]}]",
            "runs[0].denoiser[2].nam: unknown key; allowed: ",
        ),
        (
            "global}",
            "global}\nruns: [{exporter: true}]",
            "5:9: runs[0].exporter: true isn't allowed; it must be a list",
        ),
        ("global}", "global}\nruns: [{exporter: {name: a, params: [1]}}]", "runs[0].exporter[0].params: [1] isn't"),
        (
            "global}",
            f"global}}\nnotes: {'x' * 100}",
            "5:1: notes: unknown key; allowed: version, case, evidence, camera",
        ),
        ("global}", "global}\nRUNS: []", "5:1: RUNS: unknown key"),
        ("global}", "global}\n'a b': 1", "5:1: ['a b']: unknown key"),
    ],
)
def test_error(old, new, error):
    assert old in MINIMAL
    found = errors(MINIMAL.replace(old, new))
    assert any(error in line for line in found), found


def test_syntax_and_meaning_together_without_repetition():
    assert errors("version: 1\ncase: {id: }\nevidence: [{path: a}]\ncamera: {shutter: globl}\nversion: 1") == [
        "case.yaml:2:8: case.id: has no value; write one, or leave the whole line out",
        "case.yaml:4:10: camera.shutter: 'globl' isn't allowed; allowed: rolling, global; did you mean 'global'?",
        "case.yaml:5:1: version: the key appears twice, first on line 1",
    ]


def test_params_are_plain_and_finite():
    deep = "[" * 17 + "]" * 17
    text = MINIMAL + f"runs: [{{exporter: {{name: a, params: {{x: {deep}}}}}}}]"
    assert "nests too deeply; at most 16 levels" in errors(text)[0]
    for value, complaint in [
        (float("inf"), "inf isn't finite"),
        (2**53, "is too large to be exact"),
        ({1}, "{1} is no plain value"),
        ({1: "x"}, None),
        ("\x1b", "holds the control character U+001B"),
    ]:
        content = {"version": 1, "case": {"id": "A"}, "evidence": [{"path": "a"}], "camera": {"shutter": "global"}}
        content["runs"] = [{"exporter": {"name": "a", "params": {"x": value}}}]
        if complaint is None:
            assert build_case(content).runs[0].exporter[0].params == {"x": {"1": "x"}}
            continue
        with pytest.raises(CaseError, match=r"runs\[0\]\.exporter\[0\]\.params\.x: .*") as caught:
            build_case(content)
        assert complaint in str(caught.value)


def test_many_errors_are_cut_short():
    found = errors(MINIMAL + "\n".join(f"k{n}: 1" for n in range(100)))
    assert len(found) == 31
    assert found[-1] == "case.yaml: and 70 more"


def test_long_values_are_cut_short():
    assert len(errors(MINIMAL.replace("global", "x" * 10000))[0]) < 250


@pytest.mark.parametrize("text", ["", "# nothing\n", "\n \n"])
def test_empty(text):
    assert errors(text) == ["case.yaml:1:1: is empty"]


@pytest.mark.parametrize("text", ["word", "[1]", "12"])
def test_no_mapping(text):
    assert errors(text) == [
        "case.yaml:1:1: is no mapping; allowed keys: version, case, evidence, camera, region, "
        "regions, plugins, runs, compare"
    ]


def test_position_for_the_stages_own_checks():
    file = parse_case(FULL, "cases/a.yaml")
    assert file.position(("runs", 0, "denoiser", 0, "params", "cutoff")) == "cases/a.yaml:29:5"
    assert (
        file.describe(("runs", 1, "frame_source", "params", "a")) == "cases/a.yaml:32:51: runs[1].frame_source.params.a"
    )
    assert parse_case(MINIMAL).position(("runs", 0, "denoiser", 1)) == "case.yaml:1:1"


def test_read_case(tmp_path):
    path = tmp_path / "my case.yaml"
    path.write_bytes(FULL.encode())
    file = read_case(path)
    assert isinstance(file, CaseFile)
    assert file.text == FULL.encode()
    assert file.evidence_path(file.case.evidence[0]) == tmp_path / "a.mkv"
    absolute = parse_case(MINIMAL.replace("clip.mkv", "/x/clip.mkv"), path)
    assert str(absolute.evidence_path(absolute.case.evidence[0])) == "/x/clip.mkv"


def test_unreadable_files(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for path, complaint in [
        (tmp_path / "none.yaml", "no such case file"),
        (tmp_path, "is a folder"),
        (pipe, "is no regular file"),
        (loop, "can't be read"),
        (tmp_path / ("x" * 300), "can't be read"),
        (tmp_path / "a\0b", "can't be read"),
    ]:
        with pytest.raises(CaseError, match=complaint):
            read_case(path)


def test_case_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        parse_case(MINIMAL).case.version = 2
