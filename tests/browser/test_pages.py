"""Every page in a real browser: the demo, an empty store, attacks as names, narrow, dark, and by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from hubbub.dashboard.registry import OPERATOR, TENANT
from tests.browser.conftest import EVIL, HOTEL, Server, Visitor, visiting

pytestmark = pytest.mark.timeout(900)


def addresses(server: Server, tenant: str) -> Iterator[tuple[str, str]]:
    """Yield the name and address of every page of a tenant, and of the operator's."""
    for name in TENANT:
        yield name, f"/t/{tenant}/{name}?{server.samples.get(name, '')}"
    for name in OPERATOR:
        yield f"operate-{name}", f"/operate/{name}?{server.samples.get(name, '')}"


@pytest.fixture(scope="module")
def operator(browser: Browser, server: Server) -> Iterator[Visitor]:
    """Open a window of an operator."""
    with visiting(browser, server) as visitor:
        yield visitor


def clean(visitor: Visitor, path: str) -> list[str]:
    """Visit a page and return its faults."""
    visitor.faults.clear()
    visitor.visit(path)
    failed = visitor.page.locator(".failed")
    return [*visitor.faults, *(f"failed part: {failed.nth(i).inner_text()}" for i in range(failed.count()))]


def test_every_page_works_on_the_demo(operator: Visitor, server: Server) -> None:
    """No page writes to the console, calls another host, gets an error, or has a failed part."""
    faults = {}
    for name, path in addresses(server, HOTEL):
        found = clean(operator, path)
        operator.shot(f"{name}-light")
        if found:
            faults[name] = found
    assert not faults


@pytest.mark.slow
def test_every_page_works_on_an_empty_tenant(operator: Visitor, server: Server) -> None:
    """All pages of a tenant without events work, except those of another tenant's conversation and incident."""
    faults = {}
    for name, path in addresses(server, "empty"):
        found = clean(operator, path)
        operator.shot(f"{name}-empty")
        if found and name not in ("conversation", "incident"):
            faults[name] = found
    assert not faults


def test_the_first_event_turns_the_page_green(operator: Visitor, server: Server) -> None:
    """A page that waits for a tenant's first event reports its arrival without a reload."""
    operator.visit("/t/first/overview")
    page = operator.page
    assert "curl" in page.locator(".first").inner_text() and page.locator(".arrived").is_hidden()
    server.send("first", type="message.received", time=datetime.now(UTC).isoformat(), channel="web", contact_id="c1")
    page.locator(".first.there .arrived").wait_for()
    page.locator(".arrived a").click()
    page.wait_for_load_state("networkidle")
    assert page.locator("#cards [data-number=messages]").inner_text() == "1"


@pytest.mark.slow
def test_names_and_texts_from_outside_never_run_as_scripts(operator: Visitor, server: Server) -> None:
    """No name of a tenant, channel, room, staff or topic, and no text, runs as a script on any page."""
    for name, path in addresses(server, EVIL):
        faults = clean(operator, path)
        assert operator.page.evaluate("window.pwned") is None, name
        assert not [fault for fault in faults if "script" in fault or "console" in fault or "host" in fault], (
            name,
            faults,
        )
    attack = quote("<img src=x onerror=window.pwned=1>")
    operator.visit(f"/t/{EVIL}/overview?channel={attack}&topic={attack}&metric={attack}&nonsense={attack}")
    assert operator.page.evaluate("window.pwned") is None


@pytest.mark.slow
def test_pages_fit_a_phone(browser: Browser, server: Server) -> None:
    """At 360 px no page is wider than its window."""
    wide = {}
    with visiting(browser, server, width=360) as visitor:
        for name, path in addresses(server, HOTEL):
            visitor.visit(path)
            visitor.shot(f"{name}-phone")
            width = visitor.page.evaluate("document.documentElement.scrollWidth")
            if width > 360:
                wide[name] = width
    assert not wide


