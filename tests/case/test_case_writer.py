"""What is written reads back as the same case, to the type and the last digit."""

import json
import string

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from vmforensics.case import build_case, dump_case, parse_case, resolve

TRAPS = ["on", "1e-3", "010", "1:30", "~", "null", "true", "<<", "=", "2026-01-01", "0x1F", "1_000", ".inf", "- a"]
TRAPS += ["a: b", "# x", " x", "x ", "", "\n x", "x\n\n", "\n", "\t", "|", "'", '"', "\\", "é\u200b", "\ufeffa", "\xa0"]
TRAPS += [
    "!tag",
    "&a",
    "*a",
    "%YAML",
    "---",
    "...",
    "{",
    "[",
    "1e999",
    "\U0001f3a4",
    "a\n  b\n c\n",
    "x" * 200,
    "w " * 99,
]

text = st.sampled_from(TRAPS) | st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], include_characters="\n\t"), max_size=12
)
line = text.filter(lambda t: t.strip() and "\n" not in t)
value = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(1 - 2**53, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
stage = st.fixed_dictionaries({"name": line}, optional={"params": st.dictionaries(text, value, max_size=3)})
names = st.text(string.ascii_letters + string.digits, min_size=1, max_size=5)
duration = st.floats(min_value=0, max_value=1, exclude_min=True, exclude_max=True)
camera = st.fixed_dictionaries(
    {"shutter": st.just("rolling"), "row_time": duration},
    optional={"row_time_uncertainty": duration, "row_time_source": text, "readout_direction": st.just("left-to-right")},
) | st.fixed_dictionaries(
    {"shutter": st.just("global")},
    optional={"exposure": duration, "capture_fps": st.floats(min_value=1, max_value=1e6)},
)
content = st.fixed_dictionaries(
    {
        "version": st.just(1),
        "case": st.fixed_dictionaries({"id": line}, optional={"title": text, "notes": text}),
        "evidence": st.lists(
            st.fixed_dictionaries({"path": line}, optional={"sha256": st.just("0" * 63 + "1"), "notes": text}),
            min_size=1,
            max_size=2,
        ),
        "camera": camera,
    },
    optional={
        "region": st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 9), st.integers(1, 9)),
        "runs": st.lists(
            st.fixed_dictionaries(
                {"name": names},
                optional={"frame_source": stage, "denoiser": st.lists(stage, max_size=2), "exporter": stage},
            ),
            min_size=1,
            max_size=2,
            unique_by=lambda run: run["name"].casefold(),
        ),
    },
)


def exact(case):
    return json.dumps(case.model_dump(mode="json"))


@settings(max_examples=80, deadline=None)
@given(content, st.booleans(), st.booleans())
def test_reads_back(content, resolved, leave_out_defaults):
    case = build_case(content)
    if resolved:
        case = resolve(case)
    written = dump_case(case, leave_out_defaults=leave_out_defaults)
    again = parse_case(written).case
    assert again == case
    assert exact(again) == exact(case)  # 1 isn't 1.0, nor true
    assert dump_case(again, leave_out_defaults=leave_out_defaults) == written
    assert yaml.safe_load(written)["case"]["id"] == case.case.id  # other readers see the same


@pytest.mark.parametrize("trap", [trap for trap in TRAPS if trap.strip()])
def test_traps_read_back(trap):
    case = build_case(
        {
            "version": 1,
            "case": {"id": "A", "notes": trap},
            "evidence": [{"path": "a"}],
            "camera": {"shutter": "global"},
            "runs": [{"exporter": {"name": "wav", "params": {trap: trap, "list": [trap]}}}],
        }
    )
    assert parse_case(dump_case(case)).case == case


def test_written_as_people_would():
    text = "version: 1\ncase: {id: 0042, notes: 'one\n\n  two'}\nevidence: [{path: a.mkv}]\n"
    text += "camera: {shutter: rolling, row_time: 19us}\nruns: [{denoiser: []}]"
    case = parse_case(text).case
    written = dump_case(case, leave_out_defaults=True)
    assert written.split("\n", 1)[1] == (
        "version: 1\ncase:\n  id: '0042'\n  notes: |-\n    one\n    two\n"
        "evidence:\n- id: E1\n  path: a.mkv\ncamera:\n  shutter: rolling\n  row_time: 1.9e-05\nruns:\n- denoiser: []\n"
    )
    complete = dump_case(resolve(case))
    assert "exposure: null" in complete
    assert "readout_direction: top-to-bottom" in complete
    assert "- name: spectrogram\n    params: {}" in complete
