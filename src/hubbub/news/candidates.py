"""The numbers that can be news, with a sentence for each direction; and the floors of all numbers.

A number is unusual only outside its usual range (`query/usual_stretch.py`) and beyond its floors: a least number of things, and a
least distance from usual. News, colors and the numbers of yesterday use the same floors. The metric declares its better direction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hubbub.metrics.definition import Unit
from hubbub.metrics.wording import Wording

FLOORS: Mapping[Unit, tuple[int, float]] = {
    Unit.SHARE: (20, 0.05), Unit.SCORE: (20, 0.2), Unit.INDEX: (20, 5), Unit.MS: (20, 1.25), Unit.COUNT: (20, 1.2),
    Unit.NUMBER: (20, 1.2),
}  # fmt: skip
"""By unit: least number of things, and least distance from usual: a difference for shares, scores and indexes (0.05 is 5 points),
else a ratio. Numbers in the table below have their own floors."""
FEW = FLOORS[Unit.SHARE][0]
"""Least number of things behind a share or duration that is not shown in grey."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A number that can be news. `up` and `down` begin its sentence, with `{value}` and `{slice}`; empty: never news.

    `least_n` and `least`: see `FLOORS`. `by`: a dimension whose values are judged one by one. `weight`: its importance in the
    order of news. `name`: its name in a list. `things`: what it counts or averages over. `burst` begins its sentence if a few days
    account for the change, with `{was}` or `{were}`, `{level}` and `{days}`; empty: never.
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
        "first_response_ms.p90", "slowest first responses", "1 in 10 waited longer than {value} for a first response",
        "1 in 10 waited longer than {value} for a first response", least_n=40, least=1.25, things="conversations",
        burst="The slowest first responses {were} {level} {days}: 1 in 10 waited longer than {value}",
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
"""The order decides between numbers with equal weighted distances from usual."""


def in_words(candidate: Candidate, wording: Wording) -> Candidate:
    """Return a candidate with its texts in a wording."""
    name, up, down, things, burst = (
        wording.text(text) for text in (candidate.name, candidate.up, candidate.down, candidate.things, candidate.burst)
    )
    return replace(candidate, name=name, up=up, down=down, things=things, burst=burst)


def candidate_of(metric: str, by: str = "") -> Candidate | None:
    """Return the candidate of a metric, or of its values of a dimension; None if it has no sentence."""
    return next((each for each in CANDIDATES if (each.metric, each.by) == (metric, by)), None)
