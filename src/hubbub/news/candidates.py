"""What can be news: a table of numbers, with the words for each way it may go, and how much of it there must be.

A number is news beyond its own noise alone (`query/usual_stretch.py`). The floors here say from where on that matters to people:
`least_n` things that it goes over, and `least`, how far from usual it must be. Which way is bad is said by the metric itself.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Candidate:
    """A number that can be news. `up` and `down` begin its sentence, with `{value}` and `{slice}`; empty: that way is none.

    `least`: of shares as much more or less (0.05 is 5 points), of all else so many times as much or as little as usual.
    `by` is a dimension of which each value is judged for itself, `weight` how much people mind. `name` is what it is called among
    others, `things` what it goes over.
    """

    metric: str
    name: str
    up: str
    down: str
    least_n: int
    least: float
    things: str = ""
    by: str = ""
    weight: float = 1.0


CANDIDATES: tuple[Candidate, ...] = (
    Candidate(
        "csat", "satisfaction", "Satisfaction rose to {value}", "Satisfaction fell to {value}", least_n=20, least=0.05,
        things="ratings", weight=1.5,
    ),
    Candidate(
        "first_response_ms.p50", "median first response", "The median first response rose to {value}",
        "The median first response fell to {value}", least_n=20, least=1.25, things="conversations", weight=1.2,
    ),
    Candidate(
        "first_response_ms.p90", "slowest first responses", "9 in 10 got a first response within {value}",
        "9 in 10 got a first response within {value}", least_n=40, least=1.25, things="conversations",
    ),
    Candidate(
        "escalation_rate", "escalations", "Escalations rose to {value} of conversations",
        "Escalations fell to {value} of conversations", least_n=30, least=0.04, things="conversations", weight=1.2,
    ),
    Candidate(
        "delivery_rate", "delivery", "Delivery rose to {value}", "Delivery fell to {value}",
        least_n=50, least=0.02, things="messages", weight=1.2,
    ),
    Candidate(
        "classifications", "topics", "{slice} came up in {value} messages", "", least_n=20, least=2, by="topic",
    ),
    Candidate("messages", "messages", "Messages rose to {value}", "Messages fell to {value}", 20, 1.2),
    Candidate(
        "conversations_started", "conversations", "New conversations rose to {value}", "New conversations fell to {value}", 20,
        1.2,
    ),
    Candidate(
        "active_contacts", "active contacts", "Active contacts rose to {value}", "Active contacts fell to {value}", 20,
        1.2,
    ),
)  # fmt: skip
"""Of numbers that are as far from usual by their weight, the first one comes first."""
