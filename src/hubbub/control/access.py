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

from hubbub.control.control import Control
from hubbub.control.database import Database, metadata, now
from hubbub.errors import BadInputError, NotFoundError, UnauthenticatedError

ROLES = ("viewer", "analyst", "admin", "operator")
"""What somebody may be, in order: each may do what those before may. An operator has no tenant."""

SESSION_SECONDS = 14 * 86_400
"""After which one has to sign in again."""
SEEN_SECONDS = 300
"""How old what is written of a session's last use may grow: reading pages does not write each time."""
LONGEST_SIGN_IN, LONGEST_SHARE = 7 * 86_400, 400 * 86_400
ID_DIGITS = 16
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
    """Query string that a shared link holds fast."""
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None
    page: str
    """The page that a shared link opens."""
    alone: bool
    """It shows no other page."""


@dataclass(frozen=True)
class Session:
    """Somebody who signed in. `tenant` None: an operator. `link` is the id of the one that was come in by.

    `link` and `seen_at` are not known of sessions that began before they were kept.
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
        """The name that a list has for it: a part of the digest, which signs nobody in."""
        return self.digest[:ID_DIGITS]


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
        return self._link("sign-in", role, tenant, label, _bounded(seconds, LONGEST_SIGN_IN))

    def share(self, tenant: str, view: str, label: str, seconds: float, page: str, *, alone: bool) -> tuple[Link, str]:
        """Make a link by which anybody sees one view of a tenant's numbers, until it ends; returns it with its token.

        It opens `page`, and shows no other when `alone`.
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
        digest, moment, mine = self._control.digest(token), now(), secrets.token_urlsafe(32)
        good = (
            links.c.digest == digest, links.c.kind == "sign-in", links.c.used_at.is_(None), links.c.revoked_at.is_(None),
            links.c.expires_at > moment,
        )  # fmt: skip
        with self._database.write() as con:
            if not con.execute(links.update().where(*good).values(used_at=moment)).rowcount:
                raise UnauthenticatedError("this link was used, revoked, or is too old: ask for a new one")
            link = con.execute(sa.select(links).where(links.c.digest == digest)).one()
            con.execute(sessions.delete().where(sessions.c.expires_at <= moment))
            own = _of(sessions, link.tenant)
            newest = (
                sa.select(sessions.c.digest).where(own).order_by(sessions.c.created_at.desc()).limit(MOST_SESSIONS - 1)
            )
            con.execute(sessions.delete().where(own, sessions.c.digest.not_in(newest)))
            con.execute(
                sessions.insert().values(
                    digest=self._control.digest(mine), role=link.role, tenant=link.tenant, label=link.label,
                    created_at=moment, expires_at=moment + timedelta(seconds=SESSION_SECONDS), link=link.id,
                    seen_at=moment,
                )
            )  # fmt: skip
        return self.session(mine), mine

    def session(self, token: str) -> Session:
        """Return the session that a token is of, which is seen now. Raises UnauthenticatedError."""
        mine, moment = sessions.c.digest == self._control.digest(token), now()
        with self._database.read() as con:
            row = con.execute(sa.select(sessions).where(mine)).first()
        if row is None or row.expires_at <= moment:
            raise UnauthenticatedError("you are not signed in, or no longer")
        if row.seen_at is None or row.seen_at <= moment - timedelta(seconds=SEEN_SECONDS):
            with self._database.write() as con:
                con.execute(sessions.update().where(mine).values(seen_at=moment))
        return _as_session(row)

    def sessions(self, tenant: str | None) -> list[Session]:
        """Return who of a tenant, or (None) of operators, is signed in, who came last first."""
        wanted = sa.select(sessions).where(_of(sessions, tenant), sessions.c.expires_at > now())
        with self._database.read() as con:
            return [_as_session(row) for row in con.execute(wanted.order_by(sessions.c.created_at.desc()))]

    def leave(self, digest: str) -> None:
        """End a session."""
        with self._database.write() as con:
            con.execute(sessions.delete().where(sessions.c.digest == digest))

    def end(self, session: str, tenant: str | None) -> Session:
        """End a session by its id; returns what it was. Raises NotFoundError, the same for none and for another tenant's."""
        found = next((one for one in self.sessions(tenant) if one.id == session), None)
        if found is None:
            raise NotFoundError("there is no such session, or it has ended")
        self.leave(found.digest)
        return found

    def end_all(self, tenant: str | None, besides: str = "") -> int:
        """End all sessions of a tenant, or (None) of operators, besides one by its id; returns how many there were.

        Raises NotFoundError for a tenant that is not known.
        """
        if tenant is not None:
            self._control.tenant(tenant)
        other = sa.func.substr(sessions.c.digest, 1, ID_DIGITS) != besides
        with self._database.write() as con:
            return con.execute(
                sessions.delete().where(_of(sessions, tenant), sessions.c.expires_at > now(), other)
            ).rowcount

    def shared(self, token: str) -> Link:
        """Return the shared link that a token is of. Raises NotFoundError, the same for none, an ended and a revoked one."""
        found = self._one(links.c.digest == self._control.digest(token), links.c.kind == "share")
        if found.revoked_at is not None or found.expires_at <= now():
            raise NotFoundError(_NO_LINK)
        return found

    def links(self, tenant: str | None, kind: str | None = None) -> list[Link]:
        """Return the links of a tenant, or (None) of operators, newest first."""
        wanted = sa.select(links).where(_of(links, tenant)).order_by(links.c.created_at.desc(), links.c.id)
        if kind is not None:
            wanted = wanted.where(links.c.kind == kind)
        with self._database.read() as con:
            return [_as_link(row) for row in con.execute(wanted)]

    def revoke(self, link: str, tenant: str | None) -> Link:
        """Make a link useless from now on, and end the session that somebody came in to by it.

        Raises NotFoundError, the same for none and for another tenant's.
        """
        found = self._one(links.c.id == link, _of(links, tenant))
        with self._database.write() as con:
            con.execute(
                links.update().where(links.c.id == found.id, links.c.revoked_at.is_(None)).values(revoked_at=now())
            )
            con.execute(sessions.delete().where(sessions.c.link == found.id))
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


def _of(table: sa.Table, tenant: str | None) -> sa.ColumnElement[bool]:
    """Keep what is a tenant's, or (None) operators'."""
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
        raise BadInputError(f"a link of this kind lasts between a second and {longest / 86_400:.0f} days")
    return seconds
