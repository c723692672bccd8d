"""The access page: an admin's own keys, links and sessions are made, shown once, listed and ended; no other tenant's are."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import urlsplit

import pytest

from hubbub.errors import UnauthenticatedError
from tests.unit.api.conftest import event
from tests.unit.dashboard.visiting import XSS, Visitor, plain, secret

ON = "/t/acme/access"


@pytest.fixture(autouse=True)
def admin(visitor: Visitor) -> None:
    """Sign in as the admin of acme."""
    visitor.enter("acme", "admin")


def test_only_admins_see_the_access_page(visitor: Visitor) -> None:
    """Viewers, analysts and other tenants' admins get 404."""
    visitor.engine.add_tenant("other")
    assert "There is no key yet." in visitor.see(ON)
    visitor.see("/t/other/access", 404)
    for role in ("viewer", "analyst"):
        visitor.enter("acme", role)
        visitor.see(ON, 404)
        assert visitor.http.post(f"{ON}/add-key", data={"scope-read": "1"}).status_code == 404


def test_a_key_is_shown_once_replaced_and_revoked(visitor: Visitor) -> None:
    """A new key works with its scopes and is shown once; its successor works too; it can be revoked, and needs a scope."""
    text = secret(visitor.act(f"{ON}/add-key", ON, **{"scope-read": "1"}, status=200, label=XSS).text)
    key = visitor.engine.control.authenticate(text)
    assert (key.tenant, key.scopes) == ("acme", ("read",))
    page = visitor.page(ON)
    assert text not in page and XSS not in page and key.id in page
    other = secret(visitor.act(f"{ON}/rotate-key", ON, key=key.id, overlap="3600").text)
    assert visitor.engine.control.authenticate(other).scopes == ("read",)
    visitor.act(f"{ON}/revoke-key", ON, key=key.id)
    assert visitor.engine.keys.get(key.id).revoked_at
    refused = visitor.act(f"{ON}/add-key", ON, status=400, label="none")
    assert "scopes: none given" in plain(refused.text)


def test_a_tenant_reaches_nothing_of_another(visitor: Visitor) -> None:
    """Forms act on keys and links of the page's tenant only: another tenant's get 404 and stay as they are."""
    visitor.engine.add_tenant("other")
    theirs = visitor.engine.keys.add("other").id
    link = visitor.engine.access.share_link("other", "range=7d").id
    visitor.act(f"{ON}/revoke-key", ON, status=404, key=theirs, tenant="other")
    visitor.act(f"{ON}/rotate-key", ON, status=404, key=theirs, overlap="0")
    visitor.act(f"{ON}/revoke-link", ON, status=404, link=link, tenant="other")
    assert visitor.engine.keys.get(theirs).revoked_at is None
    made = secret(visitor.act(f"{ON}/add-key", ON, **{"scope-ingest": "1"}, status=200, tenant="other").text)
    assert visitor.engine.control.authenticate(made).tenant == "acme"
    assert visitor.act(f"{ON}/invite", ON, status=400, role="operator", hours="1").status_code == 400


def test_an_admin_sees_what_its_own_keys_sent(visitor: Visitor) -> None:
    """The page lists deliveries with the tenant's keys, revoked ones too, and none of other tenants or unknown keys."""
    visitor.engine.add_tenant("other")
    made = {tenant: visitor.engine.keys.add(tenant) for tenant in ("acme", "other")}
    gone = visitor.engine.keys.add("acme")
    visitor.engine.keys.revoke(gone.id)
    assert "No events of acme came over HTTP in the last 30 days." in visitor.see(f"{ON}/deliveries")
    for key in (made["acme"].key, made["other"].key, gone.key, "hub_live_0_0"):
        visitor.http.post("/v1/events", json=[event("a")], headers={"Authorization": f"Bearer {key}"})
    for query in ("", "?tenant=other", "?tenant=&arrived="):
        text = visitor.see(f"{ON}/deliveries{query}")
        assert made["acme"].id in text and gone.id in text and "the key was revoked" in text
        assert made["other"].id not in text and "unknown or incomplete" not in text
    visitor.enter("acme", "analyst")
    visitor.see(f"{ON}/deliveries", 404)


