"""Notices: the content of a message (title, lines, page, data) before it becomes a mail, a Slack message or a webhook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta

from hubbub.alerts.judge import Judged
from hubbub.alerts.rules import PAST_TARGET, TICK, windows_to_close
from hubbub.alerts.run import Run
from hubbub.control.alerts import Incident
from hubbub.metrics.catalogue import RequestedMetric, title_of
from hubbub.metrics.definition import Unit
from hubbub.model.alert import Direction, Kind, Rule
from hubbub.model.plain import JsonObject
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain
from hubbub.reports.formatting import near, plain


@dataclass(frozen=True, slots=True)
class Notice:
    """A message: `type` for programs, text, the path of its page, and `data` as plain values.

    A digest also has HTML, the path to unsubscribe, and `files`: reports to attach, as id and format.
    """

    type: str
    title: str
    lines: tuple[str, ...] = ()
    path: str = ""
    data: JsonObject = field(default_factory=dict)
    html: str = ""
    unsubscribe: str = ""
    files: tuple[tuple[str, str], ...] = ()

    def document(self) -> JsonObject:
        """Return the form that the outbox stores."""
        return asdict(self)


def notice_of(document: JsonObject) -> Notice:
    """Read a notice from the outbox."""
    files = tuple((report, format_) for report, format_ in document["files"])
    return Notice(**{**document, "lines": tuple(document["lines"]), "files": files})


def title(rule: Rule, slice_: str) -> str:
    """Return the title of an incident."""
    return plain(f"{rule.name}: {slice_}" if slice_ else rule.name)


def sentence(rule: Rule, metric: RequestedMetric, judged: Judged, tenant: Tenant) -> str:
    """Return one sentence on what fired."""
    name, value = title_of(metric.name), near(judged.value, metric.unit)
    if rule.kind is Kind.SOURCE:
        expected = near(judged.usual.median if judged.usual else None, Unit.COUNT)
        return f"No event came in the hours before {_moment(judged.end, tenant)}; about {expected} were expected."
    if rule.metric == PAST_TARGET:
        some = "1 conversation has" if judged.value == 1 else f"{value} conversations have"
        return f"{some} waited for a reply longer than the target."
    if rule.kind is Kind.SLA:
        return f"Somebody has waited {value} for a reply; the limit is {near(rule.limit, metric.unit)}."
    span = when(judged.start, rule.grain, tenant)
    if rule.kind is Kind.BUDGET:
        span = f"from the first of the month to {_day(judged.start, tenant)}"
    if rule.kind is Kind.CHANGE and judged.usual is not None:
        usual = judged.usual
        return (
            f"{name}: {value} {span}, where {near(usual.median, metric.unit)} is usual "
            f"({near(usual.low, metric.unit)} – {near(usual.high, metric.unit)})."
        )
    side = "below" if rule.direction is Direction.BELOW else "above"
    return f"{name}: {value} {span}, {side} the limit of {near(rule.limit, metric.unit)}."


def over(rule: Rule, metric: RequestedMetric, run: Run, tenant: Tenant) -> str:
    """Return one sentence on an incident that closed."""
    if rule.kind is Kind.SOURCE:
        return "Events come again."
    count = windows_to_close(rule)
    if rule.kind is Kind.SLA:
        return _nobody_waits(rule, metric, run, count * TICK // timedelta(minutes=1))
    span = f"{count} {rule.grain}s" if count > 1 else "an hour" if rule.grain is Grain.HOUR else f"a {rule.grain}"
    again = "Usual again" if rule.kind is Kind.CHANGE else "Within the limit again"
    extreme = {Direction.ABOVE: "highest", Direction.BELOW: "lowest"}.get(rule.direction, "farthest from usual")
    return (
        f"{again} for {span}; the {extreme} was {near(run.peak, metric.unit)} {when(run.peak_at, rule.grain, tenant)}."
    )


def _nobody_waits(rule: Rule, metric: RequestedMetric, run: Run, minutes: int) -> str:
    most = near(run.peak, metric.unit)
    if rule.metric == PAST_TARGET:
        return f"Nobody has waited past the target for {minutes} minutes; at most {most} did at once."
    return f"Nobody has waited past the limit for {minutes} minutes; the longest wait was {most}."


def when(start: datetime, grain: Grain, tenant: Tenant) -> str:
    """Return a window in the tenant's zone, in words."""
    if grain is Grain.HOUR:
        end = (start.astimezone(UTC) + timedelta(hours=1)).astimezone(tenant.tz)
        return f"on {_moment(start, tenant)} – {end:%H:%M}"
    return f"{'in the week from' if grain is Grain.WEEK else 'on'} {_day(start, tenant)}"


def _day(moment: datetime, tenant: Tenant) -> str:
    local = moment.astimezone(tenant.tz)
    return f"{local:%a} {local.day} {local:%b}"


def _moment(moment: datetime, tenant: Tenant) -> str:
    return f"{_day(moment, tenant)}, {moment.astimezone(tenant.tz):%H:%M}"


def opened(rule: Rule, tenant: Tenant, incidents: Sequence[tuple[Incident, str]]) -> Notice:
    """Return the notice of incidents that opened together, each with its sentence."""
    if len(incidents) == 1:
        incident, text = incidents[0]
        return Notice("incident.opened", incident.title, (text,), _path(incident), _data(tenant, rule, [incident]))
    lines = tuple(f"{incident.slice or incident.title}: {text}" for incident, text in incidents)
    head = f"{rule.name}: {len(incidents)} incidents"
    return Notice(
        "incident.opened", plain(head), lines, _all(tenant), _data(tenant, rule, [each for each, _ in incidents])
    )


def closed(rule: Rule, tenant: Tenant, incidents: Sequence[tuple[Incident, str]]) -> Notice:
    """Return the notice of incidents that closed together."""
    lines = tuple(f"{incident.title}: {text}" if len(incidents) > 1 else text for incident, text in incidents)
    head = f"Over: {incidents[0][0].title}" if len(incidents) == 1 else f"Over: {rule.name}, {len(incidents)} incidents"
    path = _path(incidents[0][0]) if len(incidents) == 1 else _all(tenant)
    return Notice("incident.closed", plain(head), lines, path, _data(tenant, rule, [each for each, _ in incidents]))


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


def _data(tenant: Tenant, rule: Rule, incidents: Sequence[Incident]) -> JsonObject:
    return {
        "tenant": tenant.id, "rule": rule.name, "kind": rule.kind.value, "metric": rule.metric, "grain": rule.grain.value,
        "incidents": [
            {
                "id": incident.id, "title": incident.title, "slice": incident.slice or None, "state": incident.state,
                "value": incident.value, "usual": incident.usual, "peak": incident.peak,
                "from": _text(incident.start), "to": _text(incident.fired_to),
                "opened_at": _text(incident.opened_at), "closed_at": _text(incident.closed_at) if incident.closed_at else None,
            }
            for incident in incidents
        ],
    }  # fmt: skip


def _text(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
