"""Access to pages: one-time sign-in links, shared links with a fixed view, and sessions, in the control database.

Tokens have 256 bits; only an HMAC-SHA256 under the installation's pepper is stored, as for API keys.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from hubbub.control.control import Control
from hubbub.control.database import Database, metadata, now
from hubbub.errors import BadInputError, NotFoundError, UnauthenticatedError

ROLES = ("viewer", "analyst", "admin", "operator")
"""Roles in order: each may do what those before it may. An operator has no tenant."""

SESSION_SECONDS = 14 * 86_400
"""After it a person has to sign in again."""
SEEN_SECONDS = 300
"""`seen_at` is written again when it is older than this: reading pages does not write each time."""
LONGEST_SIGN_IN, LONGEST_SHARE = 7 * 86_400, 400 * 86_400
ID_DIGITS = 16
MOST_SESSIONS = 1000
"""Most sessions of a tenant, or of operators; beyond it the oldest end."""

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
    sa.Column("page", sa.String(40), nullable=False, server_default="overview"),
    sa.Column("alone", sa.Boolean, nullable=False, server_default=sa.false()),
)  # fmt: skip
sessions = sa.Table(
    "access_sessions", metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("role", sa.String(10), nullable=False),
    sa.Column("tenant", sa.String(63), sa.ForeignKey("tenants.id"), nullable=True),
    sa.Column("label", sa.String(200), nullable=False, default=""),
    sa.Column("created_at", sa.DateTime, nullable=False),
    sa.Column("expires_at", sa.DateTime, nullable=False),
    sa.Column("link", sa.String(16), nullable=True),
    sa.Column("seen_at", sa.DateTime, nullable=True),
)  # fmt: skip


@dataclass(frozen=True)
class Link:
    """A sign-in link or a shared link; never its token."""

    id: str
    kind: str
    role: str
    tenant: str | None
    label: str
    view: str
    """Query string that a shared link fixes."""
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None
    page: str
    """The page that a shared link opens."""
    alone: bool
    """The link shows no other page."""


@dataclass(frozen=True)
class Session:
    """A signed-in person. `tenant` None: an operator. `link`: id of the sign-in link.

    `link` and `seen_at` are None for sessions of versions that did not store them.
    """

    digest: str
    role: str
    tenant: str | None
    label: str
    created_at: datetime
    expires_at: datetime
    link: str | None
    seen_at: datetime | None

    @property
    def id(self) -> str:
        """Its id in lists: a part of the digest, which signs nobody in."""
        return self.digest[:ID_DIGITS]


class Access:
    """Links and sessions. May be used from any thread."""

    def __init__(self, database: Database, control: Control) -> None:
        self._database = database
        self._control = control
        database.make(links, sessions)

    def invite(self, role: str, tenant: str | None, label: str = "", seconds: float = 900) -> tuple[Link, str]:
        """Create a link that signs in once; returns it with its token, which is never shown again.

        Raises BadInputError for an unknown role or one that does not fit the tenant, NotFoundError.
        """
        if role not in ROLES or (role == "operator") != (tenant is None):
            raise BadInputError(
                f"role {role[:40]!r}: operators have no tenant, and a tenant's roles are {', '.join(ROLES[:3])}"
            )
        return self._link("sign-in", role, tenant, label, _bounded(seconds, LONGEST_SIGN_IN))

    def share(self, tenant: str, view: str, label: str, seconds: float, page: str, *, alone: bool) -> tuple[Link, str]:
        """Create a link that shows anybody one view of a tenant's numbers until it ends; returns it with its token.

        It opens `page`, and with `alone` shows no other. Raises BadInputError for too short or long a time, NotFoundError.
        """
        held = {"view": view, "page": page, "alone": alone}
        return self._link("share", "viewer", tenant, label, _bounded(seconds, LONGEST_SHARE), **held)

    def _link(
        self, kind: str, role: str, tenant: str | None, label: str, seconds: float, **held: object
    ) -> tuple[Link, str]:
        if tenant is not None:
            self._control.tenant(tenant)
        id_, token, moment = secrets.token_hex(6), secrets.token_urlsafe(32), now()
        with self._database.write() as con:
            con.execute(links.delete().where(links.c.expires_at < moment - timedelta(days=30)))
            con.execute(
                links.insert().values(
                    id=id_, digest=self._control.digest(token), kind=kind, role=role, tenant=tenant, label=label[:200],
                    created_at=moment, expires_at=moment + timedelta(seconds=seconds), **held,
                )
            )  # fmt: skip
        return self._one(links.c.id == id_), token

    def enter(self, token: str) -> tuple[Session, str]:
        """Sign in by a link; returns the session and its token. A link works once. Raises UnauthenticatedError."""
        digest, moment, new_token = self._control.digest(token), now(), secrets.token_urlsafe(32)
        good = (
            links.c.digest == digest, links.c.kind == "sign-in", links.c.used_at.is_(None), links.c.revoked_at.is_(None),
            links.c.expires_at > moment,
        )  # fmt: skip
        with self._database.write() as con:
            if not con.execute(links.update().where(*good).values(used_at=moment)).rowcount:
                raise UnauthenticatedError("this link was used or revoked, or has expired: ask for a new one")
            link = con.execute(sa.select(links).where(links.c.digest == digest)).one()
            con.execute(sessions.delete().where(sessions.c.expires_at <= moment))
            own = _of(sessions, link.tenant)
            newest = (
                sa.select(sessions.c.digest).where(own).order_by(sessions.c.created_at.desc()).limit(MOST_SESSIONS - 1)
            )
            con.execute(sessions.delete().where(own, sessions.c.digest.not_in(newest)))
            con.execute(
                sessions.insert().values(
                    digest=self._control.digest(new_token), role=link.role, tenant=link.tenant, label=link.label,
                    created_at=moment, expires_at=moment + timedelta(seconds=SESSION_SECONDS), link=link.id,
                    seen_at=moment,
                )
            )  # fmt: skip
        return self.session(new_token), new_token

    def session(self, token: str) -> Session:
        """Return the session of a token, and update its `seen_at`. Raises UnauthenticatedError."""
        of_token, moment = sessions.c.digest == self._control.digest(token), now()
        with self._database.read() as con:
            row = con.execute(sa.select(sessions).where(of_token)).first()
        if row is None or row.expires_at <= moment:
            raise UnauthenticatedError("you are not signed in, or your session has ended: open a new sign-in link")
        if row.seen_at is None or row.seen_at <= moment - timedelta(seconds=SEEN_SECONDS):
            with self._database.write() as con:
                con.execute(sessions.update().where(of_token).values(seen_at=moment))
        return _as_session(row)

    def sessions(self, tenant: str | None) -> list[Session]:
        """List active sessions of a tenant (None: operators), newest first."""
        wanted = sa.select(sessions).where(_of(sessions, tenant), sessions.c.expires_at > now())
        with self._database.read() as con:
            return [_as_session(row) for row in con.execute(wanted.order_by(sessions.c.created_at.desc()))]

    def leave(self, digest: str) -> None:
        """End a session."""
        with self._database.write() as con:
            con.execute(sessions.delete().where(sessions.c.digest == digest))

    def end(self, session: str, tenant: str | None) -> Session:
        """End a session by its id; returns it. Raises NotFoundError, also for another tenant's."""
        ended = next((candidate for candidate in self.sessions(tenant) if candidate.id == session), None)
        if ended is None:
            raise NotFoundError("there is no such session, or it has ended")
        self.leave(ended.digest)
        return ended

    def end_all(self, tenant: str | None, besides: str = "") -> int:
        """End all sessions of a tenant (None: operators) except the one with id `besides`; returns how many.

        Raises NotFoundError for an unknown tenant.
        """
        if tenant is not None:
            self._control.tenant(tenant)
        other = sa.func.substr(sessions.c.digest, 1, ID_DIGITS) != besides
        with self._database.write() as con:
            return con.execute(
                sessions.delete().where(_of(sessions, tenant), sessions.c.expires_at > now(), other)
            ).rowcount

    def shared(self, token: str) -> Link:
        """Return the shared link of a token. Raises NotFoundError, also for an expired or revoked one."""
        link = self._one(links.c.digest == self._control.digest(token), links.c.kind == "share")
        if link.revoked_at is not None or link.expires_at <= now():
            raise NotFoundError(_NO_LINK)
        return link

    def links(self, tenant: str | None, kind: str | None = None) -> list[Link]:
        """List the links of a tenant (None: operators), newest first."""
        wanted = sa.select(links).where(_of(links, tenant)).order_by(links.c.created_at.desc(), links.c.id)
        if kind is not None:
            wanted = wanted.where(links.c.kind == kind)
        with self._database.read() as con:
            return [_as_link(row) for row in con.execute(wanted)]

    def revoke(self, link: str, tenant: str | None) -> Link:
        """Revoke a link, and end the session that began with it.

        Raises NotFoundError, also for another tenant's link.
        """
        revoked = self._one(links.c.id == link, _of(links, tenant))
        with self._database.write() as con:
            con.execute(
                links.update().where(links.c.id == revoked.id, links.c.revoked_at.is_(None)).values(revoked_at=now())
            )
            con.execute(sessions.delete().where(sessions.c.link == revoked.id))
        return revoked

    def _one(self, *which: sa.ColumnElement[bool]) -> Link:
        with self._database.read() as con:
            row = con.execute(sa.select(links).where(*which)).first()
        if row is None:
            raise NotFoundError(_NO_LINK)
        return _as_link(row)

    def form_token(self, session: str) -> str:
        """Return the CSRF token of a session's forms, which nobody else can know."""
        return self._control.digest(f"form {session}")

    def form_is_ours(self, session: str, token: str) -> bool:
        """Whether a form's token is this session's."""
        return hmac.compare_digest(self.form_token(session).encode(), token.encode())


_NO_LINK = "there is no such link, or it has ended"


def _of(table: sa.Table, tenant: str | None) -> sa.ColumnElement[bool]:
    """Return the condition of a tenant's rows (None: operators')."""
    return table.c.tenant.is_(None) if tenant is None else table.c.tenant == tenant


def _as_link(row: sa.Row[Any]) -> Link:
    return Link(
        row.id, row.kind, row.role, row.tenant, row.label, row.view, row.created_at, row.expires_at, row.used_at,
        row.revoked_at, row.page, row.alone,
    )  # fmt: skip


def _as_session(row: sa.Row[Any]) -> Session:
    return Session(row.digest, row.role, row.tenant, row.label, row.created_at, row.expires_at, row.link, row.seen_at)


def _bounded(seconds: float, longest: float) -> float:
    if not 1 <= seconds <= longest:
        raise BadInputError(
            f"a link of this kind is valid for at least 1 second and at most {longest / 86_400:.0f} days"
        )
    return seconds
