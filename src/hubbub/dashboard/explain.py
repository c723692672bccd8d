"""Explain a number: what it is, how it is counted, whether it can change, and the rows behind it. Every number leads here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from datetime import date, datetime
from shlex import quote

from markupsafe import Markup

from hubbub.dashboard.ask import Ask
from hubbub.dashboard.chosen_chart import chosen_chart
from hubbub.dashboard.components import Cells, Column, Page, Shown, Table, Widget
from hubbub.dashboard.conversation_rows import csv_only, texts_of, with_mentions
from hubbub.dashboard.conversations import raw_event
from hubbub.dashboard.forms import Fact, facts
from hubbub.dashboard.labelled import GIVEN_BY, cells
from hubbub.dashboard.person import Role
from hubbub.dashboard.ranges import range_of, range_plot
from hubbub.dashboard.sparks import share_bar
from hubbub.dashboard.view import FILTERS
from hubbub.dashboard.widgets import breakdown, unit_of
from hubbub.errors import BadRequestError
from hubbub.metrics.catalogue import askable, find
from hubbub.metrics.definition import State, Unit
from hubbub.model.label import GivenLabel
from hubbub.model.plain import JsonRow, typed
from hubbub.model.question import parse_moment
from hubbub.query.excerpts import messages
from hubbub.query.explain import Explanation
from hubbub.query.result import UNKNOWN
from hubbub.reports.dates import short_days
from hubbub.reports.formatting import day, in_sentence, shown, window_start

PAGE_SIZE = 50
PARTS = {"numerator": "In the numerator", "rest": "Not in it", "all": "All"}
STATES = {
    "settled": "Final: only a late event can change it.",
    "provisional": "It may still change: events that belong to it may arrive for some days.",
    "live": "These days are not over: it still grows.",
    "incomplete": "A source has a gap in these days: only a part is counted.",
    "not_fetched": "Nothing is known: these days were not fetched from their source.",
    "not_known_then": "Nothing was counted at that moment.",
    "gone": "These days are past this tenant's retention.",
    "not_reported": "Its source reports no value for any of the rows behind it.",
    "no_target": "No target was in force on these days.",
}
TITLES = {
    "counts": "Part",
    "conversation_id": "Conversation",
    "contact_id": "Contact",
    "campaign_id": "Campaign",
} | FILTERS


def _where(ask: Ask) -> dict[str, list[str]]:
    """Return the filters: dimension values of the address under the view's filters, some of them fixed by a shared link."""
    where = {name[2:]: [value] for name, value in ask.view.rest.items() if name.startswith("d.")}
    view = {name: list(values) for name, values in ask.view.where.items()}
    return view | where | {name: values for name, values in view.items() if name in ask.view.locked}


def _span(ask: Ask) -> tuple[str, str]:
    """Return the days or moments of the address, or the view's; within the days that a shared link fixes."""
    view, zone = ask.view, ask.tenant.zone
    days = view.first.isoformat(), view.after.isoformat()
    span = ask.param("start", days[0]), ask.param("end", days[1])
    if "range" not in view.locked:
        return span
    start = max(span[0], days[0], key=lambda text: parse_moment(text, zone))
    return start, min(span[1], days[1], key=lambda text: parse_moment(text, zone))


def _metric(ask: Ask) -> str:
    metric = ask.param("metric")
    if not metric:
        raise BadRequestError("this address names no metric: choose a number on a page")
    return metric


def _explained(ask: Ask) -> Explanation:
    """Return the explanation with a page of its events, computed once for both widgets."""
    start, end = _span(ask)
    return ask.once(
        "explain",
        lambda: ask.engine.answers.explain(
            ask.tenant.id,
            _metric(ask),
            start,
            end,
            _where(ask),
            limit=PAGE_SIZE,
            cursor=ask.param("cursor") or None,
            part=_part(ask),
        ),
    )


def _part(ask: Ask) -> str:
    """Return the part of the rows that the address names; of a share first those in its numerator."""
    part = ask.param("part", "numerator" if find(_metric(ask)).unit is Unit.SHARE else "all")
    return "" if part == "all" else part


