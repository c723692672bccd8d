"""AI outcomes: conversations that AI contained, resolved or handed off, how long that lasted, and what AI replies cost."""

from __future__ import annotations

from fractions import Fraction

from hubbub.metrics.conversations import EPISODE, LASTING
from hubbub.metrics.definition import NOW, Better, Count, Fact, Ratio, Rollup, Stored, Sum, Unit
from hubbub.model.tenant import Tenant

HOUR = 3_600_000_000
"""Microseconds."""


def _hours_saved(tenant: Tenant) -> Fraction | None:
    """Return the hours of a person's work that the tenant assumes for an episode handled by AI; None without an assumption.

    A fraction, so that 142 times 6 minutes are 14.2 hours, and not 14.200000000000001.
    """
    return None if tenant.ai_minutes_saved is None else Fraction(str(tenant.ai_minutes_saved)) / 60


AI_OUTCOMES = Rollup(
    name="ai_outcomes",
    doc="AI-involved episodes under the time they began, and their outcomes.",
    source=EPISODE,
    where="f.anchor IS NOT NULL AND f.ai_involved",
    dimensions=("channel", "channel_id", "account_id"),
    measures={
        "ai_involved": Count("AI-involved episodes begun.", Unit.COUNT),
        **{
            f"ai_handled{ending}": Count(f"Of these, resolved by AI alone for {text}.", Unit.COUNT, f"f.ai_resolved{ending}")
            for ending, (text, _) in LASTING.items()
        },
        "ai_escalated": Count("AI-involved episodes that went to people.", Unit.COUNT, "f.ai_escalated"),
        "ai_contained": Count("AI-involved episodes that never went to people.", Unit.COUNT, "NOT f.ai_escalated"),
        **{
            f"ai_assumed{ending}": Count(
                f"Of these with AI, not resolved by AI alone for {text}, and silent that long after an AI reply.", Unit.COUNT,
                f"NOT f.ai_resolved{ending} AND (f.longest_silence > {hours * HOUR} OR {NOW} - f.silent_since > {hours * HOUR})",
            )
            for ending, (text, hours) in LASTING.items()
        },
        "ai_resolved_alone": Count(
            "AI-involved episodes resolved before people took over.", Unit.COUNT, "f.ai_resolved_at IS NOT NULL"
        ),
        "ai_reopened": Count("Of these, reopened or returned to within 7 days.", Unit.COUNT, "f.ai_reopened"),
    },
    metrics={
        "ai_involved": Stored("Episodes begun in which AI replied.", Unit.COUNT, measure="ai_involved", title="AI conversations"),
        **{
            f"ai_handled{ending}": Stored(
                "AI-involved episodes begun, and resolved with no human reply, hand-off or escalation, that nobody reopened or "
                f"came back to within {text} of the resolve.",
                Unit.COUNT, measure=f"ai_handled{ending}", title=f"Handled by AI{f' for {text}' if ending else ''}",
            )
            for ending, (text, _) in LASTING.items()
        },
        "ai_escalated": Stored("AI-involved episodes that people took over.", Unit.COUNT, measure="ai_escalated"),
        **{
            f"ai_resolution_rate{ending}": Ratio(
                f"AI-involved episodes resolved by AI alone, for at least {text} / AI-involved episodes begun.",
                Unit.SHARE, over={f"ai_handled{ending}": 1}, under="ai_involved", better=Better.HIGHER,
                title=f"AI resolution rate ({text})",
            )
            for ending, (text, _) in LASTING.items()
        },
        "ai_contained": Stored(
            "AI-involved episodes begun, without a human reply, hand-off or escalation, resolved or not.",
            Unit.COUNT, measure="ai_contained", title="Contained by AI",
        ),
        "ai_containment_rate": Ratio(
            "AI-involved episodes that never went to people / AI-involved episodes begun.",
            Unit.SHARE, over={"ai_contained": 1}, under="ai_involved", better=Better.HIGHER, title="AI containment rate",
        ),
        **{
            f"ai_assumed{ending}": Stored(
                f"AI-involved episodes begun in which the contact was silent for more than {text} after an AI reply, before "
                f"people took over, and that no resolve confirmed for {text}. A later return changes nothing.",
                Unit.COUNT, measure=f"ai_assumed{ending}",
                title=f"Assumed resolved by AI{f' for {text}' if ending else ''}",
            )
            for ending, (text, _) in LASTING.items()
        },
        **{
            f"ai_assumed_resolution_rate{ending}": Ratio(
                f"AI-involved episodes resolved by AI alone for {text}, confirmed by a resolve or assumed from silence / "
                "AI-involved episodes begun.",
                Unit.SHARE, over={f"ai_handled{ending}": 1, f"ai_assumed{ending}": 1}, under="ai_involved", better=Better.HIGHER,
                title=f"AI resolution rate with assumed ({text})",
            )
            for ending, (text, _) in LASTING.items()
        },
        "ai_reopened": Stored(
            "AI-involved episodes begun that were resolved before people took over, and reopened or returned to within 7 days "
            "of that resolve.",
            Unit.COUNT, measure="ai_reopened", title="Reopened after AI", better=Better.LOWER,
        ),
        "ai_reopen_rate": Ratio(
            "Of AI-involved episodes resolved before people took over, the share reopened or returned to within 7 days.",
            Unit.SHARE, over={"ai_reopened": 1}, under="ai_resolved_alone", better=Better.LOWER, title="AI reopen rate",
        ),
        "ai_hours_saved": Stored(
            "Episodes handled by AI (`ai_handled`), times the minutes that the tenant assumes one would take a person (setting "
            "`ai_minutes_saved`), in hours. Null without that assumption.",
            Unit.NUMBER, measure="ai_handled", times=_hours_saved, title="Hours saved by AI (assumed)", better=Better.HIGHER,
        ),
    },
)  # fmt: skip

