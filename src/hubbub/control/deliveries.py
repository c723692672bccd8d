"""The delivery log: what every key and service sent over HTTP, by minute and outcome, in the control database.

Deliveries are counted in memory and added to the database every few seconds, so that no request waits for it: a killed process
loses the log of its last seconds, and no event. Several processes add to the same rows. The log holds no text of a body, so that an
erasure has nothing to delete here: a reason is a code, a field is a field of the contract.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from hubbub import errors
from hubbub.clock import Clock
from hubbub.control.database import Database, metadata, upsert
from hubbub.errors import BadInputError
from hubbub.model.event import FIELDS
from hubbub.model.page import check_limit, cut, moment_of, place_of
from hubbub.model.window import utc_naive

KEPT = timedelta(days=30)
MOST_ROWS = 100
"""Rows of one key and outcome, at most: the oldest are deleted. Successes never displace refusals, nor one key another."""
MOST_WAITING = 10_000
"""Rows in memory while the database is away, at most; further ones are not counted."""
KEY_LENGTH = 16
"""Characters of an id in the log: the last ones of a longer id, as of an integration."""
STATES = ("accepted", "partly refused", "refused")
"""States of a delivery: all, some or none of its events were accepted."""
REFUSED = STATES[2]
READ = ("accepted", "partly_refused", "refused")
"""Outcomes of bodies that could be read; every other outcome is an error code."""

deliveries = sa.Table(
    "deliveries", metadata,
    sa.Column("key", sa.String(KEY_LENGTH), primary_key=True),
    sa.Column("origin", sa.String(20), primary_key=True),
    sa.Column("outcome", sa.String(40), primary_key=True),
    sa.Column("minute", sa.DateTime, primary_key=True),
    sa.Column("reason", sa.String(40), primary_key=True),
    sa.Column("tenant", sa.String(63), nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("field", sa.String(20), nullable=False),
    sa.Column("bodies", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("accepted", sa.BigInteger, nullable=False),
    sa.Column("duplicates", sa.BigInteger, nullable=False),
    sa.Column("corrected", sa.BigInteger, nullable=False),
    sa.Column("rejected", sa.BigInteger, nullable=False),
    sa.Index("deliveries_newest", "minute"),
    sa.Index("deliveries_of_tenant", "tenant", "minute"),
)  # fmt: skip
"""One row for each key, origin, outcome, minute and reason; `field` is the first one's. Unknown keys and tenants are empty."""
_COUNTS = ("bodies", "bytes", "accepted", "duplicates", "corrected", "rejected")
_NAMED = tuple(column.name for column in deliveries.primary_key)
_NEWEST_FIRST = tuple(deliveries.c[name] for name in ("minute", "key", "origin", "outcome", "reason"))


@dataclass(frozen=True)
class Delivery:
    """A body that was sent: its key, the answer, and the outcome of its events.

    `outcome`: accepted, partly_refused, refused (all of its events), or the code of the error response. `reason` and `field`: those
    of the first refused event, or one of `errors.REASONS`.
    """

    status: int
    outcome: str
    key: str = ""
    tenant: str = ""
    reason: str = ""
    field: str = ""
    bytes: int = 0
    accepted: int = 0
    duplicates: int = 0
    corrected: int = 0
    rejected: int = 0
    origin: str = "api"


@dataclass(frozen=True, kw_only=True)
class Counted(Delivery):
    """Deliveries of one key, origin, outcome and reason in one minute (UTC without zone), added up: a row of the log."""

    minute: datetime
    bodies: int = 1

    def __add__(self, later: Counted) -> Counted:
        """Return the sums of both, with the status and field of the first."""
        return replace(self, **{name: getattr(self, name) + getattr(later, name) for name in _COUNTS})


@dataclass(frozen=True)
class Latest:
    """The newest minute (UTC without zone) of an outcome, and its reason."""

    outcome: str
    minute: datetime
    reason: str


