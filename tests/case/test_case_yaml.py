"""YAML as a case file has it: none of PyYAML's guesses, everything wrong named by its place."""

import pytest

from vmforensics.case.document import LARGEST_FILE, parse, scalar


def value(text):
    document = parse(text.encode())
    assert document.problems == []
    return document.root.value


def complaints(text):
    document = parse(text if isinstance(text, bytes) else text.encode())
    return [f"{p.mark}: {p.message}" for p in document.problems]


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("0", 0),
        ("-12", -12),
        ("+3", 3),
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        ("5.", 5.0),
        (".5", 0.5),
        ("1.0e+05", 100000.0),
        ("9007199254740991", 2**53 - 1),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
    ],
)
def test_special_words(word, meaning):
    found = value(f"k: {word}")["k"]
    assert found == meaning
    assert isinstance(found, type(meaning))


OTHER_WORDS = ["010", "0x1F", "0b11", "0o17", "1_000", "1:30", "1:30.5", "on", "off", "yes", "no", "y", "n", "NO"]
OTHER_WORDS += ["2026-03-01", "2026-03-01 10:00:00", ".inf", "-.INF", ".nan", "1e999", "9007199254740992", "1" * 5000]
OTHER_WORDS += ["=", "1/4000", "19us", "80 Hz", "e5", "1e", "--1", "٣"]


@pytest.mark.parametrize("word", OTHER_WORDS)
def test_all_other_words_are_text(word):
    found = value(f"k: {word}")["k"]
    assert type(found) is str
    assert found == word


def test_quoted_words_are_text():
    assert value("""{a: "1", b: 'true', c: "~", d: ''}""") == {"a": "1", "b": "true", "c": "~", "d": ""}


def test_numbers_remember_how_they_were_written():
    assert scalar("1.10").source == "1.10"
    assert scalar("+5").source == "+5"


def test_keys_are_text():
    assert value("{1: a, true: b, null: c, 1.0: d}") == {"1": "a", "true": "b", "null": "c", "1.0": "d"}


def test_alias_repeats_its_anchor():
    assert value("a: &x {k: [1]}\nb: *x\nc: [*x]") == {"a": {"k": [1]}, "b": {"k": [1]}, "c": [{"k": [1]}]}


def test_windows_line_ends_and_byte_order_mark():
    document = parse(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert document.root.value == {"a": 1, "b": 2}
    assert str(document.root.find(("b",)).mark) == "2:1"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: 1\nb: 2\na: 3", "3:1: the key appears twice, first on line 1"),
        ("{a: 1, 'a': 2}", "1:8: the key appears twice, first on line 1"),
        ("a: &x {k: 1}\nb:\n  <<: *x", "3:3: merge keys aren't allowed; write the keys out"),
        ("a: !!python/object/apply:os.system [ls]", "the tag 'tag:yaml.org,2002:python/object/apply:os.system'"),
        ("a: !!str 1", "1:1: the tag 'tag:yaml.org,2002:str' isn't allowed; to make it text, put it in quotes"),
        ("a: !mine x", "1:1: the tag '!mine' isn't allowed"),
        ("a: ! x", "1:1: the tag '!' isn't allowed"),
        ("a: 1\n---\nb: 2", "2:1: a second document starts here"),
        ("a: 1\nb:\nc: 2", "2:1: has no value; write one, or leave the whole line out"),
        ("a: [1, ~, ]\nb: {c}", "2:5: has no value"),
        ("? [a]\n: b", "1:3: a key must be a word"),
        ("{*a : 1}", "1:2: a key must be a word"),
        ("? " * 500 + "a", "1:3: a key must be a word"),
        ("{<<: " * 500, "nests too deeply"),
        ("&k a: 1", "1:1: a key can't have a tag or an anchor"),
        ("{[]: 1}", "1:2: a key must be a word"),
        ("{? : 1}", "1:3: a key is missing"),
        ("a: *x", "1:4: the alias 'x' has no anchor before it"),
        ("a: &x [*x]", "1:8: the alias 'x' has no anchor before it"),
        ("a: &x 1\nb: &x 2", "2:1: the anchor 'x' is taken"),
        ("a:\n\tb: 1", "2:1: not valid YAML: found character '\\t'"),
        ("a: [1", "1:6: not valid YAML"),
        ("a: b: c", "1:5: not valid YAML: mapping values are not allowed here"),
        ('a: "\\x1b[2J"', "1:1: holds the control character U+001B (character 1)"),
        ('a: "\\ud800"', "1:1: holds the control character U+D800"),
        ('a: "x\\0"', "1:1: holds the control character U+0000 (character 2)"),
        ('"\\e": 1', "1:1: a key holds the control character U+001B"),
        ("a: 1\nb: \x07", "2:4: the control character U+0007 isn't allowed"),
        ('a: "\\UFFFFFFFF"', "1:1: not valid YAML: a number or an escape is out of range"),
        ('a: "\\U00110000"', "1:1: not valid YAML: a number or an escape is out of range"),
        (f"%YAML 1.{'9' * 5000}\n---\na: 1", "1:1: not valid YAML: a number or an escape is out of range"),
        (b"a: \xff", "1:4: byte 0xFF isn't UTF-8; save the file as UTF-8"),
        ("a: é".encode("latin-1"), "1:4: byte 0xE9 isn't UTF-8"),
        ("a: 1".encode("utf-16"), "1:1: the file is UTF-16"),
        (b"#" * (LARGEST_FILE + 1), "1:1: the file is larger than 1048576 bytes"),
        ("[" * 500, "nests too deeply; at most 32 levels are allowed"),
        ("- " * 500 + "x", "nests too deeply"),
        ("{a: " * 500, "nests too deeply"),
        ("a: [" + "1," * 25000 + "1]", "more than 20000 values"),
    ],
)
def test_refused(text, complaint):
    assert any(complaint in found for found in complaints(text)), complaints(text)


def test_alias_bomb():
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)]
    assert "more than 20000 values" in complaints("\n".join(["a0: &a0 x", *levels]))[-1]


def test_alias_tower():
    levels = [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 100)]
    assert "nests too deeply" in complaints("\n".join(["a0: &a0 x", *levels]))[-1]


def test_goes_on_after_what_is_unmistakable():
    assert len(complaints("a: 1\na: 2\nb: !t x\nc:\n<<: 3\n--- \n")) == 5


@pytest.mark.parametrize(
    ("loc", "place"),
    [
        ((), "1:1"),
        (("a",), "1:1"),
        (("a", 1), "3:5"),
        (("a", 1, "k"), "3:5"),
        (("a", 1, "nothing", "below"), "3:5"),
        (("a", 7, "k"), "1:1"),
        (("b", 0), "4:1"),
        (("b", 0, "k"), "4:5"),
        (("c", 0, "params", "k"), "5:1"),
        (("d",), "1:1"),
    ],
)
def test_find(loc, place):
    document = parse(b"a:\n  - x\n  - k: 1\nb: {k: 2}\nc: word")
    assert str(document.root.find(loc).mark) == place
