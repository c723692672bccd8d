"""Conversations: waits and their ends, episodes, replies to messages, and states over time. Folded by conversation.

A state machine reads the events of a conversation once, in order. Its parts: open waits (`_Waits`), answered messages
(`_Answers`), episodes (`_Episodes`), and the conversation's states (`_States`). Its state between two events is small and can be
stored, so that a fold may begin at a cut of retention.
Definitions: `docs/facts.md`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hubbub.facts.message import HORIZON
from hubbub.facts.moments import DAY
from hubbub.facts.state import States
from hubbub.facts.turn import Episode, Folded, Response, Turn

RANK = {
    "conversation.started": 0, "conversation.reopened": 1, "message.received": 2, "conversation.assigned": 3,
    "conversation.escalated": 4, "escalation.raised": 4, "response.ai_generated": 5, "response.staff_sent": 5,
    "message.sent": 6, "response.time_recorded": 7, "intent.classified": 7, "satisfaction.rating_received": 7,
    "conversation.resolved": 8, "conversation.closed": 9,
}  # fmt: skip
"""The order of events of the same moment: that of a conversation's life; assignments by arrival. Then the ident decides."""

TYPES = tuple(RANK)
REPLIES = ("message.sent", "response.ai_generated", "response.staff_sent")
REOPENS_WITHIN = DAY
ESCALATES_WITHIN = 7 * DAY


Carried = dict[str, Any]
"""The state of a fold at a moment, by part: plain values."""


def fold(conversation: str, turns: Iterable[Turn], carried: Carried | None = None, since: int = 0) -> Folded:
    """Fold a conversation's events, in any order; see `docs/facts.md` for what each row means.

    `carried`: the state after all events before `since` (microseconds); rows that lie wholly before `since` are then left out.
    """
    return _run(conversation, turns, carried).folded(since)


def carry(conversation: str, turns: Iterable[Turn], carried: Carried | None = None) -> Carried:
    """Return the state that a fold of later events needs, as plain values for JSON."""
    return _run(conversation, turns, carried).carried()


def latest(row: Episode) -> int:
    """Return the latest time in an episode's row."""
    moments = (
        row.first_inbound, row.first_reply_at, row.person_from, row.first_person_at, row.last_resolve, row.resolved_at,
        row.returned_at, row.handed_off_at, row.ai_resolved_at, row.ai_returned_at, row.silent_since,
    )  # fmt: skip
    return max(row.anchor, *(moment or 0 for moment in moments))


def _run(conversation: str, turns: Iterable[Turn], carried: Carried | None) -> _Machine:
    machine = _Machine(conversation, carried or {})
    for turn in sorted(turns, key=_order):
        machine.see(turn)
    return machine


def _order(turn: Turn) -> tuple[int, int, int, int]:
    """Return a turn's sort key: messages of one moment are ordered by ident, so that waits do not depend on their arrival."""
    arrival = turn.seq if turn.type == "conversation.assigned" else 0
    return turn.time, RANK[turn.type], arrival, turn.ident


