"""What a rule means: its metric, its windows, and whether it can work.

Rules of the kind `sla` judge who waits now; all others judge windows that have ended.
"""

from __future__ import annotations

import math
import re
from dataclasses import asdict, fields, replace
from datetime import time, timedelta
from typing import Any

import msgspec

from hubbub.errors import BadInputError, BadQuestionError
from hubbub.metrics.catalogue import RequestedMetric, askable, find
from hubbub.metrics.definition import Distinct, First, Quantiles, Stored, Unit
from hubbub.model.alert import Direction, Kind, Rule
from hubbub.model.event import nearest
from hubbub.model.plain import JsonObject
from hubbub.model.window import Grain
from hubbub.query.trends import HOTSPOT_RATIO

GRACE = timedelta(minutes=15)
"""How long after its end a window is judged: its last events are stored and folded by then."""
SHORTER_HORIZON = timedelta(days=1)
"""The same for metrics that later events change, like read rates: most receipts have arrived by then."""
TICK = timedelta(minutes=5)
"""How often rules are judged, and the window of a state."""
CLOSE_AFTER = {Grain.HOUR: 3, Grain.DAY: 2, Grain.WEEK: 1}
"""Quiet windows after which an incident closes."""
CLOSE_STATE_AFTER = 3
"""The same for waits, which are judged each tick: a quarter of an hour."""
PAST_TARGET = "waiting_past_target"
_QUIET = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)\Z")
_FIXED = {Kind.HOTSPOT: ("hotspot_ratio",), Kind.SLA: ("oldest_waiting_ms", PAST_TARGET), Kind.SOURCE: ("events",)}
"""Metrics that a kind allows, the default first. A rule on waits without a limit watches the tenant's targets."""


def rule_from(values: JsonObject) -> Rule:
    """Read a rule from plain values, with the fields that its kind fixes. Raises BadInputError naming the field."""
    _check_names(values)
    for name, kinds in (("kind", Kind), ("grain", Grain), ("direction", Direction)):
        if isinstance(member := values.get(name), str) and member not in list(kinds):
            raise BadInputError(f"{name}: {member[:40]!r} is not one of {', '.join(kinds)}")
    where = values.get("where") or {}
    spelled = {name: [value] if isinstance(value, str) else value for name, value in where.items()}
    try:
        rule = msgspec.convert({**values, "by": values.get("by") or None, "where": spelled}, Rule)
    except msgspec.ValidationError as error:
        raise BadInputError(f"the rule: {error}") from None
    fixed = _FIXED.get(rule.kind, ())
    if fixed and rule.metric not in ("", *fixed):
        raise BadInputError(f"metric: a rule of the kind {rule.kind} is about {fixed[0]}; leave the metric out")
    if rule.kind is Kind.SLA and rule.limit is None:
        rule = replace(rule, metric=PAST_TARGET, limit=0)
    elif fixed and not rule.metric:
        rule = replace(rule, metric=fixed[0])
    if rule.kind is Kind.HOTSPOT:
        rule = replace(rule, by="channel_id", limit=HOTSPOT_RATIO if rule.limit is None else rule.limit)
    if rule.kind is Kind.SOURCE:
        rule = replace(rule, grain=Grain.HOUR)
    return replace(rule, grain=Grain.DAY) if rule.kind is Kind.BUDGET else rule


def _check_names(values: JsonObject) -> None:
    known = [field.name for field in fields(Rule)]
    for name in values:
        if name not in known:
            raise BadInputError(f"a rule has no field {str(name)[:80]!r}{nearest(str(name), known)}")


def changed(document: JsonObject, changes: JsonObject) -> JsonObject:
    """Return a rule's plain values with some changed, for `rule_from`; None leaves a field to its default.

    The metric that a kind fixes follows from the rule's limit, so it is left out where the limit changes.
    Raises BadInputError naming an unknown field.
    """
    _check_names(changes)
    fixed = {"metric": None} if "limit" in changes and document["kind"] in _FIXED else {}
    return {name: value for name, value in {**document, **fixed, **changes}.items() if value is not None}


