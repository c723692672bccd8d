"""The introduction of a report: news, usual ranges and needs; and the same report as a mail."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from hubbub.app import Engine
from hubbub.clock import fixed
from hubbub.control.alerts import Decision, Entry, Incident
from hubbub.reports import as_json
from hubbub.reports.dates import long_days, short_days, span, windows_in_words
from hubbub.reports.digest import digest
from hubbub.reports.document import Document
from hubbub.reports.formatting import shown
from hubbub.reports.layout import summary_rows
from hubbub.settings import load

NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)  # a Monday
VOID = {"meta", "br"}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Open an engine with ten weeks of four messages a day, a last week of thirty, and an open incident."""
    with closing(Engine(load(tmp_path_factory.mktemp("introduction") / "data", free_floor_mb=0), fixed(NOW))) as made:
        made.add_tenant("hotel", zone="Europe/Rome", name="Hotel <Aurora>")
        made.record("hotel", list(_events()), history=True)
        _incident(made)
        yield made


def _events() -> Iterator[dict[str, Any]]:
    for back in range(1, 78):
        for n in range(30 if back <= 7 else 4):
            at = NOW - timedelta(days=back, minutes=n)
            yield {
                "type": "message.received", "time": at, "id": f"{back}-{n}", "channel": "web", "contact_id": f"k{n}",
                "conversation_id": f"c{back}-{n}",
            }  # fmt: skip


def _incident(engine: Engine) -> None:
    rule = engine.alerts.add("hotel", {"name": "Many messages", "kind": "threshold", "metric": "messages", "limit": 5})
    stored = engine.alert_store.rule("hotel", rule.id)
    start = datetime(2026, 11, 28, tzinfo=UTC)
    found = Incident(
        "inc_1", "hotel", rule.id, "", "Many messages", start, start + timedelta(days=1), 30, None, 30, start, 0, NOW
    )  # fmt: skip
    engine.alert_store.decide(stored, Decision(NOW, [found], [Entry("inc_1", NOW, "opened", "Messages: 30.")]))


def weekly(engine: Engine, **asked: Any) -> Document:
    """Make a report of the last week and return it."""
    return engine.reports.document("hotel", engine.reports.make("hotel", "weekly", **asked).id)


def test_the_news_of_a_report_are_those_of_the_api(engine: Engine) -> None:
    """Sentences, usual ranges and the leading metric equal those of the operation `news` for the same days."""
    introduction = weekly(engine).introduction
    answer = engine.answers.news("hotel", "2026-11-23", "2026-11-30")
    assert list(introduction.news) == [
        f"{p.sentence} {p.in_words}." if p.in_words else p.sentence for p in answer.points
    ]
    assert introduction.leading == answer.points[0].metric == "messages"
    usual = {number.metric: number.usual for number in answer.numbers if number.dimension is None}
    assert {each.metric: (each.low, each.high) for each in introduction.beside if each.metric in usual} == {
        name: (each.low, each.high) for name, each in usual.items()
    }
    assert (introduction.name, introduction.usual("messages_received").way) == ("Hotel <Aurora>", "beyond rises")


def test_open_incidents_and_waiting_conversations_are_named_with_their_pages(engine: Engine) -> None:
    """The open incident and the waiting conversations are named with their pages; an earlier period has neither."""
    needs = {need.path: need.text for need in weekly(engine).introduction.needs}
    assert needs["/t/hotel/incident?id=inc_1"] == "Many messages: open since Saturday 28 November."
    waiting = engine.query("hotel", metrics=["waiting_conversations"], start="2026-11-23", end="2026-11-30")["rows"][0]
    assert needs["/t/hotel/live"].startswith(f"{waiting['waiting_conversations']} conversations wait for a reply")
    assert not weekly(engine, date="2026-06-01").introduction.needs


def test_the_hash_covers_numbers_alone(engine: Engine) -> None:
    """The hash covers the numbers alone: an acknowledged incident does not change it."""
    first = weekly(engine)
    engine.incidents.acknowledge("hotel", "inc_1")
    assert weekly(engine).about["hash"] == first.about["hash"]


def test_a_period_too_long_for_news_has_none(engine: Engine) -> None:
    """Two years have no news and no usual ranges."""
    introduction = weekly(engine, start="2024-11-30", end="2026-11-30").introduction
    assert (list(introduction.news), list(introduction.beside), introduction.rest) == ([], [], "")


