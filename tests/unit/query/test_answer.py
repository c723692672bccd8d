"""Questions and answers: what is allowed, how empty windows are filled, and what an answer states about itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hubbub.errors import BadQuestionError
from hubbub.metrics.catalogue import METRICS
from hubbub.metrics.definition import State
from hubbub.model.event import Event
from hubbub.model.question import NONE, Question
from hubbub.model.target import Aim, Target
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, local_midnight
from tests.laws.conftest import Lab

START = datetime(2026, 5, 4, tzinfo=UTC)  # a Monday
WEEK = Question(("messages",), START, START + timedelta(days=7), Grain.DAY)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A laboratory in which one tenant has a few events on Monday and Wednesday."""
    made = Lab(tmp_path_factory.mktemp("answer"))
    made.empty()
    tenant = made.tenant("UTC")
    made.tenant("UTC")
    made.send(tenant, EVENTS)
    yield made
    made.store.close()


def _at(hours: float, type_: str = "message.received", **fields: Any) -> Event:
    return Event(type=type_, id=f"{type_}-{hours}", time=START + timedelta(hours=hours), **fields)


EVENTS = [
    _at(1, channel="email", conversation_id="c1", contact_id="k1"),
    _at(2, "message.sent", channel="email", conversation_id="c1", contact_id="k1", message_id="m1", staff_id="s1"),
    _at(3, "message.delivered", channel="email", message_id="m1"),
    _at(4, channel="email", kind="bot"),
    _at(50, channel="chat", conversation_id="c2", contact_id="k2"),
    _at(51, conversation_id="c3", contact_id="k3"),
    _at(52, "satisfaction.rating_received", channel="chat", contact_id="k2", value=5.0),
    _at(53, "metric.observed", name="reach", value=-3.5),
]


@pytest.fixture
def tenant(lab: Lab) -> Tenant:
    """The tenant with events."""
    lab.now = datetime(2026, 12, 31, tzinfo=UTC)
    return lab.tenants[0]


def values(lab: Lab, tenant: Tenant, question: Question) -> list[Any]:
    """Return the values of the first metric, row by row."""
    return [row.cells[question.metrics[0]].value for row in lab.queries.answer(tenant, question).rows]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metrics": ()}, "at least one metric"),
        ({"metrics": ("mesages",)}, "'messages'"),
        ({"metrics": ("response_ms",)}, "response_ms.p90"),
        ({"by": ("chanel",)}, "'channel'"),
        ({"by": ("contact_id",)}, "no dimension 'contact_id'"),
        ({"where": {"topic": ("x",)}}, "no dimension 'topic'"),
        ({"metrics": ("active_conversations",), "by": ("conversation_id",)}, "no dimension 'conversation_id'"),
        ({"metrics": ("messages", "csat"), "by": ("direction",)}, "'csat' has no dimension 'direction'"),
        ({"by": ("channel", "channel")}, "twice"),
        ({"end": START}, "before"),
        ({"start": datetime(1999, 1, 1, tzinfo=UTC)}, "2000"),
        ({"end": datetime(2101, 1, 1, tzinfo=UTC)}, "2100"),
        ({"end": datetime(2040, 1, 1, tzinfo=UTC), "grain": Grain.HOUR}, "coarser"),
        ({"compare": "next"}, "previous"),
        ({"by": ("channel; DROP TABLE events",)}, "no dimension"),
    ],
)
def test_an_invalid_query_is_refused_with_advice(lab: Lab, tenant: Tenant, changes: dict[str, Any], words: str) -> None:
    """Unknown names are refused with the nearest one, forbidden dimensions with advice, and ranges with their limits."""
    with pytest.raises(BadQuestionError) as caught:
        lab.queries.answer(tenant, replace(WEEK, **changes))
    assert words in caught.value.message


def test_every_window_has_a_row(lab: Lab, tenant: Tenant) -> None:
    """Days without events are rows of 0, in order."""
    assert values(lab, tenant, WEEK) == [2, 0, 2, 0, 0, 0, 0]


