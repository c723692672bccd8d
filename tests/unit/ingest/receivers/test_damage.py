"""Damaged bodies and bodies with undocumented values are refused or read; they never raise another error."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from hubbub.errors import BadRequestError, ForgedError
from hubbub.ingest.receivers.base import Delivery, Options, Received
from hubbub.model.event import record_from
from tests.extent import FUZZ
from tests.unit.ingest.receivers.sending import BODIES, Service, services
from tests.unit.ingest.receivers.test_mail import ways, written

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
OPTIONS = Options("int_1", staff_ids=frozenset({"ada@example.com"}), keep_text=True)
SERVICES = services()
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1e300, 10**30, "", "x", "\ud800", "\0", "2026-13-45", "<a@b>", "é" * 600, [], {}, [[]], [None, 3, {"id": 1}],
    {"id": {"id": []}}, "1780300800", "-",
)  # fmt: skip
"""Values of unexpected kinds."""


def deliveries(name: str) -> list[Delivery]:
    """Return deliveries of a service: its bodies and its mails."""
    service = SERVICES[name]
    found = [service.delivery(path.read_bytes(), NOW) for path in sorted((BODIES / name).glob("*.json"))]
    return found + [one for way, one in ways(written(References="<0@x>")).items() if way.split()[0] == name]


def damaged(body: bytes, chance: random.Random) -> bytes:
    """Return a body that was cut, changed, doubled or rearranged."""
    at = chance.randrange(len(body) + 1)
    other = bytes([chance.randrange(256)])
    made: list[bytes] = [
        body[:at], body[at:], body[:at] + other + body[at + 1 :], body + body, body[at:] + body[:at],
        body[:at] + body[: at // 2] + body[at:],
    ]  # fmt: skip
    return chance.choice(made)


def odd(value: Any, chance: random.Random) -> Any:
    """Return a JSON value with some parts replaced, removed or doubled."""
    if chance.random() < 0.08:
        return chance.choice(ODD)
    if isinstance(value, dict):
        return {name: odd(one, chance) for name, one in value.items() if chance.random() > 0.05}
    if isinstance(value, list):
        return [odd(one, chance) for one in value for _ in range(chance.choice((1, 1, 1, 2)))]
    return value


def strange(service: Service, body: bytes, chance: random.Random) -> bytes:
    """Return a body of the service with odd values, also inside an SNS message."""
    try:
        value = json.loads(body)
    except ValueError:
        return damaged(body, chance)
    if isinstance(value, dict) and isinstance(value.get("Message"), str) and chance.random() < 0.9:
        return json.dumps({**value, "Message": json.dumps(odd(json.loads(value["Message"]), chance))}).encode()
    return json.dumps(odd(value, chance)).encode()


def read(service: Service, delivery: Delivery) -> Received | None:
    """Return what was received; None if the body is refused as unreadable."""
    try:
        return service.receiver.read(delivery, OPTIONS)
    except BadRequestError:
        return None


def tries() -> Iterator[int]:
    """Yield a number for each damage tried on a service."""
    return iter(range(FUZZ * 2))


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize("how", [damaged, strange], ids=["bytes", "values"])
def test_damage_is_refused_or_named(name: str, how: Any) -> None:
    """A damaged body is refused as unreadable, or gives events, changes or ignored items that are well-formed."""
    service, chance = SERVICES[name], random.Random(name)
    whole = deliveries(name)
    for number in tries():
        good = whole[number % len(whole)]
        body = how(service, good.body, chance) if how is strange else damaged(good.body, chance)
        found = read(service, Delivery(good.method, good.url, {}, good.headers, body, NOW))
        if found is None:
            continue
        assert found.events or found.changes or found.ignored or body.lstrip()[:1] == b"[", body
        for index, event in enumerate(found.events):
            record_from({"source": name, **event}, index, "acme")
        assert all(isinstance(key, str) and count > 0 for key, count in found.ignored.items())
        assert all(one.id and one.name.strip() for one in found.names), body


@pytest.mark.parametrize("name", SERVICES)
def test_damage_is_never_more_than_forged(name: str) -> None:
    """Verifying a damaged body passes or raises ForgedError, and no other error."""
    service, chance = SERVICES[name], random.Random(name)
    whole = deliveries(name)
    for number in tries():
        good = whole[number % len(whole)]
        body = damaged(good.body, chance) if number % 2 else strange(service, good.body, chance)
        delivery = Delivery(good.method, good.url, {}, good.headers, body, NOW)
        for check in (service.receiver.verify, service.receiver.challenge):
            try:
                check(delivery, service.secrets)
            except ForgedError:
                continue
