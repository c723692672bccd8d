"""Writing a reply: the request to the endpoint, and its answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from hubbub.errors import HubbubError, UpstreamRefusedError, UpstreamUnavailableError
from hubbub.outgoing.http import Outgoing
from hubbub.replies.generate import MAX_REPLY, generate
from hubbub.replies.request import read_request
from hubbub.settings import Ai
from tests.services import Reply, in_turn, service
from tests.unit.replies.test_request import PAYLOAD

REQUEST = read_request(PAYLOAD)


@pytest.fixture
def out() -> Iterator[Outgoing]:
    """Open an outgoing client that may call this machine."""
    opened = Outgoing(["127.0.0.1"])
    yield opened
    opened.close()


def ai(url: str, **more: Any) -> Ai:
    """Return settings of an endpoint."""
    return Ai(**{"url": f"{url}/v1/", "key": SecretStr("canary-key"), "model": "small", "timeout": 5.0, **more})


def completion(content: Any = "Sure, at noon.", reason: str = "stop", **message: Any) -> Reply:
    """Return a chat completion."""
    told = {"role": "assistant", "content": content, "refusal": None, **message}
    return Reply(
        {"id": "c", "object": "chat.completion", "choices": [{"index": 0, "message": told, "finish_reason": reason}]}
    )


def failed(out: Outgoing, reply: Reply, **more: Any) -> HubbubError:
    """Return the error of writing a reply when the endpoint gives this answer."""
    with service(in_turn(reply)) as there, pytest.raises(HubbubError) as caught:
        generate(out, ai(there.url, **more), REQUEST)
    assert "canary" not in str(caught.value)
    return caught.value


def test_the_request_has_model_instructions_and_context(out: Outgoing) -> None:
    """Model, instructions, context and trigger go to chat/completions with the key; the text is trimmed and cut."""
    with service(in_turn(completion("  Sure.\n"), completion("é" * 2 * MAX_REPLY))) as there:
        assert generate(out, ai(there.url), REQUEST) == "Sure."
        assert len(generate(out, ai(there.url, key=SecretStr("")), REQUEST)) == MAX_REPLY
    first, second = there.calls
    assert (first.path, first.headers["authorization"]) == ("/v1/chat/completions", "Bearer canary-key")
    assert "authorization" not in second.headers
    assert first.told["model"] == "small"
    assert [m["role"] for m in first.told["messages"]] == ["system", "user", "user"]
    assert [m["content"] for m in first.told["messages"][1:]] == ["U2: canary context", "U1: canary question?"]


def test_half_characters_can_be_sent(out: Outgoing) -> None:
    """A lone surrogate, which UTF-8 cannot hold, breaks neither request nor reply."""
    with service(in_turn(completion("half \ud83d"))) as there:
        text = generate(out, ai(there.url), read_request(PAYLOAD | {"trigger_message_text": "half \ud83d"}))
    assert text == "half ?"


@pytest.mark.parametrize("missing", ["url", "model"])
def test_a_reply_without_an_endpoint_names_the_settings(out: Outgoing, missing: str) -> None:
    """Without URL or model UpstreamRefusedError names the settings."""
    with pytest.raises(UpstreamRefusedError) as caught:
        generate(out, ai("http://127.0.0.1:9").model_copy(update={missing: ""}), REQUEST)
    assert "HUBBUB_AI__URL" in caught.value.action and "HUBBUB_AI__MODEL" in caught.value.action


@pytest.mark.parametrize(
    "reply",
    [
        completion("partly", "content_filter"), completion(None, refusal="canary: I cannot help with that"),
        Reply({"error": {"code": "content_filter", "message": "canary"}}, 400),
        Reply({"error": {"code": "insufficient_quota"}}, 429),
        Reply({"error": {"code": "invalid_api_key", "message": "canary"}}, 401), Reply({"error": {"message": "canary"}}, 404),
        Reply({"error": "canary"}, 400), Reply(status=302, headers={"Location": "http://169.254.169.254/"}),
    ],
)  # fmt: skip
def test_refusals_are_permanent(out: Outgoing, reply: Reply) -> None:
    """Refused content, a wrong key, an empty account, an unknown model and a redirect raise UpstreamRefusedError with
    an action.
    """
    error = failed(out, reply)
    assert isinstance(error, UpstreamRefusedError)
    assert error.action


@pytest.mark.parametrize(
    "reply",
    [
        Reply({"error": {"code": "rate_limit_exceeded"}}, 429, {"Retry-After": "3"}), Reply(b"<html>", 502), Reply(status=503),
        Reply(b"no json"), Reply({}), Reply([]), Reply({"choices": []}), Reply({"choices": [None]}),
        completion(""), completion(None),
        completion("  \n"), completion(["text"]), completion("", "length"), Reply(hang=True),
    ],
)  # fmt: skip
def test_passing_failures_can_be_retried(out: Outgoing, reply: Reply) -> None:
    """Rate limits, server errors, answers without text and timeouts raise UpstreamUnavailableError."""
    error = failed(out, reply, timeout=0.5)
    assert isinstance(error, UpstreamUnavailableError)
    assert error.retry_after == (3 if reply.status == 429 else None)
