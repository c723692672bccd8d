"""Slack's client over the outgoing client: calls and errors."""

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
    """Open an outgoing client that may call this machine."""
    opened = Outgoing(["127.0.0.1"])
    yield opened
    opened.close()


def failed(out: Outgoing, reply: Reply) -> HubbubError:
    """Return the error of a Slack call that gets this reply."""
    with service(in_turn(reply)) as there, pytest.raises(HubbubError) as caught:
        ask(SlackClient(out, "xoxb-canary", f"{there.url}/api").conversations_list)
    assert "canary" not in str(caught.value)
    return caught.value


def test_a_call_arrives_as_slack_wants_it(out: Outgoing) -> None:
    """The token is in the header, parameters are in the body, and the method's name is the path."""
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
    """Permanent and unknown errors raise UpstreamRefusedError with Slack's code and an action."""
    error = failed(out, Reply({"ok": False, "error": name}))
    assert isinstance(error, UpstreamRefusedError)
    assert name in str(error) and error.action and error.details["slack"] == name


def test_a_missing_scope_is_named(out: Outgoing) -> None:
    """The action for missing_scope names the needed scope."""
    error = failed(
        out, Reply({"ok": False, "error": "missing_scope", "needed": "channels:history", "provided": "chat:write"})
    )
    assert isinstance(error, UpstreamRefusedError)
    assert "channels:history" in error.action


def test_rate_limits_give_retry_after(out: Outgoing) -> None:
    """429 gives `retry_after`; server errors and a gateway's page raise UpstreamUnavailableError too."""
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
    """At level debug the token is not logged."""
    with caplog.at_level(logging.DEBUG):
        failed(out, Reply(b"<html> canary", 200))
        failed(out, Reply({"ok": False, "error": "invalid_auth", "text": "canary"}))
    assert "xoxb-canary" not in caplog.text


@needs("webhooks")
@pytest.mark.parametrize(
    ("file", "kind"),
    [("ratelimited", UpstreamUnavailableError), ("fatal_error", UpstreamUnavailableError), ("invalid_auth", UpstreamRefusedError)],
)  # fmt: skip
def test_error_bodies_of_slack_raise_the_right_error(out: Outgoing, file: str, kind: type[HubbubError]) -> None:
    """Error bodies of Slack's own test server raise the right error."""
    path: Path = DATA / "webhooks" / "slack" / f"api_error.{file}.json"
    body: dict[str, Any] = json.loads(path.read_text())
    assert isinstance(failed(out, Reply(body)), kind)
