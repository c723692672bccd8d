"""Answer a Question: group its metrics by how they are read, read each group once, put the cells into rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from hubbub.clock import Clock
from hubbub.errors import BadQuestionError
from hubbub.metrics.catalogue import MEMBERS_ALLOWED, Asked, dimensions_of, find, groups
from hubbub.metrics.definition import Distinct, DistinctRatio, First, Metric, Quantiles, Ratio, Score, State, Stored
from hubbub.model.event import nearest
from hubbub.model.question import Answer, Cell, Question, Row
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, Window, local_midnight
from hubbub.query import read
from hubbub.query.compare import PERIODS, compare, earlier
from hubbub.query.facts import Facts
from hubbub.query.plan import MAX_WINDOWS, Dirt, Tiles, buckets, settled_to, tile
from hubbub.store.base import Store, utc_naive

MAX_ROWS = 100_000
Key = tuple[datetime, tuple[str | None, ...]]


class Answers:
    """Answers questions of one tenant at a time from a store. May be used from any thread."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def answer(self, tenant: Tenant, question: Question) -> Answer:
        """Answer a question; raises BadQuestionError for names outside the catalogue and ranges without an answer."""
        return self.together(tenant, [question])[0]

    def together(self, tenant: Tenant, questions: Sequence[Question]) -> list[Answer]:
        """Answer several questions at one moment, from one look at what is due and one fold of each fact."""
        with self.at_once(tenant) as ask:
            return [ask(question) for question in questions]

    @contextmanager
    def at_once(self, tenant: Tenant) -> Iterator[Callable[[Question], Answer]]:
        """Give what answers questions at one moment, like `together`, where the next question hangs on an answer."""
        now = self._clock()
        dirt = Dirt(self._store, tenant, now)
        with self._store.work() as work:
            facts = Facts(work, tenant)
            yield lambda question: self._answer(read.Context(work, tenant, question, (), now, dirt, facts))

    def _answer(self, context: read.Context) -> Answer:
        question, tenant, now = context.question, context.tenant, context.now
        asked = [find(name) for name in question.metrics]
        check(question, asked, tenant)
        if question.compare is None:
            return self._read(context, [question], asked)[0]
        start, end = earlier(question, tenant, now)
        past = replace(question, compare=None, start=start, end=end)
        answer, before = self._read(context, [question, past], asked)
        return compare(answer, before, asked, tenant)

    def _read(self, context: read.Context, periods: Sequence[Question], asked: Sequence[Asked]) -> list[Answer]:
        """Answer one question over periods that do not overlap, by the same statements where a metric allows it."""
        tenant, now = context.tenant, context.now
        cuts = [buckets(q.start, q.end, q.grain, tenant) for q in periods]
        ends = {utc_naive(window.start): window.end for cut in cuts for window in cut}
        cells: dict[Key, dict[str, Cell]] = {}
        live: dict[str, set[datetime]] = {}
        gone: list[datetime] = []
        tiled: list[tuple[list[Asked], Sequence[Window], Tiles]] = []
        for metrics in groups(asked):
            for cut in cuts if _alone(metrics, context.question) else [[w for windows in cuts for w in windows]]:
                grain, exact = context.question.grain, context.question.exact
                tiled.append(
                    (metrics, cut, tile(metrics[0].rollup, tenant, cut, grain, now, context.dirt, exact=exact))
                )
        needs = ((m[0].rollup.source, tiles) for m, _, tiles in tiled if type(m[0].metric) not in _OF_THE_PAST)
        context.facts.gather(needs, now)
        for metrics, windows_, tiles in tiled:
            gone += tiles.gone
            for one in metrics:
                live.setdefault(one.name, set()).update(tiles.live)
            for key, name, cell in _READERS[type(metrics[0].metric)](replace(context, cut=windows_), metrics, tiles):
                state = _state(metrics[0].rollup, key[0], ends.get(key[0], now), tiles.live, now)
                cells.setdefault(key, {})[name] = replace(cell, state=state)
        answers = []
        for question, cut in zip(periods, cuts, strict=True):
            starts = {utc_naive(window.start) for window in cut}
            mine = {key: found for key, found in cells.items() if key[0] in starts}
            rows = _rows(question, asked, cut, mine, live, now)
            raw = len(set().union(*live.values()) & starts)
            fresh = _freshness(question, tenant, now, raw, sum(start in starts for start in gone), len(cut))
            answers.append(Answer(question, tenant.zone, rows, fresh))
        return answers


def _freshness(question: Question, tenant: Tenant, now: datetime, live: int, gone: int, count: int) -> dict[str, Any]:
    settled = settled_to(tenant, now)
    freshness: dict[str, Any] = {
        "as_of": now.astimezone(tenant.tz).isoformat(),
        "complete_to": min(settled, question.end).astimezone(tenant.tz).isoformat(),
        "source": "raw" if live and live == count else "rollups and raw" if live else "rollups",
        "live_windows": live,
        "zone": tenant.zone,
        "quantiles": "exact" if question.exact else "histogram, within 1 %",
    }
    if gone:
        freshness["gone"] = (
            f"{gone} windows are left out: their raw events and this grain's rollups are past retention, or only a part "
            "of them was asked for"
        )
    return freshness


