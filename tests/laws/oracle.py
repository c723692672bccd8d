"""Oracle: the numbers in plain Python over a list of events, straight from the metric reference.

It shares nothing with the engine: no SQL, no declarations, no windows. Where an answer and this file disagree, one of
them is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import zip_longest
from zoneinfo import ZoneInfo

from hubbub.model.calendar import NO_CALENDAR, Calendar
from hubbub.model.event import Event
from hubbub.storage.identity import ident_of
from tests.hours import Clock
from tests.laws.asked import question_waits

HORIZON = timedelta(hours=72)
DAY = timedelta(hours=24)
WEEK = timedelta(hours=168)
Number = int | float | None


def surviving(events: Iterable[Event]) -> list[Event]:
    """Return one event per source and id: the one with the highest revision, the first of equals."""
    best: dict[tuple[str, str], Event] = {}
    for event in events:
        assert event.id is not None
        key = (event.source or "api", event.id)
        held = best.get(key)
        if held is None or (-1 if event.revision is None else event.revision) > (
            -1 if held.revision is None else held.revision
        ):
            best[key] = event
    return list(best.values())


def local_day(moment: datetime, zone: str) -> date:
    """Return the local calendar day in a zone."""
    return moment.astimezone(ZoneInfo(zone)).date()


def whole_ms(span: timedelta) -> int:
    """Return a span in milliseconds; half a millisecond is rounded up."""
    return (span // timedelta(microseconds=1) + 500) // 1000


def quantile(values: list[int], share: float) -> float:
    """Return the exact quantile with linear interpolation between neighbouring ranks."""
    ordered = sorted(values)
    rank = (len(ordered) - 1) * share
    low = int(rank)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (rank - low)


def share(part: int | float, whole: int) -> float | None:
    """Divide; None if the divisor is 0."""
    return part / whole if whole else None


OF_TARGETS = (
    "first_response_within_target", "first_response_breaches", "next_response_within_target", "next_response_breaches",
    "resolution_within_target", "resolution_breaches", "waiting_past_target",
)  # fmt: skip
"""Numbers that are null here, since tenants of worlds have no targets; `test_targets.py` covers them."""
_OF_CONTACTS = (
    "message.received", "message.read", "message.reacted", "link.clicked", "satisfaction.rating_received", "contact.created",
    "contact.updated", "contact.blocked", "contact.unblocked", "contact.converted",
)  # fmt: skip
_WORTH = {"contact.converted": 8.0, "message.received": 4.0, "link.clicked": 3.0, "message.read": 1.0}


def _worth(event: Event) -> tuple[float, str] | None:
    """Return the weight and type of a contact's action; None if it counts nothing."""
    if event.type == "satisfaction.rating_received":
        return (4.0, event.type) if (event.scale or 5) == 5 and event.value in (4, 5) else None
    return (_WORTH[event.type], event.type) if event.type in _WORTH else None


def _persons(events: Iterable[Event]) -> dict[str, str]:
    """Return the person of each linked contact: the smallest joined id. The latest link event of two ids counts; at a
    tie, the unlink.
    """
    last: dict[frozenset[str], Event] = {}
    for event in sorted(events, key=lambda e: (e.time, e.type)):
        if event.type in ("contact.linked", "contact.unlinked") and event.contact_id and event.name:
            last[frozenset((event.contact_id, event.name))] = event
    sets: dict[str, set[str]] = {}
    for pair, event in last.items():
        if event.type == "contact.linked" and len(pair) == 2:
            joined = set().union(*(sets.get(name, {name}) for name in pair))
            sets |= dict.fromkeys(joined, joined)
    return {name: min(same) for name, same in sets.items()}


def _id(event: Event) -> tuple[str, str]:
    return event.id or "", event.source or "api"


def _of_people(event: Event, *more: str) -> bool:
    return (event.kind or "person") in ("person", "ai", *more)


def _private(event: Event) -> bool:
    return event.status == "private"


def _public(event: Event) -> bool:
    return _of_people(event) and not _private(event)


def _closing(event: Event, events: Iterable[Event]) -> bool:
    """Whether a label of the same time and conversation marks a message as closing."""
    return event.type == "message.received" and any(
        label.type == "intent.classified" and label.intent == "closing" and label.time == event.time
        and label.conversation_id == event.conversation_id and label.message_id == (event.message_id or event.id)
        for label in events
    )  # fmt: skip


def _root(event: Event) -> bool:
    return event.type == "message.received" and event.id == event.conversation_id


@dataclass
class Sent:
    """A sent message and its outcome."""

    time: datetime
    channel: str | None
    contact: str | None
    receipted: bool
    delivered: bool
    read: bool
    failed: bool
    replied: bool
    engaged: bool
    converted: bool
    campaign: str | None = None


@dataclass
class Response:
    """A response: a wait that ended with a reply."""

    time: datetime
    conversation: str | None
    staff: str | None
    responder: str
    ms: int
    business_ms: int | None