def test_a_sign_in_link_works_once(visitor: Visitor) -> None:
    """A sign-in link is an address of this server and gives its role; then the page says that it was used."""
    told = visitor.act(f"{ON}/invite", ON, role="analyst", hours="24", label="Maria").text
    address = urlsplit(secret(told))
    assert address.netloc == "testserver" and address.path == "/sign-in"
    token = address.query.partition("token=")[2]
    assert visitor.engine.access_store.enter(token)[0].role == "analyst"
    assert "Maria analyst used" in plain(visitor.page(ON))


def test_a_shared_view_can_be_revoked(visitor: Visitor) -> None:
    """The current days and filters are shared, relative or fixed; a revoked link gets 404, and a bad duration is refused."""
    visitor.engine.record("acme", [event("a", channel="sms"), event("b", channel="web")])
    on = f"{ON}?from=2026-08-01&to=2026-08-02&channel=web"
    path = urlsplit(
        secret(visitor.act(f"{ON}/share?{urlsplit(on).query}", on, days="fixed", lasts="7", label="Owner").text)
    ).path
    text = visitor.page(f"{path}/overview")
    assert 'data-number="messages" data-value="1"' in text
    assert "1 Aug 2026, channel web this one alone works" in plain(visitor.page(ON))
    following = f"{ON}?range=7d"
    visitor.act(f"{ON}/share?range=7d", following, days="following", lasts="30")
    views = [row.view for row in visitor.engine.access.links("acme", "share").rows]
    assert sorted(views) == ["from=2026-08-01&to=2026-08-02&channel=web", "range=7d"]
    link = re.findall(r'name="link" value="([^"]+)"', visitor.page(ON))
    for one in link:
        visitor.act(f"{ON}/revoke-link", ON, link=one)
    visitor.see(f"{path}/overview", 404)
    visitor.act(f"{ON}/share", ON, status=400, days="fixed", lasts="soon")
    visitor.act(f"{ON}/share", ON, status=400, days="fixed", lasts="4000")


def test_a_name_of_a_filter_is_escaped(visitor: Visitor) -> None:
    """A filter's value from the address is escaped in the form and in the list."""
    answer = visitor.http.get(ON, params={"channel": XSS})
    assert XSS not in answer.text and "&lt;img" in answer.text
    visitor.engine.access.share_link("acme", "range=7d&channel=%3Cscript%3E", XSS)
    assert "<script>" not in visitor.page(ON) and XSS not in visitor.page(ON)


def test_a_link_opens_where_it_was_made(visitor: Visitor) -> None:
    """The form offers the page it was opened from; the link opens that page with its view, and no other page."""
    visitor.engine.record("acme", [event("a", channel="sms"), event("b", channel="web")])
    view = "range=7d&compare=none&channel=web"
    page = visitor.page(f"/t/acme/speed?{view}&metric=response_ms.p90")
    way = unescape(re.findall(r'href="([^"]+/access[^"]*)"', page)[0])
    assert way == f"{ON}?{view}&of=speed&metric=response_ms.p90"
    assert '<option value="speed" selected>' in visitor.page(way)
    told = visitor.act(
        way.replace("access?", "access/share?"), way, page="speed", alone="page", days="following", lasts="30"
    )
    assert "A link to Speed, last 7 days, channel web:" in plain(told.text)
    path = urlsplit(secret(told.text)).path
    visitor.http.cookies.clear()
    there = visitor.http.get(path, follow_redirects=False).headers["location"]
    assert there == f"{path}/speed?{view}&metric=response_ms.p90"
    opened = visitor.page(f"{path}/speed?range=90d&channel=sms&metric=response_ms.p90")
    assert "Channel: web" in plain(opened) and "Last 7 days" in opened and "channel=sms" not in opened
    assert re.findall(r'<a href="([^"?]+)[^>]*aria-current="page"', opened) == [f"{path}/speed"]
    for other in ("overview", "explain", "live", "conversations", "access", "nonsense"):
        visitor.see(f"{path}/{other}?metric=messages", 404)
        visitor.see(f"{path}/{other}/cards?metric=messages", 404)
    assert "explain" not in opened + visitor.page(f"{path}/speed/channels")


