"""Versions of a tenant's label configuration: each change of labels, rules or classifiers adds one; none ever changes.

A version names the classifier in use for each label set.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from hubbub.control.database import Database, metadata, now
from hubbub.errors import ConflictError
from hubbub.model.plain import JsonObject

label_configurations = sa.Table(
    "label_configurations", metadata,
    sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.id"), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("classifiers", sa.Text, nullable=False),
    sa.Column("what", sa.String(500), nullable=False),
    sa.Column("made_by", sa.String(200), nullable=False),
    sa.Column("made_at", sa.DateTime, nullable=False),
)  # fmt: skip


@dataclass(frozen=True)
class Version:
    """A version: the configuration as plain values, and label set -> number of the classifier in use.

    Version 0 is every tenant's first; its `document` is empty.
    """

    number: int = 0
    document: JsonObject = field(default_factory=dict)
    classifiers: Mapping[str, int] = field(default_factory=dict)
    what: str = "the starter"
    made_by: str = ""
    made_at: datetime | None = None


class LabelConfigurations:
    """Versions of tenants' configurations."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.make(label_configurations)

    def current(self, tenant: str) -> Version:
        """Return the current version."""
        return next(iter(self.versions(tenant, 1)), Version())

    def versions(self, tenant: str, limit: int = 100) -> list[Version]:
        """Return a tenant's versions, newest first."""
        table = label_configurations
        query = sa.select(table).where(table.c.tenant == tenant).order_by(table.c.version.desc()).limit(limit)
        with self._database.read() as con:
            return [
                Version(
                    row.version,
                    json.loads(row.document),
                    json.loads(row.classifiers),
                    row.what,
                    row.made_by,
                    row.made_at,
                )
                for row in con.execute(query)
            ]

    def add(
        self,
        tenant: str,
        after: Version,
        document: JsonObject,
        classifiers: Mapping[str, int],
        what: str,
        by: str,
    ) -> Version:
        """Add the version after another one. Raises ConflictError when somebody else added it meanwhile."""
        values = {
            "tenant": tenant, "version": after.number + 1, "document": json.dumps(document),
            "classifiers": json.dumps(dict(classifiers)), "what": what[:500], "made_by": by[:200], "made_at": now(),
        }  # fmt: skip
        try:
            with self._database.write() as con:
                con.execute(label_configurations.insert().values(values))
        except sa.exc.IntegrityError:
            raise ConflictError(
                "these labels were changed after they were read: read them again, then change them"
            ) from None
        return self.current(tenant)

    def tenants(self) -> list[str]:
        """Return the tenants that have labels of their own."""
        with self._database.read() as con:
            return sorted(con.execute(sa.select(label_configurations.c.tenant).distinct()).scalars())
