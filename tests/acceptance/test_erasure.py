"""Erasure leaves no byte: real processes' files are searched for a canary."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

import hubbub
from tests.integration.test_serve import Place, place

CANARY = "canary-7f3a91"
TEXT = "sparrow-0c55e2"
"""The contact's text."""
NOW = datetime.now(UTC)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    """A data folder of one test, with the tenant acme."""
    with place(tmp_path / "data") as made:
        yield made


def told(number: int, contact: str, text: str, **fields: Any) -> dict[str, Any]:
    """Return a message of a contact, some days ago."""
    return {
        "type": "message.received", "time": (NOW - timedelta(days=1 + number % 3, minutes=number)).isoformat(),
        "id": f"{contact}:{number}", "contact_id": contact, "conversation_id": f"sms-{contact}", "channel": "sms",
        "attributes": {"text": f"{text} {number}"}, **fields,
    }  # fmt: skip


def story() -> list[dict[str, Any]]:
    """Return the canary's messages, replies that name it, rejected ones, and another contact's messages."""
    events = [told(n, CANARY, TEXT) for n in range(40)] + [told(n, "guest-2", "hello") for n in range(40)]
    answer = {"type": "message.sent", "contact_id": None, "staff_id": "anna", "attributes": {"to": [CANARY]}}
    events += [told(n, CANARY, "", **answer) | {"id": f"answer {n}"} for n in range(40, 45)]
    return [*events, told(0, CANARY, TEXT, type="no.such.type"), told(1, "guest-2", "hi", type="no.such.type")]


def corrections() -> list[dict[str, Any]]:
    """Return corrections of some of the canary's messages."""
    return [told(n, CANARY, TEXT, revision=2, topic=f"{TEXT} again") for n in range(5)]


def holding(folder: Path) -> set[str]:
    """Return the files under a folder that hold a byte of the canary or its text."""
    found = set()
    for path in folder.rglob("*"):
        try:
            content = path.read_bytes() if path.is_file() else b""
        except FileNotFoundError:  # merged or removed meanwhile
            continue
        if CANARY.encode() in content or TEXT.encode() in content:
            found.add(str(path.relative_to(folder)))
    return found


def test_no_byte_is_left_in_a_data_folder(here: Place) -> None:
    """A server stores, folds and reports a contact; after an erasure over HTTP no file holds it, nor after the server's end."""
    server, url = here.start()

    def ask(method: str, path: str, key: str, **how: Any) -> Any:
        answer = httpx2.request(method, url + path, headers={"Authorization": f"Bearer {key}"}, timeout=300, **how)
        assert answer.status_code < 300, answer.text
        return answer.json()

    with hubbub.open(here.folder, free_floor_mb=0) as engine:
        keys = {one: engine.keys.add("acme", [one]).key for one in ("ingest", "read", "erase")}
    key = keys["ingest"]
    stored = ask("POST", "/v1/events", key, json=story())
    assert (stored["accepted"], len(stored["rejected"])) == (85, 2)
    assert ask("POST", "/v1/events", key, json=corrections())["corrected"] == 5
    said = {"workspace_id": "w", "user_id": CANARY, "channel_id": "c", "message_ts": "1.0", "triggered_by": "mention"}
    ask("POST", "/v1/ai/responses", key, json={**said, "trigger_message_text": TEXT})
    with hubbub.open(here.folder, free_floor_mb=0) as engine:
        engine.refresh()
    span = {"from": (NOW - timedelta(days=9)).date().isoformat(), "to": (NOW + timedelta(days=2)).date().isoformat()}
    by_contact = {"metrics": ["active_contacts"], "by": ["contact_id"], **span}
    assert CANARY in str(ask("POST", "/v1/query", keys["read"], json=by_contact))
    yesterday = (NOW - timedelta(days=1)).date().isoformat()
    with hubbub.open(here.folder, free_floor_mb=0) as engine:
        engine.reports.make("acme", "monthly", date=yesterday, formats=["json", "csv", "html"])
        engine.snapshot("daily", yesterday, "acme")
    assert holding(here.folder)

    refused = httpx2.post(f"{url}/v1/erase", json={"contact_id": CANARY}, headers={"Authorization": f"Bearer {key}"})
    assert refused.status_code == 403
    done = ask("POST", "/v1/erase", keys["erase"], json={"contact_id": CANARY})
    assert (done["events"], done["mentions"], done["superseded"], done["quarantine"]) == (40, 5, 5, 1)
    assert (done["payloads"], done["reports"]) == (1, 1)
    assert holding(here.folder) == set()
    assert CANARY not in str(ask("POST", "/v1/query", keys["read"], json=by_contact))
    with hubbub.open(here.folder, free_floor_mb=0) as engine:
        assert engine.verify()["differences"] == 0
    asked = {"metrics": ["messages_received"], **span}
    assert ask("POST", "/v1/query", keys["read"], json=asked)["rows"][0]["messages_received"] == 40
    again = ask("POST", "/v1/events", key, json=story()[:40])
    assert [one["code"] for one in again["rejected"]] == ["contact_erased"] * 40
    assert ask("GET", "/v1/erasures", keys["erase"])["rows"][0]["counts"]["events"] == 40
    server.terminate()
    assert server.wait(timeout=60) == 0
    assert holding(here.folder.parent) == set()