def _alone(metrics: Sequence[Asked], question: Question) -> bool:
    """Whether a period must be read on its own: what is asked depends on all of the range, not on one window of it."""
    metric = metrics[0].metric
    return question.exact or isinstance(metric, Score) or (isinstance(metric, Ratio) and metric.where_seen is not None)


def check(question: Question, asked: Sequence[Asked], tenant: Tenant) -> None:
    """Raise BadQuestionError for anything that cannot be asked: empty ranges, unknown or forbidden dimensions."""
    if not asked:
        raise BadQuestionError("ask for at least one metric; 'hubbub metrics' lists them")
    if question.compare not in (None, *PERIODS):
        raise BadQuestionError(f"compare {str(question.compare)[:40]!r} is not one of {', '.join(PERIODS)}")
    if question.start >= question.end:
        raise BadQuestionError("'from' must lie before 'to': the range is [from, to)")
    first, after = (local_midnight(date(year, 1, 1), tenant.tz) for year in (2000, 2101))
    if question.start < first or question.end >= after:
        raise BadQuestionError("the range must lie between 2000 and 2100")
    span = (question.end - question.start).total_seconds()
    size = {Grain.HOUR: 3600, Grain.DAY: 86_400, Grain.WEEK: 7 * 86_400, Grain.MONTH: 30 * 86_400}.get(
        question.grain, span
    )
    if span / size > MAX_WINDOWS:
        raise BadQuestionError(
            f"the range holds about {int(span / size)} windows of grain {question.grain}, {MAX_WINDOWS} are allowed; "
            "take a coarser grain"
        )
    for one in asked:
        allowed = {
            d for d, c in dimensions_of(one.rollup).items() if c not in one.rollup.hidden or c in MEMBERS_ALLOWED
        }
        for name in (*question.by, *question.where):
            if name not in allowed:
                raise BadQuestionError(
                    f"metric '{one.name}' has no dimension {name[:80]!r}{nearest(name, allowed)} "
                    f"(it has {', '.join(sorted(allowed)) or 'none'})"
                )
    if len(set(question.by)) != len(question.by):
        raise BadQuestionError("a dimension is named twice in 'by'")


_READERS: dict[type[Metric], Callable[..., Any]] = {
    Stored: read.sums,
    Ratio: read.sums,
    Quantiles: read.quantiles,
    Distinct: read.distinct,
    DistinctRatio: read.distinct,
    State: read.states,
    First: read.firsts,
    Score: read.scores,
}


_OF_THE_PAST = (State, First)
"""What is read of all the past, by `history`, and not of tiles."""


def _state(rollup: Any, start: datetime, end: datetime, live: set[datetime], now: datetime) -> str:
    if start in live or end > now:
        return "live"
    return "provisional" if end + rollup.source.look_ahead > now else "settled"


def _rows(
    question: Question,
    asked: Sequence[Asked],
    cut: Sequence[Window],
    cells: dict[Key, dict[str, Cell]],
    live: dict[str, set[datetime]],
    now: datetime,
) -> list[Row]:
    """Put cells into rows; every window has a row for every combination of dimension values seen anywhere in the range.

    `live` names, by metric, the windows of which something was read from raw events.
    """
    combos = sorted({dims for _, dims in cells}, key=lambda d: tuple((v is None, v or "") for v in d))
    if not question.by:
        combos = [()]
    if len(combos) * len(cut) > MAX_ROWS:
        raise BadQuestionError(
            f"the answer would have {len(combos) * len(cut)} rows, {MAX_ROWS} are allowed; filter, or take a coarser grain"
        )
    return [
        Row(
            start=window.start.astimezone(UTC),
            dims=dict(zip(question.by, dims, strict=True)),
            cells={
                one.name: cells.get((utc_naive(window.start), dims), {}).get(one.name)
                or _empty(
                    one, window, now, _state(one.rollup, utc_naive(window.start), window.end, live[one.name], now)
                )
                for one in asked
            },
        )
        for window in cut
        for dims in combos
    ]


def _empty(one: Asked, window: Window, now: datetime, state: str) -> Cell:
    """A window without rows: counts are 0, everything that divides or has no value is null, as are states yet to come."""
    metric = one.metric
    counted = isinstance(metric, Distinct | State | First) or one.statistic == "count"
    if isinstance(metric, Stored) and metric.measure not in ("observed_min", "observed_max"):
        counted = True
    if isinstance(metric, State) and (window.start >= now or metric.since):
        counted = False
    return Cell(0 if counted else None, n=0, state=state)
