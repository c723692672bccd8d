"""Answer metrics for many tenants at once, of the whole team and of each account, from stored days alone.

What `query.read` does for one tenant's question this does for all tenants in one statement per rollup and way of reading,
by the same declarations. The transaction holds the table `asked` (tenant, zone, start, finish, moment, today): each tenant's
period, the moment at which states are looked at, and that moment's local day. The whole team is the account ''.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date
from zoneinfo import ZoneInfo

import pyarrow as pa

from hubbub.metrics import engagement, fold
from hubbub.metrics.catalogue import Asked, find, groups
from hubbub.metrics.definition import (
    Column,
    Distinct,
    First,
    Metric,
    Quantiles,
    Ratio,
    Rollup,
    Score,
    State,
    Stored,
)  # fmt: skip
from hubbub.model.window import Grain, day_of
from hubbub.store.base import Work

Part = tuple[str, Mapping[str, str]]
"""SQL of (tenant, account, …), and SQL over its row `p` for each metric's name."""

PERIOD = "r.window_start >= a.start AND r.window_start < a.finish"
PAST = "r.window_start < a.moment"


def documents(work: Work, sections: Mapping[str, Mapping[str, str]], zones: Sequence[str]) -> int:
    """Make the table `documents` (tenant, account, document) of everybody in `asked`; returns its number of rows.

    A document is JSON: section -> field -> value of the metric that `sections` names. Accounts are those with any event
    before the moment. `zones` are the IANA names that `asked.zone` numbers. All stored days are taken to be up to date.
    """
    names = list(dict.fromkeys(name for fields in sections.values() for name in fields.values()))
    values: dict[str, str] = {}
    joined = ""
    _local_days(work, zones)
    for number, group in enumerate(groups([find(name) for name in names])):
        select, found = _READERS[type(group[0].metric)](group)
        work.make(f"part_{number}", select)
        joined += (
            f" LEFT JOIN part_{number} AS p{number} ON p{number}.tenant = k.tenant AND p{number}.account = k.account"
        )
        for one in group:
            value = found[one.name].replace("p.", f"p{number}.")
            values[one.name] = f"coalesce({value}, 0)" if _counted(one) else value
    work.make(
        "keys",
        "SELECT tenant, '' AS account FROM asked UNION SELECT r.tenant, r.account_id FROM "
        f"(SELECT DISTINCT r.tenant, r.account_id {_from(find('events').rollup, PAST, 'r.account_id IS NOT NULL')}) AS r",
    )
    told = {s: ", ".join(f"'{field}': {values[n]}" for field, n in fields.items()) for s, fields in sections.items()}
    shown = ", ".join(f"'{section}': {{{fields}}}" for section, fields in told.items())
    return work.make(
        "documents",
        f"SELECT k.tenant, k.account, CAST(to_json({{{shown}}}) AS VARCHAR) AS document FROM keys AS k{joined}",
    )


def _counted(one: Asked) -> bool:
    """Whether nothing at all is 0: counts are, what divides is null."""
    return isinstance(one.metric, Stored | Distinct | State | First) or one.statistic == "count"


def _from(rollup: Rollup, when: str, where: str = "TRUE") -> str:
    """SQL of stored days of everybody asked for; a semi join, since an inner one would be run by one thread."""
    return f"FROM {rollup.table(Grain.DAY)} AS r SEMI JOIN asked AS a ON a.tenant = r.tenant AND {when} WHERE {where}"


def _merged(rollup: Rollup, columns: Sequence[Column], when: str, *keys: str, where: str = "TRUE") -> str:
    """SQL of (tenant, account, keys, columns): rows merged for each account, and these for the team.

    The rows of no account are merged into the team's alone.
    """
    by = "".join(f", r.{k}" for k in keys)
    values = fold.merge_columns(columns)
    names = "".join(f", {n}" for n in (*keys, *(c.name for c in columns)))
    return (
        f"(WITH m AS MATERIALIZED (SELECT r.tenant, r.account_id{by}{values} {_from(rollup, when, where)} "
        f"GROUP BY r.tenant, r.account_id{by}) SELECT tenant, account_id AS account{names} FROM m WHERE account_id IS NOT NULL "
        f"UNION ALL SELECT r.tenant, '' AS account{by}{values} FROM m AS r GROUP BY r.tenant{by})"
    )


def _sums(group: Sequence[Asked]) -> Part:
    """Stored measures and ratios of them."""
    rollup, first = group[0].rollup, group[0].metric
    needed: list[str] = []
    values: dict[str, str] = {}
    for one in group:
        metric = one.metric
        if isinstance(metric, Stored):
            needed.append(metric.measure)
            values[one.name] = f"p.{metric.measure}" + (f" / {metric.divide}" if metric.divide != 1 else "")
        elif isinstance(metric, Ratio):
            needed += [*metric.over, metric.under]
            over = " + ".join(f"p.{m} * {weight}" for m, weight in metric.over.items())
            values[one.name] = f"CAST({over} AS DOUBLE) * {metric.factor!r}e0 / nullif(p.{metric.under}, 0)"
    where = "TRUE"
    if isinstance(first, Stored):
        for dimension, allowed in first.where.items():
            where += f" AND r.{dimension} IN ({', '.join(repr(v) for v in allowed)})"
    elif isinstance(first, Ratio) and first.where_seen:
        where += (
            f" AND (r.tenant, coalesce(r.channel, '')) IN (SELECT (r.tenant, coalesce(r.channel, '')) "
            f"{_from(rollup, PERIOD)} GROUP BY r.tenant, coalesce(r.channel, '') HAVING sum(r.{first.where_seen}) > 0)"
        )
    return _merged(rollup, _columns(rollup, needed), PERIOD, where=where), values


