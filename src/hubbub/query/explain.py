"""Explain a number: its definition, formula, parts, and what it counts, page by page, down to the events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import islice
from typing import Any

from hubbub.errors import BadQuestionError
from hubbub.facts.moments import micros, rfc3339
from hubbub.facts.person import person_of
from hubbub.metrics.catalogue import DEFINITION_VERSION, STATISTICS, RequestedMetric, dimensions_of, find
from hubbub.metrics.definition import (
    WITHIN,
    Distinct,
    DistinctRatio,
    First,
    Quantiles,
    Ratio,
    Score,
    State,
    Stored,
)  # fmt: skip
from hubbub.metrics.intents import INTENT
from hubbub.metrics.topics import TOPIC
from hubbub.model import calendar, page
from hubbub.model.plain import ABSENT, AS_JSON, JsonRow, plain
from hubbub.model.question import Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, day_of
from hubbub.query.distributions import spell_of, value_of
from hubbub.query.freshness import Freshness
from hubbub.query.hours import open_ms
from hubbub.query.labelled import of_events
from hubbub.query.live import entities
from hubbub.query.queries import Queries
from hubbub.query.result import Number
from hubbub.query.select import Context, counts, filters
from hubbub.query.targets import Judge, Verdict
from hubbub.storage.transaction import Bound, Row

PAGE = 50
LABELLED = (TOPIC, INTENT)
"""Facts whose events give labels."""
MAX_PAGE = 1000
PARTS: Mapping[str, tuple[int, ...]] = {"": (0, 1), "numerator": (1,), "rest": (0,)}
"""Parts of what a share or mean counts, by whether it counts in the numerator."""


@dataclass(frozen=True, slots=True)
class Behind:
    """A page of what a number counts."""

    total: int
    """Rows of all pages."""
    rows: Sequence[JsonRow] = field(metadata=AS_JSON)
    """`id`, `time`, whether it `counts` in the numerator, and values of its fact; of a label's event its `labels`, with who gave
    them.
    """
    next: str | None
    """Cursor of the following page; null: this is the last."""


@dataclass(frozen=True, slots=True)
class Used:
    """What a number was computed from."""

    facts: int
    """How many facts."""


@dataclass(frozen=True, slots=True)
class Hours:
    """The business hours that count for durations."""

    zone: str
    versions: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A number, and what it is computed from."""

    metric: str
    definition: str
    definition_version: int
    unit: str
    fact: str
    """What a row of its fact is."""
    formula: str
    numerator_of: str | None = field(default=None, metadata=ABSENT)
    """What the numerator of a share or mean counts, in words; absent for other numbers."""
    denominator_of: str | None = field(default=None, metadata=ABSENT)
    """What its denominator counts."""
    value: Number
    numerator: Number
    """Only for a share or mean."""
    denominator: Number
    """Only for a share or mean."""
    n: int | None
    """How many things the value counts."""
    state: str
    """Whether the value is settled, or why not."""
    parts: Mapping[str, Any]
    """What only some metrics have: the parts of a score, or the numbers of each target."""
    windows: Used
    events: Behind
    freshness: Freshness
    calendar: Hours | None = field(default=None, metadata=ABSENT)
    """Only for a duration in business hours."""


def explain(
    queries: Queries,
    tenant: Tenant,
    question: Question,
    *,
    limit: int = PAGE,
    cursor: str | None = None,
    part: str = "",
) -> Explanation:
    """Explain one metric over `[start, end)`: value, formula, parts, and what it counts.

    `events` are the counted things (the reply of a response, the message of a count, the open conversations): first those in the
    numerator (`counts`), then by time; `limit` of them after `cursor`, the `next` of the previous page. `part` (numerator or
    rest) selects one kind. Raises BadQuestionError, and BadRequestError for an invalid cursor.
    """
    if len(question.metrics) != 1:
        raise BadQuestionError("explain one metric at a time")
    if not 0 < limit <= MAX_PAGE:
        raise BadQuestionError(f"'limit' must be between 1 and {MAX_PAGE}")
    if part not in PARTS:
        raise BadQuestionError(f"part {part[:40]!r} is not one of numerator, rest")
    metric = find(question.metrics[0])
    question = replace(question, grain=Grain.TOTAL, by=(), compare=None)
    with queries.asking(tenant, question.as_of) as (ask, reading, now):
        answer = ask(question)
        total, rows, following = _page(
            Context(reading, tenant, question, (), micros(now)), metric, limit, cursor, PARTS[part]
        )
    cell = answer.columns[metric.name].cell(0)
    numerator_of, denominator_of = _made_of(metric)
    return Explanation(
        metric=metric.name,
        definition=metric.declared.doc,
        definition_version=DEFINITION_VERSION,
        unit=metric.unit.value,
        fact=metric.rollup.source.doc,
        formula=_formula(metric),
        value=cell.value,
        numerator=cell.numerator,
        denominator=cell.denominator,
        n=cell.n,
        state=cell.state,
        parts=cell.details or {},
        windows=Used(total),
        events=Behind(total, rows, following),
        freshness=answer.freshness,
        numerator_of=numerator_of,
        denominator_of=denominator_of,
        calendar=_calendar(tenant, question) if metric.rollup.in_hours else None,
    )


