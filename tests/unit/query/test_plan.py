"""The plan of an answer: whole clean windows are read as stored, everything else is folded from raw events."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from hubbub.metrics.catalogue import BY_NAME
from hubbub.model.event import Event
from hubbub.model.tenant import Retention, Tenant
from hubbub.model.window import Grain, Window
from hubbub.query.plan import Dirt, Piece, Tiles, buckets, settled_to, tile
from hubbub.store.base import utc_naive
from tests.laws.conftest import Lab

MESSAGES = BY_NAME["messages"]
START = datetime(2026, 3, 6, 5, tzinfo=UTC)  # a midnight in New York, two days before clocks change
NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A laboratory for this module."""
    made = Lab(tmp_path_factory.mktemp("plan"))
    yield made
    made.store.close()


@pytest.fixture
def tenant(lab: Lab) -> Tenant:
    """A tenant in New York with messages on four days, all folded."""
    lab.empty()
    made = lab.tenant("America/New_York")
    lab.send(made, [_message(day) for day in range(4)])
    lab.refresh()
    return made


def _message(day: int, name: str = "m") -> Event:
    return Event(type="message.received", id=f"{name}{day}", time=START + timedelta(days=day, hours=13))


def _tiles(lab: Lab, tenant: Tenant, end: datetime, grain: Grain = Grain.DAY, *, start: datetime = START) -> Tiles:
    cut = buckets(start, end, grain, tenant)
    return tile(MESSAGES, tenant, cut, grain, NOW, Dirt(lab.store, tenant, NOW))


def test_buckets_are_clipped_to_the_asked_range(tenant: Tenant) -> None:
    """The first and the last window of an answer end where the range does."""
    start, end = START + timedelta(hours=7), START + timedelta(days=1, hours=3)
    midnight = START + timedelta(days=1)
    assert buckets(start, end, Grain.DAY, tenant) == [Window(start, midnight), Window(midnight, end)]


def test_whole_clean_days_are_read_as_stored(lab: Lab, tenant: Tenant) -> None:
    """Nothing is folded from raw events where nothing came after the fold, over a day of 23 hours too."""
    tiles = _tiles(lab, tenant, START + timedelta(days=4, hours=-1))
    assert [piece.start for piece in tiles.stored[Grain.DAY]] == [
        utc_naive(START + timedelta(days=d, hours=-1 if d > 2 else 0)) for d in range(4)
    ]
    assert not tiles.raw


def test_part_of_a_day_is_read_in_hours_and_part_of_an_hour_raw(lab: Lab, tenant: Tenant) -> None:
    """A range that begins and ends inside days reads whole days and hours as stored, and what is left from raw events."""
    start, end = START + timedelta(hours=7, minutes=20), START + timedelta(days=2, hours=3, minutes=5)
    tiles = _tiles(lab, tenant, end, Grain.TOTAL, start=start)
    assert tiles.stored[Grain.DAY] == [
        Piece(utc_naive(START + timedelta(days=1)), utc_naive(START + timedelta(days=2)), utc_naive(start))
    ]
    assert [piece.start for piece in tiles.stored[Grain.HOUR]] == [
        utc_naive(START + timedelta(hours=h)) for h in (*range(8, 24), 48, 49, 50)
    ]
    assert (tiles.low, tiles.high) == (utc_naive(start), utc_naive(end))
    assert tiles.live == {utc_naive(start)}


def test_a_late_event_makes_its_own_day_dirty(lab: Lab, tenant: Tenant) -> None:
    """After a late event only the window it lies in is folded anew, until the next refresh."""
    lab.send(tenant, [_message(1, "late")])
    end = START + timedelta(days=4, hours=-1)
    tiles = _tiles(lab, tenant, end)
    assert (len(tiles.stored[Grain.DAY]), len(tiles.stored[Grain.HOUR])) == (3, 23)
    assert tiles.live == {utc_naive(START + timedelta(days=1))}
    lab.refresh()
    assert not _tiles(lab, tenant, end).raw


def test_a_neighbours_event_makes_nothing_dirty(lab: Lab, tenant: Tenant) -> None:
    """What other tenants send changes nothing here."""
    lab.send(lab.tenant("America/New_York"), [_message(1)])
    assert not _tiles(lab, tenant, START + timedelta(days=4, hours=-1)).raw


def test_before_any_refresh_everything_is_raw(lab: Lab, tenant: Tenant) -> None:
    """A tenant that was never folded is answered from raw events alone."""
    lab.forget_marks()
    tiles = _tiles(lab, tenant, START + timedelta(days=2))
    assert (tiles.stored, len(tiles.live)) == ({}, 2)


def test_a_tenant_that_moved_is_raw_until_refreshed(lab: Lab, tenant: Tenant) -> None:
    """Days of another zone are not taken for the tenant's own."""
    moved = lab.move(tenant, "UTC")
    tiles = _tiles(lab, moved, datetime(2026, 3, 8, tzinfo=UTC), start=datetime(2026, 3, 6, tzinfo=UTC))
    assert tiles.stored == {}
    lab.refresh()
    tiles = _tiles(lab, moved, datetime(2026, 3, 8, tzinfo=UTC), start=datetime(2026, 3, 6, tzinfo=UTC))
    assert not tiles.raw


def test_hours_are_read_as_hours(lab: Lab, tenant: Tenant) -> None:
    """An answer by hour is tiled with stored hours."""
    tiles = _tiles(lab, tenant, START + timedelta(hours=5), Grain.HOUR)
    assert len(tiles.stored[Grain.HOUR]) == 5
    assert not tiles.raw


def test_frozen_days_are_read_as_stored_or_left_out(lab: Lab, tenant: Tenant) -> None:
    """Where raw events are gone whole days are read as stored, and a part of one is said to be gone."""
    with lab.store.change() as work:
        work.execute(
            "INSERT INTO frozen VALUES ($t, $until)", {"t": tenant.no, "until": utc_naive(START + timedelta(days=2))}
        )
    try:
        lab.forget_marks()
        whole = _tiles(lab, tenant, START + timedelta(days=2))
        assert (len(whole.stored[Grain.DAY]), whole.raw, len(whole.gone)) == (2, [], 0)
        part = _tiles(lab, tenant, START + timedelta(days=2), Grain.TOTAL, start=START + timedelta(minutes=20))
        assert (len(part.stored[Grain.DAY]), part.raw, len(part.gone)) == (1, [], 1)
    finally:
        with lab.store.change() as work:
            work.execute("DELETE FROM frozen")


def test_old_weeks_are_read_as_weeks_when_their_days_are_gone(lab: Lab, tenant: Tenant) -> None:
    """Past the retention of days a week is read as stored; younger ones are read in days."""
    short = Tenant(tenant.no, tenant.id, tenant.zone, "", Retention(raw=None, day=30, week=None))
    monday = datetime(2026, 3, 2, 5, tzinfo=UTC)
    cut = buckets(monday, monday + timedelta(days=7, hours=-1), Grain.WEEK, short)
    tiles = tile(MESSAGES, short, cut, Grain.WEEK, NOW, Dirt(lab.store, short, NOW))
    assert list(tiles.stored) == [Grain.WEEK]


def test_numbers_are_settled_up_to_the_open_hour() -> None:
    """What ends by the start of the running hour is over."""
    tenant = Tenant(1, "a", "Asia/Kathmandu")
    assert settled_to(tenant, datetime(2026, 3, 6, 12, 20, tzinfo=UTC)) == datetime(2026, 3, 6, 12, 15, tzinfo=UTC)