@dataclass
class Episode:
    """A conversation from its opening to its last resolve; without a start, its opening was not seen."""

    start: datetime | None
    turns: list[Event] = field(default_factory=list)
    escalated: bool = False
    resolved_at: datetime | None = None
    ai_involved: bool = False
    ai_handled: tuple[bool, bool, bool] = (False, False, False)
    """Whether AI alone resolved it, without a return within 24 hours, 72 hours and 7 days."""
    ai_escalated: bool = False
    ai_silences: list[tuple[datetime, datetime | None]] = field(default_factory=list)
    """Silences of the contact after AI replies, before people came in: (from, until)."""
    ai_resolved_at: datetime | None = None
    ai_reopened: bool = False
    handed_off_at: datetime | None = None
    first_reply_at: datetime | None = None
    first_response_ms: int | None = None
    first_person_at: datetime | None = None
    first_person_ms: int | None = None
    resolution_ms: int | None = None
    first_response_business_ms: int | None = None
    resolution_business_ms: int | None = None


@dataclass
class Survey:
    """A survey, when it was sent, and its last valid rating: 1 to 5, or 0 to 10 on scale 10."""

    sent_at: datetime | None = None
    rated_at: datetime | None = None
    rating: float | None = None
    scale: int = 5


class Oracle:
    """All numbers of one tenant from all events as sent, repeats and corrections included."""

    def __init__(
        self,
        events: Iterable[Event],
        zone: str,
        calendar: Calendar = NO_CALENDAR,
        tones: Iterable[str] = (),
        silence: int = 0,
    ) -> None:
        """Fold all events once. `tones` are those that hotspots count; `silence` is the days that close a conversation,
        0: none.
        """
        self.zone, self.silence = zone, silence * DAY
        self.tones = frozenset(tones)
        self.events = surviving(events)
        self.person = _persons(self.events)
        moments = [e.time for e in self.events] or [utc(2026, 1, 1)]
        self.hours = Clock(calendar, zone, min(moments), max(moments))
        self.messages = self._messages()
        self._repeats = {
            id(e)
            for e in self._of("message.sent", "message.received")
            if not _private(e) and id(e) not in self.messages
        }
        self.giving: set[str | None] = set()
        self.sent = self._sent()
        self.responses = self._responses()
        self.episodes = [e for c in self._conversations().values() for e in self._episodes(c)]
        self.surveys = self._surveys()

    def _of(self, *types: str) -> list[Event]:
        return [e for e in self.events if e.type in types]

    def _messages(self) -> dict[int, Event]:
        """Return one report per message: of those with its channel and message id, the first with a conversation, else
        the first.
        """
        found: dict[object, Event] = {}
        for event in sorted(self._of("message.sent", "message.received"), key=lambda e: (e.time, ident(e))):
            if _private(event):
                continue
            name: object = (event.type, event.channel, event.message_id) if event.message_id else id(event)
            held = found.get(name)
            if held is None or (held.conversation_id is None and event.conversation_id is not None):
                found[name] = event
        return {id(e): e for e in found.values()}

    # --- things folded from several events

    def _sent(self) -> list[Sent]:
        talk = [e for e in self.messages.values() if _of_people(e, "auto")]
        outs = sorted((e for e in self.messages.values() if e.type == "message.sent"), key=lambda e: (e.time, ident(e)))
        answers = self._answers(talk)
        counted: list[Sent] = []
        for out in outs:
            name = out.message_id or out.id or ""
            near = [
                e for e in self.events
                if e.message_id == name and out.time - HORIZON <= e.time < out.time + HORIZON
                and (e.channel is None or out.channel is None or e.channel == out.channel)
            ]  # fmt: skip
            got = [e.time for e in near if e.type in ("message.delivered", "message.read")]
            acts = any(e.type in ("link.clicked", "message.reacted") for e in near)
            receipted = bool(got) or any(e.type == "message.failed" for e in near)
            if receipted:
                self.giving.add(out.channel)
            if not _of_people(out, "auto"):
                continue
            replied = any(
                inbound.time < out.time + HORIZON and (None in pair or pair[0] == pair[1])
                for inbound in answers.get(id(out), ())
                for pair in [(out.contact_id, inbound.contact_id)]
                if inbound.time >= out.time
            )
            converted = False
            if got and out.contact_id is not None:
                since = min(got)
                mine = [
                    e
                    for e in self.events
                    if e.contact_id and self._who(e.contact_id) == self._who(out.contact_id) and e.time >= since
                ]
                converted = any(e.type == "contact.converted" and e.time < since + WEEK for e in mine)
                acts |= any(
                    e.type in ("link.clicked", "message.reacted") and e.message_id is None and e.time < since + HORIZON
                    for e in mine
                )
            counted.append(
                Sent(
                    out.time, out.channel, out.contact_id, receipted, bool(got),
                    any(e.type == "message.read" for e in near),
                    not got and any(e.type == "message.failed" for e in near),
                    bool(got) and replied, bool(got) and (replied or acts or converted), converted,
                    out.campaign_id,
                )
            )  # fmt: skip
        return counted

    @staticmethod
    def _answers(talk: list[Event]) -> dict[int, list[Event]]:
        """Return inbound messages by the latest outbound before them in their conversation."""
        credited: dict[int, list[Event]] = {}
        latest: dict[str, int] = {}
        for event in sorted(talk, key=lambda e: (e.time, e.type == "message.sent", ident(e))):
            if event.conversation_id is None:
                continue
            if event.type == "message.sent":
                latest[event.conversation_id] = id(event)
            elif event.conversation_id in latest:
                credited.setdefault(latest[event.conversation_id], []).append(event)
        return credited

    def _conversations(self) -> dict[str, list[Event]]:
        found: dict[str, list[Event]] = {}
        for event in self.events:
            if event.conversation_id is not None and id(event) not in self._repeats:
                found.setdefault(event.conversation_id, []).append(event)
        return found

    def _responses(self) -> list[Response]:
        found: list[Response] = []
        for conversation, events in self._conversations().items():
            if any(e.type == "response.time_recorded" and e.duration_ms is not None for e in events):
                continue
            rank = {"message.received": 0, "response.ai_generated": 1, "response.staff_sent": 1, "message.sent": 2}
            asked: datetime | None = None
            for event in sorted((e for e in events if e.type in rank), key=lambda e: (e.time, rank[e.type], ident(e))):
                if event.campaign_id is not None and event.type != "message.received":
                    continue  # a campaign message answers nobody
                if _private(event) or not (_of_people(event) or _root(event)):
                    continue
                if event.type == "message.received":
                    asked = asked or (None if _closing(event, events) else event.time)
                elif asked is not None:
                    ai = event.type == "response.ai_generated" or event.kind == "ai"
                    ms = whole_ms(event.time - asked)
                    open_ms = self.hours.ms(asked, event.time)
                    found.append(
                        Response(event.time, conversation, event.staff_id, "ai" if ai else "person", ms, open_ms)
                    )
                    asked = None
        for event in self._of("response.time_recorded"):
            if event.duration_ms is not None:
                who = "ai" if event.kind == "ai" else "person"
                open_ms = self.hours.ms(event.time - timedelta(milliseconds=event.duration_ms), event.time)
                found.append(
                    Response(event.time, event.conversation_id, event.staff_id, who, event.duration_ms, open_ms)
                )
        return found

    def _episodes(self, events: list[Event]) -> list[Episode]:
        rank = {
            "conversation.started": 0, "conversation.reopened": 1, "message.received": 2, "conversation.assigned": 3,
            "conversation.escalated": 4, "escalation.raised": 4, "response.ai_generated": 5, "response.staff_sent": 5,
            "message.sent": 6, "conversation.resolved": 8,
        }  # fmt: skip
        openings = ("message.received", "conversation.started", "conversation.reopened")
        turns = [
            e for e in events
            if e.type in rank and not _private(e) and (_of_people(e) or _root(e)) and not _closing(e, events)
        ]  # fmt: skip
        found: list[Episode] = []
        resolved: datetime | None = None
        unanswered: list[Event] = []
        open_now = False
        for turn in sorted(turns, key=lambda e: (e.time, rank[e.type], ident(e))):
            if not open_now:
                if turn.type == "conversation.reopened" and resolved is not None and turn.time <= resolved + DAY:
                    open_now = True
                elif turn.type in openings and (resolved is None or turn.time > resolved + DAY):
                    # a contact that wrote after the resolve and got no answer has waited since then
                    waits = [e for e in unanswered if resolved is not None and e.time > resolved]
                    found.append(Episode(waits[0].time if waits else turn.time, list(waits)))
                    open_now = True
            if turn.type == "message.received":
                unanswered.append(turn)
            elif _replies(turn):
                unanswered = []
            if found:
                found[-1].turns.append(turn)
                if turn.type == "conversation.resolved":
                    resolved, open_now = turn.time, False
        for episode, following in zip_longest(found, found[1:]):
            _judge(episode, following.start if following else None, self.hours)
        return found

    def _surveys(self) -> list[Survey]:
        found: dict[str, Survey] = {}
        for event in sorted(
            self._of("satisfaction.survey_sent", "satisfaction.rating_received"), key=lambda e: (e.time, ident(e))
        ):
            survey = found.setdefault(event.survey_id or event.id or "", Survey())
            if event.type == "satisfaction.survey_sent":
                survey.sent_at = survey.sent_at or event.time
            elif (event.scale or 5) == 5 and event.value in (1, 2, 3, 4, 5):
                survey.rated_at, survey.rating, survey.scale = event.time, event.value, 5
            elif event.scale == 10 and event.value is not None and 0 <= event.value <= 10:
                survey.rated_at, survey.rating, survey.scale = event.time, event.value, 10
        return list(found.values())

    # --- numbers

    def day_counts(self, direction: str) -> dict[date, int]:
        """Count people's messages of a direction ('in' or 'out') by local day."""
        found: dict[date, int] = {}
        for event in self._of("message.received" if direction == "in" else "message.sent"):
            if _public(event) and id(event) in self.messages:
                day = local_day(event.time, self.zone)
                found[day] = found.get(day, 0) + 1
        return found

    def numbers(self, start: datetime, end: datetime, now: datetime) -> dict[str, Number]:
        """Return every number of the window `[start, end)`."""

        def within(moment: datetime | None) -> bool:
            return moment is not None and start <= moment < end

        def count(kind: str, test: Callable[[Event], bool] = lambda _: True) -> int:
            return sum(1 for e in events if e.type == kind and test(e))

        events = [e for e in self.events if within(e.time)]
        found: dict[str, Number] = {
            "events": len(events),
            "messages_received": count("message.received", lambda e: _public(e) and id(e) in self.messages),
            "messages_sent": count("message.sent", lambda e: _public(e) and id(e) in self.messages),
            "escalation_alerts": count("escalation.raised"),
            "sla_breaches": count("task.sla_breached"),
            "intents": count("intent.classified"),
            "intents_low": count("intent.confidence_low"),
            "intent_actions": count("intent.action_taken"),
            "classifications": count("topic.classified"),
        }
        found["messages"] = (found["messages_received"] or 0) + (found["messages_sent"] or 0)
        for what in ("closed", "escalated", "reopened", "assigned"):
            found[f"conversations_{what}"] = count(f"conversation.{what}")
        for what in ("created", "assigned", "completed"):
            found[f"tasks_{what}"] = count(f"task.{what}")
        found |= self._deliveries([s for s in self.sent if within(s.time)])
        found |= _waits("response_ms", [r.ms for r in self.responses if within(r.time)])
        found |= _waits("response_business_ms", [r.business_ms for r in self.responses if within(r.time)])
        found["responses"] = sum(within(r.time) for r in self.responses)
        found["conversations_handled"] = len(
            {r.conversation for r in self.responses if within(r.time) and r.staff and r.conversation}
        )
        found |= dict.fromkeys(OF_TARGETS)
        found |= self._conversation_numbers(within, now)
        found |= self._survey_numbers(within)
        found |= self._question_numbers(within)
        found |= _usage([e for e in events if e.type == "response.ai_generated"])
        found |= _classified(events, self.tones)
        escalations = self._of("conversation.escalated", "escalation.raised")
        found["intents_escalated"] = count(
            "intent.classified",
            lambda i: any(
                i.conversation_id is not None
                and e.conversation_id == i.conversation_id
                and i.time <= e.time < i.time + WEEK
                for e in escalations
            ),
        )
        observed = [e.value for e in events if e.type == "metric.observed" and e.value is not None]
        found["observations"] = len(observed)
        found["observed_sum"] = sum(observed) if observed else 0
        found["observed_avg"] = share(sum(observed), len(observed))
        found["observed_min"], found["observed_max"] = min(observed, default=None), max(observed, default=None)
        found |= self._contact_numbers(start, min(end, now), events)
        found |= self._states(min(end, now)) if start < now else dict.fromkeys(self._states(now))
        return found

    def _question_numbers(self, within: Callable[[datetime | None], bool]) -> dict[str, Number]:
        waits = question_waits(self.events, lambda event: id(event) not in self._repeats, within)
        answered = sum(wait is not False for wait in waits)
        return {
            "questions": len(waits), "questions_answered": answered, "questions_unanswered": len(waits) - answered,
            "question_answer_rate": share(answered, len(waits)),
            **_waits("question_answer_ms", [whole_ms(wait) for wait in waits if isinstance(wait, timedelta)]),
        }  # fmt: skip

    def _deliveries(self, sent: list[Sent]) -> dict[str, Number]:
        seen = self.giving
        believed = [s for s in sent if s.channel in seen]
        delivered = [s for s in sent if s.delivered]
        people = {self._who(s.contact) for s in delivered if s.contact}
        replied = sum(s.replied for s in sent)
        campaigned = [s for s in sent if s.campaign]
        certain = [s for s in campaigned if s.channel in seen]
        return {
            "campaign_messages_sent": len(campaigned),
            "campaign_delivery_rate": share(sum(s.delivered for s in certain), len(certain)),
            "campaign_read_rate": share(sum(s.read for s in campaigned), sum(s.delivered for s in campaigned)),
            "campaign_recipients": len({self._who(s.contact) for s in campaigned if s.delivered and s.contact}),
            "messages_attempted": len(sent),
            "messages_delivered": len(delivered),
            "messages_read": sum(s.read for s in sent),
            "messages_failed": sum(s.failed for s in sent),
            "messages_replied": replied,
            "delivery_rate": share(sum(s.delivered for s in believed), len(believed)),
            "failure_rate": share(sum(s.failed for s in believed), len(believed)),
            "read_rate": share(sum(s.read for s in sent), len(delivered)),
            "reply_rate": share(replied, len(delivered)),
            "recipients": len(people),
            "engagement_rate": share(
                len({self._who(s.contact) for s in delivered if s.contact and s.engaged}), len(people)
            ),
            "conversion_rate": share(
                len({self._who(s.contact) for s in delivered if s.contact and s.converted}), len(people)
            ),
        }

    def _conversation_numbers(self, within: Callable[[datetime | None], bool], now: datetime) -> dict[str, Number]:
        begun = [e for e in self.episodes if within(e.start)]
        involved = [e for e in begun if e.ai_involved]
        handled = {name: sum(e.ai_handled[i] for e in begun) for i, name in enumerate(("", "_72h", "_7d"))}
        assumed = {
            name: sum(
                not e.ai_handled[i] and any((until or now) - since > lasting for since, until in e.ai_silences)
                for e in involved
            )
            for i, (name, lasting) in enumerate((("", DAY), ("_72h", HORIZON), ("_7d", WEEK)))
        }
        firsts = [e for e in self.episodes if within(e.first_reply_at)]
        persons = [e.first_person_ms for e in self.episodes if within(e.first_person_at)]
        resolved = [e for e in self.episodes if within(e.resolved_at)]
        return {
            "conversations_started": len(begun),
            "escalation_rate": share(sum(e.escalated for e in begun), len(begun)),
            "ai_involved": len(involved),
            "ai_escalated": sum(e.ai_escalated for e in begun),
            **{f"ai_handled{name}": n for name, n in handled.items()},
            **{f"ai_resolution_rate{name}": share(n, len(involved)) for name, n in handled.items()},
            **{f"ai_assumed{name}": n for name, n in assumed.items()},
            **{
                f"ai_assumed_resolution_rate{name}": share(handled[name] + n, len(involved))
                for name, n in assumed.items()
            },
            "ai_contained": sum(not e.ai_escalated for e in involved),
            "ai_containment_rate": share(sum(not e.ai_escalated for e in involved), len(involved)),
            "ai_reopened": sum(e.ai_reopened for e in involved),
            "ai_reopen_rate": share(
                sum(e.ai_reopened for e in involved), sum(bool(e.ai_resolved_at) for e in involved)
            ),
            "ai_hours_saved": None,  # the tenants of these laws set no minutes
            "ai_hand_offs": sum(e.ai_escalated and within(e.handed_off_at) for e in self.episodes),
            "conversations_resolved": sum(within(e.resolved_at) for e in self.episodes),
            **_waits("first_response_ms", [e.first_response_ms for e in firsts]),
            **_waits("first_response_business_ms", [e.first_response_business_ms for e in firsts]),
            **_waits("first_person_response_ms", persons),
            **_waits("resolution_ms", [e.resolution_ms for e in resolved]),
            **_waits("resolution_business_ms", [e.resolution_business_ms for e in resolved]),
        }

    def _survey_numbers(self, within: Callable[[datetime | None], bool]) -> dict[str, Number]:
        sent = [s for s in self.surveys if within(s.sent_at)]
        answered = sum(s.rated_at is not None for s in sent)
        rated = [s for s in self.surveys if within(s.rated_at) and s.rating is not None]
        fives = [int(s.rating or 0) for s in rated if s.scale == 5 and s.rating in (1, 2, 3, 4, 5)]
        tens = [s.rating or 0 for s in rated if s.scale == 10 and 0 <= (s.rating or 0) <= 10]
        return {
            "surveys_sent": len(sent),
            "surveys_answered": answered,
            "survey_response_rate": share(answered, len(sent)),
            "ratings": len(fives),
            **{f"rating_{n}": fives.count(n) for n in (1, 2, 3, 4, 5)},
            "rating_avg": share(sum(fives), len(fives)),
            "csat": share(sum(n >= 4 for n in fives), len(fives)),
            "nps_score": share(100 * (sum(n == 5 for n in fives) - sum(n <= 3 for n in fives)), len(fives)),
            "nps_answers": len(tens),
            "nps10_score": share(100 * (sum(n >= 9 for n in tens) - sum(n < 7 for n in tens)), len(tens)),
        }

    def _contact_numbers(self, start: datetime, end: datetime, events: list[Event]) -> dict[str, Number]:
        deeds = (
            "message.received", "message.read", "message.reacted", "link.clicked", "satisfaction.rating_received",
            "contact.converted",
        )  # fmt: skip
        seen: dict[str, datetime] = {}
        for event in self._of("message.received", "contact.created"):
            if event.contact_id is not None and (event.kind or "person") == "person":
                who = self._who(event.contact_id)
                seen[who] = min(seen.get(who, event.time), event.time)
        heard = [
            e for e in self._of(*_OF_CONTACTS) if e.contact_id and (e.kind or "person") == "person" and e.time < end
        ]
        return {
            "total_contacts": len({self._who(e.contact_id or "") for e in heard}) if start < end else None,
            "active_contacts": len(
                {
                    self._who(e.contact_id)
                    for e in events
                    if e.contact_id and e.type in deeds and (e.kind or "person") == "person"
                }
            ),
            "new_contacts": sum(start <= moment < end for moment in seen.values()),
            "active_conversations": len({e.conversation_id for e in events if self._speaks(e)}),
        }

    def _who(self, contact: str) -> str:
        return self.person.get(contact, contact)

    def engagement(self, moment: datetime) -> Number:
        """Return the mean score of all persons at a moment, which is the end of the local day that is scored."""
        today = local_day(moment - timedelta(microseconds=1), self.zone)
        deeds: dict[str, dict[tuple[tuple[float, str], date], int]] = {}
        for event in self.events:
            if event.contact_id is None or event.type not in _OF_CONTACTS or event.time >= moment:
                continue
            if (event.kind or "person") != "person" or id(event) in self._repeats:
                continue
            mine = deeds.setdefault(self._who(event.contact_id), {})
            if worth := _worth(event):
                day = local_day(event.time, self.zone)
                mine[worth, day] = mine.get((worth, day), 0) + 1
        blocked = {self._who(contact) for contact, state in self._contact_states(moment).items() if state == "blocked"}
        scores = [
            0.0 if contact in blocked else 100 * (1 - math.exp(-sum(
                worth[0] * min(5, n) * 2 ** (-(today - day).days / 30) for (worth, day), n in mine.items()
            ) / 20))
            for contact, mine in deeds.items()
        ]  # fmt: skip
        return share(math.fsum(scores), len(scores))

    def _speaks(self, event: Event) -> bool:
        return _speaks(event) and id(event) not in self._repeats

    def _last(
        self, moment: datetime, entity: str, types: tuple[str, ...], state: Callable[[Event], str | None]
    ) -> dict[str, str]:
        """Return the state of each entity just before a moment. At a tie the later state of the life cycle wins, then
        the later arrival.
        """
        rank = {"task.assigned": 1, "staff.status_changed": 1, "campaign.started": 1, "contact.blocked": 1}
        rank |= {"contact.unblocked": 1, "contact.updated": 1, "task.completed": 2, "staff.logout": 2}
        rank |= {"campaign.completed": 2, "campaign.failed": 2}
        kept: dict[str, tuple[datetime, int, str]] = {}
        for event in self.events:
            name, now = getattr(event, entity), state(event)
            if event.time < moment and name is not None and now is not None and event.type.startswith(types):
                place = (event.time, rank.get(event.type, 0))
                if name not in kept or place >= kept[name][:2]:
                    kept[name] = (*place, now)
        return {name: now for name, (_, _, now) in kept.items()}

    def _contact_states(self, moment: datetime) -> dict[str, str]:
        return self._last(moment, "contact_id", ("contact.",), _contact_state)

    def _states(self, moment: datetime) -> dict[str, Number]:
        tasks = self._last(moment, "task_id", ("task.",), lambda e: _TASK_STATES.get(e.type))
        staff = self._last(moment, "staff_id", ("staff.",), _presence)
        contacts = self._contact_states(moment)
        campaigns = self._last(moment, "campaign_id", ("campaign.",), lambda e: _CAMPAIGN_STATES.get(e.type))
        lives = [life for c in self._conversations().values() if (life := Life(c, moment, self.silence)).known]
        waiting = [life.asked for life in lives if life.open and life.asked is not None]
        return {
            "open_conversations": sum(life.open for life in lives),
            "waiting_conversations": len(waiting),
            "oldest_waiting_ms": (moment - min(waiting)) // timedelta(milliseconds=1) if waiting else None,
            "unassigned_conversations": sum(life.open and not life.assignee for life in lives),
            "closed_conversations": sum(life.closed for life in lives),
            "total_conversations": len(lives),
            "tasks_pending": sum(s == "pending" for s in tasks.values()),
            "staff_online": sum(s == "online" for s in staff.values()),
            "blocked_contacts": len({self._who(contact) for contact, s in contacts.items() if s == "blocked"}),
            "campaigns_total": len(campaigns),
            **{f"campaigns_{s}": sum(v == s for v in campaigns.values()) for s in ("active", "completed", "failed")},
        }


