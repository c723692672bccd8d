"""All real data in one folder: every number equals its recomputation, also after kills while loading."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubbub.app import Engine
from hubbub.ingest.sources import slack
from tests.acceptance.conftest import (
    DATA,
    Source,
    Tables,
    by,
    events_of,
    imported,
    mapped,
    needs,
    open_engine,
    refreshed,
    tables_of,
)
from tests.extent import KILLS_LOADING
from tests.integration.conftest import kill_after, start

SEED = 20261122
SETS = (
    "slack-rcontributors", "slack-olake", "slack-houstondatavis", "twitter-airlines", "twitter-support", "email-r-lists",
    "facebook-live-sellers", "intents", "connector-seeds",
)  # fmt: skip
EVENTS = {
    "rcontributors": 4764, "olake": 80, "houston": 723, "united": 7644, "southwest": 4840, "virgin-america": 1008,
    "support": 2500, "mail": 517, "pages": 33_150, "bank": 10_003, "hotel": 769, "twilio": 20, "zendesk": 56,
    "facebook": 165,
}  # fmt: skip
"""Events of each tenant, every one counted once."""


def parts() -> Iterator[tuple[str | None, str, Source]]:
    """Yield tenant (None: the mapping names it), zone and source of every part, in the order of loading."""
    yield "rcontributors", "America/New_York", slack.read(DATA / "slack-rcontributors")
    for run in sorted((DATA / "slack-olake").glob("run-*")):
        yield "olake", "Asia/Kolkata", slack.read(run)
    yield "houston", "America/New_York", slack.read(DATA / "slack-houstondatavis")
    yield None, "America/New_York", mapped("twitter-airlines", DATA / "twitter-airlines" / "Tweets.csv")
    yield "support", "UTC", mapped("twitter-support", DATA / "twitter-support" / "twcs.csv")
    yield "mail", "UTC", mapped("email-r-lists", *sorted((DATA / "email-r-lists").glob("r-*/*.txt")))
    yield "pages", "UTC", mapped("facebook-live-sellers", DATA / "facebook-live-sellers" / "Live.csv")
    yield "bank", "UTC", mapped("banking77", DATA / "intents" / "banking77" / "train.csv")
    yield "hotel", "UTC", mapped("nlupp-hotels", *sorted((DATA / "intents" / "nlupp-hotels").glob("fold*.json")))
    for tenant, mapping, pattern in (
        ("twilio", "twilio-messages", "dbt_twilio/twilio_message_data.csv"),
        ("zendesk", "zendesk-tickets", "dbt_zendesk/ticket_data.csv"),
        ("zendesk", "zendesk-comments", "dbt_zendesk/ticket_comment_data.csv"),
        ("facebook", "facebook-pages-daily", "dbt_facebook_pages/*daily_page_metrics_total_data.csv"),
        ("facebook", "facebook-pages-posts", "dbt_facebook_pages/*post_history_data.csv"),
    ):
        yield tenant, "UTC", mapped(mapping, *(DATA / "connector-seeds").glob(pattern))


def load_everything(engine: Engine, batch: int = 1_000, first: int = 0) -> Iterator[str]:
    """Load every part, starting with number `first` and wrapping round; yield after each."""
    several = list(parts())
    for tenant, zone, source in several[first:] + several[:first]:
        imported(engine, source, tenant, zone, batch=batch)
        yield tenant or "airlines"


@pytest.fixture(scope="module")
def truth(engine: Engine) -> dict[str, Tables]:
    """Load everything once and refresh once; return all fact rows."""
    for _ in load_everything(engine, batch=5_000):
        pass
    refreshed(engine)
    return {tenant: tables_of(engine, tenant) for tenant in EVENTS}


@needs(*SETS)
def test_everything_in_one_folder_verifies(engine: Engine, truth: dict[str, Tables]) -> None:
    """32 parts of 9 data sets for 14 tenants: each tenant has its own events once, and verify finds no difference."""
    assert events_of(engine) == EVENTS
    verdict = engine.verify()
    print(verdict)
    assert (verdict["clean"], verdict["differences"], verdict["by_table"]) == (True, 0, {})
    assert verdict["rows"] > sum(EVENTS.values())


@needs(*SETS)
def test_every_tenant_counts_its_own_events(engine: Engine, truth: dict[str, Tables]) -> None:
    """The metric `events` by type adds up to the tenant's stored events."""
    for tenant, stored in EVENTS.items():
        asked = by(engine, tenant, "events", "2001-01-01", "2027-01-01", "type")
        assert sum(asked.values()) == stored


@pytest.mark.slow
@needs(*SETS)
def test_kills_while_loading_change_no_row(truth: dict[str, Tables], tmp_path: Path) -> None:
    """After kills -9 at random moments of loading, a finished load has the rows of an undisturbed one."""
    draw = random.Random(SEED)
    folder = tmp_path / "data"
    waits = [round(draw.uniform(0.3, 4.0), 2) for _ in range(KILLS_LOADING)]
    firsts = draw.sample([0, 10, *range(20, 31)], KILLS_LOADING)
    reached = []
    for seconds, first in zip(waits, firsts, strict=True):
        kill_after(start("load", folder, first), seconds)
        with open_engine(folder) as engine:
            reached.append(sum(events_of(engine).values()))
    print(f"seed {SEED}: from parts {firsts} on killed after {waits} s, with {reached} events stored")
    assert reached == sorted(reached)
    with open_engine(folder) as engine:
        for _ in load_everything(engine, batch=5_000):
            pass
        refreshed(engine)
        assert events_of(engine) == EVENTS
        assert {tenant: tables_of(engine, tenant) for tenant in EVENTS} == truth
        assert engine.verify()["clean"]
