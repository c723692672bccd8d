"""The context of one computation of news: the tenant, its question, and the functions that read its facts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from hubbub.metrics.catalogue import askable, find
from hubbub.metrics.wording import Wording
from hubbub.model.question import Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain
from hubbub.query.answering import Ask
from hubbub.storage.transaction import Reading

Label = Callable[[str, str], str]
"""Dimension, value -> display name."""


@dataclass(frozen=True, slots=True)
class About:
    """The question whose range and filters the news are about; `ask` answers it with the facts of `now`, `label` names values."""

    ask: Ask
    reading: Reading
    tenant: Tenant
    question: Question
    now: datetime
    label: Label
    wording: Wording

    @property
    def days(self) -> int:
        """Number of the range's days up to `now`; a day that has begun counts."""
        return math.ceil((min(self.question.end, self.now) - self.question.start) / timedelta(days=1))

    def narrowed(self, metric: str, where: Mapping[str, Sequence[str]]) -> Question:
        """Return the question of one metric over the whole range, with these filters."""
        filters = {name: tuple(values) for name, values in where.items()}
        return replace(self.question, metrics=(metric,), where=filters, by=(), edges=(), grain=Grain.TOTAL)


def knows(metric: str, dimensions: Sequence[str]) -> bool:
    """Say whether a metric has all these dimensions."""
    allowed = askable(find(metric).rollup)
    return all(name in allowed for name in dimensions)
