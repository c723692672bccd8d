"""Alert rules and incidents: rules, how far each was evaluated, and incidents with their history.

One transaction writes what an evaluation decides (incidents, entries, messages, progress), and only if the rule is still as it was
read: a rule is evaluated once for each window, however many processes try.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from hubbub.control.database import Database, aware, metadata, new_id, now
from hubbub.control.outbox import Draft, enqueue
from hubbub.errors import BadInputError, NotFoundError
from hubbub.model.plain import JsonObject
from hubbub.model.window import utc_naive

MOST_RULES = 200
"""Rules of a tenant."""
KEPT = timedelta(days=400)
"""Time for which closed incidents are kept."""

rules = sa.Table(
    "alert_rules", metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.id"), nullable=False, index=True),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("paused", sa.Boolean, nullable=False, default=False),
    sa.Column("judged_to", sa.DateTime, nullable=False),
    sa.Column("evaluations", sa.Integer, nullable=False, default=0),
    sa.Column("error", sa.String(500), nullable=False, default=""),
    sa.Column("created_at", sa.DateTime, nullable=False),
    sa.Column("changed_at", sa.DateTime, nullable=False),
)  # fmt: skip
skipped = sa.Table(
    "alert_windows_skipped", metadata,
    sa.Column("rule", sa.String(40), primary_key=True),
    sa.Column("start", sa.DateTime, primary_key=True),
    sa.Column("slice", sa.String(512), primary_key=True),
    sa.Column("tenant", sa.String(63), nullable=False),
    sa.Column("why", sa.String(200), nullable=False),
)  # fmt: skip
"""Windows that could not be evaluated in time, and may be later."""
incidents = sa.Table(
    "incidents", metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.id"), nullable=False),
    sa.Column("rule", sa.String(40), nullable=False),
    sa.Column("slice", sa.String(512), nullable=False),
    sa.Column("title", sa.String(400), nullable=False),
    sa.Column("start", sa.DateTime, nullable=False),
    sa.Column("fired_to", sa.DateTime, nullable=False),
    sa.Column("value", sa.Float, nullable=False),
    sa.Column("usual", sa.Float, nullable=True),
    sa.Column("peak", sa.Float, nullable=False),
    sa.Column("peak_at", sa.DateTime, nullable=False),
    sa.Column("quiet", sa.Integer, nullable=False, default=0),
    sa.Column("opened_at", sa.DateTime, nullable=False),
    sa.Column("closed_at", sa.DateTime, nullable=True),
    sa.Column("acknowledged_at", sa.DateTime, nullable=True),
    sa.Column("snoozed_until", sa.DateTime, nullable=True),
    sa.Index("incidents_of_tenant", "tenant", "id"),
    sa.Index("incidents_of_rule", "rule", "closed_at"),
)  # fmt: skip
entries = sa.Table(
    "incident_entries", metadata,
    sa.Column("no", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("tenant", sa.String(63), nullable=False),
    sa.Column("incident", sa.String(40), nullable=False, index=True),
    sa.Column("at", sa.DateTime, nullable=False),
    sa.Column("what", sa.String(20), nullable=False),
    sa.Column("text", sa.String(500), nullable=False),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A tenant's rule; evaluated for windows up to `judged_to` (aware). `error`: why it cannot be evaluated now."""

    id: str
    tenant: str
    document: JsonObject
    paused: bool
    judged_to: datetime
    evaluations: int
    error: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Incident:
    """One cause: a rule and a slice, from the start of the first window that fired to the end of the last. Times are aware.

    `value` and `usual` are those of the first window; `peak` is the farthest value so far.
    """

    id: str
    tenant: str
    rule: str
    slice: str
    title: str
    start: datetime
    fired_to: datetime
    value: float
    usual: float | None
    peak: float
    peak_at: datetime
    quiet: int
    opened_at: datetime
    closed_at: datetime | None = None
    acknowledged_at: datetime | None = None
    snoozed_until: datetime | None = None

    @property
    def state(self) -> Literal["open", "acknowledged", "snoozed", "closed"]:
        """closed, acknowledged, snoozed or open."""
        if self.closed_at is not None:
            return "closed"
        return "acknowledged" if self.acknowledged_at else "snoozed" if self.snoozed_until else "open"


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of an incident: opened, updated, late, closed, notified, not_notified, acknowledged, snoozed; with a text."""

    incident: str
    at: datetime
    what: str
    text: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A window of a rule that could not be evaluated, and why."""

    start: datetime
    slice: str
    why: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The result of an evaluation: changed incidents, entries, messages to send, windows skipped and caught up on."""

    judged_to: datetime
    incidents: Sequence[Incident] = ()
    entries: Sequence[Entry] = ()
    messages: Sequence[Draft] = ()
    skipped: Sequence[Skipped] = ()
    caught_up: Sequence[Skipped] = ()


def add_rule(
    con: sa.Connection, tenant: str, document: JsonObject, judged_to: datetime, *, paused: bool = False
) -> str:
    """Store a rule that is evaluated from a moment on; returns its id. Raises BadInputError beyond `MOST_RULES`."""
    count = con.execute(sa.select(sa.func.count()).select_from(rules).where(rules.c.tenant == tenant)).scalar_one()
    if count >= MOST_RULES:
        raise BadInputError(f"this tenant has {count} rules, and {MOST_RULES} are allowed: remove some")
    id_ = new_id("rule")
    con.execute(rules.insert().values(
        id=id_, tenant=tenant, document=json.dumps(document), paused=paused, judged_to=utc_naive(judged_to), evaluations=0,
        error="", created_at=now(), changed_at=now(),
    ))  # fmt: skip
    return id_


def change_rule(con: sa.Connection, tenant: str, id_: str, *, judged_to: datetime | None = None, **values: Any) -> None:
    """Change `document`, `paused` or `error` of a rule, and from when on it is evaluated."""
    if "document" in values:
        values["document"] = json.dumps(values["document"])
    if judged_to is not None:
        values["judged_to"] = utc_naive(judged_to)
    con.execute(rules.update().where(rules.c.id == id_, rules.c.tenant == tenant).values(**values, changed_at=now()))


class Alerts:
    """Rules and incidents of all tenants."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.make(rules, skipped, incidents, entries)

    def move_back(self, moment: datetime) -> None:
        """Let rules that were evaluated beyond a time (aware) continue from it, after the clock went back."""
        at = utc_naive(moment)
        with self._database.write() as con:
            con.execute(rules.update().where(rules.c.judged_to > at).values(judged_to=at))

    # --- rules

    def add(self, tenant: str, document: JsonObject, judged_to: datetime) -> StoredRule:
        """Store a rule that is evaluated from a moment on. Raises BadInputError beyond `MOST_RULES`."""
        with self._database.write() as con:
            id_ = add_rule(con, tenant, document, judged_to)
        return self.rule(tenant, id_)

    def change(self, tenant: str, id_: str, *, judged_to: datetime | None = None, **values: Any) -> StoredRule:
        """Change `document`, `paused` or `error` of a rule. Raises NotFoundError."""
        self.rule(tenant, id_)
        with self._database.write() as con:
            change_rule(con, tenant, id_, judged_to=judged_to, **values)
        return self.rule(tenant, id_)

    def remove(self, tenant: str, id_: str) -> None:
        """Delete a rule with its incidents. Raises NotFoundError."""
        self.rule(tenant, id_)
        of_rule = sa.select(incidents.c.id).where(incidents.c.rule == id_)
        with self._database.write() as con:
            con.execute(entries.delete().where(entries.c.incident.in_(of_rule)))
            con.execute(incidents.delete().where(incidents.c.rule == id_))
            con.execute(skipped.delete().where(skipped.c.rule == id_))
            con.execute(rules.delete().where(rules.c.id == id_))

    def rule(self, tenant: str, id_: str) -> StoredRule:
        """Return a rule of a tenant. Raises NotFoundError, also for another tenant's."""
        rows = self._rules(rules.c.id == id_, rules.c.tenant == tenant)
        if not rows:
            raise NotFoundError(f"there is no rule {id_[:40]!r}")
        return rows[0]

    def rules(self, tenant: str) -> list[StoredRule]:
        """Return a tenant's rules, oldest first."""
        return self._rules(rules.c.tenant == tenant)

    def tenants(self) -> list[str]:
        """Return the tenants with rules that are not paused."""
        with self._database.read() as con:
            return list(
                con.execute(
                    sa.select(rules.c.tenant).where(~rules.c.paused).distinct().order_by(rules.c.tenant)
                ).scalars()
            )

    def _rules(self, *where: sa.ColumnElement[bool]) -> list[StoredRule]:
        with self._database.read() as con:
            return [
                StoredRule(
                    row.id, row.tenant, json.loads(row.document), bool(row.paused), aware(row.judged_to), row.evaluations,
                    row.error,
                    aware(row.created_at),
                )
                for row in con.execute(sa.select(rules).where(*where).order_by(rules.c.id))
            ]  # fmt: skip

    # --- evaluation

    def decide(self, rule: StoredRule, decision: Decision) -> bool:
        """Write a decision and return True; write nothing and return False if another process evaluated the rule."""
        moved = rules.update().where(rules.c.id == rule.id, rules.c.evaluations == rule.evaluations)
        values = {"judged_to": utc_naive(decision.judged_to), "evaluations": rule.evaluations + 1, "error": ""}
        with self._database.write() as con:
            if con.execute(moved.values(values)).rowcount != 1:
                return False
            for incident in decision.incidents:
                _put(con, incident)
            for entry in decision.entries:
                con.execute(entries.insert().values(_entry_row(rule.tenant, entry)))
            for window in (*decision.caught_up, *decision.skipped):
                same = (
                    skipped.c.rule == rule.id,
                    skipped.c.start == utc_naive(window.start),
                    skipped.c.slice == window.slice,
                )
                con.execute(skipped.delete().where(*same))
            for window in decision.skipped:
                con.execute(skipped.insert().values(
                    rule=rule.id, tenant=rule.tenant, start=utc_naive(window.start), slice=window.slice, why=window.why[:200],
                ))  # fmt: skip
            for draft in decision.messages:
                enqueue(con, draft)
        return True

    def skipped(self, rule: str, since: datetime | None = None) -> list[Skipped]:
        """Return the skipped windows of a rule, oldest first."""
        query = sa.select(skipped).where(skipped.c.rule == rule).order_by(skipped.c.start).limit(10_000)
        if since is not None:
            query = query.where(skipped.c.start >= utc_naive(since))
        with self._database.read() as con:
            return [Skipped(aware(row.start), row.slice, row.why) for row in con.execute(query)]

    # --- incidents

    def last(self, rule: str) -> dict[str, Incident]:
        """Return the newest incident of each slice of a rule."""
        newest = sa.select(sa.func.max(incidents.c.id)).where(incidents.c.rule == rule).group_by(incidents.c.slice)
        return {incident.slice: incident for incident in self._incidents(incidents.c.id.in_(newest))}

    def incident(self, tenant: str, id_: str) -> Incident:
        """Return an incident of a tenant. Raises NotFoundError."""
        rows = self._incidents(incidents.c.id == id_, incidents.c.tenant == tenant)
        if not rows:
            raise NotFoundError(f"there is no incident {id_[:40]!r}")
        return rows[0]

    def page(
        self, tenant: str, *, is_open: bool | None = None, rule: str | None = None, before: str = "", limit: int = 50
    ) -> list[Incident]:
        """Return a tenant's incidents, newest first, before an id."""
        where = [incidents.c.tenant == tenant]
        if is_open is not None:
            where.append(incidents.c.closed_at.is_(None) if is_open else incidents.c.closed_at.is_not(None))
        if rule is not None:
            where.append(incidents.c.rule == rule)
        if before:
            where.append(incidents.c.id < before)
        return self._incidents(*where, limit=limit)

    def entries(self, incident: str) -> list[Entry]:
        """Return the entries of an incident, newest first."""
        query = sa.select(entries).where(entries.c.incident == incident).order_by(entries.c.no.desc()).limit(500)
        with self._database.read() as con:
            return [Entry(row.incident, aware(row.at), row.what, row.text) for row in con.execute(query)]

    def note(self, incident: Incident, entry: Entry, **values: datetime | None) -> Incident:
        """Change an incident (`acknowledged_at`, `snoozed_until`) and add an entry about it."""
        plain = {name: utc_naive(value) if value is not None else None for name, value in values.items()}
        with self._database.write() as con:
            if plain:
                con.execute(incidents.update().where(incidents.c.id == incident.id).values(plain))
            con.execute(entries.insert().values(_entry_row(incident.tenant, entry)))
        return replace(incident, **values) if values else incident  # type: ignore[arg-type]

    def snoozed(self, until: datetime) -> list[Incident]:
        """Return open incidents whose snooze ends by a moment."""
        return self._incidents(incidents.c.closed_at.is_(None), incidents.c.snoozed_until <= utc_naive(until))

    def forget(self, before: datetime) -> None:
        """Delete incidents that closed before a moment, and windows skipped before it."""
        old = sa.select(incidents.c.id).where(incidents.c.closed_at < utc_naive(before))
        with self._database.write() as con:
            con.execute(entries.delete().where(entries.c.incident.in_(old)))
            con.execute(incidents.delete().where(incidents.c.closed_at < utc_naive(before)))
            con.execute(skipped.delete().where(skipped.c.start < utc_naive(before)))

    def _incidents(self, *where: sa.ColumnElement[bool], limit: int = 1000) -> list[Incident]:
        with self._database.read() as con:
            rows = con.execute(
                sa.select(incidents).where(*where).order_by(incidents.c.id.desc()).limit(limit)
            ).mappings()
            return [Incident(**{name: aware(value) for name, value in row.items()}) for row in rows]


def _put(con: sa.Connection, incident: Incident) -> None:
    """Store an evaluated incident; what people did meanwhile (acknowledge, snooze) stays."""
    row = _row(incident)
    judged = {name: value for name, value in row.items() if name not in ("acknowledged_at", "snoozed_until")}
    if con.execute(incidents.update().where(incidents.c.id == incident.id).values(judged)).rowcount == 0:
        con.execute(incidents.insert().values(row))


def _row(incident: Incident) -> JsonObject:
    values = {name: getattr(incident, name) for name in Incident.__slots__}
    return {name: utc_naive(value) if isinstance(value, datetime) else value for name, value in values.items()}


def _entry_row(tenant: str, entry: Entry) -> JsonObject:
    return {
        "tenant": tenant,
        "incident": entry.incident,
        "at": utc_naive(entry.at),
        "what": entry.what,
        "text": entry.text[:500],
    }
