"""The explanation of a number: its name, its numerator first and marked, and links to the events behind it."""

from __future__ import annotations

import re
from html import unescape

import pytest

from tests.unit.dashboard.busy import EVIL, VIEW, read, rows
from tests.unit.dashboard.conftest import Pages


@pytest.mark.parametrize(
    ("metric", "title", "said"),
    [
        ("csat", "Satisfied", ("3 – Ratings of 4 + Ratings of 5", "4 – Valid 5-point ratings")),
        ("nps_score", "NPS", ("1 – Ratings of 5 − Ratings of 1 − Ratings of 2 − Ratings of 3", "4 – Valid 5-point ratings")),
        ("response_ms.within_5min", "Response, within 5 min", ("2 – values within 5 min", "4 – all values")),
        ("conversion_rate", "Conversion rate", ("0 – different contacts: Of these, followed by a conversion",)),
        ("messages", "Messages", ()),
    ],
)  # fmt: skip
def test_a_number_has_its_name_and_its_parts_in_words(
    busy: Pages, metric: str, title: str, said: tuple[str, ...]
) -> None:
    """The page names the metric for people, and says what its numerator and denominator count, with their sizes."""
    html = read(busy.sign_in(), "/t/a/explain", metric=metric, **VIEW)
    assert f'<h3 data-metric="{metric}">{title}</h3>' in html
    text = unescape(html)
    assert all(part in text for part in said), text


def test_the_numerator_comes_first_and_is_marked(busy: Pages) -> None:
    """Of four ratings the three of 4 and 5 come first, marked; a count, which has no denominator, has no such column."""
    http = busy.sign_in()
    parts = [row["counts"] for row in rows(http, "/t/a/explain/events", metric="csat", **VIEW)]
    assert parts == ["numerator"] * 3 + ["denominator only"]
    assert "counts" not in rows(http, "/t/a/explain/events", metric="messages", **VIEW)[0]


@pytest.mark.parametrize(
    ("metric", "cell", "leads"),
    [
        ("csat", "event", "satisfaction.rating_received"), ("messages", "id", "message.sent"),
        ("delivery_rate", "id", "message.sent"),
        ("response_ms.p50", "conversation_id", "Conversation"), ("waiting_conversations", "id", "Conversation"),
        ("conversations_resolved", "conversation_id", "Conversation"),
    ],
)  # fmt: skip
def test_a_row_leads_to_what_it_is(busy: Pages, metric: str, cell: str, leads: str) -> None:
    """A row's event opens as it is stored, a conversation as its timeline; names from outside are text."""
    http = busy.sign_in()
    html = read(http, "/t/a/explain/events", metric=metric, **VIEW)
    kind = "/t/a/conversation?" if leads == "Conversation" else "/t/a/files/event/json?"
    links = [unescape(link) for link in re.findall(r'<a href="([^"]+)">', html) if kind in unescape(link)]
    assert links, (cell, html)
    assert leads in http.get(links[0]).text
    assert EVIL not in html
