"""Events with types of the contract, in any envelope: which are accepted, and which ignored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hubbub.ingest.receivers.base import Received
from hubbub.model.event import TYPES

_SUBJECTS = frozenset({"custom", *(type_.partition(".")[0] for type_ in TYPES)})


def in_contract(events: Iterable[Mapping[str, object]]) -> Received:
    """Return events whose type has a subject of the contract; the checks refuse a mistyped one later, with a hint.

    All other types are counted as ignored.
    """
    accepted: list[Mapping[str, object]] = []
    ignored: dict[str, int] = {}
    for event in events:
        type_ = event.get("type") or event.get("event_type") or event.get("eventType")
        name = type_.removeprefix("hubbub.") if isinstance(type_, str) else ""
        if name.partition(".")[0] in _SUBJECTS:
            accepted.append(event)
        else:
            ignored[name[:60] or "no type"] = ignored.get(name[:60] or "no type", 0) + 1
    return Received(events=accepted, ignored=ignored)
