"""The facts of a tenant as known at a moment: all events received by then, folded into a temporary database.

Facts are pure functions of events, and events hold their time of receipt. So the past needs no copies of facts, only the versions
that corrections replaced: `former_version` keeps them as long as other events. Erased events are missing from the past too.
Definitions, zone, calendar and retention are those of today.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import gettempdir

from hubbub.errors import BadQuestionError
from hubbub.facts import whole
from hubbub.facts.moments import moment
from hubbub.facts.rebuild import units_of
from hubbub.facts.units import Touched, by_kind, fold
from hubbub.storage import schema, sqlite, sqlite_schema
from hubbub.storage.log import EVENT
from hubbub.storage.sqlite import errors_of
from hubbub.storage.transaction import Transaction

AT_MOST = 1_000_000
"""The most events of a tenant whose past can be folded: each takes about 40 µs."""
_EVENTS = schema.insert("event", EVENT)
_KNOWN = (
    f"SELECT {', '.join(EVENT)} FROM event WHERE tenant = :tenant AND received_at <= :at UNION ALL "
    f"SELECT {', '.join(EVENT)} FROM former_version WHERE tenant = :tenant AND received_at <= :at AND until > :at"
)
_CARRIED = ("boundary", "kept")
"""Tables that a fold needs after a cut of retention."""


@contextmanager
def known_at(reading: Transaction, tenant: int, at: int) -> Iterator[Transaction]:
    """Yield the facts of a tenant as known at a moment (microseconds), readable like today's.

    Folds all events received by then. Raises BadQuestionError when the moment is past retention or the tenant has more than AT_MOST
    events, StoreFullError without space for temporary files.
    """
    _check(reading, tenant, at)
    with closing(sqlite3.connect("", isolation_level=None)) as con:  # in memory, then in a temporary file
        facts = sqlite.Transaction(con, Path(gettempdir()))
        with errors_of(facts.path):
            sqlite_schema.create(con, "the facts of a moment")
            con.execute("BEGIN")
            con.executemany(_EVENTS, reading.scan(_KNOWN, {"tenant": tenant, "at": at}))
        for table in _CARRIED:
            columns = ", ".join(schema.TABLES[table][0])
            rows = reading.rows(f"SELECT {columns} FROM {table} WHERE tenant = ?", (tenant,))
            facts.many(schema.insert(table), rows)
        _fold(facts, tenant)
        yield facts


def _check(reading: Transaction, tenant: int, at: int) -> None:
    since = reading.value("SELECT max(since) FROM kept WHERE tenant = ? AND what IN ('facts', 'arrivals')", (tenant,))
    if since is not None and at < since:
        raise BadQuestionError(
            f"what was known on {moment(at):%Y-%m-%d} is past retention: 'as_of' can be {moment(since):%Y-%m-%dT%H:%M:%S.%fZ} or "
            "later"
        )
    counted = reading.value(
        "SELECT count(*) FROM (SELECT 1 FROM event WHERE tenant = ? LIMIT ?) AS e", (tenant, AT_MOST + 1)
    )
    if counted > AT_MOST:
        raise BadQuestionError(
            f"'as_of' is limited to tenants of {AT_MOST} events, and this tenant has more: ask without 'as_of'"
        )


def _fold(facts: Transaction, tenant: int) -> None:
    """Fold all events: at once if retention never cut, else unit by unit."""
    todo = units_of(facts, tenant)
    todo |= {
        (unit, tenant, key) for unit, key in facts.rows("SELECT unit, key FROM boundary WHERE tenant = ?", (tenant,))
    }
    cut = facts.rows("SELECT 1 FROM kept WHERE tenant = ?", (tenant,))
    if not cut and facts.value("SELECT count(*) FROM event") <= whole.AT_MOST:
        whole.write(facts, tenant, whole.fold(whole.read(facts, tenant)))
        todo = {item for item in todo if item[0] == "person"}
    done: Touched = set()
    for unit, keys in by_kind(todo):
        todo |= fold(facts, unit, tenant, keys, done)
