"""One conversation: people, place, state, episodes, and all its events in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from hubbub.dashboard.ask import Ask, Form
from hubbub.dashboard.components import Column, Done, Page, Shown, Table, Widget
from hubbub.dashboard.conversation_rows import mentions
from hubbub.dashboard.conversations import STATE_TITLES, local, raw_event
from hubbub.dashboard.forms import Act, Fact, Field, facts
from hubbub.dashboard.label_review import labelled_by as labelled_by_person
from hubbub.dashboard.labelled import GIVEN_BY, cells, labelled_by
from hubbub.dashboard.person import Role
from hubbub.errors import BadRequestError
from hubbub.model.label import SOURCE, GivenLabel, LabelSet
from hubbub.model.plain import JsonObject
from hubbub.model.readable import readable
from hubbub.query.conversations import conversation_of
from hubbub.query.timeline import ConversationEvent, episodes, timeline
from hubbub.reports.formatting import in_words, instant, plain, shown

GONE = "No event of a conversation with this id is stored."
LONGEST_TEXT, MOST_DETAILS, LONGEST_CHOICE = 4_000, 8, 60
"""Most characters of a message, and facts of an event, in a timeline; characters of a message in a form."""

TITLES = {
    "response.staff_sent": "Answer by staff", "response.ai_generated": "Answer by AI", "topic.classified": "Topic found",
    "intent.classified": "Intent found", "intent.confidence_low": "Intent uncertain", "intent.action_taken": "Action taken",
    "satisfaction.survey_sent": "Survey sent", "satisfaction.rating_received": "Rating",
    "satisfaction.feedback_received": "Feedback", "escalation.raised": "Escalation alert",
}  # fmt: skip
"""Titles of event types whose names do not read well."""

_QUIET = frozenset(
    {"message.delivered", "message.read", "topic.classified", "intent.classified", "intent.confidence_low",
     "response.staff_sent", "response.ai_generated", "response.time_recorded", "satisfaction.survey_sent"}
)  # fmt: skip
"""Event types that are no turn of the conversation."""
_LOUD = frozenset({"conversation.escalated", "escalation.raised", "message.failed"})
_DETAILS = ("topic", "sentiment", "intent", "severity", "status", "name", "confidence", "duration_ms")
_OF_LABELS = frozenset({"name", "confidence"})
"""Facts of a label's event that its marks say."""
_PROGRAMS = {"ai": "AI", "auto": "automatic reply", "bot": "a bot", "system": "the system"}


def _id(ask: Ask) -> str:
    id_ = ask.param("id")
    if not id_:
        raise BadRequestError(ask.in_words("this address names no conversation: choose one on the page Conversations"))
    return id_


def _about(ask: Ask) -> Shown:
    conversation = conversation_of(ask.engine.queries, ask.tenant, _id(ask))
    if conversation is None:
        return Shown(empty=ask.in_words(GONE))
    state = STATE_TITLES.get(conversation.state or "none", "Unknown")
    if conversation.since is not None:
        waits = shown((ask.now.replace(tzinfo=None) - conversation.since).total_seconds() * 1000, "ms")
        state += f", since {instant(local(ask, conversation.since))} ({waits})"
    known = [Fact("Id", _id(ask)), Fact("State", state)]
    if conversation.contact_id is not None:
        everywhere = ask.link("conversations", ask.view.on(rest={}, range="all"), find=conversation.contact_id)
        known.append(Fact("Contact", _called(ask, "contact_id", conversation.contact_id), link=everywhere))
    for name, title in ask.filters.items():
        if (id_ := getattr(conversation, name, None)) is not None:
            view = ask.view.on(rest={}).with_filter(name, id_)
            known.append(Fact(title, _called(ask, name, id_), link=ask.link("conversations", view)))
    raw = f"{ask.base}/files/conversation/events?{urlencode({'id': _id(ask)})}"
    known += [
        Fact("First event", local(ask, conversation.first_at), "instant"),
        Fact("Last event", local(ask, conversation.last_at), "instant"),
        Fact("Messages", conversation.messages, "count"),
        *(Fact(label.set.value.capitalize(), _given(label)) for label in conversation.labels),
        Fact("Raw events", f"{conversation.events:,}, as lines of JSON", link=raw),
    ]
    return facts(ask, known, forms=_label_forms(ask))


