"""The delivery log's rows: counts of all processes add up; number, age and memory are bounded; no text of a sender is stored."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from hubbub.control import deliveries as deliveries_
from hubbub.control.database import Database, metadata
from hubbub.control.deliveries import STATES, Deliveries, Delivery, deliveries
from hubbub.errors import BadInputError, BadRequestError, DatabaseUnavailableError
from hubbub.model.page import cursor_of

GOOD = Delivery(202, "accepted", "k1", "acme", bytes=100, accepted=3, duplicates=1, corrected=1)
HALF = Delivery(202, "partly_refused", "k1", "acme", "unknown_type", "type", 50, accepted=1, rejected=2)
UNKNOWN = Delivery(401, "unauthenticated", reason="unknown_key", bytes=7)


class Installation:
    """A control database, a clock that the test moves, and any number of processes."""

    def __init__(self, url: str, opened: ExitStack) -> None:
        self._url, self._opened = url, opened
        self.now = datetime(2026, 8, 20, 12, 0, 30, tzinfo=UTC)

    def database(self) -> Database:
        """Open the database once more."""
        made = Database(self._url)
        self._opened.callback(made.close)
        return made

    def process(self) -> Deliveries:
        """Return the log of another process."""
        return Deliveries(self.database(), lambda: self.now)


@pytest.fixture
def here(jobs_url: str) -> Iterator[Installation]:
    """An installation with an empty control database, on SQLite and on PostgreSQL."""
    with ExitStack() as opened:
        yield Installation(jobs_url, opened)


def rows(log: Deliveries, **asked: Any) -> list[tuple[Any, ...]]:
    """Return key, outcome, bodies, bytes, accepted, rejected and reason of every row."""
    names = ("key", "outcome", "bodies", "bytes", "accepted", "rejected", "reason")
    return [tuple(getattr(row, name) for name in names) for row in log.page(limit=1000, **asked)[0]]


def test_a_minute_of_a_key_and_outcome_is_one_row(here: Installation) -> None:
    """Counts of two processes for the same minute, key and outcome add up in one row; another outcome or minute has its own row."""
    one, other = here.process(), here.process()
    for log in (one, other, one, other):
        log.note(GOOD)
        log.note(GOOD)
        log.note(HALF)
        log.write()
    assert rows(one) == rows(other)
    assert rows(one) == [
        ("k1", "partly_refused", 4, 200, 4, 8, "unknown_type"), ("k1", "accepted", 8, 800, 24, 0, ""),
    ]  # fmt: skip
    (row,), _ = one.page(state="accepted")
    assert (row.minute.isoformat(), row.duplicates, row.corrected) == ("2026-08-20T12:00:00", 8, 8)
    here.now += timedelta(minutes=1)
    one.note(replace(GOOD, accepted=9))
    assert [row[2:5] for row in rows(one, state="accepted")] == [(1, 100, 9), (8, 800, 24)]


def test_processes_that_write_at_once_lose_nothing(here: Installation) -> None:
    """Four processes count the same keys in different orders and write meanwhile: the sum has every delivery."""
    keys = [replace(GOOD, key=f"k{n}") for n in range(20)]

    def work(log: Deliveries, first: int) -> None:
        for n in range(100):
            log.note(keys[(first + n) % 20])
            if n % 5 == 4:
                log.write()

    logs = [here.process() for _ in range(4)]
    threads = [threading.Thread(target=work, args=(log, 5 * n)) for n, log in enumerate(logs)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert {row[0]: row[2] for row in rows(logs[0])} == {one.key: 20 for one in keys}


def test_the_newest_rows_of_a_key_and_outcome_are_kept(here: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond `MOST_ROWS` the oldest rows of a key and outcome go; rows of other keys and of refusals stay."""
    monkeypatch.setattr(deliveries_, "MOST_ROWS", 5)
    log = here.process()
    log.note(HALF)
    log.note(UNKNOWN)
    log.note(replace(GOOD, key="k2"))
    for n in range(12):
        log.note(replace(GOOD, accepted=n))
        log.write()
        here.now += timedelta(minutes=1)
    found = rows(log)
    assert [row[4] for row in found if row[:2] == ("k1", "accepted")] == [11, 10, 9, 8, 7]
    assert sorted(row[:2] for row in found if row[:2] != ("k1", "accepted")) == [
        ("", "unauthenticated"), ("k1", "partly_refused"), ("k2", "accepted"),
    ]  # fmt: skip


def test_rows_are_deleted_after_thirty_days(here: Installation) -> None:
    """A row is deleted by the first write after 30 days, of whichever tenant."""
    log = here.process()
    log.note(HALF)
    log.write()
    here.now += timedelta(days=30, seconds=-30)
    log.note(GOOD)
    assert len(rows(log)) == 2
    here.now += timedelta(minutes=1)
    log.note(UNKNOWN)
    assert [row[1] for row in rows(log)] == ["unauthenticated", "accepted"]


def test_memory_is_bounded(here: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deliveries without a known key share one row a minute; beyond `MOST_WAITING` rows only known ones are counted."""
    monkeypatch.setattr(deliveries_, "MOST_WAITING", 3)
    log = here.process()
    for _ in range(1000):
        log.note(UNKNOWN)
    for n in range(1000):
        log.note(replace(GOOD, key=f"k{n}"))
    log.note(replace(GOOD, key="k1"))
    assert sorted(row[:3] for row in rows(log)) == [
        ("", "unauthenticated", 1000), ("k0", "accepted", 1), ("k1", "accepted", 2),
    ]  # fmt: skip


def test_counts_that_could_not_be_written_are_written_later_once(here: Installation) -> None:
    """While the database refuses writes, counts are held and grow; afterwards they are written once."""
    log, database = here.process(), here.database()
    with database.write() as con:
        metadata.drop_all(con, [deliveries])
    for _ in range(2):
        log.note(GOOD)
        with pytest.raises((DatabaseUnavailableError, sa.exc.ProgrammingError)):  # depending on the engine
            log.write()
    database.make(deliveries)
    log.write()
    log.write()
    assert [row[2] for row in rows(log)] == [2]


def test_pages_go_through_all_rows_newest_first(here: Installation) -> None:
    """Pages return every row once, newest minute first; filters by tenant and state hold; a bad state or cursor is refused."""
    log = here.process()
    for n in range(7):
        for one in (GOOD, HALF, UNKNOWN, replace(GOOD, key="k9", tenant="other")):
            log.note(replace(one, accepted=n))
        here.now += timedelta(minutes=1)
    seen, cursor = [], None
    while True:
        page, cursor = log.page(cursor=cursor, limit=5)
        seen += [(row.minute, row.key, row.outcome) for row in page]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 28
    assert [minute for minute, _, _ in seen] == sorted((minute for minute, _, _ in seen), reverse=True)
    assert {row[0] for row in rows(log, tenant="other")} == {"k9"} and len(rows(log, tenant="acme")) == 14
    assert [len(rows(log, state=state)) for state in STATES] == [14, 7, 7]
    with pytest.raises(BadInputError, match="accepted, partly refused, refused"):
        log.page(state="lost")
    for cursor in ("x", cursor_of(("never", "", "", "", ""))):
        with pytest.raises(BadRequestError, match="cursor"):
            log.page(cursor=cursor)


def test_only_fields_of_the_contract_are_stored(here: Installation) -> None:
    """A field's name that is not in the contract is the sender's own text, and is not stored."""
    log = here.process()
    log.note(replace(HALF, reason="unknown_field", field="canary of a contact"))
    log.note(HALF)
    assert sorted(row.field for row in log.page()[0]) == ["", "type"]
