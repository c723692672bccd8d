"""Freshness: which tenants' rollups are behind or failed, the worst first; one tenant's by fact; and folding a range anew."""

from __future__ import annotations

from hubbub.metrics.catalogue import ROLLUPS
from hubbub.pages.ask import Ask
from hubbub.pages.forms import Act, Field, asked, choice, desk
from hubbub.pages.parts import Column, Done, Form, Page, Role, Shown, Widget
from hubbub.rollups.freshness import STATES

PAGE_SIZE = 50
WORDS = {
    "failed": "the last fold failed, and is tried again by the next refresh", "dirty": "events came that are not folded yet",
    "fresh": "all events are folded", "empty": "nothing was ever counted",
}  # fmt: skip


def _tenants(ask: Ask) -> Shown:
    found = ask.engine.operation("freshness")(
        state=asked(ask, "state", STATES), tenant=asked(ask, "like"), cursor=asked(ask, "cursor"), limit=PAGE_SIZE
    )
    columns = [
        Column("tenant", "Tenant"), Column("state", "State", "state"), Column("behind", "Events behind", "count"),
        *(Column(state, state.capitalize(), "count") for state in STATES), Column("newest", "Newest day"),
        Column("error", "Error", "long"),
    ]  # fmt: skip
    choices = [
        choice(ask, "state", "Has a fact that is", {state: state for state in STATES}),
        Field("like", "Tenant", value=ask.param("like"), hint="part of its name"),
    ]
    return desk(
        ask, columns, found["rows"],
        links=[{"tenant": ask.link(tenant=row["tenant"], cursor=None)} for row in found["rows"]], choices=choices,
        nothing="No tenant is like this.", following=found["next"],
        note=f"{found['tenants']} tenants, the worst first. A tenant stands as its worst fact does; counts are of facts.",
    )  # fmt: skip


def _facts(ask: Ask) -> Shown:
    if tenant := asked(ask, "tenant"):
        return _of_one(ask, tenant)
    rows = ask.engine.operation("freshness")(limit=1)["facts"]
    columns = [Column("fact", "Fact"), *(Column(state, state.capitalize(), "count") for state in STATES)]
    links = [{state: ask.link(state=state, cursor=None) for state in STATES} for _ in rows]
    return desk(
        ask,
        columns,
        rows,
        links=links,
        note="Tenants by state. Choose a tenant to see its facts, and to fold them anew.",
    )


def _of_one(ask: Ask, tenant: str) -> Shown:
    rows = ask.engine.operation("freshness_of")(tenant=tenant)["rows"]
    columns = [
        Column("fact", "Fact"), Column("state", "State", "state"), Column("behind", "Events behind", "count"),
        Column("newest", "Newest day"), Column("error", "Error", "long"), Column("attempts", "Attempts", "count"),
        Column("tried_at", "Tried (UTC)", "utc"), Column("doc", "What it is", "long"),
    ]  # fmt: skip
    if not any(row["error"] for row in rows):
        columns = [column for column in columns if column.name not in ("error", "attempts", "tried_at")]
    rollups = {"": "All", **{rollup.name: rollup.name for rollup in ROLLUPS}}
    anew = Act(
        "refold", "Fold anew", {"tenant": tenant}, title=f"Fold days of {tenant} anew",
        fields=(
            Field("from", "From", "date", required=True), Field("to", "Until before", "date", required=True),
            Field("rollup", "Rollup", "select", options=rollups),
        ),
    )  # fmt: skip
    told = "; ".join(f"{state}: {words}" for state, words in WORDS.items())
    return desk(
        ask,
        columns,
        rows,
        forms=[Act("refresh", "Bring up to date", {"tenant": tenant}), anew],
        note=f"{tenant}. {told}.",
    )


def _refold(ask: Ask, form: Form) -> Done:
    tenant = form.get("tenant", "")
    found = ask.engine.operation("backfill")(
        start=form.get("from", ""), end=form.get("to", ""), tenant=tenant, rollup=form.get("rollup") or None
    )
    return _done(f"Folded {found['windows']} windows of {tenant} anew.", found["errors"])


def _refresh(ask: Ask, form: Form) -> Done:
    tenant = form.get("tenant", "")
    found = ask.engine.operation("refresh")(tenant=tenant)
    return _done(f"{tenant} is up to date: {found['windows']} windows were due.", found["errors"])


def _done(told: str, errors: dict[str, str]) -> Done:
    if errors:
        return Done("; ".join(f"{name}: {error}" for name, error in errors.items()), failed=True)
    return Done(told)


PAGE = Page(
    "freshness", "Freshness",
    (
        Widget("facts", "By fact", _facts, size="list", wide=True, lazy=True),
        Widget("tenants", "By tenant", _tenants, size="list", wide=True, lazy=True),
    ),
    role=Role.OPERATOR, tenant=False, header=False, acts=Role.OPERATOR, actions={"refold": _refold, "refresh": _refresh},
)  # fmt: skip
