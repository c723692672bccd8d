"""The pages, in the order of the navigation. A new page is a file with a `PAGE`, and a name here."""

from __future__ import annotations

from hubbub.pages import access, explain, freshness, jobs, overview, schedules, sources, system, tenants
from hubbub.pages.parts import Page

TENANT: dict[str, Page] = {
    page.name: page
    for page in (overview.PAGE, access.PAGE, explain.PAGE)
}  # fmt: skip
"""Pages of one tenant, under `/t/<tenant>/<name>`."""

OPERATOR: dict[str, Page] = {
    page.name: page
    for page in (jobs.LIST, schedules.PAGE, freshness.PAGE, sources.PAGE, tenants.PAGE, system.PAGE, jobs.ONE)
}  # fmt: skip
"""Pages about the whole installation, under `/operate/<name>`."""