def test_a_link_can_show_all_pages_of_numbers(visitor: Visitor) -> None:
    """Such a link opens its page and leads to all pages of numbers; explanations keep the link's days and filters."""
    visitor.engine.record("acme", [event("a", channel="sms"), event("b", channel="web"), event("c", channel="web")])
    on = f"{ON}?from=2026-08-01&to=2026-08-02&channel=web"
    told = visitor.act(
        f"{ON}/share?{urlsplit(on).query}", on, page="topics", alone="all", days="fixed", lasts="30"
    ).text
    path = urlsplit(secret(told)).path
    assert "Topics, 1 Aug 2026, channel web all with numbers works" in plain(visitor.page(ON))
    visitor.http.cookies.clear()
    assert (
        visitor.http.get(path, follow_redirects=False).headers["location"].startswith(f"{path}/topics?from=2026-08-01")
    )
    assert f"{path}/speed?" in visitor.page(f"{path}/overview") and f"{path}/reports" not in visitor.page(
        f"{path}/overview"
    )
    number = f"{path}/explain/number?metric=messages"
    for more in ("", "&start=2026-07-01&end=2026-09-01", "&d.channel=sms", "&channel=sms&range=all"):
        text = visitor.see(number + more)
        assert text.endswith(" 2") and text.startswith("1 Aug 2026 "), text
    assert visitor.see(f"{number}&start=2026-08-01T00:00:00Z&end=2026-08-01T00:01:00Z").endswith(" 0")


def test_a_link_under_two_values_explains_each(visitor: Visitor) -> None:
    """Under a link with two values, each value can be filtered alone; other values have no effect."""
    visitor.engine.record(
        "acme", [event("a", channel="sms"), event("b", channel="web"), event("c", channel="telegram")]
    )
    path = visitor.engine.access.share_link("acme", "from=2026-08-01&to=2026-08-02&channel=sms&channel=web").path
    visitor.http.cookies.clear()
    number = f"{path}/explain/number?metric=messages"
    for more, messages in (
        ("", 2),
        ("&channel=web", 1),
        ("&channel=telegram", 2),
        ("&channel=telegram&channel=sms", 1),
    ):
        assert visitor.see(number + more).endswith(f" {messages}"), more


def test_a_page_of_rows_cannot_be_shared(visitor: Visitor) -> None:
    """Pages of rows, unknown pages and those above a viewer's role cannot be shared; the error lists those that can."""
    for page in ("conversations", "access", "explain", "nonsense", XSS):
        refused = visitor.act(f"{ON}/share", ON, status=400, page=page, days="following", lasts="30")
        assert "cannot be shared: those that can are overview, live" in plain(refused.text) and XSS not in refused.text
    assert visitor.engine.access.links("acme", "share").rows == []


def test_a_long_list_of_links_says_how_many_are_left_out(visitor: Visitor) -> None:
    """Of more than 100 sign-in or shared links the newest are listed, with how many there are; of fewer nothing is said."""
    assert "are listed" not in visitor.see("/t/acme/access")
    for _ in range(101):
        visitor.engine.access.sign_in_link("acme", "viewer")
        visitor.engine.access.share_link("acme", "from=2026-08-01&to=2026-08-02")
    signs = len(visitor.engine.access.links("acme", "sign-in").rows)
    text = visitor.see("/t/acme/access")
    assert f"The newest 100 of {signs} are listed." in text and "The newest 100 of 101 are listed." in text


