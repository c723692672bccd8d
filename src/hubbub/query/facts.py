"""The rows of an answer's rollups: stored windows as they are, the rest folded from raw events in the same statement.

A tenant's raw events are fetched once for all facts of an answer, into the temporary table `gathered`; facts that look
beyond one event are then folded once, however many rollups and measures are read from them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hubbub.metrics import fold
from hubbub.metrics.definition import Fact, Rollup
from hubbub.model.tenant import Tenant
from hubbub.query.plan import OWN, Piece, Tiles, cut_by
from hubbub.store.base import EVENT_COLUMNS, Work, utc_naive
from hubbub.store.hours import make_rows

RECENT = timedelta(days=3)
"""What ends later than so long ago is gathered with all that came after it: one look at events, and little is too much."""

NEVER = utc_naive(datetime(9999, 12, 31, tzinfo=UTC))


def _within(low: datetime, high: datetime) -> str:
    return f"{fold.TIME} >= TIMESTAMP '{low}' AND {fold.TIME} < TIMESTAMP '{high}'"


def _key(fact: Fact) -> str:
    return (fact.key or "").replace("{e}.", "")


def scope(fact: Fact, tiles: Tiles) -> str:
    """Return the subquery of one tenant's events that the raw part of an answer needs."""
    if not tiles.raw:
        return fold.scope(fact, "FALSE")
    mine = "tenant = $tenant"
    if fact.bounded:
        return fold.scope(fact, f"{mine} AND {_within(tiles.low - fact.look_back, tiles.high + fact.look_ahead)}")
    key, within = _key(fact), f"{mine} AND {_within(tiles.low, tiles.high)}"
    active = f"SELECT {key} FROM events WHERE {within} AND {fold.types_in(fact.anchors)} AND {key} IS NOT NULL"
    return fold.scope(fact, f"{mine} AND ({key} IN ({active}) OR ({key} IS NULL AND {within}))")


class Facts:
    """The fact rows of the raw parts of one answer, in temporary tables of its transaction."""

    def __init__(self, work: Work, tenant: Tenant) -> None:
        self._work = work
        self._tenant = tenant
        self._mine = {"tenant": tenant.no}
        self._gathered: dict[str, tuple[datetime, datetime]] = {}
        self._made: dict[tuple[str, datetime, datetime], str] = {}

    def gather(self, needs: Iterable[tuple[Fact, Tiles]], now: datetime) -> None:
        """Fetch the events that facts need for the raw parts of tiles, all at once. More than needed changes no number:
        what more there is makes facts outside of the tiles."""
        facts: dict[str, Fact] = {}
        spans: dict[str, tuple[datetime, datetime]] = {}
        for fact, tiles in needs:
            if tiles.raw:
                facts[fact.name] = fact
                low, high = spans.get(fact.name, (tiles.low, tiles.high))
                spans[fact.name] = min(low, tiles.low), max(high, tiles.high)
        if all(fact.plain for fact in facts.values()):  # a look at events for each is as good
            spans.clear()
        self._gathered = spans
        if not spans:
            return
        bounded = [f for f in facts.values() if f.bounded]
        low = min([low for low, _ in spans.values()] + [spans[f.name][0] - f.look_back for f in bounded])
        high = max([high for _, high in spans.values()] + [spans[f.name][1] + f.look_ahead for f in bounded])
        if high >= utc_naive(now - RECENT):
            high = NEVER
        columns = fold.quoted(_columns(facts.values()))
        near = f"tenant = $tenant AND {_types(facts.values())} AND {_within(low, high)}"
        self._work.make("gathered", f"SELECT {columns} FROM events WHERE {near}", self._mine)
        active = self._active([fact for fact in facts.values() if not fact.bounded])
        sides = [f"< TIMESTAMP '{low}'", *([f">= TIMESTAMP '{high}'"] if high < NEVER else [])]
        far = [
            f"SELECT {columns} FROM events WHERE tenant = $tenant AND {part} AND {fold.TIME} {side}"
            for part in active
            for side in sides
        ]
        if far:  # an event may be reached by two keys: its sequence number keeps it single
            self._work.execute(f"INSERT INTO gathered {' UNION '.join(far)}", self._mine)

    def _active(self, facts: Sequence[Fact]) -> list[str]:
        """Return conditions on events whose keys are active in what is gathered: one for each kind of key."""
        parts: list[str] = []
        for number, key in enumerate(dict.fromkeys(_key(fact) for fact in facts)):
            mine = [fact for fact in facts if _key(fact) == key]
            anchors = " OR ".join(f"({fold.types_in(f.anchors)} AND {_within(*self._gathered[f.name])})" for f in mine)
            table = f"active_{number}"
            if self._work.make(
                table, f"SELECT DISTINCT {key} AS key FROM gathered WHERE {key} IS NOT NULL AND ({anchors})"
            ):
                parts.append(f"{_types(mine)} AND {key} IN (SELECT key FROM {table})")
        return parts

    def source(self, fact: Fact, tiles: Tiles) -> str:
        """Return the relation of a fact's rows for the raw part of tiles; its parameter is `$tenant`."""
        low, high = self._gathered.get(fact.name, (NEVER, OWN))
        if low <= tiles.low and tiles.high <= high:
            rows = fold.fact_rows(fact, fold.scope(fact, "tenant = $tenant", "gathered"))
        else:
            low, high = tiles.low, tiles.high
            rows = fold.fact_rows(fact, scope(fact, tiles))
        if fact.plain:
            return f"({rows})"
        key = (fact.name, low, high)
        if key not in self._made:
            self._made[key] = f"rows_{len(self._made)}"
            make_rows(self._work, self._made[key], fact, rows, [self._tenant], self._mine)
        return f"(SELECT * FROM {self._made[key]} WHERE tenant = $tenant)"