def _number(ask: Ask) -> Shown:
    start, end = _span(ask)
    metric = _metric(ask)
    answer = _explained(ask)
    ask.freshness = answer.freshness
    ask.see(answer.freshness)
    unit = unit_of(metric)
    share = answer.value if unit == Unit.SHARE and answer.value is not None else None
    data = {
        "metric": metric, "found": answer, "value": shown(answer.value, unit),
        "why": UNKNOWN.get(answer.state, ""), "where": _where_in_words(ask), "days": _days(start, end),
        "bar": share_bar(share) if share is not None else "", "sentence": _sentence(answer) if share is not None else "",
    }  # fmt: skip
    return Shown("number", data, summary=f"{ask.title(metric)}: {data['value']}")


def _where_in_words(ask: Ask) -> list[str]:
    """Return each filter of the number with its values, by their names."""
    return [
        f"{ask.in_words(_title(name))} {', '.join(ask.label(name, value) for value in values)}"
        for name, values in _where(ask).items()
    ]


def _days(start: str, end: str) -> str:
    """Return the range of the number in words: days, or moments as they were asked for."""
    if len(start) == len(end) == len("2026-12-01"):
        return short_days(date.fromisoformat(start), date.fromisoformat(end))
    return f"{window_start(start)} to {window_start(end)}"


def _sentence(answer: Explanation) -> str:
    """Return a share as a fraction in words."""
    if answer.numerator_of is None or answer.denominator_of is None:
        return ""
    return (
        f"{shown(answer.numerator, 'count')} of {shown(answer.denominator, 'count')}. "
        f"Out of: {_lower(answer.denominator_of)}. Counted: {_lower(answer.numerator_of)}"
    )


def _lower(text: str) -> str:
    """Return what is counted, of one measure or a sum of several, as it stands inside a sentence."""
    return " + ".join(in_sentence(part) for part in text.split(" + "))


QUANTILES = {
    "p50": "Half of the values are at most this", "p90": "9 in 10 values are at most this",
    "p95": "19 in 20 values are at most this", "p99": "99 in 100 values are at most this", "avg": "Sum of the values ÷ n",
    "min": "The smallest value", "max": "The largest value",
}  # fmt: skip
"""Formulas of a distribution's statistics, in words."""


def _formula(answer: Explanation) -> str:
    """Return the formula, of a fraction in words."""
    if answer.numerator_of is None or answer.denominator_of is None:
        return QUANTILES.get(find(answer.metric).statistic or "", answer.formula)
    return f"({_lower(answer.numerator_of)}) ÷ ({_lower(answer.denominator_of)})"


def _counted(ask: Ask) -> Shown:
    """Show how the number is counted, in words and as its formula."""
    answer = _explained(ask)
    parts = [
        Fact(title, f"{shown(value, 'count')}{f' – {meaning}' if meaning else ''}")
        for title, value, meaning in (
            ("Numerator", answer.numerator, answer.numerator_of),
            ("Denominator", answer.denominator, answer.denominator_of),
        ) if answer.denominator is not None
    ]  # fmt: skip
    return facts(ask, [
        Fact("Definition", _unquoted(answer.definition)), Fact("Counted from", _unquoted(answer.fact)), *parts,
        Fact("Formula", _formula(answer)),
        *([Fact("n", shown(answer.n, "count"))] if answer.n is not None else []),
        Fact("Version", f"Definitions, version {answer.definition_version}"),
    ])  # fmt: skip


def _unquoted(text: str) -> str:
    """Return a text of the catalogue without the marks of code."""
    return text.replace("`", "")


def _covered(ask: Ask) -> str:
    """Return what is known where no gap is: nothing, of a tenant without connected sources."""
    if ask.engine.integrations.of(ask.tenant.id, limit=1).rows:
        return "No source has a gap in these days."
    return "No source is connected: whether something sent or imported is missing is not known."


def _reliable(ask: Ask) -> Shown:
    """Show whether the number can still change, what is missing in it, what changed in it, and how to ask for it elsewhere."""
    answer = _explained(ask)
    ask.see(answer.freshness)
    changed = _restated(ask)
    return facts(ask, [
        Fact("State", STATES.get(answer.state, answer.state)),
        Fact("Coverage", ". ".join(ask.gaps) or _covered(ask)),
        Fact("Changed since", changed or "No closed day of it has changed."),
    ], texts={"On the command line": _command(ask)})  # fmt: skip


def _restated(ask: Ask) -> str:
    """Return in words what changed in closed days of the number, of the whole tenant; empty for nothing."""
    first, after = (parse_moment(text, ask.tenant.zone).astimezone(ask.tenant.tz).date() for text in _span(ask))
    rows = ask.engine.restatements.of(ask.tenant.id, metric=_metric(ask)).rows
    in_range = [row for row in rows if row.channel is None and first <= row.window <= after]
    if not in_range:
        return ""
    last, unit = in_range[0], unit_of(_metric(ask))
    times = "Once" if len(in_range) == 1 else f"{len(in_range)} times"
    change = f"{day(last.window.isoformat())} went from {shown(last.old, unit)} to {shown(last.new, unit)}"
    return f"{times}. Last: {change} ({last.cause})."


