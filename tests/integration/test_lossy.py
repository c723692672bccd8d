"""Webhook bodies of six services over a connection that drops, doubles, delays, cuts and corrupts them: in the end
every event counts once, and until then answers say that they are incomplete.
"""

from __future__ import annotations

import heapq
import json
import random
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hubbub.app import Engine
from hubbub.ingest.receivers.base import Delivery
from hubbub.settings import load
from tests.extent import BODIES
from tests.integration.lossy import Line, lossy
from tests.platforms import TOKEN, Workspace
from tests.served import served
from tests.services import service
from tests.unit.api.test_hooks import meta, slack, text, whatsapp
from tests.unit.ingest.connectors.test_chatwoot import AGENT, CONTACT, Desk
from tests.unit.ingest.receivers import sending

SEED = 16
BEGIN = datetime(2026, 8, 20, 9, tzinfo=UTC)
SPAN = timedelta(hours=3)
LATEST = 600.0
"""Seconds by which a body may be late."""
PRESENT = timedelta(seconds=20)
PAUSES = (60.0, 300.0, 900.0)
"""Seconds until a service retries a refused body; the last value repeats."""
MOST_TRIES = 10
DAY = {"start": "2026-08-20", "end": "2026-08-21"}
ARRIVAL = ("seq", "tenant", "received_at", "ident")
Sign = Callable[[bytes, datetime], Mapping[str, str]]


def seconds(sign: Callable[..., dict[str, str]], secret: str = sending.SECRET) -> Sign:
    """Return the signer of Slack or Meta for a body at a time."""
    return lambda body, now: sign(body, secret, str(int(now.timestamp()))) if sign is slack else sign(body, secret)


@dataclass(frozen=True)
class Sender:
    """A service: how it signs, and whether it retries refused bodies. Those that do not have an API to read from."""

    sign: Sign
    secrets: Mapping[str, str]
    again: bool = True


META = {"app_secret": sending.SECRET, "verify_token": "v"}
SENDERS: Mapping[str, Sender] = {
    "slack": Sender(seconds(slack), {"signing_secret": sending.SECRET, "token": TOKEN}, again=False),
    "chatwoot": Sender(sending.chatwoot, {"secret": sending.SECRET, "token": TOKEN}, again=False),
    "whatsapp": Sender(seconds(meta), META),
    "messenger": Sender(seconds(meta), META),
    "sendgrid": Sender(sending.sendgrid, {"public_key": sending.curve_public()}),
    "instagram": Sender(seconds(meta), META),
}


