"""Every page in every state of its data: no panel is empty, and each says what is missing, why, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from html import unescape
from zoneinfo import ZoneInfo

import pytest

from hubbub.dashboard.components import Page, Shown
from hubbub.dashboard.registry import OPERATOR, TENANT
from hubbub.dashboard.routes import NOT_COMPUTED
from hubbub.facts.moments import micros
from hubbub.facts.retention import cut_at
from hubbub.model.coverage import Reason
from tests.unit.api.conftest import NOW
from tests.unit.dashboard.busy import report
from tests.unit.dashboard.visiting import Visitor, plain

DAYS = "from=2026-08-10&to=2026-08-21"
PAGES = {name: page for name, page in TENANT.items() if name not in ("explain", "conversation", "incident")}
"""Pages that need no id in their address."""
NUMBERS = {name: page for name, page in PAGES.items() if page.header and page.dated}


def panels(visitor: Visitor, name: str, page: Page, query: str = "") -> Iterator[tuple[str, str]]:
    """Yield each panel of a tenant's page: its name, and its HTML."""
    for widget in page.widgets:
        answer = visitor.http.get(f"/t/acme/{name}/{widget.name}?{query}")
        assert answer.status_code == 200, (name, widget.name)
        yield widget.name, answer.text


def says_something(html: str) -> bool:
    """Whether a panel has words, numbers or a form, and did not fail."""
    return 'class="failed"' not in html and (bool(plain(html)) or "<form" in html)


def record(visitor: Visitor, day: str, number: int = 3) -> None:
    """Store WhatsApp messages of a day."""
    visitor.engine.record("acme", [
        {"type": "message.received", "time": f"{day}T10:0{n}:00Z", "id": f"{day}-{n}", "channel": "whatsapp", "contact_id": f"p{n}",
         "conversation_id": f"{day}-{n}"} for n in range(number)
    ], history=True)  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_a_page_without_a_source_names_the_ways_to_begin(visitor: Visitor, name: str) -> None:
    """A page of numbers or rows names the three ways to begin; a page of settings has text or a form in every panel."""
    text = visitor.see(f"/t/acme/{name}")
    if PAGES[name].header:
        assert "No events yet" in text and "Import a file" in text and "Send events" in text and "Make a key" in text
    else:
        assert all(says_something(html) for _, html in panels(visitor, name, PAGES[name]))


@pytest.mark.parametrize("name", sorted(OPERATOR.keys() - {"job"}))
def test_pages_of_operators_on_a_new_installation_have_no_empty_panel(visitor: Visitor, name: str) -> None:
    """On a new installation no panel of operators' pages is empty or fails."""
    assert visitor.http.get(f"/operate/{name}").status_code == 200
    for widget in OPERATOR[name].widgets:
        assert says_something(visitor.http.get(f"/operate/{name}/{widget.name}").text), widget.name


@pytest.mark.parametrize("name", NUMBERS)
def test_a_page_opens_on_the_last_days_with_data(visitor: Visitor, name: str) -> None:
    """The page opens on the last days with data, names the last day, and leads to today."""
    record(visitor, "2026-02-11")
    text = visitor.see(f"/t/acme/{name}")
    assert "The data of Acme & Co ends on 11 February 2026." in text and "Go to today" in text
    assert all(says_something(html) for _, html in panels(visitor, name, NUMBERS[name]))


@pytest.mark.parametrize("name", NUMBERS)
def test_a_filter_without_rows_is_named_with_a_button_to_remove_it(visitor: Visitor, name: str) -> None:
    """The page names the filters and has a button to remove each; without the filter the notice is gone."""
    record(visitor, "2026-08-18")
    html = visitor.page(f"/t/acme/{name}?{DAYS}&channel=fax&channel=sms&account_id=none")
    text = plain(html)
    assert "Nothing of channel fax or sms and account none in" in text and "has 0 messages" in text
    ways = re.findall(r'<a class="button" href="([^"]+)">Remove', html)
    assert len(ways) == 3 and all("from=2026-08-10" in way for way in ways)
    assert "Nothing of channel" not in visitor.see(f"/t/acme/{name}?{DAYS}&channel=whatsapp")
    query = f"{DAYS}&channel=fax"
    assert all(says_something(part) for _, part in panels(visitor, name, NUMBERS[name], query))


@pytest.fixture
def gap(visitor: Visitor) -> Visitor:
    """Ten days of messages, with a gap on one day on which no server was running."""
    engine = visitor.engine
    secrets = {"app_secret": "s", "verify_token": "v"}
    id_ = engine.integrations.add("acme", "whatsapp", name="Shop", secrets=secrets).id
    one = engine.integration_store.get("acme", id_)
    begin = datetime(2026, 8, 13, tzinfo=ZoneInfo("Europe/Rome"))
    engine.ledger.note(one, begin, begin + timedelta(days=1), Reason.DOWN)
    for day in range(10, 20):
        if day != 13:
            record(visitor, f"2026-08-{day}")
    return visitor


