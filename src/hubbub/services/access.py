"""Access to pages: sign-in links, shared links, and sessions."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime

from hubbub.control.access import Access, Link, Session
from hubbub.model.page import Page


@dataclass(frozen=True, slots=True)
class NewLink(Link):
    """A new link."""

    path: str
    """Its address on the server, shown only this once."""


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session of a signed-in person; it holds nothing to sign in with."""

    id: str
    role: str
    tenant: str | None
    label: str
    created_at: datetime
    expires_at: datetime
    link: str | None
    """Id of the link that began it."""
    seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Ended:
    """The number of ended sessions."""

    tenant: str | None
    ended: int


class AccessService:
    """Manages links and sessions of a tenant, or (None) of operators."""

    def __init__(self, store: Access) -> None:
        self._store = store

    def sign_in_link(
        self, tenant: str | None = None, role: str = "operator", label: str = "", seconds: float = 900
    ) -> NewLink:
        """Create a link that signs in once with a role of a tenant, or as an operator. Raises BadInputError, NotFoundError."""
        link, token = self._store.invite(role, tenant, label, seconds)
        return _new(link, f"/sign-in?token={token}")

    def share_link(
        self,
        tenant: str,
        view: str,
        label: str = "",
        seconds: float = 30 * 86_400,
        page: str = "overview",
        *,
        alone: bool = False,
    ) -> NewLink:
        """Create a link that shows one view (a page's query string) of a tenant's numbers to anybody, until it ends.

        It opens `page`, and shows only that page (`alone`) or all pages of numbers with the view.
        """
        link, token = self._store.share(tenant, view, label, seconds, page, alone=alone)
        return _new(link, f"/s/{token}")

    def links(self, tenant: str | None = None, kind: str | None = None) -> Page[Link]:
        """Return the links of a tenant, or of operators, newest first."""
        return Page(self._store.links(tenant, kind))

    def revoke_link(self, link: str, tenant: str | None = None) -> Link:
        """Revoke a link, and end the session that it began. Raises NotFoundError."""
        return self._store.revoke(link, tenant)

    def sessions(self, tenant: str | None = None) -> Page[SessionView]:
        """Return the active sessions of a tenant, or of operators, newest first."""
        return Page([_view(session) for session in self._store.sessions(tenant)])

    def end_session(self, session: str, tenant: str | None = None) -> SessionView:
        """End a session of a tenant, or of an operator, by its id. Raises NotFoundError."""
        return _view(self._store.end(session, tenant))

    def end_sessions(self, tenant: str | None = None, besides: str = "") -> Ended:
        """End all sessions of a tenant, or of operators, except one."""
        return Ended(tenant, self._store.end_all(tenant, besides))


def _new(link: Link, path: str) -> NewLink:
    return NewLink(**{field.name: getattr(link, field.name) for field in fields(link)}, path=path)


def _view(session: Session) -> SessionView:
    return SessionView(
        session.id,
        session.role,
        session.tenant,
        session.label,
        session.created_at,
        session.expires_at,
        session.link,
        session.seen_at,
    )
