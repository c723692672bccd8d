"""Operations that reach outside: integrations, days and replies; run twice, interrupted, and without leaks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog

from hubbub.app import Engine
from hubbub.clock import fixed
from hubbub.errors import (
    BadInputError,
    BadRequestError,
    HubbubError,
    NotFoundError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)
from hubbub.model.page import Page
from hubbub.model.plain import plain
from hubbub.services.integrations import IntegrationView
from hubbub.settings import load
from hubbub.telemetry import configure_logs
from tests.platforms import TOKEN, Graph, Workspace, graph_error, insight, post
from tests.services import Call, Reply, Service, in_turn, service
from tests.unit.replies.test_generate import completion
from tests.unit.replies.test_request import PAYLOAD

NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)
NOON = int(datetime(2026, 8, 1, 12, tzinfo=UTC).timestamp())
DATE = "2026-08-01"
LIMITED = graph_error(4, 403, headers={"Retry-After": "30"})


class House:
    """An engine with the tenants acme and beta, with services of the test."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack = folder, stack
        self.graph = Graph(
            [post(f"7_{n}", NOON + n, comments=n) for n in range(5)], [insight("page_follows", d2026_08_01=100)]
        )
        self.page_service = self.run(self.graph)
        self.engine = self.open()
        for tenant in ("acme", "beta"):
            self.engine.add_tenant(tenant)

    def run(self, answer: Callable[[Call], Reply]) -> Service:
        """Run a service until the test ends."""
        return self.stack.enter_context(service(answer))

    def open(self, **flags: Any) -> Engine:
        """Open the folder with more settings, after closing the earlier engine."""
        if hasattr(self, "engine"):
            self.engine.close()
        options = {
            "free_floor_mb": 0,
            "allow_private_hosts": ["127.0.0.1"],
            **flags,
        }
        self.engine = self.stack.enter_context(Engine(load(data=self.folder, **options), fixed(NOW)))
        return self.engine

    def page(self, tenant: str = "acme", secret: str = TOKEN) -> str:
        """Add the page; return the integration's id."""
        settings = {"page_id": "7", "base_url": self.page_service.url}
        return str(self.engine.integrations.add(tenant, "facebook_page", secret, "Page", settings).id)

    def workspace(self, workspace: Workspace, secret: str = TOKEN, **settings: str) -> str:
        """Add a workspace; return the integration's id."""
        url = self.run(workspace).url
        return str(self.engine.integrations.add("acme", "slack", secret, "Talk", {"base_url": url, **settings}).id)

    def stored(self, *columns: str) -> list[tuple[Any, ...]]:
        """Return columns of all stored events, ordered by id."""
        self.engine.refresh()
        with self.engine.store.facts.read() as reading:
            return reading.rows(f"SELECT {', '.join(columns)} FROM event ORDER BY id")

    def with_ai(self, *replies: Reply, **more: Any) -> Service:
        """Open the engine with an AI endpoint that gives these replies."""
        there = self.run(in_turn(*replies))
        self.open(ai={"url": there.url, "model": "small", "key": "canary-key", **more})
        return there


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Open an engine with services."""
    with ExitStack() as stack:
        yield House(tmp_path / "data", stack)


# --- integrations


def test_integrations_are_listed_page_by_page_without_secrets(house: House) -> None:
    """Cursors lead through all integrations, filters apply, and no answer holds a secret."""
    made = [house.page("acme" if n % 2 else "beta") for n in range(7)]
    rows: list[IntegrationView] = []
    cursor = None
    while True:
        page = house.engine.integrations.of(cursor=cursor, limit=3)
        rows += page.rows
        cursor = page.next
        if cursor is None:
            break
    assert [r.id for r in rows] == made
    assert [r.id for r in house.engine.integrations.of("acme", "active").rows] == made[1::2]
    assert house.engine.integrations.of("acme", "paused") == Page([])
    assert TOKEN not in json.dumps(plain([rows, house.engine.integrations.get("acme", made[1])]))
    for bad in ({"state": "odd"}, {"limit": 0}, {"limit": 10**6}):
        with pytest.raises((BadInputError, BadRequestError)):
            house.engine.integrations.of(**bad)
    with pytest.raises(NotFoundError):
        house.engine.integrations.of("nobody")


def test_an_unusable_integration_is_not_added(house: House) -> None:
    """An unknown tenant, provider or setting, or a missing page id, adds no integration."""
    calls: tuple[Callable[[], object], ...] = (
        lambda: house.engine.integrations.add("nobody", "slack", "x"), lambda: house.engine.integrations.add("acme", "odd", "x"),
        lambda: house.engine.integrations.add("acme", "facebook_page", "x"),
        lambda: house.engine.integrations.add("acme", "slack", "", settings={}),
    )  # fmt: skip
    for call in calls:
        with pytest.raises((NotFoundError, BadInputError)):
            call()
    assert house.engine.integrations.of().rows == []


def test_a_rotation_without_a_secret_is_refused(house: House) -> None:
    """A rotation without a secret is refused, and the error names what to give."""
    id_ = house.engine.integrations.add("acme", "facebook_page", TOKEN, settings={"page_id": "1"}).id
    nothing: tuple[dict[str, Any], ...] = ({}, {"secret": ""}, {"secrets": {}})
    for given in nothing:
        with pytest.raises(BadInputError, match="secret: give a new token"):
            house.engine.integrations.rotate("acme", id_, **given)


# --- a day


def test_a_day_is_fetched_once_however_often(house: House) -> None:
    """The first fetch stores, the second finds only duplicates and changes no row; `last_ok` is the day."""
    id_ = house.page()
    first = house.engine.fetching.day("acme", id_, DATE)
    assert (first.stored, first.duplicates, first.rejected, first.pages) == (21, 0, {}, 4)
    before = house.stored("*")
    again = house.engine.fetching.day("acme", id_, DATE)
    assert (again.stored, again.corrected, again.duplicates) == (0, 0, 21)
    assert house.stored("*") == before
    assert plain(house.engine.integrations.get("acme", id_).last_ok) == DATE
    assert json.loads(json.dumps(plain(first))) == plain(first)


def test_a_counter_that_moved_is_corrected_either_way(house: House) -> None:
    """Counters that rose or fell are corrected; all others are duplicates."""
    id_ = house.page()
    house.engine.fetching.day("acme", id_, DATE)
    house.graph.posts[1]["comments"], house.graph.posts[4]["comments"] = 50, 0
    again = house.engine.fetching.day("acme", id_, DATE)
    assert (again.stored, again.corrected, again.duplicates) == (0, 2, 19)
    values = dict(house.stored("id", "value"))
    assert [values[f"7_{n}:num_comments"] for n in range(5)] == [0, 50, 2, 3, 0]


def test_pages_before_a_failure_stay_and_the_next_attempt_completes_the_day(house: House) -> None:
    """A rate limit in the middle of a day keeps the pages before it and gives `retry_after`; the next attempt completes
    the day.
    """
    id_ = house.page()
    graph, calls = house.graph, 0

    def limited_once(call: Call) -> Reply:
        nonlocal calls
        calls += 1
        return LIMITED if calls == 2 else graph(call)

    house.page_service.answer = limited_once
    with pytest.raises(UpstreamUnavailableError) as caught:
        house.engine.fetching.day("acme", id_, DATE)
    assert caught.value.retry_after == 30
    assert len(house.stored("id")) == 8
    assert house.engine.integrations.get("acme", id_).state == "active"
    assert house.engine.integrations.get("acme", id_).last_ok is None
    assert house.engine.fetching.day("acme", id_, DATE).stored == 13


def test_a_dead_token_breaks_the_integration_until_a_person_acts(house: House) -> None:
    """A dead token breaks the integration with reason and action, stops calls, and is mended by a new secret."""
    id_ = house.page(secret="expired-token")
    with pytest.raises(UpstreamRefusedError, match="Reconnect"):
        house.engine.fetching.day("acme", id_, DATE)
    row = house.engine.integrations.get("acme", id_)
    assert (row.state, "463" in row.reason, "Reconnect" in row.action) == ("broken", True, True)
    calls = len(house.page_service.calls)
    with pytest.raises(UpstreamRefusedError, match="Reconnect"):
        house.engine.fetching.day("acme", id_, DATE)
    assert len(house.page_service.calls) == calls
    assert [r.id for r in house.engine.integrations.of(state="broken").rows] == [id_]
    house.engine.integrations.rotate("acme", id_, TOKEN)
    assert house.engine.fetching.day("acme", id_, DATE).stored == 21


def test_a_paused_integration_is_left_alone(house: House) -> None:
    """A paused integration is not fetched, the refusal says how to resume, and a resumed one is."""
    id_ = house.page()
    house.engine.integrations.pause("acme", id_)
    with pytest.raises(UpstreamRefusedError, match="hubbub integrations resume"):
        house.engine.fetching.day("acme", id_, DATE)
    assert house.page_service.calls == []
    house.engine.integrations.resume("acme", id_)
    assert house.engine.fetching.day("acme", id_, DATE).stored == 21


def test_a_backfill_takes_days_older_than_raw_events_are_kept(house: House) -> None:
    """A day older than raw retention is rejected as too old in daily work and accepted in a backfill."""
    house.engine.tenants.change("acme", retention={"raw": 5})
    id_ = house.page()
    assert house.engine.fetching.day("acme", id_, DATE).rejected == {"too_old": 21}
    assert house.engine.fetching.day("acme", id_, DATE, is_backfill=True).stored == 21


def test_odd_days_and_other_tenants_are_refused(house: House) -> None:
    """An invalid or future date, an unknown integration and another tenant's are refused without a call."""
    id_ = house.page()
    for date in ("2026-13-01", "yesterday", "2026-08-21", ""):
        with pytest.raises(BadInputError, match="date"):
            house.engine.fetching.day("acme", id_, date)
    told = set()
    for tenant, one in (("beta", id_), ("acme", "int_none")):
        with pytest.raises(NotFoundError) as caught:
            house.engine.fetching.day(tenant, one, DATE)
        told.add(caught.value.message.replace(one, "ID"))
    assert len(told) == 1
    assert house.page_service.calls == []