AI_HAND_OFFS = Rollup(
    name="ai_hand_offs",
    doc="AI-involved episodes that went to people, under the time of the first hand-off, escalation or human reply.",
    source=EPISODE,
    anchor="handed_off_at",
    where="f.handed_off_at IS NOT NULL",
    dimensions=("channel", "channel_id", "account_id", "handed_off_by", "reason"),
    measures={"ai_hand_offs": Count("Hand-offs.", Unit.COUNT)},
    metrics={
        "ai_hand_offs": Stored(
            "AI-involved episodes that went to people, dated by the first escalation, assignment or human reply. By "
            "`handed_off_by` (`ai`, `agent`, `contact`, as far as the event says so) and the first `reason` given.",
            Unit.COUNT, measure="ai_hand_offs", title="AI hand-offs",
        ),
    },
)  # fmt: skip

AI_REPLY = Fact(
    name="ai_reply",
    subjects=("response",),
    doc="A reply generated by AI (response.ai_generated), with its model, tokens and cost as far as its source reports them.",
    view="""
        SELECT tenant, time AS anchor, ident, id, channel, channel_id, account_id, name AS model, input_tokens, output_tokens,
            value AS cost
        FROM event WHERE type = 'response.ai_generated'
    """,
)

AI_USAGE = Rollup(
    name="ai_usage",
    doc="Replies generated by AI, with their tokens and cost.",
    source=AI_REPLY,
    dimensions=("channel", "channel_id", "account_id", "model"),
    measures={
        "ai_replies": Count("Replies.", Unit.COUNT),
        "metered": Count("Of these, with a count of tokens.", Unit.COUNT, "coalesce(f.input_tokens, f.output_tokens) IS NOT NULL"),
        "priced": Count("Of these, with a cost.", Unit.COUNT, "f.cost IS NOT NULL"),
        "input_tokens": Sum("Input tokens.", Unit.COUNT, "input_tokens", known=True),
        "output_tokens": Sum("Output tokens.", Unit.COUNT, "output_tokens", known=True),
        "cost": Sum("Costs.", Unit.NUMBER, "cost", known=True),
        "cost_sum": Sum("Costs, 0 where unknown.", Unit.NUMBER, "cost"),
    },
    metrics={
        "ai_replies": Stored(
            "Replies generated by AI (response.ai_generated).", Unit.COUNT, measure="ai_replies", title="AI replies"
        ),
        "ai_input_tokens": Stored(
            "Input tokens of AI replies; null where no reply reports them.",
            Unit.COUNT, measure="input_tokens", divide=Sum.SCALE, title="AI input tokens",
        ),
        "ai_output_tokens": Stored(
            "Output tokens of AI replies; null where no reply reports them.",
            Unit.COUNT, measure="output_tokens", divide=Sum.SCALE, title="AI output tokens",
        ),
        "ai_cost": Stored(
            "Cost of AI replies as reported (`value`), in the currency of the source; null where no reply reports one.",
            Unit.NUMBER, measure="cost", divide=Sum.SCALE, title="AI cost", better=Better.LOWER,
        ),
        "ai_cost_per_reply": Ratio(
            "Reported cost / AI replies that report one.",
            Unit.NUMBER, over={"cost_sum": 1}, under="priced", factor=1e-6, title="AI cost a reply", better=Better.LOWER,
        ),
        "ai_usage_coverage": Ratio(
            "AI replies that report tokens / AI replies.",
            Unit.SHARE, over={"metered": 1}, under="ai_replies", title="AI usage coverage",
        ),
    },
)  # fmt: skip

ROLLUPS = (AI_OUTCOMES, AI_HAND_OFFS, AI_USAGE)
