"""The freshness page: waiting batches and units by tenant and kind, the furthest behind first, and folding on demand."""

from __future__ import annotations

from datetime import date

import pytest

from hubbub.errors import BadInputError
from hubbub.services.monitoring import TenantFacts
from tests.unit.api.conftest import event
from tests.unit.dashboard.visiting import Visitor


def of(visitor: Visitor, tenant: str) -> TenantFacts:
    """Return a tenant's row of freshness."""
    return next(row for row in visitor.engine.monitoring.freshness(tenant=tenant).rows if row.tenant == tenant)


def store(visitor: Visitor, tenant: str, *ids: str) -> None:
    """Store events, each in its own conversation, and fold nothing."""

    def die(step: str) -> None:
        if step.endswith("batches stored"):
            raise KeyboardInterrupt

    visitor.engine.record(tenant, [event(id_, conversation_id=id_) for id_ in ids])
    with pytest.raises(KeyboardInterrupt):
        visitor.engine.refresh(step=die)


def test_states_follow_events_and_folds(visitor: Visitor) -> None:
    """A new tenant is empty; accepted events wait as a batch, stored ones as units by kind; a refresh makes the tenant fresh."""
    assert of(visitor, "acme") == TenantFacts("acme", "empty", 0, None)
    visitor.engine.record("acme", event("a"))
    assert visitor.engine.monitoring.freshness().batches == 1
    store(visitor, "acme", "b", "c")
    now, whole = of(visitor, "acme"), visitor.engine.monitoring.freshness()
    waiting = {row.unit: row.waiting for row in whole.units}
    assert (now.state, now.newest, whole.batches, waiting["conversation"]) == ("behind", date(2026, 8, 1), 0, 2)
    assert now.behind == sum(waiting.values())
    visitor.engine.refresh()
    now = of(visitor, "acme")
    assert (now.state, now.behind, now.newest) == ("fresh", 0, date(2026, 8, 1))


def test_the_worst_come_first_page_by_page(visitor: Visitor) -> None:
    """Tenants with most to fold come first, then fresh ones; each is on exactly one page, and filters by state and name hold."""
    engine = visitor.engine
    names = [f"t{i:03}" for i in range(70)]
    for name in names:
        engine.add_tenant(name)
    engine.record("t007", event("a"))
    engine.refresh()
    store(visitor, "t041", "a")
    store(visitor, "t042", "a", "b")
    first = engine.monitoring.freshness()
    assert [(row.tenant, row.state) for row in first.rows[:4]] == [
        ("t042", "behind"),
        ("t041", "behind"),
        ("t007", "fresh"),
        ("acme", "empty"),
    ]
    second = engine.monitoring.freshness(cursor=first.next)
    assert second.next is None
    assert sorted(row.tenant for row in (*first.rows, *second.rows)) == sorted(["acme", *names])
    page = visitor.page("/operate/freshness/tenants")
    assert page.index("t042") < page.index("t041") < page.index("t007") < page.index("acme")
    assert "Next page" in page
    assert [row.tenant for row in engine.monitoring.freshness("fresh").rows] == ["t007"]
    assert "t042" not in visitor.page("/operate/freshness/tenants?state=fresh")
    assert next(row.tenant for row in engine.monitoring.freshness(tenant="t04").rows) == "t042"
    with pytest.raises(BadInputError):
        engine.monitoring.freshness("stale")


def test_a_tenant_is_brought_up_to_date_and_folded_again(visitor: Visitor) -> None:
    """Refresh and refold act on one tenant and say how many units; a wrong range or fact is refused in the page."""
    on = "/operate/freshness"
    form = f"{on}/facts?tenant=acme"
    store(visitor, "acme", "a")
    behind = of(visitor, "acme").behind
    told = visitor.act(f"{on}/refresh?tenant=acme", form, tenant="acme").text
    assert f"acme is up to date: {behind} units were due." in told and of(visitor, "acme").state == "fresh"
    range_ = {"tenant": "acme", "from": "2026-08-01", "to": "2026-08-02"}
    told = visitor.act(f"{on}/refold", form, status=200, fact="response", **range_).text
    again = visitor.engine.backfill("2026-08-01", "2026-08-02", "acme", "response")
    assert again["folded"] > 0 and f"Folded {again['folded']} units of acme again." in told
    for wrong in ({"to": "2026-07-01"}, {"fact": "rollup"}):
        refused = visitor.act(f"{on}/refold?tenant=acme", form, 400, **(range_ | wrong))
        assert 'role="alert"' in refused.text