def test_a_phone_shows_the_bars_of_causes(browser: Browser, server: Server) -> None:
    """At 390 px each row of "Why" has its name, contribution and bar, inside the panel."""
    with visiting(browser, server, width=390) as visitor:
        visitor.visit(f"/t/{HOTEL}/overview?metric=messages")
        rows = visitor.page.locator("#why tbody tr")
        assert rows.count() > 1
        for number in range(rows.count()):
            name, bar, moved = (
                rows.nth(number).locator(part).bounding_box() for part in ("th", ".from-middle", "td:last-child")
            )
            assert name and bar and moved and bar["width"] > 60 and bar["y"] > moved["y"]
            assert max(bar["x"] + bar["width"], moved["x"] + moved["width"]) < 390


def test_the_rail_has_the_way_out_on_one_screen(browser: Browser, server: Server) -> None:
    """At 1024 by 900 pixels the button that signs out is within the window, beside all links of an operator."""
    with visiting(browser, server, width=1024) as visitor:
        visitor.visit(f"/t/{HOTEL}/targets")
        visitor.page.mouse.move(700, 400)
        box = visitor.page.get_by_role("button", name="Sign out").bounding_box()
        assert box is not None and box["y"] + box["height"] <= 900


def test_panels_with_the_same_sentence_are_one(operator: Visitor, server: Server) -> None:
    """On days without messages, Topics has one panel, in which no sentence stands twice and no title is missing."""
    operator.visit(f"/t/{HOTEL}/topics?from=2001-01-01&to=2001-02-01")
    page = operator.page
    page.locator(".nothing").wait_for()
    assert page.locator(".widgets > .widget").count() == 1
    said = page.locator(".nothing .empty").all_inner_texts()
    assert len(said) == len(set(said)) < page.locator(".nothing header h2").count()
    assert set(page.locator(".nothing header h2").all_inner_texts()) == {
        widget.title for widget in TENANT["topics"].widgets
    }


WIDTHS = (320, 390, 600, 720, 721, 800, 900, 961, 1024, 1180, 1280, 1281, 1366, 1440, 1920)
"""Phones, tablets and screens, and both sides of each width where the layout changes."""


@pytest.mark.slow
def test_no_page_is_wider_than_its_window(browser: Browser, server: Server) -> None:
    """At fifteen widths no page scrolls sideways; a table may, within its own frame."""
    wide = {}
    with visiting(browser, server) as visitor:
        for name, path in addresses(server, HOTEL):
            visitor.visit(path)
            for width in WIDTHS:
                visitor.page.set_viewport_size({"width": width, "height": 900})
                visitor.page.wait_for_timeout(50)
                if (needs := visitor.page.evaluate("document.documentElement.scrollWidth")) > width:
                    wide[name, width] = needs
    assert not wide


HOLES = """() => {
  const grid = document.querySelector(".widgets");
  if (!grid) return [];
  const rows = new Map(), whole = grid.getBoundingClientRect().right;
  for (const one of grid.querySelectorAll(":scope > .widget")) {
    const box = one.getBoundingClientRect(), row = rows.get(Math.round(box.top)) ?? [];
    rows.set(Math.round(box.top), [...row, { name: one.id, right: box.right, bottom: box.bottom }]);
  }
  return [...rows.values()].filter((row) => Math.max(...row.map(({ right }) => right)) < whole - 1 ||
    new Set(row.map(({ bottom }) => Math.round(bottom))).size > 1).map((row) => row.map(({ name }) => name).join(", "));
}"""
"""Rows of panels that leave a part of the page's width, or end at different heights."""


