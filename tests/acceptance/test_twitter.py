"""Real tweets: complaints to airlines, classified by people, and conversations of 36 brands with their customers."""

from __future__ import annotations

import re
import statistics
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hubbub.app import Engine
from tests.acceptance.conftest import (
    Loaded,
    by,
    counts,
    csv_rows,
    imported,
    mapped,
    needs,
    open_engine,
    refreshed,
    total,
    totals,
)  # fmt: skip

AIRLINES, SUPPORT = "twitter-airlines", "twitter-support"
ZONE = "America/New_York"
AIRLINE_RANGE = ("2015-02-16", "2015-02-26")
SUPPORT_RANGE = ("2011-08-01", "2017-12-02")
MAPPINGS = ("twitter-support", "twitter-support-openings")


def slugged(text: str) -> str:
    """Return a name as the mappings write it."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


# --- airlines


@pytest.fixture(scope="module")
def rows(data: Path) -> list[dict[str, str]]:
    """Read the airlines' tweets with the standard library."""
    return csv_rows(data / AIRLINES / "Tweets.csv")


@pytest.fixture(scope="module")
def airlines(engine: Engine, data: Path) -> Loaded:
    """Import the airlines' tweets, each airline as a tenant in New York's zone."""
    loaded = imported(engine, mapped(AIRLINES, data / AIRLINES / "Tweets.csv"), zone=ZONE)
    refreshed(engine)
    return loaded


def local_day(row: dict[str, str]) -> str:
    """Return the day of a tweet in the tenants' zone, which differs from the file's."""
    moment = datetime.strptime(row["tweet_created"], "%Y-%m-%d %H:%M:%S %z")
    return moment.astimezone(ZoneInfo(ZONE)).date().isoformat()


@needs(AIRLINES)
def test_each_airline_has_its_own_tweets(engine: Engine, airlines: Loaded) -> None:
    """6,746 tweets give a message and a classification each, in the tenant of their airline alone."""
    known = {slugged(name): n for name, n in counts(AIRLINES)["airline"].items()}
    assert airlines.rejected == {}
    assert airlines.tenants == {tenant: 2 * n for tenant, n in known.items()}
    for tenant, n in known.items():
        assert total(engine, tenant, "classifications", *AIRLINE_RANGE) == n
        assert total(engine, tenant, "messages_received", *AIRLINE_RANGE) == n


@needs(AIRLINES)
def test_topics_and_tones_are_those_of_the_data(engine: Engine, airlines: Loaded, rows: list[dict[str, str]]) -> None:
    """Classifications by topic and tone equal the counts that came with the data, in sum and by airline."""
    known = counts(AIRLINES)
    topics: Counter[str | None] = Counter()
    tones: Counter[str | None] = Counter()
    for tenant in airlines.tenants:
        mine = [row for row in rows if slugged(row["airline"]) == tenant]
        topic = by(engine, tenant, "classifications", *AIRLINE_RANGE, "topic")
        tone = by(engine, tenant, "classifications", *AIRLINE_RANGE, "sentiment")
        assert topic == Counter(row["negativereason"] or None for row in mine)
        assert tone == Counter(row["airline_sentiment"] for row in mine)
        topics.update(topic)
        tones.update(tone)
    assert topics == {None if name == "-" else name: n for name, n in known["negativereason"].items()}
    assert tones == known["sentiment"]


@needs(AIRLINES)
def test_mean_confidence_is_a_sum_over_a_count(engine: Engine, airlines: Loaded, rows: list[dict[str, str]]) -> None:
    """Mean confidence over all airlines, merged from numerators and denominators, is 0.893873; each airline's equals
    the file's.
    """
    over = under = 0.0
    for tenant in airlines.tenants:
        mine = [float(r["airline_sentiment_confidence"]) for r in rows if slugged(r["airline"]) == tenant]
        (row,) = engine.query(
            tenant, metrics="topic_confidence", start=AIRLINE_RANGE[0], end=AIRLINE_RANGE[1], details=True
        )["rows"]
        parts = row["details"]["topic_confidence"]
        assert row["topic_confidence"] == pytest.approx(statistics.fmean(mine), abs=1e-9)
        assert parts["denominator"] == len(mine)
        over, under = over + parts["numerator"], under + parts["denominator"]
    assert round(over / under, 6) == counts(AIRLINES)["mean_sentiment_confidence"] == 0.893873


