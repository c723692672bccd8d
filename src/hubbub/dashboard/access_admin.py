"""Keys, sign-in links, sessions and shared links: listed, made, ended. The same for a tenant's admin (its own) and for operators.

What lets somebody in is shown once, by the page that made it, and nowhere kept; lists never hold it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from hubbub.control.access import ID_DIGITS, LONGEST_SHARE, LONGEST_SIGN_IN, ROLES, SEEN_SECONDS, Link
from hubbub.control.control import SCOPES
from hubbub.dashboard.ask import Ask
from hubbub.dashboard.components import Column, Done, Form, Shown
from hubbub.dashboard.forms import Act, Field, asked, data_table
from hubbub.dashboard.shareable import FIRST, NUMBERS
from hubbub.dashboard.view import FILTERS, PRESETS
from hubbub.errors import BadInputError
from hubbub.model.plain import plain
from hubbub.model.window import utc_naive
from hubbub.services.keys import KeyView

PAGE_SIZE = 50
MOST_LISTED = 100
"""The newest links and sessions that are listed; links that ended a month ago are gone anyway."""
DAY = 86_400
SCOPE_WORDS = {
    "ingest": "send events", "read": "read numbers", "export": "export rows", "admin": "manage", "erase": "erase contacts",
}  # fmt: skip
OVERLAPS = {
    "0": "ends at once",
    "3600": "works an hour more",
    "86400": "works a day more",
    "604800": "works a week more",
}
HOURS = {"0.25": "15 minutes", "1": "1 hour", "24": "1 day", f"{LONGEST_SIGN_IN // 3600}": "7 days"}
DAYS = {"1": "1 day", "7": "7 days", "30": "30 days", "90": "90 days", f"{LONGEST_SHARE // DAY}": "400 days"}
PAGES = {True: "this one alone", False: "all with numbers"}
"""What a shared link shows, by its `alone`."""

Whose = Callable[[Ask, Form], str | None]
"""Whose entrances a page or a form is about: a tenant's, or (None) the operators'."""


def state_of(one: KeyView | Link, now: datetime) -> str:
    """Say whether a key or a link still lets somebody in."""
    if one.revoked_at:
        return "revoked"
    if isinstance(one, Link) and one.used_at:
        return "used"
    return "ended" if one.expires_at and one.expires_at <= utc_naive(now) else "works"


# --- keys


def keys(ask: Ask, tenant: str | None) -> Shown:
    """Show the keys of a tenant, or all, with a form that makes one."""
    found = ask.engine.keys.of(tenant, asked(ask, "keys"), PAGE_SIZE)
    rows = [{**plain(one), "state": state_of(one, ask.now), "may": ", ".join(one.scopes)} for one in found.rows]
    columns = [
        Column("id", "Key"), Column("tenant", "Tenant"), Column("label", "For", "long"), Column("may", "Scopes"),
        Column("state", "State", "state"), Column("created_at", "Made (UTC)", "utc"), Column("expires_at", "Ends (UTC)", "utc"),
    ]  # fmt: skip
    if tenant is not None:
        columns = [column for column in columns if column.name != "tenant"]
    made = Act(
        "add-key", "Make", {"tenant": tenant or ""}, title="Make a key" if tenant else "Make an operator's key",
        fields=(
            Field("label", "For"),
            *(Field(f"scope-{scope}", f"{scope}: {SCOPE_WORDS[scope]}", "checkbox", value="1" if scope in _usual(tenant) else "")
              for scope in SCOPES),
            Field("expires", "Ends before (may stay empty)", "date"),
        ),
    )  # fmt: skip
    return data_table(
        ask, columns, rows, acts=[_key_acts(row) for row in rows], forms=[made], following=found.next, cursor="keys",
        nothing="No key was made yet.",
    )  # fmt: skip


def _usual(tenant: str | None) -> Sequence[str]:
    return ("ingest", "read") if tenant else ("admin",)


def _key_acts(row: Mapping[str, Any]) -> Sequence[Act]:
    if row["state"] != "works":
        return []
    sends = {"key": row["id"], "tenant": row["tenant"] or ""}
    old = Field("overlap", "The old one", "select", "3600", OVERLAPS)
    return [
        Act("rotate-key", "Replace", sends, (old,), title="Replace"),
        Act("revoke-key", "Revoke", sends, danger=True),
    ]


# --- links


def sign_in_links(ask: Ask, tenant: str | None) -> Shown:
    """Show the sign-in links of a tenant, or of operators, with a form that makes one."""
    rows = _links(ask, tenant, "sign-in")
    inside = {one.link for one in ask.engine.access.sessions(tenant).rows if one.id != _mine(ask)}
    columns = [
        Column("label", "For", "long"), Column("role", "Role"), Column("state", "State", "state"),
        Column("created_at", "Made (UTC)", "utc"), Column("expires_at", "Ends (UTC)", "utc"),
        Column("used_at", "Used (UTC)", "utc"),
    ]  # fmt: skip
    roles = {role: role for role in (ROLES[:3] if tenant else ROLES[3:])}
    made = Act(
        "invite", "Make", {"tenant": tenant or ""}, title="Make a sign-in link",
        fields=(
            Field("label", "For"), Field("role", "Role", "select", options=roles),
            Field("hours", "Can be used for", "select", "24", HOURS),
        ),
    )  # fmt: skip
    return data_table(
        ask, columns, rows, acts=[_link_acts(row, row["id"] in inside) for row in rows], forms=[made],
        nothing="No sign-in link was made yet.",
        note="A link signs in once. Who came in by it stays for up to 14 days; to revoke the link ends that, too.",
    )  # fmt: skip


def sessions(ask: Ask, tenant: str | None) -> Shown:
    """List the active sessions of a tenant, or of operators; each can be ended, or all but one's own."""
    mine = _mine(ask)
    found = ask.engine.access.sessions(tenant).rows
    rows = [
        {**plain(one), "who": ", ".join(filter(None, (one.label, "you" if one.id == mine else ""))) or "not named"}
        for one in found[:MOST_LISTED]
    ]
    columns = [
        Column("who", "Who", "long"), Column("role", "Role"), Column("created_at", "Since (UTC)", "utc"),
        Column("seen_at", "Last seen (UTC)", "utc"), Column("expires_at", "Ends (UTC)", "utc"),
    ]  # fmt: skip
    sends = {"tenant": tenant or ""}
    acts = [
        [] if row["id"] == mine else [Act("end-session", "End", {"session": row["id"], **sends}, danger=True)]
        for row in rows
    ]
    others = [Act("end-sessions", "End all others", sends, danger=True)] if any(acts) else []
    more = f" The newest {MOST_LISTED} of {len(found)} are listed." if len(found) > MOST_LISTED else ""
    return data_table(
        ask, columns, rows, acts=acts, forms=others, nothing="Nobody is signed in.",
        note=f"Last seen is right to {SEEN_SECONDS // 60} minutes.{more}",
    )  # fmt: skip


