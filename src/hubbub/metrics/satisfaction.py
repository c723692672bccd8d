"""Satisfaction: surveys, ratings, CSAT and NPS."""

from __future__ import annotations

from hubbub.metrics.definition import Better, Count, Fact, Ratio, Rollup, Stored, Unit

SURVEY = Fact(
    name="survey",
    subjects=("satisfaction",),
    doc="A survey with its last valid rating. A 5-point rating is valid from 1 to 5; an answer on scale 10 from 0 to 10. A rating "
    "without a staff member is credited to whoever replied last before it in its conversation.",
    key="survey",
    id="survey",
    event="coalesce(e.survey_id, e.id) = f.survey AND e.type LIKE 'satisfaction.%'",
    view="""
        SELECT tenant, survey, channel, account_id, staff_id, sent_at, rated_at, rating, scale FROM survey
    """,
)

FIVE = "f.scale = 5 AND f.rating = {n}"

SURVEYS = Rollup(
    name="surveys",
    doc="Surveys under the time of sending.",
    source=SURVEY,
    anchor="sent_at",
    where="f.sent_at IS NOT NULL",
    dimensions=("channel", "account_id", "staff_id"),
    measures={
        "surveys_sent": Count("Surveys sent.", Unit.COUNT),
        "surveys_answered": Count("Of these, answered.", Unit.COUNT, "f.rated_at IS NOT NULL"),
    },
    metrics={
        "surveys_sent": Stored("Surveys sent.", Unit.COUNT, measure="surveys_sent"),
        "surveys_answered": Stored(
            "Surveys sent that were answered at any time.", Unit.COUNT, measure="surveys_answered"
        ),
        "survey_response_rate": Ratio(
            "Answered / sent surveys.",
            Unit.SHARE,
            over={"surveys_answered": 1},
            under="surveys_sent",
            better=Better.HIGHER,
        ),
    },
)

RATINGS = Rollup(
    name="ratings",
    doc="The last valid rating of each survey, under the time of the rating.",
    source=SURVEY,
    anchor="rated_at",
    where="f.rated_at IS NOT NULL",
    dimensions=("channel", "account_id", "staff_id"),
    measures={
        "ratings": Count("Valid 5-point ratings.", Unit.COUNT, "f.scale = 5 AND f.rating IN (1, 2, 3, 4, 5)"),
        **{f"rating_{n}": Count(f"Ratings of {n}.", Unit.COUNT, FIVE.format(n=n)) for n in range(1, 6)},
        "nps_answers": Count("Valid 0-10 answers.", Unit.COUNT, "f.scale = 10 AND f.rating BETWEEN 0 AND 10"),
        "promoters": Count("Answers of 9 or 10.", Unit.COUNT, "f.scale = 10 AND f.rating BETWEEN 9 AND 10"),
        "detractors": Count("Answers of 0 to 6.", Unit.COUNT, "f.scale = 10 AND f.rating >= 0 AND f.rating < 7"),
    },
    metrics={
        "ratings": Stored("Valid ratings (1 to 5), the last per survey.", Unit.COUNT, measure="ratings"),
        **{f"rating_{n}": Stored(f"Ratings of {n}.", Unit.COUNT, measure=f"rating_{n}") for n in range(1, 6)},
        "rating_avg": Ratio(
            "Mean of valid ratings (1 to 5).", Unit.SCORE, over={f"rating_{n}": n for n in range(1, 6)}, under="ratings",
            title="Mean rating", better=Better.HIGHER
        ),
        "csat": Ratio(
            "Ratings of 4 and 5 / valid ratings, dated by the rating, the last per survey.",
            Unit.SHARE, over={"rating_4": 1, "rating_5": 1}, under="ratings", title="Satisfied", better=Better.HIGHER,
        ),
        "nps_score": Ratio(
            "(share of 5) - (share of 1 to 3), times 100; 4 is passive. Derived from a 5-point scale, not a true NPS.",
            Unit.INDEX, over={"rating_5": 1, "rating_1": -1, "rating_2": -1, "rating_3": -1}, under="ratings", factor=100,
            title="NPS", better=Better.HIGHER,
        ),
        "nps_answers": Stored("Valid answers on a 0-10 scale.", Unit.COUNT, measure="nps_answers"),
        "nps10_score": Ratio(
            "(share of 9-10) - (share of 0-6) of 0-10 answers, times 100; never mixed with the 5-point scale.",
            Unit.INDEX, over={"promoters": 1, "detractors": -1}, under="nps_answers", factor=100,
            title="NPS (0 to 10)", better=Better.HIGHER,
        ),
    },
)  # fmt: skip

ROLLUPS = (SURVEYS, RATINGS)