def _label_forms(ask: Ask) -> list[Act]:
    """Return the form that labels a message of the conversation; none without labels or messages."""
    document = ask.engine.labels.of(ask.tenant.id).labels
    labels = {
        f"{name}:{label}": f"{name.value.capitalize()}: {label}"
        for name in LabelSet
        for label in document.get(name, {})
    }
    messages = _messages(ask)
    if not labels or not messages:
        return []
    fields = (
        Field("message", "Message", "select", "", messages, required=True),
        Field("label", "Label", "select", "", labels, required=True),
    )
    return [Act("label", "Label", fields=fields, title="Give a label")]


def _messages(ask: Ask) -> dict[str, str]:
    """Return the first incoming messages of people, by their keys: time, and the beginning of the text where it is stored."""
    chosen: dict[str, str] = {}
    for row in timeline(ask.engine.queries, ask.tenant, _id(ask)).rows:
        event = row.event
        if event["type"] == "message.received" and event.get("kind", "person") == "person":
            words = " ".join((_text(event) or "").split())[:LONGEST_CHOICE]
            at = instant(local(ask, datetime.fromisoformat(event["time"])))
            chosen.setdefault(event.get("message_id") or event["id"], " · ".join(filter(None, (at, words))))
    return chosen


def _label(ask: Ask, form: Form) -> Done:
    label_set, _, label = form.get("label", "").partition(":")
    ask.engine.labels.review.say(ask.tenant.id, label_set, form.get("message", ""), label, labelled_by_person(ask))
    return Done(f"Labelled: {label}. Undo is on the page Label review.")


def _given(label: GivenLabel) -> str:
    """Return a label with who gave it, and how surely."""
    confidence = "" if label.confidence is None else f", {label.confidence:.0%} sure"
    return f"{in_words(label.set.value, plain(label.label))} (by {labelled_by(label)}{confidence})"


def _called(ask: Ask, dimension: str, id_: str) -> str:
    """Return an id with its name before it, if any."""
    name = ask.label(dimension, id_)
    return id_ if name == id_ else f"{name} ({id_})"


_EPISODE = (
    Column("began", "Began", "instant"), Column("first_response_ms", "First answer after", "ms"),
    Column("responder", "Answered by", of="staff_id"), Column("first_person_response_ms", "First person after", "ms"),
    Column("resolved", "Resolved", "instant"), Column("resolution_ms", "Resolved after", "ms"), Column("escalated", "Escalated"),
    Column("ai", "AI"),
)  # fmt: skip


def _episodes(ask: Ask) -> Shown:
    listed = episodes(ask.engine.queries, ask.tenant, _id(ask))
    if not listed:
        return Shown(empty="It has no episode, since nobody wrote in it or opened it.")
    rows = [
        {
            "began": local(ask, episode.anchor),
            "first_response_ms": episode.first_response_ms,
            "responder": episode.first_staff_id or episode.responder if episode.first_response_ms is not None else None,
            "first_person_response_ms": episode.first_person_response_ms,
            "resolved": local(ask, episode.resolved_at) if episode.resolved_at is not None else None,
            "resolution_ms": episode.resolution_ms if episode.resolved_at is not None else None,
            "escalated": "yes" if episode.escalated else "no",
            "ai": "alone" if episode.ai_resolved else "took part" if episode.ai_involved else "no",
        }
        for episode in listed
    ]
    return Shown(
        "table", {}, Table(_EPISODE, rows), f"{len(rows)} episode{'s' * (len(rows) != 1)}, as the metrics count them"
    )


def _timeline(ask: Ask) -> Shown:
    page = timeline(ask.engine.queries, ask.tenant, _id(ask), cursor=ask.param("cursor") or None)
    if not page.rows:
        return Shown(empty=ask.in_words(GONE))
    people = ask.called(
        {kind: {id_ for row in page.rows if (id_ := row.event.get(f"{kind}_id"))} for kind in ("contact", "staff")}
    )
    named = mentions(ask, (_text(row.event) for row in page.rows))
    entries = [_entry(ask, row, people, named) for row in page.rows]
    following = ask.link(cursor=page.next) if page.next else ""
    columns = [
        Column("at", "Time", "instant"), Column("type", "Type"), Column("who", "Who"), Column("waited_ms", "After a wait of", "ms"),
        Column("facts", "Facts"), Column("text", "Text"), *GIVEN_BY,
    ]  # fmt: skip
    rows = [
        {
            "at": entry.at, "type": entry.type, "who": entry.who, "waited_ms": entry.waited_ms, "text": entry.text,
            "facts": "; ".join(f"{name}: {value}" for name, value in entry.details), **cells(entry.labels),
        }
        for entry in entries
    ]  # fmt: skip
    summary = (
        f"{len(entries)} event{'s' * (len(entries) != 1)}, from {instant(entries[0].at)} to {instant(entries[-1].at)}"
    )
    return Shown("timeline", {"days": _by_day(entries), "next": following}, Table(columns, rows), summary)


