"""Real tables of other systems through the example mappings: events stored and rejected, and a second import that
changes nothing.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from hubbub.app import Engine
from hubbub.ingest.sources.files import FileImport
from tests.acceptance.conftest import (
    EXAMPLES,
    Loaded,
    by,
    counts,
    csv_rows,
    imported,
    mapped,
    needs,
    per_window,
    refreshed,
    tables_of,
    total,
)  # fmt: skip

MAIL, SEEDS, FACEBOOK, INTENTS = "email-r-lists", "connector-seeds", "facebook-live-sellers", "intents"
RANGE = ("2000-01-01", "2026-12-31")


@dataclass(frozen=True)
class Case:
    """A mapping, its files, and the expected result."""

    mapping: str
    folder: str
    pattern: str
    records: int
    stored: int
    duplicates: int = 0
    rejected: tuple[tuple[str, int], ...] = ()

    def source(self, data: Path) -> FileImport:
        """Open the files."""
        return mapped(self.mapping, *sorted((data / self.folder).glob(self.pattern)))


CASES = (
    Case("email-r-lists", MAIL, "r-*/*.txt", 537, 517, rejected=(("out_of_range", 20),)),
    Case("facebook-live-sellers", FACEBOOK, "Live.csv", 3368, 33_150, 530),
    Case("banking77", INTENTS, "banking77/train.csv", 10_003, 10_003),
    Case("nlupp-hotels", INTENTS, "nlupp-hotels/fold*.json", 503, 769),
    Case("facebook-pages-daily", SEEDS, "dbt_facebook_pages/*daily_page_metrics_total_data.csv", 6, 66),
    Case("facebook-pages-posts", SEEDS, "dbt_facebook_pages/*post_history_data.csv", 100, 99, 1),
    Case("twilio-messages", SEEDS, "dbt_twilio/twilio_message_data.csv", 10, 20),
    Case("zendesk-tickets", SEEDS, "dbt_zendesk/ticket_data.csv", 10, 36),
    Case("zendesk-comments", SEEDS, "dbt_zendesk/ticket_comment_data.csv", 20, 20),
)
each_case = pytest.mark.parametrize("case", [pytest.param(c, id=c.mapping, marks=needs(c.folder)) for c in CASES])


@pytest.fixture(scope="module")
def loads(engine: Engine, data: Path) -> dict[str, Loaded]:
    """Import every data set present, each into a tenant named after its mapping."""
    done = {c.mapping: imported(engine, c.source(data), c.mapping) for c in CASES if (data / c.folder).is_dir()}
    refreshed(engine)
    return done


@each_case
def test_every_example_mapping_loads_its_data(loads: dict[str, Loaded], case: Case) -> None:
    """Every row is read; stored, duplicate and rejected events are as listed in the case."""
    loaded = loads[case.mapping]
    assert loaded.summary["records"] == case.records
    assert (loaded.stored, loaded.duplicates, dict(loaded.rejected)) == (
        case.stored, case.duplicates, dict(case.rejected),
    )  # fmt: skip


@each_case
def test_a_second_import_changes_nothing(engine: Engine, data: Path, loads: dict[str, Loaded], case: Case) -> None:
    """A second import stores nothing, counts every event as a duplicate, and leaves every fact row unchanged."""
    before = tables_of(engine, case.mapping)
    again = imported(engine, case.source(data), case.mapping)
    assert (again.stored, again.corrected) == (0, 0)
    assert again.duplicates == loads[case.mapping].stored + loads[case.mapping].duplicates
    assert again.rejected == loads[case.mapping].rejected
    refreshed(engine)
    assert tables_of(engine, case.mapping) == before != {}


def test_every_mapping_in_examples_is_tried_here() -> None:
    """Every example mapping is tested with real data, here or in the tests of tweets."""
    tried = {c.mapping for c in CASES} | {"twitter-airlines", "twitter-support", "twitter-support-openings"}
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} == tried


# --- mailing lists


@needs(MAIL)
def test_mails_of_each_list_equal_the_archives(engine: Engine, data: Path, loads: dict[str, Loaded]) -> None:
    """Mails per list equal the archives' counts; the 20 of r-announce are of 1997 and are rejected as out of range."""
    known = counts(MAIL)
    asked = by(engine, MAIL, "messages", *RANGE, "channel_id")
    assert asked == {name: known[name] for name in ("r-devel", "r-package-devel")}
    assert known["r-announce"] == loads[MAIL].rejected["out_of_range"] == 20
    assert sum(asked.values()) + 20 == known["messages"] == 537
    refused = engine.quarantine.of(MAIL).rows
    assert {row.code for row in refused} == {"out_of_range"}
    assert {row.field for row in refused} == {"time"}


@needs(MAIL)
def test_mails_by_day_follow_their_offsets(engine: Engine, data: Path, loads: dict[str, Loaded]) -> None:
    """Mails by UTC day equal a recount of their Date headers, which have many different offsets."""
    recount: Counter[str] = Counter()
    for path in sorted((data / MAIL).glob("r-*devel/*.txt")):
        for header in re.findall(r"^From .*\nFrom: .*\nDate: (.*)$", path.read_text(errors="replace"), re.MULTILINE):
            recount[parsedate_to_datetime(header).astimezone(UTC).date().isoformat()] += 1
    assert recount.total() == 517
    rows = engine.query(MAIL, metrics="messages", start="2024-01-01", end="2026-01-01", grain="day")["rows"]
    assert {window[:10]: n for window, n in per_window(rows, "messages").items()} == recount


# --- posts of pages


@pytest.fixture(scope="module")
def posts(data: Path) -> list[dict[str, str]]:
    """Read the posts, the first row of each id, with the standard library."""
    found: dict[str, dict[str, str]] = {}
    for row in csv_rows(data / FACEBOOK / "Live.csv"):
        found.setdefault(row["status_id"], row)
    return list(found.values())


