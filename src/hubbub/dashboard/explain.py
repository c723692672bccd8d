"""Explain a number: how it is counted, its parts, and the events behind it. Every number leads here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from hubbub.dashboard.ask import Ask
from hubbub.dashboard.build import unit_of
from hubbub.dashboard.components import Column, Page, Role, Shown, Table, Widget
from hubbub.dashboard.conversations import raw_event
from hubbub.errors import BadRequestError
from hubbub.metrics.catalogue import find, title_of
from hubbub.metrics.definition import State
from hubbub.model.question import parse_moment
from hubbub.query.explain import Explanation
from hubbub.query.result import UNKNOWN
from hubbub.reports.formatting import shown

PAGE_SIZE = 50
TITLES = {"counts": "Part", "time": "Time", "value": "Value"}


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
            ask.tenant.id, _metric(ask), start, end, _where(ask), limit=PAGE_SIZE, cursor=ask.param("cursor") or None
        ),
    )


def _number(ask: Ask) -> Shown:
    start, end = _span(ask)
    metric = _metric(ask)
    answer = _explained(ask)
    ask.freshness = answer.freshness
    ask.see(answer.freshness)
    unit = unit_of(metric)
    facts = {
        "value": shown(answer.value, unit),
        "numerator": answer.numerator,
        "denominator": answer.denominator,
        "numerator_of": answer.numerator_of or "",
        "denominator_of": answer.denominator_of or "",
        "n": answer.n,
        "why": UNKNOWN.get(answer.state, ""),
    }
    return Shown(
        "number",
        {
            "metric": metric, "title": title_of(metric), "found": answer, "facts": facts, "where": _where(ask),
            "start": start, "end": end,
        },
        summary=f"{title_of(metric)}: {facts['value']}",
    )  # fmt: skip


def _events(ask: Ask) -> Shown:
    explanation = _explained(ask)
    page = explanation.events
    if not page.rows:
        return Shown(empty="This number has no event of these days.")
    split = explanation.numerator_of is not None
    unit = find(_metric(ask)).metric.unit.value
    rows = [
        {**row, "time": _local(ask, row["time"]), "counts": "numerator" if row["counts"] else "denominator only"}
        for row in page.rows
    ]
    fields = dict.fromkeys(name for row in page.rows for name in row)
    names = [*(["counts"] if split else []), *(name for name in fields if name != "counts")]
    units = {"time": "moment", "value": unit}
    columns = [Column(name, TITLES.get(name, name.replace("_", " ")), units.get(name, "text")) for name in names]
    following = ask.link(cursor=page.next) if page.next else ""
    first = f", {sum(row['counts'] for row in page.rows)} of them in the numerator, first" if split else ""
    return Shown(
        "rows", {"next": following, "total": page.total}, Table(columns, rows, [_links(ask, row) for row in page.rows]),
        f"{page.total} rows behind it; {len(rows)} on this page{first}",
    )  # fmt: skip


def _links(ask: Ask, row: Mapping[str, Any]) -> dict[str, str]:
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
    metric = find(_metric(ask)).metric
    return isinstance(metric, State) and metric.held[0] == "conversation"


def _local(ask: Ask, time: str) -> str:
    """Return a time (RFC 3339) on the wall clock of the tenant's zone, to the second."""
    return datetime.fromisoformat(time).astimezone(ask.tenant.tz).isoformat(timespec="seconds")


PAGE = Page(
    "explain", "Explanation",
    (
        Widget("number", "Definition and formula", _number, size="list", wide=True),
        Widget("events", "Events behind it", _events, size="tall", wide=True, role=Role.ANALYST),
    ),
    header=False,
)  # fmt: skip
