"""The SQL of facts, rollups and answers, said as ClickHouse does.

Everything above the stores speaks the SQL of DuckDB. `Statement.of` reads it with sqlglot, changes what ClickHouse calls or rounds
otherwise, and lets every stored table stand for those of its rows that count. What differs in meaning throughout (nulls of joins
and of empty aggregates, names of columns and aliases) is settled by `SETTINGS`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import sqlglot
from sqlglot import exp

from hubbub.store.clickhouse_schema import APPENDED, CHANGED, ROW, STORED, type_of, visible

SETTINGS: dict[str, str | int] = {
    "aggregate_functions_null_for_empty": 1,  # max() of nothing is null, not the type's zero
    "join_use_nulls": 1,  # a row without a partner has nulls
    "prefer_column_name_to_alias": 1,  # GROUP BY means the column, not what is called like it
    "union_default_mode": "DISTINCT",
    "cast_keep_nullable": 1,
    "session_timezone": "UTC",
    "max_partitions_per_insert_block": 0,  # one import may bring decades
    "output_format_json_quote_64bit_integers": 0,
    "output_format_json_named_tuples_as_objects": 1,
    "enable_named_columns_in_function_tuple": 1,
    "distributed_product_mode": "global",
    "distributed_foreground_insert": 1,  # an insert is there when it is answered, on every shard
    "lightweight_deletes_sync": 1,
    "query_plan_optimize_join_order_limit": 0,  # tables have no statistics: all tenants were joined with all of a calendar
}
"""Settings of every statement, by which ClickHouse means what standard SQL does."""

_MOMENT = re.compile(r"TIMESTAMP '([^']*)'")
_MARK = re.compile(r"@moment(\d+)@")
_VISIBLE = re.compile(r"\b__(rows|numbered)_(\w+?)__")
_KINDS = {bool: "Bool", int: "Int64", float: "Float64", str: "String", datetime: "DateTime64(6, 'UTC')", date: "Date32"}


@dataclass(frozen=True)
class Statement:
    """A statement in ClickHouse's words; whether it answers rows, and whether it changes what is stored."""

    sql: str
    answers: bool
    changes: bool

    @classmethod
    def of(cls, sql: str, params: Mapping[str, Any]) -> Statement:
        """Translate a statement whose parameters have the types of these values. Raises sqlglot.errors.SqlglotError."""
        return cls._filled(*_shape(sql), params)

    @classmethod
    def tables(cls, name: str, select: str, params: Mapping[str, Any]) -> list[tuple[str, Statement]]:
        """Translate the SELECT of a table `name`; before it come tables of what it names once and reads more often.

        ClickHouse would work those out each time anew: its materialized CTEs are an experiment.
        """
        shape, moments = _shape(select)
        parts, rest = _shared(shape)
        return [(each, cls._filled(text, moments, params)) for each, text in (*parts, (name, rest))]

    @classmethod
    def _filled(cls, shape: str, moments: list[str], params: Mapping[str, Any]) -> Statement:
        kinds = tuple(sorted((name, kind_of(value)) for name, value in params.items()))
        text, answers, changes = _translate(shape, kinds)
        return cls(_MARK.sub(lambda m: moments[int(m[1])], text), answers, changes)


def _shape(sql: str) -> tuple[str, list[str]]:
    """Take the moments out of a statement, so that its like is translated once."""
    moments: dict[str, int] = {}
    shape = _MOMENT.sub(lambda m: f"TIMESTAMP '@moment{moments.setdefault(m[1], len(moments))}@'", sql)
    return shape, list(moments)


@lru_cache(maxsize=1024)
def _shared(sql: str) -> tuple[tuple[tuple[str, str], ...], str]:
    if "WITH" not in sql:
        return (), sql
    tree = sqlglot.parse_one(sql, read="duckdb")
    named = Counter(cte.alias for cte in tree.find_all(exp.CTE))
    read = Counter(table.name for table in tree.find_all(exp.Table))
    found: list[tuple[str, str]] = []
    for clause in tree.find_all(exp.With):
        ctes = clause.expressions
        for cte in list(ctes):
            if named[cte.alias] == 1 and read[cte.alias] > 1:
                before = [one.copy() for one in ctes[: ctes.index(cte)]]
                body = cte.this.copy()
                if before:
                    body.set("with_", exp.With(expressions=before))
                found.append((cte.alias, body.sql("duckdb")))
                ctes.remove(cte)
        if not ctes:
            clause.pop()
    return tuple(found), tree.sql("duckdb") if found else sql