def test_gaps_are_filled_for_every_value_of_a_dimension(lab: Lab, tenant: Tenant) -> None:
    """Split by channel, each day has a row for every channel of the range, null last."""
    answer = lab.queries.answer(tenant, replace(WEEK, by=("channel",)))
    assert [(row.start.day, row.dims["channel"], row.cells["messages"].value) for row in answer.rows[:9]] == [
        (4, "chat", 0), (4, "email", 2), (4, None, 0),
        (5, "chat", 0), (5, "email", 0), (5, None, 0),
        (6, "chat", 1), (6, "email", 0), (6, None, 1),
    ]  # fmt: skip
    assert len(answer.rows) == 21


@pytest.mark.parametrize(
    ("metric", "empty"),
    [
        ("messages", 0), ("active_contacts", 0), ("open_conversations", 0), ("new_contacts", 0), ("response_ms.count", 0),
        ("response_ms.avg", None), ("response_ms.p90", None), ("response_ms.min", None), ("csat", None),
        ("delivery_rate", None), ("engagement_rate", None), ("observed_max", None), ("observed_sum", 0),
        ("campaign_score", None),
    ],
)  # fmt: skip
def test_without_events_counts_are_0_and_rates_null(lab: Lab, metric: str, empty: object) -> None:
    """Without events counts are 0, and everything else is null, never 0."""
    assert values(lab, lab.tenants[1], replace(WEEK, metrics=(metric,), grain=Grain.TOTAL)) == [empty]


def test_windows_begin_and_end_at_the_given_times(lab: Lab, tenant: Tenant) -> None:
    """Hours, weeks, and a range at any microsecond count the events in them, without their end."""
    hours = replace(WEEK, end=START + timedelta(hours=3), grain=Grain.HOUR)
    assert values(lab, tenant, hours) == [0, 1, 1]
    assert values(lab, tenant, replace(WEEK, grain=Grain.WEEK)) == [4]
    cut = replace(
        WEEK, start=START + timedelta(hours=1, microseconds=1), end=START + timedelta(hours=50), grain=Grain.TOTAL
    )
    assert values(lab, tenant, cut) == [1]


def test_bots_are_left_out_unless_requested(lab: Lab, tenant: Tenant) -> None:
    """A bot's message counts with `include_bots`, or in a split by kind."""
    assert sum(values(lab, tenant, replace(WEEK, include_bots=True))) == 5
    by_kind = lab.queries.answer(tenant, replace(WEEK, grain=Grain.TOTAL, by=("kind",)))
    assert {row.dims["kind"]: row.cells["messages"].value for row in by_kind.rows} == {"bot": 1, "person": 4}


def test_filters_take_values_and_their_absence(lab: Lab, tenant: Tenant) -> None:
    """A filter keeps rows with any of its values; `(none)` is null; an unknown value gives 0."""
    total = replace(WEEK, grain=Grain.TOTAL)
    for wanted, count in (
        (("email",), 2),
        (("email", "chat"), 3),
        ((NONE,), 1),
        (("chat", NONE), 2),
        (("x' OR 1=1",), 0),
    ):
        assert values(lab, tenant, replace(total, where={"channel": wanted})) == [count]


def test_numbers_can_be_filtered_and_split_by_contact(lab: Lab, tenant: Tenant) -> None:
    """A tenant can filter and split by contact where the catalogue allows it."""
    question = replace(WEEK, metrics=("contact_engagement_score",), grain=Grain.TOTAL, where={"contact_id": ("k2",)})
    (score,) = values(lab, tenant, question)
    assert 0 < score < 100
    by = lab.queries.answer(tenant, replace(question, by=("contact_id",), where={}))
    assert {row.dims["contact_id"] for row in by.rows} == {"k1", "k2", "k3"}


def test_a_cell_carries_its_parts(lab: Lab, tenant: Tenant) -> None:
    """A rate has a numerator, a denominator and n; a count has n."""
    question = replace(WEEK, metrics=("delivery_rate", "csat", "messages"), grain=Grain.TOTAL)
    (row,) = lab.queries.answer(tenant, question).rows
    rate = row.cells["delivery_rate"]
    assert (rate.value, rate.numerator, rate.denominator, rate.n) == (1.0, 1, 1, 1)
    assert (row.cells["csat"].value, row.cells["csat"].n) == (1.0, 1)
    assert row.cells["messages"].n == 4


