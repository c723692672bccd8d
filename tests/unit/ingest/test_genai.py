"""Usage of AI replies: OpenTelemetry attributes fill the event's own fields, and nothing else does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from hubbub.ingest.genai import fill_usage
from hubbub.model.event import Event

NOW = datetime(2026, 8, 1, 12, tzinfo=UTC)


def _filled(attributes: Any, **fields: Any) -> tuple[object, ...]:
    raw = attributes if isinstance(attributes, bytes) else msgspec.json.encode(attributes)
    plain = Event(type="response.ai_generated", time=NOW, attributes=msgspec.Raw(raw))
    event = msgspec.structs.replace(plain, **fields)
    fill_usage(event)
    return event.name, event.input_tokens, event.output_tokens, event.value


@pytest.mark.parametrize(
    ("attributes", "filled"),
    [
        (
            {
                "gen_ai.response.model": "m-2", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 7,
                "gen_ai.usage.output_tokens": 0, "gen_ai.usage.cost": 0.25,
            },
            ("m-2", 7, 0, 0.25),
        ),
        ({"gen_ai.request.model": "m", "gen_ai.usage.prompt_tokens": 5, "gen_ai.usage.completion_tokens": 6}, ("m", 5, 6, None)),
        ({"gen_ai.usage.input_tokens": "12", "gen_ai.usage.output_tokens": "013"}, (None, 12, 13, None)),
        ({"gen_ai.usage.input_tokens": -1, "gen_ai.usage.output_tokens": 1.5, "gen_ai.usage.cost": -2}, (None,) * 4),
        ({"gen_ai.usage.input_tokens": True, "gen_ai.usage.output_tokens": "x", "gen_ai.usage.cost": True}, (None,) * 4),
        ({"gen_ai.usage.input_tokens": 10**13, "gen_ai.request.model": "a\nb"}, (None,) * 4),
        ({"gen_ai.usage.input_tokens": {"a": 1}, "gen_ai.request.model": ["m"]}, (None,) * 4),
        ({"usage.input_tokens": 5}, (None,) * 4),
        (b'{"gen_ai.usage.input_tokens": ', (None,) * 4),
    ],
)  # fmt: skip
def test_attributes_with_the_conventions_names_fill_the_fields(attributes: Any, filled: tuple[object, ...]) -> None:
    """Older attribute names and numbers as text work too; unusable values fill nothing."""
    assert _filled(attributes) == filled


def test_a_field_of_the_sender_stays() -> None:
    """A field that the sender set stays, also if it is 0."""
    attributes = {"gen_ai.usage.input_tokens": 7, "gen_ai.response.model": "m", "gen_ai.usage.cost": 1.0}
    assert _filled(attributes, input_tokens=0, name="mine", value=0.0) == ("mine", 0, None, 0.0)


def test_other_event_types_are_not_filled() -> None:
    """Other event types, like ratings, are not filled."""
    attributes = {"gen_ai.usage.cost": 1.0, "gen_ai.usage.input_tokens": 7}
    assert _filled(attributes, type="satisfaction.rating_received") == (None,) * 4
