"""The sections of a report, each declared by its metrics and rows.

Nothing is computed here: every number is a metric of the catalogue. To add a metric to a section, add its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hubbub.errors import BadQuestionError
from hubbub.model.event import nearest


@dataclass(frozen=True)
class Section:
    """A table of a report. Files have all its `metrics`, charts the `drawn` ones, page and PDF the `brief` ones.

    `of_targets`: a report without chosen sections omits it for tenants without targets.
    """

    name: str
    title: str
    doc: str
    metrics: tuple[str, ...]
    drawn: tuple[str, ...] = ()
    brief: tuple[str, ...] = ()
    of_targets: bool = field(default=False, kw_only=True)


@dataclass(frozen=True)
class Summary(Section):
    """A row for each metric: the period, compared with the period before."""


@dataclass(frozen=True)
class Series(Section):
    """A row for each step of the period, and the total."""


@dataclass(frozen=True)
class Ranking(Section):
    """A row for each of the first `most` values of the dimension `by`, one for all others, and the total.

    `rank`: counts that order the values, the first count first. Every value of the dimension must occur in one of them.
    """

    by: str = ""
    rank: tuple[str, ...] = ()
    most: int = 20


SECTIONS: dict[str, Section] = {
    section.name: section
    for section in (
        Summary(
            "summary", "Summary", "The whole period beside the one before it.",
            (
                "conversations_started", "conversations_resolved", "active_conversations", "open_conversations",
                "escalation_rate", "ai_resolution_rate", "messages_received", "messages_sent", "responses",
                "response_ms.avg", "response_ms.p50", "first_response_ms.p50", "resolution_ms.p50", "tasks_created",
                "tasks_completed", "sla_breaches", "ratings", "csat", "nps_score", "active_contacts", "new_contacts",
            ),
        ),
        Series(
            "conversations", "Conversations", "Conversations that began, ended and were escalated, and messages, step by step.",
            (
                "conversations_started", "conversations_resolved", "conversations_escalated", "conversations_reopened",
                "escalation_rate", "ai_handled", "ai_escalated", "ai_resolution_rate", "ai_resolution_rate_72h",
                "ai_resolution_rate_7d", "messages_received", "messages_sent",
            ),
            ("conversations_started", "conversations_resolved"),
            (
                "conversations_started", "conversations_resolved", "escalation_rate", "ai_resolution_rate",
                "messages_received", "messages_sent",
            ),
        ),
        Series(
            "response_times", "Response times", "How long people waited, by the time of the answer.",
            (
                "responses", "response_ms.avg", "response_ms.p50", "response_ms.p90", "response_ms.p95",
                "first_response_ms.avg", "first_response_ms.p50", "first_response_ms.p95", "resolution_ms.avg",
                "resolution_ms.p50", "resolution_ms.p95",
            ),
            ("response_ms.p50", "response_ms.p95"),
            ("responses", "response_ms.p50", "response_ms.p95", "first_response_ms.p50", "resolution_ms.p50"),
        ),
        Series(
            "targets", "Targets", "The share of waits and resolutions within the tenant's targets, by when they began.",
            (
                "first_response_within_target", "first_response_breaches", "next_response_within_target",
                "next_response_breaches", "resolution_within_target", "resolution_breaches",
            ),
            ("first_response_within_target", "next_response_within_target"),
            (
                "first_response_within_target", "first_response_breaches", "next_response_within_target",
                "next_response_breaches", "resolution_within_target",
            ),
            of_targets=True,
        ),
        Ranking(
            "staff_performance", "Staff", "Answers, work and ratings of each staff member.",
            (
                "conversations_handled", "responses", "response_ms.avg", "response_ms.p50", "response_ms.p95",
                "first_response_ms.avg", "tasks_completed", "ratings", "rating_avg", "csat",
            ),
            ("responses",),
            ("responses", "conversations_handled", "response_ms.p50", "tasks_completed", "ratings", "csat"),
            "staff_id", ("responses", "tasks_completed", "ratings", "first_response_ms.count"), 50,
        ),
        Series(
            "satisfaction", "Satisfaction", "Surveys by the time of sending, ratings by the time of the rating.",
            (
                "surveys_sent", "surveys_answered", "survey_response_rate", "ratings",
                *(f"rating_{n}" for n in range(1, 6)), "rating_avg", "csat", "nps_score",
            ),
            ("csat",),
            ("surveys_sent", "survey_response_rate", "ratings", "rating_avg", "csat", "nps_score"),
        ),
        Ranking(
            "top_intents", "Top intents", "What contacts wanted most.",
            ("intents", "intent_confidence", "intents_low", "intent_actions", "intents_escalated"),
            ("intents",),
            ("intents", "intent_confidence", "intent_actions", "intents_escalated"),
            "intent", ("intents", "intent_actions", "intents_low"), 20,
        ),
        Ranking(
            "channel_breakdown", "Channels", "The same figures by channel.",
            (
                "conversations_started", "conversations_resolved", "escalation_rate", "messages_received", "messages_sent",
                "responses", "response_ms.avg", "response_ms.p50", "first_response_ms.p50", "ratings", "csat",
                "active_contacts",
            ),
            ("messages_received", "messages_sent"),
            ("messages_received", "messages_sent", "conversations_started", "first_response_ms.p50", "csat", "ratings"),
            "channel",
            (
                "messages_received", "messages_sent", "conversations_started", "responses", "conversations_resolved",
                "ratings", "first_response_ms.count", "active_contacts",
            ),
            20,
        ),
    )
}  # fmt: skip


def chosen(names: Sequence[str] | None, *, with_targets: bool = True) -> list[Section]:
    """Return the sections of these names, in the order of a report. Raises BadQuestionError.

    None or empty: all sections; those of targets only with `with_targets`.
    """
    for name in names or ():
        if name not in SECTIONS:
            raise BadQuestionError(
                f"there is no section {name[:80]!r}{nearest(name, list(SECTIONS))} (there are {', '.join(SECTIONS)})"
            )
    if names:
        return [section for name, section in SECTIONS.items() if name in names]
    return [section for section in SECTIONS.values() if with_targets or not section.of_targets]
