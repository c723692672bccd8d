"""Integrations: a tenant's accounts with other services, each with settings, encrypted secrets and a state.

Ids grow with time, so that paging by id misses no integration added meanwhile. Secrets have names, like token or signing_secret.
Only `secrets()` and `secret()` return them in the clear.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from hubbub.control.changes import count_change, source_changes
from hubbub.control.database import Database, metadata, new_id, now
from hubbub.control.encryption import Encryption
from hubbub.errors import BadInputError, NotFoundError
from hubbub.model.plain import JsonObject

State = Literal["active", "degraded", "paused", "broken"]
STATES: tuple[State, ...] = ("active", "degraded", "paused", "broken")
"""Degraded: it is fetched, but a part cannot be read; broken: nothing can, until a person acts."""
FETCHED = ("active", "degraded")
"""States in which an integration is fetched."""
MAX_SECRET = 4096
MAX_SETTINGS = 16_384
TRUSTED, MOST_FOUND = 1.0, 10_000
"""Seconds for which `find` caches an integration, and how many it caches."""
TOKEN = "token"
"""The secret for fetching days. Before version 0.3 it was the only one, and sealed without a name."""

integrations = sa.Table(
    "integrations", metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.id"), nullable=False),
    sa.Column("provider", sa.String(40), nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("settings", sa.Text, nullable=False),
    sa.Column("secret", sa.LargeBinary, nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("reason", sa.String(500), nullable=False, default=""),
    sa.Column("action", sa.String(500), nullable=False, default=""),
    sa.Column("last_ok", sa.Date, nullable=True),
    sa.Column("since", sa.Date, nullable=True),
    sa.Column("memory", sa.Text, nullable=True),
    sa.Column("created_at", sa.DateTime, nullable=False),
    sa.Column("changed_at", sa.DateTime, nullable=False),
    sa.Column("secret_names", sa.String(400), nullable=True),
    sa.Index("integrations_of_tenant", "tenant", "id"),
    sa.Index("integrations_in_state", "state", "id"),
)  # fmt: skip
_MENDED = {
    "state": sa.case((integrations.c.state == "broken", "active"), else_=integrations.c.state), "reason": "", "action": "",
}  # fmt: skip
"""What a new secret, or another setting, does to the state."""
_SHOWN = [c for c in integrations.c if c.name != "secret"]


@dataclass(frozen=True)
class Integration:
    """An integration without its secrets, but with their names.

    `last_ok`: the latest completely fetched day. `since`: the first day to fetch. `memory`: what its connector keeps between days.
    """

    id: str
    tenant: str
    provider: str
    name: str
    settings: JsonObject
    state: State
    reason: str
    action: str
    last_ok: date | None
    created_at: datetime
    changed_at: datetime
    secret_names: tuple[str, ...] = (TOKEN,)
    since: date | None = None
    memory: JsonObject = field(default_factory=dict)
    sealed: bytes = field(repr=False, default=b"")


class Integrations:
    """All integrations of all tenants, read one by one or page by page."""

    def __init__(self, database: Database, encryption: Encryption) -> None:
        self._database, self._encryption = database, encryption
        self._found: dict[str, tuple[float, Integration]] = {}
        database.make(integrations, source_changes)
        self._begin_ledgers()

    def _begin_ledgers(self) -> None:
        """Let integrations of versions that stored only the latest day begin after it: earlier days are unknown."""
        without = integrations.c.since.is_(None)
        with self._database.read() as con:
            rows = con.execute(
                sa.select(integrations.c.id, integrations.c.last_ok, integrations.c.created_at).where(without)
            ).all()
        if rows:
            with self._database.write() as con:
                for id_, last_ok, created_at in rows:
                    since = last_ok + timedelta(days=1) if last_ok else created_at.date()
                    con.execute(integrations.update().where(integrations.c.id == id_, without).values(since=since))

    def add(
        self,
        tenant: str,
        provider: str,
        name: str,
        settings: JsonObject,
        secret: str | Mapping[str, str],
        since: date | None = None,
    ) -> Integration:
        """Store an active integration whose days are fetched from `since` on (None: today).

        `secret`: a token, or secrets by name. Raises BadInputError for an invalid secret, name or settings.
        """
        id_ = new_id("int")
        values = {
            "id": id_, "tenant": tenant, "provider": provider, **_described(name, settings), "state": "active",
            **self._sealed(_named(secret), tenant, id_), "created_at": now(), "changed_at": now(), "since": since or now().date(),
        }  # fmt: skip
        with self._database.write() as con:
            con.execute(integrations.insert().values(values))
            count_change(con, source_changes)
        return self.get(tenant, id_)

    def _sealed(self, secrets_: Mapping[str, str], tenant: str, id_: str) -> dict[str, Any]:
        """Return the columns of the secrets."""
        for name, secret in secrets_.items():
            if (
                not secret
                or len(secret) > MAX_SECRET
                or not (secret.isascii() and secret.isprintable())
                or " " in secret
            ):
                raise BadInputError(
                    f"{'secret' if name == TOKEN else name}: 1 to {MAX_SECRET} printable ASCII characters without spaces, "
                    "as the service gave it"
                )
        return {
            "secret": self._encryption.seal(json.dumps(dict(secrets_)), tenant, id_),
            "secret_names": ",".join(sorted(secrets_)),
        }

    def get(self, tenant: str, id_: str) -> Integration:
        """Return an integration of a tenant. Raises NotFoundError, also for another tenant's."""
        with self._database.read() as con:
            row = con.execute(sa.select(integrations).where(_is(tenant, id_))).first()
        if row is None:
            raise NotFoundError(f"there is no integration {id_[:40]!r}")
        return _integration(row)

    def find(self, id_: str) -> Integration | None:
        """Return an integration of any tenant, or None: for requests to its address, which names no tenant.

        Cached for TRUSTED seconds unless this process changes it: many bodies may come at once.
        """
        known = self._found.get(id_)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        with self._database.read() as con:
            row = con.execute(sa.select(integrations).where(integrations.c.id == id_)).first()
        if row is None:
            return None
        integration = _integration(row)
        if len(self._found) >= MOST_FOUND:
            self._found.clear()
        self._found[id_] = time.monotonic() + TRUSTED, integration
        return integration

    def page(
        self,
        tenant: str | None = None,
        state: str | Sequence[str] | None = None,
        provider: str | None = None,
        after: str = "",
        limit: int = 100,
    ) -> list[Integration]:
        """Return up to `limit` integrations, in one of these states, with ids after `after`, oldest first.

        Fewer than `limit` means that no more follow.
        """
        query = sa.select(*_SHOWN).where(integrations.c.id > after).order_by(integrations.c.id).limit(limit)
        states = [state] if isinstance(state, str) else state
        for name, values in {
            "tenant": tenant and [tenant],
            "state": states,
            "provider": provider and [provider],
        }.items():
            if values is not None:
                query = query.where(integrations.c[name].in_(values))
        with self._database.read() as con:
            return [_integration(row) for row in con.execute(query)]

    def all(
        self, tenant: str | None = None, provider: str | None = None, state: str | Sequence[str] | None = None
    ) -> Iterator[Integration]:
        """Yield the integrations of a tenant or all, of a provider or all, in one of these states or any, oldest first."""
        after = ""
        while page := self.page(tenant, state, provider, after):
            yield from page
            after = page[-1].id

    def secrets(self, integration: Integration) -> dict[str, str]:
        """Return the secrets of an integration that `get` or `find` returned, by name."""
        text = self._encryption.open(integration.sealed, integration.tenant, integration.id)
        return dict(json.loads(text)) if text.startswith("{") else {TOKEN: text}

    def secret(self, integration: Integration) -> str:
        """Return the token of an integration that `get` returned; "" where it has none."""
        return self.secrets(integration).get(TOKEN, "")

    def change(self, tenant: str, id_: str, name: str, settings: JsonObject, since: date | None) -> Integration:
        """Replace an integration's name, settings and first day to fetch (None: it stays). Raises BadInputError.

        With other settings a broken one is active again.
        """
        values: dict[str, Any] = {**_described(name, settings)} | ({} if since is None else {"since": since})
        if settings != self.get(tenant, id_).settings:
            values |= _MENDED
        return self._change(tenant, id_, **values)

    def pause(self, tenant: str, id_: str) -> Integration:
        """Stop fetching until resumed."""
        return self._change(tenant, id_, state="paused")

    def resume(self, tenant: str, id_: str) -> Integration:
        """Fetch again; clears its reason, action and its connector's memory."""
        return self._change(tenant, id_, state="active", reason="", action="", memory=None)

    def rotate(self, tenant: str, id_: str, secret: str | Mapping[str, str]) -> Integration:
        """Give an integration a new token, or new secrets by name; others stay. A broken one is active again."""
        sealed = self._sealed(self.secrets(self.get(tenant, id_)) | _named(secret), tenant, id_)
        return self._change(tenant, id_, **sealed, **_MENDED)

    def _change(self, tenant: str, id_: str, **values: Any) -> Integration:
        with self._database.write() as con:
            con.execute(integrations.update().where(_is(tenant, id_)).values(**values, changed_at=now()))
            count_change(con, source_changes)
        self._found.pop(id_, None)
        return self.get(tenant, id_)

    def remove(self, tenant: str, id_: str) -> None:
        """Delete an integration and its secret."""
        self.get(tenant, id_)
        with self._database.write() as con:
            con.execute(integrations.delete().where(_is(tenant, id_)))
            count_change(con, source_changes)
        self._found.pop(id_, None)

    def fetched(self, integration: Integration, day: date) -> None:
        """Store a completely fetched day as `last_ok` if it is the latest."""
        later = sa.or_(integrations.c.last_ok.is_(None), integrations.c.last_ok < day)
        with self._database.write() as con:
            con.execute(integrations.update().where(_is(integration.tenant, integration.id), later).values(last_ok=day))

    def worked(self, integration: Integration, reason: str, action: str, memory: JsonObject, *, whole: bool) -> None:
        """Mark a fetched integration as active, or as degraded where a part cannot be read.

        `reason` and `action`: the problem and what to do; `memory`: stored for its connector. One that was paused or broken
        meanwhile stays so.
        """
        values = {
            "state": "active" if whole else "degraded", "reason": reason[:500], "action": action[:500],
            "memory": json.dumps(memory) if memory else None,
        }  # fmt: skip
        shown = {"state": integration.state, "reason": integration.reason, "action": integration.action}
        if all(values[name] == value for name, value in shown.items()) and dict(memory) == dict(integration.memory):
            return
        with self._database.write() as con:
            same = _is(integration.tenant, integration.id), integrations.c.state.in_(FETCHED)
            con.execute(integrations.update().where(*same).values(**values, changed_at=now()))
            count_change(con, source_changes)

    def broken(self, integration: Integration, reason: str, action: str) -> None:
        """Mark a fetched integration as broken, unless its secret changed since it was read."""
        same = _is(integration.tenant, integration.id), integrations.c.secret == integration.sealed
        values = {"state": "broken", "reason": reason[:500], "action": action[:500], "changed_at": now()}
        with self._database.write() as con:
            con.execute(integrations.update().where(*same, integrations.c.state.in_(FETCHED)).values(values))
            count_change(con, source_changes)


def _described(name: str, settings: JsonObject) -> dict[str, str]:
    """Return the columns of a name and settings. Raises BadInputError where they are too long or unprintable."""
    document = json.dumps(settings)
    if len(document) > MAX_SETTINGS:
        raise BadInputError(f"settings: {len(document)} characters, {MAX_SETTINGS} are allowed")
    if not name.isprintable() or len(name) > 200:
        raise BadInputError("name: at most 200 printable characters")
    return {"name": name, "settings": document}


def _named(secret: str | Mapping[str, str]) -> dict[str, str]:
    return {TOKEN: secret} if isinstance(secret, str) else dict(secret)


def _is(tenant: str, id_: str) -> sa.ColumnElement[bool]:
    return sa.and_(integrations.c.tenant == tenant, integrations.c.id == id_)


def _integration(row: sa.Row[Any]) -> Integration:
    values = dict(row._mapping)
    sealed = bytes(values.pop("secret", b""))
    names = tuple((values["secret_names"] or TOKEN).split(","))
    read = {
        "settings": json.loads(values["settings"]),
        "memory": json.loads(values["memory"] or "{}"),
        "secret_names": names,
    }
    return Integration(**{**values, **read}, sealed=sealed)
