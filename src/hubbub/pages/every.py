"""The pages, in the order of the navigation. A new page is a file with a `PAGE`, and a name here."""

from __future__ import annotations

from hubbub.pages import conversation, conversations, explain, jobs, overview, reports, schedules, topics
from hubbub.pages.parts import Page

TENANT: dict[str, Page] = {
    page.name: page
    for page in (overview.PAGE, topics.PAGE, conversations.PAGE, reports.PAGE, conversation.PAGE, explain.PAGE)
}  # fmt: skip
"""Pages of one tenant, under `/t/<tenant>/<name>`."""

OPERATOR: dict[str, Page] = {
    page.name: page
    for page in (jobs.LIST, schedules.PAGE, jobs.ONE)
}  # fmt: skip
"""Pages about the whole installation, under `/operate/<name>`."""