def kind_of(value: Any) -> str:
    """Return the type of a bound value; empty for null, which is written out."""
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return "Array(Int64)" if value and isinstance(value[0], int) else "Array(String)"
    return _KINDS[type(value)]


def bound(value: Any) -> Any:
    """Return a value in the form in which it is bound."""
    if isinstance(value, datetime | date):
        return str(value)
    if isinstance(value, list | tuple):
        return [bound(one) for one in value]
    return value


@lru_cache(maxsize=4096)
def _translate(sql: str, kinds: tuple[tuple[str, str], ...]) -> tuple[str, bool, bool]:
    tree = sqlglot.parse_one(sql, read="duckdb")
    answers = isinstance(tree, exp.Query)
    made = (
        _deletion(tree) if isinstance(tree, exp.Delete) else _insertion(tree) if isinstance(tree, exp.Insert) else tree
    )
    text = _said(made, dict(kinds))
    return _VISIBLE.sub(lambda m: visible(m[2], with_row=m[1] == "numbered"), text), answers, made is not tree


def _said(tree: exp.Expr, kinds: Mapping[str, str]) -> str:
    ctes = {cte.alias for cte in tree.find_all(exp.CTE)}

    def change(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Placeholder):
            kind = kinds[node.name]
            return exp.Var(this=f"{{{node.name}:{kind}}}") if kind else exp.Null()
        if isinstance(node, exp.Table) and node.name not in ctes:
            return _table(node)
        if isinstance(node, exp.Anonymous):
            found = _CALLS.get(node.name.lower())
            return found(node.expressions) if found else node
        return _CHANGES[type(node)](node) if type(node) in _CHANGES else node

    for node in reversed(list(tree.walk(bfs=False))):  # from the inside out: what is changed may hold what is changed
        other = change(node)
        if other is not node:
            tree = other if node is tree else tree
            node.replace(other)
    return _plain(tree)


def _table(node: exp.Table) -> exp.Expr:
    name = node.name
    if name not in STORED or isinstance(node.parent, exp.Insert | exp.Schema):
        return node
    alias = exp.TableAlias(this=exp.to_identifier(node.alias or name))
    return exp.Table(this=exp.to_identifier(f"__rows_{name}__"), alias=alias, joins=node.args.get("joins"))


def _deletion(tree: exp.Delete) -> exp.Expr:
    """A row is deleted by a row beside its table, so that those who read before it go on seeing it."""
    name = tree.this.name
    table = STORED.get(name)
    if table is None:
        return tree
    alias = tree.this.alias or name
    row = f"toUInt64({alias}.{table.number})" if table.number else f"{alias}.{ROW}"
    rows = exp.select(row).from_(exp.alias_(exp.to_table(f"__numbered_{name}__"), alias, table=True))
    [using] = tree.args.get("using") or [None]
    where = tree.args.get("where")
    wanted = list(where.this.flatten()) if where and isinstance(where.this, exp.And) else [where.this] if where else []
    if using is not None:
        rows = rows.where(_like(wanted, alias, using))
    rows = rows.where(*(one for one in wanted if using is None or not _mentions(one, using.alias_or_name)))
    rows = rows.select(exp.Var(this="{own:UInt64}"))
    return exp.Insert(this=_schema(f"{name}_gone", [ROW, CHANGED]), expression=rows)


def _like(wanted: list[exp.Expr], alias: str, using: exp.Expr) -> exp.Expr:
    """Say that another relation has a row's like: as an IN, for which ClickHouse uses its index; it reads all for a join."""
    ours, theirs = [], []
    for one in wanted:
        if _mentions(one, using.alias_or_name):
            if not isinstance(one, exp.EQ):
                raise ValueError(f"a deletion compares with other rows by = alone: {one.sql()}")
            mine, other = (one.left, one.right) if _mentions(one.left, alias) else (one.right, one.left)
            ours.append(mine.copy())
            theirs.append(other.copy())
    return exp.In(this=exp.Tuple(expressions=ours), query=exp.select(*theirs).from_(using.copy()).subquery())


