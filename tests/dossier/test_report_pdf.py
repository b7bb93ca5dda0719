"""The PDF: an archive's, with numbered pages, bookmarks, text that can be selected, and the numbers within."""

from __future__ import annotations

import json
import re

import pytest

pymupdf = pytest.importorskip("pymupdf", reason="pymupdf isn't installed")


@pytest.fixture(scope="module")
def document(made):
    with pymupdf.open(made.folder / "report.pdf") as opened:
        yield opened


def test_is_pdf_a_3b(document):
    metadata = document.get_xml_metadata()
    assert re.search(r"pdfaid:part(?:>|=['\"])3", metadata)
    assert re.search(r"pdfaid:conformance(?:>|=['\"])B", metadata)
    assert all(font[1] != "n/a" for page in document for font in page.get_fonts())  # every font is embedded


def test_pages_are_numbered_and_name_the_case(document):
    pages = len(document)
    for number, page in enumerate(document, start=1):
        text = page.get_text()
        assert f"page {number} of {pages}" in text
        assert "A-7" in text


def test_summary_is_one_page(document):
    first = document[0].get_text()
    for heading in ("The question", "What was examined", "The answer", "What it does not say"):
        assert heading in first
    assert "No transcript is offered" in first
    chapters = [(title, page) for level, title, page in document.get_toc() if level == 1]
    assert [title[0] for title, _ in chapters[:7]] == list("1234567")
    assert [title[:7] for title, _ in chapters[7:]] == [f"Annex {letter}" for letter in "ABCDEFG"]
    assert [page for _, page in chapters] == sorted(page for _, page in chapters)


def test_holds_the_numbers(document, made):
    assert document.embfile_names() == ["report.json"]
    assert json.loads(document.embfile_get("report.json")) == made.content


def test_nothing_is_cut_off(document):
    for page in document:
        left, right = page.rect.x0 + 30, page.rect.x1 - 30
        for x0, _, x1, _, word, *_ in page.get_text("words"):
            assert left <= x0, (page.number + 1, word)
            assert x1 <= right, (page.number + 1, word)


def test_pictures_are_on_the_pages(document):
    pixmaps = [page.get_pixmap(dpi=30, colorspace=pymupdf.csGRAY) for page in document if "Raw" in page.get_text()]
    assert any(sum(sample < 100 for sample in each.samples) > 0.1 * len(each.samples) for each in pixmaps)
