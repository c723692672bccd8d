"""List, make and end keys, sign-in links, sessions and shared links, for a tenant's admin and for operators.

A secret is shown once, by the page that made it, and never stored or listed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from urllib.parse import parse_qsl

from hubbub.control.access import ID_DIGITS, LONGEST_SHARE, LONGEST_SIGN_IN, ROLES, SEEN_SECONDS, Link
from hubbub.control.control import SCOPES
from hubbub.dashboard.ask import Ask, Form
from hubbub.dashboard.base_path import at
from hubbub.dashboard.components import Cells, Column, Done, Shown
from hubbub.dashboard.forms import Act, Field, data_table, parameter
from hubbub.dashboard.number_pages import FIRST, NUMBERS
from hubbub.dashboard.view import FILTERS, PRESETS
from hubbub.errors import BadInputError
from hubbub.model.plain import plain
from hubbub.model.window import utc_naive
from hubbub.reports.dates import short_days
from hubbub.services.keys import KeyView

PAGE_SIZE = 50
MOST_LISTED = 100
"""Most links and sessions listed, newest first; links that ended a month ago are deleted."""
DAY = 86_400
SCOPE_WORDS = {
    "ingest": "send events", "read": "read numbers", "export": "export rows", "admin": "manage", "erase": "erase people",
}  # fmt: skip
OVERLAPS = {
    "0": "ends at once",
    "3600": "works for another hour",
    "86400": "works for another day",
    "604800": "works for another week",
}
HOURS = {"0.25": "15 minutes", "1": "1 hour", "24": "1 day", f"{LONGEST_SIGN_IN // 3600}": "7 days"}
DAYS = {"1": "1 day", "7": "7 days", "30": "30 days", "90": "90 days", f"{LONGEST_SHARE // DAY}": "400 days"}
PAGES = {True: "this one alone", False: "all with numbers"}
"""The pages of a shared link, by its `alone`."""

Whose = Callable[[Ask, Form], str | None]
"""Whose access a page or form is about: a tenant's, or (None) the operators'."""


def state_of(entry: KeyView | Link, now: datetime) -> str:
    """Return the state of a key or link."""
    if entry.revoked_at:
        return "revoked"
    if isinstance(entry, Link) and entry.used_at:
        return "used"
    return "ended" if entry.expires_at and entry.expires_at <= utc_naive(now) else "works"


# --- keys


def keys(ask: Ask, tenant: str | None) -> Shown:
    """Show the keys of a tenant, or all, with a form for a new one."""
    page = ask.engine.keys.of(tenant, parameter(ask, "keys"), PAGE_SIZE)
    rows = [{**plain(key), "state": state_of(key, ask.now), "may": ", ".join(key.scopes)} for key in page.rows]
    columns = [
        Column("id", "Key"), Column("tenant", "Tenant"), Column("label", "For", "long"), Column("may", "Scopes"),
        Column("state", "State", "state"), Column("created_at", "Made (UTC)", "utc"), Column("expires_at", "Ends (UTC)", "utc"),
    ]  # fmt: skip
    if tenant is not None:
        columns = [column for column in columns if column.name != "tenant"]
    form = Act(
        "add-key", "Make", {"tenant": tenant or ""}, title="Create a key" if tenant else "Create an operator's key",
        fields=(
            Field("label", "For"),
            *(Field(f"scope-{scope}", f"{scope}: {SCOPE_WORDS[scope]}", "checkbox", value="1" if scope in _usual(tenant) else "")
              for scope in SCOPES),
            Field("expires", "Expires before (optional)", "date"),
        ),
    )  # fmt: skip
    return data_table(
        ask, columns, rows, acts=[_key_acts(key, ask.now) for key in page.rows], forms=[form], following=page.next, cursor="keys",
        nothing="There is no key yet.",
    )  # fmt: skip


def _usual(tenant: str | None) -> Sequence[str]:
    return ("ingest", "read") if tenant else ("admin",)


def _key_acts(key: KeyView, now: datetime) -> Sequence[Act]:
    if state_of(key, now) != "works":
        return []
    sends = {"key": key.id, "tenant": key.tenant or ""}
    old = Field("overlap", "The old one", "select", "3600", OVERLAPS)
    return [
        Act("rotate-key", "Replace", sends, (old,), title="Replace"),
        Act("revoke-key", "Revoke", sends, danger=True),
    ]


# --- links


def sign_in_links(ask: Ask, tenant: str | None) -> Shown:
    """Show the sign-in links of a tenant, or of operators, with a form for a new one."""
    links, left = _links(ask, tenant, "sign-in")
    inside = {session.link for session in ask.engine.access.sessions(tenant).rows if session.id != _mine(ask)}
    columns = [
        Column("label", "For", "long"), Column("role", "Role"), Column("state", "State", "state"),
        Column("created_at", "Made (UTC)", "utc"), Column("expires_at", "Ends (UTC)", "utc"),
        Column("used_at", "Used (UTC)", "utc"),
    ]  # fmt: skip
    roles = {role: role for role in (ROLES[:3] if tenant else ROLES[3:])}
    form = Act(
        "invite", "Make", {"tenant": tenant or ""}, title="Create a sign-in link",
        fields=(
            Field("label", "For"), Field("role", "Role", "select", options=roles),
            Field("hours", "Valid for", "select", "24", HOURS),
        ),
    )  # fmt: skip
    return data_table(
        ask, columns, [{**row, "label": row["label"] or "not named"} for row in _rows(ask, links)],
        acts=[_link_acts(ask, link, link.id in inside) for link in links], forms=[form],
        nothing="There is no sign-in link yet.",
        note=f"A link signs in once. The session lasts up to 14 days; revoking the link ends it too.{left}",
    )  # fmt: skip


def sessions(ask: Ask, tenant: str | None) -> Shown:
    """List the active sessions of a tenant, or of operators, with buttons to end one or all others."""
    own = _mine(ask)
    active = ask.engine.access.sessions(tenant).rows
    rows = [
        {
            **plain(session),
            "who": ", ".join(filter(None, (session.label, "you" if session.id == own else ""))) or "not named",
        }
        for session in active[:MOST_LISTED]
    ]
    columns = [
        Column("who", "Who", "long"), Column("role", "Role"), Column("created_at", "Since (UTC)", "utc"),
        Column("seen_at", "Last seen (UTC)", "utc"), Column("expires_at", "Ends (UTC)", "utc"),
    ]  # fmt: skip
    sends = {"tenant": tenant or ""}
    acts = [
        [] if session.id == own else [Act("end-session", "End", {"session": session.id, **sends}, danger=True)]
        for session in active[:MOST_LISTED]
    ]
    listed = any(session.id == own for session in active)
    others = (
        [Act("end-sessions", "End all others" if listed else "End all of these", sends, danger=True)]
        if any(acts)
        else []
    )
    mine = "" if listed else " Your own session is an operator's, so it is not listed here."
    more = _newest(len(active))
    return data_table(
        ask, columns, rows, acts=acts, forms=others, nothing=f"Nobody is signed in to this tenant alone.{mine}",
        note=f"Last seen is accurate to {SEEN_SECONDS // 60} minutes.{mine}{more}",
        more=() if listed else [("Sessions of operators", at("/operate/tenants"))],
    )  # fmt: skip


def _mine(ask: Ask) -> str:
    """Return the id of the viewer's own session."""
    return ask.person.session[:ID_DIGITS]