@pytest.mark.slow
def test_panels_leave_no_hole_between_them(browser: Browser, server: Server) -> None:
    """Each row of panels fills the width and ends at one height, with data and without."""
    found = {}
    with visiting(browser, server, width=1440) as visitor:
        for tenant in (HOTEL, "empty"):
            for name, path in addresses(server, tenant):
                if name in ("conversation", "incident") and tenant == "empty":
                    continue
                visitor.visit(path)
                for width in (1440, 1024, 1600):
                    visitor.page.set_viewport_size({"width": width, "height": 900})
                    visitor.page.wait_for_timeout(50)
                    if holes := visitor.page.evaluate(HOLES):
                        found[tenant, name, width] = holes
                visitor.page.set_viewport_size({"width": 1440, "height": 900})
    assert not found


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_can_be_used_by_everybody(browser: Browser, server: Server, theme: str) -> None:
    """axe finds no violation on any page, in either theme."""
    found = {}
    with visiting(browser, server, theme=theme) as visitor:
        for name, path in addresses(server, HOTEL):
            visitor.visit(path)
            if theme == "dark":
                visitor.shot(f"{name}-dark")
            results = Axe().run(visitor.page)
            violations = [
                f"{one['id']}: {one['nodes'][0]['html'][:160]} {one['nodes'][0]['failureSummary'][:300]}"
                for one in results.response["violations"]
            ]
            if violations:
                found[name] = violations
    assert not found


def test_numbers_on_the_page_are_the_api_s(operator: Visitor, server: Server) -> None:
    """Each number of the overview is the API's answer, and leads to its explanation."""
    operator.visit(f"/t/{HOTEL}/overview?range=last-month&channel=whatsapp")
    page = operator.page
    days = page.locator("input[name=from]").input_value(), page.locator("input[name=to]").input_value()
    shown = {}
    cards = page.locator("#cards [data-number]")
    for i in range(cards.count()):
        shown[str(cards.nth(i).get_attribute("data-number"))] = str(cards.nth(i).get_attribute("data-value"))
    assert len(shown) == 6
    where = {"channel": "whatsapp"}
    answer = server.query(HOTEL, metrics=list(shown), **{"from": days[0], "to": days[1]}, where=where)["rows"][0]
    assert {name: float(value) for name, value in shown.items()} == {name: float(answer[name]) for name in shown}
    rooms = page.locator("#places table.places tbody tr.below")
    asked = server.query(
        HOTEL, metrics=["messages"], by=["channel_id"], where=where, **{"from": days[0], "to": days[1]}
    )
    expected = {row["channel_id"]: row["messages"] for row in asked["rows"]}
    read = {
        rooms.nth(i).locator("th").inner_text().strip(): int(
            str(rooms.nth(i).locator("td a").first.get_attribute("data-value"))
        )
        for i in range(rooms.locator("td.number a[data-value]").count() and rooms.count())
        if rooms.nth(i).locator("td a[data-value]").count()
    }
    assert read == expected
    cards.first.click()
    page.wait_for_load_state("networkidle")
    assert page.locator(".big").inner_text().replace(",", "") == shown["messages"].removesuffix(".0")


@pytest.mark.slow
def test_the_address_holds_everything(operator: Visitor) -> None:
    """Chosen filters and days are in the address; back and reload show the same page."""
    operator.visit(f"/t/{HOTEL}/overview")
    page = operator.page
    page.locator("#places th a").first.click()
    page.wait_for_load_state("networkidle")
    chip = page.locator(".chips li").inner_text()
    assert "channel=" in page.url and "Channel" in chip
    before, numbers = page.url, page.locator("#cards .value").all_inner_texts()
    page.keyboard.press("w")
    page.wait_for_url("**range=7d**")
    assert page.locator(".chips li").inner_text() == chip
    page.go_back()
    page.wait_for_load_state("networkidle")
    assert page.url == before and page.locator("#cards .value").all_inner_texts() == numbers
    page.reload()
    assert page.locator("#cards .value").all_inner_texts() == numbers
    page.locator(".chips a").click()
    page.wait_for_load_state("networkidle")
    assert page.locator(".chips li").count() == 0


@pytest.mark.slow
def test_the_keyboard_is_enough(operator: Visitor) -> None:
    """D, W, M and the arrows choose the days, ? opens the help, and Tab reaches the skip link."""
    operator.visit(f"/t/{HOTEL}/overview")
    page = operator.page
    for key, name in (("d", "Today"), ("w", "Last 7 days"), ("m", "Last 28 days")):
        page.keyboard.press(key)
        page.wait_for_function("name => document.querySelector('.period summary').textContent.includes(name)", arg=name)
        page.wait_for_load_state("networkidle")
    page.keyboard.press("ArrowLeft")
    page.wait_for_url("**from=**")
    page.wait_for_load_state("networkidle")
    page.keyboard.press("?")
    assert page.locator("[data-help]").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"


