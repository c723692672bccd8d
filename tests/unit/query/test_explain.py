"""Explanations: the answer's value, and every fact behind it once, the numerator first."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import hubbub
from hubbub.errors import BadQuestionError, BadRequestError
from hubbub.metrics.catalogue import DEFINITION_VERSION, METRICS, find
from hubbub.metrics.definition import Count, First, Quantiles, Ratio, State, Stored
from tests.unit.query.conftest import Desk

START = datetime(2026, 5, 4, 8, tzinfo=UTC)
SPAN = ("2026-05-04", "2026-05-06")


def _at(hours: float, type_: str = "message.received", **fields: Any) -> dict[str, Any]:
    fields = {"source": "test", "channel": "sms", **fields}
    return {"type": type_, "id": f"{type_}-{hours}", "time": (START + timedelta(hours=hours)).isoformat(), **fields}


EVENTS = [
    *(_at(n, conversation_id=f"c{n}", contact_id=f"k{n}", message_id=f"i{n}") for n in range(4)),
    *(
        _at(n + 0.5, "message.sent", conversation_id=f"c{n}", contact_id=f"k{n}", message_id=f"o{n}", staff_id="ann")
        for n in (0, 2)
    ),
    _at(3.1, kind="bot", conversation_id="c3"),
    _at(2.6, "message.delivered", message_id="o2"),
    _at(5, "conversation.resolved", conversation_id="c0"),
    _at(6, "satisfaction.rating_received", conversation_id="c0", value=5.0),
    _at(7, "satisfaction.rating_received", conversation_id="c2", value=2.0),
    _at(8, "topic.classified", topic="complaint", channel_id="desk", confidence=0.5),
]  # fmt: skip


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk with one tenant and a few conversations."""
    desk = Desk(tmp_path_factory.mktemp("explain"))
    desk.now = START + timedelta(hours=30)
    desk.add("acme")
    desk.record("acme", EVENTS)
    yield desk
    desk.store.close()


def every(desk: Desk, metric: str, limit: int = 2, **options: Any) -> list[dict[str, Any]]:
    """Return all facts behind a number, page by page."""
    rows: list[dict[str, Any]] = []
    cursor = None
    while True:
        found = desk.explain("acme", metric, *SPAN, limit=limit, cursor=cursor, **options)["events"]
        rows += found["rows"]
        cursor = found["next"]
        if cursor is None:
            assert len(rows) == found["total"]
            return rows


NAMES = [
    f"{name}.{statistic}" if statistic else name
    for name, (metric, _) in METRICS.items()
    for statistic in (("count", "p50", "within_1h") if isinstance(metric, Quantiles) else ("",))
]


@pytest.mark.parametrize("name", NAMES)
def test_any_number_can_be_explained(acme: Desk, name: str) -> None:
    """The explained value is the answer's; the listed facts are as many as it counts, each once, the numerator first."""
    metric, declared = find(name), find(name).declared
    found = acme.explain("acme", name, *SPAN)
    (answer,) = acme.query("acme", metrics=[name], start=SPAN[0], end=SPAN[1])["rows"]
    assert found["value"] == answer[name]
    assert (found["metric"], found["definition_version"]) == (name, DEFINITION_VERSION)
    rows = every(acme, name)
    assert rows == every(acme, name, limit=1000)
    assert [row["counts"] for row in rows] == sorted((row["counts"] for row in rows), reverse=True)
    counted = sum(row["counts"] for row in rows)
    measure = metric.rollup.measures[declared.measure] if isinstance(declared, Stored) else None
    of_state = isinstance(declared, First) or (isinstance(declared, State) and not declared.age)
    if found["state"] == "no_target":
        assert (found["value"], rows) == (None, [])
    elif isinstance(declared, Stored) and declared.times is not None:
        assert found["value"] is None  # the tenant sets no minutes
        assert counted == len(rows) == (found["numerator"] or 0)
    elif isinstance(measure, Count) or of_state:
        assert counted == len(rows) == found["value"]
    elif isinstance(declared, Quantiles) and metric.statistic == "within_1h":
        assert (counted, len(rows)) == (found["numerator"] or 0, found["n"] or 0)
    elif (
        isinstance(declared, Ratio)
        and len(declared.over) == 1
        and isinstance(metric.rollup.measures[declared.under], Count)
    ):
        assert len(rows) == (found["denominator"] or 0)
    assert found["windows"] == {"facts": len(rows)}


def test_a_share_names_its_numerator_first(acme: Desk) -> None:
    """The delivered message is listed before the undelivered one, with its event."""
    rows = every(acme, "delivery_rate")
    assert [(row["id"], row["counts"]) for row in rows] == [("message.sent-2.5", True), ("message.sent-0.5", False)]
    assert (rows[0]["source"], rows[0]["conversation_id"], rows[0]["time"]) == ("test", "c2", "2026-05-04T10:30:00Z")


def test_rows_of_waits_have_their_duration_or_start(acme: Desk) -> None:
    """A fact of a distribution has its milliseconds, and a waiting conversation the time since which it waits."""
    assert [row["value"] for row in every(acme, "response_ms.p90")] == [1_800_000] * 2
    waiting = every(acme, "oldest_waiting_ms")
    assert [(row["id"], row["since"]) for row in waiting] == [
        ("c1", "2026-05-04T09:00:00Z"),
        ("c3", "2026-05-04T11:00:00Z"),
    ]


def test_filters_of_the_number_filter_its_rows(acme: Desk) -> None:
    """A filter of the number filters the listed facts, and states too."""
    assert every(acme, "messages", where={"channel": "fax"}) == []
    assert len(every(acme, "open_conversations", where={"channel": "sms"})) == 3
    assert [row["contact_id"] for row in every(acme, "active_contacts", where={"contact_id": "k1"})] == ["k1"]


def test_an_invalid_limit_or_cursor_is_refused(acme: Desk) -> None:
    """A limit out of range and a foreign cursor are refused."""
    for limit in (0, 1001):
        with pytest.raises(BadQuestionError):
            acme.explain("acme", "messages", *SPAN, limit=limit)
    with pytest.raises(BadRequestError):
        acme.explain("acme", "messages", *SPAN, cursor="WyJ4Il0")


def test_linked_ids_count_as_one_person(tmp_path: Path) -> None:
    """Two linked contacts and a third are three rows, of which two count, for total and new contacts."""
    with hubbub.open(tmp_path) as engine:
        engine.add_tenant("acme")
        sent = [_at(n, contact_id=f"k{n}") for n in range(3)]
        engine.record("acme", [*sent, _at(4, "contact.linked", contact_id="k0", name="k1")], history=True)
        for metric in ("total_contacts", "new_contacts"):
            answer = engine.explain("acme", metric, *SPAN)
            rows = answer["events"]["rows"]
            assert (answer["value"], len(rows), sum(row["counts"] for row in rows)) == (2, 3, 2)
