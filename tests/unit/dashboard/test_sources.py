"""The sources page: sources, deliveries, refused records that can be replayed, and accounts that can be paused."""

from __future__ import annotations

from hubbub.dashboard.sources import PAGE
from hubbub.model.plain import plain as plain_values
from tests.unit.api.conftest import event
from tests.unit.dashboard.visiting import XSS, Visitor, plain, secret

ON = "/operate/sources"
SETTINGS = {"page_id": "123"}


def part(visitor: Visitor, name: str, query: str = "") -> str:
    """Return the text of one part of the page."""
    return plain(visitor.page(f"{ON}/{name}?{query}"))


def test_each_part_of_an_empty_installation_says_so(visitor: Visitor) -> None:
    """Every part says that it has nothing yet; a CSV without rows has the table's columns."""
    assert "No event was ever received." in part(visitor, "sources")
    assert "No events came over HTTP in the last 30 days." in part(visitor, "deliveries")
    assert "Nothing was refused." in part(visitor, "refused")
    assert "No account of a service is connected." in part(visitor, "accounts")
    assert [widget.name for widget in PAGE.widgets] == ["sources", "deliveries", "refused", "receiving", "accounts"]
    assert "No service sends webhooks yet" in part(visitor, "receiving")
    empty = visitor.http.get(f"{ON}/deliveries.csv").content.decode("utf-8-sig")
    assert empty == "minute,tenant,key,state,status,why,bodies,accepted,duplicates,rejected,bytes\r\n"


def test_sources_have_their_newest_event(visitor: Visitor) -> None:
    """Each tenant and source has its newest event, its lateness, and its number of events in the last day."""
    visitor.engine.add_tenant("other")
    visitor.engine.record("acme", [event("a"), event("b", 11), event("c", source=f"x{XSS}")])
    visitor.engine.record("other", event("a"))
    rows = {(row.tenant, row.source): row for row in visitor.engine.monitoring.sources().rows}
    assert len(rows) == 3
    mine = rows["acme", "api"]
    assert plain_values([mine.last_event, mine.last_received]) == ["2026-08-01T11:00:00Z", "2026-08-20T12:00:00Z"]
    assert (mine.late_seconds, mine.silent_seconds, mine.events_day) == (19 * 86_400 + 3600, 0, 2)
    assert len(visitor.engine.monitoring.sources("other").rows) == 1
    first = visitor.engine.monitoring.sources(limit=2)
    assert len(visitor.engine.monitoring.sources(limit=2, cursor=first.next).rows) == 1
    page = visitor.page(f"{ON}/sources")
    assert XSS not in page and "19 d" in page and "Sat 1 Aug 2026, 11:00" in page


def test_deliveries_have_their_state_and_reason(visitor: Visitor) -> None:
    """Deliveries are filtered by tenant and state, each with its reason in words; an empty list names the filter."""
    visitor.engine.add_tenant("other")
    keys = {tenant: visitor.engine.keys.add(tenant).key for tenant in ("acme", "other")}
    for key, body in (
        (keys["acme"], [event("a")]), (keys["other"], [event("a"), {"type": f"x{XSS}", "time": "2026-08-01T10:00:00Z"}]),
        (f"hub_live_{XSS}", []), (keys["acme"], 5), (keys["acme"], [{XSS: XSS}]),
    ):  # fmt: skip
        visitor.http.post("/v1/events", json=body, headers={"Authorization": f"Bearer {key}"})
    page = visitor.page(f"{ON}/deliveries")
    assert XSS not in page and 'class="state-good"' in page and 'class="state-bad"' in page and "tenant=other" in page
    text = part(visitor, "deliveries")
    assert all(f"hub_live_{key.split('_')[2]}" not in text and key.split("_")[2] in text for key in keys.values())
    for why in ("unknown or incomplete", "the body is not a JSON object", "unknown_type in type", "unknown_field 1"):
        assert why in text
    acme = part(visitor, "deliveries", "tenant=acme")
    assert (
        "unknown_type" not in acme and "unknown or incomplete" not in acme and "the body is not a JSON object" in acme
    )
    assert "other" not in part(visitor, "deliveries", "arrived=accepted")
    assert "No delivery of acme was partly refused." in part(
        visitor, "deliveries", "tenant=acme&arrived=partly+refused"
    )
    visitor.engine.add_tenant("new")
    assert "No events of new came over HTTP in the last 30 days." in part(visitor, "deliveries", "tenant=new")
    assert "no tenant" in part(visitor, "deliveries", "tenant=nobody")
    assert visitor.http.get(f"{ON}/deliveries.csv").text.count("\n") == 6


