"""Times of control data in answers."""

from __future__ import annotations

import json
from pathlib import Path

from hubbub.app import Engine
from hubbub.model.plain import plain
from hubbub.settings import load


def test_times_of_destinations_subscriptions_and_messages_end_in_z(tmp_path: Path) -> None:
    """Times of destinations, subscriptions and messages end in Z, in new and listed rows."""
    with Engine(load(data=tmp_path / "data", free_floor_mb=0)) as engine:
        engine.add_tenant("acme")
        made = engine.destinations.add("acme", "mail", "marta@aurora.example")
        digest = engine.subscriptions.add("acme", made.id, "daily")
        sent = engine.destinations.test("acme", made.id)
        listed = engine.destinations.of("acme"), engine.subscriptions.of("acme"), engine.messages.of("acme")
        for answer in (made, digest, sent, *listed):
            text = json.dumps(plain(answer))
            assert "+00:00" not in text
            assert 'Z"' in text
