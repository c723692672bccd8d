"""Targets: how many answers and resolutions came within the tenant's target, how many did not, and how many wait past it now.

A spell counts under the time it began, and is judged by the target in force then (`model/target.py`). Limits are not stored: a
changed target folds nothing again. `query/targets.py` judges.
"""

from __future__ import annotations

from collections.abc import Mapping

from hubbub.metrics.conversations import EPISODE, STATE
from hubbub.metrics.definition import Better, Fact, Judged, Metric, Ratio, Rollup, State, Stored, Unit
from hubbub.metrics.responses import RESPONSE
from hubbub.model.target import Aim

WAITS: Mapping[str, tuple[Aim, bool]] = {
    "first_response_ms": (Aim.FIRST_RESPONSE, False), "first_response_business_ms": (Aim.FIRST_RESPONSE, True),
    "response_ms": (Aim.NEXT_RESPONSE, False), "response_business_ms": (Aim.NEXT_RESPONSE, True),
    "resolution_ms": (Aim.RESOLUTION, False), "resolution_business_ms": (Aim.RESOLUTION, True),
}  # fmt: skip
"""Distribution of waits -> the aim whose targets judge them, and whether it counts business hours only."""
FOREVER = 2**62
"""The end of a wait or state that goes on, as in the store."""
_RULE = (
    "Each counts under the time it began, by the most specific target in force then: for its channel and priority, else its "
    "priority, else its channel, else for all. A wait of exactly the target is within it. One that still goes on counts as a "
    "breach from the moment it passes the target, and not at all before; until then its window is provisional. One that a "
    "resolve or close ended within the target, without an answer, does not count. A message labelled closing starts none."
)
_UNJUDGED = "Null without a target, or with one in business hours where the tenant had no calendar."

_ANSWERED = """
    SELECT tenant, asked_at AS began, anchor AS ended, nullif(anchor, anchor) AS waited_until, id AS spell_id,
        conversation_id, channel, channel_id, account_id, staff_id, responder, priority
    FROM response
    UNION ALL
    SELECT tenant, time - duration_ms * 1000 AS began, time AS ended, NULL AS waited_until, id AS spell_id, conversation_id,
        channel, channel_id, account_id, staff_id, CASE WHEN kind = 'ai' THEN 'ai' ELSE 'person' END AS responder,
        severity AS priority
    FROM event WHERE type = 'response.time_recorded' AND duration_ms IS NOT NULL
"""
_UNANSWERED = (
    "SELECT s.tenant, s.began, NULL, s.until, s.id, s.id, s.channel, NULL, s.account_id, NULL, NULL, s.priority"
)
_CLOSED = "c.tenant = s.tenant AND c.entity = s.entity AND c.id = s.id AND c.state = 'closed' AND c.since = s.until"

WAITING_SPELL = Fact(
    name="waiting_spell",
    subjects=RESPONSE.subjects,
    doc="A wait for a public reply, from the first unanswered inbound message: answered, still waiting, or ended by a resolve or "
    "close.",
    key="spell_id",
    id="spell_id",
    view=f"""
        {_ANSWERED}
        UNION ALL
        {_UNANSWERED}
        FROM state AS s
        WHERE s.state = 'waiting' AND s.entity = 'conversation'
            AND (s.until = {FOREVER} OR EXISTS (SELECT 1 FROM state AS c WHERE {_CLOSED}))
            AND NOT EXISTS (
                SELECT 1 FROM response AS r WHERE r.tenant = s.tenant AND r.conversation_id = s.id
                    AND r.asked_at <= s.began AND r.anchor > s.began)
    """,
    by_joins=f"""
        {_ANSWERED}
        UNION ALL
        {_UNANSWERED}
        FROM state AS s
        LEFT JOIN state AS c ON {_CLOSED}
        LEFT JOIN (
            SELECT DISTINCT w.tenant AS tenant, w.id AS id, w.began AS began FROM state AS w
            JOIN response AS r ON r.tenant = w.tenant AND r.conversation_id = w.id
            WHERE w.tenant = :tenant AND w.state = 'waiting' AND w.began >= :low AND w.began < :high
                AND r.asked_at <= w.began AND r.anchor > w.began
        ) AS a ON a.tenant = s.tenant AND a.id = s.id AND a.began = s.began
        WHERE s.state = 'waiting' AND s.entity = 'conversation' AND (s.until = {FOREVER} OR c.id IS NOT NULL) AND a.id IS NULL
    """,
)

