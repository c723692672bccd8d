"""Snapshots: the numbers of a tenant's whole team and of each account in a day, week or month, one JSON document each.

A snapshot has the answers of the moment at which it was made, and replaces the earlier one of its period. Once facts of a period
are deleted, its snapshot stays, and no new one is made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from hubbub.errors import NOT_NOW, BadQuestionError, HubbubError, WindowFrozenError
from hubbub.facts.moments import micros, rfc3339
from hubbub.metrics.catalogue import DEFINITION_VERSION
from hubbub.metrics.snapshots import PROVISIONAL_FOR, SECTIONS, Kind
from hubbub.model.plain import plain, typed
from hubbub.model.question import Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Window, day_of, first_day, local_midnight, next_first_day
from hubbub.query.freshness import AnswerGap
from hubbub.query.queries import Queries
from hubbub.query.result import Answer, Number
from hubbub.storage import schema
from hubbub.storage.store import Store
from hubbub.telemetry import log

TEAM = ""
"""The account of the whole team's snapshot."""
AT_ONCE = 50
"""Number of tenants written in one transaction, since each waits for the disk."""
NAMES = tuple(dict.fromkeys(name for fields in SECTIONS.values() for name in fields.values()))


@dataclass(frozen=True)
class Period:
    """A tenant's day, week or month: its first local day, and its window in UTC."""

    tenant: Tenant
    day: date
    window: Window

    def state(self, now: datetime, *, complete: bool) -> str:
        """Return its state: live, incomplete (a source has a gap), provisional (receipts may still come) or settled."""
        if self.window.end > now:
            return "live"
        if not complete:
            return "incomplete"
        return "provisional" if self.window.end + PROVISIONAL_FOR > now else "settled"


Section = Mapping[str, Number]
"""Numbers of a snapshot by field; null where unknown."""


@dataclass(frozen=True, slots=True)
class Document:
    """The numbers of a team or account over a period, as they are stored."""

    messages: Section
    campaigns: Section
    contacts: Section
    conversations: Section
    complete: bool
    """Whether the period overlaps no gap of a source."""
    gaps: Sequence[AnswerGap]
    """The gaps that it overlaps."""


Documents = Mapping[str, Document]
"""Account -> document; `TEAM` is the whole team."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The stored numbers of a team or account over a day, week or month."""

    kind: str
    """Daily, Weekly or Monthly."""
    date: str
    """The first day of the period, in the tenant's zone."""
    account_id: str | None
    """null: the whole team."""
    state: str
    """live, incomplete, provisional or settled."""
    zone: str
    """IANA name."""
    definition_version: int
    """Version of the metrics' definitions."""
    made_at: str
    """RFC 3339, UTC."""
    messages: Section
    """Total, directions, receipts and rates."""
    campaigns: Section
    """Counts, recipients and rates."""
    contacts: Section
    """Total, new, active and blocked contacts, and the engagement score."""
    conversations: Section
    """Total, open and closed conversations, and the mean response time in ms."""
    complete: bool
    """Whether the period overlaps no gap of a source."""
    gaps: Sequence[AnswerGap]
    """The gaps that it overlaps."""

    @property
    def sections(self) -> Mapping[str, Section]:
        """Its numbers by section and field."""
        return {name: getattr(self, name) for name in SECTIONS}


@dataclass(frozen=True, slots=True)
class Made:
    """The result of making snapshots: number of tenants, of documents, of tenants whose old snapshot stays; errors by tenant."""

    processed: int = 0
    created: int = 0
    kept: int = 0
    errors: Mapping[str, str] = field(default_factory=dict)


def period_of(tenant: Tenant, kind: Kind, day: date | None, now: datetime) -> Period:
    """Return the period with `day`, or without a day the last one that ended by `now`, in the tenant's zone."""
    grain = kind.grain
    first = first_day(day_of(now, tenant.tz), grain)
    first = first_day(first - timedelta(days=1), grain) if day is None else first_day(day, grain)
    span = Window(local_midnight(first, tenant.tz), local_midnight(next_first_day(first, grain), tenant.tz))
    return Period(tenant, first, span)


def make(
    store: Store,
    queries: Queries,
    tenants: Sequence[Tenant],
    kind: Kind,
    day: date | None,
    now: datetime,
    *,
    over: datetime | None = None,
) -> Made:
    """Make the snapshots of one period for these tenants, each read at one moment and written as a whole; see `period_of`.

    Without a `day`: each tenant's last period that had ended by `over` (`now` if None). A tenant that fails is in the errors and
    keeps its old snapshot. With a single tenant the error is raised: BadQuestionError for a period that has not begun,
    WindowFrozenError if its facts are deleted. Errors of an unavailable store are always raised.
    """
    created, kept, errors = 0, 0, dict[str, str]()
    waiting: list[tuple[Period, Documents]] = []
    for tenant in tenants:
        period = period_of(tenant, kind, day, over or now)
        try:
            stays = _stays(store, period, kind, now)
            documents = {} if stays else dict(_documents(queries, period, now))
        except NOT_NOW:
            raise
        except Exception as error:  # an error of one tenant does not stop the others
            if len(tenants) == 1 and isinstance(error, HubbubError):
                raise
            log.error("snapshot failed", tenant=tenant.id, kind=kind.value, error=str(error))
            errors[tenant.id] = str(error) or type(error).__name__
            continue
        kept += stays
        created += len(documents)
        if documents:
            waiting.append((period, documents))
        if len(waiting) == AT_ONCE:
            _write(store, kind, waiting, now)
            waiting = []
    _write(store, kind, waiting, now)
    return Made(len(tenants), created, kept, errors)


