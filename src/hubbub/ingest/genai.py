"""Usage of AI replies: attributes named by OpenTelemetry's GenAI conventions become fields of the event.

`response.ai_generated` has fields for its model (`name`), its tokens and its cost (`value`). A sender that already reports spans
sends their attributes as they are; a field that the sender filled stays. Names: OpenTelemetry semantic conventions for generative
AI, with the older names of the token counts.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from hubbub.model.event import NOTHING, Event
from hubbub.model.plain import JsonObject

TYPE = "response.ai_generated"
MODEL = ("gen_ai.response.model", "gen_ai.request.model")
INPUT_TOKENS = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
OUTPUT_TOKENS = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
COST = ("gen_ai.usage.cost",)
"""Attributes in order of preference. The conventions have none for cost; this is the name that libraries use."""
MOST_TOKENS = 10**12
LONGEST_MODEL = 512

_MARK = b'"gen_ai.'
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def fill_usage(event: Event) -> None:
    """Fill the empty usage fields of an AI reply from its attributes; a value of the wrong kind fills nothing."""
    if event.type != TYPE or event.attributes is NOTHING or _MARK not in bytes(event.attributes):
        return
    try:
        attributes = _decode(bytes(event.attributes))
    except (msgspec.DecodeError, ValueError, RecursionError):
        return  # refused by the checks that follow
    if event.name is None:
        event.name = _text(attributes, MODEL)
    if event.input_tokens is None:
        event.input_tokens = _count(attributes, INPUT_TOKENS)
    if event.output_tokens is None:
        event.output_tokens = _count(attributes, OUTPUT_TOKENS)
    if event.value is None:
        event.value = _amount(attributes, COST)


def _first(attributes: JsonObject, names: tuple[str, ...]) -> Any:
    return next((attributes[name] for name in names if attributes.get(name) is not None), None)


def _text(attributes: JsonObject, names: tuple[str, ...]) -> str | None:
    text = _first(attributes, names)
    fits = isinstance(text, str) and 0 < len(text) <= LONGEST_MODEL and text.isprintable()
    return text if fits else None


def _count(attributes: JsonObject, names: tuple[str, ...]) -> int | None:
    """Return a whole number; OTLP's JSON writes 64-bit integers as text."""
    number = _first(attributes, names)
    if isinstance(number, str) and number.isascii() and number.isdigit() and len(number) <= len(str(MOST_TOKENS)):
        number = int(number)
    whole = isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= MOST_TOKENS
    return number if whole else None


def _amount(attributes: JsonObject, names: tuple[str, ...]) -> float | None:
    number = _first(attributes, names)
    fits = isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number) and number >= 0
    return float(number) if fits else None
