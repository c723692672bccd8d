"""The demo's sample is reproducible, lively, and has what the dashboard shows."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from hubbub import demo
from hubbub.app import Engine
from hubbub.demo.scenario import SCENARIOS
from hubbub.errors import BadInputError
from hubbub.model.event import TYPES, Event
from hubbub.model.tenant import check_tenant_id, check_zone
from hubbub.settings import load

NOW = datetime(2026, 8, 19, 14, 30, tzinfo=UTC)
TENANTS = [tenant for tenant, _, _ in demo.tenants()]


@cache
def sample(tenant: str, now: datetime = NOW, days: int = 90, seed: int = 7) -> list[Event]:
    """Return a tenant's events, cached, since every test reads them."""
    return list(demo.events(tenant, now, days, seed))


def of_type(tenant: str, *types: str, within: timedelta = timedelta(90)) -> list[Event]:
    """Return a tenant's events of some types in a time before NOW, each once, by time."""
    found = {event.id: event for event in sample(tenant) if event.type in types and event.time > NOW - within}
    return sorted(found.values(), key=lambda event: event.time)


def test_three_tenants_in_three_zones() -> None:
    """Three tenants have valid ids and zones, and one zone has daylight saving time."""
    zones = [check_zone(zone) for _, zone, _ in demo.tenants()]
    assert len({check_tenant_id(tenant) for tenant in TENANTS}) == len(set(zones)) == 3
    winter, summer = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
    assert any(winter.astimezone(ZoneInfo(z)).utcoffset() != summer.astimezone(ZoneInfo(z)).utcoffset() for z in zones)


@pytest.mark.parametrize("tenant", TENANTS)
def test_same_arguments_same_events(tenant: str) -> None:
    """Two runs give the same bytes in the same order; another seed gives others."""
    again = list(demo.events(tenant, NOW, 20))
    assert msgspec.json.encode(again) == msgspec.json.encode(sample(tenant, NOW, 20))
    assert msgspec.json.encode(list(demo.events(tenant, NOW, 3, seed=8))) != msgspec.json.encode(sample(tenant, NOW, 3))


@pytest.mark.parametrize("tenant", TENANTS)
def test_size_is_that_of_a_lively_team(tenant: str) -> None:
    """A tenant has 30,000 to 60,000 events in 90 days."""
    assert 30_000 <= len(sample(tenant)) <= 60_000


@pytest.mark.parametrize("tenant", TENANTS)
@pytest.mark.parametrize("days", [2, 90])
def test_every_time_lies_within_the_days_before_now(tenant: str, days: int) -> None:
    """Every time lies between now - days and now, in UTC, and every event comes from the demo."""
    for event in sample(tenant, NOW, days):
        assert NOW - timedelta(days=days) <= event.time <= NOW
        assert event.time.utcoffset() == timedelta(0)
        assert event.source == "demo"


@pytest.mark.parametrize("tenant", TENANTS)
def test_resent_events_are_the_same(tenant: str) -> None:
    """About one event in a hundred comes twice, and an id always means the same event."""
    seen: dict[str | None, Event] = {}
    twice = 0
    for event in sample(tenant):
        twice += event.id in seen
        assert seen.setdefault(event.id, event) == event
    assert None not in seen
    assert 0.005 < twice / len(seen) < 0.02


@pytest.mark.parametrize("tenant", TENANTS)
def test_some_events_are_late(tenant: str) -> None:
    """A few events in a hundred arrive hours or days late; most arrive in order of time."""
    newest, hours, days = NOW - timedelta(days=999), 0, 0
    for event in sample(tenant):
        newest = max(newest, event.time)
        hours += event.time < newest - timedelta(hours=1)
        days += event.time < newest - timedelta(days=1)
    assert 0.02 < hours / len(sample(tenant)) < 0.06
    assert days > 100


def test_every_type_of_the_contract_appears() -> None:
    """Every known event type occurs, and a custom one, and no other."""
    seen = {event.type for tenant in TENANTS for event in sample(tenant)}
    assert seen >= TYPES - {"topic.unlabelled", "label.retracted"}, "which labelling makes"
    assert all(extra.startswith("custom.") for extra in seen - TYPES)
    assert seen - TYPES


