"""The words of a kind of source: in Slack a conversation is a thread, a contact a member, a room a channel, one of
the staff a replier: whoever replies in a thread that somebody else began.

News, cards, reports and mails share this table. It changes only Hubbub's own texts, never names from outside.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from hubbub.metrics.catalogue import title_of


@dataclass(frozen=True, slots=True)
class Wording:
    """The wording for a kind of tenant: titles of metrics, and common word (in lower case) -> word in its place.

    `alone`: texts that are replaced as a whole, where a word has another form as a title.
    """

    titles: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    alone: Mapping[str, str] = field(default_factory=dict)
    only_channel: str = ""
    """The only channel of these tenants, which pages need not name; empty: they may have any channels."""

    def title(self, metric: str) -> str:
        """Return the title of a metric."""
        return self.titles.get(metric) or self.text(title_of(metric))

    def text(self, text: str) -> str:
        """Return one of our texts in these words."""
        if not self.words:
            return text
        if text in self.alone:
            return self.alone[text]
        longest_first = sorted(self.words, key=len, reverse=True)
        return re.sub(rf"\b({'|'.join(longest_first)})\b", self._word, text, flags=re.IGNORECASE)

    def _word(self, place: re.Match[str]) -> str:
        word = self.words[place[0].lower()]
        return word[:1].upper() + word[1:] if place[0][:1].isupper() else word


COMMON = "common"
SLACK = "slack"
WORDINGS: Mapping[str, Wording] = {
    COMMON: Wording(),
    SLACK: Wording(
        titles={
            "conversations_started": "New threads",
            "waiting_conversations": "Threads waiting",
            "first_response_ms.p50": "First reply, median",
            "first_response_ms.p90": "First reply, 9 in 10 within",
            "first_response_ms.within_1d": "Replied within a day",
            "question_answer_rate": "Questions answered",
            "questions_unanswered": "Questions without an answer",
            "active_contacts": "Active members",
        },
        words={
            "conversation": "thread", "conversations": "threads", "contact": "member", "contacts": "members",
            "room": "channel", "rooms": "channels", "first response": "first reply", "first responses": "first replies",
            "channels and rooms": "channels", "channel · room": "channel", "channel with one room": "channel",
            "staff": "repliers", "by staff": "by replier", "staff member": "replier",
        },
        alone={"Staff": "Replier"},
        only_channel=SLACK,
    ),
}  # fmt: skip
"""Kind of tenant -> its wording: SLACK where all messages are Slack's, else COMMON."""


def kind_of(channels: Collection[str | None]) -> str:
    """Return the kind of a tenant with messages of these channels."""
    return SLACK if set(channels) == {SLACK} else COMMON
