"""`hubbub alerts`: try rules on the past year, add, list, change, pause, remove and run them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hubbub.cli.ask import show_answer
from hubbub.cli.options import Data, Id, Json, TenantName, Where, pairs

if TYPE_CHECKING:
    from hubbub.alerts.replay import Variant
    from hubbub.services.alerts import Tried

group = typer.Typer(help="Alert rules.", no_args_is_help=True)

COLUMNS = ("id", "name", "kind", "metric", "grain", "by", "open_incidents", "paused", "judged_to", "error")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(group, name="alerts")


Kind = Annotated[str, typer.Argument(help="threshold, change, hotspot, sla, source or budget.")]
Name = Annotated[str, typer.Option("--name", help="Name for people.")]
Metric = Annotated[str, typer.Option("--metric", help="The watched metric, like messages.", show_default=False)]
Grain = Annotated[str, typer.Option("--grain", help="hour, day or week.")]
Direction = Annotated[str, typer.Option("--direction", help="above or below; for the kind change also either.")]
Limit = Annotated[
    float | None,
    typer.Option("--limit", help="In the metric's unit: ms for durations, 0 to 1 for shares.", show_default=False),
]
AtLeast = Annotated[
    float | None,
    typer.Option(
        "--at-least",
        help="Absolute floor, as a count.",
        show_default="10; a rising count must be unlikely to be chance",
    ),
]
Times = Annotated[float, typer.Option("--times", help="Relative floor of the kind change.")]
By = Annotated[
    str | None, typer.Option("--by", help="A dimension: each value has its own incidents.", show_default=False)
]
CloseAfter = Annotated[
    int, typer.Option("--close-after", help="Quiet windows that close an incident; 0: the kind's own.")
]
To = Annotated[list[str] | None, typer.Option("--to", help="Id of a destination; may be repeated.")]
Quiet = Annotated[str, typer.Option("--quiet", help="Hours without notifications, like 22:00-07:00.")]
Most = Annotated[int, typer.Option("--most", help="Most messages a day; further ones become one summary.")]


def _rule(where: list[str] | None, **values: Any) -> dict[str, Any]:
    return {name: value for name, value in {**values, "where": pairs(where)}.items() if value is not None}


@group.command("try")
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
    _show_replay(answer)


@group.command("add")
def add(
    kind: Kind, tenant: TenantName, name: Name, metric: Metric = "", grain: Grain = "day", direction: Direction = "above",
    limit: Limit = None, at_least: AtLeast = None, times: Times = 2, by: By = None, where: Where = None,
    close_after: CloseAfter = 0,
    to: To = None, quiet: Quiet = "", urgent: Annotated[bool, typer.Option("--urgent", help="Notify in quiet hours too.")] = False,
    most: Most = 10,
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
    _show_replay(answer.replay)


def _show_replay(replay: Tried) -> None:
    """Print the incidents of a replay, and their number with other floors, or limits, of the kind."""
    from hubbub.cli import show
    from hubbub.model.plain import plain

    rows = [
        {**plain(run), **{name: show.text(getattr(run, name), replay.metric) for name in ("value", "usual", "peak")}}
        for run in replay.rows
    ]
    days = f"from {replay.from_:%Y-%m-%d} to {replay.to:%Y-%m-%d}"
    show.out.print(f"{replay.incidents} {'incident' if replay.incidents == 1 else 'incidents'} {days}")
    if rows:
        show.table(rows)
    show.table([_variant(variant, replay.metric) for variant in replay.variants], title="With other floors")
    for why, count in replay.not_judged.items():
        show.say(f"{count} windows were not judged: {why}")


def _variant(variant: Variant, metric: str) -> dict[str, object]:
    from hubbub.cli import show

    floors: dict[str, object] = {"limit": show.text(variant.limit, metric)}
    if variant.limit is None:
        floors = {"at least": "chance" if variant.at_least is None else variant.at_least, "times": variant.times}
    finds = {} if variant.tripled is None else {"finds tripled": show.text(variant.tripled, "coverage")}
    return {"this rule": variant.own, **floors, "a year": variant.incidents, **finds}


@group.command("list")
def list_(tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """List rules: the watched metric, the last judged window, and the number of open incidents."""
    show_answer(data, as_json, lambda engine: engine.alerts.of(tenant), COLUMNS)


@group.command("show")
def show_(id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Show a rule, and the windows that it could not judge, with the reasons."""
    show_answer(data, as_json, lambda engine: engine.alerts.get(tenant, id_), COLUMNS)