def _mentions(node: exp.Expr, relation: str) -> bool:
    return any(column.table == relation for column in node.find_all(exp.Column))


def _insertion(tree: exp.Insert) -> exp.Expr:
    """An inserted row says which change wrote it."""
    target, rows = tree.this, tree.expression
    name = (target.this if isinstance(target, exp.Schema) else target).name
    if name not in STORED:
        return tree
    columns = (
        [c.name for c in target.expressions] if isinstance(target, exp.Schema) else [c for c, _ in STORED[name].columns]
    )
    if isinstance(rows, exp.Values):
        rows = exp.select(*rows.expressions[0].expressions)
    rows.set("order", None)  # a table is kept in an order of its own
    number = exp.Var(this="{own:UInt64}")
    rows = rows.select(number) if isinstance(rows, exp.Select) else exp.select("*", number).from_(rows.subquery("s"))
    return exp.Insert(this=_schema(name, [*columns, APPENDED if STORED[name].appended else CHANGED]), expression=rows)


def _schema(name: str, columns: list[str]) -> exp.Schema:
    return exp.Schema(this=exp.to_table(name), expressions=[exp.to_identifier(c, quoted=True) for c in columns])


def _call(name: str, *args: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=list(args))


def _cast(node: exp.Cast) -> exp.Expr:
    if isinstance(node.this, exp.Literal) and node.this.is_string and node.to.this == exp.DataType.Type.TIMESTAMPNTZ:
        return _call("toDateTime64", node.this, exp.Literal.number(6), exp.Literal.string("UTC"))
    if isinstance(node.this, exp.Anonymous) and node.this.name == _LOCAL:
        return _call("toDate32", _call("substring", node.this, exp.Literal.number(1), exp.Literal.number(10)))
    return exp.Cast(this=node.this, to=exp.DataType.build(_type(node.to), dialect="clickhouse"))


def _try_cast(node: exp.TryCast) -> exp.Expr:
    return _call("parseDateTime64BestEffortOrNull", node.this, exp.Literal.number(6), exp.Literal.string("UTC"))


def _type(kind: exp.DataType) -> str:
    if kind.this == exp.DataType.Type.ARRAY:
        return f"Array({_type(kind.expressions[0])})"
    return type_of(_NAMES.get(kind.this.name, kind.this.name))


_NAMES = {"TIMESTAMPNTZ": "TIMESTAMP", "INT": "INTEGER", "TEXT": "VARCHAR", "INT128": "HUGEINT", "JSON": "VARCHAR"}


def _round(node: exp.Round) -> exp.Expr:
    """Halves go away from zero, as in standard SQL; ClickHouse sends them to the even neighbour."""
    scale = 10.0 ** int(node.args["decimals"].name) if node.args.get("decimals") else 1.0
    value = f"({_plain(node.this)})" if scale == 1.0 else f"({_plain(node.this)}) * {scale!r}"
    whole = f"(trunc({value}) + if(abs({value} - trunc({value})) >= 0.5, sign({value}), 0))"
    return exp.Var(this=whole if scale == 1.0 else f"({whole} / {scale!r})")


def _plain(node: exp.Expr) -> str:
    return node.sql("clickhouse", normalize_functions=False)


def _quantile(node: exp.PercentileCont) -> exp.Expr:
    return exp.Var(this=f"quantileExactInclusive({_plain(node.expression)})({_plain(node.this)})")


def _element(node: exp.Bracket) -> exp.Expr:
    """sqlglot counts from 0, ClickHouse from 1."""
    if isinstance(node.expressions[0], exp.Slice):  # only from the beginning
        return _call("arraySlice", node.this, exp.Literal.number(1), node.expressions[0].expression)
    return _call(
        "arrayElement", node.this, exp.Add(this=exp.paren(node.expressions[0]), expression=exp.Literal.number(1))
    )


def _list(node: exp.ArrayAgg) -> exp.Expr:
    """A list in an order is sorted by what it is ordered by, and that is taken away again; downwards go numbers only."""
    if not isinstance(node.this, exp.Order):
        return _call("groupArray", node.this)
    by = [exp.Neg(this=exp.paren(one.this)) if one.args.get("desc") else one.this for one in node.this.expressions]
    rows = _plain(_call("arraySort", _call("groupArray", _call("tuple", *by, node.this.this))))
    return exp.Var(this=f"arrayMap(one -> tupleElement(one, {len(by) + 1}), {rows})")


