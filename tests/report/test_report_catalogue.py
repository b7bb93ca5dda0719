"""The catalogue: every text that the report asks for is there, nothing is there in vain, and values can't be markup."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import vmforensics.report
import vmforensics.view
from vmforensics.errors import ParameterError
from vmforensics.report.catalogue import catalogue, languages
from vmforensics.report.page import CHAPTERS

PACKAGES = [Path(module.__file__).parent for module in (vmforensics.report, vmforensics.view)]


def asked_for() -> tuple[set[str], set[str]]:
    """The names that templates and modules ask for: whole ones, and beginnings that are completed when it is known."""
    whole: set[str] = set()
    begun: set[str] = set()
    for package in PACKAGES:
        for path in [*package.rglob("*.j2"), *package.rglob("*.py")]:
            text = path.read_text("utf-8")
            for name in re.findall(r"""["']([a-z]+(?:\.[\w-]+)+)["']""", text):
                whole.add(name)
            begun |= set(re.findall(r"""["']([a-z]+\.(?:[\w-]+[._])*)["'] ~""", text))
            begun |= set(re.findall(r"""f["']([a-z]+\.(?:[\w-]+[._])*)\{""", text))
    return whole, begun


def test_every_text_is_used():
    whole, begun = asked_for()
    unused = {
        name
        for name in catalogue().names
        if name not in whole and not any(name.startswith(start) and start.count(".") for start in begun)
    }
    assert unused == set()


def test_every_chapter_has_a_heading():
    assert {f"chapter.{name}" for name in CHAPTERS} <= catalogue().names


@pytest.mark.parametrize("language", languages())
def test_every_language_has_the_same_texts_with_the_same_values(language):
    english, other = catalogue(), catalogue(language)
    assert other.names == english.names
    for name in english.names:
        assert set(re.findall(r"\{(\w+)\}", other(name))) == set(re.findall(r"\{(\w+)\}", english(name))), name


def test_values_cannot_be_markup():
    told = catalogue()("results.linked", size="<b>", link='"><script>')
    assert "<script>" not in told
    assert "&lt;b&gt;" in told


def test_a_language_without_texts_is_named():
    with pytest.raises(ParameterError, match="no report in the language 'xx'"):
        catalogue("xx")