def _mine(ask: Ask) -> str:
    """Return the id of the viewer's own session."""
    return ask.person.session[:ID_DIGITS]


def shared_links(ask: Ask, tenant: str, *, offers: bool) -> Shown:
    """Show a tenant's shared links; `offers` to share the present view, too."""
    rows = [
        {**row, "view": _told(row["page"], row["view"]), "pages": PAGES[row["alone"]]} for row in _links(ask, tenant, "share")
    ]  # fmt: skip
    columns = [
        Column("label", "For", "long"), Column("view", "Shows", "long"), Column("pages", "Pages"),
        Column("state", "State", "state"), Column("created_at", "Made (UTC)", "utc"), Column("expires_at", "Ends (UTC)", "utc"),
    ]  # fmt: skip
    forms = [_sharing(ask)] if offers else []
    return data_table(
        ask, columns, rows, acts=[_link_acts(row) for row in rows], forms=forms, nothing="Nothing was shared yet.",
        note="Whoever has a shared link sees these numbers, held to its days and filters, and never the rows behind them.",
    )  # fmt: skip


def _sharing(ask: Ask) -> Act:
    view, of = ask.view, _here(ask)
    days = {"following": f"as they come: {view.title.lower()}"} if view.range != "custom" else {}
    fixed = {"fixed": f"these: {view.first} to before {view.after}"}
    return Act(
        "share", "Share", title=f"Share these numbers: {_told(of, view.on(rest={}).query())}",
        fields=(
            Field("label", "For"), Field("page", "Page", "select", of, {page.name: page.title for page in NUMBERS.values()}),
            Field("alone", "Shows", "select", "page", {"page": PAGES[True], "all": PAGES[False]}),
            Field("days", "Days", "select", options={**days, **fixed}), Field("lasts", "Ends after", "select", "30", DAYS),
        ),
    )  # fmt: skip