@needs(AIRLINES)
def test_trends_of_the_spike_equal_a_recount(engine: Engine, airlines: Loaded, rows: list[dict[str, str]]) -> None:
    """Daily trends of 22 and 23 February in the tenant's zone equal a recount of the file.

    No topic of the airlines is called complaint, so by N7 no channel is a hotspot by default; negative tweets make one
    if that tone counts.
    """
    span = ("2015-02-22", "2015-02-24")
    for tenant in airlines.tenants:
        assert not any(row["channel_hotspots"] for row in engine.trends(tenant, *span)["rows"])
        found = {row["trend_date"]: row for row in engine.trends(tenant, *span, tones=["negative"])["rows"]}
        assert list(found) == ["2015-02-22", "2015-02-23"]
        for day, row in found.items():
            mine = [r for r in rows if slugged(r["airline"]) == tenant and local_day(r) == day]
            confidences = [float(r["airline_sentiment_confidence"]) for r in mine]
            tones = Counter(r["airline_sentiment"] for r in mine)
            assert row["trend_period"] == "daily"
            assert row["total_classifications"] == len(mine) > 0
            assert row["topic_distribution"] == Counter(r["negativereason"] for r in mine if r["negativereason"])
            assert row["sentiment_distribution"] == tones
            assert row["avg_confidence"] == pytest.approx(statistics.fmean(confidences), abs=1e-9)
            hot = len(mine) >= 10 and tones["negative"] / len(mine) > 0.30
            assert [spot["channel_id"] for spot in row["channel_hotspots"]] == ([tenant] if hot else [])


@needs(AIRLINES)
@pytest.mark.parametrize(
    "days", [("2015-02-22", "2015-02-23"), ("2015-02-23", "2015-02-24"), ("2015-02-22", "2015-02-24")]
)
def test_hotspots_of_the_spike_equal_a_recount(
    engine: Engine, airlines: Loaded, rows: list[dict[str, str]], days: tuple[str, str]
) -> None:
    """A channel's negative / classified tweets, and whether it is a hotspot, equal a recount of the file.

    By N7 a tone counts only on request; by default none of these tweets is flagged, as no topic is called complaint.
    """
    for tenant in airlines.tenants:
        mine = [r for r in rows if slugged(r["airline"]) == tenant and days[0] <= local_day(r) < days[1]]
        bad = sum(r["airline_sentiment"] == "negative" for r in mine)
        (plain,) = engine.hotspots(tenant, *days)["rows"]
        assert (plain["flagged_count"], plain["total_count"], plain["hotspot"]) == (0, len(mine), False)
        (spot,) = engine.hotspots(tenant, *days, tones=["negative"])["rows"]
        assert (spot["channel_id"], spot["flagged_count"], spot["total_count"]) == (tenant, bad, len(mine))
        assert spot["hotspot_ratio"] == pytest.approx(bad / len(mine))
        assert spot["hotspot"] is (len(mine) >= 10 and bad / len(mine) > 0.30)


# --- support


class Threads:
    """The support tweets recounted in plain Python: who answered what, and the brand of each thread."""

    def __init__(self, rows: list[dict[str, str]]) -> None:
        self.tweets: dict[str, dict[str, Any]] = {}
        for row in rows:
            self.tweets[row["tweet_id"]] = {
                "inbound": row["inbound"] == "True",
                "author": row["author_id"],
                "time": datetime.strptime(row["created_at"], "%a %b %d %H:%M:%S %z %Y"),
                "parent": row["in_response_to_tweet_id"].removesuffix(".0"),
            }
        self.threads: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for key, tweet in self.tweets.items():
            self.threads[self.root(key)].append(tweet)

    def root(self, key: str) -> str:
        """Return the topmost known or named tweet above a tweet."""
        while parent := self.tweets.get(key, {}).get("parent", ""):
            key = parent
        return key

    def brand(self, key: str) -> str:
        """Return the tenant of a tweet: the first brand, in the file's order, in its thread."""
        return slugged(next(t["author"] for t in self.threads[self.root(key)] if not t["inbound"]))

    def openings(self) -> dict[str, int]:
        """Return the wait of every opening tweet of a customer that a brand answered directly."""
        answers: dict[str, list[datetime]] = defaultdict(list)
        for tweet in self.tweets.values():
            if not tweet["inbound"] and tweet["parent"]:
                answers[tweet["parent"]].append(tweet["time"])
        return {
            key: milliseconds(min(answers[key]) - tweet["time"])
            for key, tweet in self.tweets.items()
            if tweet["inbound"] and not tweet["parent"] and key in answers
        }

    def whole(self) -> dict[str, int]:
        """Return, for every thread, the wait from a customer's first tweet to the brand's next one."""
        waits: dict[str, int] = {}
        for root, thread in self.threads.items():
            asked = min((t["time"] for t in thread if t["inbound"]), default=None)
            answers = [t["time"] for t in thread if not t["inbound"] and asked is not None and t["time"] >= asked]
            if asked is not None and answers:
                waits[root] = milliseconds(min(answers) - asked)
        return waits


def milliseconds(span: timedelta) -> int:
    """Return whole milliseconds."""
    return round(span / timedelta(milliseconds=1))


@pytest.fixture(scope="module")
def threads(data: Path) -> Threads:
    """Read the support tweets with the standard library."""
    return Threads(csv_rows(data / SUPPORT / "twcs.csv"))


@pytest.fixture(scope="module")
def support(engine: Engine, data: Path) -> dict[str, Loaded]:
    """Import the support tweets: each brand as a tenant, and with both mappings all brands as one tenant."""
    file = data / SUPPORT / "twcs.csv"
    done = {"brands": imported(engine, mapped("twitter-support", file))}
    for name in MAPPINGS:
        done[name] = imported(engine, mapped(name, file), f"all-{name}")
    refreshed(engine)
    return done