def _calendar(tenant: Tenant, question: Question) -> Hours:
    """Return the versions of the business hours that spells ending in the range may have begun or ended under."""
    last = day_of(question.end - timedelta(microseconds=1), tenant.tz)
    used = [calendar.version_document(v) for v in tenant.calendar.versions if v.valid_from <= last]
    return Hours(tenant.zone, used)


def _formula(metric: RequestedMetric) -> str:
    declared, rollup = metric.declared, metric.rollup
    if isinstance(declared, Ratio):
        over = " + ".join(m if w == 1 else f"{w:g} * {m}" for m, w in declared.over.items())
        factor = f" * {declared.factor:g}" if declared.factor not in (1, 1e-6) else ""
        return f"({over}) / {declared.under}{factor}"
    if isinstance(declared, Stored):
        assumed = "" if declared.times is None else " Times the tenant's assumption."
        return f"{declared.measure}: {rollup.measures[declared.measure].doc}{assumed}"
    if isinstance(declared, Quantiles):
        limit = WITHIN.get(str(metric.statistic))
        if limit is not None:
            return f"values of {declared.measure} up to {limit} ms / all of them"
        return f"{metric.statistic} of {declared.measure}"
    if isinstance(declared, State | First):
        entity, state = declared.held
        if isinstance(declared, First):
            return f"entities ({entity}) that came into the state '{state}'"
        counted = "ms since the earliest beginning of entities" if declared.age else "entities"
        return f"{counted} ({entity}) in the state '{state}'"
    return declared.doc


def _made_of(metric: RequestedMetric) -> tuple[str | None, str | None]:
    """Return in words what the numerator and the denominator of a share or mean count; None for other numbers."""
    declared = metric.declared

    def meaning(measure: str) -> str:
        return metric.rollup.measures[measure].doc.rstrip(".")

    if isinstance(declared, Ratio):
        parts = [
            f"{'−' if weight < 0 else '+'} {'' if abs(weight) == 1 else f'{abs(weight):g} × '}{meaning(name)}"
            for name, weight in declared.over.items()
        ]
        return " ".join(parts).removeprefix("+ "), meaning(declared.under)
    if isinstance(declared, DistinctRatio):
        who = f"different {declared.member.removesuffix('_id')}s"
        return f"{who}: {meaning(declared.over)}", f"{who}: {meaning(declared.under)}"
    if metric.statistic in WITHIN:
        return f"values {STATISTICS[str(metric.statistic)]}", "all values"
    return None, None


def _page(
    context: Context, metric: RequestedMetric, limit: int, cursor: str | None, part: tuple[int, ...]
) -> tuple[int, list[Row], str | None]:
    """Return how many things a number counts, a page of them, and the cursor of the next."""
    of_state = isinstance(metric.declared, State | First)
    after = page.place_of(cursor, int, int, str if of_state or metric.rollup.source.key != "ident" else int)
    if metric.rollup.aim is not None or metric.rollup.in_hours:
        total, counted = _computed(context, metric, limit + 1, after, part)
    else:
        total, counted = _stored(context, metric, limit + 1, after, part)
    rows, following = page.cut(counted, limit, lambda row: (row["counts"], row["time"], row["key"]))
    if metric.rollup.source in LABELLED:
        labels = of_events(context.reading, context.tenant, [(row["time"], row["key"]) for row in rows])
        rows = [row | {"labels": plain(labels.get((row["time"], row["key"]), ()))} for row in rows]
    return total, [_public(row) for row in rows], following