@pytest.mark.parametrize("tenant", TENANTS)
def test_tomorrow_extends_today(tenant: str) -> None:
    """A sample a day later has the same events under the same ids, except the story's, so an import adds to it."""
    before = {event.id: event for event in sample(tenant, NOW, 10)}
    after = {event.id: event for event in sample(tenant, NOW + timedelta(days=1), 10)}
    assert all(after[i] == before[i] for i in before.keys() & after.keys())
    missing = [event for i, event in before.items() if i not in after and event.time > NOW - timedelta(days=7)]
    assert all(event.id and event.id.split("-")[1].endswith("s") for event in missing)


@pytest.mark.parametrize("tenant", TENANTS)
@pytest.mark.parametrize("back", [0, 30, 60])
def test_one_room_is_a_hotspot(tenant: str, back: int) -> None:
    """In any week exactly one room has more than 30 % negative messages of 10 or more."""
    end = NOW - timedelta(days=back)
    tones: dict[str | None, list[bool]] = {}
    for event in sample(tenant):
        if event.type == "topic.classified" and end - timedelta(days=7) < event.time <= end:
            tones.setdefault(event.channel_id, []).append(event.sentiment == "negative")
    hot = [room for room, negative in tones.items() if len(negative) >= 10 and sum(negative) / len(negative) > 0.3]
    assert len(hot) == 1
    assert len(tones) >= 5


@pytest.mark.parametrize("tenant", TENANTS)
def test_each_tenant_has_a_story(tenant: str) -> None:
    """A new topic was the week's most frequent a few days ago."""
    week = Counter(event.topic for event in of_type(tenant, "topic.classified", within=timedelta(7)))
    spike, count = week.most_common(1)[0]
    assert count > 100
    assert all(event.topic != spike for event in of_type(tenant, "topic.classified") if event.time < NOW - timedelta(7))


@pytest.mark.parametrize("tenant", TENANTS)
@pytest.mark.parametrize("hours", range(0, 24, 3))
def test_some_staff_are_online_at_any_hour(tenant: str, hours: int) -> None:
    """At any hour some staff are logged in and some are not."""
    state = {}
    for event in of_type(tenant, "staff.login", "staff.logout"):
        if event.time <= NOW - timedelta(hours=hours):
            state[event.staff_id] = event.type == "staff.login"
    assert 0 < sum(state.values()) < len(state)


@pytest.mark.parametrize("tenant", TENANTS)
def test_days_and_weeks_have_a_rhythm(tenant: str) -> None:
    """Most messages are by day in local time, and weekends differ from working days."""
    zone = next(ZoneInfo(z) for t, z, _ in demo.tenants() if t == tenant)
    here = [event.time.astimezone(zone) for event in of_type(tenant, "conversation.started")]
    by_day = sum(8 <= moment.hour < 22 for moment in here)
    weekend = sum(moment.weekday() >= 5 for moment in here) / 2
    assert by_day / len(here) > 0.8
    assert not 0.9 < weekend / ((len(here) - 2 * weekend) / 5) < 1.1


@pytest.mark.parametrize("tenant", TENANTS)
def test_messages_belong_together(tenant: str) -> None:
    """Messages name conversation, contact, room and account; receipts follow their message; staff or AI answer."""
    sent = {event.message_id: event for event in of_type(tenant, "message.sent")}
    for event in [*sent.values(), *of_type(tenant, "message.received")]:
        assert event.conversation_id and event.contact_id and event.message_id and event.channel_id and event.account_id
    for event in sent.values():
        assert event.kind in ("ai", "auto") or event.staff_id
    for event in of_type(tenant, "message.delivered", "message.read", "message.failed"):
        assert event.time > sent[event.message_id].time
    assert {event.kind for event in sent.values()} >= {"ai", "person"}


def test_campaigns_reach_hundreds() -> None:
    """Two tenants run campaigns to 300 or more contacts each, with receipts, replies, clicks and conversions."""
    with_campaigns = [tenant for tenant in TENANTS if of_type(tenant, "campaign.created")]
    assert len(with_campaigns) == 2
    for tenant in with_campaigns:
        done = {event.campaign_id for event in of_type(tenant, "campaign.completed")}
        assert len(done) >= 4
        for campaign in done:
            about = [event for event in sample(tenant) if event.campaign_id == campaign]
            count = Counter(event.type for event in {event.id: event for event in about}.values())
            assert count["message.sent"] >= 300
            assert count["message.delivered"] and count["message.received"] and count["link.clicked"]
        assert any(event.campaign_id for event in of_type(tenant, "contact.converted"))


