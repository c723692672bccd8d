"""The sample as a stream of events in the order of their arrival, some late and some twice."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from hubbub.demo.campaigns import write_campaign
from hubbub.demo.conversations import write_conversations, write_last_hour, write_story
from hubbub.demo.daily import write_daily, write_links
from hubbub.demo.scenario import SCENARIOS, Scenario
from hubbub.demo.writer import Writer
from hubbub.errors import BadInputError
from hubbub.model.event import Event, nearest

LATE_SHARE, LATEST = 0.03, timedelta(days=3)
RESENT_SHARE = 0.01


def tenants() -> list[tuple[str, str, str]]:
    """Return the demo's tenants as (id, IANA zone, name)."""
    return [(scenario.id, scenario.zone, scenario.name) for scenario in SCENARIOS.values()]


def events(tenant_id: str, now: datetime, days: int = 90, seed: int = 7) -> Iterator[Event]:
    """Yield a tenant's events of the last `days` days, until `now` (aware), in the order of their arrival.

    About 3 % arrive up to three days late, and 1 % arrive again with the same id. Times are UTC,
    sources "demo". The same arguments give the same events; a day's events keep their ids when `now` is later,
    but for those of the story and of the last hour.
    """
    if tenant_id not in SCENARIOS:
        raise BadInputError(f"no demo tenant {tenant_id!r}{nearest(tenant_id, list(SCENARIOS))}")
    if now.tzinfo is None:
        raise BadInputError("now: the time has no offset; write one like 2026-03-01T12:00:00Z")
    scenario = SCENARIOS[tenant_id]
    now = now.astimezone(UTC)
    today = now.astimezone(scenario.tz).date()
    # begin with a whole day, so that no receipt lacks its message
    first = (now - timedelta(days=days)).astimezone(scenario.tz).date() + timedelta(days=1)
    arrivals: list[tuple[datetime, int, Event]] = []
    rng = random.Random(f"{seed}:{tenant_id}:arrival")
    for number in range(first.toordinal(), today.toordinal() + 1):
        day = date.fromordinal(number)
        for event in _day(scenario, day, now, seed):
            late = rng.random() < LATE_SHARE
            delay = rng.random() * (LATEST if late else timedelta(seconds=2))
            again = rng.random() < RESENT_SHARE
            if event.time > now:
                continue
            arrival = min(now, event.time + delay)
            arrivals.append((arrival, len(arrivals), event))
            if again:
                arrivals.append((min(now, arrival + rng.random() * timedelta(days=1)), len(arrivals), event))
    arrivals.sort(key=lambda arrival: arrival[:2])
    for _, _, event in arrivals:
        yield event


def _day(scenario: Scenario, day: date, now: datetime, seed: int) -> list[Event]:
    ago = (now.astimezone(scenario.tz).date() - day).days
    talk, campaign, daily, links, story = (Writer(scenario, day, seed, part) for part in "kcrls")
    write_conversations(talk)
    write_campaign(campaign)
    write_daily(daily)
    write_links(links)
    if scenario.story.ago[0] <= ago <= scenario.story.ago[1]:
        write_story(story)
    if ago == 0:
        write_last_hour(story, now)
    return talk.events + campaign.events + daily.events + links.events + story.events
