"""Conversations: waits and their ends, episodes, replies to messages, and states over time. Folded by conversation.

A state machine reads the events of a conversation once, in order. Its parts: open waits (`_Waits`), answered messages
(`_Answers`), episodes (`episode.py`), and the conversation's states (`_States`). Its state between two events is small and can be
stored, so that a fold may begin at a cut of retention.
Definitions: `docs/facts.md`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hubbub.facts.carried import Carried, dump, load
from hubbub.facts.episode import ESCALATES_WITHIN, REOPENS_WITHIN, REPLIES, Episodes, latest
from hubbub.facts.message import HORIZON
from hubbub.facts.moments import DAY
from hubbub.facts.state import States
from hubbub.facts.turn import Folded, Response, Turn

RANK = {
    "conversation.started": 0, "conversation.reopened": 1, "message.received": 2, "conversation.assigned": 3,
    "conversation.escalated": 4, "escalation.raised": 4, "response.ai_generated": 5, "response.staff_sent": 5,
    "message.sent": 6, "response.time_recorded": 7, "intent.classified": 7, "satisfaction.rating_received": 7,
    "conversation.resolved": 8, "conversation.closed": 9,
}  # fmt: skip
"""The order of events of the same moment: as a conversation goes, then by ident; assignments by arrival."""

TYPES = tuple(RANK)
SOUNDS = ("message.received", *REPLIES, "conversation.started", "conversation.reopened")
"""Events that end a conversation's silence, unless they are private. An event that opens the conversation ends it too."""
SILENCED = ("open",)
"""States that silence ends, where a tenant's settings say so (`query/silence.py`)."""
CLOSING = "closing"
"""The intent of a message that needs no answer, like a last "thanks": it starts no wait, and opens nothing."""
SHORTEST_SILENCE = DAY
"""Microseconds. Silence up to this long ends no state, whatever the tenant's settings: the stretch goes on."""


def fold(conversation: str, turns: Iterable[Turn], carried: Carried | None = None, since: int = 0) -> Folded:
    """Fold a conversation's events, in any order; see `docs/facts.md` for what each row means.

    `carried`: the state after all events before `since` (microseconds); rows that lie wholly before `since` are then left out.
    """
    return _run(conversation, turns, carried).folded(since)


def carry(conversation: str, turns: Iterable[Turn], carried: Carried | None = None) -> Carried:
    """Return the state that a fold of later events needs, as plain values for JSON."""
    return _run(conversation, turns, carried).carried()


def _run(conversation: str, turns: Iterable[Turn], carried: Carried | None) -> _Machine:
    machine = _Machine(conversation, carried or {})
    ordered = sorted(turns, key=_order)
    machine.closing = _closing(ordered)
    for turn in ordered:
        machine.see(turn)
    return machine


def _closing(turns: Iterable[Turn]) -> frozenset[tuple[int, str | None]]:
    """Return the time and id of each message that a label calls closing; the label has the time of its message."""
    return frozenset(
        (turn.time, turn.message_id) for turn in turns if turn.type == "intent.classified" and turn.intent == CLOSING
    )


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
        self.episodes, self.states = Episodes(conversation), _States()
        self.closing: frozenset[tuple[int, str | None]] = frozenset()
        self.intents: list[Turn] = []
        self.escalations: list[int] = []
        self.last_staff: str | None = carried.get("last_staff")
        self.priority: str | None = carried.get("priority")
        load(self.waits, carried.get("waits", {}))
        self.episodes.load(carried.get("episodes", {}))
        self.states.load(carried.get("states", {}))

    def carried(self) -> Carried:
        parts = {
            "last_staff": self.last_staff, "priority": self.priority, "waits": dump(self.waits, _Waits.CARRIED),
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
        closing = type_ == "message.received" and (turn.time, turn.message_id or turn.id) in self.closing
        if public and not closing:
            self.waits.see(turn, replies)
            if type_ != "conversation.closed":
                self.episodes.see(turn, replies)
        if type_ != "escalation.raised":
            self.states.see(turn, replies, closing)

    def _with_priority(self, turn: Turn) -> Turn:
        """Return a turn whose severity is the conversation's priority: the latest one given."""
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
    """Finds the sent message that an inbound one answers: the latest before it, within 72 hours, to the same contact."""

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


class _States:
    """The states of the conversation and their starts: known, open, closed, waiting, unassigned."""

    CARRIED = ("_assignee", "_heard", "_inbound_at", "_own", "_own_at", "_waits", "account_id", "channel", "priority")
    __slots__ = (*CARRIED, "tracks")

    def __init__(self) -> None:
        self.tracks = States("conversation", SILENCED)
        self._heard: int | None = None
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
        return {**dump(self, self.CARRIED), **holds}

    def load(self, values: Carried) -> None:
        for state, since, began in values.get("holds", ()):
            self.tracks.begin(state, since, began)
        load(self, {name: value for name, value in values.items() if name != "holds"})
        self.tracks.heard = self._heard

    def see(self, turn: Turn, replies: bool, closing: bool) -> None:
        sounds = turn.type in SOUNDS and turn.status != "private"
        if sounds:
            self.tracks.hear(turn.time, longest=SHORTEST_SILENCE)
        opened = not self.tracks.holds("open")
        self._transit(turn, replies, closing)
        if sounds or (opened and self.tracks.holds("open")):
            self._heard = self.tracks.heard = turn.time

    def _transit(self, turn: Turn, replies: bool, closing: bool) -> None:
        time, type_ = turn.time, turn.type
        self.channel = self.channel or turn.channel
        self.account_id = self.account_id or turn.account_id
        self.priority = turn.severity
        if not type_.startswith("response."):
            self.tracks.begin("known", time)
        if type_ == "message.received":
            if not closing:
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