def _stored(
    context: Context, metric: RequestedMetric, limit: int, after: tuple[Any, ...] | None, part: tuple[int, ...]
) -> tuple[int, list[Row]]:
    """Return how many things a number counts, and the first `limit` of them after a place, where facts hold all values."""
    params: Bound = {**context.bound, "limit": limit}
    if isinstance(metric.declared, State | First):
        first = "1"
        if context.linked and metric.declared.held[0] == "contact":  # of a person's ids the first counts
            person = person_of("e.id", context.dialect)
            first = f"CASE WHEN row_number() OVER (PARTITION BY {person} ORDER BY e.time, e.id) = 1 THEN 1 ELSE 0 END"
        body = f"SELECT e.*, e.id AS key, {first} AS counts FROM ({entities(context, metric, params)}) AS e"
    else:
        body = _facts(context, metric, params)
    if len(part) == 1:
        params |= {"part": part[0]}
        body = f"SELECT * FROM ({body}) AS p WHERE counts = :part"
    total: int = context.reading.value(f"SELECT count(*) FROM ({body}) AS b", params)
    later = "TRUE"
    if after is not None:
        later = "(1 - counts, time, key) > (1 - :counts, :time, :key)"
        params |= {"counts": after[0], "time": after[1], "key": after[2]}
    rows = context.reading.dicts(
        f"SELECT * FROM ({body}) AS b WHERE {later} ORDER BY 1 - counts, time, key LIMIT :limit", params
    )
    return total, rows


def _computed(
    context: Context, metric: RequestedMetric, limit: int, after: tuple[Any, ...] | None, part: tuple[int, ...]
) -> tuple[int, list[Row]]:
    """Like `_stored`, for values that are computed here: open times, and verdicts of targets."""
    params = dict(context.bound)
    body = _facts(context, metric, params)
    valued = (
        _judged(context, metric, body, params)
        if metric.rollup.aim is not None
        else _in_hours(context, metric, body, params)
    )
    places = sorted(
        ((1 - row["counts"], time, key, row) for time, key, row in valued if row["counts"] in part),
        key=lambda place: place[:3],
    )
    begun = (1 - after[0], *after[1:]) if after is not None else ()
    later = ((time, key, row) for rest, time, key, row in places if (rest, time, key) > begun)
    on_page = {(time, key): row for time, key, row in islice(later, limit)}
    params |= {f"time_{n}": time for n, (time, _) in enumerate(on_page)}
    params |= {f"key_{n}": key for n, (_, key) in enumerate(on_page)}
    pairs = ", ".join(f"(:time_{n}, :key_{n})" for n in range(len(on_page))) or "(NULL, NULL)"
    rows = context.reading.dicts(f"SELECT * FROM ({body}) AS b WHERE (time, key) IN ({pairs})", params)
    merged = [row | on_page[row["time"], row["key"]] for row in rows]
    return len(places), sorted(merged, key=lambda row: (1 - row["counts"], row["time"], row["key"]))


Valued = Iterator[tuple[int, Any, dict[str, int]]]
"""Time and key of a fact, with `counts` and other computed values."""


def _in_hours(context: Context, metric: RequestedMetric, body: str, params: Bound) -> Valued:
    """Yield the facts with an open time: those within the limit count."""
    opened, most = open_ms(context.tenant), WITHIN.get(str(metric.statistic))
    for time, key, since, until in context.reading.each(f"SELECT time, key, since, until FROM ({body}) AS b", params):
        value = opened(since, until)
        if value is not None:
            yield time, key, {"counts": int(most is None or value <= most), "value": value}