def _columns(rollup: Rollup, measures: Sequence[str]) -> list[Column]:
    return [c for m in dict.fromkeys(measures) for c in rollup.measures[m].columns(m)]


def _means(group: Sequence[Asked]) -> Part:
    """Means and counts of distributions."""
    values: dict[str, str] = {}
    needed: list[str] = []
    for one in group:
        metric = one.metric
        assert isinstance(metric, Quantiles)
        needed.append(metric.measure)
        count = f"p.{metric.measure}_count"
        values[one.name] = count if one.statistic == "count" else f"p.{metric.measure}_sum / nullif({count}, 0)"
    return _merged(group[0].rollup, _columns(group[0].rollup, needed), PERIOD), values


def _members(group: Sequence[Asked]) -> Part:
    """Distinct members of the period."""
    conditions = {one.name: one.metric for one in group if isinstance(one.metric, Distinct)}
    return _counts(group[0].rollup, PERIOD, {n: (m.member, m.where) for n, m in conditions.items()})


def _states(group: Sequence[Asked]) -> Part:
    """Entities in a state at the moment, by all days before it."""
    conditions = {one.name: one.metric for one in group if isinstance(one.metric, State)}
    return _counts(group[0].rollup, PAST, {n: (m.entity, m.where) for n, m in conditions.items()})


def _counts(rollup: Rollup, when: str, conditions: Mapping[str, tuple[str, str]]) -> Part:
    """Entities whose merged rows fulfil a condition."""
    entity = next(iter(conditions.values()))[0]
    counts = "".join(f", count(*) FILTER (WHERE {c}) AS n{i}" for i, (_, c) in enumerate(conditions.values()))
    merged = _merged(rollup, rollup.columns(), when, entity)
    select = f"SELECT tenant, account{counts} FROM {merged} GROUP BY tenant, account"
    return select, {name: f"p.n{i}" for i, name in enumerate(conditions)}


def _firsts(group: Sequence[Asked]) -> Part:
    """Entities first seen in the period, by their whole past; an account's are those that it saw first."""
    rollup, metric = group[0].rollup, group[0].metric
    assert isinstance(metric, First) and len(group) == 1
    first = f"r.{metric.column}"
    account = f"arg_min(r.account_id, ({first}, r.account_id))"
    return (
        f"WITH m AS MATERIALIZED (SELECT r.tenant, min({first}) AS first, {account} AS account "
        f"{_from(rollup, PAST, f'{first} IS NOT NULL')} GROUP BY r.tenant, r.{metric.entity}), seen AS (SELECT * FROM m WHERE "
        "account IS NOT NULL UNION ALL SELECT tenant, first, '' AS account FROM m) SELECT r.tenant, r.account, count(*) AS n "
        "FROM seen AS r JOIN asked AS a ON a.tenant = r.tenant AND r.first >= a.start AND r.first < a.finish "
        "GROUP BY r.tenant, r.account",
        {group[0].name: "p.n"},
    )


def _scores(group: Sequence[Asked]) -> Part:
    """The mean engagement of all contacts at the moment: deeds by local day, capped, aged, added."""
    rollup, metric = group[0].rollup, group[0].metric
    assert isinstance(metric, Score) and metric.function == "contact_engagement_score" and len(group) == 1
    daily = _merged(rollup, _columns(rollup, list(engagement.DEEDS)), PAST, "contact_id", "window_start")
    states = _merged(rollup, _columns(rollup, ["state"]), PAST, "contact_id", where="r.state IS NOT NULL")
    points = engagement.points("r", "a.today - l.day")
    return (
        f"WITH s AS (SELECT r.tenant, r.account, r.contact_id, {engagement.score(f'sum({points})')} AS score "
        f"FROM {daily} AS r JOIN asked AS a ON a.tenant = r.tenant "
        "JOIN local_days AS l ON l.zone = a.zone AND l.window_start = r.window_start "
        "GROUP BY r.tenant, r.account, r.contact_id) "
        f"SELECT s.tenant, s.account, sum(CASE WHEN b.tenant IS NULL THEN s.score ELSE 0 END) / {engagement.BILLION}e0 "
        f"/ count(*) AS mean FROM s LEFT JOIN (SELECT * FROM {states} WHERE state = 'blocked') AS b "
        "ON b.tenant = s.tenant AND b.account = s.account AND b.contact_id = s.contact_id GROUP BY s.tenant, s.account",
        {group[0].name: "round(p.mean, 6)"},
    )


def _local_days(work: Work, zones: Sequence[str]) -> None:
    """Make `local_days` (zone, window_start, day): the local calendar day of every stored window of contacts."""
    table = find("contact_engagement_score").rollup.table(Grain.DAY)
    rows = work.execute(
        f"SELECT DISTINCT a.zone, r.window_start FROM (SELECT DISTINCT tenant, window_start FROM {table}) AS r "
        f"JOIN asked AS a ON a.tenant = r.tenant AND {PAST}"
    ).rows
    days: list[date] = [day_of(start.replace(tzinfo=UTC), ZoneInfo(zones[zone])) for zone, start in rows]
    columns = {
        "zone": pa.array([zone for zone, _ in rows], pa.int32()),
        "window_start": pa.array([start for _, start in rows], pa.timestamp("us")),
        "day": pa.array([day.toordinal() for day in days], pa.int32()),
    }
    work.table("local_days", pa.table(columns))


_READERS: Mapping[type[Metric], Callable[[Sequence[Asked]], Part]] = {
    Stored: _sums, Ratio: _sums, Quantiles: _means, Distinct: _members, State: _states, First: _firsts, Score: _scores,
}  # fmt: skip
