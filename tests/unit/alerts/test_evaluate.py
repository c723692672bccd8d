"""Evaluation over time: the replay matches what happens, late events notify nobody, and impossible rules are refused."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hubbub.alerts.judge import Number
from hubbub.alerts.series import series_of
from hubbub.app import Engine
from hubbub.control.alerts import Decision
from hubbub.errors import BadInputError, BadQuestionError, StoreFullError
from hubbub.model.tenant import KEEP_EVERYTHING
from hubbub.query import queries
from hubbub.query.result import State
from hubbub.services.incidents import IncidentView
from hubbub.services.judging import JudgedRules
from hubbub.settings import load
from tests.extent import ALL

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
UNUSUAL = {"name": "Unusual day", "kind": "change", "metric": "messages"}


class Clocked:
    """An engine whose clock a test moves."""

    def __init__(self, folder: Path) -> None:
        """Open it on a folder, at the beginning."""
        self.now = BEGIN
        self.engine = Engine(load(folder, free_floor_mb=0), lambda: self.now)
        self.sent = 0

    def tenant(self, name: str) -> str:
        """Make a tenant that keeps everything."""
        self.engine.add_tenant(name, retention=asdict(KEEP_EVERYTHING))
        return name

    def send(self, tenant: str, day: int, count: int, **fields: Any) -> None:
        """Send `count` messages at noon of a day."""
        events = []
        for _ in range(count):
            self.sent += 1
            at = BEGIN + day * DAY + timedelta(hours=12)
            self.now = max(self.now, at)
            events.append({"type": "message.received", "time": at, "id": f"m{self.sent}", "channel": "chat", **fields})
        if events:
            assert self.engine.record(tenant, events, history=True)["rejected"] == []

    def go(self, day: int, hours: float = 1) -> JudgedRules:
        """Set the clock to some hours after a day's beginning, and evaluate the rules."""
        self.now = BEGIN + day * DAY + timedelta(hours=hours)
        return self.engine.judging.judge()

    def incidents(self, tenant: str) -> Sequence[IncidentView]:
        """Return the tenant's incidents, oldest first."""
        return self.engine.incidents.of(tenant, limit=500).rows[::-1]


@pytest.fixture
def clocked(tmp_path: Path) -> Iterator[Clocked]:
    """An engine of one test."""
    made = Clocked(tmp_path / "data")
    yield made
    made.engine.close()


@pytest.mark.parametrize("seed", range(12 if ALL else 2))
@pytest.mark.parametrize("at_least", [10, None])
def test_a_rule_opens_the_incidents_of_its_replay(clocked: Clocked, seed: int, at_least: float | None) -> None:
    """Evaluated day by day as events arrive, a rule opens exactly the incidents that its replay shows later, with the same
    peaks."""
    chance = random.Random(seed)
    counts = [chance.choice([0, 1, 2, 3, 3, *([12, 40] if at_least else [])]) for _ in range(54)]
    counts[34], counts[35], counts[45] = 12, 40, 25
    rule = {**UNUSUAL, "at_least": at_least}
    tenant = clocked.tenant("a")
    for day, count in enumerate(counts[:30]):
        clocked.send(tenant, day, count)
    clocked.now = BEGIN + 29 * DAY + timedelta(hours=13)
    clocked.engine.alerts.add(tenant, rule)
    for day, count in enumerate(counts):
        if day >= 30:
            clocked.send(tenant, day, count)
            clocked.go(day + 1)
    seen = [(one.from_, one.to, one.peak) for one in clocked.incidents(tenant)]
    tried = clocked.engine.alerts.try_(tenant, rule).rows
    assert seen == [(one.from_, one.to, one.peak) for one in reversed(tried)]
    assert len(seen) > 1


def _weeks(clocked: Clocked, tenant: str, days: int = 63, count: int = 3) -> None:
    for day in range(days):
        clocked.send(tenant, day, count)