@pytest.mark.parametrize("tenant", TENANTS)
def test_values_are_those_of_the_contract(tenant: str) -> None:
    """Ratings are 1 to 5 of a sent survey, confidences shares, severities and tones known words, durations positive."""
    surveys = {event.survey_id for event in of_type(tenant, "satisfaction.survey_sent")}
    for event in of_type(tenant, "satisfaction.rating_received"):
        assert event.survey_id in surveys and event.value in (1, 2, 3, 4, 5)
    for event in sample(tenant):
        assert event.confidence is None or 0 <= event.confidence <= 1
        assert event.severity in (None, "low", "medium", "high", "critical")
        assert event.sentiment in (None, "positive", "neutral", "negative")
        assert event.duration_ms is None or event.duration_ms > 0


def test_unknown_tenants_and_times_without_zone_are_refused() -> None:
    """An unknown tenant and a naive time are refused."""
    with pytest.raises(BadInputError, match="did you mean"):
        next(demo.events("hotel-aurorra", NOW))
    with pytest.raises(BadInputError, match="offset"):
        next(demo.events(TENANTS[0], NOW.replace(tzinfo=None)))


STORIES = {
    "hotel-aurora": ("csat", {"channel": ["web"]}), "brooklyn-bikes": ("escalation_rate", {"channel_id": ["workshop"]}),
    "kite-support": ("first_response_ms.p90", {"channel_id": ["C-API"]}),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("tenant", TENANTS)
def test_the_news_find_the_story(tenant: str, tmp_path: Path) -> None:
    """Each tenant's story is the first of its news of four weeks, with its cause and topic; the days of the row before are not
    said again."""
    zone = next(zone for name, zone, _ in demo.tenants() if name == tenant)
    with Engine(load(tmp_path / "data", free_floor_mb=0), lambda: NOW) as engine:
        engine.add_tenant(tenant, zone=zone)
        engine.accept(tenant, sample(tenant), history=True)
        points = engine.news(tenant, start="2026-07-23", end="2026-08-20")["points"]
    metric, where = STORIES[tenant]
    assert (points[0]["metric"], points[0]["where"]) == (metric, where)
    story = SCENARIOS[tenant].story
    assert (points[0]["topic"]["name"], points[0]["topic"]["room"]) == (story.topic, story.room[1])
    assert not [point for point in points if point["dimension"] == "topic"]
    days = [point["burst"] and (point["burst"]["from"], point["burst"]["to"]) for point in points]
    for before, own, point in zip(days, days[1:], points[1:], strict=False):
        assert ("in the same days" in point["head"]) == (own is not None and own == before)


@pytest.mark.parametrize("tenant", [one.id for one in SCENARIOS.values() if one.campaigns])
def test_staff_answer_most_replies_to_campaigns(tenant: str) -> None:
    """Nine in ten contacts who reply to a campaign of an earlier day have an answer that is not part of the campaign."""
    replied = {
        e.conversation_id for e in of_type(tenant, "message.received") if e.campaign_id and e.time < NOW - timedelta(2)
    }
    answered = {e.conversation_id for e in of_type(tenant, "message.sent") if e.kind == "person" and not e.campaign_id}
    assert len(replied) > 20
    assert 0.9 < len(replied & answered) / len(replied) < 1


@pytest.mark.parametrize("tenant", TENANTS)
def test_conversations_of_the_last_hour_wait_for_an_answer(tenant: str) -> None:
    """In the last half hour people write, and a few conversations of the last hour have no answer yet."""
    assert len(of_type(tenant, "message.received", within=timedelta(minutes=30))) >= 6
    asked = {event.conversation_id for event in of_type(tenant, "message.received", within=timedelta(hours=1))}
    answered = {event.conversation_id for event in of_type(tenant, "message.sent", within=timedelta(hours=1))}
    assert 3 <= len(asked - answered) <= 12