def test_sessions_are_listed_and_can_be_ended(visitor: Visitor) -> None:
    """Sessions are listed by label and role; one or all others can be ended, and revoking a used link ends its session."""
    tokens = {name: come_in(visitor, "acme", name) for name in ("Ada", "Ben", "Cay")}
    text = plain(visitor.page(ON))
    assert "End all others" in text and "Your own session" not in text
    assert "you admin" in text and "Ada viewer" in text and not any(token in text for token in tokens.values())
    ids = {row.label: row.id for row in visitor.engine.access.sessions("acme").rows}
    assert "of Ada has ended" in plain(visitor.act(f"{ON}/end-session", ON, session=ids["Ada"]).text)
    links = {row.label: row.id for row in visitor.engine.access.links("acme", "sign-in").rows}
    assert f'name="link" value="{links["Ben"]}"' in visitor.page(ON) and links["Ada"] not in visitor.page(ON)
    visitor.act(f"{ON}/revoke-link", ON, link=links["Ben"])
    assert [row.label for row in visitor.engine.access.sessions("acme").rows] == ["Cay", ""]
    assert "A session has ended." in plain(visitor.act(f"{ON}/end-sessions", ON).text)
    for token in tokens.values():
        with pytest.raises(UnauthenticatedError):
            visitor.engine.access_store.session(token)
    assert "End all others" not in visitor.page(ON)
    visitor.see(ON)


def test_an_operator_is_told_where_the_own_session_is(visitor: Visitor) -> None:
    """On a tenant's page an operator's session is not listed: the button ends all of these, and a link leads to the operators'."""
    come_in(visitor, "acme", "Ada")
    visitor.enter()
    shown, html = visitor.see(ON), visitor.page(ON)
    assert "End all of these" in shown and "End all others" not in shown
    assert '<a href="/operate/tenants">Sessions of operators</a>' in html
    visitor.act(f"{ON}/end-sessions", ON)
    assert "Nobody is signed in to this tenant alone. Your own session is an operator's" in visitor.see(ON)
    assert visitor.engine.access.sessions("acme").rows == [] and "you operator" in visitor.see("/operate/tenants")


def test_sessions_of_another_tenant_are_answered_as_unknown(visitor: Visitor) -> None:
    """An admin neither sees nor ends sessions of other tenants or operators; the answer is that for an unknown session."""
    visitor.engine.add_tenant("other")
    tokens = [come_in(visitor, "other", "Eve"), come_in(visitor, None, "Root", "operator")]
    assert not {"Eve", "Root"} & set(visitor.see(ON).split())
    none = plain(visitor.act(f"{ON}/end-session", ON, status=404, session="0" * 16).text)
    for token, tenant in zip(tokens, ("other", ""), strict=True):
        session = visitor.engine.access_store.session(token).id
        answer = visitor.act(f"{ON}/end-session", ON, status=404, session=session, tenant=tenant)
        assert plain(answer.text) == none and session not in visitor.page(ON)
        visitor.act(f"{ON}/end-sessions", ON, tenant=tenant)
        assert visitor.engine.access_store.session(token).id == session


def test_operators_list_their_own_sessions_and_a_tenant_s(visitor: Visitor) -> None:
    """On the page of tenants an operator lists and ends sessions of operators, or of the chosen tenant."""
    come_in(visitor, "acme", "Ada")
    come_in(visitor, None, "Root", "operator")
    visitor.enter()
    on = "/operate/tenants"
    assert "Root operator" in visitor.see(on) and "Root operator" not in visitor.see(f"{on}?tenant=acme")
    assert "Ada viewer" in visitor.see(f"{on}?tenant=acme") and "Ada viewer" not in visitor.see(on)
    ada = next(row.id for row in visitor.engine.access.sessions("acme").rows if row.label == "Ada")
    visitor.act(f"{on}/end-session?tenant=acme", f"{on}?tenant=acme", tenant="acme", session=ada)
    visitor.act(f"{on}/end-sessions", on, tenant="")
    assert [row.label for row in visitor.engine.access.sessions().rows] == [""]
    assert [row.role for row in visitor.engine.access.sessions("acme").rows] == ["admin"]
    visitor.act(f"{on}/end-sessions", on, tenant="nobody", status=404)


def come_in(visitor: Visitor, tenant: str | None, label: str, role: str = "viewer") -> str:
    """Sign somebody else in, and return the session's token."""
    token = visitor.engine.access.sign_in_link(tenant, role, label).path.partition("token=")[2]
    return visitor.engine.access_store.enter(token)[1]