def test_an_incident_opens_once_is_updated_and_closes(clocked: Clocked) -> None:
    """Twenty messages where three are usual open one incident; a higher day updates it; two quiet days close it."""
    tenant = clocked.tenant("a")
    _weeks(clocked, tenant)
    clocked.now = BEGIN + 63 * DAY
    clocked.engine.alerts.add(tenant, UNUSUAL)
    clocked.send(tenant, 63, 20)
    assert clocked.go(64, hours=0.2).opened == 0  # the day has ended, but not long enough ago
    assert clocked.go(64).opened == 1
    assert clocked.go(64, hours=3).opened == 0
    clocked.send(tenant, 64, 25)
    clocked.go(65)
    (incident,) = clocked.incidents(tenant)
    assert (incident.state, incident.value, incident.peak) == ("open", 20, 25)
    clocked.send(tenant, 65, 3)
    clocked.send(tenant, 66, 3)
    assert clocked.go(66).closed == 0
    assert clocked.go(67).closed == 1
    entries = clocked.engine.incidents.get(tenant, incident.id).entries
    (closed,) = [entry.text for entry in entries if entry.what == "closed"]
    assert closed == "Usual again for 2 days; the highest was 25 on Tue 10 Mar."
    told = [entry.what for entry in entries]
    assert [what for what in reversed(told) if what != "not_notified"] == ["opened", "updated", "closed"]


def test_late_events_of_an_incident_notify_nobody(clocked: Clocked) -> None:
    """Late messages raise the incident's number and are noted in it, and open no second incident."""
    tenant = clocked.tenant("a")
    _weeks(clocked, tenant)
    clocked.now = BEGIN + 63 * DAY
    clocked.engine.alerts.add(tenant, UNUSUAL)
    clocked.send(tenant, 63, 20)
    clocked.go(64)
    clocked.send(tenant, 63, 3)
    clocked.send(tenant, 64, 3)
    assert clocked.go(65).opened == 0
    (incident,) = clocked.incidents(tenant)
    assert incident.peak == 23
    late = [one for one in clocked.engine.incidents.get(tenant, incident.id).entries if one.what == "late"]
    assert len(late) == 1 and "from 20 to 23" in late[0].text


def test_an_acknowledgement_during_evaluation_stays(clocked: Clocked) -> None:
    """An incident acknowledged while its rule is evaluated stays acknowledged, though the evaluation read it before."""
    tenant = clocked.tenant("a")
    _weeks(clocked, tenant)
    clocked.now = BEGIN + 63 * DAY
    clocked.engine.alerts.add(tenant, UNUSUAL)
    clocked.send(tenant, 63, 20)
    clocked.go(64)
    store = clocked.engine.alert_store
    rule = store.rules(tenant)[0]
    read = store.last(rule.id)[""]
    clocked.engine.incidents.acknowledge(tenant, read.id, "Marta")
    assert store.decide(rule, Decision(rule.judged_to, [replace(read, peak=30.0)]))
    found = clocked.engine.incidents.get(tenant, read.id)
    assert (found.state, found.peak) == ("acknowledged", 30.0)
    assert not store.decide(rule, Decision(rule.judged_to))  # an evaluation that used an outdated state writes nothing


def test_a_rule_is_judged_again_after_the_clock_went_back(clocked: Clocked) -> None:
    """A rule evaluated up to tomorrow by a clock that was ahead still finds today's incident once the clock is right."""
    tenant = clocked.tenant("a")
    _weeks(clocked, tenant)
    clocked.now = BEGIN + 63 * DAY
    clocked.engine.alerts.add(tenant, UNUSUAL)
    clocked.go(65)
    clocked.now = BEGIN + 63 * DAY
    clocked.engine.alert_store.move_back(clocked.now)
    clocked.send(tenant, 63, 20)
    assert clocked.go(64).opened == 1