def shared_links(ask: Ask, tenant: str, *, offers: bool) -> Shown:
    """Show a tenant's shared links; `offers`: also a form to share the present view."""
    links, left = _links(ask, tenant, "share")
    rows = [
        {**row, "view": _described(ask, link.page, link.view), "pages": PAGES[link.alone]}
        for row, link in zip(_rows(ask, links), links, strict=True)
    ]
    columns = [
        Column("label", "For", "long"), Column("view", "Shows", "long"), Column("pages", "Pages"),
        Column("state", "State", "state"), Column("created_at", "Made (UTC)", "utc"), Column("expires_at", "Ends (UTC)", "utc"),
    ]  # fmt: skip
    forms = [_sharing(ask)] if offers else []
    return data_table(
        ask, columns, rows, acts=[_link_acts(ask, link) for link in links], forms=forms, nothing="There is no shared link yet.",
        note=f"A person with a shared link sees these numbers, for its days and filters, and never the rows behind them.{left}",
    )  # fmt: skip


def _sharing(ask: Ask) -> Act:
    view, of = ask.view, _here(ask)
    days = {"following": f"as they come: {view.title.lower()}"} if view.range != "custom" else {}
    fixed = {"fixed": f"these: {view.dates}"}
    titles = {page.name: ask.in_words(page.title) for page in NUMBERS.values()}
    return Act(
        "share", "Share", title=f"Share these numbers: {_described(ask, of, view.on(rest={}).query())}",
        fields=(
            Field("label", "For"), Field("page", "Page", "select", of, titles),
            Field("alone", "Shows", "select", "page", {"page": PAGES[True], "all": PAGES[False]}),
            Field("days", "Days", "select", options={**days, **fixed}), Field("lasts", "Ends after", "select", "30", DAYS),
        ),
    )  # fmt: skip


def _here(ask: Ask) -> str:
    """Return the page of numbers in the address, or the first one."""
    return parameter(ask, "of", NUMBERS) or FIRST


def _described(ask: Ask, page: str, query: str) -> str:
    """Return a page and its view in words: title, days, filters."""
    pairs = parse_qsl(query)
    params = dict(pairs)
    days = (
        PRESETS.get(params.get("range", "28d"), "").lower()
        if "from" not in params
        else _dates(params["from"], params.get("to", ""))
    )
    filters = [f"{ask.in_words(FILTERS[name]).lower()} {value}" for name, value in pairs if name in FILTERS]
    ticks = [words for name, words in (("bots", "with bots"), ("business", "business hours")) if name in params]
    return ", ".join([ask.in_words(NUMBERS[page].title) if page in NUMBERS else page, days, *filters, *ticks])


