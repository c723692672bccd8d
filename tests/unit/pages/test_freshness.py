"""The freshness page: every tenant's state is what its marks and events say, the worst first, and can be folded anew."""

from __future__ import annotations

from typing import Any

import pytest

from hubbub.errors import BadInputError
from tests.unit.pages.visiting import XSS, Visitor
from tests.unit.web.conftest import event


def of(visitor: Visitor, tenant: str) -> dict[str, dict[str, Any]]:
    """Return how a tenant's facts stand, by name."""
    return {row["fact"]: row for row in visitor.engine.freshness_of(tenant)["rows"]}


def fail(visitor: Visitor, tenant: str, error: str) -> None:
    """Let a tenant's fold of a fact have failed, as the refresh writes it down."""
    no = visitor.engine.control.tenant(tenant).no
    with visitor.engine.store.change() as work:
        work.execute("INSERT INTO marks VALUES ('talk', $no, 0, $error, 2, NULL)", {"no": no, "error": error})


def test_states_follow_events_and_folds(visitor: Visitor) -> None:
    """Nothing is empty; events that came after the fold make dirty those facts that read them; a refresh makes them fresh."""
    assert {row["state"] for row in of(visitor, "acme").values()} == {"empty"}
    visitor.engine.record("acme", [event("a"), event("b")])
    now = of(visitor, "acme")
    assert (now["talk"]["state"], now["talk"]["behind"], now["survey"]["state"]) == ("dirty", 2, "empty")
    visitor.engine.refresh()
    now = of(visitor, "acme")
    assert (now["talk"]["state"], now["talk"]["behind"], now["talk"]["newest"]) == ("fresh", 0, "2026-08-01")
    visitor.engine.record("acme", event("c"))
    assert of(visitor, "acme")["talk"]["behind"] == 1


def test_the_worst_come_first_page_by_page(visitor: Visitor) -> None:
    """Of many tenants the failed one is first, then the dirty one; every tenant is on one page alone."""
    engine = visitor.engine
    names = [f"t{i:03}" for i in range(70)]
    for name in names:
        engine.add_tenant(name)
    engine.refresh()
    engine.record("t042", event("a"))
    fail(visitor, "t007", f"disk {XSS}")
    first = engine.freshness()
    assert [(row["tenant"], row["state"]) for row in first["rows"][:3]] == [
        ("t007", "failed"),
        ("t042", "dirty"),
        ("acme", "empty"),
    ]
    second = engine.freshness(cursor=first["next"])
    assert second["next"] is None
    assert sorted(row["tenant"] for row in first["rows"] + second["rows"]) == sorted(["acme", *names])
    assert {row["fact"]: row["failed"] for row in first["facts"]}["talk"] == 1
    page = visitor.page("/operate/freshness/tenants")
    assert page.index("t007") < page.index("t042") < page.index("acme")
    assert "Next page" in page and XSS not in page and "disk" in page
    assert [row["tenant"] for row in engine.freshness("failed")["rows"]] == ["t007"]
    assert "t042" not in visitor.page("/operate/freshness/tenants?state=failed")
    assert next(row["tenant"] for row in engine.freshness(tenant="t04")["rows"]) == "t042"
    with pytest.raises(BadInputError):
        engine.freshness("stale")


def test_a_tenant_is_brought_up_to_date_and_folded_anew(visitor: Visitor) -> None:
    """Both actions fold this tenant's windows and say how many; a range that is none is refused in the page."""
    on = "/operate/freshness"
    visitor.engine.record("acme", event("a"))
    told = visitor.act(f"{on}/refresh?tenant=acme", "/operate/freshness/facts?tenant=acme", tenant="acme").text
    assert "acme is up to date" in told and of(visitor, "acme")["talk"]["state"] == "fresh"
    range_ = {"tenant": "acme", "from": "2026-08-01", "to": "2026-08-02"}
    told = visitor.act(
        f"{on}/refold", "/operate/freshness/facts?tenant=acme", status=200, rollup="messages", **range_
    ).text
    again = visitor.engine.backfill("2026-08-01", "2026-08-02", "acme", "messages")
    assert f"Folded {again['windows']} windows of acme anew." in told
    refused = visitor.act(
        f"{on}/refold", "/operate/freshness/facts?tenant=acme", 400, **(range_ | {"to": "2026-07-01"})
    )
    assert 'role="alert"' in refused.text