def test_a_mail_has_tables_and_no_rule_outside_its_elements(engine: Engine) -> None:
    """A mail has no style sheet, class, script, drawing or picture; every tag is closed; bar widths add up to 100 percent."""
    html = digest(weekly(engine), ["Sent late."], "https://h.example", "https://h.example/stop").html
    tags = _tags(html)
    assert not {"style", "script", "svg", "img", "link", "section"} & set(tags)
    assert "class=" not in html and 'href="https://h.example/t/hotel/incident?id=inc_1"' in html
    assert "Hotel &lt;Aurora&gt;" in html and "<Aurora>" not in html
    bars = re.findall(r'<td bgcolor="#2b54c8" width="(\d+)%"[^>]*>&nbsp;</td>(?:<td width="(\d+)%")?', html)
    assert len(bars) > 7 and all(int(full) + int(rest or 0) == 100 for full, rest in bars)


def test_numbers_of_the_mail_are_those_of_the_report(engine: Engine) -> None:
    """Text and cards of the mail have the summary's values."""
    document = weekly(engine)
    made = digest(document, [], "", "")
    values = {row["metric"]: shown(row["value"], row["unit"]) for row in summary_rows(document)}
    assert any(line.startswith(f"Messages received: {values['messages_received']}, ") for line in made.lines)
    assert f'<b style="font-size:17px">{values["messages_received"]}</b>' in made.html
    assert "Stop this digest" not in made.html and "href" not in made.html


def _tags(html: str) -> list[str]:
    """Return the tags of a page, which must be closed in order."""
    seen: list[str] = []
    opened: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.append(tag)
            if tag not in VOID:
                opened.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert opened.pop() == tag

    Reader().feed(html)
    assert not opened
    return seen


@pytest.mark.parametrize(
    ("first", "after", "long", "short"),
    [
        ("2026-11-29", "2026-11-30", "Sunday 29 November 2026", "29 Nov 2026"),
        ("2026-11-23", "2026-11-30", "Monday 23 to Sunday 29 November 2026", "23 – 29 Nov 2026"),
        ("2026-10-26", "2026-11-02", "Monday 26 October to Sunday 1 November 2026", "26 Oct – 1 Nov 2026"),
        ("2025-12-29", "2026-01-05", "Monday 29 December 2025 to Sunday 4 January 2026", "29 Dec 2025 – 4 Jan 2026"),
    ],
)
def test_a_range_of_days_repeats_no_month_or_year(first: str, after: str, long: str, short: str) -> None:
    """Month and year are written once if both ends share them."""
    days = date.fromisoformat(first), date.fromisoformat(after)
    assert (long_days(*days), short_days(*days)) == (long, short)


def test_repeated_hours_are_written_with_their_offsets() -> None:
    """Two windows with the same time have their offsets; others do not."""
    hours = ["2026-10-25T01:00:00+02:00", "2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"]
    assert windows_in_words(hours, "hour") == ["01:00", "02:00 +02:00", "02:00 +01:00"]
    assert windows_in_words(["2026-11-23T00:00:00+01:00"], "day") == ["Mon 23 Nov"]


def test_reports_of_an_earlier_version_are_read(engine: Engine, tmp_path: Path) -> None:
    """A file without an introduction is read, without news."""
    document = weekly(engine)
    as_json.write(document, tmp_path / "report.json")
    content = json.loads((tmp_path / "report.json").read_text())
    del content["introduction"]
    (tmp_path / "report.json").write_text(json.dumps(content))
    older = as_json.read(tmp_path / "report.json")
    assert (older.name, list(older.introduction.news)) == ("hotel", []) and document.introduction.news


def test_reports_and_mails_of_slack_alone_speak_of_threads(engine: Engine) -> None:
    """Report and mail of a tenant with Slack alone say threads and members, not conversations and contacts."""
    engine.add_tenant("chat", zone="Europe/Rome", name="Chat")
    engine.record("chat", [{**event, "channel": "slack", "channel_id": "C1"} for event in _events()], history=True)
    report = engine.reports.make("chat", "weekly", formats=["html", "json"])
    assert engine.reports.document("chat", report.id).introduction.wording == "slack"
    page = engine.reports.file("chat", report.id, "html").path.read_text(encoding="utf-8")
    words = re.sub(r"<[^>]+>", " ", page.partition("<body>")[2]).partition(" sections ")[0]
    assert "Active members" in words and "threads wait for a reply" in words
    assert not re.search(r"\b(conversations?|contacts?)\b", words, re.IGNORECASE)
    mail = digest(engine.reports.document("chat", report.id), (), "", "")
    assert not re.search(r"\b(conversations?|contacts?)\b", " ".join(mail.lines), re.IGNORECASE)


def test_a_range_of_whole_days_is_written_as_days() -> None:
    """What a report is compared with is written as days where it begins and ends at midnight, else to the minute."""
    assert span("2021-07-01T00:00:00+02:00", "2022-01-01T00:00:00+01:00") == "1 Jul – 31 Dec 2021"
    assert span("2021-07-01T00:00:00+02:00", "2021-07-01T09:30:00+02:00") == "2021-07-01 00:00 to 2021-07-01 09:30"
