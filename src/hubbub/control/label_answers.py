"""A model's answers by keyed digest of the text, so that no text is paid for twice; and the cost of each day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import sqlalchemy as sa

from hubbub.control.database import Database, metadata, now, slices

KEPT = timedelta(days=90)
label_answers = sa.Table(
    "label_answers", metadata,
    sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.id"), primary_key=True),
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("label", sa.String(200), nullable=True),
    sa.Column("created_at", sa.DateTime, nullable=False, index=True),
)  # fmt: skip
label_spending = sa.Table(
    "label_spending", metadata,
    sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.id"), primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("calls", sa.Integer, nullable=False),
    sa.Column("tokens_in", sa.Integer, nullable=False),
    sa.Column("tokens_out", sa.Integer, nullable=False),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spent:
    """The cost of a tenant's labels on a day: calls, tokens read and written."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0


class LabelAnswers:
    """Answers and spending of tenants."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.make(label_answers, label_spending)

    def known(self, tenant: str, digests: Sequence[str]) -> dict[str, str | None]:
        """Return the answered labels by digest; None: no label fitted."""
        table, labels = label_answers, dict[str, str | None]()
        with self._database.read() as con:
            for some in slices(digests):
                query = sa.select(table.c.digest, table.c.label).where(
                    table.c.tenant == tenant, table.c.digest.in_(some)
                )
                labels |= {row.digest: row.label for row in con.execute(query)}
        return labels

    def put(self, tenant: str, answers: Mapping[str, str | None]) -> None:
        """Store answers, and delete old ones."""
        table = label_answers
        with self._database.write() as con:
            con.execute(table.delete().where(table.c.created_at < now() - KEPT))
            for digest, label in answers.items():
                con.execute(table.delete().where(table.c.tenant == tenant, table.c.digest == digest))
                con.execute(table.insert().values(tenant=tenant, digest=digest, label=label, created_at=now()))

    def spent(self, tenant: str, day: date) -> Spent:
        """Return what was spent on a day."""
        table = label_spending
        query = sa.select(table.c.calls, table.c.tokens_in, table.c.tokens_out)
        with self._database.read() as con:
            row = con.execute(query.where(table.c.tenant == tenant, table.c.day == day)).first()
        return Spent(*row) if row is not None else Spent()

    def claim(self, tenant: str, day: date, most: int) -> bool:
        """Count a call before it is made; False if `most` were made that day: then do not call."""
        table = label_spending
        today = table.c.tenant == tenant, table.c.day == day
        with self._database.write() as con:
            done = con.execute(
                table.update().where(*today, table.c.calls < most).values(calls=table.c.calls + 1)
            ).rowcount
            if done:
                return True
            if con.execute(sa.select(table.c.calls).where(*today)).first() is not None:
                return False
            con.execute(table.insert().values(tenant=tenant, day=day, calls=1, tokens_in=0, tokens_out=0))
        return True

    def note(self, tenant: str, day: date, tokens_in: int, tokens_out: int) -> None:
        """Note the tokens of a call."""
        table = label_spending
        today = table.c.tenant == tenant, table.c.day == day
        values = {"tokens_in": table.c.tokens_in + tokens_in, "tokens_out": table.c.tokens_out + tokens_out}
        with self._database.write() as con:
            con.execute(table.update().where(*today).values(values))