def test_nothing_is_judged_while_events_wait_to_be_folded(clocked: Clocked, monkeypatch: pytest.MonkeyPatch) -> None:
    """While events cannot be folded the window is not evaluated and the rule says why; it is evaluated once all is folded."""
    tenant = clocked.tenant("a")
    _weeks(clocked, tenant)
    clocked.now = BEGIN + 63 * DAY
    clocked.engine.alerts.add(tenant, UNUSUAL)
    clocked.send(tenant, 63, 20)

    def full(*_: object) -> None:
        raise StoreFullError

    with monkeypatch.context() as patched:
        patched.setattr(queries, "refresh", full)
        done = clocked.go(64)
        assert (done.opened, len(done.errors)) == (0, 1)
        assert "not counted" in str(clocked.engine.alerts.of(tenant).rows[0].error)
    assert clocked.go(64, hours=2).opened == 1
    assert clocked.engine.alerts.of(tenant).rows[0].error is None


def test_a_window_with_a_gap_is_judged_once_complete(clocked: Clocked, monkeypatch: pytest.MonkeyPatch) -> None:
    """A window with a gap of a source opens nothing and is listed with the reason; once complete, it opens an incident once."""
    tenant = clocked.tenant("a")
    _weeks(clocked, tenant)
    clocked.now = BEGIN + 63 * DAY
    rule = clocked.engine.alerts.add(tenant, UNUSUAL).id
    clocked.send(tenant, 63, 20)

    def with_gap(*args: Any) -> Iterator[Number]:
        return (replace(number, cell=replace(number.cell, state=State.INCOMPLETE)) for number in series_of(*args))

    with monkeypatch.context() as patched:
        patched.setattr("hubbub.alerts.evaluate.series_of", with_gap)
        assert [clocked.go(64).opened, clocked.go(64, hours=5).opened] == [0, 0]
        (skipped,) = clocked.engine.alerts.get(tenant, rule).not_judged
        assert (str(skipped.window.date()), skipped.why) == ("2026-03-09", "a source has a gap in it")
    assert [clocked.go(64, hours=6).opened, clocked.go(64, hours=7).opened] == [1, 0]
    assert clocked.engine.alerts.get(tenant, rule).not_judged == []


def test_a_fall_is_refused_where_few_are_expected(clocked: Clocked) -> None:
    """With three messages a day a rule on falls is refused, and the error says why; by week it is accepted."""
    tenant = clocked.tenant("a")
    _weeks(clocked, tenant, 120)
    clocked.now = BEGIN + 121 * DAY
    falls = {**UNUSUAL, "direction": "below"}
    with pytest.raises(BadInputError, match="fewer than 7 messages a day are expected"):
        clocked.engine.alerts.add(tenant, falls)
    assert clocked.engine.alerts.add(tenant, {**falls, "grain": "week"}).replay.incidents == 0


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({**UNUSUAL, "metric": "mesages"}, "'messages'"),
        ({**UNUSUAL, "by": "chanel"}, "'channel'"),
        ({**UNUSUAL, "limit": 3}, "not a limit"),
        ({**UNUSUAL, "kind": "threshold"}, "needs one"),
        ({**UNUSUAL, "kind": "treshold"}, "kind"),
        ({**UNUSUAL, "colour": 3}, "no field 'colour'"),
        ({**UNUSUAL, "grain": "month"}, "grain"),
        ({**UNUSUAL, "quiet": "10-11"}, "22:00-07:00"),
        ({**UNUSUAL, "name": ""}, "name"),
        ({**UNUSUAL, "times": 0.5}, "times"),
        ({**UNUSUAL, "metric": "active_contacts", "where": {"contact_id": "k"}}, "contact"),
        ({"name": "x", "kind": "budget", "metric": "response_ms.p50", "limit": 5}, "not a count"),
        ({"name": "x", "kind": "sla", "metric": "messages", "limit": 5}, "leave the metric out"),
        ({"name": "x", "kind": "source", "limit": 5}, "leave the limit out"),
    ],
)
def test_an_invalid_rule_is_refused_with_its_reason(clocked: Clocked, rule: dict[str, Any], words: str) -> None:
    """Unknown names come with the nearest known one, superfluous fields with what to do; nothing is stored."""
    tenant = clocked.tenant("a")
    with pytest.raises((BadInputError, BadQuestionError), match=words):
        clocked.engine.alerts.add(tenant, rule)
    assert clocked.engine.alerts.of(tenant).rows == []


