"""All pages, in the order of the navigation. A new page is a file with a `PAGE`, and a name here or in `number_pages.py`."""

from __future__ import annotations

from hubbub.dashboard import (
    access,
    alerts,
    conversation,
    conversations,
    coverage,
    explain,
    freshness,
    incidents,
    jobs,
    label_review,
    names_page,
    reports,
    schedules,
    sources,
    subscriptions,
    system,
    targets,
    tenants,
    topic_suggestions,
)  # fmt: skip
from hubbub.dashboard.components import Page
from hubbub.dashboard.number_pages import NUMBERS

TENANT: dict[str, Page] = NUMBERS | {
    page.name: page
    for page in (
        incidents.LIST,
        conversations.PAGE,
        label_review.PAGE,
        topic_suggestions.PAGE,
        reports.PAGE,
        alerts.PAGE,
        targets.PAGE,
        subscriptions.PAGE,
        names_page.PAGE,
        coverage.PAGE,
        access.PAGE,
        conversation.PAGE,
        explain.PAGE,
        incidents.ONE,
    )
}
"""Pages of one tenant, under `/t/<tenant>/<name>`."""

OPERATOR: dict[str, Page] = {
    page.name: page
    for page in (jobs.LIST, schedules.PAGE, freshness.PAGE, sources.PAGE, tenants.PAGE, system.PAGE, jobs.ONE)
}  # fmt: skip
"""Pages about the whole installation, under `/operate/<name>`."""
