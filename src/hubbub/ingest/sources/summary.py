"""What every importer returns: records with their origin, and a summary of the files' content."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hubbub.model.event import Event


@dataclass(slots=True)
class Record:
    """An event read from a file, its place (`Tweets.csv line 12`), and the tenant when the mapping gives one."""

    event: Event
    origin: str
    tenant: str | None = None


def rfc3339(moment: datetime) -> str:
    """Write an aware time as RFC 3339 in UTC, with `Z`."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


@dataclass(slots=True)
class Tally:
    """Counts records. `records` are the source's own: a CSV row is one, however many events it yields.

    `left_out` counts valid records without an event, by reason.
    """

    records: int = 0
    events: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    conversations: Counter[str] = field(default_factory=Counter)
    channels: set[str] = field(default_factory=set)
    left_out: Counter[str] = field(default_factory=Counter)
    first: datetime | None = None
    last: datetime | None = None

    def add(self, event: Event) -> None:
        """Count an event; messages by kind of author, and messages by conversation."""
        self.events += 1
        if event.type in ("message.received", "message.sent"):
            self.kinds["private" if event.status == "private" else event.kind or "person"] += 1
            if event.conversation_id is not None:
                self.conversations[event.conversation_id] += 1
        elif event.conversation_id is not None:
            self.conversations[event.conversation_id] += 0
        if event.channel_id is not None:
            self.channels.add(event.channel_id)
        if event.time.tzinfo is not None:  # a time without an offset is refused later
            self.first = event.time if self.first is None else min(self.first, event.time)
            self.last = event.time if self.last is None else max(self.last, event.time)

    def summary(self, *, threads: int | None = None, replies: int | None = None) -> dict[str, object]:
        """Return the summary. As in the metric `messages`, AI that answers people counts, and private notes do not.

        By default a thread is a conversation of two messages or more, and all but the first are replies.
        """
        system, bots = self.kinds["system"], self.kinds["bot"] + self.kinds["auto"]
        return {
            "records": self.records,
            "events": self.events,
            "left_out": dict(self.left_out),
            "people_messages": self.kinds["person"] + self.kinds["ai"],
            "bot_messages": bots,
            "system_messages": system,
            "conversations": len(self.conversations),
            "threads": sum(1 for n in self.conversations.values() if n > 1) if threads is None else threads,
            "replies": sum(n - 1 for n in self.conversations.values() if n > 1) if replies is None else replies,
            "channels": len(self.channels),
            "first": None if self.first is None else rfc3339(self.first),
            "last": None if self.last is None else rfc3339(self.last),
        }