class Life:
    """The state of a conversation just before a moment."""

    def __init__(self, events: list[Event], moment: datetime, silence: timedelta = timedelta(0)) -> None:
        """Work out the state from events before the moment; `silence` is the span after which an open conversation
        closes, 0: never.
        """
        mine = [e for e in events if e.time < moment and (_of_people(e) or _root(e))]
        speaks = [e for e in mine if _speaks(e)]
        self.known = bool(speaks)
        order = ("started", "reopened", "assigned", "escalated", "resolved", "closed")
        own = sorted(
            (e for e in speaks if e.type.startswith("conversation.")),
            key=lambda e: (e.time, order.index(e.type.partition(".")[2])),
        )
        asking = [e for e in mine if e.type == "message.received" and not _closing(e, events)]
        inbound = max((e.time for e in asking), default=None)
        ended = bool(own) and own[-1].type in ("conversation.resolved", "conversation.closed")
        returned = inbound is not None and bool(own) and inbound > own[-1].time + DAY
        self.open = (inbound is not None) if not own else not ended or returned
        self.closed = ended and not returned
        if silence and self.open and moment > _heard(events, mine) + silence:
            self.open, self.closed = False, True
        ends = [
            e.time for e in mine
            if e.type in ("conversation.resolved", "conversation.closed") or (_replies(e) and e.status != "private")
        ]  # fmt: skip
        asked = [e.time for e in asking if all(e.time > end for end in ends)]
        self.asked = min(asked, default=None)
        given = [e for e in own if e.type == "conversation.assigned"]
        self.assignee = sorted(given, key=lambda e: e.time)[-1].staff_id if given else None


