"""Conversations that wait for a reply now: furthest past their target first, then the least time left, then without a target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hubbub.errors import BadQuestionError
from hubbub.facts.moments import in_utc, micros
from hubbub.metrics.catalogue import find
from hubbub.metrics.definition import State
from hubbub.model.duration import MINUTE, duration
from hubbub.model.label import GivenLabel
from hubbub.model.question import Question
from hubbub.model.target import Target
from hubbub.model.tenant import Tenant
from hubbub.query.checks import check
from hubbub.query.labelled import of_conversations
from hubbub.query.live import MOST
from hubbub.query.queries import Queries
from hubbub.query.select import Context
from hubbub.query.waiters import Distances, Waiter, waiters

METRIC = "waiting_past_target"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A conversation that waits for a reply."""

    conversation_id: str
    since: datetime
    """UTC without zone: the first unanswered inbound message."""
    waited_ms: int
    """How long it has waited, around the clock."""
    channel: str | None
    account_id: str | None
    priority: str | None
    target_minutes: int | None
    """null: no target applies."""
    business: bool
    """Whether the target counts only minutes of the business hours."""
    over_ms: int | None
    """Time past the target, in the target's time; negative: time left."""
    countdown: str | None
    """`over_ms` in words, like "3 min left" or "49 min over"."""
    labels: Sequence[GivenLabel]
    """The newest label of each set in the conversation, with who gave it."""


@dataclass(frozen=True, slots=True)
class Live:
    """Conversations that wait for a reply at a moment."""

    at: datetime
    """UTC without zone."""
    waiting: int
    """How many wait."""
    past_target: int | None
    """How many of these are past their target; null: no target applies to any."""
    rows: Sequence[Waiting]
    """Those furthest past their target first."""


def live(queries: Queries, tenant: Tenant, question: Question, *, limit: int = 50) -> Live:
    """Return the conversations that wait now under a question's filters: channel, account_id, priority. Raises BadQuestionError."""
    if not 0 < limit <= MOST:
        raise BadQuestionError(f"'limit' must be between 1 and {MOST}")
    metric = find(METRIC)
    check(question, [metric], tenant)
    assert isinstance(metric.declared, State)
    with queries.reading(tenant) as (reading, now):
        context = Context(reading, tenant, question, (), micros(now))
        distances = Distances(tenant)
        waits = [
            (waiter, distances.of(waiter, context.now))
            for waiter in waiters(context, metric, metric.declared, context.now, context.now)
        ]
        first = sorted(waits, key=_order)[:limit]
        labels = of_conversations(reading, tenant, [waiter.id for waiter, _ in first])
    overs = [known[0] for _, known in waits if known is not None]
    rows = [_waiting(*pair, context.now, labels.get(pair[0].id, ())) for pair in first]
    return Live(in_utc(context.now), len(waits), sum(over > 0 for over in overs) if overs else None, rows)


def countdown(over_ms: int) -> str:
    """Return a distance to a target in words: minutes left are rounded up, minutes over rounded down."""
    if over_ms > 0:
        return f"{duration(over_ms // MINUTE * MINUTE) if over_ms >= MINUTE else 'under 1 min'} over"
    return f"{duration(-(over_ms // MINUTE) * MINUTE) if over_ms else '0 min'} left"


def _order(pair: tuple[Waiter, tuple[int, Target] | None]) -> tuple[bool, int, int, str]:
    waiter, known = pair
    return known is None, -known[0] if known else 0, waiter.began, waiter.id


def _waiting(waiter: Waiter, known: tuple[int, Target] | None, now: int, labels: Sequence[GivenLabel]) -> Waiting:
    over, target = known if known is not None else (None, None)
    return Waiting(
        waiter.id, in_utc(waiter.began), (now - waiter.began) // 1000, waiter.channel, waiter.account_id, waiter.priority,
        target.minutes if target else None, target.business if target else False, over,
        countdown(over) if over is not None else None, labels,
    )  # fmt: skip
