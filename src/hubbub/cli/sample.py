"""`hubbub demo`: loads the sample events as an import would, and prints the first numbers."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from hubbub import demo
from hubbub.app import Engine
from hubbub.cli import show
from hubbub.cli.backend import opened
from hubbub.errors import ConflictError
from hubbub.model.plain import plain

BATCH = 5000
MINUTES_SAVED = 6
"""Minutes that a conversation handled by AI is assumed to save a person."""

SILENCE_DAYS = 7
"""Days without a message after which a conversation counts as closed."""
TARGETS = {"first_response": 15, "next_response": 60}
"""Targets in minutes, in force for as long as the sample has events."""
WANTED, DAYS = 0.8, 90
"""The wanted share of waits within their target, and the length of the sample in days."""


def fill(data: Path | None, as_json: bool) -> None:
    """Load the sample into a data folder, refresh, and print each tenant's answers."""
    now = datetime.now(UTC)
    with opened(data) as engine:
        answer: dict[str, object] = {
            "tenants": [_tenant(engine, tenant, zone, name, now) for tenant, zone, name in demo.tenants()]
        }
        answer["refresh"] = plain(engine.facts.refresh())
        if as_json:
            show.emit(answer, as_json=True)
            return
        for tenant, zone, name in demo.tenants():
            _print(engine, tenant, f"{name} ({tenant}, {zone})", now)


def _tenant(engine: Engine, tenant: str, zone: str, name: str, now: datetime) -> dict[str, Any]:
    with suppress(ConflictError):  # a second demo on the same folder adds only newer events
        engine.tenants.add(tenant, zone, name)
        engine.tenants.change(tenant, ai_minutes_saved=MINUTES_SAVED, threads={"silence_days": SILENCE_DAYS})
        begun = (now - timedelta(days=DAYS)).date().isoformat()
        for aim, minutes in TARGETS.items():
            engine.targets.add(tenant, aim, minutes, share=WANTED, valid_from=begun)
    counts: dict[str, Any] = {"tenant": tenant, "accepted": 0, "duplicates": 0, "rejected": 0}
    stream = demo.events(tenant, now)
    with show.progress(f"{name}", None) as move:
        while batch := list(islice(stream, BATCH)):
            answer = engine.load(tenant, batch, None, zone)
            counts["accepted"] += answer["accepted"]
            counts["duplicates"] += answer["duplicates"]
            counts["rejected"] += len(answer["rejected"])
            move(None, f"{counts['accepted']:,} events")
    return counts


def _print(engine: Engine, tenant: str, title: str, now: datetime) -> None:
    to = now.isoformat()
    week = (now - timedelta(days=7)).date().isoformat()
    answers = engine.answers
    board = answers.dashboard(tenant)
    rows = [{"today so far": k, "value": show.text(v.value, k), "yesterday by now": show.text(v.previous, k)}
            for k, v in board.today.items()]  # fmt: skip
    rows += [{"today so far": k, "value": show.text(v, k), "yesterday by now": ""} for k, v in board.now.items()]
    show.table(rows, title=title)
    metrics = ["messages", "conversations_started", "first_response_ms.p50", "escalation_rate"]
    channels = answers.query(tenant, metrics, week, to, by=["channel"])
    show.table(
        [{k: v for k, v in row.items() if k != "window"} for row in channels.rows], title="Last 7 days by channel"
    )
    hot = [spot for spot in answers.hotspots(tenant, week, to).rows if spot.hotspot]
    if hot:
        show.table(
            plain(hot), ["channel_id", "flagged_count", "total_count", "hotspot_ratio", "strong"], title="Hotspots"
        )