class Deliveries:
    """The log of an installation. May be used from any thread."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._waiting: dict[tuple[Any, ...], Counted] = {}
        self._lock, self._turn = threading.Lock(), threading.Lock()
        database.make(deliveries)

    def note(self, delivery: Delivery) -> None:
        """Count a delivery in the current minute. Takes microseconds and never fails."""
        minute = utc_naive(self._clock()).replace(second=0, microsecond=0)
        field = delivery.field if delivery.field in FIELDS else ""  # any other name is the sender's own text
        self._count([Counted(**{**vars(delivery), "field": field}, minute=minute)])

    def _count(self, rows: Iterable[Counted]) -> None:
        with self._lock:
            for row in rows:
                name = _named(row)
                known = self._waiting.get(name)
                if known is not None or len(self._waiting) < MOST_WAITING:
                    self._waiting[name] = row if known is None else known + row

    def write(self) -> None:
        """Add the counts in memory to the database, and delete old and surplus rows there.

        Everything noted before the call is stored when it returns. Raises DatabaseUnavailableError: counts then wait for the next
        call.
        """
        with self._turn:
            with self._lock:
                waiting, self._waiting = self._waiting, {}
            if waiting:
                self._add(sorted(waiting.values(), key=_named))  # in one order: processes cannot deadlock

    def _add(self, rows: Sequence[Counted]) -> None:
        groups = {(row.key, row.outcome) for row in rows}
        try:
            with self._database.write() as con:
                con.execute(_adding(con.dialect.name), [vars(row) for row in rows])
                con.execute(_beyond(), [{"of_key": key, "of_outcome": outcome} for key, outcome in sorted(groups)])
                con.execute(deliveries.delete().where(deliveries.c.minute < utc_naive(self._clock()) - KEPT))
        except BaseException:
            self._count(rows)
            raise

    def latest(self, key: str) -> list[Latest]:
        """Return the newest minute of each outcome of a key, newest first. Writes this process's counts first."""
        self.write()
        query = sa.select(deliveries).where(deliveries.c.key == key).order_by(*(c.desc() for c in _NEWEST_FIRST))
        newest: dict[str, Latest] = {}
        with self._database.read() as con:
            for row in con.execute(query):
                newest.setdefault(row.outcome, Latest(row.outcome, row.minute, row.reason))
        return list(newest.values())

    def unread(self, since: datetime) -> list[Counted]:
        """Return the rows since a time (aware) of bodies that could not be read. Writes this process's counts first."""
        self.write()
        query = sa.select(deliveries).where(deliveries.c.minute >= utc_naive(since), deliveries.c.outcome.not_in(READ))
        with self._database.read() as con:
            return [Counted(**row._mapping) for row in con.execute(query)]

    def page(
        self, tenant: str | None = None, state: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> tuple[list[Counted], str | None]:
        """Return the newest rows, of one tenant or all, in one of STATES or all, and the cursor of the next page.

        Writes this process's counts first. Raises BadInputError, BadRequestError.
        """
        self.write()
        newest = (column.desc() for column in _NEWEST_FIRST)
        query = sa.select(deliveries).order_by(*newest).limit(check_limit(limit) + 1)
        if tenant is not None:
            query = query.where(deliveries.c.tenant == tenant)
        if state is not None:
            query = query.where(_in_state(state))
        if place := place_of(cursor, str, str, str, str, str):
            query = query.where(sa.tuple_(*_NEWEST_FIRST) < (moment_of(place[0]), *place[1:]))
        with self._database.read() as con:
            rows = [Counted(**row._mapping) for row in con.execute(query)]
        return cut(rows, limit, lambda row: (row.minute.isoformat(), row.key, row.origin, row.outcome, row.reason))


def _named(row: Counted) -> tuple[Any, ...]:
    """Return what names a row: its primary key."""
    return tuple(getattr(row, name) for name in _NAMED)


def state_of(outcome: str) -> str:
    """Return the state (of STATES) of an outcome."""
    return {"accepted": STATES[0], "partly_refused": STATES[1]}.get(outcome, STATES[2])


def why_refused(outcome: str, reason: str) -> str:
    """Return why a delivery was refused: the meaning of an error code, or the reason of the first event."""
    meant = {
        error.code: error().message
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, errors.HubbubError)
    }
    return errors.REASONS.get(reason) or meant[outcome] if outcome in meant else reason


def _in_state(state: str) -> sa.ColumnElement[bool]:
    if state not in STATES:
        raise BadInputError(f"state {state[:40]!r} is not one of {', '.join(STATES)}")
    if state == STATES[2]:
        return deliveries.c.outcome.not_in(("accepted", "partly_refused"))
    return deliveries.c.outcome == state.replace(" ", "_")


def _adding(dialect: str) -> sa.Insert:
    """Return the statement that adds a row's counts to the stored ones, safely for several processes."""
    insert = upsert(deliveries, dialect)
    sums = {name: deliveries.c[name] + insert.excluded[name] for name in _COUNTS}
    adding: sa.Insert = insert.on_conflict_do_update(index_elements=_NAMED, set_=sums)
    return adding


def _beyond() -> sa.Delete:
    """Return the statement that deletes rows of a key and outcome beyond MOST_ROWS."""
    same = deliveries.c.key == sa.bindparam("of_key"), deliveries.c.outcome == sa.bindparam("of_outcome")
    newest = sa.select(deliveries.c.minute).where(*same).order_by(deliveries.c.minute.desc())
    return deliveries.delete().where(*same, deliveries.c.minute <= newest.limit(1).offset(MOST_ROWS).scalar_subquery())