def _command(ask: Ask) -> str:
    start, end = _span(ask)
    where = "".join(f" --where {quote(f'{name}={value}')}" for name, values in _where(ask).items() for value in values)
    return f"hubbub explain {_metric(ask)} --tenant {ask.tenant.id} --from {start} --to {end}{where}"


def _called(ask: Ask) -> str:
    """Return the title of the number. Raises UnknownMetricError."""
    return ask.title(find(_metric(ask)).name)


def _of_days(ask: Ask) -> Ask | None:
    """Return questions under the number's own days and filters; None where it is of a part of a day."""
    zone = ask.tenant.tz
    start, end = (parse_moment(text, ask.tenant.zone).astimezone(zone) for text in _span(ask))
    if start.time() != datetime.min.time() or end.time() != datetime.min.time():
        return None
    own = copy(ask)
    rest = {"metric": _metric(ask)}
    where = {name: tuple(values) for name, values in _where(ask).items()}
    own.view = ask.view.on(range="custom", first=start.date(), after=end.date(), where=where, rest=rest)
    return own


def _over_time(ask: Ask) -> Shown:
    """Show the number by day, beside its usual range and the days before."""
    days = _of_days(ask)
    return chosen_chart(days, _metric(ask)) if days else Shown(empty="This number is of a part of a day.")


SPLITS = ("channel_id", "channel", "staff_id")
"""Dimensions that a number is split by: the first one that it knows and is not filtered by."""


def _split(ask: Ask) -> tuple[str, Shown]:
    """Return a dimension, and the number by its values."""
    days, metric = _of_days(ask), _metric(ask)
    if days is None:
        return "", Shown(empty="This number is of a part of a day.")
    known, where = askable(find(metric).rollup), _where(ask)
    inside = {"channel": "channel_id"}  # who chose a room has chosen its channel
    free = [name for name in SPLITS if name in known and not {name, inside.get(name, name)} & {*where}]
    shown = Shown(empty="This number is not known by room, channel or staff.")
    for dimension in free:
        shown = breakdown(days, dimension, [metric], compare=False)
        if not shown.empty:
            return dimension, _with_ranges(shown, metric)
    return "", shown


def _with_ranges(shown: Shown, metric: str) -> Shown:
    """Return a breakdown with `n`, and of a share with its range of each row."""
    assert shown.table is not None
    if unit_of(metric) == Unit.COUNT:
        return shown
    rows = [{**row, "n": row[f"{metric}_n"], "plots": _plots(row, metric)} for row in shown.table.rows]
    name, value, *_ = shown.table.columns
    columns = [name, Column("n", "n", "count"), value]
    plots = {metric: "95 % range"} if any(row["plots"] for row in rows) else {}
    return replace(shown, table=replace(shown.table, columns=columns, rows=rows), data={**shown.data, "plots": plots})


def _plots(row: Cells, metric: str) -> Mapping[str, Markup]:
    """Return the drawing of a row's share; nothing for other numbers."""
    within = range_of(row["name"], row[metric], row[f"{metric}_n"]) if find(metric).unit is Unit.SHARE else None
    return {metric: range_plot(within, None)} if within else {}


def _slices(ask: Ask) -> Shown:
    return ask.once("split", lambda: _split(ask))[1]


def _by_what(ask: Ask) -> str:
    """Return what titles the number's slices: "By room"; empty without any."""
    dimension, _ = ask.once("split", lambda: _split(ask))
    return ask.in_words(f"By {FILTERS[dimension].lower()}") if dimension else ""


