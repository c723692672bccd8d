"""Texts of messages that were sent to us: encrypted, by reference, for as long as their integration says.

An event carries `text_ref` in its attributes and no word of the text. A message has one reference, so an edit puts its new text
in place of the old one, and a deletion takes it away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hubbub.control.integrations import Integration
from hubbub.control.payloads import Payloads, new_reference

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Text:
    """A message's text: "" for one that was deleted. The contact is beside it so that an erasure finds it."""

    reference: str
    text: str
    contact_id: str | None
    revision: int


def kind_of(integration_id: str) -> str:
    """Return the kind of payload that texts of an integration are."""
    return f"text:{integration_id}"


def parted(integration: Integration, event: Event, revision: int | None = None) -> tuple[Event, Text | None]:
    """Return an event without its text, and the text to store; None where none came, or the integration keeps none.

    `revision` is the text's own, where a change brought it.
    """
    attributes = event.get("attributes")
    if not isinstance(attributes, Mapping):
        return event, None
    kept = {name: value for name, value in attributes.items() if name not in ("text", "text_ref")}
    deleted, given = bool(kept.get("deleted")), attributes.get("text")
    found = None
    if "keep_text_days" in integration.settings and (given or deleted):
        named = new_reference(integration.tenant, str(event["source"]), str(event.get("id")))
        found = Text(
            named, "" if deleted else str(given), event.get("contact_id"), revision or int(event.get("revision") or 0)
        )
    reference: Any = found.reference if found is not None else attributes.get("text_ref")
    if reference and not deleted:
        kept["text_ref"] = reference
    return {**event, "attributes": kept}, found


def store(payloads: Payloads, integration: Integration, text: Text) -> None:
    """Store a text in place of one of a lower revision."""
    body = {"text": text.text, "contact_id": text.contact_id}
    payloads.replace(integration.tenant, kind_of(integration.id), body, text.reference, text.revision)