class _Machine:
    """Reads the events of one conversation in order."""

    def __init__(self, conversation: str, carried: Carried) -> None:
        self.conversation = conversation
        self.out = Folded()
        self.waits, self.answers = _Waits(conversation), _Answers(self.out.answered)
        self.episodes, self.states = _Episodes(conversation), _States()
        self.intents: list[Turn] = []
        self.escalations: list[int] = []
        self.last_staff: str | None = carried.get("last_staff")
        self.priority: str | None = carried.get("priority")
        _load(self.waits, carried.get("waits", {}))
        self.episodes.load(carried.get("episodes", {}))
        self.states.load(carried.get("states", {}))

    def carried(self) -> Carried:
        parts = {
            "last_staff": self.last_staff, "priority": self.priority, "waits": _dump(self.waits, _Waits.CARRIED),
            "episodes": self.episodes.dump(), "states": self.states.dump(),
        }  # fmt: skip
        return {name: part for name, part in parts.items() if part}

    def see(self, turn: Turn) -> None:
        type_ = turn.type
        if type_ == "response.time_recorded":
            self.waits.reported = self.waits.reported or turn.duration_ms is not None
            return
        if type_ == "intent.classified":
            self.intents.append(turn)
            return
        if type_ == "satisfaction.rating_received":
            if self.last_staff is not None:
                self.out.credited[turn.time, turn.ident] = self.last_staff
            return
        if type_ in ("conversation.escalated", "escalation.raised"):
            self.escalations.append(turn.time)
        public = turn.status != "private"
        kind = turn.kind or "person"
        if public and kind in ("person", "ai", "auto"):
            self.answers.see(turn)
        # The message with the conversation's id opens it whoever wrote it: a bug report posted by a feed waits too.
        if kind not in ("person", "ai") and not (type_ == "message.received" and turn.id == self.conversation):
            return
        turn = self._with_priority(turn)
        replies = type_ in REPLIES and public and turn.campaign_id is None
        if replies and turn.staff_id is not None:
            self.last_staff = turn.staff_id
        if public:
            self.waits.see(turn, replies)
            if type_ != "conversation.closed":
                self.episodes.see(turn, replies)
        if type_ != "escalation.raised":
            self.states.see(turn, replies)

    def _with_priority(self, turn: Turn) -> Turn:
        """Return a turn with the conversation's priority as its severity: the latest that the conversation was given."""
        if turn.severity is not None and turn.type != "escalation.raised":
            self.priority = turn.severity
        return turn if turn.severity == self.priority else turn._replace(severity=self.priority)

    def folded(self, since: int) -> Folded:
        out = self.out
        out.responses = [] if self.waits.reported else self.waits.responses
        out.episodes = [row for row in self.episodes.rows() if latest(row) >= since]
        out.states = self.states.tracks.stretches(self.states.channel, self.states.account_id, self.states.priority)
        out.escalated = {
            (intent.time, intent.ident)
            for intent in self.intents
            if any(intent.time <= at < intent.time + ESCALATES_WITHIN for at in self.escalations)
        }
        return out


def _dump(part: object, names: Iterable[str]) -> Carried:
    """Return the attributes of a part, without empty ones."""
    return {name: value for name in names if (value := getattr(part, name))}


def _load(part: object, values: Carried) -> None:
    for name, value in values.items():
        setattr(part, name, value)


class _Waits:
    """Waits: from the first unanswered inbound message to the next public reply; further inbound messages change nothing."""

    CARRIED = ("account_id", "asked_at", "channel", "channel_id", "reported")
    __slots__ = (*CARRIED, "conversation", "responses")

    def __init__(self, conversation: str) -> None:
        self.conversation = conversation
        self.responses: list[Response] = []
        self.reported = False
        self.asked_at: int | None = None
        self.channel: str | None = None
        self.channel_id: str | None = None
        self.account_id: str | None = None

    def see(self, turn: Turn, replies: bool) -> None:
        inbound = turn.type == "message.received"
        if inbound:
            if self.asked_at is None:
                self.asked_at = turn.time
                self.channel, self.channel_id, self.account_id = turn.channel, turn.channel_id, turn.account_id
        elif replies and self.asked_at is not None:
            ai = turn.type == "response.ai_generated" or turn.kind == "ai"
            self.responses.append(
                Response(
                    turn.time, turn.ident, turn.id, self.conversation, turn.channel or self.channel,
                    self.channel_id or turn.channel_id, self.account_id or turn.account_id, turn.staff_id,
                    "ai" if ai else "person", self.asked_at, turn.severity,
                )
            )  # fmt: skip
            self.asked_at = None


