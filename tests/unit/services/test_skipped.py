"""A hole in the sequence numbers of deliveries is a gap until the missing ones have arrived."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.services.test_lost import Place

TOKEN = "x" * 20
MINUTE = timedelta(minutes=1)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Open a server with a clock that the test moves."""
    with ExitStack() as stack:
        yield Place(tmp_path / "data", stack)


def bot(place: Place) -> str:
    """Connect a Telegram bot; return the integration's id."""
    return place.connect("telegram", settings={"bot_id": "1"}, secrets={"secret_token": TOKEN})


def update(place: Place, id_: str, number: int, kind: str = "message") -> int:
    """Send an update of the present; return the status."""
    at = int(place.now.timestamp())
    person = {"id": 41, "is_bot": False, "first_name": "Ada"}
    message = {"message_id": number, "from": person, "chat": {"id": 41, "type": "private"}, "date": at, "text": "words"}
    body = json.dumps({"update_id": number, kind: message}).encode()
    headers = {"content-type": "application/json", "x-telegram-bot-api-secret-token": TOKEN}
    return place.http.post(f"/v1/hooks/telegram/{id_}", content=body, headers=headers).status_code


def skipped(place: Place, id_: str) -> list[str]:
    """Return the messages of open gaps of skipped numbers."""
    (row,) = place.engine.coverage.of("acme", integration=id_).rows
    return [gap.message for gap in row.gaps if gap.reason == "skipped"]


@pytest.mark.parametrize("seed", range(2))
def test_a_hole_is_a_gap_until_it_is_filled(place: Place, seed: int) -> None:
    """With forty updates of any kind in any order, some repeated, answers are incomplete while one is missing, and
    complete after.
    """
    chance, id_ = random.Random(seed), bot(place)
    late = chance.sample(range(1, 39), 4)
    first = [number for number in range(40) if number not in late]
    chance.shuffle(first)
    for number in [*first, *first[:5]]:
        place.pass_(timedelta(seconds=chance.randint(1, 20)))
        assert update(place, id_, number, "message" if number % 3 else "my_chat_member") == 200
    place.pass_(3 * MINUTE)
    assert skipped(place, id_) and not place.complete()
    for number in late:
        assert skipped(place, id_)
        assert update(place, id_, number) == 200
        place.engine.coverage.here()
    assert skipped(place, id_) == [] and place.complete()


def test_updates_out_of_order_are_no_gap(place: Place) -> None:
    """An update that is a minute late opens no gap."""
    id_ = bot(place)
    assert update(place, id_, 5) == update(place, id_, 7) == 200
    place.pass_(MINUTE)
    assert skipped(place, id_) == []
    assert update(place, id_, 6) == 200
    place.pass_(3 * MINUTE)
    assert skipped(place, id_) == []


def test_a_hole_that_a_person_closed_stays_closed(place: Place) -> None:
    """A hole closed by hand is not opened again; a later hole is another gap."""
    id_ = bot(place)
    for number in (5, 8):
        assert update(place, id_, number) == 200
        place.pass_(MINUTE)
    place.pass_(3 * MINUTE)
    assert skipped(place, id_) == ["numbers are missing among the deliveries: 2"]
    assert place.engine.coverage.close("acme", id_).closed == 1
    place.pass_(MINUTE)
    assert skipped(place, id_) == []
    assert update(place, id_, 10) == 200
    place.pass_(3 * MINUTE)
    assert skipped(place, id_) == ["numbers are missing among the deliveries: 1"]