@dataclass(frozen=True, slots=True)
class Entry:
    """An event in the timeline; texts are untrusted."""

    at: str
    """RFC 3339, in the tenant's zone."""
    type: str
    title: str
    who: str
    way: str
    """Class of its look."""
    private: bool
    text: str | None
    details: Sequence[tuple[str, str]]
    """Name and value."""
    waited_ms: int | None
    labels: Sequence[GivenLabel]
    marks: Sequence[tuple[str, str, str]]
    """Of each label: its set, who gave it, and the tooltip."""
    raw: str
    """Address of the event as it was sent."""


def _text(event: JsonObject) -> str | None:
    """Return an event's stored text as people read it."""
    text = event.get("attributes", {}).get("text")
    return readable(text)[:LONGEST_TEXT] if isinstance(text, str) else None


def _entry(
    ask: Ask, row: ConversationEvent, people: Mapping[tuple[str, str], str], named: Callable[[str], str]
) -> Entry:
    event, labels = row.event, row.labels
    attributes = dict(event.get("attributes", {}))
    attributes.pop("text", None)
    text, name = _text(event), event["type"]
    if event["source"] == SOURCE:  # who gave the labels stands beside them; the rest is for the next run
        text, attributes = None, {}
    details = _details(event, attributes, _OF_LABELS if labels else frozenset())
    words = name.removeprefix("custom.").replace(".", " ").replace("_", " ").capitalize()
    return Entry(
        local(ask, datetime.fromisoformat(event["time"])), name, TITLES.get(name, words), _who(event, people),
        "in" if name == "message.received" else "quiet" if name in _QUIET else "loud" if name in _LOUD else "",
        event.get("status") == "private", named(text) if text is not None else None,
        [(name.replace("_", " "), value[:200]) for name, value in details[:MOST_DETAILS]], row.waited_ms, labels,
        [(label.set.value, labelled_by(label), _sure(label)) for label in labels],
        raw_event(ask, event["source"], event["id"]),
    )  # fmt: skip


def _details(event: JsonObject, attributes: JsonObject, hidden: frozenset[str]) -> list[tuple[str, str]]:
    names = [name for name in _DETAILS if name in event and name not in hidden]
    details = [(name.removesuffix("_ms"), _fact(name, event[name])) for name in names]
    if "value" in event:
        scale = f" of {event['scale']}" if event.get("scale") else ""
        details.append(("value", f"{event['value']:g}{scale}"))
    return details + [(name, value if isinstance(value, str) else repr(value)) for name, value in attributes.items()]


def _sure(label: GivenLabel) -> str:
    """Return the tooltip of a label's mark."""
    confidence = "unknown" if label.confidence is None else f"{label.confidence:.0%}"
    version = "" if label.version is None else f", labels of version {label.version}"
    return f"{label.set.value.capitalize()} {plain(label.label)}: by {labelled_by(label)}, confidence {confidence}{version}"


def _fact(name: str, value: Any) -> str:
    return shown(value, "ms" if name == "duration_ms" else "")


def _who(event: JsonObject, people: Mapping[tuple[str, str], str]) -> str:
    """Return who is behind an event, by name if known: the contact of an incoming one, else the known actor."""
    ids = {kind: event.get(f"{kind}_id", "") for kind in ("contact", "staff")}
    contact, staff = (people.get((kind, id_), id_) for kind, id_ in ids.items())
    program = _PROGRAMS.get(event.get("kind", ""), "")
    return contact or staff or program if event["type"] == "message.received" else program or staff


def _by_day(entries: Sequence[Entry]) -> list[tuple[str, list[Entry]]]:
    return [(day, list(several)) for day, several in groupby(entries, lambda entry: entry.at[:10])]


PAGE = Page(
    "conversation", "Conversation",
    (
        Widget("about", "This conversation", _about, size="list", wide=True),
        Widget("episodes", "Episodes", _episodes, size="small", wide=True, about="From the first message to the last resolve."),
        Widget("timeline", "Events", _timeline, size="tall", wide=True),
    ),
    role=Role.ANALYST, acts=Role.ANALYST, header=False, under="conversations", actions={"label": _label},
)  # fmt: skip
