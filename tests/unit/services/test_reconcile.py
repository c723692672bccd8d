"""Lost deliveries come back through the service's API, under the ids of its webhooks, page by page across attempts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hubbub.errors import UpstreamRefusedError, UpstreamUnavailableError
from tests.platforms import TOKEN
from tests.services import Call, Reply
from tests.unit.api.test_hooks import SECRET
from tests.unit.ingest.connectors.test_twilio import SID, Numbers, message
from tests.unit.services.test_lost import Place, _taken

HOUR = timedelta(hours=1)


@dataclass
class _Numbers(Numbers):
    """An account of Twilio for days of any date, which fails at a page; `tokens` are the pages that were asked for."""

    fails_at: int | None = None
    tokens: list[str] = field(default_factory=list)

    def __call__(self, call: Call) -> Reply:
        """Answer a call."""
        token = call.query.get("PageToken", "PA0")
        self.tokens.append(token)
        if token == f"PA{self.fails_at}":
            return Reply({}, 502)
        return super().__call__(call)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Open a server whose clock the test moves."""
    with ExitStack() as stack:
        yield Place(tmp_path / "data", stack)


def lost_hour(place: Place, answer: Any) -> str:
    """Connect Twilio, and let an hour pass without a server; returns the integration's id."""
    there = place.run(answer)
    settings = {"base_url": there.url, "account_sid": SID}
    id_ = place.connect("twilio", secrets={"auth_token": SECRET, "token": TOKEN}, settings=settings)
    place.engine.delivered.note(_taken(id_))
    place.away(HOUR)
    return id_


def test_an_interrupted_range_goes_on_at_its_page(place: Place) -> None:
    """What was stored before the service failed is not asked for again; the gap closes when the rest is there."""
    began = int(place.now.timestamp())
    numbers = _Numbers([message(f"SM{n}", began + n) for n in range(5)])
    id_ = lost_hour(place, numbers)
    numbers.fails_at = 2
    with pytest.raises(UpstreamUnavailableError):
        place.engine.fetching.reconcile("acme", id_)
    assert (len(place.gaps(id_)), place.complete()) == (1, False)
    numbers.fails_at, numbers.tokens = None, []
    done = place.engine.fetching.reconcile("acme", id_)
    assert (done.closed, done.stored, numbers.tokens) == (1, 3, ["PA2", "PA4"])
    assert place.gaps(id_) == [] and place.complete()
    assert place.engine.verify("acme")["differences"] == 0


def test_a_dead_token_leaves_the_gap_and_breaks_the_integration(place: Place) -> None:
    """Nothing is called complete that could not be read; the integration says what to do."""
    id_ = lost_hour(place, lambda _: Reply({"code": 20003}, 401))
    with pytest.raises(UpstreamRefusedError):
        place.engine.fetching.reconcile("acme", id_)
    assert [why for _, _, why in place.gaps(id_)] == ["down"] and not place.complete()
    row = place.engine.integrations.get("acme", id_)
    assert (row.state, "token" in row.action) == ("broken", True)
    assert place.engine.fetching.lacking() == []
