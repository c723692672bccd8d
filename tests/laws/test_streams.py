"""Streams: everything at once, in any order, against the oracle.

A stream has events of every type: repeated, corrected, simultaneous, resolved before they began, from long ago. Between
its batches the tenant changes its zone, its hotspot tones or its silence, is folded, rebuilt, or cut by retention.
After each step some numbers of the kept range are compared with `oracle.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.facts.rebuild import rebuild
from hubbub.facts.verify import verify
from hubbub.model.event import TYPES, Event
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, local_midnight, windows
from tests.laws.oracle import Oracle, local_day
from tests.laws.strategies import OLD, STARTS, STREAMS, World, deliveries, worlds
from tests.laws.test_lasting import LastingLab, later
from tests.laws.test_laws import BY_ROLLUP, examples, names_of, same

ZONES = ("UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Pyongyang")
GRAINS = (Grain.TOTAL, Grain.MONTH, Grain.WEEK, Grain.DAY, Grain.HOUR)
STEPS = ("send", "send", "send", "move", "tones", "silence", "cut", "fold", "rebuild")
SCORE = "contact_engagement_score"
subjects = st.lists(st.sampled_from(sorted(BY_ROLLUP)), min_size=4, max_size=6, unique=True)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LastingLab]:
    """A laboratory for all streams; each begins with `lab.empty()`."""
    made = LastingLab(tmp_path_factory.mktemp("streams"))
    yield made
    made.store.close()


def _check(
    lab: LastingLab,
    tenant: Tenant,
    world: World,
    sent: Sequence[Event],
    since: datetime,
    grain: Grain,
    rollups: list[str],
) -> None:
    """Compare the numbers of all windows after `since` with the oracle over all events ever sent."""
    oracle = Oracle(sent, tenant.zone, world.calendar, tenant.hotspot_tones, tenant.threads.silence_days)
    answer = lab.ask(tenant, names_of(rollups), since, world.end, grain)
    starts = [max(w.start, since) for w in windows(since, world.end, grain, tenant.tz)]
    assert [row.start for row in answer.rows] == starts
    for row, start, end in zip(answer.rows, starts, [*starts[1:], world.end], strict=True):
        numbers = oracle.numbers(start, end, lab.now)
        if since == world.start and end == world.end:
            numbers[SCORE] = oracle.engagement(min(end, lab.now))
        got = {name: cell.value for name, cell in row.cells.items() if name in numbers}
        wrong = {name: (value, numbers[name]) for name, value in got.items() if not same(value, numbers[name])}
        assert wrong == {}, (grain, start, end, tenant.zone)


@examples(4)
@given(
    world=worlds(least=10, most=45, corrected=True, themes=STREAMS, starts=(*STARTS, *OLD)), data=st.data(),
    steps=st.lists(st.sampled_from(STEPS), min_size=3, max_size=8),
)  # fmt: skip
def test_stream_metrics_equal_the_oracles_counts(
    lab: LastingLab, world: World, data: st.DataObject, steps: list[str]
) -> None:
    """After any steps in any order, every number of the kept range is the oracle's, and verify finds no difference."""
    lab.empty()
    tenant = lab.tenant(world.zone, world.calendar)
    sent: list[Event] = []
    rest = [event for batch in data.draw(deliveries(world.everything)) for event in batch]
    since = world.start
    for step in (*steps, "send all"):
        if step.startswith("send"):
            part = len(rest) if step == "send all" else data.draw(st.integers(0, len(rest)))
            lab.send(tenant, rest[:part])
            sent, rest = [*sent, *rest[:part]], rest[part:]
        elif step == "move":
            tenant = lab.move(tenant, data.draw(st.sampled_from(ZONES)))
        elif step == "tones":
            tones = data.draw(st.sampled_from(((), ("negative",), ("escalation", "neutral"))))
            tenant = replace(tenant, hotspot_tones=tones)
        elif step == "silence":
            days = data.draw(st.sampled_from((0, 1, 2, 5)))
            tenant = replace(tenant, threads=replace(tenant.threads, silence_days=days))
        elif step == "cut":
            day = local_day(world.start, tenant.zone) + timedelta(days=data.draw(st.integers(1, 9)))
            cut = local_midnight(day, tenant.tz)
            if cut > since:
                lab.cut(tenant, cut)
                since, rest = cut, later(sent, rest, cut)
        elif step == "rebuild":
            lab.refresh(tenant)
            rebuild(lab.store, tenant.no)
        else:
            lab.refresh(tenant)
        _check(lab, tenant, world, sent, since, data.draw(st.sampled_from(GRAINS)), data.draw(subjects))
    assert verify(lab.store, [tenant]).differences == {}


TRANSITIONS = (
    "contact.created", "contact.blocked", "contact.unblocked", "contact.updated", "staff.login", "staff.status_changed",
    "staff.logout", "campaign.created", "campaign.started", "campaign.completed", "campaign.failed", "task.created",
    "task.assigned", "task.completed", "conversation.started", "conversation.assigned", "conversation.assigned",
)  # fmt: skip


@examples(3)
@given(
    drawn=st.lists(st.tuples(st.sampled_from(TRANSITIONS), st.integers(0, 1)), min_size=2, max_size=12), data=st.data()
)
def test_of_transitions_at_one_time_the_later_in_the_life_cycle_holds(
    lab: LastingLab, drawn: list[tuple[str, int]], data: st.DataObject
) -> None:
    """Of transitions at one time, the later in the life cycle holds; of equals, the last to arrive, in any batches."""
    lab.empty()
    tenant = lab.tenant()
    start = datetime(2026, 3, 2, tzinfo=UTC)
    statuses = {"contact.updated": ("active", "Blocked"), "staff.status_changed": ("busy", "away")}
    someone = st.sampled_from(("s1", None))
    events = [
        Event(
            type=kind, id=f"e{n}", time=start + timedelta(hours=hour), contact_id="k1", campaign_id="p1", task_id="t1",
            conversation_id="c1", staff_id=data.draw(someone) if kind == "conversation.assigned" else "s1",
            status=data.draw(st.sampled_from(statuses[kind])) if kind in statuses else None,
        )
        for n, (kind, hour) in enumerate(drawn)
    ]  # fmt: skip
    here = data.draw(st.integers(0, len(events)))
    for batch in (events[:here], events[here:]):
        lab.send(tenant, batch)
        if data.draw(st.booleans()):
            lab.refresh(tenant)
    numbers = Oracle(events, "UTC").numbers(start, start + timedelta(days=1), lab.now)
    names = [
        "blocked_contacts",
        "staff_online",
        "tasks_pending",
        "unassigned_conversations",
        *(f"campaigns_{s}" for s in ("active", "completed", "failed")),
    ]
    (row,) = lab.ask(tenant, names, start, start + timedelta(days=1)).rows
    assert {name: cell.value for name, cell in row.cells.items()} == {name: numbers[name] for name in names}


def test_streams_have_every_type_of_event() -> None:
    """Streams cover every event type; a new type must be added."""
    assert {kind for theme in STREAMS for kind in theme} >= set(TYPES)