def test_an_address_inside_the_network_breaks_the_integration(house: House) -> None:
    """Without the setting that allows it, a base address on this machine is refused before any call."""
    id_ = house.page()
    house.open(allow_private_hosts=[])
    with pytest.raises(UpstreamRefusedError, match="encrypted"):
        house.engine.fetching.day("acme", id_, DATE)
    assert house.page_service.calls == []
    assert house.engine.integrations.get("acme", id_).state == "broken"


# --- replies

MESSAGE: dict[str, Any] = {**PAYLOAD, "message_ts": "1785585600.000100"}


def test_a_reply_is_written_stored_counted_and_handed_over(house: House) -> None:
    """A reply reports progress of 90 and 100, stores its suggestion, is shown to the person alone, and counts as one event."""
    there = house.with_ai(completion("Sure."))
    workspace = Workspace({})
    house.workspace(workspace, workspace_id="T1")
    reference = house.engine.replies.prepare("acme", MESSAGE | {"thread_ts": "1785585500.000100"})
    heard: list[int] = []
    answer = house.engine.replies.reply("acme", reference, heard.append)
    assert heard == [90, 100]
    assert (answer.delivered, answer.delivery) == (True, "ephemeral")
    assert house.engine.replies.suggestion("acme", answer.suggestion_id).suggestion == "Sure."
    assert workspace.posted == [{"channel": "C1", "user": "U1", "text": "Sure.", "thread_ts": "1785585500.000100"}]
    assert house.stored("type", "id", "duration_ms") == [
        ("response.ai_generated", f"ai-reply:{reference}", answer.processing_time_ms)
    ]
    assert len(there.calls) == 1
    assert "Sure" not in json.dumps(plain(answer))