def test_a_state_is_that_of_the_end_of_its_window(lab: Lab, tenant: Tenant) -> None:
    """Open conversations are counted at the end of each day, or at the present if the day has not ended."""
    question = replace(WEEK, metrics=("open_conversations",), end=START + timedelta(days=4))
    assert values(lab, tenant, question) == [1, 1, 3, 3]
    lab.now = START + timedelta(days=2, hours=2, minutes=30)
    assert values(lab, tenant, question)[:3] == [1, 1, 2]
    lab.now = START + timedelta(days=2)
    assert values(lab, tenant, question)[:2] == [1, 1]


def test_cells_are_live_provisional_or_settled(lab: Lab, tenant: Tenant) -> None:
    """A cell is live until its window ends, provisional until its horizon has passed, and settled after that."""
    question = replace(WEEK, metrics=("messages", "delivery_rate"), end=START + timedelta(days=1), grain=Grain.DAY)
    states = []
    for days in (0.5, 5, 60):
        lab.now = START + timedelta(days=days)
        (row,) = lab.queries.answer(tenant, question).rows
        states.append((row.cells["messages"].state, row.cells["delivery_rate"].state))
    assert states == [("live", "live"), ("settled", "provisional"), ("settled", "settled")]


def test_freshness_gives_source_zone_and_method(lab: Lab, tenant: Tenant) -> None:
    """Freshness gives the source, the zone, how percentiles were computed, and the number of live windows."""
    lab.now = START + timedelta(days=2, hours=2, minutes=30)
    fresh = lab.queries.answer(tenant, WEEK).freshness
    assert (fresh.source, fresh.quantiles, fresh.zone, fresh.live_windows) == ("facts", "exact", "UTC", 5)
    assert fresh.as_of == lab.now.isoformat()
    assert fresh.complete_to == (START + timedelta(days=2, hours=2)).isoformat()


def test_no_tenant_counts_events_of_another(lab: Lab, tenant: Tenant) -> None:
    """A tenant without events has zeros, whatever other tenants have."""
    for metric in ("messages", "active_contacts", "open_conversations", "staff_online", "new_contacts", "events"):
        assert set(values(lab, lab.tenants[1], replace(WEEK, metrics=(metric,)))) == {0}


