"""What can be news: a table of numbers, with a sentence for each direction and floors.

A number is news only beyond its noise (`query/usual_stretch.py`) and beyond these floors: `least_n` things in it, and `least`
distance from usual. The metric itself says which direction is bad.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Candidate:
    """A number that can be news. `up` and `down` begin its sentence, with `{value}` and `{slice}`; empty: never news.

    `least`: for shares the difference from usual (0.05 is 5 points), for all else the ratio. `by`: a dimension whose values are
    judged one by one. `weight`: how much people mind. `name`: its name in a list. `things`: what it counts or averages over.
    `burst` begins its sentence where a few days carry the change, with `{was}` or `{were}`, `{level}` and `{days}`;
    empty: never.
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
    burst: str = ""


CANDIDATES: tuple[Candidate, ...] = (
    Candidate(
        "csat", "satisfaction", "Satisfaction rose to {value}", "Satisfaction fell to {value}", least_n=20, least=0.05,
        things="ratings", weight=1.5, burst="Satisfaction {was} {level} {days}: {value}",
    ),
    Candidate(
        "first_response_ms.p50", "median first response", "The median first response rose to {value}",
        "The median first response fell to {value}", least_n=20, least=1.25, things="conversations", weight=1.2,
        burst="The median first response {was} {level} {days}: {value}",
    ),
    Candidate(
        "first_response_ms.p90", "slowest first responses", "9 in 10 got a first response within {value}",
        "9 in 10 got a first response within {value}", least_n=40, least=1.25, things="conversations",
        burst="The slowest first responses {were} {level} {days}: 9 in 10 within {value}",
    ),
    Candidate(
        "escalation_rate", "escalations", "Escalations rose to {value} of conversations",
        "Escalations fell to {value} of conversations", least_n=30, least=0.04, things="conversations", weight=1.2,
        burst="Escalations {were} {level} {days}: {value} of conversations",
    ),
    Candidate(
        "delivery_rate", "delivery", "Delivery rose to {value}", "Delivery fell to {value}",
        least_n=50, least=0.02, things="messages", weight=1.2, burst="Delivery {was} {level} {days}: {value}",
    ),
    Candidate(
        "classifications", "topics", "{slice} came up in {value} messages", "", least_n=20, least=2, by="topic",
        burst="{slice} {was} frequent {days}: {value} messages",
    ),
    Candidate(
        "messages", "messages", "Messages rose to {value}", "Messages fell to {value}", 20, 1.2,
        burst="There {were} {level} messages {days}: {value}",
    ),
    Candidate(
        "conversations_started", "conversations", "New conversations rose to {value}", "New conversations fell to {value}", 20,
        1.2, burst="There {were} {level} new conversations {days}: {value}",
    ),
    Candidate(
        "active_contacts", "active contacts", "Active contacts rose to {value}", "Active contacts fell to {value}", 20,
        1.2,
    ),
)  # fmt: skip
"""The order breaks ties in weighted distance from usual."""