def _dates(first: str, after: str) -> str:
    """Return the days of an address in words."""
    start = date.fromisoformat(first)
    return short_days(start, date.fromisoformat(after) if after else start + timedelta(days=1))


def _links(ask: Ask, tenant: str | None, kind: str) -> tuple[Sequence[Link], str]:
    """Return the newest links, and a sentence on how many are left out; empty where all are there."""
    links = ask.engine.access.links(tenant, kind).rows
    return links[:MOST_LISTED], _newest(len(links))


def _newest(count: int) -> str:
    return f" The newest {MOST_LISTED} of {count:,} are listed." if count > MOST_LISTED else ""


def _rows(ask: Ask, links: Sequence[Link]) -> list[Cells]:
    return [{**plain(link), "state": state_of(link, ask.now)} for link in links]


def _link_acts(ask: Ask, link: Link, inside: bool = False) -> Sequence[Act]:
    """Return the button to revoke a link, while it works or somebody else is `inside` by it."""
    if state_of(link, ask.now) != "works" and not inside:
        return []
    return [Act("revoke-link", "Revoke", {"link": link.id, "tenant": link.tenant or ""}, danger=True)]


# --- actions of the forms


def actions(whose: Whose) -> dict[str, Callable[[Ask, Form], Done]]:
    """Return the actions of these forms. `whose` alone decides on whose access they act."""

    def add_key(ask: Ask, form: Form) -> Done:
        scopes = [scope for scope in SCOPES if form.get(f"scope-{scope}")]
        key = ask.engine.keys.add(whose(ask, form), scopes, form.get("label", ""), form.get("expires") or None)
        return Done(f"The key {key.id} is made.", secret=key.key)

    def rotate_key(ask: Ask, form: Form) -> Done:
        key = ask.engine.keys.rotate(form.get("key", ""), _number(form, "overlap"), owner=whose(ask, form))
        return Done(f"The key {key.id} is made in place of {key.replaces.id}.", secret=key.key)

    def revoke_key(ask: Ask, form: Form) -> Done:
        gone = ask.engine.keys.revoke(form.get("key", ""), whose(ask, form))
        return Done(f"The key {gone.id} is revoked.")

    def invite(ask: Ask, form: Form) -> Done:
        link = ask.engine.access.sign_in_link(
            whose(ask, form), form.get("role", ""), form.get("label", ""), 3600 * _number(form, "hours")
        )
        return Done(f"A sign-in link for the role {link.role}:", secret=link.path)

    def revoke_link(ask: Ask, form: Form) -> Done:
        gone = ask.engine.access.revoke_link(form.get("link", ""), whose(ask, form))
        return Done(f"The link for {gone.label or 'nobody named'} is revoked.")

    def end_session(ask: Ask, form: Form) -> Done:
        gone = ask.engine.access.end_session(form.get("session", ""), whose(ask, form))
        return Done(f"The session of {gone.label or 'nobody named'} has ended.")

    def end_sessions(ask: Ask, form: Form) -> Done:
        gone = ask.engine.access.end_sessions(whose(ask, form), _mine(ask))
        return Done("A session has ended." if gone.ended == 1 else f"{gone.ended} sessions have ended.")

    return {
        "add-key": add_key, "rotate-key": rotate_key, "revoke-key": revoke_key, "invite": invite, "revoke-link": revoke_link,
        "end-session": end_session, "end-sessions": end_sessions,
    }  # fmt: skip


def share(ask: Ask, form: Form) -> Done:
    """Share a page under the present view, with following or fixed days.

    A link shows one page unless all are chosen: sharing a screen means that screen, and a mistake would go unnoticed. Raises
    BadInputError for a page without numbers.
    """
    page = form.get("page") or _here(ask)
    if page not in NUMBERS:
        raise BadInputError(f"page {page[:40]!r} cannot be shared: those that can are {', '.join(NUMBERS)}")
    number = {"metric": ask.param("metric")} if page == ask.param("of") and ask.param("metric") else {}
    view = ask.view.on(rest=number)
    shown = view.fixed() if form.get("days") == "fixed" else view
    link = ask.engine.access.share_link(
        ask.tenant.id, shown.query(), form.get("label", ""), DAY * _number(form, "lasts"), page,
        alone=form.get("alone") != "all",
    )  # fmt: skip
    return Done(f"A link to {_described(ask, page, link.view)}:", secret=link.path)


def _number(form: Form, name: str) -> float:
    try:
        return float(form.get(name, ""))
    except ValueError:
        raise BadInputError(f"{name}: {form.get(name, '')[:40]!r} is not a number") from None
