"""Oracle of questions in plain Python over a list of events, from the metric reference. It shares nothing with the engine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta

from hubbub.model.event import Event

MILLISECOND = timedelta(milliseconds=1)
CHECK_MARKS = frozenset(["ballot_box_with_check", "heavy_check_mark", "white_check_mark", "☑", "✅", "✔"])
_REPLIES = ("message.sent", "response.staff_sent", "response.ai_generated")


def question_waits(
    events: Iterable[Event],
    counts: Callable[[Event], bool],
    within: Callable[[datetime], bool],
    help_channels: Collection[str] = (),
    signs: Collection[str] = CHECK_MARKS,
) -> list[timedelta | bool]:
    """Return, for each question of a window, the time to its answer; True: answered at an unknown time, False: not
    answered.

    `counts` tells the counted report of a message from its repeats.
    """
    known = [event for event in events if counts(event)]
    return [
        _answer(question, known, signs)
        for question in known
        if within(question.time) and _opens(question) and _asks(question, known, help_channels)
    ]


def _opens(event: Event) -> bool:
    return (
        event.type == "message.received" and event.kind in (None, "person") and event.status != "private"
        and event.conversation_id in (None, event.id)
    )  # fmt: skip


def _key(event: Event) -> str | None:
    return event.message_id or event.id


def _asks(event: Event, known: Iterable[Event], help_channels: Collection[str]) -> bool:
    labelled = any(
        other.type == "intent.classified" and other.intent == "question" and other.message_id == _key(event)
        and other.time == event.time
        for other in known
    )  # fmt: skip
    return bool(event.asks) or event.channel_id in help_channels or labelled


def _answer(question: Event, known: Iterable[Event], signs: Collection[str]) -> timedelta | bool:
    times = [
        event.time
        for event in known
        if event is not question and event.time >= question.time and (_replies(event, question) or _reacts(event, question, signs))
    ]  # fmt: skip
    return min(times) - question.time if times else bool(set((question.signs or "").split(",")) & set(signs))


def _replies(event: Event, question: Event) -> bool:
    if event.conversation_id is None or event.conversation_id != question.conversation_id:
        return False
    if event.kind not in (None, "person", "ai") or event.status == "private":
        return False
    if event.type == "message.received":
        return None not in (event.contact_id, question.contact_id) and event.contact_id != question.contact_id
    author = question.contact_id
    return event.type in _REPLIES and event.campaign_id is None and (not author or event.staff_id != author)


def _reacts(event: Event, question: Event, signs: Collection[str]) -> bool:
    if event.type != "message.reacted" or _key(event) != _key(question) or event.signs not in signs:
        return False
    return None in (event.contact_id, question.contact_id) or event.contact_id != question.contact_id