def plain(rule: Rule) -> JsonObject:
    """Return a rule as plain values for `rule_from`."""
    values: dict[str, Any] = msgspec.to_builtins(asdict(rule))
    return values


def checked(rule: Rule) -> RequestedMetric:
    """Check a rule and return its metric. Raises BadQuestionError for unknown names, BadInputError for the rest."""
    if not rule.name.strip() or len(rule.name) > 200 or not rule.name.isprintable():
        raise BadInputError("name: 1 to 200 printable characters")
    if not rule.metric:
        raise BadInputError("metric: name what the rule watches; 'hubbub metrics' lists them")
    metric = find(rule.metric)
    allowed = askable(metric.rollup)
    for name in (*([rule.by] if rule.by else []), *rule.where):
        if name not in allowed:
            raise BadQuestionError(f"metric '{metric.name}' has no dimension {name[:80]!r}{nearest(name, allowed)}")
    if rule.grain not in CLOSE_AFTER:
        raise BadInputError(f"grain: {rule.grain} is not one of {', '.join(CLOSE_AFTER)}")
    if rule.limit is not None and not math.isfinite(rule.limit):
        raise BadInputError("limit: must be a finite number")
    _check_kind(rule, metric)
    for name, low, high in (("at_least", 0, 1e9), ("times", 1, 1000), ("close_after", 0, 100), ("most", 1, 1000)):
        value = getattr(rule, name)
        if value is not None and not low <= value <= high:
            raise BadInputError(f"{name}: a number from {low:g} to {high:g}")
    quiet_hours(rule.quiet)
    return metric


def _check_kind(rule: Rule, metric: RequestedMetric) -> None:
    if rule.kind is Kind.CHANGE:
        if rule.limit is not None:
            raise BadInputError("limit: a rule of the kind change has floors (at_least, times), not a limit")
        return
    if rule.kind is Kind.SOURCE:
        if rule.limit is not None:
            raise BadInputError(
                "limit: a source is silent where 7 events were expected and none came; leave the limit out"
            )
        return
    if rule.limit is None:
        raise BadInputError(f"limit: a rule of the kind {rule.kind} needs one, in the metric's unit ({metric.unit})")
    if rule.kind is Kind.BUDGET and not (
        isinstance(metric.declared, Stored) and metric.unit in (Unit.COUNT, Unit.NUMBER)
    ):
        raise BadInputError(f"metric: a budget adds up days, and {metric.name} is not a count")
    if rule.kind is not Kind.THRESHOLD and rule.direction is not Direction.ABOVE:
        raise BadInputError(f"direction: a rule of the kind {rule.kind} fires only above its limit")
    if rule.direction is Direction.EITHER:
        raise BadInputError("direction: a limit is passed above or below; 'either' is for rules of the kind change")


def delay(metric: RequestedMetric) -> timedelta:
    """Return how long after its end a window of this metric is judged."""
    ahead = metric.rollup.source.look_ahead
    return GRACE if not ahead else max(GRACE, min(ahead, SHORTER_HORIZON))


def windows_to_close(rule: Rule) -> int:
    """Return how many quiet windows close an incident of a rule."""
    own = {Kind.SLA: CLOSE_STATE_AFTER, Kind.SOURCE: 1}.get(rule.kind, CLOSE_AFTER[rule.grain])
    return rule.close_after or own


def quiet_hours(text: str) -> tuple[time, time] | None:
    """Read quiet hours like "22:00-07:00"; None for an empty text. Raises BadInputError."""
    if not text:
        return None
    match = _QUIET.match(text)
    if match is None:
        raise BadInputError(f"quiet: {text[:40]!r} is not a span of hours like 22:00-07:00")
    first, last = time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4]))
    if first == last:
        raise BadInputError("quiet: the hours begin and end at the same time")
    return first, last


def counts_things(metric: RequestedMetric) -> bool:
    """Whether a metric counts, so that a low number may be chance."""
    return metric.unit is Unit.COUNT and isinstance(metric.declared, Stored | Distinct | First | Quantiles)
