"""Suggested topics of tenants: groups of unlabelled messages from run to run, what became of each, and what people decided.

Words and centres come from texts, and examples name messages, so they are encrypted. A run is stored whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa

from hubbub.control.database import Database, metadata, now
from hubbub.control.encryption import Encryption
from hubbub.errors import ConflictError, NotFoundError

topic_suggestions = sa.Table(
    "topic_suggestions", metadata,
    sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("label", sa.String(200), nullable=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("made_at", sa.DateTime, nullable=False),
)  # fmt: skip
topic_suggestion_runs = sa.Table(
    "topic_suggestion_runs", metadata,
    sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.id"), primary_key=True),
    sa.Column("run", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("read", sa.Integer, nullable=False),
    sa.Column("last_number", sa.Integer, nullable=False),
    sa.Column("made_at", sa.DateTime, nullable=False),
)  # fmt: skip
topic_suggestion_turns = sa.Table(
    "topic_suggestion_turns", metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.id"), nullable=False, index=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("fate", sa.String(20), nullable=False),
    sa.Column("other", sa.Integer, nullable=True),
    sa.Column("made_by", sa.String(200), nullable=False),
    sa.Column("made_at", sa.DateTime, nullable=False),
    sqlite_autoincrement=True,
)  # fmt: skip
RUNS_KEPT = 2


class TopicState(StrEnum):
    """What people decided about a suggested topic: nothing yet, or yes, or no."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True)
class Mentioned:
    """An example message of a topic, and who wrote it."""

    key: str
    contact_id: str | None


@dataclass(frozen=True, slots=True)
class Body:
    """The encrypted part: words, rule words, examples, the centre (base64 of 32-bit floats), and the figures of its messages.

    `unresolved`: share of its conversations; `handling_ms`: their mean time from opening to last resolve; None: not known.
    """

    words: tuple[str, ...]
    rule: tuple[str, ...]
    examples: tuple[Mentioned, ...]
    centre: str
    messages: int
    people: int
    conversations: int
    unresolved: float | None
    handling_ms: float | None


@dataclass(frozen=True, slots=True)
class StoredTopic:
    """A suggested topic; `label`: its accepted name."""

    number: int
    state: TopicState
    label: str | None
    body: Body
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """A run: its number, a digest of the messages it read and their count, and the highest number of a topic so far."""

    run: int = 0
    digest: str = ""
    read: int = 0
    last_number: int = 0
    made_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoredTurn:
    """An entry of a topic's history: born, split, merged, died, accepted, dismissed; `other` as in `clusters.Turn`."""

    number: int
    fate: str
    other: int | None
    made_by: str
    made_at: datetime


