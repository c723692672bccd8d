"""Real conversations behind a service on this machine: connectors fetch the events that importers read from the files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hubbub.app import Engine
from hubbub.errors import HubbubError, UpstreamRefusedError
from hubbub.ingest.connectors.base import Notes
from hubbub.ingest.connectors.facebook import METRICS
from hubbub.ingest.connectors.slack import THREAD_DAYS, Slack
from hubbub.ingest.sources import files, mapping, slack
from hubbub.ingest.sources.summary import Record
from hubbub.model.coverage import Day
from hubbub.model.event import Event
from hubbub.model.tenant import KEEP_EVERYTHING
from hubbub.outgoing.http import Outgoing
from hubbub.settings import load
from tests.acceptance.conftest import DATA, EXAMPLES, NOW, needs
from tests.platforms import TOKEN, Graph, Workspace, insight, post
from tests.services import Reply, in_turn, service
from tests.unit.ingest.connectors.conftest import integration, read

PAGE = "246675545449582"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Open an engine that may call this machine."""
    options = {"free_floor_mb": 0, "allow_private_hosts": ["127.0.0.1"]}
    with Engine(load(data=tmp_path / "data", **options), lambda: NOW) as opened:
        yield opened


def fetched(out: Outgoing, url: str, first: date, days: int) -> dict[str | None, Event]:
    """Return the events of some days of the workspace, by id; an event that is fetched again must be equal."""
    found: dict[str | None, Event] = {}
    one = integration("slack", url)
    for n in range(days):
        for item in read(Slack(out), one, Notes(), day=Day.of(first + timedelta(days=n), "UTC")):
            assert isinstance(item, Event)
            assert found.setdefault(item.id, item) == item
    return found


@needs("slack-houstondatavis", "slack-olake", "slack-rcontributors")
@pytest.mark.parametrize(
    ("name", "days", "least", "replies"),
    [
        ("slack-houstondatavis", 7, 50, 0),
        pytest.param("slack-olake", 41, 10, 3, marks=pytest.mark.slow),
        pytest.param("slack-rcontributors", 14, 50, 20, marks=pytest.mark.slow),
    ],
)
def test_a_real_workspace_live_gives_the_events_of_its_export(name: str, days: int, least: int, replies: int) -> None:
    """Days of a real export, served as the Web API, give the same events as an import of the export."""
    root = largest(DATA / name)
    channels: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(root.glob("*/*-*-*.json")):
        known = {m["ts"] for m in channels.get(path.parent.name, ())}
        channels.setdefault(path.parent.name, []).extend(
            m for m in json.loads(path.read_text()) if m["ts"] not in known
        )
    imported = {r.event.id: r.event for r in slack.read(root).records() if isinstance(r, Record)}
    threaded = [e for e in imported.values() if e.conversation_id] or list(imported.values())
    busiest = Counter(e.time.astimezone(UTC).date() for e in threaded).most_common(1)[0][0]
    first = busiest - timedelta(days=days // 2)
    start, end = (datetime(d.year, d.month, d.day, tzinfo=UTC) for d in (first, first + timedelta(days=days)))
    out = Outgoing(["127.0.0.1"])
    listed = {one["name"]: one["id"] for one in json.loads((root / "channels.json").read_text())}
    ids = {channel: listed.get(channel, channel) for channel in channels}
    with service(Workspace(channels, page=100, ids=ids)) as there:
        live = fetched(out, there.url, first, days)
    out.close()
    assert set(live) <= set(imported)
    different = [id_ for id_, event in live.items() if event != imported[id_]]
    assert different == []
    within = {id_ for id_, e in imported.items() if start <= e.time < end}
    late = {id_ for id_ in within - set(live) if began_long_before(imported[id_], start)}
    assert (
        within - set(live) == late and len(late) < len(within) / 10
    )  # replies to threads older than the connector's look-back
    assert len(within - late) >= least
    assert sum(1 for e in live.values() if e.conversation_id) >= replies


def began_long_before(event: Event, start: datetime) -> bool:
    """Whether an event is a reply in a thread that began before the connector's look-back."""
    root = (event.conversation_id or "").rpartition(":")[2]
    return bool(root) and datetime.fromtimestamp(float(root), UTC) < start - timedelta(days=THREAD_DAYS - 1)


def largest(folder: Path) -> Path:
    """Return the export in a folder; of several snapshots, the one with the most days."""
    days = Counter(p.parent.parent for p in folder.glob("**/*-*-*.json"))
    return max(days, key=lambda root: (days[root], root))


@needs("facebook-live-sellers")
def test_a_real_page_live_and_its_file_do_not_double(engine: Engine) -> None:
    """Fetched days of a page that was imported from a file store nothing new; a changed counter is one correction."""
    source = files.read(
        [DATA / "facebook-live-sellers" / "Live.csv"], mapping.load(EXAMPLES / "facebook-live-sellers.yaml")
    )
    events = [r.event for r in source.records() if isinstance(r, Record) and r.event.account_id == PAGE]
    busy = Counter(e.time.astimezone(UTC).date() for e in events if e.type == "content.published").most_common(3)
    engine.ensure_tenant("shop", None, retention=KEEP_EVERYTHING)
    engine.accept("shop", events, history=True)
    graph = Graph(posts_of(events), [insight(METRICS[0], d2018_01_01=1)], page=25)
    with service(graph) as there:
        settings = {"page_id": PAGE, "base_url": there.url}
        id_ = engine.integrations.add("shop", "facebook_page", TOKEN, "Page", settings).id
        for day, posts in busy:
            answer = engine.fetching.day("shop", id_, day.isoformat(), is_backfill=True)
            assert (answer.stored, answer.corrected) == (0, 0)
            assert answer.duplicates >= posts * 4  # posts of the weeks before are read again
        graph.posts[0]["comments"] += 1
        day = datetime.fromtimestamp(graph.posts[0]["created"], UTC).date()
        assert engine.fetching.day("shop", id_, day.isoformat(), is_backfill=True).corrected == 1


def posts_of(events: list[Event]) -> list[dict[str, Any]]:
    """Return the posts of the file's events."""
    numbers: dict[str | None, dict[str, int]] = {}
    for event in events:
        if event.name and event.value is not None:
            numbers.setdefault(event.message_id, {})[event.name] = int(event.value)
    return [
        {**post(e.id or "", int(e.time.timestamp())), "status_type": json.loads(bytes(e.attributes))["kind"],
         **{n: numbers[e.id][f"num_{n}"] for n in ("comments", "shares", "reactions")}}
        for e in events if e.type == "content.published"
    ]  # fmt: skip


@needs("webhooks")
def test_each_recorded_error_of_intercom_is_a_refusal_with_an_action() -> None:
    """Every recorded error body of Intercom, sent with its status, is a refusal with an action."""
    found = {
        p: int(s)
        for p in (DATA / "webhooks" / "intercom").glob("*.json")
        for s in p.name.split(".")
        if s in ("401", "403", "404")
    }
    assert len(found) >= 8
    out = Outgoing(["127.0.0.1"])
    for path, status in found.items():
        with service(in_turn(Reply(path.read_bytes(), status))) as there, pytest.raises(HubbubError) as caught:
            out.send("GET", there.url).checked()
        assert isinstance(caught.value, UpstreamRefusedError), path.name
        assert caught.value.action
    out.close()
