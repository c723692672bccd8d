"""Targets of tenants: limits in minutes for answering and resolving, each from a local day on.

A tenant's targets are part of the tenant (`Tenant.targets`): a change is seen by every process, and no cached answer outlives it.
"""

from __future__ import annotations

import secrets
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from hubbub.control.database import metadata, now
from hubbub.errors import BadInputError
from hubbub.model.target import LONGEST_NAME, MOST_TARGETS, Aim, Target

targets = sa.Table(
    "targets", metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.id"), nullable=False, index=True),
    sa.Column("aim", sa.String(20), nullable=False),
    sa.Column("minutes", sa.Integer, nullable=False),
    sa.Column("business", sa.Boolean, nullable=False),
    sa.Column("channel", sa.String(LONGEST_NAME), nullable=True),
    sa.Column("priority", sa.String(LONGEST_NAME), nullable=True),
    sa.Column("share", sa.Float, nullable=True),
    sa.Column("valid_from", sa.Date, nullable=False),
    sa.Column("valid_to", sa.Date, nullable=True),
    sa.Column("created_at", sa.DateTime, nullable=False),
)  # fmt: skip


def new_id() -> str:
    """Return an id for a target."""
    return f"tgt_{secrets.token_hex(8)}"


def stored(con: sa.Connection, tenant: str | None = None) -> dict[str, tuple[Target, ...]]:
    """Return the targets of all tenants, or of one, by tenant: by aim, then by the day they are in force from."""
    query = sa.select(targets).order_by(targets.c.aim, targets.c.valid_from, targets.c.id)
    if tenant is not None:
        query = query.where(targets.c.tenant == tenant)
    by_tenant: dict[str, list[Target]] = {}
    for row in con.execute(query):
        by_tenant.setdefault(row.tenant, []).append(_target(row))
    return {name: tuple(targets) for name, targets in by_tenant.items()}


def put(con: sa.Connection, tenant: str, target: Target) -> None:
    """Store a target in place of the one with the same aim, channel, priority and first day.

    Raises BadInputError beyond `MOST_TARGETS`.
    """
    same = (
        targets.c.tenant == tenant,
        targets.c.aim == target.aim.value,
        targets.c.channel.is_not_distinct_from(target.channel),
        targets.c.priority.is_not_distinct_from(target.priority),
        targets.c.valid_from == target.valid_from,
    )
    con.execute(targets.delete().where(*same))
    count = con.execute(sa.select(sa.func.count()).select_from(targets).where(targets.c.tenant == tenant)).scalar_one()
    if count >= MOST_TARGETS:
        raise BadInputError(f"this tenant has {MOST_TARGETS} targets, the maximum")
    con.execute(targets.insert().values(
        id=target.id, tenant=tenant, aim=target.aim.value, minutes=target.minutes, business=target.business,
        channel=target.channel, priority=target.priority, share=target.share, valid_from=target.valid_from,
        valid_to=target.valid_to, created_at=now(),
    ))  # fmt: skip


def end(con: sa.Connection, tenant: str, target: Target, today: date) -> None:
    """End a target today; one that begins today or later is deleted, since it has judged no whole day."""
    its = targets.c.tenant == tenant, targets.c.id == target.id
    if target.valid_from >= today:
        con.execute(targets.delete().where(*its))
    else:
        con.execute(targets.update().where(*its).values(valid_to=today + timedelta(days=1)))


def _target(row: sa.Row[Any]) -> Target:
    return Target(
        id=row.id, aim=Aim(row.aim), minutes=row.minutes, business=row.business, channel=row.channel, priority=row.priority,
        share=row.share, valid_from=row.valid_from, valid_to=row.valid_to,
    )  # fmt: skip
