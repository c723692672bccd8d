"""Episodes of a conversation: each from its opening to its last resolve, with its outcome for AI and people.

A part of the state machine in `conversation.py`. Definitions: `docs/facts.md`.
"""

from __future__ import annotations

from hubbub.facts.carried import Carried, dump, load
from hubbub.facts.moments import DAY
from hubbub.facts.turn import Episode, Turn

REPLIES = ("message.sent", "response.ai_generated", "response.staff_sent")
REOPENS_WITHIN = DAY
ESCALATES_WITHIN = 7 * DAY


def latest(row: Episode) -> int:
    """Return the latest time in an episode's row."""
    moments = (
        row.first_inbound, row.first_reply_at, row.person_from, row.first_person_at, row.last_resolve, row.resolved_at,
        row.returned_at, row.handed_off_at, row.ai_resolved_at, row.ai_returned_at, row.silent_since,
    )  # fmt: skip
    return max(row.anchor, *(moment or 0 for moment in moments))


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
        """The contact's longest silence after an AI reply and before people took over, of those that ended; microseconds."""
        self.silent_since: int | None = None
        """Start of such a silence that has not ended."""
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
        """Note when and by whom the conversation was first handed to people, and the first reason given."""
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


class Episodes:
    """Episodes: the first opening more than 24 hours after a resolve begins a new one; a reopening within 24 hours continues it."""

    __slots__ = ("_asked_at", "_conversation", "_current", "_ended", "_open", "_resolved")

    def __init__(self, conversation: str) -> None:
        self._conversation = conversation
        self._ended: list[_Current] = []
        self._current: _Current | None = None
        self._open = False
        self._resolved: int | None = None
        self._asked_at: int | None = None
        """Time of the first unanswered inbound message since the last resolve."""

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
        """Begin an episode: at the first message that has waited since the resolve, else at this event."""
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
        return {"current": dump(self._current, _Current.__slots__), **dump(self, ("_asked_at", "_open", "_resolved"))}

    def load(self, values: Carried) -> None:
        if "current" in values:
            self._current = _Current(values["current"]["anchor"], values["current"]["id"])
            load(self._current, values["current"])
            load(self, {name: value for name, value in values.items() if name != "current"})

    def rows(self) -> list[Episode]:
        return [
            episode.row(self._conversation) for episode in (*self._ended, *([self._current] if self._current else []))
        ]