def test_a_wait_past_the_limit_is_an_incident_until_answered(clocked: Clocked) -> None:
    """A conversation that waits past the limit opens an incident at the next tick; it closes three ticks after the answer."""
    tenant = clocked.tenant("a")
    clocked.engine.alerts.add(tenant, {"name": "Waits", "kind": "sla", "limit": 3_600_000})
    clocked.send(tenant, 0, 1, conversation_id="c1", contact_id="k1")
    assert clocked.go(0, hours=12.5).opened == 0
    assert clocked.go(0, hours=13.2).opened == 1
    answer = {
        "type": "message.sent", "time": BEGIN + timedelta(hours=13.3), "id": "r", "channel": "chat", "conversation_id": "c1",
        "staff_id": "anna",
    }  # fmt: skip
    clocked.engine.record(tenant, answer, history=True)
    closed = [clocked.go(0, hours=13.5 + tick / 12).closed for tick in range(4)]
    assert closed == [0, 0, 1, 0]


def test_a_breach_of_a_target_is_an_incident_until_answered(clocked: Clocked) -> None:
    """A rule on waits without a limit fires when a conversation passes its target, by channel; conversations within their target or
    without one fire nothing. An open incident notifies once for all that pass, and closes when none is past it."""
    tenant = clocked.tenant("a")
    clocked.engine.targets.add(tenant, "next_response", 60, "chat", valid_from="2020-01-01")
    clocked.engine.alerts.add(tenant, {"name": "Breaches", "kind": "sla", "by": "channel"})
    (rule,) = clocked.engine.alerts.of(tenant).rows
    assert (rule.metric, rule.limit) == ("waiting_past_target", 0)
    for minutes, channel in ((0, "chat"), (30, "chat"), (0, "mail")):
        asked = BEGIN + timedelta(hours=12, minutes=minutes)
        conversation = f"{channel}-{minutes}"
        event = {"type": "message.received", "time": asked, "channel": channel, "conversation_id": conversation}
        clocked.engine.record(tenant, event, history=True)
    assert clocked.go(0, hours=12.9).opened == 0
    assert [clocked.go(0, hours=hours).opened for hours in (13.1, 13.7)] == [1, 0]
    (incident,) = clocked.engine.incidents.of(tenant).rows
    found = clocked.engine.incidents.get(tenant, incident.id)
    assert (found.slice, found.value, found.peak) == ("chat", 1, 2)
    assert "1 conversation has waited for a reply longer than the target." in found.entries[-1].text
    for minutes in (0, 30):
        answer = {
            "type": "message.sent", "time": BEGIN + timedelta(hours=13.8), "channel": "chat", "conversation_id": f"chat-{minutes}",
        }  # fmt: skip
        clocked.engine.record(tenant, answer, history=True)
    assert [clocked.go(0, hours=14 + tick / 12).closed for tick in range(4)] == [0, 0, 1, 0]
    closed = {
        entry.text for each in clocked.incidents(tenant)
        for entry in clocked.engine.incidents.get(tenant, each.id).entries if entry.what == "closed"
    }  # fmt: skip
    assert closed == {"Nobody has waited past the target for 15 minutes; at most 2 did at once."}