def _object(args: list[exp.Expr]) -> exp.Expr:
    """Names and values in one JSON object; names are never null."""
    names = _call("groupArray", _call("toString", _call("assumeNotNull", args[0])))
    return _call("toJSONString", _call("mapFromArrays", names, _call("groupArray", args[1])))


_LOCAL = "toString"


def _zoned(args: list[exp.Expr]) -> exp.Expr:
    """A moment in a zone that is another one in each row is a text: a type has one zone only."""
    inner = args[1]
    if isinstance(inner, exp.Anonymous) and inner.name == "timezone":
        return _call(_LOCAL, inner.expressions[1], _call("assumeNotNull", args[0]))
    return _call("timezone", *args)


def _struct(node: exp.Struct) -> exp.Expr:
    fields = [exp.alias_(pair.expression, pair.this.name, quoted=True) for pair in node.expressions]
    return _call("tuple", *fields)


def _counted(node: exp.Expr) -> exp.Expr:
    """A count is a signed number, as it is where it is stored."""
    inner = node.this if isinstance(node, exp.Filter | exp.Window) else node
    inner = inner.this if isinstance(inner, exp.Filter) else inner
    whole = isinstance(inner, exp.Count) and not isinstance(node.parent, exp.Filter | exp.Window)
    return _call("toInt64", node.copy()) if whole else node


def _among(node: exp.In) -> exp.Expr:
    """Rows are sought among rows of columns, not of tuples: those are never equal where a column may be null."""
    query = node.args.get("query")
    select = query.this if isinstance(query, exp.Subquery) else query
    if isinstance(select, exp.Select) and isinstance(select.expressions[0], exp.Tuple):
        select.set("expressions", select.expressions[0].expressions)
    return node


def _named(node: exp.Select) -> exp.Expr:
    """A column that is read is called by its own name, and not by its table's too."""
    node.set(
        "expressions",
        [
            exp.alias_(c, c.name, quoted=True) if isinstance(c, exp.Column) and c.table and not c.is_star else c
            for c in node.expressions
        ],
    )
    return node


def _one(name: str) -> Callable[[Any], exp.Expr]:
    return lambda node: _call(name, node.this)


def _two(name: str) -> Callable[[Any], exp.Expr]:
    return lambda node: _call(name, node.this, node.expression)


_CALLS: dict[str, Callable[[list[exp.Expr]], exp.Expr]] = {
    "epoch_us": lambda args: _call("toUnixTimestamp64Micro", *args),
    "to_milliseconds": lambda args: _call("toIntervalMillisecond", *args),
    "to_json": lambda args: _call("toJSONString", *args),
    "json_group_object": _object,
    "timezone": _zoned,
}

_CHANGES: dict[type, Callable[[Any], exp.Expr]] = {
    exp.Cast: _cast,
    exp.TryCast: _try_cast,
    exp.Round: _round,
    exp.Struct: _struct,
    exp.LogicalOr: _one("max"),
    exp.Flatten: _one("arrayFlatten"),
    exp.ArrayAgg: _list,
    exp.ArraySort: _one("arraySort"),
    exp.ArrayDistinct: _one("arrayDistinct"),
    exp.ArrayMin: _one("arrayMin"),
    exp.Explode: _one("arrayJoin"),
    exp.Unnest: lambda node: _call("arrayJoin", *node.expressions),
    exp.PercentileCont: _quantile,
    exp.Bracket: _element,
    exp.In: _among,
    exp.Count: _counted,
    exp.Filter: _counted,
    exp.Window: _counted,
    exp.Length: _one("length"),
    exp.IntDiv: _two("intDiv"),
    exp.Select: _named,
    exp.ArrayContains: _two("has"),
    exp.ArrayPosition: _two("indexOf"),
    exp.ArrayFilter: lambda node: _call("arrayFilter", node.expression, node.this),
    exp.GenerateSeries: lambda node: _call("range", node.args["start"], node.args["end"]),
}
