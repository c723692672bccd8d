"""Who may look at pages: one-time sign-in links, shared links that hold a view fast, and sessions, beside the control data.

Tokens have 256 bits; only an HMAC-SHA256 under the installation's pepper is kept, as of API keys.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from hubbub.errors import BadInputError, NotFoundError, UnauthenticatedError
from hubbub.store.control import Control
from hubbub.store.database import Database, metadata, now

ROLES = ("viewer", "analyst", "admin", "operator")
"""What somebody may be, in order: each may do what those before may. An operator has no tenant."""

SESSION_SECONDS = 14 * 86_400
"""After which one has to sign in anew."""
LONGEST_SIGN_IN, LONGEST_SHARE = 7 * 86_400, 400 * 86_400
MOST_SESSIONS = 1000
"""Of one tenant, or of operators: beyond, the oldest end."""

links = sa.Table(
    "access_links", metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("kind", sa.String(10), nullable=False),
    sa.Column("role", sa.String(10), nullable=False),
    sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.id"), nullable=True),
    sa.Column("label", sa.String(200), nullable=False, default=""),
    sa.Column("view", sa.Text, nullable=False, default=""),
    sa.Column("created_at", sa.DateTime, nullable=False),
    sa.Column("expires_at", sa.DateTime, nullable=False),
    sa.Column("used_at", sa.DateTime, nullable=True),
    sa.Column("revoked_at", sa.DateTime, nullable=True),
)  # fmt: skip
sessions = sa.Table(
    "access_sessions", metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("role", sa.String(10), nullable=False),
    sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.id"), nullable=True),
    sa.Column("label", sa.String(200), nullable=False, default=""),
    sa.Column("created_at", sa.DateTime, nullable=False),
    sa.Column("expires_at", sa.DateTime, nullable=False),
)  # fmt: skip


@dataclass(frozen=True)
class Link:
    """A link as it may be listed: never its token. `view` is the query string that a shared link holds fast."""

    id: str
    kind: str
    role: str
    tenant: str | None
    label: str
    view: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True)
class Session:
    """Somebody who signed in. `tenant` None: an operator."""

    digest: str
    role: str
    tenant: str | None
    label: str
    expires_at: datetime


class Access:
    """Links and sessions. May be used from any thread."""

    def __init__(self, database: Database, control: Control) -> None:
        self._database = database
        self._control = control
        database.make(links, sessions)

    def invite(self, role: str, tenant: str | None, label: str = "", seconds: float = 900) -> tuple[Link, str]:
        """Make a link that signs in once; returns it with its token, which is never shown again.

        Raises BadInputError for an unknown role, or one that does not go with the tenant; NotFoundError.
        """
        if role not in ROLES or (role == "operator") != (tenant is None):
            raise BadInputError(
                f"role {role[:40]!r}: operators have no tenant, and a tenant's are {', '.join(ROLES[:3])}"
            )
        return self._link("sign-in", role, tenant, label, "", _bounded(seconds, LONGEST_SIGN_IN))

    def share(self, tenant: str, view: str, label: str, seconds: float) -> tuple[Link, str]:
        """Make a link by which anybody sees one view of a tenant's numbers, until it ends; returns it with its token."""
        return self._link("share", "viewer", tenant, label, view, _bounded(seconds, LONGEST_SHARE))

    def _link(
        self, kind: str, role: str, tenant: str | None, label: str, view: str, seconds: float
    ) -> tuple[Link, str]:
        if tenant is not None:
            self._control.tenant(tenant)
        id_, token, moment = secrets.token_hex(6), secrets.token_urlsafe(32), now()
        with self._database.write() as con:
            con.execute(links.delete().where(links.c.expires_at < moment - timedelta(days=30)))
            con.execute(
                links.insert().values(
                    id=id_, digest=self._control.digest(token), kind=kind, role=role, tenant=tenant, label=label[:200],
                    view=view, created_at=moment, expires_at=moment + timedelta(seconds=seconds),
                )
            )  # fmt: skip
        return self._one(links.c.id == id_), token

    def enter(self, token: str) -> tuple[Session, str]:
        """Sign in by a link; returns the session and its token. A link works once. Raises UnauthenticatedError."""
        digest, moment, mine = self._control.digest(token), now(), secrets.token_urlsafe(32)
        good = (
            links.c.digest == digest, links.c.kind == "sign-in", links.c.used_at.is_(None), links.c.revoked_at.is_(None),
            links.c.expires_at > moment,
        )  # fmt: skip
        with self._database.write() as con:
            if not con.execute(links.update().where(*good).values(used_at=moment)).rowcount:
                raise UnauthenticatedError("this link was used, withdrawn, or is too old: ask for a new one")
            link = con.execute(sa.select(links).where(links.c.digest == digest)).one()
            con.execute(sessions.delete().where(sessions.c.expires_at <= moment))
            own = sessions.c.tenant.is_(None) if link.tenant is None else sessions.c.tenant == link.tenant
            newest = (
                sa.select(sessions.c.digest).where(own).order_by(sessions.c.created_at.desc()).limit(MOST_SESSIONS - 1)
            )
            con.execute(sessions.delete().where(own, sessions.c.digest.not_in(newest)))
            con.execute(
                sessions.insert().values(
                    digest=self._control.digest(mine), role=link.role, tenant=link.tenant, label=link.label,
                    created_at=moment, expires_at=moment + timedelta(seconds=SESSION_SECONDS),
                )
            )  # fmt: skip
        return self.session(mine), mine

    def session(self, token: str) -> Session:
        """Return the session that a token is of. Raises UnauthenticatedError."""
        with self._database.read() as con:
            row = con.execute(sa.select(sessions).where(sessions.c.digest == self._control.digest(token))).first()
        if row is None or row.expires_at <= now():
            raise UnauthenticatedError("you are not signed in, or no longer")
        return Session(row.digest, row.role, row.tenant, row.label, row.expires_at)

    def leave(self, digest: str) -> None:
        """End a session."""
        with self._database.write() as con:
            con.execute(sessions.delete().where(sessions.c.digest == digest))

    def shared(self, token: str) -> Link:
        """Return the shared link that a token is of. Raises NotFoundError, the same for none, an ended and a withdrawn one."""
        found = self._one(links.c.digest == self._control.digest(token), links.c.kind == "share")
        if found.revoked_at is not None or found.expires_at <= now():
            raise NotFoundError(_NO_LINK)
        return found

    def links(self, tenant: str | None, kind: str | None = None) -> list[Link]:
        """Return the links of a tenant, or (None) of operators, newest first."""
        own = links.c.tenant.is_(None) if tenant is None else links.c.tenant == tenant
        wanted = sa.select(links).where(own).order_by(links.c.created_at.desc(), links.c.id)
        if kind is not None:
            wanted = wanted.where(links.c.kind == kind)
        with self._database.read() as con:
            return [_as_link(row) for row in con.execute(wanted)]

    def revoke(self, link: str, tenant: str | None) -> Link:
        """Make a link useless from now on. Raises NotFoundError, the same for none and for another tenant's."""
        own = links.c.tenant.is_(None) if tenant is None else links.c.tenant == tenant
        found = self._one(links.c.id == link, own)
        with self._database.write() as con:
            con.execute(
                links.update().where(links.c.id == found.id, links.c.revoked_at.is_(None)).values(revoked_at=now())
            )
        return found

    def _one(self, *which: sa.ColumnElement[bool]) -> Link:
        with self._database.read() as con:
            row = con.execute(sa.select(links).where(*which)).first()
        if row is None:
            raise NotFoundError(_NO_LINK)
        return _as_link(row)

    def form_token(self, session: str) -> str:
        """Return what a form of a session's pages must send along: nobody else can know it."""
        return self._control.digest(f"form {session}")

    def form_is_ours(self, session: str, given: str) -> bool:
        """Say whether a form was one of this session's pages."""
        return hmac.compare_digest(self.form_token(session).encode(), given.encode())


_NO_LINK = "there is no such link, or it has ended"


def _as_link(row: sa.Row[Any]) -> Link:
    return Link(
        row.id, row.kind, row.role, row.tenant, row.label, row.view, row.created_at, row.expires_at, row.used_at,
        row.revoked_at,
    )  # fmt: skip


def _bounded(seconds: float, longest: float) -> float:
    if not 1 <= seconds <= longest:
        raise BadInputError(f"a link of this kind lasts between a second and {longest / 86_400:.0f} days")
    return seconds
