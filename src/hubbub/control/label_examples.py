"""Examples: labels that people gave messages, or that they skipped them. Classifiers are trained on these only.

The text of each is stored here, encrypted, and outlives the message, since the person chose to keep it as an example. It is deleted
by its contact's erasure, with the tenant, or by undoing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa

from hubbub.control.database import Database, metadata, now, slices
from hubbub.control.encryption import Encryption

label_examples = sa.Table(
    "label_examples", metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.id"), nullable=False),
    sa.Column("label_set", sa.String(20), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("label", sa.String(200), nullable=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("suggested", sa.String(200), nullable=True),
    sa.Column("suggested_by", sa.String(20), nullable=True),
    sa.Column("confidence", sa.Float, nullable=True),
    sa.Column("made_by", sa.String(200), nullable=False),
    sa.Column("made_at", sa.DateTime, nullable=False),
    sa.UniqueConstraint("tenant", "label_set", "digest"),
    sqlite_autoincrement=True,
)  # fmt: skip
"""`digest`: of the message's key; `label` null: skipped."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """The encrypted part of an example: the message's key, contact, time in microseconds, and text."""

    key: str
    text: str
    contact_id: str | None = None
    time: int | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A person's label of a message, and the suggestion they saw with its labeller and confidence. `number` orders by time."""

    number: int
    label_set: str
    label: str | None
    body: Sealed
    suggested: str | None
    suggested_by: str | None
    confidence: float | None
    made_by: str
    made_at: datetime


@dataclass(frozen=True, slots=True)
class PersonLabel:
    """A label that a person gave a message."""

    label: str
    by: str


class LabelExamples:
    """Examples of tenants. `digest(tenant, key)` replaces a message's key."""

    def __init__(self, database: Database, encryption: Encryption, digest: Callable[[str, str], str]) -> None:
        self._database, self._encryption, self._digest = database, encryption, digest
        database.make(label_examples)

    def put(
        self, tenant: str, label_set: str, label: str | None, body: Sealed, by: str, *,
        suggested: str | None = None, suggested_by: str | None = None, confidence: float | None = None,
    ) -> int:  # fmt: skip
        """Store a message's label, in place of an earlier one; returns its number."""
        digest = self._digest(tenant, body.key)
        table = label_examples
        values = {
            "tenant": tenant, "label_set": label_set, "digest": digest, "label": label,
            "body": self._encryption.seal(json.dumps(asdict(body)), tenant, label_set, digest), "suggested": suggested,
            "suggested_by": suggested_by, "confidence": confidence, "made_by": by[:200], "made_at": now(),
        }  # fmt: skip
        with self._database.write() as con:
            con.execute(table.delete().where(*_same(tenant, label_set, digest)))
            return int(con.execute(table.insert().values(values).returning(table.c.number)).scalar_one())

    def of(self, tenant: str, label_set: str | None = None, limit: int | None = None) -> list[Example]:
        """Return a tenant's examples, newest first, of all sets or one."""
        table = label_examples
        query = sa.select(table).where(table.c.tenant == tenant).order_by(table.c.number.desc()).limit(limit)
        if label_set is not None:
            query = query.where(table.c.label_set == label_set)
        with self._database.read() as con:
            return [self._example(row) for row in con.execute(query)]

    def labels_of(self, tenant: str, keys: Iterable[str]) -> dict[str, dict[str, PersonLabel]]:
        """Return people's labels of messages: key -> label set -> label, without skipped ones."""
        by_digest = {self._digest(tenant, key): key for key in keys}
        labels: dict[str, dict[str, PersonLabel]] = {}
        table = label_examples
        with self._database.read() as con:
            for some in slices(list(by_digest)):
                query = sa.select(table.c.digest, table.c.label_set, table.c.label, table.c.made_by).where(
                    table.c.tenant == tenant, table.c.digest.in_(some), table.c.label.is_not(None)
                )
                for row in con.execute(query):
                    labels.setdefault(by_digest[row.digest], {})[row.label_set] = PersonLabel(row.label, row.made_by)
        return labels

    def number(self, tenant: str, label_set: str, key: str, label: str | None) -> int | None:
        """Return the number of the example that gives a message this label; None if there is none."""
        table, digest = label_examples, self._digest(tenant, key)
        query = sa.select(table.c.number).where(
            *_same(tenant, label_set, digest), table.c.label.is_not_distinct_from(label)
        )
        with self._database.read() as con:
            number: int | None = con.execute(query).scalar()
        return number

    def seen(self, tenant: str, label_set: str, keys: Iterable[str]) -> set[str]:
        """Return the messages that somebody labelled or skipped in a set."""
        by_digest = {self._digest(tenant, key): key for key in keys}
        table = label_examples
        labelled: set[str] = set()
        with self._database.read() as con:
            for some in slices(list(by_digest)):
                query = sa.select(table.c.digest).where(
                    table.c.tenant == tenant, table.c.label_set == label_set, table.c.digest.in_(some)
                )
                labelled |= {by_digest[digest] for digest in con.execute(query).scalars()}
        return labelled

    def rename(self, tenant: str, label_set: str, old: str, new: str) -> int:
        """Give a label another name in all examples; returns in how many."""
        table = label_examples
        same = table.c.tenant == tenant, table.c.label_set == label_set, table.c.label == old
        with self._database.write() as con:
            return con.execute(table.update().where(*same).values(label=new)).rowcount

    def remove(self, tenant: str, number: int) -> None:
        """Delete an example."""
        with self._database.write() as con:
            con.execute(
                label_examples.delete().where(label_examples.c.tenant == tenant, label_examples.c.number == number)
            )

    def forget(self, tenant: str, names: Callable[[str], bool], *, dry_run: bool = False) -> int:
        """Delete, or with `dry_run` count, the examples whose JSON text matches `names`; returns how many."""
        table = label_examples
        with self._database.write() as con:
            rows = con.execute(sa.select(table).where(table.c.tenant == tenant)).all()
            gone = [row.number for row in rows if names(self._opened(row))]
            for some in slices(gone) if not dry_run else ():
                con.execute(table.delete().where(table.c.number.in_(some)))
        return len(gone)

    def _example(self, row: sa.Row[tuple[object, ...]]) -> Example:
        return Example(
            row.number, row.label_set, row.label, Sealed(**json.loads(self._opened(row))), row.suggested, row.suggested_by,
            row.confidence, row.made_by, row.made_at,
        )  # fmt: skip

    def _opened(self, row: sa.Row[tuple[object, ...]]) -> str:
        return self._encryption.open(bytes(row.body), row.tenant, row.label_set, row.digest)


def _same(tenant: str, label_set: str, digest: str) -> tuple[sa.ColumnElement[bool], ...]:
    table = label_examples
    return table.c.tenant == tenant, table.c.label_set == label_set, table.c.digest == digest