def _stays(store: Store, period: Period, kind: Kind, now: datetime) -> bool:
    """Say whether the old snapshot stays because facts of its period are deleted. Raises BadQuestionError, WindowFrozenError."""
    if period.window.start >= now:
        raise BadQuestionError(f"{period.day} has not begun in {period.tenant.zone}")
    no, (start, end) = period.tenant.no, (micros(period.window.start), micros(period.window.end))
    with store.facts.read() as reading:
        gone = "SELECT 1 FROM kept WHERE tenant = ? AND what = 'facts' AND gone_from < ? AND since > ?"
        if reading.value(gone, (no, end, start)) is None:
            return False
        existing = "SELECT state FROM snapshot WHERE tenant = ? AND kind = ? AND date = ? AND account = ?"
        if reading.value(existing, (no, kind.value, period.day.isoformat(), TEAM)) in ("settled", "incomplete"):
            return True
    raise WindowFrozenError(
        f"facts of {period.day} are past retention: an old snapshot stays, a new one cannot be made"
    )


def _write(store: Store, kind: Kind, periods: Sequence[tuple[Period, Documents]], now: datetime) -> None:
    """Replace the snapshots of some tenants' periods."""
    if not periods:
        return
    with store.facts.write() as writing:
        for period, documents in periods:
            key = (period.tenant.no, kind.value, period.day.isoformat())
            complete = all(document.complete for document in documents.values())
            columns = (
                micros(period.window.start), micros(period.window.end), period.tenant.zone, period.state(now, complete=complete),
                DEFINITION_VERSION, micros(now),
            )  # fmt: skip
            writing.run("DELETE FROM snapshot WHERE tenant = ? AND kind = ? AND date = ?", key)
            writing.many(
                schema.insert("snapshot"),
                [
                    (*key, account, *columns, json.dumps(plain(document), ensure_ascii=False))
                    for account, document in documents.items()
                ],
            )


def _documents(queries: Queries, period: Period, now: datetime) -> Iterator[tuple[str, Document]]:
    """Yield the documents of the team and of each account with an event before the period's end."""
    tenant, window = period.tenant, period.window
    ever = Question(("events",), local_midnight(date(2000, 1, 1), tenant.tz), min(window.end, now), by=("account_id",))
    with queries.at_once(tenant) as ask:
        team = ask(Question(NAMES, window.start, window.end))
        accounts = sorted(account for (account,) in ask(ever).dims if account)
        split = ask(Question(NAMES, window.start, window.end, by=("account_id",))) if accounts else team
        places = {dims: row for row, dims in enumerate(split.dims)}
        silent = [account for account in accounts if (account,) not in places]
        # accounts without numbers share a document
        quiet = ask(Question(NAMES, window.start, window.end, where={"account_id": (silent[0],)})) if silent else team
    yield TEAM, _document(team, 0)
    for account in accounts:
        row = places.get((account,))
        yield account, _document(quiet, 0) if row is None else _document(split, row)


def _document(answer: Answer, row: int) -> Document:
    values = {name: column.values[row] for name, column in answer.columns.items()}
    sections = {
        section: {name: values[metric] for name, metric in fields.items()} for section, fields in SECTIONS.items()
    }
    return Document(**sections, complete=answer.freshness.complete, gaps=answer.freshness.gaps or [])


def unsettled(store: Store, now: datetime) -> list[tuple[Kind, date, list[int]]]:
    """Return the periods of snapshots that were made too early and can be settled now: kind, date, tenant numbers."""
    early: dict[tuple[str, str], list[int]] = {}
    with store.facts.read() as reading:
        for day, kind, no in reading.rows(
            "SELECT DISTINCT date, kind, tenant FROM snapshot WHERE state <> 'settled' AND window_end <= ? ORDER BY 1, 2, 3",
            (micros(now - PROVISIONAL_FOR),),
        ):
            early.setdefault((day, kind), []).append(no)
    return [(Kind(kind), date.fromisoformat(day), numbers) for (day, kind), numbers in early.items()]


def read(
    store: Store, tenant: Tenant, start: date, end: date, kind: Kind | None = None, account: str | None = None
) -> list[Snapshot]:
    """Return the stored snapshots whose periods begin in `[start, end)`, by kind, date and account.

    `account`: an account's id, '' for the whole team only, None for all.
    """
    with store.facts.read() as reading:
        rows = reading.rows(
            "SELECT kind, date, account, state, zone, definition_version, made_at, document FROM snapshot "
            "WHERE tenant = :tenant AND date >= :start AND date < :finish AND kind = coalesce(:kind, kind) "
            "AND account = coalesce(:account, account) "
            "ORDER BY CASE kind WHEN 'Daily' THEN 0 WHEN 'Weekly' THEN 1 ELSE 2 END, date, account",
            {
                "tenant": tenant.no, "start": start.isoformat(), "finish": end.isoformat(),
                "kind": kind.value if kind else None, "account": account,
            },
        )  # fmt: skip
    return [_snapshot(*row) for row in rows]


def _snapshot(
    kind: str, date: str, account: str, state: str, zone: str, version: int, made_at: int, document: str
) -> Snapshot:
    stored = typed(Document, {"complete": True, "gaps": []} | json.loads(document))  # older documents lack these two
    return Snapshot(
        kind, date, account or None, state, zone, version, rfc3339(made_at),
        stored.messages, stored.campaigns, stored.contacts, stored.conversations, stored.complete, stored.gaps,
    )  # fmt: skip
