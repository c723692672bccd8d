"""What a message says, before it is a mail, a Slack message or a webhook: a title, lines, a page, and the same as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from hubbub.alerts.judge import Judged
from hubbub.control.alerts import Incident
from hubbub.metrics.catalogue import Asked, title_of
from hubbub.metrics.definition import Unit
from hubbub.model.alert import Direction, Kind, Rule
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain
from hubbub.reports.formatting import near, plain


@dataclass(frozen=True, slots=True)
class Notice:
    """A message: its `type` for programs, what it says, the page it leads to, and what it is about as plain values.

    A digest also has a page of HTML, the address that ends it, and `files`: reports to be attached, as id and format.
    """

    type: str
    title: str
    lines: tuple[str, ...] = ()
    path: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    html: str = ""
    unsubscribe: str = ""
    files: tuple[tuple[str, str], ...] = ()

    def document(self) -> dict[str, Any]:
        """Return it as the outbox keeps it."""
        return asdict(self)


def notice_of(document: Mapping[str, Any]) -> Notice:
    """Read a notice from the outbox."""
    files = tuple((report, format_) for report, format_ in document["files"])
    return Notice(**{**document, "lines": tuple(document["lines"]), "files": files})


def title(rule: Rule, slice_: str) -> str:
    """Return what an incident is called."""
    return plain(f"{rule.name}: {slice_}" if slice_ else rule.name)


def number(value: float | None, unit: Unit) -> str:
    """Write a number for people; a count without needless decimals."""
    return near(value, unit)


def sentence(rule: Rule, asked: Asked, judged: Judged, tenant: Tenant) -> str:
    """Say in one sentence what fired."""
    name, value = title_of(asked.name), number(judged.value, asked.unit)
    if rule.kind is Kind.SOURCE:
        expected = number(judged.usual.median if judged.usual else None, Unit.COUNT)
        return (
            f"No event came since before {when(judged.end, Grain.HOUR, tenant)}, where about {expected} were expected."
        )
    if rule.kind is Kind.SLA:
        return f"Somebody has waited {value} for a reply; the limit is {number(rule.limit, asked.unit)}."
    span = when(judged.start, rule.grain, tenant)
    if rule.kind is Kind.CHANGE and judged.usual is not None:
        usual = judged.usual
        return (
            f"{name}: {value} {span}, where {number(usual.median, asked.unit)} is usual "
            f"({number(usual.low, asked.unit)} – {number(usual.high, asked.unit)})."
        )
    side = "below" if rule.direction is Direction.BELOW else "above"
    since = "since the month began, up to and with" if rule.kind is Kind.BUDGET else ""
    return f"{name}: {value} {since}{' ' if since else ''}{span}, {side} the limit of {number(rule.limit, asked.unit)}."


def when(start: datetime, grain: Grain, tenant: Tenant) -> str:
    """Say which window it is: its beginning in the tenant's zone."""
    local = start.astimezone(tenant.tz)
    if grain is Grain.HOUR:
        return f"{local:%a} {local.day} {local:%b}, {local:%H:%M}"
    prefix = "in the week from " if grain is Grain.WEEK else "on "
    return f"{prefix}{local:%a} {local.day} {local:%b}"


def opened(rule: Rule, tenant: Tenant, found: Sequence[tuple[Incident, str]]) -> Notice:
    """Return the notice of incidents that opened together, each with its sentence."""
    if len(found) == 1:
        incident, text = found[0]
        return Notice("incident.opened", incident.title, (text,), _path(incident), _data(tenant, rule, [incident]))
    lines = tuple(f"{incident.slice or incident.title}: {text}" for incident, text in found)
    head = f"{rule.name}: {len(found)} incidents"
    return Notice("incident.opened", plain(head), lines, _all(tenant), _data(tenant, rule, [one for one, _ in found]))


def closed(rule: Rule, tenant: Tenant, found: Sequence[tuple[Incident, str]]) -> Notice:
    """Return the notice of incidents that closed together."""
    lines = tuple(f"{incident.title}: {text}" if len(found) > 1 else text for incident, text in found)
    head = f"Over: {found[0][0].title}" if len(found) == 1 else f"Over: {rule.name}, {len(found)} incidents"
    path = _path(found[0][0]) if len(found) == 1 else _all(tenant)
    return Notice("incident.closed", plain(head), lines, path, _data(tenant, rule, [one for one, _ in found]))


def reminder(rule: Rule, tenant: Tenant, incident: Incident) -> Notice:
    """Return the notice that a snoozed incident is still open."""
    return Notice(
        "incident.reminder", plain(f"Still open: {incident.title}"),
        ("It was snoozed until now, and has neither closed nor been acknowledged.",), _path(incident),
        _data(tenant, rule, [incident]),
    )  # fmt: skip


def _all(tenant: Tenant) -> str:
    return f"/t/{tenant.id}/incidents"


def _path(incident: Incident) -> str:
    return f"/t/{incident.tenant}/incident?id={incident.id}"


def _data(tenant: Tenant, rule: Rule, found: Sequence[Incident]) -> dict[str, Any]:
    return {
        "tenant": tenant.id, "rule": rule.name, "kind": rule.kind.value, "metric": rule.metric, "grain": rule.grain.value,
        "incidents": [
            {
                "id": one.id, "title": one.title, "slice": one.slice or None, "state": one.state, "value": one.value,
                "usual": one.usual, "peak": one.peak, "from": _text(one.start), "to": _text(one.fired_to),
                "opened_at": _text(one.opened_at), "closed_at": _text(one.closed_at) if one.closed_at else None,
            }
            for one in found
        ],
    }  # fmt: skip


def _text(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
