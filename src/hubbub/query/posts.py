"""Posts of a tenant's pages: the engagement of each, and levels, like followers, as last observed.

A post's counters have the time of the post; each later reading replaces them. A level belongs to an account: its observations do
not add up, since the same people would be counted every day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from hubbub.errors import BadQuestionError
from hubbub.facts.moments import micros, moment
from hubbub.model.tenant import Tenant
from hubbub.query.filters import matches
from hubbub.query.queries import Queries
from hubbub.storage.transaction import Bound, Row

COUNTERS = {"num_reactions": "Reactions", "num_comments": "Comments", "num_shares": "Shares"}
"""Counters of a post that make up its engagement -> titles."""
LEVELS = {
    "page_follows": "Followers", "page_fans": "Fans", "followers": "Followers", "followers_count": "Followers",
    "fan_count": "Fans", "subscribers": "Subscribers", "members": "Members",
}  # fmt: skip
"""Observed numbers of an account that are levels -> titles."""
FILTERED = ("channel", "channel_id", "account_id")


@dataclass(frozen=True, slots=True)
class Post:
    """A post, with its latest counters; None where the service reported none."""

    message_id: str
    channel: str | None
    account_id: str | None
    published_at: datetime
    counters: Mapping[str, int | None]

    @property
    def engagement(self) -> int:
        """The sum of the counters."""
        return sum(value or 0 for value in self.counters.values())


@dataclass(frozen=True, slots=True)
class Level:
    """The observations of an account's level, in order of time."""

    name: str
    account_id: str | None
    observed: Sequence[tuple[datetime, int]]


def posts(
    queries: Queries, tenant: Tenant, start: datetime, end: datetime, where: Mapping[str, Sequence[str]], limit: int
) -> list[Post]:
    """Return the posts in `[start, end)` with the most engagement, the largest first. Raises BadQuestionError for other filters."""
    filtered, params = _filtered(where)
    sums = ", ".join(f"sum(CASE WHEN name = '{name}' THEN value END) AS {name}" for name in COUNTERS)
    with queries.reading(tenant) as (reading, _):
        rows = reading.dicts(
            f"""SELECT message_id, min(channel) AS channel, min(account_id) AS account_id, min(time) AS time, {sums}
            FROM event WHERE tenant = :tenant AND time >= :low AND time < :high AND type = 'metric.observed'
                AND message_id IS NOT NULL AND name IN ({_among(COUNTERS)}) AND {filtered}
            GROUP BY message_id ORDER BY sum(value) DESC, message_id LIMIT :limit""",
            {"tenant": tenant.no, "low": micros(start), "high": micros(end), "limit": limit, **params},
        )
    return [
        Post(row["message_id"], row["channel"], row["account_id"], moment(row["time"]), _rounded(row)) for row in rows
    ]


def levels(
    queries: Queries, tenant: Tenant, start: datetime, end: datetime, where: Mapping[str, Sequence[str]]
) -> list[Level]:
    """Return the levels observed in `[start, end)`, the highest last value first. Raises BadQuestionError for other filters."""
    filtered, params = _filtered(where)
    with queries.reading(tenant) as (reading, _):
        rows = reading.rows(
            f"""SELECT name, account_id, time, value FROM event WHERE tenant = :tenant AND time >= :low AND time < :high
                AND type = 'metric.observed' AND message_id IS NULL AND value IS NOT NULL AND name IN ({_among(LEVELS)})
                AND {filtered}
            ORDER BY time, ident""",
            {"tenant": tenant.no, "low": micros(start), "high": micros(end), **params},
        )
    observations: dict[tuple[str, str | None], list[tuple[datetime, int]]] = {}
    for name, account, time, value in rows:
        observations.setdefault((name, account), []).append((moment(time), round(value)))
    unsorted = [Level(name, account, observed) for (name, account), observed in observations.items()]
    return sorted(unsorted, key=lambda level: (-level.observed[-1][1], level.name, level.account_id or ""))


def _rounded(row: Row) -> dict[str, int | None]:
    return {name: round(row[name]) if row[name] is not None else None for name in COUNTERS}


def _among(names: Mapping[str, str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _filtered(where: Mapping[str, Sequence[str]]) -> tuple[str, Bound]:
    """Return the condition of filters, and its parameters."""
    parts, params = ["TRUE"], Bound()
    for number, (name, values) in enumerate(where.items()):
        if name not in FILTERED:
            raise BadQuestionError(f"posts have no dimension {name[:40]!r}")
        parts.append(matches(name, f"where_{number}", values, params))
    return " AND ".join(parts), params
