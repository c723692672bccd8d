"""Chat completions of OpenAI's API and compatible ones: one request, and a checked answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hubbub.errors import UpstreamRefusedError, UpstreamUnavailableError
from hubbub.outgoing.http import Answer, Outgoing

LARGEST_ANSWER = 4 << 20
FILTERED = "The model does not answer this message: write the reply by hand"
QUOTA = "Add credit to the account of the endpoint, or use another one"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint of a model: base address, key (may be empty), model name, timeout in seconds."""

    url: str
    key: str
    model: str
    timeout: float


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's text, and the numbers of input and output tokens; 0 if unknown."""

    text: str
    tokens_in: int = 0
    tokens_out: int = 0


def complete(http: Outgoing, endpoint: Endpoint, messages: Sequence[dict[str, str]]) -> Completion:
    """Complete a conversation. Raises UpstreamUnavailableError or UpstreamRefusedError; they contain no texts of it."""
    answer = http.send(
        "POST", f"{endpoint.url.rstrip('/')}/chat/completions", body={"model": endpoint.model, "messages": list(messages)},
        headers={"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}, timeout=endpoint.timeout,
        limit=LARGEST_ANSWER,
    )  # fmt: skip
    body = _good(answer)
    usage = body.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Completion(
        _text(body, answer.host), _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    )


def _good(answer: Answer) -> dict[str, Any]:
    if answer.status >= 400:
        code = _error_code(answer)
        if code in ("content_filter", "content_policy_violation"):
            raise UpstreamRefusedError(f"{answer.host} refused the content", action=FILTERED)
        if code in ("insufficient_quota", "billing_hard_limit_reached"):
            raise UpstreamRefusedError(f"{answer.host}: {code}", action=QUOTA)
    body = answer.checked().json()
    return body if isinstance(body, dict) else {}


def _error_code(answer: Answer) -> str:
    try:
        error = json.loads(answer.body)["error"]
        return str(error.get("code") or error.get("type"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""


def _text(body: dict[str, Any], host: str) -> str:
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    if choice.get("finish_reason") == "content_filter" or message.get("refusal"):
        raise UpstreamRefusedError(f"{host} refused the content", action=FILTERED)
    text = message.get("content")
    if not isinstance(text, str) or not text.strip():
        raise UpstreamUnavailableError(f"{host} answered without a text")
    return text.strip()


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
