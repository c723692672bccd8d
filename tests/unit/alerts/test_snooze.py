"""A snoozed incident is left alone until a moment; then destinations are told once, if it is still open and nobody took it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from hubbub.errors import BadInputError, ConflictError
from tests.unit.alerts.test_evaluate import BEGIN, DAY, UNUSUAL, Clocked, _weeks


@pytest.fixture
def clocked(tmp_path: Path) -> Iterator[Clocked]:
    """An engine of one test, with a tenant whose rule found something on day 63 and tells a webhook."""
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


def test_the_end_of_a_snooze_is_told_once(clocked: Clocked) -> None:
    """An incident that goes on is told again at the end of the snooze, not before and not twice, and is open then."""
    id_ = snooze(clocked, 66)
    kinds = []
    for day in (65, 66, 67):
        clocked.send("a", day - 1, 20)
        clocked.go(day, hours=3)
        kinds.append(list(told(clocked)))
    assert kinds == [["incident.opened"], *[["incident.opened", "incident.reminder"]] * 2]
    assert clocked.engine.incidents.get("a", id_).state == "open"


def test_an_incident_that_closes_meanwhile_is_no_reminder(clocked: Clocked) -> None:
    """It is over before the snooze is: that is told, and nothing after it."""
    id_ = snooze(clocked, 70)
    for day in range(64, 72):
        clocked.send("a", day, 3)
        clocked.go(day + 1, hours=3)
    assert clocked.engine.incidents.get("a", id_).state == "closed"
    assert list(told(clocked)) == ["incident.opened", "incident.closed"]
    with pytest.raises(ConflictError, match="closed"):
        clocked.engine.incidents.snooze("a", id_, (BEGIN + 75 * DAY).isoformat())


def test_the_later_word_counts(clocked: Clocked) -> None:
    """Acknowledged after a snooze nobody is reminded; snoozed after that somebody is."""
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
    """A number that rises by late events, and a worse day after it, are written down and ring nobody before the snooze ends."""
    id_ = snooze(clocked, 70)
    clocked.send("a", 63, 3)
    clocked.send("a", 64, 40)
    clocked.go(65)
    found = clocked.engine.incidents.get("a", id_)
    assert (found.state, found.peak) == ("snoozed", 40)
    assert {"late", "updated"} <= {entry.what for entry in found.entries}
    assert list(told(clocked)) == ["incident.opened"]


def test_a_new_incident_is_not_snoozed(clocked: Clocked) -> None:
    """What fires after the incident closed is another one, open and told, though the first was snoozed for longer."""
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
    """A moment in the past or beyond 31 days is refused, and changes nothing."""
    (incident,) = clocked.incidents("a")
    with pytest.raises(BadInputError, match="until"):
        clocked.engine.incidents.snooze("a", incident.id, (clocked.now + days * DAY).isoformat())
    assert clocked.incidents("a")[0].state == "open"
