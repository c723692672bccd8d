"""The delivery log: by the minute, what every key and service sent over HTTP and what became of it, beside the control data.

Deliveries are counted in memory and added to the database every few seconds, so that none waits for it: a process that is killed
takes the log of its last seconds along, and no event. Several processes add to the same rows. No word of a body is in it, so that
an erasure has nothing to look for here: a reason is a code, a field one of the contract's.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from hubbub import errors
from hubbub.clock import Clock
from hubbub.control.database import Database, metadata
from hubbub.errors import BadInputError, BadRequestError
from hubbub.model.event import FIELDS
from hubbub.model.page import check_limit, cut, place_of
from hubbub.model.window import utc_naive

KEPT = timedelta(days=30)
MOST_ROWS = 100
"""Of one key and outcome; beyond, the oldest go. What goes well never crowds out what was refused, nor one key another."""
MOST_WAITING = 10_000
"""Rows in memory, while the database is away; new ones are not counted beyond."""
KEY_LENGTH = 16
"""Characters of a key's id. Of an integration's, which is longer, its last ones stand in the log."""
STATES = ("accepted", "partly refused", "refused")
"""What became of the events of a delivery: all taken, some, none."""
REFUSED = STATES[2]
READ = ("accepted", "partly_refused", "refused")
"""Outcomes of bodies that were read; every other one is the code of a problem."""

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
"""One row per key, origin, outcome, minute and reason; `field` is the first one's. Key and tenant are empty where not known."""
_COUNTS = ("bodies", "bytes", "accepted", "duplicates", "corrected", "rejected")
_NAMED = tuple(column.name for column in deliveries.primary_key)
_NEWEST_FIRST = tuple(deliveries.c[name] for name in ("minute", "key", "origin", "outcome", "reason"))

Row = dict[str, Any]


@dataclass(frozen=True)
class Delivery:
    """One body that was sent: whose, what was answered, and what became of its events.

    `outcome` is accepted, partly_refused, refused (every event of it), or the code of the problem that it was answered with.
    `reason` and `field` are those of the first refused event, or `errors.REASONS` of a problem.
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
        self._waiting: dict[tuple[Any, ...], Row] = {}
        self._lock, self._turn = threading.Lock(), threading.Lock()
        database.make(deliveries)

    def note(self, delivery: Delivery) -> None:
        """Count a delivery in the present minute. Takes microseconds and never fails."""
        minute = utc_naive(self._clock()).replace(second=0, microsecond=0)
        field = delivery.field if delivery.field in FIELDS else ""  # else it is a word of the sender's
        self._count([{**vars(delivery), "field": field, "minute": minute, "bodies": 1}])

    def _count(self, rows: Iterable[Row]) -> None:
        with self._lock:
            for row in rows:
                name = tuple(row[part] for part in _NAMED)
                known = self._waiting.get(name)
                if known is not None:
                    for count in _COUNTS:
                        known[count] += row[count]
                elif len(self._waiting) < MOST_WAITING:
                    self._waiting[name] = row

    def write(self) -> None:
        """Add what was counted since to the database, and delete what is too old or too much there.

        All that was noted before is there when it returns. Raises DatabaseUnavailableError; what was counted waits for the next
        time then.
        """
        with self._turn:
            with self._lock:
                waiting, self._waiting = self._waiting, {}
            if waiting:
                self._add(
                    [waiting[name] for name in sorted(waiting)]
                )  # in one order: processes never lock each other out

    def _add(self, rows: list[Row]) -> None:
        groups = {(row["key"], row["outcome"]) for row in rows}
        try:
            with self._database.write() as con:
                con.execute(_adding(con.dialect.name), rows)
                con.execute(_beyond(), [{"of_key": key, "of_outcome": outcome} for key, outcome in sorted(groups)])
                con.execute(deliveries.delete().where(deliveries.c.minute < utc_naive(self._clock()) - KEPT))
        except BaseException:
            self._count(rows)
            raise

    def latest(self, key: str) -> list[Latest]:
        """Return of each outcome of a key when it was last, the newest first. What this process counted is written before."""
        self.write()
        query = sa.select(deliveries).where(deliveries.c.key == key).order_by(*(c.desc() for c in _NEWEST_FIRST))
        found: dict[str, Latest] = {}
        with self._database.read() as con:
            for row in con.execute(query):
                found.setdefault(row.outcome, Latest(row.outcome, row.minute, row.reason))
        return list(found.values())

    def unread(self, since: datetime) -> list[Row]:
        """Return the rows, from a moment (aware) on, of bodies that were not read. What this process counted is written before."""
        self.write()
        query = sa.select(deliveries).where(deliveries.c.minute >= utc_naive(since), deliveries.c.outcome.not_in(READ))
        with self._database.read() as con:
            return [dict(row._mapping) for row in con.execute(query)]

    def page(
        self, tenant: str | None = None, state: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> tuple[list[Row], str | None]:
        """Return the newest rows, of all or one tenant, in one of STATES or all, and the cursor of the page after.

        What this process counted is written before. Raises BadInputError, BadRequestError.
        """
        self.write()
        newest = (column.desc() for column in _NEWEST_FIRST)
        query = sa.select(deliveries).order_by(*newest).limit(check_limit(limit) + 1)
        if tenant is not None:
            query = query.where(deliveries.c.tenant == tenant)
        if state is not None:
            query = query.where(_in_state(state))
        if place := place_of(cursor, str, str, str, str, str):
            query = query.where(sa.tuple_(*_NEWEST_FIRST) < (_minute(place[0]), *place[1:]))
        with self._database.read() as con:
            found = [dict(row._mapping) for row in con.execute(query)]
        return cut(found, limit, lambda row: (row["minute"].isoformat(), *(row[c.name] for c in _NEWEST_FIRST[1:])))


def state_of(outcome: str) -> str:
    """Return which of STATES an outcome is."""
    return {"accepted": STATES[0], "partly_refused": STATES[1]}.get(outcome, STATES[2])


def why_refused(outcome: str, reason: str) -> str:
    """Say why a delivery was refused: of a problem what it means, of events the reason of the first."""
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


def _minute(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        raise BadRequestError("this cursor is not the 'next' of a page before") from None


def _adding(dialect: str) -> sa.Insert:
    """Return what adds the counts of a row to those that are there, whoever else does."""
    insert: Any = (sqlite if dialect == "sqlite" else postgresql).insert(deliveries)
    sums = {name: deliveries.c[name] + insert.excluded[name] for name in _COUNTS}
    adding: sa.Insert = insert.on_conflict_do_update(index_elements=_NAMED, set_=sums)
    return adding


def _beyond() -> sa.Delete:
    """Return what deletes the rows of a key and outcome beyond MOST_ROWS."""
    mine = deliveries.c.key == sa.bindparam("of_key"), deliveries.c.outcome == sa.bindparam("of_outcome")
    newest = sa.select(deliveries.c.minute).where(*mine).order_by(deliveries.c.minute.desc())
    return deliveries.delete().where(*mine, deliveries.c.minute <= newest.limit(1).offset(MOST_ROWS).scalar_subquery())
