"""A day's conversations: messages both ways, AI and staff, hand-offs, receipts, and what is understood of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hubbub.demo.pen import Pen
from hubbub.demo.profile import READ_RECEIPTS, RECEIPTS

SEVERITIES = ("low", "medium", "high", "critical")
OPENS, CLOSES = 8, 21
"""Hours between which staff answer; what comes at night waits for the morning, unless AI answers."""


def write_conversations(pen: Pen) -> None:
    """Write what the day's conversations consist of, to their ends in the days after."""
    profile = pen.profile
    busy = profile.weekend if pen.day.weekday() >= 5 else 1.0
    for _ in range(round(profile.conversations * busy * pen.rng.uniform(0.85, 1.15))):
        _Conversation(pen).write()
    for _ in range(profile.calls):
        pen.write(
            "response.time_recorded", pen.at(pen.rng.uniform(OPENS, CLOSES)), channel="phone", channel_id="switchboard",
            staff_id=pen.pick(profile.staff), contact_id=pen.contact(), duration_ms=int(pen.rng.uniform(4000, 90_000)),
        )  # fmt: skip


class _Conversation:
    def __init__(self, pen: Pen) -> None:
        self.pen = pen
        self.clock = pen.at(pen.busy_hour())
        self.channel, self.room = pen.rng.choice(pen.profile.rooms)
        self.staff = pen.pick(pen.profile.staff)
        self.by_ai = pen.chance(pen.profile.ai)
        self.contact = pen.contact()
        self.about: dict[str, Any] = {
            "channel": self.channel,
            "channel_id": self.room,
            "account_id": pen.rng.choice(pen.profile.accounts),
            "conversation_id": pen.name("c"),
            "contact_id": self.contact,
        }

    def event(self, type: str, at: datetime | None = None, **fields: Any) -> None:
        self.pen.write(type, at or self.clock, **{**self.about, **fields})

    def write(self) -> None:
        pen = self.pen
        began_with_ai = self.by_ai
        self.event("conversation.started")
        if not self.by_ai:
            self.event("conversation.assigned", self.clock + pen.seconds(1, 60), staff_id=self.staff)
        for turn in range(pen.rng.choice((1, 1, 2, 2, 2, 3, 3, 4, 6))):
            self.ask(first=turn == 0)
            if self.by_ai and pen.chance(0.16):
                self.hand_off()
            elif not began_with_ai and pen.chance(0.03):
                self.escalate()
            if pen.chance(0.97):  # a few are never answered
                self.answer()
            self.clock += pen.minutes_about(6 if self.by_ai else 20)
        if pen.chance(0.86):
            self.end()

    def ask(self, *, first: bool) -> None:
        pen = self.pen
        for _ in range(1 if pen.chance(0.8) else 2):
            message = pen.name("m")
            self.event("message.received", message_id=message, kind="person")
            if first or pen.chance(0.4):
                self.understand(message)
            self.clock += pen.seconds(5, 50)

    def understand(self, message: str) -> None:
        """Classify what came in: intent with confidence, topic with tone. One room is full of complaints."""
        pen, profile = self.pen, self.pen.profile
        sure = round(min(0.99, pen.rng.triangular(0.35, 1.0, 0.88)), 3)
        intent = {"message_id": message, "intent": pen.pick(profile.intents)}
        self.event("intent.classified", self.clock + pen.seconds(0.1, 0.6), confidence=sure, **intent)
        if sure < 0.55:
            self.event("intent.confidence_low", self.clock + pen.seconds(0.6, 0.9), confidence=sure, **intent)
        elif pen.chance(0.35):
            self.event("intent.action_taken", self.clock + pen.seconds(1, 2), confidence=sure, **intent)
        angry, glad = (0.7, 0.1) if self.room == profile.hotspot else (0.09, 0.4)
        tone = "negative" if pen.chance(angry) else "positive" if pen.chance(glad) else "neutral"
        self.event(
            "topic.classified", self.clock + pen.seconds(0.2, 1.5), message_id=message, topic=pen.pick(profile.topics),
            sentiment=tone, confidence=round(pen.rng.uniform(0.5, 0.99), 3),
        )  # fmt: skip

    def hand_off(self) -> None:
        self.by_ai = False
        self.escalate()
        self.event("conversation.assigned", self.clock + self.pen.seconds(1, 30), staff_id=self.staff)

    def escalate(self) -> None:
        self.event("conversation.escalated")
        if self.pen.chance(0.35):
            severity = self.pen.rng.choices(SEVERITIES, (4, 3, 2, 1))[0]
            self.event("escalation.raised", self.clock + self.pen.seconds(1, 20), severity=severity)

    def answer(self) -> None:
        pen, message = self.pen, self.pen.name("m")
        if self.by_ai:
            wait = pen.seconds(1.5, 14)
            self.clock += wait
            self.event("response.ai_generated", message_id=message, duration_ms=wait // timedelta(milliseconds=1))
            self.event("message.sent", message_id=message, kind="ai")
        else:
            self.clock = self.in_hours(self.clock + pen.minutes_about(5))
            self.event("response.staff_sent", message_id=message, staff_id=self.staff)
            self.event("message.sent", message_id=message, staff_id=self.staff, kind="person")
        write_receipts(pen, self.clock, message, self.about)
        if pen.chance(0.05):
            emoji = {"emoji": pen.pick(("+1", "heart", "pray"))}
            self.event("message.reacted", self.clock + pen.minutes_about(3), message_id=message, attributes=emoji)

    def in_hours(self, moment: datetime) -> datetime:
        """Put off to the next morning what nobody is there to do."""
        here = moment.astimezone(self.pen.profile.tz)
        if OPENS <= here.hour < CLOSES:
            return moment
        wait = (OPENS - here.hour) % 24
        return moment + timedelta(hours=wait) - timedelta(minutes=here.minute) + self.pen.seconds(60, 3000)

    def end(self) -> None:
        pen = self.pen
        by: dict[str, Any] = {} if self.by_ai else {"staff_id": self.staff}
        self.event("conversation.resolved", **by)
        if pen.chance(0.06):
            self.clock += pen.minutes_about(120)
            self.event("conversation.reopened")
            self.ask(first=False)
            self.by_ai, by = False, {"staff_id": self.staff}
            self.answer()
            self.clock += pen.minutes_about(10)
            self.event("conversation.resolved", **by)
        if pen.chance(0.4):
            self.survey(pen.name("s"), by)
        if pen.chance(0.7):
            self.event("conversation.closed", self.clock + pen.minutes_about(26 * 60, 0.2), **by)

    def survey(self, survey: str, by: dict[str, Any]) -> None:
        """Ask for a rating; the hotspot's are worse."""
        pen = self.pen
        at = self.clock + pen.seconds(60, 600)
        self.event("satisfaction.survey_sent", at, survey_id=survey, **by)
        if not pen.chance(0.55):
            return
        at += pen.minutes_about(40, 1.2)
        weights = (5, 4, 3, 2, 1) if self.room == pen.profile.hotspot else (1, 1, 3, 8, 12)
        stars = pen.rng.choices((1, 2, 3, 4, 5), weights)[0]
        self.event("satisfaction.rating_received", at, survey_id=survey, value=float(stars), **by)
        if pen.chance(0.2):
            words = {"text": "Thank you!" if stars > 3 else "That took too long."}
            self.event(
                "satisfaction.feedback_received", at + pen.seconds(5, 90), survey_id=survey, attributes=words, **by
            )


def write_receipts(pen: Pen, sent: datetime, message: str, about: dict[str, Any]) -> bool:
    """Write what became of a message where its channel says so; return whether it arrived, as far as anybody knows."""
    if about["channel"] not in RECEIPTS:
        return True
    at = sent + pen.seconds(0.3, 6)
    if pen.chance(0.02):
        pen.write("message.failed", at, message_id=message, **about)
        return False
    if pen.chance(0.98):
        pen.write("message.delivered", at, message_id=message, **about)
    if about["channel"] in READ_RECEIPTS and pen.chance(0.72):
        pen.write("message.read", at + pen.minutes_about(9, 1.3), message_id=message, **about)
    return True