def _heard(events: list[Event], mine: list[Event]) -> datetime:
    """Return the last activity of an open conversation: a message, a start or reopening, or whatever else opened it."""
    sounds = (
        "message.received",
        "message.sent",
        "response.ai_generated",
        "response.staff_sent",
        "conversation.started",
    )
    heard = [e.time for e in mine if e.type in (*sounds, "conversation.reopened") and not _private(e)]
    tick = timedelta(microseconds=1)
    opened = [e.time for e in mine if Life(events, e.time + tick).open and not Life(events, e.time).open]
    return max(heard + opened)


def _replies(event: Event) -> bool:
    """Whether an event is a reply to a waiting contact; a campaign message is not."""
    return event.type in ("message.sent", "response.ai_generated", "response.staff_sent") and event.campaign_id is None


def ident(event: Event) -> int:
    """Return the number that orders events of the same moment and meaning."""
    return ident_of(event.source or "api", event.id or "")


_TASK_STATES = {"task.created": "pending", "task.assigned": "pending", "task.completed": "done"}
_CAMPAIGN_STATES = {
    "campaign.created": "created", "campaign.started": "active", "campaign.completed": "completed",
    "campaign.failed": "failed",
}  # fmt: skip


def _presence(event: Event) -> str | None:
    if event.type in ("staff.login", "staff.logout"):
        return "online" if event.type == "staff.login" else "offline"
    if event.type == "staff.status_changed" and event.status:
        status = event.status.lower()
        return "online" if status in ("online", "active", "available", "busy") else status
    return None