@needs(SUPPORT)
def test_each_brand_has_its_own_conversations(engine: Engine, support: dict[str, Loaded], threads: Threads) -> None:
    """36 brands are 36 tenants with 1,363 tweets in and 1,137 out; each brand's counts equal a recount."""
    known = counts(SUPPORT)
    brands = support["brands"]
    assert (brands.stored, brands.rejected, len(brands.tenants)) == (known["tweets"], {}, known["brands"])
    received: dict[str, int] = {}
    sent: dict[str, int] = {}
    for tenant in brands.tenants:
        asked = totals(engine, tenant, ["messages_received", "messages_sent"], *SUPPORT_RANGE)
        received[tenant], sent[tenant] = asked
    assert (sum(received.values()), sum(sent.values())) == (known["inbound"], known["outbound"]) == (1363, 1137)
    assert received == Counter(threads.brand(k) for k, t in threads.tweets.items() if t["inbound"])
    assert sent == Counter(threads.brand(k) for k, t in threads.tweets.items() if not t["inbound"])


@needs(SUPPORT)
def test_first_responses_of_whole_threads(engine: Engine, support: dict[str, Loaded], threads: Threads) -> None:
    """With whole threads as conversations, 710 have a first response, with a median of 590.5 s; each brand's equal a recount."""
    waits = threads.whole()
    assert (len(waits), statistics.median(waits.values())) == (710, 590_500)
    one = "all-twitter-support"
    assert total(engine, one, "first_response_ms.count", *SUPPORT_RANGE) == 710
    assert total(engine, one, "first_response_ms.p50", *SUPPORT_RANGE) == 590_500
    assert total(engine, one, "first_response_ms.sum", *SUPPORT_RANGE) == sum(waits.values())
    per_brand: dict[str, list[int]] = defaultdict(list)
    for root, wait in waits.items():
        per_brand[threads.brand(root)].append(wait)
    for tenant in support["brands"].tenants:
        mine = per_brand[tenant]
        parts = ["first_response_ms.count", "first_response_ms.sum", "first_response_ms.p50"]
        median = statistics.median(mine) if mine else None
        asked = totals(engine, tenant, parts, *SUPPORT_RANGE)
        assert asked == [len(mine), sum(mine) if mine else None, median]


@needs(SUPPORT)
def test_first_responses_to_openings_equal_a_recount(
    engine: Engine, support: dict[str, Loaded], threads: Threads
) -> None:
    """With openings as conversations, 644 were answered directly, with a median of 560.5 s."""
    waits = list(threads.openings().values())
    known = counts(SUPPORT)
    assert len(waits) == known["opening_tweets_answered_by_brand"] == 644
    assert statistics.median(waits) == known["first_response_seconds_median"] * 1000 == 560_500
    one = "all-twitter-support-openings"
    assert support["twitter-support-openings"].stored == known["tweets"]
    assert total(engine, one, "first_response_ms.count", *SUPPORT_RANGE) == 644
    assert total(engine, one, "first_response_ms.p50", *SUPPORT_RANGE) == 560_500
    assert total(engine, one, "first_response_ms.p50", *SUPPORT_RANGE) == 560_500
    assert total(engine, one, "first_response_ms.sum", *SUPPORT_RANGE) == sum(waits)
    assert total(engine, one, "messages_received", *SUPPORT_RANGE) == known["inbound"]
    assert total(engine, one, "messages_sent", *SUPPORT_RANGE) == known["outbound"]


@needs(SUPPORT)
def test_both_mappings_agree_where_the_opening_was_answered(threads: Threads) -> None:
    """All 644 answered openings have the same wait in whole threads; these add 52 that were answered later and 14 that
    a brand began.

    One thread on each side hangs on a tweet that is not in the file.
    """
    whole, openings = threads.whole(), threads.openings()
    same = [key for key in openings if whole.get(key) == openings[key]]
    more = [root for root in whole if root not in openings]
    tops = {root: [t for t in threads.threads[root] if t["parent"] not in threads.tweets] for root in more}
    begun = [root for root in more if not any(t["inbound"] for t in tops[root])]
    assert (len(same), len(more) - len(begun), len(begun)) == (644, 52, 14)


@needs(SUPPORT)
def test_openings_by_brand_add_up(data: Path, threads: Threads, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Split by brand, also before any refresh, the answered openings are still 644, each with the brand of its thread."""
    with open_engine(tmp_path_factory.mktemp("openings")) as own:
        loaded = imported(own, mapped("twitter-support-openings", data / SUPPORT / "twcs.csv"))
        asked = {t: total(own, t, "first_response_ms.count", *SUPPORT_RANGE) for t in loaded.tenants}
    assert sum(asked.values()) == 644
    assert {t: n for t, n in asked.items() if n} == Counter(threads.brand(key) for key in threads.openings())