def test_refused_records_are_counted_shown_and_tried_again(visitor: Visitor) -> None:
    """Refused records are counted by reason and listed by tenant; a replay removes those that are stored now."""
    visitor.engine.record("acme", [{"type": f"nothing{XSS}", "time": "2026-08-01T10:00:00Z"}, {"type": "message.sent"}])
    reasons = {row.code: row.records for row in visitor.engine.monitoring.refusals().rows}
    assert (
        reasons == {"unknown_type": 1, "missing_field": 1}
        and visitor.engine.monitoring.refusals("acme") == visitor.engine.monitoring.refusals()
    )
    assert "unknown_type" in part(visitor, "refused")
    page = visitor.page(f"{ON}/refused?tenant=acme")
    assert XSS not in page and page.count(">Try again</button>") == 2
    told = visitor.act(f"{ON}/replay?tenant=acme", f"{ON}/refused?tenant=acme", tenant="acme")
    assert "0 stored now, 0 duplicates, 2 refused again" in told.text
    with visitor.engine.store.facts.write() as writing:
        writing.run(
            "UPDATE quarantine SET raw = ? WHERE code = 'missing_field'",
            ('{"type":"message.sent","time":"2026-08-01T10:00:00Z"}',),
        )
    rows = visitor.engine.quarantine.of("acme").rows
    mended = next(str(row.id) for row in rows if row.code == "missing_field")
    told = visitor.act(f"{ON}/replay?tenant=acme", f"{ON}/refused?tenant=acme", tenant="acme", id=mended)
    assert "1 stored now, 0 duplicates, 0 refused again." in told.text
    assert [row.code for row in visitor.engine.quarantine.of("acme").rows] == ["unknown_type"]


def test_accounts_can_be_paused_and_resumed(visitor: Visitor) -> None:
    """A secret is not on the page; pausing and resuming change an account's state."""
    made = visitor.engine.integrations.add("acme", "facebook_page", "EAAGcanary", name=f"Page {XSS}", settings=SETTINGS)
    page = visitor.page(f"{ON}/accounts")
    assert "canary" not in page and XSS not in page and "active" in page
    named = {"tenant": "acme", "integration": made.id}
    assert "is paused" in visitor.act(f"{ON}/pause", f"{ON}/accounts", status=200, **named).text
    assert visitor.engine.integrations.get("acme", made.id).state == "paused"
    assert "No account is active." in part(visitor, "accounts", "state=active")
    visitor.act(f"{ON}/resume", f"{ON}/accounts", status=200, **named)
    assert visitor.engine.integrations.get("acme", made.id).state == "active"
    assert (
        "there is no integration"
        in visitor.act(f"{ON}/pause", f"{ON}/accounts", 404, tenant="acme", integration="int_x").text
    )


def test_a_webhook_service_is_listed_with_steps_until_its_first_body(visitor: Visitor) -> None:
    """A service that sends webhooks is listed with address, steps and scopes while it waits; one that is only fetched is not."""
    row = visitor.engine.integrations.add("acme", "slack", name=f"Team{XSS}", secrets={"signing_secret": "s"})
    visitor.engine.integrations.add("acme", "facebook_page", "t", settings=SETTINGS)
    page = visitor.page(f"{ON}/receiving")
    assert XSS not in page
    text = part(visitor, "receiving")
    assert (
        row.address
        and row.address in text
        and "waiting" in text
        and "1. At api.slack.com" in text
        and "channels:history" in text
    )
    assert text.count("waiting") == 1


def test_a_service_is_connected_by_a_form(visitor: Visitor) -> None:
    """The form connects a service as `hubbub integrations add` does; errors are named, and generated secrets are shown once."""
    sent = {"tenant": "acme", "provider": "telegram", "secrets": ""}
    text = secret(visitor.act(f"{ON}/connect", ON, 200, **sent, settings="bot_id=99").text)
    (row,) = visitor.engine.integrations.of("acme").rows
    assert (row.provider, row.settings) == ("telegram", {"bot_id": "99"})
    assert text.startswith("secret_token=") and text not in visitor.page(f"{ON}/receiving")
    assert "write NAME=VALUE" in visitor.act(f"{ON}/connect", ON, 400, **sent, settings="bot_id").text
    assert "needs app_secret" in visitor.act(f"{ON}/connect", ON, 400, **{**sent, "provider": "whatsapp"}).text
    assert len(visitor.engine.integrations.of("acme").rows) == 1
