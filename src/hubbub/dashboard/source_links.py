"""Links from rows to their messages at the service they came from: Slack's, where the tenant named its workspace's address."""

from __future__ import annotations

import re
from dataclasses import replace

from hubbub.dashboard.ask import Ask
from hubbub.dashboard.components import Column, Table
from hubbub.dashboard.person import Role

SLACK = "slack"
COLUMN = Column("at_source", "In Slack")
_MESSAGE = re.compile(r"([A-Z][A-Z0-9]{2,20}):(\d{10})\.(\d{6})\Z")
"""Id of a Slack message or thread: channel and time."""


def workspace_of(ask: Ask) -> str:
    """Return the address of the tenant's one Slack workspace; empty without one, of several, and for those who may see no rows."""
    if not ask.person.may(Role.ANALYST):
        return ""
    rows = ask.engine.integrations.of(ask.tenant.id, provider=SLACK).rows
    addresses = {str(row.settings["workspace_url"]) for row in rows if row.settings.get("workspace_url")}
    return addresses.pop() if len(addresses) == 1 else ""


def slack_link(workspace: str, id_: str | None) -> str:
    """Return the address of a message or thread in a workspace; empty without a workspace, and for ids of other sources."""
    message = _MESSAGE.match(id_ or "")
    return f"{workspace}/archives/{message[1]}/p{message[2]}{message[3]}" if workspace and message else ""


def with_source(ask: Ask, table: Table) -> Table:
    """Add a column that leads to the message of each row, by its `id`; none where no row has such a message."""
    workspace = workspace_of(ask)
    addresses = [slack_link(workspace, row["id"]) for row in table.rows]
    if not any(addresses):
        return table
    rows = [{**row, COLUMN.name: "Open" if to else None} for row, to in zip(table.rows, addresses, strict=True)]
    links = [{**link, COLUMN.name: to} for link, to in zip(table.links, addresses, strict=True)]
    return replace(table, columns=[*table.columns, COLUMN], rows=rows, links=links)