def test_too_many_rows_are_refused(lab: Lab, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer with too many rows is refused with their number."""
    monkeypatch.setattr("hubbub.query.layout.MAX_ROWS", 20)
    with pytest.raises(BadQuestionError, match="21 rows"):
        lab.queries.answer(tenant, replace(WEEK, by=("channel",)))


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Lab]:
    """A laboratory of one test, with one tenant."""
    made = Lab(tmp_path)
    made.empty()
    made.tenant("UTC")
    yield made
    made.store.close()


def test_the_present_state_leaves_out_future_events(fresh: Lab) -> None:
    """An event dated a few minutes ahead does not count in the present state, although it is folded."""
    tenant = fresh.tenants[0]
    fresh.send(tenant, [_at(1, "task.created", task_id="t1"), _at(9.1, "task.created", task_id="t2")])
    pending = Question(("tasks_pending",), START, START + timedelta(days=1), Grain.DAY)
    fresh.refresh()
    for hours, count in ((9, 1), (9.1, 1), (9.2, 2)):
        fresh.now = START + timedelta(hours=hours)
        assert values(fresh, tenant, pending) == [count]


def test_a_period_is_compared_to_the_microsecond(fresh: Lab) -> None:
    """An event just after the end of the compared period, in the same quarter hour, does not count in it."""
    tenant = fresh.tenants[0]
    fresh.send(tenant, [_at(hours, channel="chat") for hours in (9.01, 9.03, 33.005)])
    fresh.refresh()
    fresh.now = START + timedelta(hours=33.02)
    day = Question(("messages",), START + timedelta(days=1), START + timedelta(days=2), Grain.DAY, compare="previous")
    row = fresh.queries.answer(tenant, day).rows[0]
    assert (row.cells["messages"].value, (row.compare or {})["messages"].previous) == (1, 1)


def test_a_resolve_before_any_opening_ends_nothing(fresh: Lab) -> None:
    """A resolve without an opening counts neither as resolved nor as a duration of 0."""
    tenant = fresh.tenants[0]
    fresh.send(tenant, [_at(1, "conversation.resolved", conversation_id="c1")])
    asked = ("conversations_resolved", "resolution_ms.sum", "resolution_ms.avg", "resolution_ms.count")
    row = fresh.queries.answer(tenant, Question(asked, START, START + timedelta(days=1), Grain.DAY)).rows[0]
    assert [row.cells[name].value for name in asked] == [0, None, None, 0]


def test_receipts_of_another_day_do_not_change_a_day(fresh: Lab) -> None:
    """A channel that ever gave a receipt has a rate: a day without receipts has 0, alone and as a row of two days."""
    tenant = fresh.tenants[0]
    sent = [_at(hours, "message.sent", channel="sms", message_id=f"m{hours}") for hours in (1, 30)]
    fresh.send(tenant, [*sent, _at(2, "message.delivered", channel="sms", message_id="m1")])
    both = Question(("delivery_rate",), START, START + timedelta(days=2), Grain.DAY)
    assert values(fresh, tenant, both) == [1.0, 0.0]
    assert values(fresh, tenant, replace(both, start=START + timedelta(days=1))) == [0.0]


def test_active_campaigns_can_be_split_by_campaign(fresh: Lab) -> None:
    """Active campaigns can be split and filtered by campaign."""
    tenant = fresh.tenants[0]
    fresh.send(tenant, [_at(hours, "campaign.started", campaign_id=f"c{hours}") for hours in (1, 2)])
    day = Question(("campaigns_active",), START, START + timedelta(days=1), by=("campaign_id",))
    rows = fresh.queries.answer(tenant, day).rows
    assert [(row.dims["campaign_id"], row.cells["campaigns_active"].value) for row in rows] == [("c1", 1), ("c2", 1)]
    assert values(fresh, tenant, replace(day, by=(), where={"campaign_id": ("c2", "c3")})) == [1]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "UTC", "Pacific/Pago_Pago"])
def test_the_years_that_can_be_asked_are_the_tenant_s(fresh: Lab, zone: str) -> None:
    """The first local day of 2000 can be queried in every zone; an earlier start is refused, and so is an end in 2101."""
    tenant = fresh.move(fresh.tenants[0], zone)
    first = local_midnight(date(2000, 1, 1), tenant.tz)
    assert values(fresh, tenant, replace(WEEK, start=first, end=first + timedelta(days=1))) == [0]
    for start in (first - timedelta(microseconds=1), datetime(1, 1, 1, tzinfo=UTC)):
        with pytest.raises(BadQuestionError, match="2000"):
            fresh.queries.answer(tenant, replace(WEEK, start=start))
    for end in (local_midnight(date(2101, 1, 1), tenant.tz), datetime.max.replace(tzinfo=UTC)):
        with pytest.raises(BadQuestionError, match="2100"):
            fresh.queries.answer(tenant, replace(WEEK, end=end, grain=Grain.TOTAL))


@pytest.mark.parametrize("metric", [name for name, (m, _) in METRICS.items() if isinstance(m, State) and not m.age])
def test_no_state_is_known_of_the_future(lab: Lab, tenant: Tenant, metric: str) -> None:
    """States have a number in windows that have begun, and null in future ones."""
    lab.now = START + timedelta(days=2, hours=12)
    target = Target(aim=Aim.NEXT_RESPONSE, minutes=15, valid_from=date(2000, 1, 1))
    found = values(lab, replace(tenant, targets=(target,)), replace(WEEK, metrics=(metric,)))
    assert None not in found[:3]
    assert found[3:] == [None] * 4


def test_a_private_note_does_not_count_as_a_message(fresh: Lab) -> None:
    """A private note counts neither as a message nor as an attempt, with or without bots; it is an event."""
    tenant = fresh.tenants[0]
    note = _at(2, "message.sent", conversation_id="c1", channel="email", status="private", message_id="m1")
    receipt = _at(2.1, "message.delivered", message_id="m1", channel="email")
    fresh.send(tenant, [_at(1, conversation_id="c1", channel="email"), note, receipt])
    asked = ("messages", "messages_sent", "messages_attempted", "messages_delivered", "events")
    day = Question(asked, START, START + timedelta(days=1), Grain.DAY)
    for bots in (False, True):
        (row,) = fresh.queries.answer(tenant, replace(day, include_bots=bots)).rows
        assert [row.cells[name].value for name in asked] == [1, 0, 0, 0, 3]
