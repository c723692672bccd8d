"""The conversations of a day: messages of contacts, AI and staff, hand-offs, receipts, classifications."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hubbub.demo.scenario import READ_RECEIPTS, RECEIPTS, Story
from hubbub.demo.writer import CLOSES, OPENS, Writer

SEVERITIES = ("low", "medium", "high", "critical")
REASONS = ("refund", "late check-out", "not understood", "asked for a person")
LAST_HOUR = (55, 48, 37, 29, 24, 17, 13, 9, 6, 3)
"""Minutes before the end of the sample at which its last conversations begin."""
MODEL, PRICE_IN, PRICE_OUT = "concierge-small", 0.4e-6, 1.6e-6
"""The model that answers, and the prices of one input and one output token."""


def write_conversations(writer: Writer) -> None:
    """Write the events of conversations that begin on the day, also their events on later days."""
    scenario = writer.scenario
    busy = scenario.weekend if writer.day.weekday() >= 5 else 1.0
    for _ in range(round(scenario.conversations * busy * writer.rng.uniform(0.85, 1.15))):
        _Conversation(writer).write()
    for _ in range(scenario.calls):
        writer.write(
            "response.time_recorded", writer.at(writer.rng.uniform(OPENS, CLOSES)), channel="phone", channel_id="switchboard",
            staff_id=writer.pick(scenario.staff), contact_id=writer.contact(), duration_ms=int(writer.rng.uniform(4000, 90_000)),
        )  # fmt: skip


def write_story(writer: Writer) -> None:
    """Write the conversations of the tenant's story that begin on the day."""
    for _ in range(writer.scenario.story.conversations):
        _Conversation(writer, writer.scenario.story).write()


def write_last_hour(writer: Writer, now: datetime) -> None:
    """Write conversations of the last hour, of which half are answered in working hours and half still wait."""
    for place, minutes in enumerate(LAST_HOUR):
        _Conversation(writer).write_beginning(now - timedelta(minutes=minutes), answered=place % 2 == 0)


