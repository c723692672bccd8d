"""The pages, in the order of the navigation. A new page is a file with a `PAGE`, and a name here."""

from __future__ import annotations

from hubbub.pages import (
    access,
    contacts,
    conversation,
    conversations,
    explain,
    freshness,
    jobs,
    live,
    messages,
    overview,
    reports,
    satisfaction,
    schedules,
    sources,
    speed,
    system,
    team,
    tenants,
    topics,
)  # fmt: skip
from hubbub.pages.parts import Page

TENANT: dict[str, Page] = {
    page.name: page
    for page in (
        overview.PAGE, live.PAGE, speed.PAGE, topics.PAGE, satisfaction.PAGE, team.PAGE, messages.PAGE, contacts.PAGE,
        conversations.PAGE, reports.PAGE, access.PAGE, conversation.PAGE, explain.PAGE,
    )
}  # fmt: skip
"""Pages of one tenant, under `/t/<tenant>/<name>`."""

OPERATOR: dict[str, Page] = {
    page.name: page
    for page in (jobs.LIST, schedules.PAGE, freshness.PAGE, sources.PAGE, tenants.PAGE, system.PAGE, jobs.ONE)
}  # fmt: skip
"""Pages about the whole installation, under `/operate/<name>`."""
