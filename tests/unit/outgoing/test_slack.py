"""Slack's client over our way out: what arrives, and what each error means."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hubbub.errors import HubbubError, UpstreamRefusedError, UpstreamUnavailableError
from hubbub.outgoing.http import Outgoing
from hubbub.outgoing.slack_client import SlackClient, ask
from tests.acceptance.conftest import DATA, needs
from tests.services import Reply, in_turn, service


@pytest.fixture
def out() -> Iterator[Outgoing]:
    """Open a way out that may call this machine."""
    opened = Outgoing(["127.0.0.1"])
    yield opened
    opened.close()


def failed(out: Outgoing, reply: Reply) -> HubbubError:
    """Return the error that a call to Slack ends with when it answers so."""
    with service(in_turn(reply)) as there, pytest.raises(HubbubError) as caught:
        ask(SlackClient(out, "xoxb-canary", f"{there.url}/api").conversations_list)
    assert "canary" not in str(caught.value)
    return caught.value


def test_a_call_arrives_as_slack_wants_it(out: Outgoing) -> None:
    """The token is in the header, parameters are in the body, the method's name is the path."""
    with service(in_turn(Reply({"ok": True, "messages": []}))) as there:
        client = SlackClient(out, "xoxb-1", f"{there.url}/api")
        assert ask(client.conversations_history, channel="C1", limit=5)["messages"] == []
        ask(client.chat_postEphemeral, channel="C1", user="U1", text="é")
    history, post = there.calls
    assert (history.method, history.path, history.headers["authorization"]) == (
        "POST",
        "/api/conversations.history",
        "Bearer xoxb-1",
    )
    assert (history.told["channel"], post.path, post.told["text"]) == ("C1", "/api/chat.postEphemeral", "é")


@pytest.mark.parametrize(
    "name", ["invalid_auth", "token_revoked", "token_expired", "account_inactive", "no_permission", "odd_one"]
)
def test_dead_tokens_and_missing_rights_need_a_person(out: Outgoing, name: str) -> None:
    """Errors that stay, and those not known, raise UpstreamRefusedError with the name and an action."""
    error = failed(out, Reply({"ok": False, "error": name}))
    assert isinstance(error, UpstreamRefusedError)
    assert name in str(error) and error.action and error.details["slack"] == name


def test_a_missing_scope_is_named(out: Outgoing) -> None:
    """The action for missing_scope names the scope that Slack asks for."""
    error = failed(
        out, Reply({"ok": False, "error": "missing_scope", "needed": "channels:history", "provided": "chat:write"})
    )
    assert isinstance(error, UpstreamRefusedError)
    assert "channels:history" in error.action


def test_limits_say_when_to_come_back(out: Outgoing) -> None:
    """429 with Retry-After carries the seconds; server errors and a gateway's page may be tried again too."""
    error = failed(out, Reply({"ok": False, "error": "ratelimited"}, 429, {"Retry-After": "30"}))
    assert isinstance(error, UpstreamUnavailableError)
    assert error.retry_after == 30
    for reply in (
        Reply({"ok": False, "error": "internal_error"}),
        Reply(b"<html>", 502),
        Reply(b"<html>"),
        Reply(b"[]", 503),
    ):
        assert isinstance(failed(out, reply), UpstreamUnavailableError)


def test_the_library_logs_nothing(out: Outgoing, caplog: pytest.LogCaptureFixture) -> None:
    """At level debug neither the token nor an answer is logged on the way."""
    with caplog.at_level(logging.DEBUG):
        failed(out, Reply(b"<html> canary", 200))
        failed(out, Reply({"ok": False, "error": "invalid_auth", "text": "canary"}))
    assert "xoxb-canary" not in caplog.text


@needs("webhooks")
@pytest.mark.parametrize(
    ("file", "kind"),
    [("ratelimited", UpstreamUnavailableError), ("fatal_error", UpstreamUnavailableError), ("invalid_auth", UpstreamRefusedError)],
)  # fmt: skip
def test_errors_that_slack_sent(out: Outgoing, file: str, kind: type[HubbubError]) -> None:
    """The error bodies of Slack's own test server are told apart."""
    path: Path = DATA / "webhooks" / "slack" / f"api_error.{file}.json"
    body: dict[str, Any] = json.loads(path.read_text())
    assert isinstance(failed(out, Reply(body)), kind)
