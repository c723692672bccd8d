"""Control data: tenants, their business hours, and API keys, in SQLite or Postgres.

A key is `hub_live_<id>_<secret>` with 256 bits of secret; only an HMAC-SHA256 under this installation's pepper is stored.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import sqlalchemy as sa

from hubbub.control.changes import changes, count_change, tenant_changes
from hubbub.control.database import Database, metadata, now
from hubbub.control.encryption import derived_key, key_file
from hubbub.control.targets import stored, targets
from hubbub.errors import (
    BadInputError,
    ConflictError,
    DatabaseUnavailableError,
    NotFoundError,
    UnauthenticatedError,
)
from hubbub.model import calendar
from hubbub.model.calendar import NO_CALENDAR, Calendar
from hubbub.model.tenant import Retention, Tenant, check_minutes, check_tenant_id, check_tones, check_zone
from hubbub.model.threads import Threads, changed
from hubbub.model.window import utc_naive

SCOPES = ("ingest", "read", "export", "admin", "erase")

tenants = sa.Table(
    "tenants", metadata,
    sa.Column("no", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(63), nullable=False, unique=True),
    sa.Column("zone", sa.String(64), nullable=False),
    sa.Column("name", sa.String(200), nullable=False, default=""),
    sa.Column("retention", sa.Text, nullable=False),
    sa.Column("created_at", sa.DateTime, nullable=False),
    sa.Column("delete_at", sa.DateTime, nullable=True),
    sa.Column("hotspot_tones", sa.Text, nullable=True),
    sa.Column("contact_names", sa.Boolean, nullable=True),
    sa.Column("threads", sa.Text, nullable=True),
    sa.Column("ai_minutes_saved", sa.Float, nullable=True),
    sqlite_autoincrement=True,
)  # fmt: skip
"""No number is used twice. A tenant with a `delete_at` is closed: nobody can use it, and it is deleted at that time."""
calendars = sa.Table(
    "calendars", metadata,
    sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.id"), primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("changed_at", sa.DateTime, nullable=False),
)  # fmt: skip
keys = sa.Table(
    "api_keys", metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.id"), nullable=True),
    sa.Column("scopes", sa.String(100), nullable=False),
    sa.Column("label", sa.String(200), nullable=False, default=""),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("created_at", sa.DateTime, nullable=False),
    sa.Column("expires_at", sa.DateTime, nullable=True),
    sa.Column("revoked_at", sa.DateTime, nullable=True),
)  # fmt: skip


@dataclass(frozen=True)
class Key:
    """An API key without its secret. `tenant` None: an operator's key."""

    id: str
    tenant: str | None
    scopes: tuple[str, ...]
    label: str = ""
    created_at: datetime | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class Control:
    """Tenants and keys. Tenants are cached: a write reads its tenant again; `follow` reads all after another process's change.

    `secret`: the installation's secret key (64 hexadecimal digits, or none), from which processes without a common folder
    derive the same pepper. A folder with a pepper keeps using it.

    `revocations` counts the keys that this process revoked: caches of keys are cleared when it grows.
    """

    def __init__(self, database: Database, folder: Path, secret: str = "") -> None:
        self.database = database
        self.revocations = 0
        self._cache: dict[str, Tenant] | None = None
        self.changes = 0
        """Number of changes of tenants seen, by this process or another."""
        self.followers: list[Callable[[sa.Connection], object]] = []
        """Functions to call when another connection may have changed control data."""
        database.make(tenants, calendars, targets, keys, tenant_changes)
        self._number: int | None = None
        self._keeping_up = threading.Lock()
        self._seen: int | None = None
        self._followed = 0.0
        file = folder / "pepper"
        self._pepper = derived_key(secret, "pepper") if secret and not file.exists() else key_file(file)

    def derived(self, use: str) -> bytes:
        """Return this installation's key for one use."""
        return hmac.new(self._pepper, f"hubbub {use}".encode(), hashlib.sha256).digest()

    # --- tenants

    def follow(self) -> None:
        """Drop the cached tenants if another process changed some since the last call."""
        with self.database.read() as con:
            self._follow(con)

    def keep_up(self) -> None:
        """Do the same, cheaply enough to call before every use of a tenant.

        On SQLite at once; on PostgreSQL at most a second late, without a query each time. While the database is away the cached
        tenants stay valid, and the next call tries again.
        """
        with suppress(DatabaseUnavailableError):
            with self._keeping_up:
                number, now = self.database.changed(), monotonic()
                if number == self._seen and (number is not None or now - self._followed < 1.0):
                    return
                self._followed = now
            self.follow()
            self._seen = number

    def _follow(self, con: sa.Connection) -> None:
        number = changes(con, tenant_changes)
        if number != self._number:
            self._number = number
            self._changed()
        for follow in self.followers:
            follow(con)

    def tenants(self) -> dict[str, Tenant]:
        """Return all tenants by id."""
        known, begun = self._cache, self.changes
        if known is None:
            with self.database.read() as con:
                number = changes(con, tenant_changes)  # before the rows: a change between the two is noticed later
                known = _tenants(con)
            if begun == self.changes:  # else the rows may be out of date
                self.changes += number != self._number
                self._cache, self._number = known, number
        return known

    def tenant(self, tenant_id: str) -> Tenant:
        """Return a tenant as it is now, whoever changed it. Raises NotFoundError."""
        self.keep_up()
        match = self.tenants().get(tenant_id)
        if match is None:
            self.follow()
            match = self.tenants().get(tenant_id)
        if match is None:
            raise NotFoundError(f"there is no tenant {tenant_id[:80]!r}")
        return match

    def chosen(self, tenant_id: str | None) -> list[Tenant]:
        """Return one tenant, or (None) all, as they are now. Raises NotFoundError."""
        if tenant_id is not None:
            return [self.tenant(tenant_id)]
        self.follow()
        return list(self.tenants().values())

    def add_tenant(
        self, tenant_id: str, zone: str = "UTC", name: str = "", retention: Retention | None = None
    ) -> Tenant:
        """Create a tenant. Raises BadInputError for a bad id or zone, ConflictError when it exists."""
        check_tenant_id(tenant_id)
        check_zone(zone)
        values = {
            "id": tenant_id, "zone": zone, "name": name[:200], "retention": json.dumps(asdict(retention or Retention())),
            "created_at": now(),
        }  # fmt: skip
        try:
            with self.changing(tenant_id) as con:
                con.execute(tenants.insert().values(values))
        except sa.exc.IntegrityError:
            raise ConflictError(f"tenant {tenant_id!r} exists already") from None
        return self.tenant(tenant_id)

    def change_tenant(
        self,
        tenant_id: str,
        *,
        zone: str | None = None,
        name: str | None = None,
        retention: Retention | None = None,
        hotspot_tones: Sequence[str] | None = None,
        contact_names: bool | None = None,
        threads: Threads | None = None,
        ai_minutes_saved: float | None = None,
    ) -> Tenant:
        """Change the given properties of a tenant. A changed zone affects numbers from the next refresh."""
        self.tenant(tenant_id)
        values: dict[str, str | bool | float | None] = {}
        if zone is not None:
            values["zone"] = check_zone(zone)
        if name is not None:
            values["name"] = name[:200]
        if retention is not None:
            values["retention"] = json.dumps(asdict(retention))
        if hotspot_tones is not None:
            values["hotspot_tones"] = json.dumps(check_tones(hotspot_tones))
        if contact_names is not None:
            values["contact_names"] = contact_names
        if threads is not None:
            values["threads"] = json.dumps(asdict(threads))
        if ai_minutes_saved is not None:
            values["ai_minutes_saved"] = check_minutes(ai_minutes_saved)
        if values:
            with self.changing(tenant_id) as con:
                con.execute(tenants.update().where(tenants.c.id == tenant_id).values(values))
        return self.tenant(tenant_id)

    def set_calendar(self, tenant_id: str, hours: Calendar) -> Tenant:
        """Replace a tenant's business hours; removes them when `hours` has no versions."""
        self.tenant(tenant_id)
        of_tenant = calendars.c.tenant == tenant_id
        with self.changing(tenant_id) as con:
            con.execute(calendars.delete().where(of_tenant))
            if hours:
                document = json.dumps(calendar.document(hours))
                con.execute(calendars.insert().values(tenant=tenant_id, document=document, changed_at=now()))
        return self.tenant(tenant_id)

    def close_tenant(self, tenant_id: str, delete_at: datetime) -> None:
        """Close a tenant with its keys until it is reopened, or deleted at `delete_at`."""
        self.tenant(tenant_id)
        self._set_end(tenant_id, utc_naive(delete_at))
        self.revocations += 1

    def reopen_tenant(self, tenant_id: str) -> Tenant:
        """Reopen a closed tenant with all its data. Raises NotFoundError when no closed tenant has this name."""
        if tenant_id not in {tenant for _, tenant, _ in self.closed_tenants()}:
            raise NotFoundError(f"no closed tenant {tenant_id[:80]!r} waits to be deleted")
        self._set_end(tenant_id, None)
        self._changed()  # it is not the last in order
        return self.tenant(tenant_id)

    def closed_tenants(self) -> list[tuple[int, str, datetime]]:
        """Return number, id and `delete_at` (UTC without zone) of closed tenants, soonest first."""
        query = sa.select(tenants.c.no, tenants.c.id, tenants.c.delete_at).where(tenants.c.delete_at.is_not(None))
        with self.database.read() as con:
            return [(no, id_, at) for no, id_, at in con.execute(query.order_by(tenants.c.delete_at, tenants.c.no))]

    def _set_end(self, tenant_id: str, moment: datetime | None) -> None:
        with self.changing(tenant_id) as con:
            con.execute(tenants.update().where(tenants.c.id == tenant_id).values(delete_at=moment))

    @contextmanager
    def changing(self, tenant_id: str) -> Iterator[sa.Connection]:
        """Provide a transaction that changes one tenant or its targets; the cache reads it alone, unless others changed too."""
        try:
            with self.database.write() as con:
                yield con
                number = count_change(con, tenant_changes)
                changed = _tenants(con, tenant_id)
        except BaseException:
            self._changed()
            raise
        known, before = self._cache, self._number
        self._changed()
        if known is not None and before is not None and number == before + 1:
            self._cache, self._number = known | changed, number
            if not changed:  # it was closed
                self._cache.pop(tenant_id, None)

    def _changed(self) -> None:
        self.changes += 1
        self._cache = None

    # --- keys

    def add_key(
        self, tenant_id: str | None, scopes: Sequence[str], label: str = "", expires_at: datetime | None = None
    ) -> tuple[Key, str]:
        """Create a key; returns it with its full text, which is never shown again. `tenant_id` None needs scope admin."""
        known = _scopes(scopes)
        if tenant_id is not None:
            self.tenant(tenant_id)
        elif "admin" not in known:
            raise BadInputError("a key without a tenant needs the scope 'admin'")
        values, text = self._new(tenant_id, known, label, expires_at and utc_naive(expires_at))
        with self.database.write() as con:
            con.execute(keys.insert().values(values))
        return self.key(values["id"]), text

    def _new(
        self, tenant_id: str | None, scopes: Sequence[str], label: str, expires_at: datetime | None
    ) -> tuple[dict[str, Any], str]:
        """Return the row of a new key, and its text."""
        key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32).replace("_", "-")
        return {
            "id": key_id, "tenant": tenant_id, "scopes": ",".join(scopes), "label": label[:200],
            "digest": self.digest(secret), "created_at": now(), "expires_at": expires_at,
        }, f"hub_live_{key_id}_{secret}"  # fmt: skip

    def digest(self, secret: str) -> str:
        """Return the stored form of a secret: its HMAC-SHA256 under the pepper, in hexadecimal digits."""
        return hmac.new(self._pepper, secret.encode(), hashlib.sha256).hexdigest()

    def key(self, key_id: str, tenant_id: str | None = None) -> Key:
        """Return a key, of one tenant or any. Raises NotFoundError, also for another tenant's."""
        query = sa.select(keys).where(keys.c.id == key_id)
        if tenant_id is not None:
            query = query.where(keys.c.tenant == tenant_id)
        with self.database.read() as con:
            row = con.execute(query).first()
        if row is None:
            raise NotFoundError(f"there is no key {key_id[:40]!r}")
        return _key(row)

    def keys(
        self, tenant_id: str | None = None, after: tuple[datetime, str] | None = None, limit: int | None = None
    ) -> list[Key]:
        """Return all keys, or those of one tenant, oldest first: at most `limit`, created `after` a (time, id)."""
        query = sa.select(keys).order_by(keys.c.created_at, keys.c.id).limit(limit)
        if tenant_id is not None:
            query = query.where(keys.c.tenant == tenant_id)
        if after is not None:
            query = query.where(sa.tuple_(keys.c.created_at, keys.c.id) > after)
        with self.database.read() as con:
            return [_key(row) for row in con.execute(query)]

    def revoke_key(self, key_id: str) -> Key:
        """Revoke a key; a revoked or expired one stays as it is."""
        self.key(key_id)
        with self.database.write() as con:
            living = keys.c.id == key_id, keys.c.revoked_at.is_(None)
            con.execute(keys.update().where(*living).values(revoked_at=now()))
        self.revocations += 1
        return self.key(key_id)

    def rotate_key(self, key_id: str, overlap: float, expires_at: datetime | None = None) -> tuple[Key, Key, str]:
        """Replace a key by a new one with its tenant, scopes and label; the old key works for `overlap` seconds more.

        The new key expires at `expires_at`, or when the old one would have. Returns the new key, the old key and the new key's
        text. Raises NotFoundError, and ConflictError for a key that is revoked or expired.
        """
        old, moment = self.key(key_id), now()
        if old.revoked_at or (old.expires_at and old.expires_at <= moment):
            raise ConflictError(f"key {old.id} is revoked or expired: create a new one instead")
        last = moment + timedelta(seconds=overlap)
        values, text = self._new(
            old.tenant, old.scopes, old.label, utc_naive(expires_at) if expires_at else old.expires_at
        )
        living = keys.c.id == key_id, keys.c.revoked_at.is_(None)
        with self.database.write() as con:
            con.execute(keys.insert().values(values))
            con.execute(keys.update().where(*living).values(expires_at=min(last, old.expires_at or last)))
        self.revocations += 1
        return self.key(values["id"]), self.key(key_id), text

    def authenticate(self, text: str) -> Key:
        """Return the key with this text. Raises UnauthenticatedError, in the same time for unknown and wrong keys.

        Its details have a `reason`, and the `key` if the secret was right but the key has ended; callers are not shown either.
        """
        parts = text.split("_", 3)
        key_id, secret = (parts[2], parts[3]) if len(parts) == 4 and parts[:2] == ["hub", "live"] else ("", "")
        with self.database.read() as con:
            row = con.execute(sa.select(keys).where(keys.c.id == key_id)).first()
            self._follow(con)  # the cached tenant is then not older than the key
        known = row.digest if row else "0" * 64
        right = hmac.compare_digest(self.digest(secret), known)
        if row is None or not right:
            raise UnauthenticatedError(reason="unknown_key")
        key = _key(row)
        if key.tenant is not None and key.tenant not in self.tenants():
            raise UnauthenticatedError(reason="closed_tenant", key=key)
        if key.revoked_at or (key.expires_at and key.expires_at <= now()):
            raise UnauthenticatedError(reason="revoked_key" if key.revoked_at else "expired_key", key=key)
        return key


