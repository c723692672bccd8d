"""The explanation of a number: its name, the numerator's rows first, and links to the events behind it."""

from __future__ import annotations

import re
from html import unescape

import pytest

from hubbub.errors import BadQuestionError
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
        ("response_ms.p90", "Response, 9 in 10 within", ("9 in 10 values are at most this",)),
    ],
)  # fmt: skip
def test_a_number_has_its_name_and_its_parts_in_words(
    busy: Pages, metric: str, title: str, said: tuple[str, ...]
) -> None:
    """The page shows the metric's name, and its numerator and denominator in words with their sizes."""
    html = read(busy.sign_in(), "/t/a/explain", metric=metric, **VIEW)
    assert f"<h1>{title}</h1>" in html
    text = unescape(html.replace('<span class="whole">5-point</span>', "5-point"))
    assert all(part in text for part in said), text


def test_a_number_is_shown_by_day_and_by_room(busy: Pages) -> None:
    """Its chart and its rows by room are of its own days and filters: they add up to it; a share has `n` and its range."""
    http = busy.sign_in()
    days = "2026-08-10", "2026-08-20"
    asked = {"metric": "messages", "start": days[0], "end": days[1], "channel": "whatsapp"}
    whole = busy.engine.answers.explain("a", "messages", *days, {"channel": ["whatsapp"]}).value
    assert whole
    for part in ("days", "slices"):
        assert sum(int(row["messages"] or 0) for row in rows(http, f"/t/a/explain/{part}", **asked)) == whole
    share = read(http, "/t/a/explain/slices", metric="csat", **VIEW)
    assert "95 % range" in share and ">n</th>" in share
    hour = asked | {"start": "2026-08-20T10:00:00Z", "end": "2026-08-20T11:00:00Z"}
    assert "This number is of a part of a day." in read(http, "/t/a/explain/days", **hour)


def test_an_unknown_number_has_no_page(busy: Pages) -> None:
    """A metric that the catalogue does not have is refused once, with those of similar names."""
    answer = busy.sign_in().get("/t/a/explain", params={"metric": "mesages"})
    assert answer.status_code == 400 and "did you mean" in answer.text


def test_rows_of_the_numerator_have_the_first_tab(busy: Pages) -> None:
    """Rows of the numerator are the first tab and the rest the second; a count has neither tabs nor that column."""
    http = busy.sign_in()
    found = {
        part: [row["counts"] for row in rows(http, "/t/a/explain/events", metric="csat", **{**VIEW, **part_of(part)})]
        for part in ("", "numerator", "rest", "all")
    }
    assert found[""] == found["numerator"] == ["numerator"] * 3 and found["rest"] == ["denominator only"]
    assert found["all"] == ["numerator"] * 3 + ["denominator only"]
    html = unescape(read(http, "/t/a/explain/events", metric="csat", **VIEW))
    assert all(tab in html for tab in ("In the numerator · 3", "Not in it · 1", "All · 4"))
    assert "counts" not in rows(http, "/t/a/explain/events", metric="messages", **VIEW)[0]
    assert 'class="tabs"' not in read(http, "/t/a/explain/events", metric="messages", **VIEW)


def part_of(part: str) -> dict[str, str]:
    """Return the parameter of a tab; empty for the default."""
    return {"part": part} if part else {}


def test_each_part_has_its_own_pages(busy: Pages) -> None:
    """Pages of one row return the numerator and then the rest, each row once; an unknown part is refused."""
    answers, days = busy.engine.answers, (VIEW["from"], VIEW["to"])
    whole = [row["id"] for row in answers.explain("a", "csat", *days).events.rows]
    seen: list[str] = []
    for part in ("numerator", "rest"):
        cursor, first = None, answers.explain("a", "csat", *days, part=part).events
        while True:
            page = answers.explain("a", "csat", *days, limit=1, cursor=cursor, part=part).events
            seen += [row["id"] for row in page.rows]
            assert page.total == first.total
            if (cursor := page.next) is None:
                break
    assert seen == whole
    with pytest.raises(BadQuestionError, match="is not one of numerator, rest"):
        answers.explain("a", "csat", *days, part="some")


def test_the_page_shows_gaps_and_changes_of_a_number(busy: Pages) -> None:
    """The page shows the number's fraction in words, its gaps, its changes since, and the command for the same answer."""
    text = unescape(read(busy.sign_in(), "/t/a/explain/rely", metric="csat", **VIEW))
    for said in (
        "No source is connected: whether something sent or imported is missing is not known.",
        "No closed day of it has changed.",
        "hubbub explain csat --tenant a",
    ):
        assert said in text
    number = unescape(read(busy.sign_in(), "/t/a/explain/number", metric="csat", **VIEW))
    assert "3 of 4. Out of: valid 5-point ratings. Counted: ratings of 4 + ratings of 5." in number


@pytest.mark.parametrize(
    ("metric", "cell", "leads"),
    [
        ("csat", "event", "satisfaction.rating_received"), ("messages", "id", "message.sent"),
        ("delivery_rate", "id", "message.sent"),
        ("response_ms.p50", "conversation_id", "Conversation"), ("waiting_conversations", "id", "Conversation"),
        ("conversations_resolved", "conversation_id", "Conversation"),
    ],
)  # fmt: skip
def test_a_row_links_to_its_event_or_conversation(busy: Pages, metric: str, cell: str, leads: str) -> None:
    """A row's link opens the stored event or the conversation's timeline; names from outside are escaped."""
    http = busy.sign_in()
    html = read(http, "/t/a/explain/events", metric=metric, **VIEW)
    kind = "/t/a/conversation?" if leads == "Conversation" else "/t/a/files/event/json?"
    links = [unescape(link) for link in re.findall(r'<a href="([^"]+)">', html) if kind in unescape(link)]
    assert links, (cell, html)
    assert leads in http.get(links[0]).text
    assert EVIL not in html
