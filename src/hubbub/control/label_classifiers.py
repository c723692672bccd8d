"""Trained classifiers of tenants, encrypted, since their terms are words of the tenant's texts. They never change."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from hubbub.control.database import Database, metadata, now
from hubbub.control.encryption import Encryption
from hubbub.errors import NotFoundError
from hubbub.model.plain import JsonObject

label_classifiers = sa.Table(
    "label_classifiers", metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.id"), nullable=False),
    sa.Column("label_set", sa.String(20), nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("report", sa.Text, nullable=False),
    sa.Column("last_example", sa.Integer, nullable=False),
    sa.Column("made_at", sa.DateTime, nullable=False),
    sqlite_autoincrement=True,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trained:
    """A classifier without its body: its label set, its report, and the newest example it was trained on."""

    number: int
    label_set: str
    report: JsonObject
    last_example: int
    made_at: datetime


class LabelClassifiers:
    """Classifiers of tenants."""

    def __init__(self, database: Database, encryption: Encryption) -> None:
        self._database, self._encryption = database, encryption
        database.make(label_classifiers)

    def put(self, tenant: str, label_set: str, body: bytes, report: JsonObject, last_example: int) -> int:
        """Store a classifier; returns its number."""
        sealed = self._encryption.seal(base64.b64encode(body).decode(), tenant, label_set, "classifier")
        values = {
            "tenant": tenant, "label_set": label_set, "body": sealed, "report": json.dumps(report),
            "last_example": last_example, "made_at": now(),
        }  # fmt: skip
        with self._database.write() as con:
            return int(
                con.execute(
                    label_classifiers.insert().values(values).returning(label_classifiers.c.number)
                ).scalar_one()
            )

    def of(self, tenant: str, limit: int = 100) -> list[Trained]:
        """Return a tenant's classifiers, newest first."""
        table = label_classifiers
        columns = table.c.number, table.c.label_set, table.c.report, table.c.last_example, table.c.made_at
        query = sa.select(*columns).where(table.c.tenant == tenant).order_by(table.c.number.desc()).limit(limit)
        with self._database.read() as con:
            return [
                Trained(row.number, row.label_set, json.loads(row.report), row.last_example, row.made_at)
                for row in con.execute(query)
            ]

    def body(self, tenant: str, number: int) -> bytes:
        """Return a tenant's classifier. Raises NotFoundError, also for another tenant's."""
        table = label_classifiers
        query = sa.select(table.c.body, table.c.label_set).where(table.c.tenant == tenant, table.c.number == number)
        with self._database.read() as con:
            row = con.execute(query).first()
        if row is None:
            raise NotFoundError(f"there is no classifier {number}")
        return base64.b64decode(self._encryption.open(bytes(row.body), tenant, row.label_set, "classifier"))