def _types(facts: Iterable[Fact]) -> str:
    """SQL that keeps the events that any of some facts reads."""
    read = [fact.reads for fact in facts]
    return fold.types_in(sorted({t for types in read for t in types}) if all(read) else ())


def _columns(facts: Iterable[Fact]) -> Sequence[str]:
    """Return the columns of events that facts name in their SQL, and those that tell events apart."""
    words = {word for fact in facts for word in re.findall(r"\w+", f"{fact.sql} {fact.key}")}
    return ["seq", *(c for c in EVENT_COLUMNS if c in words or c in ("tenant", "type", "time", "source", "id"))]


def relation(rollup: Rollup, tiles: Tiles, facts: Facts, measure: str | None = None) -> tuple[str, dict[str, Any]]:
    """Return SQL (and its parameters, beside `$tenant`) of the rows of a rollup, stored and raw alike, unmerged.

    Its columns are those of the rollup's table, or of the histogram of `measure`, with `window_start` the bucket.
    """
    parts: list[str] = []
    params: dict[str, Any] = {}
    for grain, pieces in tiles.stored.items():
        table = rollup.table(grain) if measure is None else rollup.histogram_table(measure, grain)
        values = [c.name for c in rollup.columns()] if measure is None else ["bucket", "n"]
        columns = "".join(f", s.{c}" for c in (*rollup.dimensions, *values))
        cut = cut_by("s.window_start", pieces, f"{grain.value}_windows", params, windows=True)
        parts.append(
            f"SELECT s.tenant, {cut.bucket} AS window_start{columns} FROM {table} AS s{cut.join} "
            f"WHERE s.tenant = $tenant AND {cut.where}"
        )
    if tiles.raw:
        parts.append(raw_rows(rollup, tiles, facts, params, measure))
    if not parts:  # nothing is left of the asked range: no row, but all columns
        nothing = Tiles(raw=[Piece(OWN, OWN, OWN)])
        parts.append(raw_rows(rollup, nothing, facts, params, measure))
    return " UNION ALL ".join(parts), params


def raw_rows(rollup: Rollup, tiles: Tiles, facts: Facts, params: dict[str, Any], measure: str | None = None) -> str:
    """Return the SELECT of the raw part of tiles, folded as a rollup's rows (or those of a histogram) under their buckets."""
    source = facts.source(rollup.source, tiles)
    cut = cut_by(f"f.{rollup.anchor}", tiles.raw, "raw_pieces", params)
    if measure is None:
        return fold.fold(rollup, source, where=cut.where, cut=(cut.join, cut.bucket))
    return fold.fold_histogram(rollup, measure, source, where=cut.where, cut=(cut.join, cut.bucket))
