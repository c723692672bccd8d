"""Real webhook bodies: each gives the events in `webhooks.yaml`, which was written by hand from the bodies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from hubbub.app import Engine
from hubbub.ingest.receivers.base import Delivery, Options, Received
from hubbub.ingest.receivers.catalogue import RECEIVERS
from hubbub.ingest.sources import slack
from hubbub.ingest.sources.summary import Record
from hubbub.model.tenant import KEEP_EVERYTHING
from hubbub.settings import load
from tests.acceptance.conftest import DATA, NOW, needs
from tests.acceptance.test_connectors import largest

TABLE: dict[str, list[str]] = yaml.safe_load(Path(__file__).with_name("webhooks.yaml").read_text(encoding="utf-8"))
FOLDERS = {
    "slack": "slack",
    "whatsapp": "whatsapp",
    "messenger": "messenger",
    "twilio": "twilio",
    "chatwoot": "chatwoot",
}
"""Folder of bodies → the service that sent them."""
RECEIVED_AT = datetime(2026, 11, 1, 12, tzinfo=UTC)


def bodies() -> list[str]:
    """Return the files that a service sent, without challenges; the others are answers of its API."""
    paths = [path for folder in FOLDERS for path in sorted((DATA / "webhooks" / folder).rglob("*.*"))]
    return [
        path.relative_to(DATA / "webhooks").as_posix()
        for path in paths
        if not path.name.startswith(("api", "url_verification"))
    ]


def received(name: str) -> Received:
    """Read a body with texts kept."""
    kind = "application/x-www-form-urlencoded" if name.endswith(".txt") else "application/json"
    body = (DATA / "webhooks" / name).read_bytes()
    delivery = Delivery("POST", "https://here/", {}, {"content-type": kind}, body, RECEIVED_AT)
    return RECEIVERS[FOLDERS[name.partition("/")[0]]].read(delivery, Options("int_1", keep_text=True))


def told(found: Received) -> Iterator[str]:
    """Yield the content of a body, one line each."""
    yield from (_line(event) for event in found.events)
    for change in found.changes:
        attributes: dict[str, Any] = dict(change.fields.get("attributes", {}))  # type: ignore[call-overload]
        yield f"change of {change.id}: {', '.join(name for name in attributes if name != 'text')}"
    yield from (f"{one.type} of {one.conversation_id} up to {one.until:%Y-%m-%dT%H:%M:%SZ}" for one in found.up_to)
    yield from (f"gap from {gap.from_:%Y-%m-%dT%H:%M:%SZ} to {gap.to:%H:%M:%SZ}" for gap in found.gaps)
    yield from (f"ignored: {name}" for name in found.ignored)


def _line(event: Any) -> str:
    time = f"{datetime.fromisoformat(str(event['time'])):%Y-%m-%dT%H:%M:%SZ}" if event.get("time") else "no time"
    who = [f"{name} {event[key]}" for name, key in WHO.items() if event.get(key)]
    return ", ".join([f"{event['type']} {event['id']} at {time}", *who])


WHO = {"of": "message_id", "with": "contact_id", "by": "staff_id", "in": "conversation_id", "from a": "kind"}


@needs("webhooks")
@pytest.mark.parametrize("name", bodies())
def test_every_real_body_gives_the_events_of_its_table_row(name: str) -> None:
    """Each body gives exactly the events of its line in the table; other content is ignored by name."""
    assert list(told(received(name))) == TABLE[name]


@needs("webhooks")
def test_the_table_has_every_body() -> None:
    """Every body has a line with content, and every line has a body."""
    assert set(TABLE) == set(bodies())
    assert all(TABLE.values())


@needs("slack-olake")
def test_a_workspace_sent_live_and_its_export_count_once(tmp_path: Path) -> None:
    """A real export, sent live message by message and then imported, gives the same events as the import alone."""
    root = largest(DATA / "slack-olake")
    ids = {one["name"]: one["id"] for one in json.loads((root / "channels.json").read_text())}
    said = [
        {**message, "channel": ids[path.parent.name], "type": "message"}
        for path in sorted(root.glob("*/*-*-*.json"))
        for message in json.loads(path.read_text())
    ]
    with Engine(load(data=tmp_path / "data", free_floor_mb=0), lambda: NOW) as engine:
        for tenant in ("live", "alone"):
            engine.ensure_tenant(tenant, "UTC", retention=KEEP_EVERYTHING)
        row = engine.integrations.add("live", "slack", secrets={"signing_secret": "s"})
        one = engine.integration_store.get("live", row.id)
        for message in sorted(said, key=lambda message: str(message["ts"])):
            told = {name: value for name, value in message.items() if name not in LATER}
            engine.receiving.take_trusted(one, Delivery("POST", "", {}, {}, json.dumps({"event": told}).encode(), NOW))
        imported = [record.event for record in slack.read(root).records() if isinstance(record, Record)]
        found = engine.load("live", imported)
        assert found["accepted"] == found["corrected"] and found["rejected"] == []
        engine.load("alone", imported)
        engine.refresh()
        live, alone = (_said(engine, tenant) for tenant in ("live", "alone"))
        assert live.keys() == alone.keys()
        assert [live[id_] for id_ in live] == [alone[id_] for id_ in live]
        assert engine.verify()["clean"]


LATER = (
    "reply_count",
    "reply_users",
    "reply_users_count",
    "latest_reply",
    "replies",
    "reactions",
    "subscribed",
    "edited",
)
"""Fields that Slack knows only after a message was sent."""


def _said(engine: Engine, tenant: str) -> dict[str, tuple[Any, ...]]:
    """Return the stored fields of each message, by id."""
    no = engine.control.tenant(tenant).no
    with engine.store.facts.read() as reading:
        rows = reading.rows(
            "SELECT id, time, type, channel_id, conversation_id, contact_id, staff_id, kind FROM event WHERE tenant = ?",
            (no,),
        )
    return {row[0]: tuple(row) for row in rows}
