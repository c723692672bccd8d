"""`hubbub alerts`, `hubbub incidents`, `hubbub destinations`: rules, their incidents, and the notified addresses."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hubbub.cli.ask import show_answer
from hubbub.cli.options import Cursor, Data, Json, TenantName, Where, pairs
from hubbub.cli.options import Limit as MostShown

if TYPE_CHECKING:
    from hubbub.services.alerts import Tried

alerts = typer.Typer(help="Alert rules.", no_args_is_help=True)
incidents = typer.Typer(help="Incidents of alert rules.", no_args_is_help=True)
destinations = typer.Typer(help="Addresses of messages.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="The id.")]
RULES = ("id", "name", "kind", "metric", "grain", "by", "open_incidents", "paused", "judged_to", "error")
INCIDENTS = ("id", "title", "state", "value", "usual", "peak", "from", "to", "opened_at")
DESTINATIONS = ("id", "kind", "name", "to")
MESSAGES = ("id", "type", "title", "destination", "state", "tries", "why", "created_at", "sent_at")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(alerts, name="alerts")
    app.add_typer(incidents, name="incidents")
    app.add_typer(destinations, name="destinations")


Kind = Annotated[str, typer.Argument(help="threshold, change, hotspot, sla, source or budget.")]
Name = Annotated[str, typer.Option("--name", help="Name for people.")]
Metric = Annotated[str, typer.Option("--metric", help="The watched metric, like messages.", show_default=False)]
Grain = Annotated[str, typer.Option("--grain", help="hour, day or week.")]
Direction = Annotated[str, typer.Option("--direction", help="above, below, or for the kind change either.")]
Limit = Annotated[
    float | None,
    typer.Option("--limit", help="In the metric's unit: ms of durations, 0 to 1 of shares.", show_default=False),
]
AtLeast = Annotated[
    float | None,
    typer.Option(
        "--at-least", help="Absolute floor, as a count.", show_default="10; of a rising count what chance rarely brings"
    ),
]
Times = Annotated[float, typer.Option("--times", help="Relative floor of the kind change.")]
By = Annotated[
    str | None, typer.Option("--by", help="A dimension: each value has its own incidents.", show_default=False)
]
CloseAfter = Annotated[
    int, typer.Option("--close-after", help="Quiet windows that close an incident; 0: the kind's own.")
]


def _rule(where: list[str] | None, **values: Any) -> dict[str, Any]:
    return {name: value for name, value in {**values, "where": pairs(where)}.items() if value is not None}


@alerts.command("try")
def try_(
    kind: Kind, tenant: TenantName, name: Name = "a rule", metric: Metric = "", grain: Grain = "day",
    direction: Direction = "above", limit: Limit = None, at_least: AtLeast = None, times: Times = 2, by: By = None,
    where: Where = None, close_after: CloseAfter = 0, data: Data = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Show when a rule would have fired in the past year, also with other floors. Nothing is stored."""
    from hubbub.cli import show
    from hubbub.cli.backend import opened

    rule = _rule(
        where, kind=kind, name=name, metric=metric, grain=grain, direction=direction, limit=limit, at_least=at_least,
        times=times, by=by, close_after=close_after,
    )  # fmt: skip
    with opened(data) as engine:
        answer = engine.alerts.try_(tenant, rule)
    if as_json:
        show.emit(answer, as_json=True)
        return
    _show_replay(answer, metric)


