"""Access to pages: links that let people in, and the sessions of those who are."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime

from hubbub.control.access import Access, Link, Session
from hubbub.model.page import Page


@dataclass(frozen=True, slots=True)
class NewLink(Link):
    """A link that was made."""

    path: str
    """Its address on the server, shown this once."""


@dataclass(frozen=True, slots=True)
class SessionView:
    """Somebody who is signed in; nothing of it signs anybody in."""

    id: str
    role: str
    tenant: str | None
    label: str
    created_at: datetime
    expires_at: datetime
    link: str | None
    """Id of the link that was come in by."""
    seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Ended:
    """How many sessions have ended."""

    tenant: str | None
    ended: int


class AccessService:
    """Lets people in and sends them out: those of a tenant, or (None) operators."""

    def __init__(self, store: Access) -> None:
        self._store = store

    def sign_in_link(
        self, tenant: str | None = None, role: str = "operator", label: str = "", seconds: float = 900
    ) -> NewLink:
        """Make a link that signs in once as a role of a tenant, or as an operator."""
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
        """Make a link by which anybody sees one view (a page's query string) of a tenant's numbers, until it ends.

        It opens `page`, and shows that `alone` or all pages of numbers under the view.
        """
        link, token = self._store.share(tenant, view, label, seconds, page, alone=alone)
        return _new(link, f"/s/{token}")

    def links(self, tenant: str | None = None, kind: str | None = None) -> Page[Link]:
        """Return the links of a tenant, or of operators, newest first."""
        return Page(self._store.links(tenant, kind))

    def revoke_link(self, link: str, tenant: str | None = None) -> Link:
        """Make a link useless from now on, and end the session that was come in to by it."""
        return self._store.revoke(link, tenant)

    def sessions(self, tenant: str | None = None) -> Page[SessionView]:
        """Return who of a tenant, or of operators, is signed in, newest first."""
        return Page([_view(one) for one in self._store.sessions(tenant)])

    def end_session(self, session: str, tenant: str | None = None) -> SessionView:
        """End a session of a tenant's, or of an operator's, by its id."""
        return _view(self._store.end(session, tenant))

    def end_sessions(self, tenant: str | None = None, besides: str = "") -> Ended:
        """End all sessions of a tenant, or of operators, besides the one with an id."""
        return Ended(tenant, self._store.end_all(tenant, besides))


def _new(link: Link, path: str) -> NewLink:
    return NewLink(**{one.name: getattr(link, one.name) for one in fields(link)}, path=path)


def _view(one: Session) -> SessionView:
    return SessionView(one.id, one.role, one.tenant, one.label, one.created_at, one.expires_at, one.link, one.seen_at)
