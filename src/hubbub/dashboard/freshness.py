"""Freshness: units that wait to be folded, by tenant and kind; bring a tenant up to date, or fold days again."""

from __future__ import annotations

from collections.abc import Mapping

from hubbub.dashboard.ask import Ask, Form
from hubbub.dashboard.components import Column, Done, Group, Page, Shown, Widget
from hubbub.dashboard.forms import Act, Field, choice, data_table, parameter
from hubbub.dashboard.person import Role
from hubbub.facts.rebuild import FOLDED_BY
from hubbub.model.plain import plain
from hubbub.services.monitoring import STATES

PAGE_SIZE = 50


def _tenants(ask: Ask) -> Shown:
    page = ask.engine.monitoring.freshness(
        parameter(ask, "state", STATES), parameter(ask, "like"), parameter(ask, "cursor"), PAGE_SIZE
    )
    columns = [
        Column("tenant", "Tenant"), Column("state", "State", "state"), Column("behind", "Waiting", "count"),
        Column("newest", "Newest day", "date"),
    ]  # fmt: skip
    choices = [
        choice(ask, "state", "State", {state: state for state in STATES}),
        Field("like", "Tenant", value=ask.param("like"), hint="part of its name"),
    ]
    return data_table(
        ask, columns, plain(page.rows),
        links=[{"tenant": ask.link(tenant=row.tenant, cursor=None)} for row in page.rows], choices=choices,
        nothing="No tenant matches.", following=page.next,
        note=f"{page.tenants} tenants, those behind first. Fresh: all that arrived is counted; whether a source still sends, "
        "Sources says. Choose a tenant to fold its days again.",
    )  # fmt: skip


def _units(ask: Ask) -> Shown:
    answer = ask.engine.monitoring.freshness(limit=1)
    columns = [Column("unit", "Folded by"), Column("waiting", "Waiting", "count")]
    forms = []
    if tenant := parameter(ask, "tenant"):
        facts = {"": "All", **{fact: fact for fact in FOLDED_BY}}
        again = Act(
            "refold", "Fold again", {"tenant": tenant}, title=f"Fold days of {tenant} again",
            fields=(
                Field("from", "From", "date", required=True), Field("to", "To, not included", "date", required=True),
                Field("fact", "Fact", "select", options=facts),
            ),
        )  # fmt: skip
        forms = [Act("refresh", "Refresh", {"tenant": tenant}), again]
    return data_table(
        ask, columns, plain(answer.units), forms=forms,
        note=f"{answer.batches} accepted batches wait in the log. An answer first folds its own tenant's batches.",
    )  # fmt: skip


def _refold(ask: Ask, form: Form) -> Done:
    tenant = form.get("tenant", "")
    answer = ask.engine.facts.backfill(form.get("from", ""), form.get("to", ""), tenant, form.get("fact") or None)
    return _done(f"Folded {answer.folded} units of {tenant} again.", answer.errors)


def _refresh(ask: Ask, form: Form) -> Done:
    tenant = form.get("tenant", "")
    answer = ask.engine.facts.refresh(tenant)
    return _done(f"{tenant} is up to date: {sum(answer.units.values())} units were due.", answer.errors)


def _done(text: str, errors: Mapping[str, str]) -> Done:
    if errors:
        return Done("; ".join(f"{name}: {error}" for name, error in errors.items()), failed=True)
    return Done(text)


PAGE = Page(
    "freshness", "Freshness",
    (
        Widget("tenants", "By tenant", _tenants, size="list", wide=True, lazy=True),
        Widget("facts", "By kind", _units, size="list", wide=True, lazy=True),
    ),
    role=Role.OPERATOR, tenant=False, header=False, acts=Role.OPERATOR, actions={"refold": _refold, "refresh": _refresh},
    group=Group.OPERATOR,
)  # fmt: skip