@alerts.command("add")
def add(
    kind: Kind, tenant: TenantName, name: Name, metric: Metric = "", grain: Grain = "day", direction: Direction = "above",
    limit: Limit = None, at_least: AtLeast = None, times: Times = 2, by: By = None, where: Where = None,
    close_after: CloseAfter = 0,
    to: Annotated[list[str] | None, typer.Option("--to", help="Id of a destination; may be repeated.")] = None,
    quiet: Annotated[str, typer.Option("--quiet", help="Hours without notifications, like 22:00-07:00.")] = "",
    urgent: Annotated[bool, typer.Option("--urgent", help="Notify in quiet hours too.")] = False,
    most: Annotated[int, typer.Option("--most", help="Messages a day; further ones become one summary.")] = 10,
    data: Data = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Try a rule on the past year and add it; it judges windows that end from now on."""
    from hubbub.cli import show
    from hubbub.cli.backend import opened

    rule = _rule(
        where, kind=kind, name=name, metric=metric, grain=grain, direction=direction, limit=limit, at_least=at_least,
        times=times, by=by, close_after=close_after, destinations=to or [], quiet=quiet, urgent=urgent, most=most,
    )  # fmt: skip
    with opened(data) as engine:
        answer = engine.alerts.add(tenant, rule)
    if as_json:
        show.emit(answer, as_json=True)
        return
    show.say(f"Added {answer.id}. The past year with this rule:")
    _show_replay(answer.replay, metric)


def _show_replay(replay: Tried, metric: str) -> None:
    from hubbub.cli import show
    from hubbub.model.plain import plain

    rows = [
        {**plain(run), **{name: show.text(getattr(run, name), metric) for name in ("value", "usual", "peak")}}
        for run in replay.rows
    ]
    show.table(rows, title=f"{replay.incidents} incidents from {replay.from_:%Y-%m-%d} to {replay.to:%Y-%m-%d}")
    variants = [
        {
            "this rule": variant.own, "at least": "chance" if variant.at_least is None else variant.at_least,
            "times": variant.times,
            "limit": show.text(variant.limit, metric), "a year": variant.incidents,
            "finds tripled": show.text(variant.tripled, "coverage"),
        }
        for variant in replay.variants
    ]  # fmt: skip
    show.table(variants, title="With other floors")
    for why, count in replay.not_judged.items():
        show.say(f"{count} windows were not judged: {why}")


@alerts.command("list")
def list_(tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """List rules: the watched metric, the last judged window, and the number of open incidents."""
    show_answer(data, as_json, lambda engine: engine.alerts.of(tenant), RULES)


@alerts.command("show")
def show_(id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Show a rule, and the windows that it could not judge, with the reasons."""
    show_answer(data, as_json, lambda engine: engine.alerts.get(tenant, id_), RULES)


@alerts.command("pause")
def pause(id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Stop judging by a rule until it is resumed."""
    show_answer(data, as_json, lambda engine: engine.alerts.change(tenant, id_, {"paused": True}), RULES)


@alerts.command("resume")
def resume(id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Judge windows that end from now on."""
    show_answer(data, as_json, lambda engine: engine.alerts.change(tenant, id_, {"paused": False}), RULES)


@alerts.command("remove")
def remove(id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Delete a rule with its incidents."""
    show_answer(data, as_json, lambda engine: engine.alerts.remove(tenant, id_), RULES)


@alerts.command("run")
def run(data: Data = None, as_json: Json = False) -> None:
    """Judge all rules, write due digests, and send messages now, as the job does every five minutes."""
    from hubbub.cli import show
    from hubbub.cli.backend import opened
    from hubbub.model.plain import plain

    with opened(data) as engine:
        judged, digests = engine.judging.judge(), engine.subscriptions.send()
        show.emit({**plain(judged), "digests": digests, "messages": engine.messages.deliver()}, as_json=as_json)


@incidents.command("list")
def list_incidents(
    tenant: TenantName,
    state: Annotated[str | None, typer.Option("--state", help="open or closed.", show_default=False)] = None,
    alert: Annotated[
        str | None, typer.Option("--alert", help="Only incidents of this rule.", show_default=False)
    ] = None,
    cursor: Cursor = None,
    limit: MostShown = 50,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List incidents, newest first."""
    show_answer(data, as_json, lambda engine: engine.incidents.of(tenant, state, alert, limit, cursor), INCIDENTS)


@incidents.command("show")
def show_incident(id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Show an incident: its windows, the notified destinations, and those not notified, with the reasons."""
    show_answer(data, as_json, lambda engine: engine.incidents.get(tenant, id_), INCIDENTS)


@incidents.command("acknowledge")
def acknowledge(
    id_: Id,
    tenant: TenantName,
    by: Annotated[str, typer.Option("--by", help="The person who takes care of it.")] = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Note that a person takes care of an incident."""
    show_answer(data, as_json, lambda engine: engine.incidents.acknowledge(tenant, id_, by), INCIDENTS)


@incidents.command("snooze")
def snooze(
    id_: Id,
    tenant: TenantName,
    until: Annotated[str, typer.Option("--until", help="A date in the tenant's zone, or an RFC 3339 time.")],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Send nothing about an incident until a moment."""
    show_answer(data, as_json, lambda engine: engine.incidents.snooze(tenant, id_, until), INCIDENTS)


@destinations.command("add")
def add_destination(
    kind: Annotated[str, typer.Argument(help="mail, slack or webhook.")],
    tenant: TenantName,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            help="Mail address, or with --integration a Slack channel; URLs are read from stdin.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[str, typer.Option("--name", help="Name for people.")] = "",
    integration: Annotated[
        str, typer.Option("--integration", help="Slack integration that writes to the channel.")
    ] = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Add a mail address, a Slack channel or a webhook. A webhook's secret is printed once."""
    from getpass import getpass

    if to is None:  # a webhook's address is a secret, and other users see arguments
        to = (getpass("Address: ") if sys.stdin.isatty() else sys.stdin.readline()).strip()
    show_answer(
        data,
        as_json,
        lambda engine: engine.destinations.add(tenant, kind, to, name, integration=integration),
        DESTINATIONS,
    )


@destinations.command("list")
def list_destinations(tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """List destinations, without the secret parts of their addresses."""
    show_answer(data, as_json, lambda engine: engine.destinations.of(tenant), DESTINATIONS)


@destinations.command("test")
def test(id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Send a test message now, and say whether it arrived."""
    show_answer(data, as_json, lambda engine: engine.destinations.test(tenant, id_), MESSAGES)


@destinations.command("remove")
def remove_destination(id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Delete a destination, and give up its waiting messages."""
    show_answer(data, as_json, lambda engine: engine.destinations.remove(tenant, id_), DESTINATIONS)


@destinations.command("messages")
def messages(
    tenant: TenantName,
    about: Annotated[
        str | None, typer.Option("--about", help="Only messages about this incident.", show_default=False)
    ] = None,
    cursor: Cursor = None,
    limit: MostShown = 50,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List messages, newest first: sent, waiting, held or failed, with the reason."""
    show_answer(data, as_json, lambda engine: engine.messages.of(tenant, about, limit, cursor), MESSAGES)


@destinations.command("retry")
def retry(id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Try a failed message again, for another eight hours."""
    show_answer(data, as_json, lambda engine: engine.messages.retry(tenant, id_), MESSAGES)