def _contact_state(event: Event) -> str | None:
    if (event.kind or "person") != "person":
        return None
    if event.type == "contact.updated":
        return event.status.lower() if event.status else None
    return {"contact.blocked": "blocked", "contact.unblocked": "active", "contact.created": "active"}.get(event.type)


def _speaks(event: Event) -> bool:
    """Whether an event affects a conversation's state."""
    kinds = (
        "conversation.started", "conversation.escalated", "conversation.resolved", "conversation.closed",
        "conversation.reopened", "conversation.assigned", "message.received", "message.sent",
    )  # fmt: skip
    return event.conversation_id is not None and event.type in kinds and (_of_people(event) or _root(event))


def _judge(episode: Episode, returned: datetime | None, hours: Clock) -> None:
    """Set the outcome of an episode from its turns; `returned` is when its contact opened the next one."""
    turns, start = episode.turns, episode.start
    resolves = [e.time for e in turns if e.type == "conversation.resolved"]
    reopens = [
        e.time for i, e in enumerate(turns)
        if e.type == "conversation.reopened" and any(t.type == "conversation.resolved" for t in turns[:i])
    ]  # fmt: skip
    replies = [e for e in turns if _replies(e)]
    by_people = [
        e for e in replies if not (e.type == "response.ai_generated" or (e.type == "message.sent" and e.kind == "ai"))
    ]
    inbound = min((e.time for e in turns if e.type == "message.received"), default=None)
    handed = min(
        (
            e.time for e in turns
            if e.type == "conversation.escalated" or (e.type == "conversation.assigned" and e.staff_id)
        ), default=None,
    )  # fmt: skip
    if resolves and not any(moment > max(resolves) for moment in reopens):
        episode.resolved_at = max(resolves)
    assert start is not None
    episode.escalated = any(
        e.type in ("conversation.escalated", "escalation.raised") and e.time <= start + WEEK for e in turns
    )
    if episode.resolved_at is not None:
        episode.resolution_ms = whole_ms(episode.resolved_at - start)
        episode.resolution_business_ms = hours.ms(start, episode.resolved_at)
    taken_over = bool(by_people) or handed is not None or episode.escalated
    episode.ai_involved = len(replies) > len(by_people)
    episode.ai_escalated = episode.ai_involved and taken_over
    alone = episode.ai_involved and bool(resolves) and not taken_over and not reopens
    lasted = [alone and (returned is None or returned > max(resolves) + lasting) for lasting in (DAY, HORIZON, WEEK)]
    episode.ai_handled = lasted[0], lasted[1], lasted[2]
    _judge_ai(episode, returned, [id(e) for e in by_people])
    after = [e.time for e in replies if inbound is not None and e.time >= inbound]
    if inbound is not None and after:
        episode.first_reply_at = min(after)
        episode.first_response_ms = whole_ms(min(after) - inbound)
        episode.first_response_business_ms = hours.ms(inbound, min(after))
    starts = [moment for moment in (inbound, handed, _taken_back(turns, handed)) if moment is not None]
    if not starts:
        return
    waiting = max(starts)
    persons = [e.time for e in by_people if e.time >= waiting]
    if persons:
        episode.first_person_at = min(persons)
        episode.first_person_ms = whole_ms(min(persons) - waiting)


