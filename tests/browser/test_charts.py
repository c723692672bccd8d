"""Charts over time in a real browser: the whole plot answers the pointer, arrow keys read it, a click or Enter opens a day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator

from tests.browser.conftest import HOTEL, Server, Visitor, visiting

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]  # a second server and browser


@pytest.fixture(scope="module")
def visitor(browser: Browser, server: Server) -> Iterator[Visitor]:
    """Open a window of an operator."""
    with visiting(browser, server) as opened:
        yield opened


def chart(visitor: Visitor, path: str = f"/t/{HOTEL}/overview?range=7d&metric=messages") -> Locator:
    """Visit a page and return its chart's reader."""
    visitor.visit(path)
    reader = visitor.page.locator("#chart .reader")
    reader.scroll_into_view_if_needed()
    return reader


def rows(visitor: Visitor) -> list[list[str]]:
    """Return the rows of the chart's table."""
    lines = visitor.page.locator("#chart .as-table tbody tr").all()
    return [[cell.inner_text() for cell in line.locator("td").all()] for line in lines]


def day_of(written: str) -> datetime:
    """Read a day as pages write it: Fri 27 Nov 2026."""
    return datetime.strptime(written, "%a %d %b %Y").replace(tzinfo=UTC)


def test_every_place_of_the_plot_answers_the_pointer(visitor: Visitor) -> None:
    """From left to right the tip names each day once and in order, with the number of the table."""
    reader = chart(visitor)
    visitor.page.locator("#chart .as-table summary").click()
    told = {row[0]: row[1] for row in rows(visitor)}
    visitor.page.locator("#chart .as-table summary").click()
    box = reader.bounding_box()
    assert box is not None and not reader.locator(".tip").is_visible()
    seen: dict[str, str] = {}
    for x in range(int(box["width"])):
        visitor.page.mouse.move(box["x"] + x, box["y"] + box["height"] * (x % 3 + 0.5) / 3)
        seen[reader.locator(".tip b").inner_text()] = reader.locator(".tip span").first.inner_text()
    days = [day_of(day) for day in told]
    assert list(seen) == list(told) == [f"{day:%a} {day.day} {day:%b} {day.year}" for day in days]
    assert list(seen.values()) == [f"Messages: {number}" for number in told.values()]
    assert reader.locator(".tip").is_visible()
    visitor.page.mouse.move(0, 0)
    assert not reader.locator(".tip").is_visible()


def test_a_click_on_a_day_opens_it(visitor: Visitor) -> None:
    """A click on a day reloads the page for that day, and its number is that of the chart."""
    reader = chart(visitor)
    box = reader.bounding_box()
    assert box is not None
    visitor.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    number = reader.locator(".tip span").first.inner_text()
    visitor.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 40)
    visitor.page.wait_for_url("**from=**")
    visitor.page.wait_for_load_state("networkidle")
    assert number == f"Messages: {visitor.page.locator('#cards [data-number=messages]').inner_text()}"


def test_the_arrow_keys_read_a_chart(visitor: Visitor) -> None:
    """The chart is one tab stop; arrows move by a day, Home and End to the ends, Escape hides the tip, and Enter opens
    the day.
    """
    reader = chart(visitor)
    page, address = visitor.page, visitor.page.url
    page.locator("#chart .as-table summary").click()
    first = day_of(rows(visitor)[0][0])
    page.locator("#chart .as-table summary").focus()
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.className").startswith("reader")
    said = []
    for key in ("End", "ArrowLeft", "ArrowLeft", "ArrowRight", "Home", "ArrowLeft"):
        page.keyboard.press(key)
        said.append(str(reader.get_attribute("aria-valuenow")))
    assert said == ["7", "6", "5", "6", "1", "1"] and page.url == address
    assert (reader.get_attribute("role"), reader.get_attribute("aria-valuemax")) == ("slider", "7")
    text = str(reader.get_attribute("aria-valuetext"))
    assert text == ", ".join([reader.locator("b").inner_text(), *reader.locator("span").all_inner_texts()])
    assert reader.locator(".tip").is_visible()
    page.keyboard.press("Escape")
    assert not reader.locator(".tip").is_visible()
    page.keyboard.press("Enter")
    page.wait_for_url("**from=**")
    assert f"from={first:%Y-%m-%d}" in page.url


@pytest.mark.slow
def test_charts_of_all_pages_are_read_in_the_same_way(visitor: Visitor) -> None:
    """Each chart over time has one reader with its last window, says "Enter opens" if it does, and axe finds nothing serious."""
    for name in ("speed", "satisfaction", "team", "messages", "contacts", "live"):
        visitor.visit(f"/t/{HOTEL}/{name}")
        readers = visitor.page.locator(".reader")
        for number in range(readers.count()):
            assert readers.nth(number).get_attribute("aria-valuetext")
            label = str(readers.nth(number).get_attribute("aria-label"))
            assert label.endswith("Enter opens") == (name != "live"), "minutes have no page of their own"
        assert readers.count() or name == "live", name
        found = Axe().run(visitor.page).response["violations"]
        assert not [one["id"] for one in found if one["impact"] in ("serious", "critical")], name
    assert not visitor.faults


def test_a_touch_shows_a_day_before_it_opens_one(browser: Browser, server: Server) -> None:
    """The first touch of a day shows its numbers, and the second opens it."""
    with visiting(browser, server, width=390, touch=True) as phone:
        reader = chart(phone)
        reader.scroll_into_view_if_needed()
        box, address = reader.bounding_box(), phone.page.url
        assert box is not None
        place = box["x"] + box["width"] / 2, box["y"] + 40
        phone.page.touchscreen.tap(*place)
        reader.locator(".tip").wait_for()
        assert phone.page.url == address
        phone.page.touchscreen.tap(*place)
        phone.page.wait_for_url("**from=**")