@group.command("change")
def change(
    id_: Id, tenant: TenantName,
    name: Annotated[str | None, typer.Option("--name", help="Name for people.", show_default=False)] = None,
    metric: Annotated[str | None, typer.Option("--metric", help="The watched metric.", show_default=False)] = None,
    grain: Annotated[str | None, typer.Option("--grain", help="hour, day or week.", show_default=False)] = None,
    direction: Annotated[
        str | None,
        typer.Option("--direction", help="above or below; for the kind change also either.", show_default=False),
    ] = None,
    limit: Limit = None,
    at_least: Annotated[
        float | None, typer.Option("--at-least", help="Absolute floor, as a count.", show_default=False)
    ] = None,
    times: Annotated[
        float | None, typer.Option("--times", help="Relative floor of the kind change.", show_default=False)
    ] = None,
    by: Annotated[
        str | None, typer.Option("--by", help="A dimension; '' for one incident over all.", show_default=False)
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option("--where", help="DIMENSION=VALUE, in place of the present ones; '' for none.")
    ] = None,
    close_after: Annotated[
        int | None,
        typer.Option("--close-after", help="Quiet windows that close an incident; 0: the kind's own.", show_default=False),
    ] = None,
    to: Annotated[
        list[str] | None, typer.Option("--to", help="Id of a destination, in place of the present ones; '' for none.")
    ] = None,
    quiet: Annotated[
        str | None, typer.Option("--quiet", help="Hours without notifications; '' for none.", show_default=False)
    ] = None,
    urgent: Annotated[
        bool | None,
        typer.Option("--urgent/--not-urgent", help="Whether to notify in quiet hours too.", show_default=False),
    ] = None,
    most: Annotated[
        int | None,
        typer.Option("--most", help="Most messages a day; further ones become one summary.", show_default=False),
    ] = None,
    default: Annotated[
        list[str] | None,
        typer.Option("--default", help="A field to reset to its default, like limit; may be repeated.", show_default=False),
    ] = None,
    data: Data = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Change fields of a rule, and try it on the past year again; fields that are left out stay unchanged."""
    values = {
        "name": name, "metric": metric, "grain": grain, "direction": direction, "limit": limit, "at_least": at_least,
        "times": times, "by": by, "where": None if where is None else pairs(_without_empty(where)),
        "close_after": close_after, "destinations": None if to is None else _without_empty(to), "quiet": quiet,
        "urgent": urgent, "most": most,
    }  # fmt: skip
    changes = {field: value for field, value in values.items() if value is not None} | dict.fromkeys(default or ())
    show_answer(data, as_json, lambda engine: engine.alerts.change(tenant, id_, changes), COLUMNS)


def _without_empty(values: list[str]) -> list[str]:
    return [value for value in values if value]


@group.command("pause")
def pause(id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Pause a rule: it judges no windows until it is resumed."""
    show_answer(data, as_json, lambda engine: engine.alerts.change(tenant, id_, {"paused": True}), COLUMNS)


@group.command("resume")
def resume(id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Resume a rule: it judges windows that end from now on."""
    show_answer(data, as_json, lambda engine: engine.alerts.change(tenant, id_, {"paused": False}), COLUMNS)


@group.command("remove")
def remove(id_: Id, tenant: TenantName, data: Data = None, as_json: Json = False) -> None:
    """Delete a rule with its incidents."""
    show_answer(data, as_json, lambda engine: engine.alerts.remove(tenant, id_), COLUMNS)


@group.command("run")
def run(data: Data = None, as_json: Json = False) -> None:
    """Judge all rules, write due digests, and send messages now, as the job does every five minutes."""
    from hubbub.cli import show
    from hubbub.cli.backend import opened
    from hubbub.model.plain import plain

    with opened(data) as engine:
        judged, digests = engine.judging.judge(), engine.subscriptions.send()
        show.emit({**plain(judged), "digests": digests, "messages": engine.messages.deliver()}, as_json=as_json)
