"""Refresh: what is due is folded in one transaction, and a tenant that fails stands alone until it heals."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hubbub.metrics.catalogue import BY_NAME, FACTS
from hubbub.metrics.definition import Fact
from hubbub.model.event import Event
from hubbub.model.tenant import Retention, Tenant
from hubbub.rollups import refresh
from hubbub.rollups.windows import WindowFold
from tests.laws.conftest import Lab

START = datetime(2026, 5, 4, 12, tzinfo=UTC)
TALK = BY_NAME["messages"].source


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A laboratory for this module."""
    made = Lab(tmp_path_factory.mktemp("refresh"))
    yield made
    made.store.close()


@pytest.fixture
def lab(shared: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The laboratory, emptied, that folds one fact alone: the others are no different."""
    shared.empty()
    monkeypatch.setattr(refresh, "FACTS", (TALK,))
    return shared


def message(id_: str, hours: float = 0, **fields: Any) -> Event:
    """A message some hours after noon."""
    return Event(type="message.received", id=id_, time=START + timedelta(hours=hours), **fields)


def days(lab: Lab, tenant: Tenant) -> list[int]:
    """Messages per stored day of a tenant."""
    sql = "SELECT messages FROM rollup_messages_day WHERE tenant = $t ORDER BY window_start"
    return [n for (n,) in lab.store.query(sql, {"t": tenant.no}).rows]


def marks(lab: Lab) -> dict[int, list[int | str | None]]:
    """[sequence number, error, attempts] by tenant number."""
    return {no: rest for no, *rest in lab.store.query("SELECT tenant, seq, error, attempts FROM marks").rows}


class Poison:
    """Makes the fold of some tenants fail, and counts the groups it saw."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *numbers: int) -> None:
        """Fail for these tenant numbers."""
        self.numbers = set(numbers)
        self.groups: list[list[int]] = []
        real = WindowFold.run

        def run(fold: WindowFold, since: int | None, span: Any) -> dict[str, int]:
            group = [t.no for t in fold.tenants]
            self.groups.append(group)
            counts = real(fold, since, span)
            if self.numbers & set(group):
                raise RuntimeError("poisoned\nsecond line")
            return counts

        monkeypatch.setattr(WindowFold, "run", run)


def test_one_refresh_folds_all_tenants_in_one_transaction(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tenants with the same mark are folded together, and one general mark says so afterwards."""
    tenants = [lab.tenant() for _ in range(5)]
    for tenant in tenants:
        lab.send(tenant, [message("a")])
    poison = Poison(monkeypatch)
    lab.refresh()
    assert poison.groups == [[1, 2, 3, 4, 5]]
    assert marks(lab) == {refresh.EVERYONE: [lab.store.last_seq(), None, 0]}
    assert [days(lab, t) for t in tenants] == [[1]] * 5


def test_a_tenant_that_fails_stands_alone(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """By halves the bad tenant is found; the others' numbers are there, its own error is reported, and nothing of it is."""
    tenants = [lab.tenant() for _ in range(8)]
    for tenant in tenants:
        lab.send(tenant, [message("a")])
    poison = Poison(monkeypatch, 6)
    report = lab.refresher.refresh()
    assert report.errors == {"tenant-6": f"{TALK.name}: poisoned"}
    assert [days(lab, t) for t in tenants] == [[1]] * 5 + [[]] + [[1]] * 2
    assert poison.groups[-1] == [7, 8] and [6] in poison.groups
    assert len(poison.groups) == 7


def test_an_error_is_kept_until_it_heals(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The failed tenant keeps its old mark with error and attempts; the next good refresh catches up and clears both."""
    good, bad = lab.tenant(), lab.tenant()
    for tenant in (good, bad):
        lab.send(tenant, [message("a")])
    lab.refresh()
    before = lab.store.last_seq()
    for tenant in (good, bad):
        lab.send(tenant, [message("b", 30)])
    poison = Poison(monkeypatch, bad.no)
    lab.refresher.refresh()
    lab.refresher.refresh()
    assert marks(lab) == {refresh.EVERYONE: [lab.store.last_seq(), None, 0], bad.no: [before, "poisoned", 2]}
    assert (days(lab, good), days(lab, bad)) == ([1, 1], [1])
    poison.numbers.clear()
    assert lab.refresher.refresh().errors == {}
    assert days(lab, bad) == [1, 1]
    assert marks(lab) == {refresh.EVERYONE: [lab.store.last_seq(), None, 0]}


def test_a_failed_tenant_is_answered_from_raw_events(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers of a tenant whose fold fails are right all the same, and those of others come from rollups."""
    good, bad = lab.tenant(), lab.tenant()
    for tenant in (good, bad):
        lab.send(tenant, [message("a")])
    Poison(monkeypatch, bad.no)
    lab.refresher.refresh()
    midnight = START - timedelta(hours=12)
    for tenant, source in ((good, "rollups"), (bad, "raw")):
        answer = lab.ask(tenant, ["messages"], midnight, midnight + timedelta(days=1))
        assert (answer.rows[0].cells["messages"].value, answer.freshness["source"]) == (1, source)


def test_all_failing_loses_nothing(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """When every tenant fails each one is reported, and the next refresh folds them all."""
    tenants = [lab.tenant() for _ in range(3)]
    for tenant in tenants:
        lab.send(tenant, [message("a")])
    poison = Poison(monkeypatch, 1, 2, 3)
    assert set(lab.refresher.refresh().errors) == {"tenant-1", "tenant-2", "tenant-3"}
    poison.numbers.clear()
    lab.refresh()
    assert [days(lab, t) for t in tenants] == [[1]] * 3


def test_a_broken_fact_leaves_the_others_alone(shared: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fact whose SQL fails for every tenant is an error of each, and other facts are folded."""
    shared.empty()
    broken = Fact("broken", "Broken.", "SELECT nothing FROM {events}", ("message.received",))
    other = FACTS[0]
    monkeypatch.setattr(refresh, "FACTS", (broken, other, TALK))
    monkeypatch.setattr(WindowFold, "prepare", _prepare_unless(broken))
    tenant = shared.tenant()
    shared.send(tenant, [message("a")])
    report = shared.refresher.refresh()
    assert report.errors == {"tenant-1": "broken: no such fact"}
    assert days(shared, tenant) == [1]


def _prepare_unless(broken: Fact) -> Any:
    real = WindowFold.prepare

    def prepare(fold: WindowFold, since: int | None, span: Any) -> str | None:
        if fold.fact is broken:
            raise ValueError("no such fact")
        return real(fold, since, span)

    return prepare


def test_refreshing_one_tenant_leaves_the_others_due(lab: Lab) -> None:
    """A refresh of one tenant moves its mark alone; the next one of all folds the rest."""
    one, other = lab.tenant(), lab.tenant()
    for tenant in (one, other):
        lab.send(tenant, [message("a")])
    lab.refresh(one)
    assert (days(lab, one), days(lab, other)) == ([1], [])
    assert set(marks(lab)) == {one.no}
    lab.refresh()
    assert days(lab, other) == [1]
    assert set(marks(lab)) == {refresh.EVERYONE}


@pytest.mark.parametrize("at", ["due", "facts", "replaced", "before commit"])
def test_a_refresh_that_dies_at_any_step_changes_nothing(lab: Lab, at: str) -> None:
    """Whatever step it dies at, stored rows and marks are those of before, and the next refresh does it all."""
    tenant = lab.tenant()
    lab.send(tenant, [message("a")])
    lab.refresh()
    rows, kept = lab.stored(tenant), lab.marks()
    lab.send(tenant, [message("b", 1)])

    def die(step: str) -> None:
        if step.endswith(at):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lab.refresher.refresh(step=die)
    assert (lab.stored(tenant), lab.marks()) == (rows, kept)
    lab.refresh()
    assert days(lab, tenant) == [2]


def test_only_windows_that_changed_are_folded(lab: Lab) -> None:
    """A late event makes its own hour, day, week and month due, and no other."""
    tenant = lab.tenant()
    lab.send(tenant, [message(f"m{d}", 24 * d) for d in range(10)])
    assert lab.refresh().windows["rollup_messages_day"] == 10
    lab.send(tenant, [message("late", 24 * 3 + 1)])
    assert lab.refresh().windows == {f"rollup_messages_{g}": 1 for g in ("hour", "day", "week", "month")}


def test_a_corrected_event_moves_between_windows(lab: Lab) -> None:
    """The window a corrected event left loses it, an empty window has no row, and the one it entered has it."""
    tenant = lab.tenant()
    lab.send(tenant, [message("a"), message("b", 24)])
    lab.refresh()
    lab.send(tenant, [message("a", 48, revision=1)])
    assert lab.refresh().windows["rollup_messages_day"] == 2
    starts = lab.store.query("SELECT window_start FROM rollup_messages_day ORDER BY 1").rows
    assert [start.day for (start,) in starts] == [5, 6]


def test_windows_past_their_retention_are_not_folded(lab: Lab) -> None:
    """What is older than a grain is kept is not made again by a late event."""
    lab.tenants.append(Tenant(1, "tenant-1", "UTC", "", Retention(raw=None, hour=2, day=5, week=None, month=None)))
    tenant = lab.tenants[0]
    lab.now = START + timedelta(days=4)
    lab.send(tenant, [message("old", -72), message("middle", 0), message("young", 60)])
    lab.refresh()
    starts = {
        grain: [
            start.day
            for (start,) in lab.store.query(f"SELECT window_start FROM rollup_messages_{grain} ORDER BY 1").rows
        ]
        for grain in ("hour", "day")
    }
    assert starts == {"hour": [7], "day": [4, 7]}


def test_frozen_windows_keep_their_numbers(lab: Lab) -> None:
    """Where raw events are gone a stored day stays as it is, though everything is folded anew."""
    tenant = lab.tenant()
    lab.send(tenant, [message("a"), message("b", 48)])
    lab.refresh()
    with lab.store.change() as work:
        work.execute("INSERT INTO frozen VALUES (1, TIMESTAMP '2026-05-05')")
        work.execute("DELETE FROM events WHERE id = 'a'")
    try:
        lab.forget_marks()
        lab.refresh()
        assert days(lab, tenant) == [1, 1]
    finally:
        with lab.store.change() as work:
            work.execute("DELETE FROM frozen")


def test_a_report_says_what_was_done(lab: Lab) -> None:
    """The public report counts windows in all and per table, and names the sequence number reached."""
    lab.send(lab.tenant(), [message("a")])
    answer = lab.refresh().answer()
    assert answer == {
        "windows": 4,
        "rollups": {f"rollup_messages_{g}": 1 for g in ("day", "hour", "month", "week")},
        "errors": {},
        "up_to": lab.store.last_seq(),
    }
    assert lab.refresh().answer()["windows"] == 0


def test_a_fold_from_scratch_takes_tenants_by_shares_of_events(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the events that are folded at once tenants are taken in shares, none left out or taken twice; later folds are not."""
    monkeypatch.setattr(refresh, "AT_ONCE", 5)
    tenants = [lab.tenant() for _ in range(5)]
    for tenant, count in zip(tenants, (3, 2, 7, 1, 0), strict=True):
        lab.send(tenant, [message(f"m{n}", n / 10) for n in range(count)])
    groups = Poison(monkeypatch).groups
    lab.refresh()
    assert groups == [[1, 2], [3], [4, 5]]
    assert [days(lab, tenant) for tenant in tenants] == [[3], [2], [7], [1], []]
    groups.clear()
    lab.send(tenants[0], [message("late")])
    lab.refresh()
    assert groups == [[1, 2, 3, 4, 5]]