def _judge_ai(episode: Episode, returned: datetime | None, by_people: list[int]) -> None:
    """Set when people came in, when AI alone had resolved it, whether that was undone, and the contact's silences."""
    turns, start = episode.turns, episode.start
    assert start is not None

    def comes_in(turn: Event) -> bool:
        return (
            id(turn) in by_people or turn.type == "conversation.escalated"
            or (turn.type == "conversation.assigned" and bool(turn.staff_id))
            or (turn.type == "escalation.raised" and turn.time <= start + WEEK)
        )  # fmt: skip

    people = [place for place, turn in enumerate(turns) if comes_in(turn)]
    before = turns[: people[0]] if people else turns
    episode.handed_off_at = turns[people[0]].time if people else None
    ai = [place for place, turn in enumerate(turns) if _replies(turn) and id(turn) not in by_people]
    alone = [
        e.time
        for place, e in enumerate(before)
        if e.type == "conversation.resolved" and any(other < place for other in ai)
    ]
    resolves = [place for place, turn in enumerate(turns) if turn.type == "conversation.resolved"]
    reopens = [
        place for place, turn in enumerate(turns)
        if turn.type == "conversation.reopened" and any(other < place for other in resolves)
    ]  # fmt: skip
    if alone:
        episode.ai_resolved_at = alone[0]
        place = next(place for place in resolves if turns[place].time == alone[0] and turns[place] in before)
        backs = [turns[other].time for other in reopens if other > place] + ([returned] if returned else [])
        episode.ai_reopened = bool(backs) and backs[0] <= alone[0] + WEEK
    for place in ai:
        if place < len(before):
            ends = [turns[other].time for other in people[:1] if other > place]
            ends += [e.time for e in turns[place + 1 :] if e.type == "message.received"][:1]
            ends += [turns[other].time for other in reopens if other > place][:1] + ([returned] if returned else [])
            episode.ai_silences.append((turns[place].time, min(ends, default=None)))


