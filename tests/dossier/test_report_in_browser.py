"""The page as a reader meets it: in a browser, from a file, by mouse and by keyboard."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from browser import Witness, chromium, violations


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser, made):
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.witness = Witness(opened)
    opened.goto((made.folder / "report.html").as_uri())
    yield opened
    assert opened.witness.complaints == []
    assert opened.witness.outward == []
    opened.close()


def sound(page, number=0):
    return page.evaluate(
        """n => { const a = document.querySelectorAll('audio')[n];
        return {at: a.currentTime, still: a.paused, length: a.duration, rate: a.playbackRate, volume: a.volume,
                error: a.error && a.error.message}; }""",
        number,
    )


def until(page, condition):
    """Wait for something; the page's policy forbids to wait inside it."""
    for _ in range(200):
        if condition():
            return
        page.wait_for_timeout(50)
    raise AssertionError("waited in vain")


def loaded(page):
    until(page, lambda: (sound(page)["length"] or 0) > 0 and (sound(page, 1)["length"] or 0) > 0)


def cursor(page, number=0):
    return float(page.locator(".mark-cursor").nth(number).get_attribute("x1"))


def loop_once(page, number):
    """Positions of a playing sound until it has jumped back, in seconds."""
    places = [sound(page, number)["at"]]

    def jumped():
        places.append(sound(page, number)["at"])
        return places[-1] < places[-2]

    until(page, jumped)
    return places


def test_hostile_texts_are_only_texts(page):
    assert page.title() != "taken"
    assert page.locator("script").count() == 1
    assert page.locator("img[src=x]").count() == 0
    assert page.locator("h1").inner_text().startswith("<script>")


def test_sound_decodes_plays_and_the_cursor_follows(page):
    loaded(page)
    assert sound(page)["length"] == pytest.approx(0.9, abs=0.02)
    assert sound(page)["error"] is None
    start = cursor(page)
    page.locator(".play").first.click()
    until(page, lambda: sound(page)["at"] > 0.2)
    until(page, lambda: cursor(page) > start + 20)
    page.locator(".play").first.click()
    until(page, lambda: sound(page)["still"])
    until(page, lambda: cursor(page, 0) == cursor(page, 1))  # over both pictures, once the last frame is drawn
    page.wait_for_timeout(200)
    assert cursor(page, 0) == cursor(page, 1) > start + 20  # and stays
    assert page.locator(".desk .time").first.inner_text().endswith("s")


def test_keyboard_is_enough(page):
    loaded(page)
    page.locator("input[type=range]").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert sound(page)["at"] == pytest.approx(0.2, abs=0.01)
    page.keyboard.press("[")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("]")
    (left, right) = (float(page.locator(".mark-section").first.get_attribute(name)) for name in ("x", "width"))
    assert page.locator(".mark-section").first.get_attribute("visibility") == "visible"
    assert right / (584 - 66) == pytest.approx(0.1 / 0.9, abs=0.02)
    assert (left - 66) / (584 - 66) == pytest.approx(0.2 / 0.9, abs=0.02)
    page.keyboard.press("s")
    page.keyboard.press("s")
    page.keyboard.press("l")
    assert sound(page)["rate"] == 0.5
    page.keyboard.press("p")
    page.keyboard.press("Space")
    until(page, lambda: not sound(page, 1)["still"])
    places = loop_once(page, 1)
    assert min(places) > 0.15
    assert max(places) < 0.8  # turned back in the section, not at the sound's end; a busy machine turns late
    assert not sound(page, 1)["still"]
    page.keyboard.press("Space")
    assert sound(page, 1)["still"]
    page.keyboard.press("Escape")
    assert page.locator(".mark-section").first.get_attribute("visibility") == "hidden"


def test_a_click_on_the_picture_sets_the_position_and_dragging_marks(page):
    loaded(page)
    picture = page.locator(".trace svg").first
    picture.hover()  # scrolled to, and laid out
    box = picture.bounding_box()
    middle, height = box["width"] * (66 + 584) / 2 / 640, box["height"] / 2
    picture.click(position={"x": middle, "y": height})
    assert sound(page)["at"] == pytest.approx(0.45, abs=0.02)
    page.mouse.down()
    picture.hover(position={"x": middle + 30, "y": height})
    picture.hover(position={"x": middle + 60, "y": height})
    page.mouse.up()
    assert page.locator(".mark-section").first.get_attribute("visibility") == "visible"


def test_raw_and_processed_are_equally_loud(page, made):
    playback = made.content["runs"][0]["playback"]
    assert sound(page, 0)["volume"] == pytest.approx(playback["gain_raw"])
    assert sound(page, 1)["volume"] == pytest.approx(playback["gain_recovered"])
    assert playback["raw_lkfs"] is not None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page, scheme):
    page.emulate_media(color_scheme=scheme)
    assert violations(page) == []


@pytest.mark.parametrize("width", [360, 768, 1600])
def test_no_page_is_wider_than_the_screen(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_print_layout_cuts_nothing_off(page):
    page.set_viewport_size({"width": 660, "height": 900})  # A4 between its margins, at 96 dots to the inch
    page.emulate_media(media="print")
    cut = page.evaluate(
        """[...document.querySelectorAll('table, pre, svg, img, dl')].filter(e => e.getClientRects().length)
        .filter(e => e.getBoundingClientRect().right > innerWidth + 1 || e.scrollWidth > e.clientWidth + 1)
        .map(e => e.tagName + ' ' + e.className.toString() + ' ' + e.textContent.slice(0, 60))"""
    )
    assert cut == []
    assert page.locator("audio").first.is_hidden()
    assert page.locator(".desk").first.is_hidden()


def test_runs_can_be_compared_and_reached(page):
    page.locator(".runs a").nth(1).click()
    assert page.url.endswith("#run-2")
    assert page.locator("#comparison .multiples svg").count() == 2
    assert page.locator("#comparison tbody tr").count() == 2
