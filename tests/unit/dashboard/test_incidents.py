"""The pages of incidents: the number, waiting conversations and history; analysts acknowledge and snooze."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hubbub.control.alerts import Decision, Entry, Incident
from hubbub.control.database import new_id
from hubbub.dashboard.alerts import ABOUT
from hubbub.model.alert import Kind
from tests.unit.api.conftest import NOW
from tests.unit.dashboard.visiting import XSS, Visitor, plain

LIST = "/t/acme/incidents"


def opened(visitor: Visitor) -> str:
    """Add a rule with an incident, and return the incident's id."""
    engine = visitor.engine
    rule = {"name": f"Many {XSS}", "kind": "threshold", "metric": "messages", "limit": 5, "by": "channel"}
    stored = engine.alert_store.rule("acme", engine.alerts.add("acme", rule).id)
    id_, day = new_id("inc"), NOW.replace(hour=0, minute=0, second=0, microsecond=0)
    found = Incident(
        id_, "acme", stored.id, "chat", f"Many {XSS}: chat", day - timedelta(days=1), day, 9, None, 9, day, 0, NOW
    )
    assert engine.alert_store.decide(stored, Decision(NOW, [found], [Entry(id_, NOW, "opened", "Messages: 9.")]))
    engine.record("acme", {
        "type": "message.received", "time": NOW - timedelta(hours=2), "id": "w", "channel": "chat", "conversation_id": "c-waits",
    })  # fmt: skip
    return id_


def test_a_page_without_incidents_names_the_page_of_rules(visitor: Visitor) -> None:
    """Without incidents the page says so, and names the page of alert rules."""
    assert "There are no incidents. An alert rule opens one when it fires. Alert rules" in visitor.see(LIST)
    assert re.search(r'<a href="/t/acme/alerts\?[^"]*">Alert rules</a>', visitor.page(LIST))


def test_a_rule_is_tried_before_it_is_saved(visitor: Visitor) -> None:
    """The form replays the past year with the rule before it is saved; a rule that cannot work is refused with its reason."""
    page = "/t/acme/alerts"
    rule: dict[str, Any] = {"name": "Many", "kind": "threshold", "metric": "messages", "limit": "5", "by": "channel"}
    led = visitor.act(f"{page}/try", page, status=303, **rule).headers["location"]
    assert "It would have fired 0 times in the past year." in visitor.see(led.replace("/alerts?", "/alerts/tried?"))
    assert visitor.engine.alerts.of("acme").rows == []
    visitor.act(f"{page}/add", page, status=303, **rule)
    made = visitor.engine.alerts.of("acme").rows[0]
    assert (made.name, made.limit, made.by) == ("Many", 5, "channel")
    assert "Many" in visitor.see(page)
    for wrong, why in (
        ({"metric": "mesages"}, "not in the catalogue"),
        ({"limit": "ten"}, "limit: 'ten' is not a number"),
    ):
        refused = visitor.act(f"{page}/try?kind=threshold", page, status=400, **{**rule, **wrong}).text
        assert why in plain(refused) and 'name="name" value="Many"' in refused
        assert re.findall(r'name="(\w+)"[^>]* autofocus', refused) == list(wrong)


SENTENCES = {
    "threshold": "When the number … of each …, watched …, it … … with at least … cases, notify",
    "change": "When the number … of each …, watched …, it … its usual range, with at least … cases"
    " and … times the usual number, notify",
    "hotspot": "When on one … the complaints in a room rise above a share of …, notify",
    "sla": "When somebody, watched …, waits for a reply longer than … minutes, notify",
    "source": "When expected events stop coming or an integration is broken, watched …, notify",
    "budget": "When the number … since the month began, watched …, rises above …, notify",
}


@pytest.mark.parametrize("kind", SENTENCES)
def test_the_form_of_each_kind_of_rule_is_a_sentence(visitor: Visitor, kind: str) -> None:
    """A kind has a sentence on what it does, and a form of its own fields that reads as one; saved, it is a rule of that kind."""
    page = f"/t/acme/alerts?kind={kind}"
    form = re.findall(r'<form method="post" class="sentence".*?</form>', visitor.page(page), re.DOTALL)[0]
    words = plain(re.sub(r"<select.*?</select>|<input (?!type=.hidden).*?>", "…", form, flags=re.DOTALL))
    assert ABOUT[Kind(kind)] in visitor.see(page) and ('value="staff_id"' in form) == ('name="by"' in form)
    assert words == f"{SENTENCES[kind]} …, but not during …. The rule is called …. Try it on the past year"
    typed = {"kind": kind, "name": "Watch", **({"limit": "20"} if 'name="limit"' in form else {})}
    visitor.act(page.replace("?", "/add?"), page, status=303, **typed, metric="messages")
    (made,) = visitor.engine.alerts.of("acme").rows
    assert (made.kind, made.limit) == (kind, {"change": None, "source": None, "sla": 20 * 60_000}.get(kind, 20))