class _Answers:
    """The sent message that an inbound one answers: the latest before it in the conversation, within 72 hours, to that contact."""

    __slots__ = ("answered", "contact", "open", "sent_at")

    def __init__(self, answered: dict[tuple[int, int], int]) -> None:
        self.answered = answered
        self.open: tuple[int, int] | None = None
        self.sent_at = 0
        self.contact: str | None = None

    def see(self, turn: Turn) -> None:
        if turn.type == "message.sent":
            self.open, self.sent_at, self.contact = (turn.time, turn.ident), turn.time, turn.contact_id
        elif turn.type == "message.received" and self.open is not None:
            same = self.contact is None or turn.contact_id is None or self.contact == turn.contact_id
            if same and turn.time < self.sent_at + HORIZON:
                self.answered[self.open] = turn.time
                self.open = None


class _Current:
    """The running episode."""

    __slots__ = (
        "account_id", "ai_involved", "ai_resolved_at", "ai_returned_at", "anchor", "channel", "channel_id", "escalated",
        "first_ai", "first_inbound", "first_person_at", "first_priority", "first_reply_at", "first_staff_id", "handed_at",
        "handed_off_at", "handed_off_by", "human_replied", "id", "last_resolve", "longest_silence", "person_from", "priority",
        "reason", "reopened", "reopened_after", "returned_at", "silent_since", "staff_id",
    )  # fmt: skip

    def __init__(self, anchor: int, id_: str) -> None:
        self.anchor = anchor
        self.id = id_
        self.channel: str | None = None
        self.channel_id: str | None = None
        self.account_id: str | None = None
        self.staff_id: str | None = None
        self.first_staff_id: str | None = None
        self.first_ai = False
        self.first_inbound: int | None = None
        self.first_reply_at: int | None = None
        self.person_from: int | None = None
        self.first_person_at: int | None = None
        self.handed_at: int | None = None
        self.last_resolve: int | None = None
        self.returned_at: int | None = None
        self.first_priority: str | None = None
        self.priority: str | None = None
        self.handed_off_at: int | None = None
        self.handed_off_by: str | None = None
        self.reason: str | None = None
        self.ai_resolved_at: int | None = None
        self.ai_returned_at: int | None = None
        self.longest_silence: int | None = None
        """Of the contact after an AI reply, before people came in, and ended; in microseconds."""
        self.silent_since: int | None = None
        """Start of such a silence that goes on."""
        self.reopened = self.reopened_after = self.escalated = self.ai_involved = self.human_replied = False

    def see(self, turn: Turn, replies: bool) -> None:
        time, type_ = turn.time, turn.type
        self.channel = self.channel or turn.channel
        self.channel_id = self.channel_id or turn.channel_id
        self.account_id = self.account_id or turn.account_id
        self.staff_id = turn.staff_id or self.staff_id
        self.priority = turn.severity
        if self.first_reply_at is None:
            self.first_priority = turn.severity
        if type_ == "message.received":
            if self.first_inbound is None:
                self.first_inbound = time
                self._person_from(time)
            self._end_silence(time)
        elif replies:
            self._replied(turn)
        elif type_ == "conversation.resolved":
            self.last_resolve, self.reopened_after = time, False
            if self.ai_involved and self.handed_off_at is None:
                self.ai_resolved_at = self.ai_resolved_at or time
        elif type_ == "conversation.reopened":
            if self.last_resolve is not None:
                self.reopened = self.reopened_after = True
                self.come_back(time)
                if self.ai_involved and not self.human_replied and self.handed_at is None:
                    self._person_from(time)  # people take over what AI had resolved
        elif type_ in ("conversation.escalated", "escalation.raised"):
            in_time = time <= self.anchor + ESCALATES_WITHIN
            self.escalated = self.escalated or in_time
            if type_ == "conversation.escalated":
                self._handed(time)
            if type_ == "conversation.escalated" or in_time:
                self._hand_off(turn)
        elif type_ == "conversation.assigned" and turn.staff_id is not None:
            self._handed(time)
            self._hand_off(turn)

    def come_back(self, time: int) -> None:
        """Note that the contact came back after a resolve."""
        self.returned_at = self.returned_at or time
        if self.ai_resolved_at is not None:
            self.ai_returned_at = self.ai_returned_at or time
        self._end_silence(time)

    def _hand_off(self, turn: Turn) -> None:
        """Note who gave the conversation to people first, and the first reason given."""
        if self.handed_off_at is None:
            self.handed_off_at, self.handed_off_by = turn.time, _author(turn)
            self._end_silence(turn.time)
        self.reason = self.reason or turn.reason

    def _end_silence(self, time: int) -> None:
        """End the contact's silence after an AI reply; the longest one is kept."""
        if self.silent_since is not None:
            self.longest_silence = max(self.longest_silence or 0, time - self.silent_since)
            self.silent_since = None

    def _replied(self, turn: Turn) -> None:
        time = turn.time
        ai = turn.type == "response.ai_generated" or (turn.type == "message.sent" and turn.kind == "ai")
        if ai:
            self.ai_involved = True
            if self.handed_off_at is None:
                self.silent_since = self.silent_since or time
        else:
            self.human_replied = True
            self._hand_off(turn)
        if self.first_inbound is not None and self.first_reply_at is None:
            self.first_reply_at, self.first_staff_id, self.first_ai = time, turn.staff_id, ai
        if not ai and self.person_from is not None and self.first_person_at is None:
            self.first_person_at = time

    def _handed(self, time: int) -> None:
        if self.handed_at is None:
            self.handed_at = time
            self._person_from(time)

    def _person_from(self, time: int) -> None:
        """Start the wait for a person: earlier replies do not count."""
        if self.person_from is None or time > self.person_from:
            self.person_from = time
            if self.first_person_at is not None and self.first_person_at < time:
                self.first_person_at = None

    def row(self, conversation: str) -> Episode:
        outcome = self if self.ai_involved else _WITHOUT_AI
        taken_over = self.human_replied or self.handed_at is not None or self.escalated
        resolved = self.last_resolve is not None
        return Episode(
            self.anchor, conversation, self.id, self.channel, self.channel_id, self.account_id, self.staff_id,
            self.first_staff_id, "ai" if self.first_ai else "person", self.first_inbound, self.first_reply_at, self.person_from,
            self.first_person_at, self.last_resolve, None if self.reopened_after else self.last_resolve, self.returned_at,
            int(self.escalated), int(self.ai_involved), int(self.ai_involved and taken_over),
            int(self.ai_involved and resolved and not taken_over and not self.reopened), self.first_priority, self.priority,
            outcome.handed_off_at,
            outcome.handed_off_by, outcome.reason, outcome.ai_resolved_at, outcome.ai_returned_at, outcome.longest_silence,
            outcome.silent_since,
        )  # fmt: skip