def test_a_repeated_reply_repeats_no_call_event_or_message(house: House) -> None:
    """A repeated reply returns the same suggestion, without another model call, event or message."""
    there = house.with_ai(completion("first"), completion("second"))
    workspace = Workspace({})
    house.workspace(workspace)
    reference = house.engine.replies.prepare("acme", MESSAGE)
    first = house.engine.replies.reply("acme", reference)
    assert house.engine.replies.reply("acme", reference) == first
    assert (len(there.calls), len(house.stored("id")), len(workspace.posted)) == (1, 1, 1)
    other = house.engine.replies.reply("acme", house.engine.replies.prepare("acme", MESSAGE))
    assert other.suggestion_id != first.suggestion_id
    assert len(house.stored("id")) == 2


@pytest.mark.parametrize("step", ["record", "deliver"])
def test_an_interrupted_reply_resumes_without_a_second_call(
    house: House, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reply interrupted after its suggestion was stored needs no second model call, and ends with one event and one message."""
    there = house.with_ai(completion("first"), completion("second"))
    workspace = Workspace({})
    house.workspace(workspace)
    reference = house.engine.replies.prepare("acme", MESSAGE)
    if step == "deliver":
        workspace.errors = [Reply({"ok": False, "error": "ratelimited"}, 429, {"Retry-After": "9"})]
        with pytest.raises(UpstreamUnavailableError) as caught:
            house.engine.replies.reply("acme", reference)
        assert caught.value.retry_after == 9
    else:
        with monkeypatch.context() as broken:
            broken.setattr(house.engine.replies, "_record", lambda *_: (_ for _ in ()).throw(RuntimeError("killed")))
            with pytest.raises(RuntimeError):
                house.engine.replies.reply("acme", reference)
    answer = house.engine.replies.reply("acme", reference)
    assert house.engine.replies.suggestion("acme", answer.suggestion_id).suggestion == "first"
    assert (len(there.calls), len(house.stored("id")), len(workspace.posted)) == (1, 1, 1)


def test_a_response_address_gets_an_ephemeral_answer(house: House) -> None:
    """A response address gets the text as an ephemeral answer; an expired one is a refusal."""
    house.with_ai(completion("Sure."))
    hook = house.run(in_turn(Reply(b"ok"), Reply({"ok": False, "error": "used_url"}, 404)))
    answer = house.engine.replies.reply(
        "acme", house.engine.replies.prepare("acme", MESSAGE | {"response_url": f"{hook.url}/x"})
    )
    assert answer.delivery == "response_url"
    assert hook.calls[0].told == {"response_type": "ephemeral", "replace_original": False, "text": "Sure."}
    with pytest.raises(UpstreamRefusedError):
        house.engine.replies.reply(
            "acme", house.engine.replies.prepare("acme", MESSAGE | {"response_url": f"{hook.url}/x"})
        )


def test_without_an_active_slack_integration_it_is_stored_only(house: House) -> None:
    """Without an active integration of that workspace the reply is stored and not delivered, with the reason."""
    house.with_ai(completion("Sure."))
    workspace = Workspace({})
    house.engine.integrations.pause("acme", house.workspace(workspace))
    house.workspace(workspace, workspace_id="T9")
    answer = house.engine.replies.reply("acme", house.engine.replies.prepare("acme", MESSAGE))
    assert not answer.delivered and "no active slack integration" in answer.delivery
    assert house.engine.replies.suggestion("acme", answer.suggestion_id).suggestion == "Sure."
    assert workspace.posted == []


def test_a_dead_slack_token_breaks_its_integration_and_a_wrong_channel_does_not(house: House) -> None:
    """A revoked token breaks the Slack integration and a wrong channel does not; the suggestion is stored either way."""
    house.with_ai(completion("Sure."))
    workspace = Workspace({})
    id_ = house.workspace(workspace)
    for error, state in (("channel_not_found", "active"), ("token_revoked", "broken")):
        workspace.errors = [Reply({"ok": False, "error": error})]
        reference = house.engine.replies.prepare("acme", MESSAGE)
        with pytest.raises(UpstreamRefusedError, match=error) as caught:
            house.engine.replies.reply("acme", reference)
        assert caught.value.action
        assert house.engine.integrations.get("acme", id_).state == state
        assert house.engine.replies.suggestion("acme", reference.replace("pay_", "sug_")).suggestion == "Sure."


def test_a_reply_without_an_endpoint_is_refused(house: House) -> None:
    """Without an endpoint a reply is refused with the names of the settings, and no event is stored."""
    reference = house.engine.replies.prepare("acme", MESSAGE)
    with pytest.raises(UpstreamRefusedError, match="HUBBUB_AI__URL"):
        house.engine.replies.reply("acme", reference)
    assert house.stored("id") == []


def test_replies_belong_to_their_tenant(house: House) -> None:
    """Another tenant finds neither request nor suggestion; a bad payload is refused."""
    house.with_ai(completion("Sure."))
    reference = house.engine.replies.prepare("acme", MESSAGE)
    suggestion = house.engine.replies.reply("acme", reference).suggestion_id
    calls: tuple[tuple[Callable[..., object], str], ...] = (
        (house.engine.replies.reply, reference),
        (house.engine.replies.suggestion, suggestion),
    )
    for call, id_ in calls:
        for tenant, one in (("beta", id_), ("acme", "pay_none"), ("acme", "odd")):
            with pytest.raises(NotFoundError):
                call(tenant, one)
    with pytest.raises(BadRequestError):
        house.engine.replies.prepare("acme", {"text": "x"})


def test_deleted_replies_leave_nothing(house: House) -> None:
    """Deleting by reference removes request, suggestion and delivery; deleting by age removes the rest."""
    house.with_ai(completion("Sure."))
    house.workspace(Workspace({}))
    first, second = (house.engine.replies.prepare("acme", MESSAGE) for _ in range(2))
    suggestion = house.engine.replies.reply("acme", first).suggestion_id
    assert house.engine.replies.forget([first]) == 3
    with pytest.raises(NotFoundError):
        house.engine.replies.reply("acme", first)
    with pytest.raises(NotFoundError):
        house.engine.replies.suggestion("acme", suggestion)
    assert house.engine.payload_store.delete_older(datetime(2000, 1, 1, tzinfo=UTC)) == 0
    assert house.engine.payload_store.delete_older(datetime(2100, 1, 1, tzinfo=UTC)) == 1
    with pytest.raises(NotFoundError):
        house.engine.replies.reply("acme", second)


def test_no_secret_and_no_text_reaches_a_file_or_a_log(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    """No file and no log line holds a token, key, message or reply, after successes and failures."""
    before = structlog.get_config()
    configure_logs("debug", json=True)
    try:
        house.with_ai(
            completion("canary reply"), completion("canary reply"), Reply({"error": {"message": "canary"}}, 400)
        )
        page, slack = (
            house.page(),
            house.workspace(Workspace({"general": [{"ts": f"{NOON}.0", "user": "U1", "text": "canary"}]})),
        )
        house.engine.fetching.day("acme", page, DATE)
        house.engine.fetching.day("acme", slack, DATE)
        for _ in range(3):
            try:
                house.engine.replies.reply("acme", house.engine.replies.prepare("acme", MESSAGE))
            except HubbubError as error:
                assert "canary" not in str(error)
        house.engine.integrations.rotate("acme", page, TOKEN + "-2")
        house.graph.errors = [graph_error(190)]
        with pytest.raises(UpstreamRefusedError):
            house.engine.fetching.day("acme", page, DATE)
    finally:
        structlog.configure(**before)
    printed = "".join(capfd.readouterr())
    assert "day fetched" in printed and "integration broken" in printed
    assert f'"integration_id": "{page}"' in printed and f'"date": "{DATE}"' in printed
    assert "canary" not in printed
    house.engine.close()
    files = [p for p in house.folder.rglob("*") if p.is_file()]
    assert {"control.db", "secret.key"} <= {p.name for p in files}
    for path in files:
        assert b"canary" not in path.read_bytes(), path.name
