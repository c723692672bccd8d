"""A tenant with data for every page of numbers, and helpers that read those pages."""

from __future__ import annotations

import csv
import io
import re
from datetime import datetime, timedelta
from html import unescape
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from hubbub.app import Engine

EVIL = "<img src=x onerror=alert(1)>"
CAMPAIGN = f"sale {EVIL}"
DAYS = {"start": "2026-08-01", "end": "2026-08-21"}
VIEW = {"from": "2026-08-01", "to": "2026-08-21", "compare": "none"}


def events(now: datetime) -> list[dict[str, Any]]:
    """Return the tenant's events up to a moment; the test folds all but the last two."""

    def ago(minutes: float, type_: str, **fields: Any) -> dict[str, Any]:
        time = (now - timedelta(minutes=minutes)).isoformat()
        return {"type": type_, "time": time, "id": f"{type_}-{minutes}", "channel": "sms", **fields}

    made = [
        ago(12, "message.received", conversation_id="now", contact_id="p1", channel="web"),
        ago(11, "message.received", conversation_id=f"late {EVIL}", contact_id="p2", channel="web"),
        ago(2, "message.sent", conversation_id="x", contact_id="p3"),
        ago(200, "staff.login", staff_id=EVIL), ago(100, "staff.login", staff_id="bob"), ago(90, "staff.logout", staff_id="bob"),
        ago(1500, "task.created", task_id="t1"), ago(1400, "task.completed", task_id="t1", staff_id=EVIL),
        ago(1300, "task.created", task_id="t2"), ago(5000, "campaign.started", campaign_id=CAMPAIGN),
    ]  # fmt: skip
    for wait in (0.5, 3, 40, 90):
        who = {"conversation_id": f"w{wait}", "contact_id": f"p{wait}"}
        made.append(ago(2000, "message.received", **who, id=f"in-{wait}"))
        made.append(ago(2000 - wait, "response.staff_sent", **who, staff_id=EVIL))
        made.append(ago(1000 - wait, "conversation.resolved", **who))
    for number, rating in enumerate((5, 5, 4, 1)):
        survey = {"survey_id": f"s{number}", "staff_id": EVIL}
        made.append(ago(800 + number, "satisfaction.survey_sent", **survey))
        made.append(ago(700 + number, "satisfaction.rating_received", value=rating, **survey))
    for number in range(1, 41):
        sent = {"message_id": f"c{number}", "contact_id": f"p{number}", "campaign_id": CAMPAIGN, "channel": "whatsapp"}
        receipts = ["message.failed"] if number % 10 == 0 else ["message.delivered", *(["message.read"] * (number % 2))]
        made.append(ago(3000 + number, "message.sent", **sent))
        made += [ago(2900 + number, one, **sent) for one in receipts]
    return [*made, ago(600, "contact.blocked", contact_id="p3"), ago(500, "link.clicked", contact_id="p2")]


def read(http: TestClient, path: str, **params: str) -> str:
    """Return a page or part that succeeded, in which nothing failed and no name from outside became markup."""
    answer = http.get(path, params=params)
    assert answer.status_code == 200, answer.text
    assert 'class="failed"' not in answer.text
    assert EVIL not in answer.text
    return answer.text


_SENT = {"message_id": "m1", "channel": "sms", "contact_id": "c1"}
LONG_AGO: dict[str, list[dict[str, Any]]] = {
    "conversation": [{"type": "message.received", "conversation_id": "old", "contact_id": "c1", "channel": "sms"}],
    "satisfaction": [{"type": "satisfaction.rating_received", "survey_id": "s1", "value": 5}],
    "task": [{"type": "task.created", "task_id": "t1"}],
    "campaign": [{"type": "campaign.created", "campaign_id": "c1"}],
    "staff": [{"type": "staff.login", "staff_id": "p1"}],
    "receipt": [{"type": f"message.{what}", **_SENT} for what in ("sent", "delivered")],
}  # fmt: skip
"""What sources may report -> the events of one report."""


def report(engine: Engine, tenant: str, *what: str) -> None:
    """Store an event of some of `LONG_AGO`, before the days of the tests."""
    made = [
        {**event, "time": "2026-01-10T10:00:00Z", "id": f"long-ago-{event['type']}"}
        for name in what
        for event in LONG_AGO[name]
    ]
    assert not engine.record(tenant, made, history=True)["rejected"]


def numbers(html: str) -> dict[str, float | None]:
    """Return the values of a page's cards by metric."""
    found = re.findall(r'data-number="([^"]+)" data-value="([^"]*)"', html)
    return {unescape(name): float(value) if value else None for name, value in found}


def rows(http: TestClient, path: str, **params: str) -> list[dict[str, str]]:
    """Return a part's table, read from its CSV."""
    answer: httpx2.Response = http.get(f"{path}.csv", params=params)
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


def asked(engine: Engine, *metrics: str, tenant: str = "a", **question: Any) -> list[dict[str, Any]]:
    """Query the engine directly for the days of VIEW."""
    found: list[dict[str, Any]] = engine.query(tenant, metrics=list(metrics), **{**DAYS, **question})["rows"]
    return found


def agree(table: list[dict[str, str]], answer: list[dict[str, Any]], dimension: str, *metrics: str) -> None:
    """Assert that a table by a dimension equals the engine's answer, for all values with a number."""
    shown = {row["name"]: [float(row[m]) if row[m] else None for m in metrics] for row in table}
    known = [row for row in answer if any(row[m] for m in metrics)]
    expected = {row[dimension] or "(none)": [row[m] for m in metrics] for row in known}
    assert shown.keys() == expected.keys() and shown
    for name, values in expected.items():
        assert shown[name] == pytest.approx(values), name