def _talk(clocked: Clocked, tenant: str, kind: str, day: int, hours: float) -> None:
    """Send a message of a day's conversation in the channel chat, `hours` after the day's beginning."""
    at = BEGIN + day * DAY + timedelta(hours=hours)
    clocked.now = max(clocked.now, at)
    event = {"type": f"message.{kind}", "time": at, "channel": "chat", "conversation_id": f"k{day}"}
    assert clocked.engine.record(tenant, event, history=True)["rejected"] == []


def test_waits_that_are_over_are_replayed_by_slice(clocked: Clocked) -> None:
    """When nobody waits any more, a rule by channel replays the same incidents as one over all, with their channel."""
    tenant = clocked.tenant("a")
    for day in (0, 5):
        _talk(clocked, tenant, "received", day, 12)
        _talk(clocked, tenant, "sent", day, 16)
    clocked.now = BEGIN + 10 * DAY
    rule = {"name": "Waits", "kind": "sla", "limit": 3_600_000}
    whole, by = (clocked.engine.alerts.try_(tenant, {**rule, **split}) for split in ({}, {"by": "channel"}))
    assert [run.slice for run in by.rows] == ["chat", "chat"]
    assert [(run.from_, run.to, run.peak) for run in by.rows] == [(run.from_, run.to, run.peak) for run in whole.rows]


def test_a_state_of_a_slice_that_is_over_closes_its_incident(clocked: Clocked) -> None:
    """A threshold on waiting conversations by channel fires in an hour with one, and closes after hours with none in that
    channel."""
    tenant = clocked.tenant("a")
    rule = {
        "kind": "threshold",
        "metric": "waiting_conversations",
        "grain": "hour",
        "limit": 0,
        "at_least": 0,
        "by": "channel",
    }
    clocked.engine.alerts.add(tenant, {"name": "Someone waits", **rule})
    _talk(clocked, tenant, "received", 0, 12)
    assert clocked.go(0, hours=14.5).opened == 1
    _talk(clocked, tenant, "sent", 0, 14.6)
    closed = clocked.go(0, hours=22.5)
    assert (closed.opened, closed.closed) == (0, 1)


def test_a_silent_source_and_a_broken_integration_are_incidents(clocked: Clocked) -> None:
    """A source with an event every hour is silent after enough empty hours; a broken integration opens an incident at once."""
    tenant = clocked.tenant("a")
    clocked.now = BEGIN + 63 * DAY
    events = [
        {"type": "message.received", "time": BEGIN + timedelta(hours=hour), "id": f"h{hour}"} for hour in range(63 * 24)
    ]
    clocked.engine.record(tenant, events, history=True)
    clocked.engine.alerts.add(tenant, {"name": "Source", "kind": "source"})
    assert [clocked.go(63, hours=hour + 0.5).opened for hour in range(5, 9)] == [0, 0, 1, 0]
    made = clocked.engine.integrations.add(tenant, "facebook_page", "secret", "Page", {"page_id": "7"})
    found = clocked.engine.integration_store.get(tenant, made.id)
    clocked.engine.integration_store.broken(found, "the token is dead", "give it a new one")
    assert clocked.go(63, hours=8.6).opened == 1
    assert any("the token is dead" in e.text for one in clocked.incidents(tenant)
               for e in clocked.engine.incidents.get(tenant, one.id).entries)  # fmt: skip
    clocked.engine.integrations.rotate(tenant, made.id, "other")
    assert clocked.go(63, hours=8.7).closed == 1


def test_a_budget_counts_from_the_beginning_of_the_month(clocked: Clocked) -> None:
    """More than 50 messages since the first of the month open an incident; the next month starts from zero."""
    tenant = clocked.tenant("a")
    clocked.engine.alerts.add(tenant, {"name": "Budget", "kind": "budget", "metric": "messages_received", "limit": 50})
    opened = []
    for day in range(29):
        clocked.send(tenant, day, 6)
        opened += [day] * clocked.go(day + 1).opened
    assert opened == [8]  # 9 days of 6 are 54
    assert clocked.incidents(tenant)[0].state == "closed"