def test_a_gap_is_hatched_and_never_zero(gap: Visitor) -> None:
    """The Overview names the missing days once and links to advice; the day of the gap has no number in the chart."""
    text = gap.see(f"/t/acme/overview?{DAYS}")
    assert "Data of these days is missing." in text and "See what to do" in text
    parts = [gap.see(f"/t/acme/overview/{widget.name}?{DAYS}") for widget in NUMBERS["overview"].widgets]
    said = [text, gap.see(f"/t/acme/overview?{DAYS}&whole=1"), *parts]
    assert [part.count("no server was running") for part in said] == [1, 1, *[0] * len(parts)]  # once, on top
    html = gap.page(f"/t/acme/overview/chart?{DAYS}&metric=messages")
    assert '"gradient": "linear"' in html and "a source has a gap here" in html
    csv = gap.http.get(f"/t/acme/overview/chart.csv?{DAYS}&metric=messages").content.decode("utf-8-sig").splitlines()
    values = {line.split(",")[0][:10]: line.split(",")[1] for line in csv[1:]}
    assert values["2026-08-12"] == "3" and values["2026-08-13"] != "0"


@pytest.mark.parametrize("name", NUMBERS)
def test_a_gap_fails_no_page(gap: Visitor, name: str) -> None:
    """No panel is empty or fails while a day is missing."""
    assert all(says_something(html) for _, html in panels(gap, name, NUMBERS[name], DAYS))


@pytest.mark.parametrize("name", NUMBERS)
def test_days_past_retention_are_named(visitor: Visitor, name: str) -> None:
    """For days past retention the cards say that data is no longer kept, and no panel is empty or fails."""
    record(visitor, "2026-05-04")
    record(visitor, "2026-08-18")
    visitor.engine.refresh()
    cut = datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Rome"))
    cut_at(visitor.engine.store, visitor.engine.control.tenant("acme"), micros(cut))
    query = "from=2026-05-01&to=2026-05-20"
    shown = dict(panels(visitor, name, NUMBERS[name], query))
    assert all(says_something(html) for html in shown.values())
    cards = [html for part, html in shown.items() if part == "cards"]
    assert not cards or "is kept of this tenant" in cards[0]


@pytest.mark.parametrize("name", PAGES)
def test_a_failing_panel_does_not_affect_the_others(
    visitor: Visitor, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A panel that fails says so and offers to try again, without the error's text; the others are shown."""
    record(visitor, (NOW - timedelta(days=1)).date().isoformat())
    report(visitor.engine, "acme", "satisfaction")
    page = TENANT[name]
    first, *others = page.widgets

    def broken(_: object) -> Shown:
        raise RuntimeError("a secret of the server")

    monkeypatch.setitem(TENANT, name, replace(page, widgets=(replace(first, answer=broken, lazy=False), *others)))
    text = visitor.see(f"/t/acme/{name}")
    assert NOT_COMPUTED in text and "Try again" in text and "a secret" not in text
    assert all(f'id="{widget.name}"' in visitor.page(f"/t/acme/{name}") for widget in others)


def test_a_link_without_scripts_leads_to_the_whole_page(visitor: Visitor) -> None:
    """A link for browsers without scripts leads to the same page with all parts in it."""
    record(visitor, (NOW - timedelta(days=1)).date().isoformat())
    page = visitor.page("/t/acme/overview")
    assert "aria-busy" in page
    ways = [unescape(way) for way in re.findall(r'<noscript><a href="([^"#]+)#', page)]
    assert ways and all("aria-busy" not in visitor.page(way) for way in ways)


def test_the_first_days_are_compared_with_nothing(visitor: Visitor) -> None:
    """Where a tenant's data begins within the shown days, no number is compared with earlier days."""
    record(visitor, (NOW - timedelta(days=1)).date().isoformat())
    assert "The data begins in these days" in visitor.see("/t/acme/overview/why")
    assert ">before<" not in visitor.page("/t/acme/overview/chart")
    page = visitor.see("/t/acme/overview")
    assert "rose by" not in page and " against " not in page


def test_a_source_that_sent_nothing_is_named_to_analysts(visitor: Visitor) -> None:
    """A tenant with a source but no event reads the source's name; viewers do not."""
    visitor.engine.integrations.add("acme", "whatsapp", name="Shop line", secrets={"app_secret": "x"})
    assert "Connected: Shop line; nothing has come from there." in visitor.see("/t/acme/overview")
    visitor.enter("acme", "viewer")
    assert "Shop line" not in visitor.see("/t/acme/overview")