class _Conversation:
    def __init__(self, writer: Writer, story: Story | None = None) -> None:
        self.writer = writer
        self.story = story
        self.clock = writer.at(writer.busy_hour())
        self.channel, self.room = story.room if story else writer.rng.choice(writer.scenario.rooms)
        self.staff = writer.pick(writer.scenario.staff)
        self.by_ai = not story and writer.chance(writer.scenario.ai)
        self.contact = writer.contact()
        self.about: dict[str, Any] = {
            "channel": self.channel,
            "channel_id": self.room,
            "account_id": writer.rng.choice(writer.scenario.accounts),
            "conversation_id": writer.name("c"),
            "contact_id": self.contact,
        }

    def event(self, type: str, at: datetime | None = None, **fields: Any) -> None:
        self.writer.write(type, at or self.clock, **{**self.about, **fields})

    def write(self) -> None:
        writer = self.writer
        began_with_ai = self.by_ai
        self.event("conversation.started")
        if not self.by_ai:
            self.event("conversation.assigned", self.clock + writer.seconds(1, 60), staff_id=self.staff)
        for turn in range(writer.rng.choice((1, 1, 2, 2, 2, 3, 3, 4, 6))):
            self.ask(first=turn == 0)
            if self.by_ai and writer.chance(0.16):
                self.hand_off()
            elif not began_with_ai and writer.chance(self.story.escalates if self.story and turn == 0 else 0.03):
                self.escalate()
            if writer.chance(0.97):  # a few are never answered
                self.answer()
            self.clock += writer.minutes_about(6 if self.by_ai else 20)
        if writer.chance(0.86):
            self.end()

    def write_beginning(self, at: datetime, *, answered: bool) -> None:
        """Write only the first question to staff, at a moment, and perhaps the answer."""
        self.clock, self.by_ai = at, False
        self.event("conversation.started")
        self.event("conversation.assigned", self.clock + self.writer.seconds(1, 60), staff_id=self.staff)
        self.ask(first=True)
        if answered:
            self.answer()

    def ask(self, *, first: bool) -> None:
        writer = self.writer
        for _ in range(1 if writer.chance(0.8) else 2):
            message = writer.name("m")
            self.event("message.received", message_id=message, kind="person")
            if first or writer.chance(0.4):
                self.understand(message)
            self.clock += writer.seconds(5, 50)

    def understand(self, message: str) -> None:
        """Classify a message: intent with confidence, topic with tone. The hotspot room has many complaints."""
        writer, scenario = self.writer, self.writer.scenario
        sure = round(min(0.99, writer.rng.triangular(0.35, 1.0, 0.88)), 3)
        intent = {"message_id": message, "intent": writer.pick(scenario.intents)}
        self.event("intent.classified", self.clock + writer.seconds(0.1, 0.6), confidence=sure, **intent)
        if sure < 0.55:
            self.event("intent.confidence_low", self.clock + writer.seconds(0.6, 0.9), confidence=sure, **intent)
        elif writer.chance(0.35):
            self.event("intent.action_taken", self.clock + writer.seconds(1, 2), confidence=sure, **intent)
        angry, glad = (0.7, 0.1) if self.room == scenario.hotspot else (0.09, 0.4)
        if self.story:
            angry, glad = self.story.angry, 0.05
        tone = "negative" if writer.chance(angry) else "positive" if writer.chance(glad) else "neutral"
        topic = self.story.topic if self.story else writer.pick(scenario.topics)
        self.event(
            "topic.classified", self.clock + writer.seconds(0.2, 1.5), message_id=message, topic=topic,
            sentiment=tone, confidence=round(writer.rng.uniform(0.5, 0.99), 3),
        )  # fmt: skip

    def hand_off(self) -> None:
        self.by_ai = False
        self.escalate(kind="ai", reason=REASONS[self.clock.second % len(REASONS)])
        self.event("conversation.assigned", self.clock + self.writer.seconds(1, 30), staff_id=self.staff)

    def escalate(self, **by: Any) -> None:
        self.event("conversation.escalated", **by)
        if self.writer.chance(0.35):
            severity = self.writer.rng.choices(SEVERITIES, (4, 3, 2, 1))[0]
            self.event("escalation.raised", self.clock + self.writer.seconds(1, 20), severity=severity)

    def answer(self) -> None:
        writer, message = self.writer, self.writer.name("m")
        if self.by_ai:
            wait = writer.seconds(1.5, 14)
            self.clock += wait
            ms = wait // timedelta(milliseconds=1)
            read, wrote = 300 + ms % 900, 40 + ms % 160
            self.event(
                "response.ai_generated", message_id=message, duration_ms=ms, name=MODEL, input_tokens=read, output_tokens=wrote,
                value=round(read * PRICE_IN + wrote * PRICE_OUT, 7),
            )  # fmt: skip
            self.event("message.sent", message_id=message, kind="ai")
        else:
            self.clock = writer.in_hours(self.clock + writer.minutes_about(self.story.wait if self.story else 5))
            self.event("response.staff_sent", message_id=message, staff_id=self.staff)
            self.event("message.sent", message_id=message, staff_id=self.staff, kind="person")
        write_receipts(writer, self.clock, message, self.about)
        if writer.chance(0.05):
            emoji = {"emoji": writer.pick(("+1", "heart", "pray"))}
            self.event("message.reacted", self.clock + writer.minutes_about(3), message_id=message, attributes=emoji)

    def end(self) -> None:
        writer = self.writer
        by: dict[str, Any] = {} if self.by_ai else {"staff_id": self.staff}
        self.event("conversation.resolved", **by)
        if writer.chance(0.06):
            self.clock += writer.minutes_about(120)
            self.event("conversation.reopened")
            self.ask(first=False)
            self.by_ai, by = False, {"staff_id": self.staff}
            self.answer()
            self.clock += writer.minutes_about(10)
            self.event("conversation.resolved", **by)
        if writer.chance(self.story.surveyed if self.story else 0.4):
            self.survey(writer.name("s"), by)
        if writer.chance(0.7):
            self.event("conversation.closed", self.clock + writer.minutes_about(26 * 60, 0.2), **by)

    def survey(self, survey: str, by: dict[str, Any]) -> None:
        """Ask for a rating; those of the hotspot room are worse."""
        writer = self.writer
        at = self.clock + writer.seconds(60, 600)
        self.event("satisfaction.survey_sent", at, survey_id=survey, **by)
        if not writer.chance(0.55):
            return
        at += writer.minutes_about(40, 1.2)
        usual = (5, 4, 3, 2, 1) if self.room == writer.scenario.hotspot else (1, 1, 3, 8, 12)
        stars = writer.rng.choices((1, 2, 3, 4, 5), self.story.weights if self.story else usual)[0]
        self.event("satisfaction.rating_received", at, survey_id=survey, value=float(stars), **by)
        if writer.chance(0.2):
            words = {"text": "Thank you!" if stars > 3 else "That took too long."}
            self.event(
                "satisfaction.feedback_received", at + writer.seconds(5, 90), survey_id=survey, attributes=words, **by
            )


def write_receipts(writer: Writer, sent: datetime, message: str, about: dict[str, Any]) -> bool:
    """Write the receipts of a message if its channel has receipts; return False if it failed."""
    if about["channel"] not in RECEIPTS:
        return True
    at = sent + writer.seconds(0.3, 6)
    if writer.chance(0.02):
        writer.write("message.failed", at, message_id=message, **about)
        return False
    if writer.chance(0.98):
        writer.write("message.delivered", at, message_id=message, **about)
    if about["channel"] in READ_RECEIPTS and writer.chance(0.72):
        writer.write("message.read", at + writer.minutes_about(9, 1.3), message_id=message, **about)
    return True