def _tenants(con: sa.Connection, tenant_id: str | None = None) -> dict[str, Tenant]:
    """Return all tenants by id, or one, without closed ones."""
    query, hours = sa.select(tenants).where(tenants.c.delete_at.is_(None)), sa.select(calendars)
    if tenant_id is not None:
        query, hours = query.where(tenants.c.id == tenant_id), hours.where(calendars.c.tenant == tenant_id)
    open_ = {row.tenant: calendar.stored(row.document) for row in con.execute(hours)}
    aims = stored(con, tenant_id)
    return {
        row.id: Tenant(
            row.no, row.id, row.zone, row.name, Retention(**json.loads(row.retention)), open_.get(row.id, NO_CALENDAR),
            tuple(json.loads(row.hotspot_tones or "[]")), row.contact_names is not False,
            changed(Threads(), json.loads(row.threads or "{}")), aims.get(row.id, ()),
            row.ai_minutes_saved,
        )
        for row in con.execute(query.order_by(tenants.c.no))
    }  # fmt: skip


def _key(row: sa.Row[Any]) -> Key:
    scopes = tuple(row.scopes.split(","))
    return Key(row.id, row.tenant, scopes, row.label, row.created_at, row.expires_at, row.revoked_at)


def _scopes(scopes: Sequence[str]) -> tuple[str, ...]:
    """Return scopes in their order. Raises BadInputError for an empty list or an unknown scope."""
    unknown = set(scopes) - set(SCOPES)
    if unknown or not scopes:
        named = ", ".join(repr(s[:40]) for s in sorted(unknown)[:5])
        raise BadInputError(f"scopes: {f'{named} unknown' if named else 'none given'}; known are {', '.join(SCOPES)}")
    return tuple(s for s in SCOPES if s in scopes)
