"""Services that send webhooks: the address to give each, the steps there, and whether anything has arrived."""

from __future__ import annotations

from hubbub.dashboard.ask import Ask, Form
from hubbub.dashboard.components import Column, Done, Shown
from hubbub.dashboard.forms import Act, Field, data_table, parameter
from hubbub.errors import BadInputError
from hubbub.ingest.providers import PROVIDERS
from hubbub.model.plain import plain
from hubbub.services.integrations import SetupView, made_for

PAGE_SIZE = 50
CONNECT = Act(
    "connect", "Connect", title="Connect a service",
    fields=(
        Field("tenant", "Tenant", required=True), Field("name", "Name for people"),
        Field("provider", "Service", "select", options={p.name: p.title for p in PROVIDERS.values()}, required=True),
        Field("secrets", "Secrets", "password", hint="app_secret=… verify_token=…"),
        Field("settings", "Settings", hint="bot_id=123 keep_text_days=30"),
    ),
)  # fmt: skip
"""Connects an account: the list then has the steps at the service, and new secrets are shown once."""


def receiving(ask: Ask) -> Shown:
    """Show each receiving integration, with the steps until its first body arrives."""
    tenant = parameter(ask, "tenant")
    page = ask.engine.integrations.setups(tenant, parameter(ask, "receiving"), PAGE_SIZE)
    rows = [{**plain(setup), "to_do": _to_do(setup)} for setup in page.rows]
    columns = [
        Column("name", "Account"), Column("tenant", "Tenant"), Column("title", "Service"), Column("state", "State", "state"),
        Column("received_at", "Newest body (UTC)", "utc"), Column("address", "Address to give", "long"),
        Column("to_do", "What to do", "long"),
    ]  # fmt: skip
    return data_table(
        ask, columns, rows, following=page.next, cursor="receiving", forms=[CONNECT],
        nothing="No service sends webhooks yet. “Connect a service” adds one.",
    )  # fmt: skip


def connect(ask: Ask, form: Form) -> Done:
    """Connect an account as `hubbub integrations add` does."""
    row = ask.engine.integrations.add(
        form.get("tenant", ""), form.get("provider", ""), name=form.get("name", ""),
        settings=_pairs("settings", form.get("settings", "")), secrets=_pairs("secrets", form.get("secrets", "")),
    )  # fmt: skip
    secrets = " ".join(f"{name}={secret}" for name, secret in made_for(row).items())
    return Done(f"{row.name} is connected. Its row shows the steps at the service.", secret=secrets)


def _pairs(title: str, text: str) -> dict[str, str]:
    """Read NAME=VALUE, several with spaces between. Raises BadInputError."""
    pairs = [part.partition("=") for part in text.split()]
    for name, sign, _ in pairs:
        if not sign:
            raise BadInputError(f"{title}: write NAME=VALUE, several with spaces between, not {name[:40]!r}")
    return {name: value for name, _, value in pairs}


def _to_do(setup: SetupView) -> str:
    """Return what to do until a body is received."""
    if setup.state == "refused":
        return setup.reason
    if setup.state == "received":
        return ""
    numbered = " ".join(f"{number}. {step}" for number, step in enumerate(setup.steps, 1))
    return f"{numbered} It needs: {', '.join(setup.scopes)}." if setup.scopes else numbered