FIRST_SPELL = Fact(
    name="first_spell",
    subjects=EPISODE.subjects,
    doc="The wait for the first answer of an episode: answered, still waiting, or ended by a resolve or close. The wait of a "
    "message that began a later episode belongs to that episode.",
    key="spell_id",
    id="spell_id",
    view="""
        SELECT e.tenant AS tenant, e.first_inbound AS began, e.first_reply_at AS ended, s.until AS waited_until, e.id AS spell_id,
            e.conversation_id AS conversation_id, e.channel AS channel, e.channel_id AS channel_id, e.account_id AS account_id,
            e.first_staff_id AS staff_id,
            CASE WHEN e.first_reply_at IS NOT NULL THEN e.responder END AS responder, e.first_priority AS priority
        FROM episode AS e
        LEFT JOIN state AS s ON s.tenant = e.tenant AND s.entity = 'conversation' AND s.id = e.conversation_id
            AND s.state = 'waiting' AND s.began = e.first_inbound AND e.first_reply_at IS NULL
        LEFT JOIN episode AS n ON n.tenant = e.tenant AND n.conversation_id = e.conversation_id AND n.anchor = e.first_inbound
            AND e.anchor <> e.first_inbound
        WHERE e.first_inbound IS NOT NULL AND n.id IS NULL
    """,
)

RESOLUTION_SPELL = Fact(
    name="resolution_spell",
    subjects=EPISODE.subjects,
    doc="An episode from its beginning to its last resolve: resolved, still going on, or closed without one.",
    key="spell_id",
    id="spell_id",
    view=f"""
        SELECT e.tenant AS tenant, e.anchor AS began, e.resolved_at AS ended, coalesce(c.since, {FOREVER}) AS waited_until,
            e.id AS spell_id, e.conversation_id AS conversation_id, e.channel AS channel, e.channel_id AS channel_id,
            e.account_id AS account_id, e.staff_id AS staff_id, e.priority AS priority
        FROM episode AS e
        LEFT JOIN state AS c ON c.tenant = e.tenant AND c.entity = 'conversation' AND c.id = e.conversation_id
            AND c.state = 'closed' AND c.until = {FOREVER} AND e.resolved_at IS NULL
    """,
)


def _judged(aim: Aim, source: Fact, what: str, dimensions: tuple[str, ...], title: str) -> Rollup:
    """Return the rollup of an aim; `what`: its spells in texts, in the plural."""
    within, breaches = f"{aim}_within_target", f"{aim}_breaches"
    metrics: dict[str, Metric] = {
        within: Ratio(
            f"{what} within the tenant's target / those that a target judged. {_RULE} {_UNJUDGED}",
            Unit.SHARE, over={within: 1}, under=f"{aim}_judged", title=f"{title} within target", better=Better.HIGHER,
        ),
        breaches: Stored(
            f"{what} past the tenant's target. {_RULE} {_UNJUDGED}",
            Unit.COUNT, measure=breaches, title=f"{title}s past target", better=Better.LOWER,
        ),
    }  # fmt: skip
    return Rollup(
        name=f"{aim}_targets",
        doc=f"{what}, judged by the tenant's targets, under the time they began.",
        source=source,
        anchor="began",
        dimensions=dimensions,
        measures={
            f"{aim}_judged": Judged(f"{what} that a target judged.", Unit.COUNT),
            within: Judged(f"{what} within their target.", Unit.COUNT, within=True),
            breaches: Judged(f"{what} past their target.", Unit.COUNT, within=False),
        },
        metrics=metrics,
        aim=aim,
    )


_PLACES = ("channel", "channel_id", "account_id", "priority", "staff_id")
FIRST_RESPONSE_TARGETS = _judged(
    Aim.FIRST_RESPONSE, FIRST_SPELL, "First answers of episodes", (*_PLACES, "responder"), "First response"
)
NEXT_RESPONSE_TARGETS = _judged(
    Aim.NEXT_RESPONSE, WAITING_SPELL, "Answers to waiting contacts", (*_PLACES, "responder"), "Response"
)
RESOLUTION_TARGETS = _judged(Aim.RESOLUTION, RESOLUTION_SPELL, "Resolutions of episodes", _PLACES, "Resolution")

PAST_TARGET = Rollup(
    name="past_target",
    doc="Conversations that have waited longer than the tenant's target allows.",
    source=STATE,
    dimensions=("channel", "account_id", "priority", "conversation_id"),
    hidden=("conversation_id",),
    measures={},
    metrics={
        "waiting_past_target": State(
            "Open conversations at the end of the window (or now) that have waited for a reply longer than the tenant's target for "
            "the next response allows, or its target for the first response if the wait is an episode's first; by the target in "
            "force when the wait began. Null without such a target.",
            Unit.COUNT, held=("conversation", "waiting"), past_target=True, title="Waiting past target", better=Better.LOWER,
        ),
    },
)  # fmt: skip

ROLLUPS = (FIRST_RESPONSE_TARGETS, NEXT_RESPONSE_TARGETS, RESOLUTION_TARGETS, PAST_TARGET)
