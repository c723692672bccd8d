"""A contact's engagement score equals the public function's, computed from the stored events."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from hubbub import calculations
from hubbub.metrics.catalogue import find
from hubbub.metrics.contacts import DEEDS
from hubbub.metrics.definition import Score
from hubbub.model.event import Event
from tests.laws.conftest import Lab

END = datetime(2026, 8, 2, tzinfo=UTC)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A laboratory of one test."""
    made = Lab(tmp_path)
    made.empty()
    yield made
    made.store.close()


def _did(contact: str, type_: str, days: int, times: int = 1, value: float | None = None) -> list[Event]:
    return [
        Event(
            type=type_, id=f"{contact}-{type_}-{days}-{n}", contact_id=contact, message_id=f"{days}-{n}",
            time=END - timedelta(days=days, hours=1, minutes=n), value=value,
        )
        for n in range(times)
    ]  # fmt: skip


def test_a_score_counts_all_activity_up_to_the_end(lab: Lab) -> None:
    """Activity fades by local day, at most five of a kind count, a blocked contact scores 0, and several contacts give their
    mean."""
    tenant = lab.tenant("UTC")
    busy = [
        *_did("busy", "message.received", 0, 7), *_did("busy", "message.received", 40, 2), *_did("busy", "contact.converted", 3),
        *_did("busy", "satisfaction.rating_received", 1, value=5.0),
        *_did("busy", "satisfaction.rating_received", 2, value=2.0),
        *_did("busy", "link.clicked", 9), *_did("busy", "message.read", 9, 2),
    ]  # fmt: skip
    lab.send(tenant, [*busy, *_did("gone", "message.received", 1), *_did("gone", "contact.blocked", 0)])
    today = date(2026, 8, 1)  # the local day that ends at `END`
    deeds = {
        (kind, today - timedelta(days=days)): n
        for kind, days, n in (
            ("inbound", 0, 7), ("inbound", 40, 2), ("conversion", 3, 1), ("rating", 1, 1), ("click", 9, 1), ("read", 9, 2),
        )
    }  # fmt: skip
    expected = calculations.contact_engagement_score(deeds, today).value
    name, start = "contact_engagement_score", END - timedelta(days=1)
    rows = lab.ask(tenant, [name], start, END, by=("contact_id",)).rows
    scores = {row.dims["contact_id"]: row.cells[name].value for row in rows}
    assert scores == {"busy": pytest.approx(expected, rel=1e-12), "gone": 0}
    (row,) = lab.ask(tenant, [name], start, END).rows
    assert row.cells[name].value == pytest.approx(expected / 2, rel=1e-12)
    assert row.cells[name].n == 2


def test_every_kind_of_activity_has_its_measure() -> None:
    """The kinds of activity are those of the public function, and the measures those of the declared score."""
    score = find("contact_engagement_score")
    assert isinstance(score.declared, Score)
    assert set(DEEDS) == set(score.declared.parts)
    assert set(DEEDS.values()) == set(calculations.DEED_WEIGHTS)
