"""Texts of received messages: encrypted, by reference, for as long as their integration allows.

An event carries `text_ref` in its attributes and no part of the text. A message has one reference, so an edit replaces the old
text, and a deletion removes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hubbub.control.integrations import Integration
from hubbub.control.payloads import Payloads, new_reference
from hubbub.model.event import EventFields as Event


@dataclass(frozen=True, slots=True)
class Text:
    """A message's text: "" for a deleted one. The contact is stored with it so that an erasure finds it."""

    reference: str
    text: str
    contact_id: str | None
    revision: int


def kind_of(integration_id: str) -> str:
    """Return the kind of payload of an integration's texts."""
    return f"text:{integration_id}"


def separate(integration: Integration, event: Event, revision: int | None = None) -> tuple[Event, Text | None]:
    """Return an event without its text, and the text to store; None without a text, or when the integration stores none.

    `revision` is the text's own revision, if a change carried the text.
    """
    attributes = event.get("attributes")
    if not isinstance(attributes, Mapping):
        return event, None
    others = {name: value for name, value in attributes.items() if name not in ("text", "text_ref")}
    deleted, text = bool(others.get("deleted")), attributes.get("text")
    stored = None
    if "keep_text_days" in integration.settings and (text or deleted):
        new = new_reference(integration.tenant, str(event["source"]), str(event.get("id")))
        stored = Text(
            new, "" if deleted else str(text), event.get("contact_id"), revision or int(event.get("revision") or 0)
        )
    reference: Any = stored.reference if stored is not None else attributes.get("text_ref")
    if reference and not deleted:
        others["text_ref"] = reference
    return {**event, "attributes": others}, stored


def store(payloads: Payloads, integration: Integration, text: Text) -> None:
    """Store a text in place of one with a lower revision."""
    body = {"text": text.text, "contact_id": text.contact_id}
    payloads.replace(integration.tenant, kind_of(integration.id), body, text.reference, text.revision)