@pytest.mark.slow
def test_the_chosen_theme_stays_on_the_next_page(browser: Browser, server: Server) -> None:
    """The theme button turns a light page dark, and the next page too."""
    with visiting(browser, server) as visitor:
        visitor.visit(f"/t/{HOTEL}/overview")
        page = visitor.page

        def paper() -> str:
            return str(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))

        light = paper()
        page.locator("[data-theme-button]").click()
        dark = paper()
        visitor.visit(f"/t/{HOTEL}/overview?range=7d")
        assert dark != light and paper() == dark


@pytest.mark.slow
def test_a_shared_link_opens_where_it_was_made(browser: Browser, server: Server) -> None:
    """A link shared from Speed under a filter opens that page with that filter, signed out, whatever else the address says."""
    with visiting(browser, server, HOTEL, "admin", width=1440) as visitor:
        visitor.visit(f"/t/{HOTEL}/speed?range=7d&channel=whatsapp")
        page = visitor.page
        numbers = page.locator("#cards .n").all_inner_texts()
        page.locator("nav").get_by_text("Access").click()
        page.locator("#shared summary").click()
        page.locator("#shared [name=label]").fill("For the board")
        page.get_by_role("button", name="Share").click()
        link = page.locator(".secret").inner_text()
        assert "For the board" in page.locator("#shared tbody").inner_text()
        assert "Speed, last 7 days, channel whatsapp" in page.locator("#shared tbody").inner_text()
    with visiting(browser, server, signed_in=False, width=1440) as guest:
        guest.visit(link.removeprefix(server.url))
        page = guest.page
        for more in ("", "&channel=email&range=90d"):
            guest.visit(page.url.removeprefix(server.url) + more)
            assert page.locator("nav [aria-current=page]").inner_text() == "Speed"
            assert page.locator("nav .group a").count() == 1
            assert page.locator(".chips li").inner_text().split() == ["Channel:", "whatsapp"]
            assert "Last 7 days" in page.locator(".period").inner_text()
            assert page.locator("#cards .n").all_inner_texts() == numbers
            guest.shot("shared-speed-light")
        assert not guest.faults


@pytest.mark.slow
def test_a_refused_form_keeps_its_input(browser: Browser, server: Server) -> None:
    """A refused form is open with its input, an error and the focus; axe finds nothing serious, and it fits a phone."""
    with visiting(browser, server, HOTEL, "admin", width=360) as visitor:
        visitor.visit(f"/t/{HOTEL}/access")
        page = visitor.page
        page.locator("#keys summary").last.click()
        form = page.locator("#keys form:has([name=expires])")
        form.locator("[name=label]").fill("For the till")
        form.locator("[name=expires]").fill("2090-01-01")
        for scope in ("ingest", "read"):
            form.locator(f"[name=scope-{scope}]").uncheck()
        form.get_by_role("button").click()
        page.wait_for_load_state("networkidle")
        assert "scopes: none given" in page.get_by_role("alert").inner_text()
        assert form.locator("[name=label]").input_value() == "For the till"
        assert form.locator("[name=expires]").input_value() == "2090-01-01"
        assert not form.locator("[name=scope-read]").is_checked()
        assert page.evaluate("document.activeElement.name") == "scope-ingest"
        assert page.url == f"{server.url}/t/{HOTEL}/access?range=28d"
        visitor.shot("access-refused-phone")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        found = Axe().run(page).response["violations"]
        assert not [one["id"] for one in found if one["impact"] in ("serious", "critical")]
        form.locator("[name=scope-read]").check()
        form.get_by_role("button").click()
        assert "is made" in page.get_by_role("status").inner_text()
