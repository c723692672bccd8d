"""Business hours: waits and resolutions, counting only the time in which the tenant was open.

Facts hold the limits of each spell (`spells`), `model/calendar.py` the open hours: open time is computed on reading, so a changed
calendar folds nothing again.
"""

from __future__ import annotations

from hubbub.metrics.conversations import EPISODE, FIRST_RESPONSES, RESOLUTIONS
from hubbub.metrics.definition import Better, Distribution, Quantiles, Rollup, Unit
from hubbub.metrics.responses import RESPONSE, RESPONSES

RESPONSES_IN_HOURS = Rollup(
    name="responses_in_hours",
    doc="The wait before each answer in the tenant's business hours, dated by the reply and credited to its sender.",
    source=RESPONSE,
    dimensions=RESPONSES.dimensions,
    measures={"response_business_ms": Distribution("Open time of the wait.", Unit.MS, "business_ms")},
    metrics={
        "response_business_ms": Quantiles(
            "The part of each wait (response_ms) in which the tenant was open, by its calendar in force at each instant; a "
            "reported duration is taken to end with its event. No value where the tenant had no calendar when the wait began.",
            Unit.MS, measure="response_business_ms", title="Response", better=Better.LOWER,
        ),
    },
)  # fmt: skip

FIRST_RESPONSES_IN_HOURS = Rollup(
    name="first_responses_in_hours",
    doc="The wait for the first answer of each episode in the tenant's business hours, dated by the reply.",
    source=EPISODE,
    anchor="first_reply_at",
    where=FIRST_RESPONSES.where,
    dimensions=FIRST_RESPONSES.dimensions,
    measures={
        "first_response_business_ms": Distribution("Open time of the wait.", Unit.MS, "first_response_business_ms")
    },
    metrics={
        "first_response_business_ms": Quantiles(
            "The part of first_response_ms in which the tenant was open, by its calendar in force at each instant. No value "
            "where the tenant had no calendar when the episode's first message came.",
            Unit.MS, measure="first_response_business_ms", title="First response", better=Better.LOWER,
        ),
    },
)  # fmt: skip

RESOLUTIONS_IN_HOURS = Rollup(
    name="resolutions_in_hours",
    doc="How long episodes took to their last resolve in the tenant's business hours, dated by that resolve.",
    source=EPISODE,
    anchor="resolved_at",
    where=RESOLUTIONS.where,
    dimensions=RESOLUTIONS.dimensions,
    measures={
        "resolution_business_ms": Distribution("Open time of the episode.", Unit.MS, "resolution_business_ms")
    },
    metrics={
        "resolution_business_ms": Quantiles(
            "The part of resolution_ms in which the tenant was open, by its calendar in force at each instant. No value where "
            "the tenant had no calendar when the episode began.",
            Unit.MS, measure="resolution_business_ms", title="Resolution", better=Better.LOWER,
        ),
    },
)  # fmt: skip

ROLLUPS = (RESPONSES_IN_HOURS, FIRST_RESPONSES_IN_HOURS, RESOLUTIONS_IN_HOURS)
