"""A snoozed incident notifies nobody until the snooze ends; then destinations get one reminder, if it is still open and not
acknowledged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from hubbub.errors import BadInputError, ConflictError
from tests.unit.alerts.test_evaluate import BEGIN, DAY, UNUSUAL, Clocked, _weeks


@pytest.fixture
def clocked(tmp_path: Path) -> Iterator[Clocked]:
    """An engine with a tenant whose rule opened an incident on day 63 and notified a mail address."""
    made = Clocked(tmp_path / "data")
    tenant = made.tenant("a")
    _weeks(made, tenant)
    made.now = BEGIN + 63 * DAY
    to = made.engine.destinations.add(tenant, "mail", "marta@hotel.example").id
    made.engine.alerts.add(tenant, {**UNUSUAL, "destinations": [to]})
    made.send(tenant, 63, 20)
    made.go(64)
    yield made
    made.engine.close()


def told(clocked: Clocked) -> Sequence[str]:
    """Return the kinds of all messages to the tenant's destinations, oldest first."""
    return [row.type for row in clocked.engine.messages.of("a").rows][::-1]


def snooze(clocked: Clocked, day: int) -> str:
    """Snooze the only incident until the beginning of a day; returns its id."""
    (incident,) = clocked.incidents("a")
    until = (BEGIN + day * DAY).isoformat()
    assert clocked.engine.incidents.snooze("a", incident.id, until).state == "snoozed"
    return incident.id


def test_the_end_of_a_snooze_sends_one_reminder(clocked: Clocked) -> None:
    """An incident that goes on sends one reminder when its snooze ends, and is open again."""
    id_ = snooze(clocked, 66)
    kinds = []
    for day in (65, 66, 67):
        clocked.send("a", day - 1, 20)
        clocked.go(day, hours=3)
        kinds.append(list(told(clocked)))
    assert kinds == [["incident.opened"], *[["incident.opened", "incident.reminder"]] * 2]
    assert clocked.engine.incidents.get("a", id_).state == "open"


def test_an_incident_that_closes_while_snoozed_sends_no_reminder(clocked: Clocked) -> None:
    """An incident that closes during its snooze sends its closing message and no reminder, and cannot be snoozed again."""
    id_ = snooze(clocked, 70)
    for day in range(64, 72):
        clocked.send("a", day, 3)
        clocked.go(day + 1, hours=3)
    assert clocked.engine.incidents.get("a", id_).state == "closed"
    assert list(told(clocked)) == ["incident.opened", "incident.closed"]
    with pytest.raises(ConflictError, match="closed"):
        clocked.engine.incidents.snooze("a", id_, (BEGIN + 75 * DAY).isoformat())


def test_the_later_of_acknowledge_and_snooze_counts(clocked: Clocked) -> None:
    """Acknowledging a snoozed incident cancels its reminder; snoozing it again brings the reminder back."""
    id_ = snooze(clocked, 66)
    assert clocked.engine.incidents.acknowledge("a", id_, "Marta").state == "acknowledged"
    for day in (64, 65):
        clocked.send("a", day, 20)
        clocked.go(day + 1, hours=3)
    assert "incident.reminder" not in told(clocked)
    snooze(clocked, 67)
    clocked.send("a", 66, 20)
    clocked.go(67, hours=3)
    assert list(told(clocked)).count("incident.reminder") == 1


def test_late_events_and_worse_days_leave_a_snooze_as_it_is(clocked: Clocked) -> None:
    """During a snooze late events and a worse day are noted in the incident and notify nobody."""
    id_ = snooze(clocked, 70)
    clocked.send("a", 63, 3)
    clocked.send("a", 64, 40)
    clocked.go(65)
    found = clocked.engine.incidents.get("a", id_)
    assert (found.state, found.peak) == ("snoozed", 40)
    assert {"late", "updated"} <= {entry.what for entry in found.entries}
    assert list(told(clocked)) == ["incident.opened"]


def test_a_new_incident_is_not_snoozed(clocked: Clocked) -> None:
    """An incident that opens after a snoozed one closed is open and notifies, though the snooze would have lasted longer."""
    snooze(clocked, 80)
    for day in range(64, 68):
        clocked.send("a", day, 3)
        clocked.go(day + 1, hours=3)
    clocked.send("a", 68, 30)
    clocked.go(69, hours=3)
    assert [incident.state for incident in clocked.incidents("a")] == ["closed", "open"]
    assert list(told(clocked)).count("incident.opened") == 2


@pytest.mark.parametrize("days", [-1, 40])
def test_a_snooze_ends_within_a_month(clocked: Clocked, days: int) -> None:
    """An end in the past or beyond 31 days is refused, and changes nothing."""
    (incident,) = clocked.incidents("a")
    with pytest.raises(BadInputError, match="until"):
        clocked.engine.incidents.snooze("a", incident.id, (clocked.now + days * DAY).isoformat())
    assert clocked.incidents("a")[0].state == "open"