class TopicSuggestions:
    """Suggested topics of tenants."""

    def __init__(self, database: Database, encryption: Encryption) -> None:
        self._database, self._encryption = database, encryption
        database.make(topic_suggestions, topic_suggestion_runs, topic_suggestion_turns)

    def last_run(self, tenant: str) -> Run:
        """Return the last run; run 0 before any."""
        table = topic_suggestion_runs
        query = sa.select(table).where(table.c.tenant == tenant).order_by(table.c.run.desc()).limit(1)
        with self._database.read() as con:
            row = con.execute(query).first()
        return Run(row.run, row.digest, row.read, row.last_number, row.made_at) if row is not None else Run()

    def of(self, tenant: str) -> list[StoredTopic]:
        """Return a tenant's topics by number."""
        table = topic_suggestions
        query = sa.select(table).where(table.c.tenant == tenant).order_by(table.c.number)
        with self._database.read() as con:
            return [self._topic(row) for row in con.execute(query)]

    def turns(self, tenant: str, limit: int) -> list[StoredTurn]:
        """Return the history of a tenant's topics, newest first."""
        table = topic_suggestion_turns
        query = sa.select(table).where(table.c.tenant == tenant).order_by(table.c.id.desc()).limit(limit)
        with self._database.read() as con:
            return [StoredTurn(row.number, row.fate, row.other, row.made_by, row.made_at) for row in con.execute(query)]

    def store(
        self, tenant: str, after: Run, digest: str, read: int, bodies: Mapping[int, Body],
        turns: Sequence[tuple[int, str, int | None]],
    ) -> None:  # fmt: skip
        """Store the run after another: topics by number, and what became of others; undecided ones not among them are deleted.

        Raises ConflictError when another process stored a run meanwhile.
        """
        highest = max(after.last_number, *bodies, 0)
        run = {
            "tenant": tenant, "run": after.run + 1, "digest": digest, "read": read, "last_number": highest,
            "made_at": now(),
        }  # fmt: skip
        table = topic_suggestions
        own = table.c.tenant == tenant
        try:
            with self._database.write() as con:
                con.execute(topic_suggestion_runs.insert().values(run))
                old = topic_suggestion_runs.c.tenant == tenant, topic_suggestion_runs.c.run <= after.run + 1 - RUNS_KEPT
                con.execute(topic_suggestion_runs.delete().where(*old))
                stored = {row.number: row.state for row in con.execute(sa.select(table).where(own))}
                gone = [n for n, state in stored.items() if n not in bodies and state == TopicState.OPEN]
                con.execute(table.delete().where(own, table.c.number.in_(gone)))
                for number, body in bodies.items():
                    self._put(con, tenant, number, body, new=number not in stored)
                for number, fate, other in turns:
                    _note(con, tenant, number, fate, other, "")
        except sa.exc.IntegrityError:
            raise ConflictError("another run suggested topics meanwhile; its suggestions are stored") from None

    def decide(self, tenant: str, number: int, state: TopicState, label: str | None, by: str) -> None:
        """Store a person's decision. Raises NotFoundError for an unknown topic, ConflictError for a decided one."""
        table = topic_suggestions
        same = table.c.tenant == tenant, table.c.number == number
        with self._database.write() as con:
            row = con.execute(sa.select(table.c.state).where(*same)).first()
            if row is None:
                raise NotFoundError("there is no such suggested topic")
            if row.state != TopicState.OPEN:
                raise ConflictError(f"topic {number} is {row.state} already")
            con.execute(table.update().where(*same).values(state=state.value, label=label))
            _note(con, tenant, number, state.value, None, by)

    def forget(self, tenant: str, names: Callable[[str], bool]) -> None:
        """Delete the examples whose JSON text matches `names`."""
        for topic in self.of(tenant):
            kept = tuple(example for example in topic.body.examples if not names(json.dumps(asdict(example))))
            if kept != topic.body.examples:
                with self._database.write() as con:
                    self._put(con, tenant, topic.number, replace(topic.body, examples=kept), new=False)

    def _put(self, con: sa.Connection, tenant: str, number: int, body: Body, *, new: bool) -> None:
        table = topic_suggestions
        sealed = self._encryption.seal(json.dumps(asdict(body)), tenant, str(number), "suggested topic")
        if new:
            values = {
                "tenant": tenant, "number": number, "state": TopicState.OPEN.value, "body": sealed, "made_at": now(),
            }  # fmt: skip
            con.execute(table.insert().values(values))
        else:
            con.execute(table.update().where(table.c.tenant == tenant, table.c.number == number).values(body=sealed))

    def _topic(self, row: sa.Row[tuple[object, ...]]) -> StoredTopic:
        values = json.loads(self._encryption.open(bytes(row.body), row.tenant, str(row.number), "suggested topic"))
        examples = tuple(Mentioned(**example) for example in values.pop("examples"))
        words, rule = tuple(values.pop("words")), tuple(values.pop("rule"))
        return StoredTopic(
            row.number,
            TopicState(row.state),
            row.label,
            Body(words=words, rule=rule, examples=examples, **values),
            row.made_at,
        )


def _note(con: sa.Connection, tenant: str, number: int, fate: str, other: int | None, by: str) -> None:
    values = {"tenant": tenant, "number": number, "fate": fate, "other": other, "made_by": by[:200], "made_at": now()}
    con.execute(topic_suggestion_turns.insert().values(values))
