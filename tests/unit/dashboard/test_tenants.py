"""The page of tenants and keys: tenants are made and changed; keys and links of one or all are listed, made and ended."""

from __future__ import annotations

from tests.unit.dashboard.visiting import XSS, Visitor, plain, secret

ON = "/operate/tenants"


def test_tenants_are_made_and_changed(visitor: Visitor) -> None:
    """A new tenant has zone and name; an empty retention keeps for ever; wrong values change nothing."""
    told = visitor.act(f"{ON}/add", ON, new="beta", name=XSS, zone="Asia/Kolkata").text
    assert "beta is made, in the zone Asia/Kolkata" in plain(told) and XSS not in told
    one = f"{ON}?tenant=beta"
    days = {"raw": "120", "hour": "30", "day": "365", "week": "730", "month": ""}
    assert '<option value="Asia/Tokyo">' in visitor.page(one)  # the form suggests time zones
    visitor.act(f"{ON}/change?tenant=beta", one, status=200, tenant="beta", name="Beta", zone="Asia/Tokyo", **days)
    row = visitor.engine.tenants.get("beta")
    assert (row.zone, row.name, row.retention.raw, row.retention.month) == (
        "Asia/Tokyo",
        "Beta",
        120,
        None,
    )
    assert "for ever" in visitor.see(one)
    for wrong in ({"raw": "many"}, {"raw": "0"}, {"zone": "Mars/Phobos"}):
        visitor.act(f"{ON}/change?tenant=beta", one, status=400, **{"tenant": "beta", **wrong})
    assert visitor.engine.tenants.get("beta") == row
    assert "exists already" in visitor.act(f"{ON}/add", ON, status=409, new="beta").text


def test_many_tenants_come_page_by_page(visitor: Visitor) -> None:
    """A page has 50 tenants, and the next one the rest."""
    for i in range(60):
        visitor.engine.add_tenant(f"t{i:02}")
    first = visitor.page(ON)
    assert "tenant=t48" in first and "tenant=t55" not in first and "Next page" in first
    cursor = visitor.engine.tenants.of(limit=50).next
    assert "tenant=t55" in visitor.page(f"{ON}?cursor={cursor}")


def test_keys_of_one_tenant_or_of_all_are_listed(visitor: Visitor) -> None:
    """Without a tenant all keys are listed and an operator's can be made; with one, only its keys are listed."""
    visitor.engine.add_tenant("beta")
    visitor.engine.keys.add("beta", label="of beta")
    made = secret(visitor.act(f"{ON}/add-key", ON, **{"scope-admin": "1"}, status=200, tenant="", label="mine").text)
    assert visitor.engine.control.authenticate(made).tenant is None
    assert "of beta" in visitor.see(ON) and "mine" in visitor.see(ON)
    assert "of beta" not in visitor.see(f"{ON}?tenant=acme") and "of beta" in visitor.see(f"{ON}?tenant=beta")
    key = visitor.engine.keys.of("beta").rows[0].id
    visitor.act(f"{ON}/revoke-key?tenant=beta", f"{ON}?tenant=beta", key=key, tenant="beta")
    assert "revoked" in visitor.see(f"{ON}?tenant=beta")


def test_links_of_operators_and_of_a_tenant(visitor: Visitor) -> None:
    """An operator invites operators, and revokes a tenant's shared links."""
    path = secret(visitor.act(f"{ON}/invite", ON, tenant="", role="operator", hours="1").text)
    assert visitor.engine.access_store.enter(path.partition("token=")[2])[0].tenant is None
    shared = visitor.engine.access.share_link("acme", "range=7d", "Owner")
    one = f"{ON}?tenant=acme"
    assert "Owner Overview, last 7 days all with numbers works" in visitor.see(one)
    visitor.act(f"{ON}/revoke-link?tenant=acme", one, link=shared.id, tenant="acme")
    assert "Owner Overview, last 7 days all with numbers revoked" in visitor.see(one)
    assert "there is no tenant" in visitor.see(f"{ON}?tenant=none")