def _judged(context: Context, metric: RequestedMetric, body: str, params: Bound) -> Valued:
    """Yield the judged spells (only breaches where the metric counts these), each with its length in ms and its target."""
    assert metric.rollup.aim is not None
    judge = Judge(context.tenant, metric.rollup.aim, context.now)
    counted = (Verdict.WITHIN, Verdict.BREACH) if isinstance(metric.declared, Ratio) else (Verdict.BREACH,)
    columns = "time, key, until, waited_until, channel, priority"
    for time, key, *moments_and_scope in context.reading.each(f"SELECT {columns} FROM ({body}) AS b", params):
        judgement = judge.of(time, *moments_and_scope)
        if judgement.verdict in counted and judgement.target is not None and judgement.spent_ms is not None:
            counts_ = judgement.verdict is counted[0]
            yield time, key, {
                "counts": int(counts_), "value": judgement.spent_ms, "target_minutes": judgement.target.minutes
            }  # fmt: skip


def _public(row: Row) -> Row:
    since = row.get("since", row.get("began"))
    public = {
        name: value
        for name, value in row.items()
        if name not in ("key", "began", "since", "until", "waited_until") and value is not None
    }
    public |= {"time": rfc3339(row["time"]), "counts": bool(row["counts"])}
    return public | ({"since": rfc3339(since)} if since is not None else {})


def _facts(context: Context, metric: RequestedMetric, params: Bound) -> str:
    """Return the SELECT of the facts behind a number, and whether each is in its numerator."""
    rollup, fact = metric.rollup, metric.rollup.source
    anchor = f"f.{rollup.anchor}"
    params |= {"low": micros(context.question.start), "high": micros(context.question.end)}
    top, relevant = _conditions(context, metric)
    selected = {"id": f"f.{fact.id}", "time": anchor, "key": f"f.{fact.key}", "counts": top}
    selected |= {name: f"f.{column}" for name, column in dimensions_of(rollup).items()}
    if isinstance(metric.declared, Quantiles):
        spell = spell_of(metric)
        selected |= {"since": spell[0], "until": spell[1]} if spell else {"value": value_of(metric)}
    if rollup.aim is not None:
        selected |= {"until": "f.ended", "waited_until": "f.waited_until"}
    event = ""
    if fact.key == "ident":
        selected |= {"source": "e.source", "conversation_id": "e.conversation_id"}
        event = f" LEFT JOIN event AS e ON e.tenant = f.tenant AND e.time = {anchor} AND e.ident = f.ident"
    elif fact.key in ("conversation_id", "spell_id"):
        selected["conversation_id"] = "f.conversation_id"
    elif fact.event:
        of = f"FROM event AS e WHERE e.tenant = f.tenant AND e.time = {anchor} AND {fact.event} ORDER BY e.ident DESC LIMIT 1"
        selected |= {
            name: f"(SELECT e.{column} {of})"
            for name, column in (("event", "id"), ("source", "source"), ("conversation_id", "conversation_id"))
        }
    columns = ", ".join(f"{sql} AS {name}" for name, sql in selected.items())
    return (
        f"SELECT {columns} FROM ({context.rows_of(fact)}) AS f{event} "
        f"WHERE f.tenant = :tenant AND {anchor} >= :low AND {anchor} < :high "
        f"AND ({rollup.where}) AND ({relevant}) AND {filters(context.question, rollup, params)}"
    )


def _conditions(context: Context, metric: RequestedMetric) -> tuple[str, str]:
    """Return SQL that is 1 for facts in a number's numerator and 0 for others, and the condition of all facts behind it."""
    declared = metric.declared

    def any_of(names: Iterable[str]) -> str:
        return " OR ".join(f"({counts(context, metric, name) or 'TRUE'})" for name in names)

    def one_if(condition: str) -> str:
        return f"CASE WHEN {condition} THEN 1 ELSE 0 END"

    if isinstance(declared, Quantiles):
        if spell_of(metric):
            return "1", "TRUE"
        value, limit = value_of(metric), WITHIN.get(str(metric.statistic))
        return (one_if(f"{value} <= {limit}") if limit is not None else "1"), f"{value} IS NOT NULL"
    if isinstance(declared, Stored):
        return "1", any_of([declared.measure])
    if isinstance(declared, Ratio):
        return one_if(any_of(declared.over)), any_of((*declared.over, declared.under))
    if isinstance(declared, Distinct):
        return "1", any_of([declared.measure])
    if isinstance(declared, DistinctRatio):
        return one_if(any_of([declared.over])), any_of((declared.over, declared.under))
    assert isinstance(declared, Score)
    return "1", any_of(declared.parts)
