"""The access page: an admin's own keys, sign-in links and shared links, made, shown once, listed and ended; nobody else's."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest

from tests.unit.pages.visiting import XSS, Visitor, plain, secret
from tests.unit.web.conftest import event

ON = "/t/acme/access"


@pytest.fixture(autouse=True)
def admin(visitor: Visitor) -> None:
    """Sign in as the admin of acme."""
    visitor.enter("acme", "admin")


def test_only_admins_see_it(visitor: Visitor) -> None:
    """Viewers, analysts and other tenants' admins get the page of one that does not exist."""
    visitor.engine.add_tenant("other")
    assert "No key was made yet." in visitor.see(ON)
    visitor.see("/t/other/access", 404)
    for role in ("viewer", "analyst"):
        visitor.enter("acme", role)
        visitor.see(ON, 404)
        assert visitor.http.post(f"{ON}/add-key", data={"scope-read": "1"}).status_code == 404


def test_a_key_is_shown_once_replaced_and_revoked(visitor: Visitor) -> None:
    """A made key works with its scopes and is on no page after; its successor works too; revoked it works no more."""
    text = secret(visitor.act(f"{ON}/add-key", ON, **{"scope-read": "1"}, status=200, label=XSS).text)
    key = visitor.engine.control.authenticate(text)
    assert (key.tenant, key.scopes) == ("acme", ("read",))
    page = visitor.page(ON)
    assert text not in page and XSS not in page and key.id in page
    other = secret(visitor.act(f"{ON}/rotate-key", ON, key=key.id, overlap="3600").text)
    assert visitor.engine.control.authenticate(other).scopes == ("read",)
    visitor.act(f"{ON}/revoke-key", ON, key=key.id)
    assert visitor.engine.key(key.id)["revoked_at"]
    refused = visitor.act(f"{ON}/add-key", ON, status=400, label="none")
    assert "scopes: none given" in plain(refused.text)


def test_a_tenant_reaches_nothing_of_another(visitor: Visitor) -> None:
    """Whatever a form says, keys and links are the page's tenant's: another's is not found, and stays as it is."""
    visitor.engine.add_tenant("other")
    theirs = visitor.engine.add_key("other")["id"]
    link = visitor.engine.share_link("other", "range=7d")["id"]
    visitor.act(f"{ON}/revoke-key", ON, status=404, key=theirs, tenant="other")
    visitor.act(f"{ON}/rotate-key", ON, status=404, key=theirs, overlap="0")
    visitor.act(f"{ON}/revoke-link", ON, status=404, link=link, tenant="other")
    assert visitor.engine.key(theirs)["revoked_at"] is None
    made = secret(visitor.act(f"{ON}/add-key", ON, **{"scope-ingest": "1"}, status=200, tenant="other").text)
    assert visitor.engine.control.authenticate(made).tenant == "acme"
    assert visitor.act(f"{ON}/invite", ON, status=400, role="operator", hours="1").status_code == 400


def test_an_admin_sees_what_its_own_keys_sent(visitor: Visitor) -> None:
    """Its tenant's deliveries, also with a key that was revoked, and neither another's nor those of unknown keys."""
    visitor.engine.add_tenant("other")
    made = {tenant: visitor.engine.add_key(tenant) for tenant in ("acme", "other")}
    gone = visitor.engine.add_key("acme")
    visitor.engine.revoke_key(gone["id"])
    assert "Nothing of acme was sent lately." in visitor.see(f"{ON}/deliveries")
    for key in (made["acme"]["key"], made["other"]["key"], gone["key"], "hub_live_0_0"):
        visitor.http.post("/v1/events", json=[event("a")], headers={"Authorization": f"Bearer {key}"})
    for query in ("", "?tenant=other", "?tenant=&arrived="):
        text = visitor.see(f"{ON}/deliveries{query}")
        assert made["acme"]["id"] in text and gone["id"] in text and "the key was revoked" in text
        assert made["other"]["id"] not in text and "none of this installation's" not in text
    visitor.enter("acme", "analyst")
    visitor.see(f"{ON}/deliveries", 404)


def test_a_sign_in_link_works_once(visitor: Visitor) -> None:
    """A made link is an address of this server, signs in as its role, and then says that it was used."""
    told = visitor.act(f"{ON}/invite", ON, role="analyst", hours="24", label="Maria").text
    address = urlsplit(secret(told))
    assert address.netloc == "testserver" and address.path == "/sign-in"
    token = address.query.partition("token=")[2]
    assert visitor.engine.access.enter(token)[0].role == "analyst"
    assert "Maria analyst used" in plain(visitor.page(ON))


def test_a_shared_view_is_held_and_can_be_withdrawn(visitor: Visitor) -> None:
    """The present days and filters are shared, as they come or fixed; withdrawn, the link leads nowhere."""
    visitor.engine.record("acme", [event("a", channel="sms"), event("b", channel="web")])
    on = f"{ON}?from=2026-08-01&to=2026-08-02&channel=web"
    path = urlsplit(
        secret(visitor.act(f"{ON}/share?{urlsplit(on).query}", on, days="fixed", lasts="7", label="Owner").text)
    ).path
    text = visitor.page(f"{path}/overview")
    assert 'data-number="messages" data-value="1"' in text
    assert "2026-08-01 to before 2026-08-02, Channel web" in plain(visitor.page(ON))
    following = f"{ON}?range=7d"
    visitor.act(f"{ON}/share?range=7d", following, days="following", lasts="30")
    views = [row["view"] for row in visitor.engine.links("acme", "share")["rows"]]
    assert sorted(views) == ["from=2026-08-01&to=2026-08-02&channel=web", "range=7d"]
    link = re.findall(r'name="link" value="([^"]+)"', visitor.page(ON))
    for one in link:
        visitor.act(f"{ON}/revoke-link", ON, link=one)
    visitor.see(f"{path}/overview", 404)
    visitor.act(f"{ON}/share", ON, status=400, days="fixed", lasts="soon")
    visitor.act(f"{ON}/share", ON, status=400, days="fixed", lasts="4000")


def test_a_name_of_a_filter_is_escaped(visitor: Visitor) -> None:
    """A filter's value from the address comes back as text in what is offered to share, and in the list."""
    answer = visitor.http.get(ON, params={"channel": XSS})
    assert XSS not in answer.text and "&lt;img" in answer.text
    visitor.engine.share_link("acme", "range=7d&channel=%3Cscript%3E", XSS)
    assert "<script>" not in visitor.page(ON) and XSS not in visitor.page(ON)
