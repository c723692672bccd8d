"""The cards at the top of a report: a few numbers of its summary, each with its change and usual range."""

from __future__ import annotations

from dataclasses import dataclass

from hubbub.reports.document import Document
from hubbub.reports.formatting import shown
from hubbub.reports.introduction import Introduction
from hubbub.reports.layout import change_in_words, summary_rows, usual_in_words
from hubbub.reports.tables import Row

CARDS = (
    "csat", "first_response_ms.p50", "conversations_started", "conversations_resolved", "messages_received", "messages_sent",
    "active_contacts", "escalation_rate",
)  # fmt: skip
"""Metrics of the summary that can be a card, in order of preference."""
MOST = 4


@dataclass(frozen=True, slots=True)
class Card:
    """A number of the summary as texts: title, value, change and usual range. `way`: see `Beside.way`."""

    metric: str
    title: str
    value: float
    text: str
    change: str
    way: str
    foot: str


def cards(document: Document) -> list[Card]:
    """Return up to four known numbers of the summary; the metric that leads the news is first."""
    known = {row["metric"]: row for row in summary_rows(document) if row["value"] is not None}
    order = sorted((name for name in CARDS if name in known), key=lambda name: name != document.introduction.leading)
    return [_card(known[name], document.introduction) for name in order[:MOST]]


def _card(row: Row, introduction: Introduction) -> Card:
    beside = introduction.usual(row["metric"])
    usual, n = usual_in_words(beside, row["unit"]), row["n"]
    foot = " · ".join(filter(None, (usual and f"usual {usual}", f"n = {n:,}" if n else "")))
    text = shown(row["value"], row["unit"])
    return Card(
        row["metric"], introduction.title(row["metric"]), row["value"], text, change_in_words(row), beside.way, foot
    )  # fmt: skip
