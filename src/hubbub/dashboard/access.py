"""Access, for a tenant's admins: keys and deliveries, sign-in links, sessions, shared links."""

from __future__ import annotations

from hubbub.dashboard import access_admin
from hubbub.dashboard.arrivals import ABOUT, arrivals
from hubbub.dashboard.ask import Ask, Form
from hubbub.dashboard.components import Group, Page, Shown, Widget
from hubbub.dashboard.person import Role


def _keys(ask: Ask) -> Shown:
    return access_admin.keys(ask, ask.tenant.id)


def _delivered(ask: Ask) -> Shown:
    return arrivals(ask, ask.tenant.id)


def _sign_in_links(ask: Ask) -> Shown:
    return access_admin.sign_in_links(ask, ask.tenant.id)


def _sessions(ask: Ask) -> Shown:
    return access_admin.sessions(ask, ask.tenant.id)


def _shared_links(ask: Ask) -> Shown:
    return access_admin.shared_links(ask, ask.tenant.id, offers=True)


def _own(ask: Ask, _: Form) -> str:
    """Return the page's tenant, whatever the form says."""
    return ask.tenant.id


PAGE = Page(
    "access", "Access",
    (
        Widget("shared", "Shared links", _shared_links, size="small", wide=True,
               about="Choose page, days and filters first, then share them here."),
        Widget("sign-in", "Sign-in links", _sign_in_links, size="small", wide=True),
        Widget("sessions", "Signed in", _sessions, size="small", wide=True),
        Widget("keys", "Keys", _keys, size="small", wide=True, about="Programs use keys to send events and read numbers."),
        Widget("deliveries", "Deliveries", _delivered, size="list", wide=True, lazy=True, about=ABOUT),
    ),
    role=Role.ADMIN, header=False, comes_from=True, actions={**access_admin.actions(_own), "share": access_admin.share},
    group=Group.SET_UP,
)  # fmt: skip