def _taken_back(turns: list[Event], handed: datetime | None) -> datetime | None:
    """Return the last reopening of what AI alone had resolved, before any person came in; None without."""
    found: datetime | None = None
    ai = resolved = False
    for turn in turns:
        if _replies(turn):
            if not (turn.type == "response.ai_generated" or (turn.type == "message.sent" and turn.kind == "ai")):
                break
            ai = True
        resolved = resolved or turn.type == "conversation.resolved"
        if (
            handed is not None
            and turn.time >= handed
            and turn.type in ("conversation.escalated", "conversation.assigned")
        ):
            break
        if turn.type == "conversation.reopened" and ai and resolved:
            found = turn.time
    return found


def _waits(name: str, found: Iterable[int | None]) -> dict[str, Number]:
    values = [ms for ms in found if ms is not None]
    return {
        f"{name}.count": len(values),
        f"{name}.sum": sum(values) if values else None,
        f"{name}.min": min(values, default=None),
        f"{name}.max": max(values, default=None),
        f"{name}.avg": share(sum(values), len(values)),
        **{f"{name}.p{p}": quantile(values, p / 100) if values else None for p in (50, 90, 95, 99)},
        **{
            f"{name}.within_{limit}": share(sum(ms <= minutes * 60_000 for ms in values), len(values))
            for limit, minutes in (("1min", 1), ("5min", 5), ("15min", 15), ("1h", 60), ("4h", 240), ("1d", 1440))
        },
    }