@needs(FACEBOOK)
def test_posts_and_their_counters_count_once(
    engine: Engine, data: Path, loads: dict[str, Loaded], posts: list[dict[str, str]]
) -> None:
    """3,368 rows are 3,315 posts, although two ids have times months apart; each post's counters count once.

    The sums that came with the data (1,084,672 reactions, 298,657 comments, 44,909 shares) are over all rows, with 53
    repeated ones counted twice. An id's first row counts.
    """
    known = counts(FACEBOOK)
    everything = csv_rows(data / FACEBOOK / "Live.csv")
    assert (len(everything), len(posts)) == (known["rows"], known["distinct_post_ids"]) == (3368, 3315)
    events = by(engine, FACEBOOK, "events", *RANGE, "type")
    assert events["content.published"] == len(posts)
    sums = by(engine, FACEBOOK, "observed_sum", *RANGE, "name")
    for column, over_all_rows, over_posts in (
        ("num_reactions", known["sum_reactions"], 1_036_335),
        ("num_comments", known["sum_comments"], 295_568),
        ("num_shares", known["sum_shares"], 44_519),
    ):
        assert sum(int(row[column]) for row in everything) == over_all_rows
        assert sums[column] == sum(int(row[column]) for row in posts) == over_posts
    per_page = by(engine, FACEBOOK, "observations", *RANGE, "account_id", where={"name": "num_shares"})
    assert per_page == Counter(row["status_id"].partition("_")[0] for row in posts)
    assert len(per_page) == known["pages"]


# --- intents


@needs(INTENTS)
def test_intents_of_bank_customers_equal_the_file(engine: Engine, data: Path, loads: dict[str, Loaded]) -> None:
    """10,003 questions have one of 77 intents each, as often as in the file."""
    known = counts(INTENTS)
    asked = by(engine, "banking77", "intents", *RANGE, "intent")
    assert asked == Counter(row["category"] for row in csv_rows(data / INTENTS / "banking77" / "train.csv"))
    assert (sum(asked.values()), len(asked)) == (known["banking77_rows"], known["banking77_intents"]) == (10_003, 77)


@needs(INTENTS)
def test_intents_of_hotel_guests_equal_the_files(engine: Engine, data: Path, loads: dict[str, Loaded]) -> None:
    """The hotel's intents, several to a question or none, equal the files' counts, and so do the top eight."""
    known = counts(INTENTS)
    asked = by(engine, "nlupp-hotels", "intents", *RANGE, "intent")
    questions = [
        question
        for path in sorted((data / INTENTS / "nlupp-hotels").glob("fold*.json"))
        for question in json.loads(path.read_text())
    ]
    assert asked == Counter(intent for question in questions for intent in question.get("intents") or ())
    assert len(questions) == known["nlupp_hotels_utterances"]
    assert len(asked) == known["nlupp_distinct_intents"]
    assert {name: asked[name] for name in known["top"]} == known["top"]
    assert sorted(asked.values(), reverse=True)[:8] == sorted(known["top"].values(), reverse=True)


# --- warehouse connectors


def seed(data: Path, name: str) -> list[dict[str, str]]:
    """Read a table of the warehouse connectors."""
    (path,) = (data / SEEDS).glob(f"*/{name}.csv")
    return csv_rows(path)


@needs(SEEDS)
def test_twilio_messages_by_direction_and_receipt(engine: Engine, data: Path, loads: dict[str, Loaded]) -> None:
    """Twilio's rows count as messages received, sent, delivered and failed."""
    rows = seed(data, "twilio_message_data")
    out = [r for r in rows if r["direction"].startswith("outbound")]
    assert total(engine, "twilio-messages", "messages_received", *RANGE) == len(rows) - len(out)
    assert total(engine, "twilio-messages", "messages_sent", *RANGE) == len(out)
    delivered = sum(r["status"] in ("delivered", "read") for r in out)
    failed = sum(r["status"] in ("failed", "undelivered") for r in out)
    assert total(engine, "twilio-messages", "messages_delivered", *RANGE) == delivered
    assert total(engine, "twilio-messages", "messages_failed", *RANGE) == failed


@needs(SEEDS)
def test_zendesk_tickets_are_conversations_and_tasks(engine: Engine, data: Path, loads: dict[str, Loaded]) -> None:
    """Zendesk's tickets are conversations and tasks, resolved or not; their comments are messages."""
    rows = seed(data, "ticket_data")
    done = sum(r["status"] in ("solved", "closed") for r in rows)
    tickets = "zendesk-tickets"
    assert total(engine, tickets, "conversations_started", *RANGE) == len(rows)
    assert total(engine, tickets, "tasks_created", *RANGE) == len(rows)
    assert total(engine, tickets, "conversations_resolved", *RANGE) == done
    assert total(engine, tickets, "tasks_completed", *RANGE) == done
    assert total(engine, "zendesk-comments", "messages", *RANGE) == len(seed(data, "ticket_comment_data"))


@needs(SEEDS)
def test_metrics_of_facebook_pages_are_observations(engine: Engine, data: Path, loads: dict[str, Loaded]) -> None:
    """Page metrics are observations by name; posts are published content."""
    rows = seed(data, "facebook_pages_daily_page_metrics_total_data")
    sums = by(engine, "facebook-pages-daily", "observed_sum", *RANGE, "name")
    for column in ("page_fans", "page_impressions", "page_post_engagements"):
        assert sums[column] == sum(int(row[column] or 0) for row in rows)
    posts = seed(data, "facebook_pages_post_history_data")
    assert total(engine, "facebook-pages-posts", "events", *RANGE) == len({row["id"] for row in posts})