@dataclass
class World:
    """The services' data: webhook bodies with their times, and APIs with the same messages."""

    bodies: list[tuple[str, datetime, bytes]] = field(default_factory=list)
    talk: Workspace = field(default_factory=lambda: Workspace({"a": []}, page=200))
    desk: Desk = field(default_factory=lambda: Desk(page=200))

    def fill(self, count: int) -> None:
        """Make `count` bodies, service by service in turn."""
        turns = list(SENDERS)
        while len(self.bodies) < count:
            n = len(self.bodies)
            at = BEGIN + SPAN * n / count
            getattr(self, f"_{turns[n % len(turns)]}")(n, at.replace(microsecond=0))

    def _add(self, provider: str, at: datetime, body: object) -> None:
        self.bodies.append((provider, at, body if isinstance(body, bytes) else json.dumps(body).encode()))

    def _slack(self, n: int, at: datetime) -> None:
        ts = f"{int(at.timestamp())}.{n:06}"
        said: dict[str, Any] = {"type": "message", "ts": ts, "user": f"U{n % 7}", "text": "words"}
        self.talk.channels["a"].append(said)
        self._add("slack", at, {"type": "event_callback", "event": {**said, "channel": "C0000"}})

    def _chatwoot(self, n: int, at: datetime) -> None:
        talk, inbound = 200 + n // 60, n % 12 < 6
        inner = {"id": talk, "inbox_id": 12, "channel": "Channel::WebWidget", "meta": {"sender": CONTACT}}
        if talk not in self.desk.messages:
            began = {**inner, "event": "conversation_created", "account": {"id": 3}, "created_at": int(at.timestamp())}
            self._add("chatwoot", at, began)
        self.desk.write(talk, n, int(at.timestamp()), message_type=0 if inbound else 1)
        self._add("chatwoot", at, {
            "event": "message_created", "id": n, "content": "words", "message_type": "incoming" if inbound else "outgoing",
            "private": False, "sender": CONTACT if inbound else AGENT, "created_at": at.isoformat(), "account": {"id": 3},
            "inbox": {"id": 12}, "conversation": inner,
        })  # fmt: skip

    def _whatsapp(self, n: int, at: datetime) -> None:
        if n % 12 < 6:
            self._add("whatsapp", at, whatsapp(text(f"w{n}", int(at.timestamp()))))
            return
        status = {"id": f"o{n}", "status": "sent", "timestamp": str(int(at.timestamp())), "recipient_id": "39123"}
        self._add("whatsapp", at, whatsapp(statuses=[status]))

    def _messenger(self, n: int, at: datetime) -> None:
        self._add("messenger", at, _talk("page", n, at))

    def _instagram(self, n: int, at: datetime) -> None:
        self._add("instagram", at, _talk("instagram", n, at))

    def _sendgrid(self, n: int, at: datetime) -> None:
        kind = ("processed", "delivered", "open")[n // 6 % 3]
        report = {"event": kind, "email": f"p{n % 50}@example.com", "timestamp": int(at.timestamp())}
        self._add("sendgrid", at, [{**report, "sg_message_id": f"s{n}.x", "sg_event_id": f"e{n}"}])


def _talk(kind: str, n: int, at: datetime) -> dict[str, Any]:
    """Return a message to a page or account."""
    one = {"sender": {"id": f"u{n % 50}"}, "recipient": {"id": "P"}, "timestamp": int(at.timestamp()) * 1000}
    return {"object": kind, "entry": [{"id": "P", "messaging": [{**one, "message": {"mid": f"m{n}"}}]}]}


class Place:
    """An installation with an integration of each service; the test sets its clock."""

    def __init__(self, folder: Path, stack: ExitStack, world: World) -> None:
        self.now = BEGIN
        unlimited = dict.fromkeys(("reads", "ingests", "events", "megabytes", "seconds"), 0)
        options = {"free_floor_mb": 0, "allow_private_hosts": ["127.0.0.1"], "limits": unlimited}
        self.engine = stack.enter_context(Engine(load(data=folder, **options), lambda: self.now))
        self.engine.add_tenant("acme", zone="UTC")
        apis = {
            "slack": {"base_url": stack.enter_context(service(world.talk)).url},
            "chatwoot": {"base_url": stack.enter_context(service(world.desk)).url, "account_id": "3"},
        }
        self.ids = {
            name: self.engine.integrations.add(
                "acme", name, name=name, settings=apis.get(name, {}), secrets=one.secrets
            ).id
            for name, one in SENDERS.items()
        }

    def path(self, provider: str) -> str:
        """Return the path of a service's webhooks."""
        return f"/v1/hooks/{provider}/{self.ids[provider]}"

    def stored(self) -> list[dict[str, Any]]:
        """Return all events without the columns of their arrival."""
        self.engine.refresh()
        with self.engine.store.facts.read() as reading:
            found = reading.dicts("SELECT * FROM event ORDER BY source, id")
        return [{name: value for name, value in row.items() if name not in ARRIVAL} for row in found]

    def ask(self, **question: Any) -> dict[str, Any]:
        """Query the events of the day."""
        return self.engine.query("acme", metrics=["events"], **{**DAY, **question})


def undisturbed(folder: Path, world: World) -> list[dict[str, Any]]:
    """Return the events of all bodies, each received once and in order."""
    with ExitStack() as stack:
        place = Place(folder, stack, world)
        for provider, at, body in world.bodies:
            place.now = at
            one = place.engine.integration_store.get("acme", place.ids[provider])
            headers = {name.lower(): value for name, value in SENDERS[provider].sign(body, at).items()}
            place.engine.receiving.take(one, Delivery("POST", "https://x/", {}, headers, body, at))
        return place.stored()


def send(place: Place, line: Line, world: World, chance: random.Random) -> int:
    """Send all bodies, each up to `LATEST` seconds late, retried where the service does; return how many were lost."""
    waiting = [(at + timedelta(seconds=chance.random() * LATEST), n, 0) for n, (_, at, _) in enumerate(world.bodies)]
    heapq.heapify(waiting)
    seen, lost = place.now, 0
    while waiting:
        due, n, tries = heapq.heappop(waiting)
        while seen + PRESENT < due:
            seen = place.now = seen + PRESENT
            place.engine.coverage.here()
        place.now = due
        provider, _, body = world.bodies[n]
        headers = {"Content-Type": "application/json", **SENDERS[provider].sign(body, due)}
        if line.post(place.path(provider), body, headers) in (200, 204):
            continue
        assert tries < MOST_TRIES, f"never taken: {provider}"
        if SENDERS[provider].again:
            heapq.heappush(waiting, (due + timedelta(seconds=PAUSES[min(tries, len(PAUSES) - 1)]), n, tries + 1))
        else:
            lost += 1
    place.engine.coverage.here()
    return lost


def mend(place: Place) -> None:
    """Run what the hourly and nightly jobs after the day do."""
    place.now = datetime(2026, 8, 21, 2, tzinfo=UTC)
    place.engine.coverage.watch()
    for one in place.engine.fetching.lacking():
        place.engine.fetching.reconcile(one.tenant, one.integration_id)
    for row in place.engine.fetching.due().rows:
        for day in row.dates:
            place.engine.fetching.day("acme", row.integration_id, day.isoformat())


def test_every_event_counts_once_after_a_lossy_connection(
    tmp_path: Path, record_property: Callable[[str, Any], None]
) -> None:
    """Corrupted bodies get 401 and leave no event; answers report the gaps; after one reconcile and one night every
    event is stored once; after eight days no gap is open, and `verify` is clean.
    """
    world = World()
    world.fill(BODIES)
    whole = undisturbed(tmp_path / "whole", world)
    with ExitStack() as stack:
        place = Place(tmp_path / "data", stack, world)
        with served(place.engine) as port, lossy(port, SEED) as line:
            place.engine.coverage.here()
            lost = send(place, line, world, random.Random(SEED))
        assert set(line.answers) == {401}
        assert all(line.done[name] for name in ("dropped", "doubled", "flipped", "cut"))
        arrived = place.stored()
        known = {(row["source"], row["id"]) for row in whole}
        missing = known - {(row["source"], row["id"]) for row in arrived}
        assert {(row["source"], row["id"]) for row in arrived} <= known
        assert missing and {source for source, _ in missing} <= {"slack", "chatwoot"}
        place.now = datetime(2026, 8, 21, tzinfo=UTC)
        gaps = place.ask()["freshness"]["gaps"]
        assert {"unverified", "not_tried"} <= {gap["reason"] for gap in gaps}
        mend(place)
        assert place.stored() == whole
        assert {gap["source"] for gap in place.ask()["freshness"].get("gaps", ())} <= set(SENDERS) - {
            "slack",
            "chatwoot",
        }
        place.now += timedelta(days=8)
        place.engine.coverage.watch()
        answer = place.ask()
        assert (answer["freshness"]["complete"], answer["rows"][0]["events"]) == (True, len(whole))
        assert place.engine.verify("acme")["clean"]
    record_property("bodies", len(world.bodies))
    print(f"{len(world.bodies)} bodies, {len(whole)} events; the line: {dict(line.done)}; refused {dict(line.answers)}; "
          f"{lost} bodies of services that send once were not taken, {len(missing)} events read from their APIs")  # fmt: skip