_WITHOUT_AI = _Current(0, "")


def _author(turn: Turn) -> str | None:
    """Return who handed a conversation off: ai, agent, contact; None where its event does not say."""
    if turn.kind == "ai":
        return "ai"
    if turn.staff_id is not None or turn.type in REPLIES:
        return "agent"
    return "contact" if turn.kind == "person" else None


class _Episodes:
    """Episodes: the first opening more than 24 hours after a resolve begins a new one; a reopening within 24 hours continues it."""

    __slots__ = ("_asked_at", "_conversation", "_current", "_ended", "_open", "_resolved")

    def __init__(self, conversation: str) -> None:
        self._conversation = conversation
        self._ended: list[_Current] = []
        self._current: _Current | None = None
        self._open = False
        self._resolved: int | None = None
        self._asked_at: int | None = None
        """Start of the wait of somebody who wrote after the resolve."""

    def see(self, turn: Turn, replies: bool) -> None:
        time, type_ = turn.time, turn.type
        if not self._open and type_ in ("message.received", "conversation.started", "conversation.reopened"):
            within = self._resolved is not None and time <= self._resolved + REOPENS_WITHIN
            if within and type_ == "conversation.reopened":
                self._open = True
            elif not within:
                self._begin(turn)
        if self._current is None:
            return  # events before the first opening belong to no episode: a resolve there ends none
        self._current.see(turn, replies)
        if type_ == "conversation.resolved":
            self._resolved, self._open, self._asked_at = time, False, None
        elif replies:
            self._asked_at = None
        elif type_ == "message.received" and self._asked_at is None:
            self._asked_at = time

    def _begin(self, turn: Turn) -> None:
        """Begin an episode; if somebody has waited since the resolve, at the first message of that wait."""
        waited = self._asked_at is not None and self._resolved is not None
        start = self._asked_at if waited and self._asked_at is not None else turn.time
        if self._current is not None:
            self._current.come_back(start)
            self._ended.append(self._current)
        self._current = _Current(start, turn.id)
        if waited:
            self._current.first_inbound = self._current.person_from = start
        self._open = True

    def dump(self) -> Carried:
        if self._current is None:
            return {}
        return {"current": _dump(self._current, _Current.__slots__), **_dump(self, ("_asked_at", "_open", "_resolved"))}

    def load(self, values: Carried) -> None:
        if "current" in values:
            self._current = _Current(values["current"]["anchor"], values["current"]["id"])
            _load(self._current, values["current"])
            _load(self, {name: value for name, value in values.items() if name != "current"})

    def rows(self) -> list[Episode]:
        return [
            episode.row(self._conversation) for episode in (*self._ended, *([self._current] if self._current else []))
        ]