def _usage(replies: list[Event]) -> dict[str, Number]:
    """Sum the usage of AI replies: 0 without replies, None if no reply reports any."""

    def total(values: list[int | float]) -> Number:
        return math.fsum(values) if values or not replies else None

    costs = [e.value for e in replies if e.value is not None]
    metered = sum(e.input_tokens is not None or e.output_tokens is not None for e in replies)
    return {
        "ai_replies": len(replies),
        "ai_input_tokens": total([e.input_tokens for e in replies if e.input_tokens is not None]),
        "ai_output_tokens": total([e.output_tokens for e in replies if e.output_tokens is not None]),
        "ai_cost": total([*costs]),
        "ai_cost_per_reply": share(math.fsum(costs), len(costs)),
        "ai_usage_coverage": share(metered, len(replies)),
    }


def _classified(events: list[Event], tones: frozenset[str]) -> dict[str, Number]:
    topics = [e for e in events if e.type == "topic.classified"]
    intents = [e for e in events if e.type == "intent.classified"]

    def mean(some: list[Event]) -> float | None:
        sure = [e.confidence for e in some if e.confidence is not None]
        return share(sum(sure), len(sure))

    said = [(e.topic or "").lower() for e in topics]
    complaints = sum(topic in ("complaint", "complaints") for topic in said)
    escalations = sum(topic in ("escalation", "escalations") for topic in said)
    others = ("complaint", "complaints", "escalation", "escalations")
    toned = sum((e.sentiment or "").lower() in tones and (e.topic or "").lower() not in others for e in topics)
    seen = [e for e in events if e.type in ("topic.classified", "topic.unlabelled")]
    unsure = [e for e in events if e.type == "intent.confidence_low"]
    return {
        "topic_confidence": mean(topics),
        "intent_confidence": mean(intents),
        "labelable": len(seen),
        "topic_coverage": share(sum(e.topic is not None for e in seen), len(seen)),
        "tone_coverage": share(sum(e.sentiment is not None for e in seen), len(seen)),
        "intent_coverage": share(len(intents), len(intents) + len(unsure)),
        "complaints": complaints,
        "classified_escalations": escalations,
        "hotspot_ratio": share(complaints + escalations + toned, len(topics)),
    }


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    """Return a moment in UTC."""
    return datetime(year, month, day, hour, minute, tzinfo=UTC)