def test_a_destination_is_added_and_tested(visitor: Visitor) -> None:
    """The form adds a destination; its button says why a test was not delivered."""
    page = "/t/acme/alerts"
    visitor.act(f"{page}/destination", page, kind="mail", to="marta@acme.example", name="Marta")
    (made,) = visitor.engine.destinations.of("acme").rows
    assert "no mail server is set" in visitor.act(f"{page}/test", page, id=made.id).text


def test_an_incident_shows_waiting_conversations_and_its_history(visitor: Visitor) -> None:
    """The incident's page has its number, the waiting conversations of its slice and its history; texts are escaped."""
    id_ = opened(visitor)
    assert "Many" in visitor.see(LIST)
    page = visitor.page(f"/t/acme/incident?id={id_}")
    assert "c-waits" in page
    assert "Messages: 9." in page
    assert "<img src=x" not in page
    assert 'href="/t/acme/explain?' in page
    assert re.search(r'<p class="crumb"><a href="/t/acme/incidents[^"]*">‹ Incidents</a></p>', page)


def test_incidents_are_acknowledged_and_snoozed_by_analysts_alone(visitor: Visitor) -> None:
    """An analyst acknowledges and snoozes an incident; a viewer gets 404; only an admin pauses a rule."""
    id_ = opened(visitor)
    one = f"/t/acme/incident?id={id_}"
    visitor.enter("acme", "viewer")
    visitor.see(LIST, 404)
    visitor.enter("acme", "analyst")
    visitor.act(f"/t/acme/incident/snooze?id={id_}", one, id=id_, hours="4")
    assert visitor.engine.incidents.get("acme", id_).state == "snoozed"
    visitor.act(f"/t/acme/incident/acknowledge?id={id_}", one, id=id_)
    assert visitor.engine.incidents.get("acme", id_).state == "acknowledged"
    rule = visitor.engine.alerts.of("acme").rows[0].id
    assert ">Pause</button>" not in visitor.page("/t/acme/alerts")
    visitor.enter("acme", "admin")
    visitor.act("/t/acme/alerts/pause", "/t/acme/alerts", alert=rule)
    assert visitor.engine.alerts.of("acme").rows[0].paused is True


def test_open_incidents_are_shown_beside_the_news(visitor: Visitor) -> None:
    """Analysts see open incidents on the Overview, with buttons and links; viewers, and all once they are closed, see no box."""
    id_ = opened(visitor)
    page = visitor.page("/t/acme/overview")
    assert "1 open incident" in visitor.see("/t/acme/overview") and f"id={id_}" in page and XSS not in page
    visitor.act("/t/acme/incidents/snooze", "/t/acme/overview", id=id_, hours="4")
    assert visitor.engine.incidents.get("acme", id_).state == "snoozed"
    visitor.act("/t/acme/incidents/acknowledge", "/t/acme/overview", id=id_)
    assert visitor.engine.incidents.get("acme", id_).state == "acknowledged"
    assert "/incidents/acknowledge" not in visitor.page("/t/acme/overview")
    visitor.enter("acme", "viewer")
    assert "open incident" not in visitor.see("/t/acme/overview")
    visitor.enter("acme", "analyst")
    stored = visitor.engine.alert_store
    rule, closed = stored.rule("acme", stored.incident("acme", id_).rule), stored.incident("acme", id_)
    assert stored.decide(rule, Decision(NOW, [replace(closed, closed_at=NOW)]))
    assert "open incident" not in visitor.see("/t/acme/overview")


def test_waiting_conversations_are_not_listed_by_room(visitor: Visitor) -> None:
    """An incident of a room says in the page's words that waiting conversations cannot be listed by room."""
    engine = visitor.engine
    rule = {"name": "Many", "kind": "threshold", "metric": "messages", "limit": 5, "by": "channel_id"}
    stored = engine.alert_store.rule("acme", engine.alerts.add("acme", rule).id)
    id_, day = new_id("inc"), NOW.replace(hour=0, minute=0, second=0, microsecond=0)
    found = Incident(
        id_, "acme", stored.id, "lobby", "Many: lobby", day - timedelta(days=1), day, 9, None, 9, day, 0, NOW
    )
    assert engine.alert_store.decide(stored, Decision(NOW, [found], [Entry(id_, NOW, "opened", "Messages: 9.")]))
    text = visitor.see(f"/t/acme/incident?id={id_}")
    assert "Waiting conversations cannot be listed by room." in text and "channel_id" not in text
