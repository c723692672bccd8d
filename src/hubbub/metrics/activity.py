"""Activity: every event by type, published content, and numbers that sources observe (page insights)."""

from __future__ import annotations

from hubbub.metrics.definition import Count, Extreme, Fact, Ratio, Rollup, Stored, Sum, Unit

ACTIVITY = Fact(
    name="activity",
    doc="Every event, of any type.",
    view="""
        SELECT tenant, time AS anchor, ident, id, type, channel, account_id FROM event
    """,
)

OBSERVATION = Fact(
    name="observation",
    subjects=("metric",),
    doc="A number that a source observed (metric.observed), with its name.",
    view="""
        SELECT tenant, time AS anchor, ident, id, name, value, channel, channel_id, account_id FROM event
        WHERE type = 'metric.observed' AND value IS NOT NULL
    """,
)

EVENTS = Rollup(
    name="activity",
    doc="Events by type, under their own time.",
    source=ACTIVITY,
    dimensions=("type", "channel", "account_id"),
    measures={"events": Count("Events.", Unit.COUNT)},
    metrics={"events": Stored("Events of any type, bots and system included.", Unit.COUNT, measure="events")},
)

OBSERVATIONS = Rollup(
    name="observations",
    doc="Observed numbers by name.",
    source=OBSERVATION,
    dimensions=("name", "channel", "channel_id", "account_id"),
    measures={
        "observations": Count("Observations.", Unit.COUNT),
        "observed": Sum("Values, summed.", Unit.NUMBER, "value"),
        "observed_min": Extreme("Smallest value.", Unit.NUMBER, "value"),
        "observed_max": Extreme("Largest value.", Unit.NUMBER, "value", largest=True),
    },
    metrics={
        "observations": Stored("Numbers observed by sources.", Unit.COUNT, measure="observations"),
        "observed_sum": Stored("Sum of observed values.", Unit.NUMBER, measure="observed", divide=Sum.SCALE),
        "observed_avg": Ratio(
            "Mean of observed values.", Unit.NUMBER, over={"observed": 1}, under="observations", factor=1e-6
        ),
        "observed_min": Stored("Smallest observed value.", Unit.NUMBER, measure="observed_min"),
        "observed_max": Stored("Largest observed value.", Unit.NUMBER, measure="observed_max"),
    },
)

ROLLUPS = (EVENTS, OBSERVATIONS)
