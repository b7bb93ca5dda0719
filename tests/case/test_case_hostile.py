"""Whatever is thrown at the reader, it answers with a case or with a CaseError, and soon."""

import random

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vmforensics.case import dump_case, parse_case, resolve
from vmforensics.errors import CaseError

CASE = """\
version: 1
case: &id {id: 0042, title: "a: b", notes: 'c'}
evidence:
  - path: clip.mkv
    sha256: 0123456789012345678901234567890123456789012345678901234567890123
camera:
  shutter: rolling
  row_time: 19us
  exposure: 1/4000
  readout_direction: top-to-bottom
region: [1, 2, 30, 40]
runs:
  - name: a
    motion_estimator: {name: row-motion, params: &p {scales: 4, floor: -1e-3, x: [~, true, "y"]}}
    denoiser: [high-pass, {name: spectral-subtraction, params: *p}]
    exporter: wav
  - name: b
"""
PIECES = [
    "\0",
    "\x1b",
    "\ufeff",
    "\ud800",
    "\u2028",
    "\x85",
    "\t",
    "\n",
    "\r",
    "  ",
    ": ",
    "- ",
    "? ",
    "[",
    "]",
    "{",
    "}",
]
PIECES += [
    "&a ",
    "*a",
    "*id",
    "*p",
    "<<: ",
    "!!python/name:os.system ",
    "!x ",
    "! ",
    "|\n",
    ">-\n",
    "'",
    '"',
    "#",
    "%YAML 9",
]
PIECES += [
    "---\n",
    "...\n",
    "null",
    "~",
    "on",
    "1e400",
    "1e-400",
    "9" * 400,
    ".inf",
    "1:30",
    "010",
    '"\\UFFFFFFFF"',
    ",",
]
PIECES += [
    "a" * 3000,
    "é",
    "𝄞",
    "1/0",
    "1/",
    "px",
    "true",
    "rolling",
    "global",
    "version",
    "row_time",
    "[[[[[[[[[[[[[[[[",
]


def try_to_read(text):
    try:
        file = parse_case(text)
    except CaseError as error:
        lines = str(error).split("\n")
        assert all(line.startswith("case.yaml") for line in lines), lines
        assert len(lines) <= 31
        assert max(map(len, lines)) < 600
        str(error).encode()  # can be printed
        return None
    assert parse_case(dump_case(resolve(file.case))).case == resolve(file.case)
    return file.case


def test_the_seed_is_a_case():
    assert try_to_read(CASE).runs[0].denoiser[1].params["floor"] == -0.001


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60))
@example('"\\UFFFFFFFF": 1')
@example(b"\xef\xbb\xbf")
@example("\ud800")
def test_noise(text):
    try_to_read(text)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_yaml_like_noise(pieces):
    try_to_read("".join(pieces))


value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(PIECES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_wrong_types(data):
    content = yaml.safe_load(CASE)
    place = content
    while True:
        key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
        if not (isinstance(place[key], dict | list) and place[key]) or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(value)
    try_to_read(yaml.safe_dump(content, sort_keys=False))


@pytest.mark.parametrize("seed", range(4))
def test_mutations(seed):
    draw = random.Random(seed)  # noqa: S311
    for _ in range(60):
        text = CASE
        for _ in range(draw.randint(1, 4)):
            start = draw.randrange(len(text) + 1)
            end = min(len(text), start + draw.choice([0, 0, 1, 3, 10]))
            text = text[:start] + draw.choice([*PIECES, text[end : end + 20], ""]) + text[end:]
        try_to_read(text)


def test_mutated_bytes():
    draw = random.Random(0)  # noqa: S311
    for _ in range(100):
        data = bytearray(CASE.encode())
        for _ in range(draw.randint(1, 3)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        try_to_read(bytes(data))


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1e99999", "1e-99999", "9" * 5000, "1/" + "9" * 5000, "1e400us"])
def test_absurd_quantities(number):
    for text in (number, f"'{number}'"):
        with pytest.raises(CaseError, match="exposure") as caught:
            parse_case(CASE.replace("1/4000", text))
        assert len(str(caught.value)) < 200