def _events(ask: Ask) -> Shown:
    explanation = _explained(ask)
    page = explanation.events
    split = explanation.numerator_of is not None
    tabs = _tabs(ask, explanation) if split and find(_metric(ask)).unit is Unit.SHARE else []
    if not page.rows and not (tabs and explanation.denominator):
        return Shown(empty="This number has no event of these days.")
    rows = [
        {
            **row,
            "time": _local(ask, row["time"]),
            "counts": "numerator" if row["counts"] else "denominator only",
            **_given(row),
        }
        for row in page.rows
    ]
    fields = dict.fromkeys(name for row in page.rows for name in row)
    left_out = ("counts", "labels", *(["channel"] if ask.wording.only_channel else []))
    names = [*(name for name in fields if name not in left_out), *(["counts"] if split else [])]
    units = {"time": "instant", "since": "utc", "value": Unit.MS.value}  # rows have a value where they are waits
    columns = [Column(name, _title(name), units.get(name, "text")) for name in names]
    columns += GIVEN_BY if "labels" in fields else ()
    links = [_links(ask, row) for row in page.rows]
    hidden: tuple[str, ...] = ()
    if texts := _texts(ask, page.rows):
        columns.insert(1, Column("text", ask.in_words("Message"), "long"))
        rows = [{**row, "text": texts.get(str(row.get("id")))} for row in rows]
        links = [
            {**link, "time": link["id"], **({"text": link["id"]} if row["text"] else {})} if "id" in link else link
            for link, row in zip(links, rows, strict=True)
        ]
        hidden = csv_only(ask)
    following = ask.link(cursor=page.next) if page.next else ""
    first = f", {sum(row['counts'] for row in page.rows)} of them in the numerator" if split else ""
    return Shown(
        "rows", {"next": following, "total": page.total, "tabs": tabs, "beside": hidden},
        Table(columns, rows, links),
        f"{page.total} rows behind it; {len(rows)} on this page{first}",
    )  # fmt: skip


def _texts(ask: Ask, rows: Sequence[JsonRow]) -> Mapping[str, str]:
    """Return the stored texts of messages, or of the messages of conversations, by the ids of their rows."""
    if _of_conversations(ask):
        known = texts_of(ask, [row["id"] for row in rows])
    else:
        ids = [(datetime.fromisoformat(row["time"]), row["id"]) for row in rows if "id" in row]
        known = with_mentions(ask, messages(ask.engine.queries, ask.tenant, ids))
    return {id_: excerpt.text for id_, excerpt in known.items() if excerpt.text}


def _given(row: JsonRow) -> dict[str, str | None]:
    """Return the cells of a label's event: who gave its labels, and how surely."""
    return cells([typed(GivenLabel, label) for label in row["labels"]]) if "labels" in row else {}


def _title(name: str) -> str:
    """Return the title of a column of rows: that of its dimension, or its name as words."""
    return TITLES.get(name, name.replace("_", " ").capitalize())


def _tabs(ask: Ask, explanation: Explanation) -> list[tuple[str, str, bool]]:
    """Return title, address and whether it is shown, for the rows in the numerator, the others, and all."""
    now = _part(ask) or "all"
    numerator, whole = explanation.numerator or 0, explanation.denominator or 0
    counts = {"numerator": numerator, "rest": whole - numerator, "all": whole}
    return [
        (f"{title} · {shown(counts[part], 'count')}", ask.link(part=part, cursor=None), part == now)
        for part, title in PARTS.items()
    ]


def _links(ask: Ask, row: JsonRow) -> dict[str, str]:
    """Return the links of a row: to its stored event, and to its conversation."""
    links = {}
    if row.get("source") is not None:
        name = "event" if "event" in row else "id"
        links[name] = raw_event(ask, row["source"], row[name])
    if conversation := row.get("conversation_id") or (row["id"] if _of_conversations(ask) else None):
        links["conversation_id" if "conversation_id" in row else "id"] = ask.link("conversation", id=conversation)
    return links


def _of_conversations(ask: Ask) -> bool:
    """Whether the number counts conversations in a state, so that ids are conversation ids."""
    declared = find(_metric(ask)).declared
    return isinstance(declared, State) and declared.held[0] == "conversation"


def _local(ask: Ask, time: str) -> str:
    """Return a time (RFC 3339) on the wall clock of the tenant's zone, to the second."""
    return datetime.fromisoformat(time).astimezone(ask.tenant.tz).isoformat(timespec="seconds")


PAGE = Page(
    "explain", "Explanation",
    (
        Widget("number", "The number", _number, size="small"),
        Widget("rely", "Can I rely on it?", _reliable, size="small"),
        Widget("days", "Over time", _over_time, wide=True, lazy=True),
        Widget("slices", "By room, channel or staff", _slices, size="list", lazy=True, fact=_by_what),
        Widget("counted", "How it is counted", _counted, size="small"),
        Widget("events", "Events behind it", _events, size="tall", wide=True, role=Role.ANALYST),
    ),
    header=False, under="overview", called=_called,
)  # fmt: skip
