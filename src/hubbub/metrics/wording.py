"""The words of a kind of source: in Slack a conversation is a thread, a contact a member, a room a channel.

One table for all who speak of numbers: news, cards, reports and mails. Names from outside are never changed, only our own texts.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from hubbub.metrics.catalogue import title_of


@dataclass(frozen=True, slots=True)
class Wording:
    """The words of tenants of a kind: titles of metrics, and words in place of the common ones (in lower case)."""

    titles: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    only_channel: str = ""
    """The only channel that these tenants have, of which pages say nothing; empty for any number."""

    def title(self, metric: str) -> str:
        """Return the title of a metric."""
        return self.titles.get(metric) or self.text(title_of(metric))

    def text(self, text: str) -> str:
        """Return one of our texts in these words."""
        if not self.words:
            return text
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
            "conversations_started": "Threads",
            "waiting_conversations": "Threads without a reply",
            "first_response_ms.p50": "First reply, median",
            "first_response_ms.p90": "First reply, 9 in 10 within",
            "first_response_ms.within_1d": "Replied within a day",
            "question_answer_rate": "Questions answered",
            "questions_unanswered": "Without an answer",
            "active_contacts": "Members who wrote",
        },
        words={
            "conversation": "thread", "conversations": "threads", "contact": "member", "contacts": "members",
            "room": "channel", "rooms": "channels", "first response": "first reply", "first responses": "first replies",
            "channels and rooms": "channels", "channel · room": "channel", "channel with one room": "channel",
        },
        only_channel=SLACK,
    ),
}  # fmt: skip
"""By kind: of a tenant whose messages are all Slack's, else the common one."""


def kind_of(channels: Collection[str | None]) -> str:
    """Return the kind of a tenant with messages of these channels."""
    return SLACK if set(channels) == {SLACK} else COMMON
