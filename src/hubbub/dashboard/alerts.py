"""Alerts: rules, a trial of a new one on the past year, and destinations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hubbub.alerts.replay import Variant
from hubbub.control.outbox import KINDS
from hubbub.dashboard.ask import Ask, Form
from hubbub.dashboard.components import Column, Done, Group, Page, Shown, Widget
from hubbub.dashboard.forms import Act, Field, as_typed, data_table
from hubbub.dashboard.person import Role
from hubbub.dashboard.view import FILTERS
from hubbub.errors import BadInputError
from hubbub.metrics.catalogue import find, names
from hubbub.model.alert import Direction, Kind
from hubbub.model.plain import JsonObject, plain
from hubbub.reports.formatting import near, shown
from hubbub.services.alerts import AlertView, Tried

GRAINS = {"day": "day", "hour": "hour", "week": "week"}
WAYS = {Direction.ABOVE.value: "rises above", Direction.BELOW.value: "falls below"}
KIND_TITLES = {
    Kind.THRESHOLD: "Above or below a limit",
    Kind.CHANGE: "Unusual change",
    Kind.HOTSPOT: "Hotspot",
    Kind.SLA: "Target missed",
    Kind.SOURCE: "Source silent",
    Kind.BUDGET: "Budget",
}
_FLOOR = "A case is what the number counts, like a message, a wait or a rating."
ABOUT = {
    Kind.THRESHOLD: f"Fires for an hour, day or week whose number is beyond the limit. {_FLOOR}",
    Kind.CHANGE: "Fires for an hour, day or week outside its usual range, which is that of the same weekday and hour of the last "
    f"eight weeks. {_FLOOR} Without a least number, it fires only for what chance brings on at most eight days a year.",
    Kind.HOTSPOT: "A hotspot is a room in which unusually many messages are complaints. Without a share, it is above 0.3 (30 %) of "
    "at least 10 messages.",
    Kind.SLA: "Fires while a conversation waits for a reply longer than these minutes, or without minutes longer than its target.",
    Kind.SOURCE: "Fires when no event came where at least 7 were expected, or when a connected service can no longer be read.",
    Kind.BUDGET: "A budget is a limit for a sum since the month began, like messages sent or tokens of AI: it fires on the day "
    "that passes it.",
}
"""What a kind of rule does, below its tabs."""
RULE = ("name", "kind", "metric", "grain", "direction", "limit", "at_least", "times", "by", "destination", "quiet")
"""Fields of the rule form, and parameters of the address of a tried rule."""
NUMBERS = ("limit", "at_least", "times")
MINUTE_MS = 60_000
MOST_RUNS = 25


def _rules(ask: Ask) -> Shown:
    rows = ask.engine.alerts.of(ask.tenant.id).rows
    shown_rows = [
        {
            **plain(row), "kind": _short(row.kind), "state": _state(row), "title": ask.title(row.metric),
            "by": ask.in_words(FILTERS.get(row.by, row.by)) if row.by else None,
        }
        for row in rows
    ]  # fmt: skip
    columns = [
        Column("name", "Rule", "long"), Column("kind", "Kind"), Column("title", "Watches"), Column("grain", "For each"),
        Column("by", "Separately by"), Column("state", "State", "state"), Column("judged_to", "Checked up to (UTC)", "utc"),
        Column("error", "Error", "long"),
    ]  # fmt: skip
    acts = [
        [
            Act("resume", "Resume", {"alert": row.id}) if row.paused else Act("pause", "Pause", {"alert": row.id}),
            Act("remove", "Remove", {"alert": row.id}, danger=True),
        ]
        for row in rows
    ]
    return data_table(ask, columns, shown_rows, acts=acts if _may(ask) else [], nothing="There is no alert rule yet.")


def _short(kind: str) -> str:
    """Return a kind of rule as a word of a table."""
    return kind.upper() if kind == Kind.SLA else kind.capitalize()


def _state(row: AlertView) -> str:
    return "look" if row.error else "paused" if row.paused else "active"


def _may(ask: Ask) -> bool:
    return ask.person.may(Role.ADMIN)


def _new(ask: Ask) -> Shown:
    kind = _kind(ask.refused.form.get("kind", "") if ask.refused else ask.param("kind"))
    tabs = [
        (title, ask.link("alerts", ask.view.on(rest={"kind": one.value})), one is kind)
        for one, title in KIND_TITLES.items()
    ]
    destinations = {row.id: row.name for row in ask.engine.destinations.of(ask.tenant.id).rows}
    fields = (
        *_watched(ask, kind),
        Field("destination", "notify", "select", ask.param("destination"), {"": "nobody", **destinations}, after=","),
        Field("quiet", "but not during", value=ask.param("quiet"), hint="like 22:00-07:00", after="."),
        Field("name", "The rule is called", value=ask.param("name"), required=True, after="."),
    )
    form = Act("try", "Try it on the past year", {"kind": kind.value}, fields, sentence=True)
    return Shown("rule", {"tabs": tabs, "forms": [as_typed(ask, form)], "about": ask.in_words(ABOUT[kind])})


def _watched(ask: Ask, kind: Kind) -> tuple[Field, ...]:
    """Return the fields that a kind of rule has, in the order of a sentence."""
    known = {name: ask.title(name) for name in names()}
    metric = Field("metric", "When the number", value=ask.param("metric", "messages"), options=known)
    grain = Field("grain", "of each", "select", ask.param("grain", "day"), GRAINS, after=",")
    by = Field("by", "watched", "select", ask.param("by"), _separately(ask), after=",")
    limit = Field("limit", "rises above", value=ask.param("limit"), hint="in its unit", after=",", required=True)
    floor = Field("at_least", "with at least", value=ask.param("at_least"), hint="beyond chance", after="cases")
    direction = ask.param("direction", Direction.ABOVE)
    match kind:
        case Kind.THRESHOLD:
            return (
                metric, grain, by, Field("direction", "it", "select", direction, WAYS), replace(limit, title="", after=""),
                replace(floor, hint="10 for shares", after="cases,"),
            )  # fmt: skip
        case Kind.CHANGE:
            ways = {**WAYS, Direction.EITHER.value: "leaves"}
            return (
                metric, grain, by, Field("direction", "it", "select", direction, ways, after="its usual range,"),
                floor, Field("times", "and", "number", ask.param("times", "2"), after="times the usual number,"),
            )  # fmt: skip
        case Kind.HOTSPOT:
            share = replace(
                limit, title=ask.in_words("the complaints in a room rise above a share of"), hint="0.3", required=False
            )
            return replace(grain, title="When on one", after=""), share
        case Kind.SLA:
            wait = replace(
                limit, title="waits for a reply longer than", hint="the target", after="minutes,", required=False
            )
            return replace(by, title="When somebody, watched"), wait
        case Kind.SOURCE:
            return (replace(by, title="When expected events stop coming or an integration is broken, watched"),)
        case Kind.BUDGET:
            return replace(metric, after="since the month began,"), by, limit


def _separately(ask: Ask) -> Mapping[str, str]:
    """Return the dimensions by which a rule may watch separately, with that of the address."""
    names = dict.fromkeys([*ask.filters, *filter(None, [ask.param("by")])])
    return {"": "all together"} | {
        name: f"separately by {ask.in_words(FILTERS.get(name, name)).lower()}" for name in names
    }


def _read(values: Mapping[str, str]) -> JsonObject:
    """Return a rule from form values; empty fields get the defaults. Raises BadInputError for text in place of a number."""
    rule: dict[str, Any] = {name: values[name].strip() for name in RULE if values.get(name, "").strip()}
    for name in NUMBERS:
        if name in rule:
            rule[name] = _number(name, rule[name])
    if destination := rule.pop("destination", None):
        rule["destinations"] = [destination]
    kind = _kind(rule.get("kind", ""))
    if kind not in (Kind.THRESHOLD, Kind.CHANGE, Kind.BUDGET):
        rule.pop("metric", None)
    if kind in (Kind.CHANGE, Kind.SOURCE):
        rule.pop("limit", None)
    if kind is Kind.SLA and "limit" in rule:
        rule["limit"] *= MINUTE_MS
    return rule


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadInputError(f"{name}: {text[:40]!r} is not a number") from None


def _kind(text: str) -> Kind:
    """Return the kind of a name; that of a change for any other text."""
    return Kind(text) if text in list(Kind) else Kind.CHANGE


def _tried(ask: Ask) -> Shown:
    if not ask.param("name"):
        return Shown(empty="Try a rule to see when it would have fired.")
    rule = _read(ask.view.rest)
    answer = ask.engine.alerts.try_(ask.tenant.id, rule)
    unit = find(answer.metric).unit
    rows = [
        {**plain(row), **{name: near(getattr(row, name), unit) for name in ("value", "usual", "peak")}}
        for row in answer.rows[:MOST_RUNS]
    ]
    columns = [
        Column("from", "From", "moment"), Column("to", "To", "moment"), Column("slice", "Of"), Column("value", "Value"),
        Column("usual", "Usual"), Column("peak", "Peak"),
    ]  # fmt: skip
    sends = {name: value for name, value in ask.view.rest.items() if name in RULE}
    others = "; ".join(f"{_floors(v, unit)}: {v.incidents} a year{_found(v)}" for v in answer.variants if not v.own)
    compared = f" With others, {others}." if others else ""
    missed = "".join(f" {count} windows were not judged: {why}." for why, count in answer.not_judged.items())
    return data_table(
        ask, columns, rows, forms=[Act("add", "Save the rule", sends)] if _may(ask) else [],
        nothing="It would not have fired.",
        note=f"{_own(answer)}{compared}{missed}",
    )  # fmt: skip


def _own(tried: Tried) -> str:
    """Return how often the rule would have fired, and what it finds."""
    often = "once" if tried.incidents == 1 else f"{tried.incidents} times"
    (own,) = [variant for variant in tried.variants if variant.own]
    finds = "" if own.tripled is None else f" It finds {shown(own.tripled, 'share')} of windows that are tripled."
    return f"It would have fired {often} in the past year.{finds}"


def _floors(v: Variant, unit: str) -> str:
    if v.limit is not None:
        return f"limit {near(v.limit, unit)}"
    least = f"at least {v.at_least:g}" if v.at_least is not None else "more than chance brings"
    return f"{least} and {v.times:g} times"


def _found(variant: Variant) -> str:
    return f", finds {shown(variant.tripled, 'share')} of tripled" if variant.tripled is not None else ""


def _destinations(ask: Ask) -> Shown:
    rows = ask.engine.destinations.of(ask.tenant.id).rows
    columns = [Column("name", "Destination", "long"), Column("kind", "Kind"), Column("to", "To")]
    acts = [
        [Act("test", "Send a test", {"id": row.id}), Act("drop", "Remove", {"id": row.id}, danger=True)] for row in rows
    ]
    fields = (
        Field("kind", "Kind", "select", "mail", {kind: kind for kind in KINDS}),
        Field("to", "Address", "password", required=True, hint="mail address, Slack webhook, or https address"),
        Field("name", "Name"),
    )
    return data_table(
        ask, columns, plain(rows), acts=acts if _may(ask) else [],
        forms=[Act("destination", "Add", fields=fields, title="Add a destination")] if _may(ask) else [],
        nothing="There is no destination, so nobody is notified.",
    )  # fmt: skip


# --- actions of the forms


def _do_try(ask: Ask, form: Form) -> Done:
    ask.engine.alerts.try_(ask.tenant.id, _read(form))
    typed = {name: form[name] for name in RULE if form.get(name)}
    return Done("Below are the times at which it would have fired.", ask.link("alerts", ask.view.on(rest=typed)))


def _do_add(ask: Ask, form: Form) -> Done:
    added = ask.engine.alerts.add(ask.tenant.id, _read(form))
    return Done(f"{added.name} judges windows that end from now on.", ask.link("alerts", ask.view.on(rest={})))


def _do_pause(ask: Ask, form: Form) -> Done:
    ask.engine.alerts.change(ask.tenant.id, form.get("alert", ""), {"paused": True})
    return Done("The rule is paused: it judges nothing.")


def _do_resume(ask: Ask, form: Form) -> Done:
    ask.engine.alerts.change(ask.tenant.id, form.get("alert", ""), {"paused": False})
    return Done("The rule judges windows that end from now on.")


def _do_remove(ask: Ask, form: Form) -> Done:
    ask.engine.alerts.remove(ask.tenant.id, form.get("alert", ""))
    return Done("The rule is removed, with its incidents.")


def _do_destination(ask: Ask, form: Form) -> Done:
    to = form.get("to", "").strip()
    added = ask.engine.destinations.add(ask.tenant.id, form.get("kind", ""), to, form.get("name", ""))
    return Done(f"{added.name} is added. Send it a test.", secret=added.secret or "")


def _do_test(ask: Ask, form: Form) -> Done:
    sent = ask.engine.destinations.test(ask.tenant.id, form.get("id", ""))
    if sent.state == "sent":
        return Done("The test has arrived.")
    return Done(f"The test did not arrive: {sent.why}", failed=True)


def _do_drop(ask: Ask, form: Form) -> Done:
    ask.engine.destinations.remove(ask.tenant.id, form.get("id", ""))
    return Done("The destination is removed, and its waiting messages are given up.")


PAGE = Page(
    "alerts", "Alerts",
    (
        Widget("rules", "Rules", _rules, size="list", wide=True),
        Widget("new", "A new rule", _new, size="form", wide=True, role=Role.ADMIN, still=True),
        Widget("tried", "The past year with this rule", _tried, size="list", wide=True, role=Role.ADMIN, lazy=True),
        Widget("destinations", "Destinations", _destinations, size="list", wide=True, role=Role.ADMIN),
    ),
    role=Role.ANALYST, header=False, group=Group.SET_UP,
    actions={
        "try": _do_try, "add": _do_add, "pause": _do_pause, "resume": _do_resume, "remove": _do_remove,
        "destination": _do_destination, "test": _do_test, "drop": _do_drop,
    },
)  # fmt: skip