def _here(ask: Ask) -> str:
    """Return the page of numbers that one came from, or the first one."""
    return asked(ask, "of", NUMBERS) or FIRST


def _told(page: str, query: str) -> str:
    """Say a page and its view's query string for people: its days and its filters."""
    given = parse_qsl(query)
    one = dict(given)
    days = (
        PRESETS.get(one.get("range", "28d"), "").lower()
        if "from" not in one
        else f"{one['from']} to before {one.get('to', '')}"
    )
    filters = [f"{FILTERS[name].lower()} {value}" for name, value in given if name in FILTERS]
    ticks = [words for name, words in (("bots", "with bots"), ("business", "business hours")) if name in one]
    return ", ".join([NUMBERS[page].title if page in NUMBERS else page, days, *filters, *ticks])


def _links(ask: Ask, tenant: str | None, kind: str) -> list[dict[str, Any]]:
    found = ask.engine.access.links(tenant, kind).rows
    return [{**plain(one), "state": state_of(one, ask.now)} for one in found[:MOST_LISTED]]


def _link_acts(row: Mapping[str, Any], inside: bool = False) -> Sequence[Act]:
    """Return what can be done with a link: to revoke it while it works, or while somebody else is `inside` by it."""
    if row["state"] != "works" and not inside:
        return []
    return [Act("revoke-link", "Revoke", {"link": row["id"], "tenant": row["tenant"] or ""}, danger=True)]


# --- what the forms do


def actions(whose: Whose) -> dict[str, Callable[[Ask, Form], Done]]:
    """Return what the forms of these parts do, to what `whose` says; nothing else of a form decides that."""

    def add_key(ask: Ask, form: Form) -> Done:
        scopes = [scope for scope in SCOPES if form.get(f"scope-{scope}")]
        made = ask.engine.keys.add(whose(ask, form), scopes, form.get("label", ""), form.get("expires") or None)
        return Done(f"The key {made.id} is made.", secret=made.key)

    def rotate_key(ask: Ask, form: Form) -> Done:
        made = ask.engine.keys.rotate(form.get("key", ""), _number(form, "overlap"), owner=whose(ask, form))
        return Done(f"The key {made.id} is made in place of {made.replaces.id}.", secret=made.key)

    def revoke_key(ask: Ask, form: Form) -> Done:
        gone = ask.engine.keys.revoke(form.get("key", ""), whose(ask, form))
        return Done(f"The key {gone.id} works no more.")

    def invite(ask: Ask, form: Form) -> Done:
        made = ask.engine.access.sign_in_link(
            whose(ask, form), form.get("role", ""), form.get("label", ""), 3600 * _number(form, "hours")
        )
        return Done(f"A sign-in link for the role {made.role}:", secret=made.path)

    def revoke_link(ask: Ask, form: Form) -> Done:
        gone = ask.engine.access.revoke_link(form.get("link", ""), whose(ask, form))
        return Done(f"The link for {gone.label or 'nobody named'} works no more.")

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
    """Share a page under the present view: its days as they come, or these for ever.

    A link shows the one page unless all are asked for. Who shares what is on the screen means that and no more, as with the
    link to one dashboard or one site that other programs make; of numbers that were given away by mistake nobody is told.
    Raises BadInputError for a page without numbers.
    """
    page = form.get("page") or _here(ask)
    if page not in NUMBERS:
        raise BadInputError(f"page {page[:40]!r} cannot be shared: those that can are {', '.join(NUMBERS)}")
    number = {"metric": ask.param("metric")} if page == ask.param("of") and ask.param("metric") else {}
    view = ask.view.on(rest=number)
    shown = view.fixed() if form.get("days") == "fixed" else view
    made = ask.engine.access.share_link(
        ask.tenant.id, shown.query(), form.get("label", ""), DAY * _number(form, "lasts"), page,
        alone=form.get("alone") != "all",
    )  # fmt: skip
    return Done(f"A link to {_told(page, made.view)}:", secret=made.path)


def _number(form: Form, name: str) -> float:
    try:
        return float(form.get(name, ""))
    except ValueError:
        raise BadInputError(f"{name}: {form.get(name, '')[:40]!r} is not a number") from None