class _States:
    """The states of the conversation and their starts: known, open, closed, waiting, unassigned."""

    CARRIED = ("_assignee", "_inbound_at", "_own", "_own_at", "_waits", "account_id", "channel", "priority")
    __slots__ = (*CARRIED, "tracks")

    def __init__(self) -> None:
        self.tracks = States("conversation")
        self.channel: str | None = None
        self.account_id: str | None = None
        self.priority: str | None = None
        self._own: str | None = None
        self._own_at = 0
        self._inbound_at: int | None = None
        self._waits: int | None = None
        self._assignee: str | None = None

    def dump(self) -> Carried:
        holds = {"holds": self.tracks.going_on()} if self.tracks.going_on() else {}
        return {**_dump(self, self.CARRIED), **holds}

    def load(self, values: Carried) -> None:
        for state, since, began in values.get("holds", ()):
            self.tracks.begin(state, since, began)
        _load(self, {name: value for name, value in values.items() if name != "holds"})

    def see(self, turn: Turn, replies: bool) -> None:
        time, type_ = turn.time, turn.type
        self.channel = self.channel or turn.channel
        self.account_id = self.account_id or turn.account_id
        self.priority = turn.severity
        if not type_.startswith("response."):
            self.tracks.begin("known", time)
        if type_ == "message.received":
            self._inbound_at = time
            if self._waits is None:
                self._waits = time
        elif replies:
            self._waits = None
        elif type_.startswith("conversation."):
            self._own_at = time
            if type_ in ("conversation.resolved", "conversation.closed"):
                self._own, self._waits = "closed", None
            else:
                self._own = "open"
                if type_ == "conversation.assigned":
                    self._assignee = turn.staff_id
        returned = self._inbound_at is not None and self._inbound_at > self._own_at + REOPENS_WITHIN
        is_open = self._inbound_at is not None if self._own is None else self._own == "open" or returned
        self.tracks.set("open", is_open, time)
        self.tracks.set("closed", self._own == "closed" and not returned, time)
        self.tracks.set("waiting", is_open and self._waits is not None, time, began=self._waits)
        self.tracks.set("unassigned", is_open and self._assignee is None, time)


def columns(row: type[Any]) -> tuple[str, ...]:
    """Return the columns of a row type, in order."""
    names: tuple[str, ...] = row._fields
    return names


def turns_of(rows: Iterable[tuple[Any, ...]]) -> list[Turn]:
    """Return rows with the columns of `Turn` as turns."""
    return [Turn._make(row) for row in rows]
