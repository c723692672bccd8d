"""Services that send by themselves: the address to give each, what to do there, and whether anything has arrived."""

from __future__ import annotations

from hubbub.pages.ask import Ask
from hubbub.pages.forms import asked, data_table
from hubbub.pages.parts import Column, Shown

PAGE_SIZE = 50


def receiving(ask: Ask) -> Shown:
    """Show each integration that receives, with the steps of those that still wait for their first body."""
    tenant = asked(ask, "tenant")
    found = ask.engine.operation("integration_setups")(tenant=tenant, cursor=asked(ask, "receiving"), limit=PAGE_SIZE)
    rows = [{**row, "to_do": _to_do(row)} for row in found["rows"]]
    columns = [
        Column("name", "Account"), Column("tenant", "Tenant"), Column("title", "Service"), Column("state", "State", "state"),
        Column("received_at", "Newest body (UTC)", "utc"), Column("address", "Address to give", "long"),
        Column("to_do", "What to do", "long"),
    ]  # fmt: skip
    return data_table(
        ask, columns, rows, following=found["next"], cursor="receiving",
        nothing="No service sends by itself: hubbub integrations add says how.",
    )  # fmt: skip


def _to_do(row: dict[str, object]) -> str:
    """Return what a person has to do until the state is received."""
    if row["state"] == "refused":
        return str(row["reason"])
    steps, scopes = row["steps"], row["scopes"]
    if row["state"] == "received" or not isinstance(steps, list) or not isinstance(scopes, list):
        return ""
    numbered = " ".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
    return f"{numbered} It needs: {', '.join(scopes)}." if scopes else numbered
