"""The page Coverage: a calendar of each source, in which a zero differs from a missing day, and the open gaps."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import pytest

from hubbub.model.coverage import Day, Reason
from tests.unit.api.conftest import NOW
from tests.unit.dashboard.visiting import Visitor


@pytest.fixture
def fetched(visitor: Visitor) -> Visitor:
    """Serve the coverage of an account with fetched, empty and failed days."""
    engine = visitor.engine
    settings = {"page_id": "7", "since": "2026-08-10", "zone": "Europe/Rome"}
    id_ = engine.integrations.add("acme", "facebook_page", "secret", "Page", settings).id
    one = engine.integration_store.get("acme", id_)
    for day, found in ((10, 40), (11, 4), (12, 0)):
        at = Day.of(date(2026, 8, day), "Europe/Rome")
        engine.ledger.begin(one, at, NOW)
        engine.ledger.end(one, at, found, {}, "", "")
    at = Day.of(date(2026, 8, 13), "Europe/Rome")
    engine.ledger.begin(one, at, NOW)
    engine.ledger.fail(one, at, Reason.REFUSED, "(#4) too many calls", "Wait an hour")
    return visitor


def kinds(html: str) -> dict[str, str]:
    """Return the class of each day in a calendar, by date."""
    return {day: kind for kind, day in re.findall(r'<td class="(\w+)" title="(\d{4}-\d\d-\d\d):', html)}


def test_a_calendar_tells_an_empty_day_from_a_missing_one(fetched: Visitor) -> None:
    """Days are shaded by their number of events; empty, failed, missing and open days each look different."""
    found = kinds(fetched.page("/t/acme/coverage/days"))
    told = {
        f"2026-08-{day}": kind for day, kind in ((10, "h5"), (11, "h1"), (12, "none"), (13, "failed"), (14, "missing"))
    }
    assert {day: found.get(day) for day in told} == told
    assert (found["2026-08-20"], "2026-08-09" in found, "2026-08-21" in found) == ("open", False, False)
    assert "2026-08-12: 0 events" in fetched.see("/t/acme/coverage/days")


def test_gaps_have_a_reason_and_advice(fetched: Visitor) -> None:
    """A refused day has its reason and advice; days that were never fetched are one range."""
    shown = fetched.see("/t/acme/coverage")
    assert "the service refused: (#4) too many calls" in shown
    assert "Wait an hour" in shown
    assert shown.count("not fetched yet") == 1


def test_gaps_are_in_the_tenant_s_zone_to_the_minute(visitor: Visitor) -> None:
    """A gap in seconds of UTC, and the end of what is complete, are written in the tenant's zone, without seconds."""
    engine = visitor.engine
    id_ = engine.integrations.add("acme", "whatsapp", name="Shop", secrets={"app_secret": "s", "verify_token": "v"}).id
    start = datetime(2026, 8, 18, 9, 30, 11, 822_324, UTC)
    engine.ledger.note(engine.integration_store.get("acme", id_), start, start + timedelta(hours=2), Reason.DOWN)
    assert "Tue 18 Aug 2026, 11:30 Tue 18 Aug 2026, 13:30" in visitor.see("/t/acme/coverage")
    assert "complete to Tue 18 Aug 2026, 11:30" in visitor.see("/t/acme/coverage/days")


def test_an_admin_closes_gaps_of_webhooks(visitor: Visitor) -> None:
    """An admin's button closes gaps of a source that sends webhooks; an analyst sees the gaps."""
    engine = visitor.engine
    secrets = {"app_secret": "s", "verify_token": "v"}
    id_ = engine.integrations.add("acme", "whatsapp", name="Shop", secrets=secrets).id
    one = engine.integration_store.get("acme", id_)
    engine.ledger.note(one, NOW - timedelta(hours=2), NOW - timedelta(hours=1), Reason.DOWN)
    visitor.enter("acme", "analyst")
    assert "Nothing is missing" not in visitor.see("/t/acme/coverage")
    visitor.enter("acme", "admin")
    assert "no server was running" in visitor.see("/t/acme/coverage")
    visitor.act("/t/acme/coverage/close", on="/t/acme/coverage", integration=id_)
    shown = visitor.see("/t/acme/coverage/gaps")
    assert "No gap is open. No event has come from Shop in the last half year." in shown and "complete" not in shown
    assert engine.ledger.lacking(one) == []


def test_an_admin_fetches_the_days_of_a_gap(fetched: Visitor) -> None:
    """Each gap of a fetched source has a button for admins; pressed twice, it starts one job for its days, newest first."""
    engine = fetched.engine
    fetched.enter("acme", "analyst")
    assert "Fetch th" not in fetched.see("/t/acme/coverage")
    fetched.enter("acme", "admin")
    shown = fetched.see("/t/acme/coverage")
    assert shown.count("Fetch this day") == 1 and shown.count("Fetch these days") == 1
    (source,) = engine.integrations.of("acme").rows
    form = {"integration": source.id, "from": "2026-08-14", "to": "2026-08-16"}
    for _ in range(2):  # pressed twice
        fetched.act("/t/acme/coverage/fetch", on="/t/acme/coverage", status=200, **form)
    (job,) = engine.jobs.of(tenant="acme").rows
    payload = engine.jobs.get(job.id, "acme").payload
    assert (job.queue, payload["integration_id"]) == ("catch-up", source.id)
    assert payload["dates"] == ["2026-08-16", "2026-08-15", "2026-08-14"]


def test_days_that_cannot_be_fetched_are_refused(fetched: Visitor) -> None:
    """An invalid date, a reversed range and another tenant's source are refused, and no job starts."""
    (source,) = fetched.engine.integrations.of("acme").rows
    for status, integration, first, last in (
        (400, source.id, "soon", "2026-08-16"),
        (400, source.id, "2026-08-16", "2026-08-14"),
        (404, "int_other", "2026-08-14", "2026-08-16"),
    ):
        form = {"integration": integration, "from": first, "to": last}
        fetched.act("/t/acme/coverage/fetch", on="/t/acme/coverage", status=status, **form)
    assert fetched.engine.jobs.of(tenant="acme").rows == []


def test_without_sources_both_parts_say_so(visitor: Visitor) -> None:
    """Without a connected source, the gaps and the calendar say so, and what to do next; only operators get the link."""
    for part in ("gaps", "days"):
        shown = visitor.see(f"/t/acme/coverage/{part}")
        assert "No source is connected. Whether something sent or imported is missing is not known" in shown
        assert "import a newer file or export" in shown and "or connect a service. Connect a service" in shown
        assert 'href="/operate/sources?tenant=acme"' in visitor.page(f"/t/acme/coverage/{part}")
